"""Locations: a file, a folder, an archive, a DICOMDIR, a volume, a server, a bucket and what joins; one protocol.

`open_location` turns what a user wrote into a `Location` by the table in `kinds`: a scheme, or a file's content.
Nothing here says whether bytes are DICOM, and nothing groups them.
"""

from __future__ import annotations

import contextlib
import difflib
import os
import re
import stat
from os import PathLike
from pathlib import Path

from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.language import say
from hounsfield.locations.archives import ArchiveLimits
from hounsfield.locations.dicomdir import DicomdirLocation
from hounsfield.locations.disk import ArchiveLocation, FileLocation, FolderLocation, first_bytes
from hounsfield.locations.kinds import (
    KINDS,
    SERVER,
    LocationKind,
    kind_of_address,
    kind_of_content,
    kind_of_suffix,
)
from hounsfield.locations.location import (
    Delivered,
    Found,
    Knowing,
    Level,
    ListedSeries,
    Location,
    OnDisk,
    Rewritable,
    Searchable,
    SeriesSource,
    Staging,
    Writable,
)

__all__ = [
    "KINDS",
    "ArchiveLocation",
    "Delivered",
    "DicomdirLocation",
    "FileLocation",
    "FolderLocation",
    "Found",
    "Knowing",
    "Level",
    "ListedSeries",
    "Location",
    "LocationKind",
    "OnDisk",
    "Rewritable",
    "Searchable",
    "SeriesSource",
    "Staging",
    "Writable",
    "as_location",
    "is_path",
    "open_destination",
    "open_location",
    "writable",
]

_SERVER = re.compile(r"[A-Za-z][\w.-]+:(/.*)?", re.ASCII)
"""`pacs:` or `pacs:/studies/…`; two letters at least before the colon, since `C:` is a drive."""


def open_location(text: str | Path, *, limits: ArchiveLimits | None = None) -> Location:
    """The location that `text` names: a path, an address of a bucket or of DICOMweb, a named server (`kinds.KINDS`).

    `limits` caps what archives may expand to. Raises `LocationError` where nothing is (with a near name, if there
    is one), `DicomwebError` for an address that is none.
    """
    limits = ArchiveLimits() if limits is None else limits
    if isinstance(text, Path):
        return _open_path(str(text), limits)
    opener = kind_of_address(text)
    if opener is not None:
        return opener(text)
    return SERVER.open(text) if _is_server(text) else _open_path(text, limits)


def open_destination(text: str | PathLike[str]) -> Writable:
    """The location that `text` names, to be written to; a folder need not exist yet.

    Raises `LocationError` for one that takes no instances.
    """
    if is_path(text):
        path = Path(text).expanduser().absolute()
        if not path.exists():
            return FolderLocation(path)
        text = path
    return writable(open_location(text if isinstance(text, str) else Path(text)))


def writable(place: Location) -> Writable:
    """The same location. Raises `LocationError` for one that takes no instances."""
    if not isinstance(place, Writable):
        raise LocationError(
            "takes no instances", expected="a folder, a bucket, a server or a study on one", where=place.name
        )
    return place


def as_location(location: str | PathLike[str] | Location) -> Location:
    """Return what is a location already as it is, a text or path opened. Raises `LocationError`."""
    if isinstance(location, (str, PathLike)):
        return open_location(location if isinstance(location, str) else Path(location))
    if not isinstance(location, Location):
        raise LocationError(
            say("a {name__} is no location", name__=type(location).__name__),
            expected="a path or an address",
            remedy="for some of a folder's files, put them into a folder or a zip of their own",
        )
    return location


def is_path(text: str | PathLike[str]) -> bool:
    """Return whether a text names something on a disk, there or not, rather than an address or a server."""
    return not isinstance(text, str) or (kind_of_address(text) is None and not _is_server(text))


def _is_server(text: str) -> bool:
    return _SERVER.fullmatch(text) is not None and not os.path.lexists(text)


def _open_path(text: str, limits: ArchiveLimits) -> Location:
    if not text or "\0" in text:
        raise LocationError(
            say("{text} is no path", text=repr(text)),
            remedy="give a file, a folder, an archive or a DICOMDIR",
        )
    path = Path(text).expanduser()
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _not_there(path, error) from error
    opener = kind_of_suffix(path)
    if opener is not None:
        return opener(str(path))
    is_folder = stat.S_ISDIR(mode)
    if not is_folder and not stat.S_ISREG(mode):
        raise LocationError("is a pipe, socket or device", expected="a file or folder", where=text)
    kind = kind_of_content(path, b"" if is_folder else first_bytes(path))
    if kind is not None:
        return kind.open_path(path, limits)
    return FolderLocation(path, limits) if is_folder else FileLocation(path)


def _not_there(path: Path, error: OSError) -> LocationError:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return LocationError(
            say("cannot be reached: {strerror}", strerror=error.strerror),
            where=str(path),
            remedy="check the path",
        )
    near = _near(path)
    remedy = f"did you mean {near}?" if near is not None else "check the path"
    if len(path.parts) == 1 and _is_known_server(path.name):
        remedy = f"the server of that name is {path.name}: with a colon"
    return LocationError("does not exist", where=str(path), remedy=remedy, near=near)


def _is_known_server(name: str) -> bool:
    from hounsfield.locations.servers import read_servers

    with contextlib.suppress(HounsfieldError):
        return name in read_servers()
    return False


def _near(path: Path) -> str | None:
    """A path like `path` that exists: the first component that does not is replaced by the nearest name there."""
    parts = path.absolute().parts
    for depth in range(1, len(parts)):
        parent = Path(*parts[:depth])
        if os.path.lexists(parent / parts[depth]):
            continue
        try:
            names = {name.casefold(): name for name in sorted(os.listdir(parent))}  # noqa: PTH208 (names, not paths)
        except OSError:
            return None
        close = difflib.get_close_matches(parts[depth].casefold(), names, n=1)
        return str(Path(parent, names[close[0]], *parts[depth + 1 :])) if close else None
    return None
