"""Names of sources below their location, so that two places of one shape can be held beside each other."""

from __future__ import annotations

from pathlib import Path

from hounsfield.ct.instance.source import FileSource, Source
from hounsfield.locations.location import Location


def relative_name(source: Source, place: Location) -> Path:
    """The source's name without the location's: `folder/archive.zip!/a/b` keeps `archive.zip/a/b`."""
    root = Path(place.name)
    if isinstance(source, FileSource) and not root.is_dir():
        root = root.parent  # a DICOMDIR names files beside it
    name = source.name.removeprefix(str(root) if isinstance(source, FileSource) else place.name)
    name = name.replace("!/", "/")
    parts = [part for part in Path(name.lstrip("/!\\")).parts if part not in ("..", ".", "/")]
    return Path(*parts) if parts else Path(Path(place.name).name)
