"""Locations: a file, a folder, a zip or tar, a DICOMDIR, a volume file, and what joins later, behind one protocol.

`open_location` turns what a user wrote into a `Location` by the table `OPENERS`; a new kind of place joins by one
line there. Nothing here says whether bytes are DICOM, and nothing groups them.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hounsfield.errors import LocationError
from hounsfield.formats.buckets import is_address
from hounsfield.locations.archives import ArchiveLimits, is_archive
from hounsfield.locations.dicomdir import DicomdirLocation, is_dicomdir
from hounsfield.locations.disk import ArchiveLocation, FileLocation, FolderLocation, first_bytes
from hounsfield.locations.location import Location
from hounsfield.locations.sink import FolderSink, Outcome, Sink
from hounsfield.locations.volume_files import is_volume
from hounsfield.locations.volumes import VolumeLocation

__all__ = [
    "OPENERS",
    "ArchiveLocation",
    "DicomdirLocation",
    "FileLocation",
    "FolderLocation",
    "FolderSink",
    "Location",
    "Opener",
    "Outcome",
    "Sink",
    "VolumeLocation",
    "open_location",
]

_SERVER = re.compile(r"[A-Za-z][\w.-]+:(/.*)?", re.ASCII)
"""`pacs:` or `pacs:/studies/…`; two letters at least before the colon, since `C:` is a drive."""


@dataclass(frozen=True, slots=True)
class Opener:
    """One row of `OPENERS`: does it know this text, and the location it makes of it."""

    recognises: Callable[[str], bool]
    open: Callable[[str, ArchiveLimits], Location]


def open_location(text: str | Path, *, limits: ArchiveLimits | None = None) -> Location:
    """The location that `text` names: a path, an address of a bucket or of DICOMweb, a named server (`OPENERS`).

    `limits` caps what archives may expand to. Raises `LocationError` where nothing is (with a near name, if there
    is one), `DicomwebError` for an address that is none.
    """
    limits = ArchiveLimits() if limits is None else limits
    if isinstance(text, Path):
        return _open_path(str(text), limits)
    return next(opener.open(text, limits) for opener in OPENERS if opener.recognises(text))


def _open_path(text: str, limits: ArchiveLimits) -> Location:
    if not text or "\0" in text:
        raise LocationError(f"{text!r} is no path", remedy="give a file, a folder, an archive or a DICOMDIR")
    path = Path(text).expanduser()
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _not_there(path, error) from error
    if stat.S_ISDIR(mode):
        return VolumeLocation(path, limits) if is_volume(path, b"") else FolderLocation(path, limits)
    if not stat.S_ISREG(mode):
        raise LocationError("is a pipe, socket or device", expected="a file or folder", where=text)
    head = first_bytes(path)
    if is_dicomdir(head):
        return DicomdirLocation(path, limits)
    if is_volume(path, head):
        return VolumeLocation(path, limits)
    return ArchiveLocation(path, limits) if is_archive(head) else FileLocation(path)


def _not_there(path: Path, error: OSError) -> LocationError:
    if not isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return LocationError(f"cannot be reached: {error.strerror}", where=str(path), remedy="check the path")
    near = _near(path)
    remedy = f"did you mean {near}?" if near is not None else "check the path"
    return LocationError("does not exist", where=str(path), remedy=remedy, near=near)


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


def is_web_address(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def is_server(text: str) -> bool:
    named = _SERVER.fullmatch(text) is not None and not is_address(text)
    return named and not os.path.lexists(text)


def _open_server(text: str, limits: ArchiveLimits) -> Location:
    # Imported here, since a path needs no client.
    from hounsfield.locations.dicomweb import open_dicomweb

    return open_dicomweb(text)


def _open_bucket(text: str, limits: ArchiveLimits) -> Location:
    from hounsfield.locations.buckets import open_bucket

    return open_bucket(text)


OPENERS: tuple[Opener, ...] = (
    Opener(is_address, _open_bucket),
    Opener(is_web_address, _open_server),
    Opener(is_server, _open_server),
    Opener(lambda text: True, _open_path),
)
"""Which opener takes a text: the first that recognises it. The last takes everything as a path."""
