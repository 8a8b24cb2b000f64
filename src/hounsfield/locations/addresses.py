"""The address of some sources of a location: the narrowest that `open_location` takes and that holds them all."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence
from pathlib import Path

from hounsfield.ct.instance.source import FileSource, Source
from hounsfield.locations.kinds import is_nested, kind_of_address
from hounsfield.locations.location import Location


def address_of(place: Location, sources: Sequence[Source]) -> str:
    """The one file, or the deepest folder that holds all; of members of an archive, the archive.

    Elsewhere what all names have in common, where addresses are nested, or the whole location; "" where not even
    that opens: a location that was made in memory has no address.
    """
    paths = [_path_of(source) for source in sources]
    if all(paths):
        return paths[0] if len(set(paths)) == 1 else os.path.commonpath([Path(path).parent for path in paths])
    if is_nested(place.name):
        return _below(place.name, [source.name for source in sources])
    opens = kind_of_address(place.name) is not None or os.path.exists(place.name)  # noqa: PTH110 (never raises)
    return place.name if opens else ""


def _path_of(source: Source) -> str:
    """The file that a source is, or the archive that it is in; "" where it is on no disk."""
    if isinstance(source, FileSource):
        return source.name
    archive, mark, _ = source.name.partition("!/")
    return archive if mark and Path(archive).is_file() else ""


def _below(address: str, names: Sequence[str]) -> str:
    root = address.rstrip("/") + "/"
    if not all(name.startswith(root) for name in names):
        return address
    if len(set(names)) == 1:
        return names[0]
    common = posixpath.commonpath([name.removeprefix(root).rpartition("/")[0] for name in names])
    return root + common if common else address
