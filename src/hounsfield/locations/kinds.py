"""The table of kinds of locations: which text is opened by what. A kind joins by a row here, or from another package.

Another package adds one by an entry point in the group `hounsfield.locations`. Its name is a scheme (`toy` takes
every `toy://…`) or, with a dot in front, a suffix of paths (`.toy`, before their content is looked at); its object is
a function of the text that returns a `Location`. A scheme of this table cannot be taken from it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hounsfield.dicom.extensions import extensions, load_extension, named
from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.locations.archives.limits import ArchiveLimits
from hounsfield.locations.location import Location

GROUP = "hounsfield.locations"
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://", re.ASCII)


@dataclass(frozen=True, slots=True)
class LocationKind:
    """A kind of location: the `schemes` of its addresses or a `probe` of its files, and its `opener`.

    Both functions, `module:function`, are imported when they are needed. The opener of an address takes its text. A
    probe takes a path that exists and the first bytes there (of a folder none), and its opener the path and
    `ArchiveLimits`. `nested`: what lies below an address, down to the name of a source, is an address too.
    """

    name: str
    opener: str
    schemes: tuple[str, ...] = ()
    probe: str = ""
    nested: bool = False

    def open(self, text: str) -> Location:
        """The location at an address."""
        location: Location = named(self.opener)(text)
        return location

    def open_path(self, path: Path, limits: ArchiveLimits) -> Location:
        """The location at a path that the probe knows."""
        location: Location = named(self.opener)(path, limits)
        return location

    def is_at(self, path: Path, head: bytes) -> bool:
        return bool(self.probe) and bool(named(self.probe)(path, head))


SERVER = LocationKind("named server", "hounsfield.locations.named:open_named")
"""A server by its name in `servers.toml`; no scheme tells it (`pacs:`)."""

KINDS: tuple[LocationKind, ...] = (
    LocationKind("DICOMweb", "hounsfield.locations.dicomweb:open_dicomweb", schemes=("http", "https")),
    LocationKind("DIMSE", "hounsfield.locations.dimse:open_dimse", schemes=("dicom",)),
    LocationKind(
        "bucket", "hounsfield.locations.buckets:open_bucket", schemes=("s3", "gs", "az"), nested=True
    ),
    LocationKind(
        "DICOMDIR",
        "hounsfield.locations.dicomdir:DicomdirLocation",
        probe="hounsfield.locations.dicomdir:is_dicomdir_file",
    ),
    LocationKind(
        "volume file",
        "hounsfield.locations.volumes:VolumeLocation",
        probe="hounsfield.locations.volume_files:is_volume",
    ),
    LocationKind(
        "archive",
        "hounsfield.locations.disk:ArchiveLocation",
        probe="hounsfield.locations.disk:is_archive_file",
    ),
)
"""Every kind that a scheme or a probe knows, probes in this order; the rest are named servers, folders and files."""


def kind_of_address(text: str) -> Callable[[str], Location] | None:
    """Return what opens an address by its scheme; None for a text without one that is known."""
    match = _SCHEME.match(text)
    if match is None:
        return None
    scheme = match[1].lower()
    for kind in KINDS:
        if scheme in kind.schemes:
            return kind.open
    return _of_extension(scheme) if scheme in extensions(GROUP) else None


def is_nested(address: str) -> bool:
    """Return whether what lies below an address is an address too."""
    match = _SCHEME.match(address)
    return match is not None and any(match[1].lower() in kind.schemes for kind in KINDS if kind.nested)


def kind_of_suffix(path: Path) -> Callable[[str], Location] | None:
    """Return what another package opens by the suffix of a path, the longest that fits; None where there is none."""
    name = path.name.lower()
    suffixes = (name[at:] for at, letter in enumerate(name) if letter == ".")
    return next((_of_extension(suffix) for suffix in suffixes if suffix in extensions(GROUP)), None)


def kind_of_content(path: Path, head: bytes) -> LocationKind | None:
    """The kind of a file that begins with `head`, or of a folder; None for one that is read as DICOM."""
    return next((kind for kind in KINDS if kind.is_at(path, head)), None)


def _of_extension(key: str) -> Callable[[str], Location]:
    opener: Any = load_extension(GROUP, key)

    def opened(text: str) -> Location:
        place: object = opener(text)
        if not isinstance(place, Location):
            raise LocationError(
                say("the extension {key} made a {name__}", key=repr(key), name__=type(place).__name__),
                expected="an object with a name and sources()",
                where=text,
            )
        return place

    return opened
