"""A DICOMDIR (PS3.3 F, PS3.10 8) as a location: the files that its records refer to, and those it forgot.

References die when a medium is copied, renamed or cut in parts. Each is looked for as it is written, then without
regard to case, then by the end of its path (`DICOM/S1/I7` may now be `S1/I7` or `s1/i7.dcm`). If any is still dead,
all other files below the folder follow, and a `Skipped` says so.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hounsfield.ct.instance.source import FileSource, Skipped, Source
from hounsfield.dicom.datasets import read_file
from hounsfield.dicom.uids import MEDIA_DIRECTORY
from hounsfield.errors import LocationError, MalformedError
from hounsfield.language import say
from hounsfield.locations.archives import ArchiveLimits
from hounsfield.locations.disk import FolderLocation, first_bytes, walk

MEDIA_STORAGE_DIRECTORY = MEDIA_DIRECTORY.encode()
_RECORDS = 0x00041220  # Directory Record Sequence
LARGEST = 256 << 20
"""Bytes of a DICOMDIR; 433 images take 0.3 MB, so this is the directory of 300 000."""

_CLASS_ELEMENT = b"\x02\x00\x02\x00UI"
_DIRECTORY_TYPES = {"PATIENT", "STUDY", "SERIES"}
"""Records that refer to no instance; where one does refer to a file (Philips), it is a directory in its turn."""

_DEAD_NAMED = 3
Reference = tuple[str, ...]


def is_dicomdir(head: bytes) -> bool:
    """Return whether the file meta in `head` is that of a Media Storage Directory (PS3.10 8.6), whatever its name."""
    at = head.find(_CLASS_ELEMENT, 132)
    if head[128:132] != b"DICM" or at < 0:
        return False
    length = int.from_bytes(head[at + 6 : at + 8], "little")
    return head[at + 8 : at + 8 + length].rstrip(b"\0 ") == MEDIA_STORAGE_DIRECTORY


def is_dicomdir_file(path: Path, head: bytes) -> bool:
    """The probe of this kind of location."""
    return is_dicomdir(head)


@dataclass(frozen=True, slots=True)
class DicomdirLocation:
    """The file-set that the DICOMDIR at `path` describes; its folder is the root of the references."""

    path: Path
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def root(self) -> Path:
        return self.path.parent

    def sources(self) -> Iterator[Source | Skipped]:
        root = self.root
        references, notes = _references(self.path, root)
        yield from notes
        reported = {self.name, *(note.name for note in notes)}
        dead: list[Reference] = []
        for reference, found in _resolved(root, references):
            if found is None:
                dead.append(reference)
            elif str(found) not in reported:
                reported.add(str(found))
                yield FileSource(found)
        if dead or not references:
            yield Skipped(self.name, _told(dead, references))
            rest = FolderLocation(root, self.limits).sources()
            yield from (other for other in rest if other.name not in reported)


def _resolved(root: Path, references: list[Reference]) -> Iterator[tuple[Reference, Path | None]]:
    """Each reference with the file it means, or None if it is dead; the folder is walked at the first miss."""
    index: _Index | None = None
    for reference in references:
        found = _as_written(root, reference)
        if found is None:
            index = index or _Index(root)
            found = index.nearest(reference)
        yield reference, found


def _told(dead: list[Reference], references: list[Reference]) -> str:
    if not references:
        return "refers to no image; the files below its folder are read instead"
    named = ", ".join("/".join(reference) for reference in dead[:_DEAD_NAMED])
    more = ", …" if len(dead) > _DEAD_NAMED else ""
    return (
        f"{len(dead)} of its {len(references)} references are dead ({named}{more}); "
        "all other files below its folder are read too"
    )


class _Index:
    """The files below a folder by their last name, without regard to case and to an ending such as `.dcm`."""

    def __init__(self, root: Path) -> None:
        self._by_name: dict[str, list[tuple[Reference, Path]]] = {}
        for found in walk(root):
            if isinstance(found, FileSource):
                parts = tuple(part.casefold() for part in found.path.absolute().parts)
                entry = (parts[:-1], found.path)
                for key in {parts[-1], found.path.stem.casefold()}:
                    self._by_name.setdefault(key, []).append(entry)

    def nearest(self, reference: Reference) -> Path | None:
        """The one file whose path ends most like `reference`; a name alone is not enough if it has folders."""
        *folders, last = (part.casefold() for part in reference)
        best: list[Path] = []
        longest = 1 if folders else 0
        for parts, path in self._by_name.get(last, ()):
            length = _common_ending(parts, folders)
            if length > longest:
                best, longest = [], length
            if length == longest:
                best.append(path)
        return best[0] if len(best) == 1 else None


def _common_ending(one: Reference, other: list[str]) -> int:
    length = 0
    for ours, theirs in zip(reversed(one), reversed(other), strict=False):
        if ours != theirs:
            break
        length += 1
    return length


def _as_written(root: Path, reference: Reference) -> Path | None:
    # A reference stays within its file-set (PS3.10 8.2): one that climbs out is not followed.
    if any(part == ".." or ":" in part for part in reference):
        return None
    path = root.joinpath(*reference)
    try:
        return path if path.is_file() else None
    except OSError:
        return None


def _references(path: Path, root: Path) -> tuple[list[Reference], list[Skipped]]:
    """Every reference to an instance in the DICOMDIR at `path`, directories that it refers to included."""
    references: list[Reference] = []
    notes: list[Skipped] = []
    waiting, read = [path], {path}
    while waiting:
        directory = waiting.pop(0)
        try:
            records = _records(directory)
        except (LocationError, MalformedError) as error:
            if directory == path:
                raise
            notes.append(Skipped(str(directory), error.found))
            continue
        for kind, reference in records:
            found = _as_written(root, reference) if kind in _DIRECTORY_TYPES else None
            if found is None:
                references.append(reference)
            elif found not in read:
                read.add(found)
                waiting.append(found)
                notes.append(Skipped(str(found), "a directory of a file-set, not an image"))
    return references, notes


def _records(path: Path) -> list[tuple[str, Reference]]:
    """(type, reference) of every record in use that refers to a file, in the order of the sequence."""
    if not is_dicomdir(first_bytes(path)):
        raise MalformedError("is no Media Storage Directory", where=str(path))
    if path.stat().st_size > LARGEST:
        raise LocationError(
            say("is larger than {largest} bytes", largest=LARGEST),
            where=str(path),
            remedy="give the folder it is in instead",
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return [found for record in _sequence(path) if (found := _referred(record)) is not None]
    except Exception as error:  # pydicom raises whatever the bytes lead it to
        raise MalformedError(
            say("its records cannot be read: {name__}: {error}", name__=type(error).__name__, error=error),
            where=str(path),
            remedy="give the folder it is in instead",
        ) from error


def _sequence(path: Path) -> Any:
    dataset = read_file(path.read_bytes())
    return dataset.get("DirectoryRecordSequence") or ()


def _referred(record: Any) -> tuple[str, Reference] | None:
    value = record.get("ReferencedFileID")
    # PS3.3 F.3.2.2: 0 marks a record that is no longer in use.
    if not value or record.get("RecordInUseFlag") == 0:
        return None
    components = [value] if isinstance(value, str) else list(value)
    parts = [part.strip() for text in components for part in str(text).replace("\\", "/").split("/")]
    named = tuple(part for part in parts if part not in {"", "."})
    return (str(record.get("DirectoryRecordType") or ""), named) if named else None
