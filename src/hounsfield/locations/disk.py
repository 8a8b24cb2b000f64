"""Locations that are paths: one file, a folder walked to its bottom, an archive."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from hounsfield.ct.instance.source import FileSource, Skipped, Source
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.language import say
from hounsfield.locations.archives import SNIFFED_BYTES, ArchiveLimits, archive_members, is_archive
from hounsfield.locations.archives.names import (
    is_system_folder,
    natural,
    sounds_like_archive,
    why_not_an_image,
)
from hounsfield.locations.location import Delivered
from hounsfield.locations.stored_files import present_files, staging_folder, write_files
from hounsfield.outputs import storing_below
from hounsfield.outputs.results import Result


@dataclass(frozen=True, slots=True)
class FileLocation:
    """One file; it is taken for an instance whatever it is called."""

    path: Path
    is_one_file: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def root(self) -> Path:
        return self.path

    def sources(self) -> Iterator[Source | Skipped]:
        yield FileSource(self.path)


@dataclass(frozen=True, slots=True)
class ArchiveLocation:
    """A zip or tar; expanded (a compressed tar) when `sources()` is first advanced."""

    path: Path
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def root(self) -> Path:
        return self.path

    def sources(self) -> Iterator[Source | Skipped]:
        yield from archive_members(self.path, self.limits)


@dataclass(frozen=True, slots=True)
class FolderLocation:
    """A folder and all below it; archives found on the way are read too, archives within those are not.

    Links are followed, each folder is entered once. Files called DICOMDIR and an operating system's own are left
    out by name, everything else is yielded unopened. What is written becomes `study/series/instance.dcm`; the folder
    is made with the first.
    """

    path: Path
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)
    is_one_file: ClassVar[bool] = False
    batch_bytes: ClassVar[int] = 0
    compares: ClassVar[bool] = True

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def root(self) -> Path:
        return self.path

    def sources(self) -> Iterator[Source | Skipped]:
        for found in walk(self.path):
            if isinstance(found, FileSource) and sounds_like_archive(found.path.name):
                yield from self._unpacked(found)
            else:
                yield found

    def _unpacked(self, file: FileSource) -> Iterator[Source | Skipped]:
        try:
            if is_archive(first_bytes(file.path)):
                yield from archive_members(file.path, self.limits)
            else:
                yield file
        except HounsfieldError as error:
            error.where = None  # the name says it
            yield Skipped(file.name, str(error))

    def write(self, instances: Sequence[Delivered]) -> Iterator[Result]:
        return write_files(self.path, instances)

    def address(self, study: str, series: str) -> str:
        return str(self.path / study / series)

    def present(self, study: str, series: str, *, read: bool = True) -> Mapping[str, Source]:
        return present_files(self.path, study, series, read=read)

    def staging(self, study: str, series: str) -> Path:
        return staging_folder(self.path, study, series)

    def writing(self) -> AbstractContextManager[None]:
        return storing_below(self.path)


def is_archive_file(path: Path, head: bytes) -> bool:
    """The probe of an `ArchiveLocation`."""
    return is_archive(head)


def walk(folder: Path) -> Iterator[FileSource | Skipped]:
    """Every file below `folder`, depth first, each level in natural order; archives are files like any other.

    Raises `LocationError` if `folder` itself cannot be listed; below it such a folder is `Skipped`.
    """
    levels = [iter(_listed(folder))]
    entered = {_identity(folder)}
    while levels:
        entry = next(levels[-1], None)
        if entry is None:
            levels.pop()
            continue
        found = _judged(entry, entered)
        if found is not None:
            yield found
            continue
        try:
            levels.append(iter(_listed(Path(entry.path))))
        except LocationError as error:
            yield Skipped(entry.path, error.found)


def first_bytes(path: Path) -> bytes:
    """The beginning of a file, enough to tell what it is; `LocationError` if it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(SNIFFED_BYTES)
    except OSError as error:
        raise LocationError(
            say("cannot be opened: {strerror}", strerror=error.strerror),
            where=str(path),
            remedy="check the path and its permissions",
        ) from error


def _judged(entry: os.DirEntry[str], entered: set[tuple[int, int]]) -> FileSource | Skipped | None:
    """Return what `entry` is; None: a folder to enter, noted in `entered`."""
    try:
        if entry.is_dir():
            return _judged_folder(entry, entered)
        regular = entry.is_file()
    except OSError as error:
        return Skipped(entry.path, say("cannot be read: {strerror}", strerror=error.strerror))
    if not regular:
        # Opening a pipe would wait for ever.
        lost = entry.is_symlink() and not os.path.exists(entry.path)  # noqa: PTH110 (never raises)
        return Skipped(entry.path, "a link to nothing" if lost else "a pipe, socket or device, not a file")
    reason = why_not_an_image(entry.name)
    return FileSource(Path(entry.path)) if reason is None else Skipped(entry.path, reason)


def _judged_folder(entry: os.DirEntry[str], entered: set[tuple[int, int]]) -> Skipped | None:
    if is_system_folder(entry.name):
        return Skipped(entry.path, "a folder of the operating system")
    identity = _identity(Path(entry.path))
    if identity in entered:
        return Skipped(entry.path, "a link to a folder that was read already")
    entered.add(identity)
    return None


def _identity(folder: Path) -> tuple[int, int]:
    found = folder.stat()
    return found.st_dev, found.st_ino


def _listed(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return sorted(entries, key=lambda entry: natural(entry.name))
    except OSError as error:
        raise LocationError(
            say("cannot be listed: {strerror}", strerror=error.strerror),
            where=str(folder),
            remedy="check its permissions",
        ) from error
