"""A named server as a location: of the protocol that its entry is for."""

from __future__ import annotations

from hounsfield.locations.location import Location
from hounsfield.locations.servers import find_server


def open_named(text: str) -> Location:
    """The location at `pacs:` or `pacs:/studies/…`. Raises `LocationError` that lists the names there are."""
    if find_server(text.strip().partition(":")[0]).is_dimse:
        from hounsfield.locations.dimse import open_dimse

        return open_dimse(text)
    from hounsfield.locations.dicomweb import open_dicomweb

    return open_dicomweb(text)
