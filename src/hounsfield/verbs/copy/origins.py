"""Where the instances of a copy come from: any location, or a DICOMweb server, series by series.

An origin lists series first and their instances only where that is needed: what goes to an empty destination need
not be listed. What it delivers from a server is a file that is whole and is the instance it should be.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Protocol

from hounsfield.client import Client, Part
from hounsfield.ct.instance import FileSource, Skipped, Source
from hounsfield.ct.instance.elements import scan_elements
from hounsfield.ct.instance.reading import read_header
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError
from hounsfield.locations import Location
from hounsfield.locations.dicomweb import DicomwebLocation
from hounsfield.outputs import partial_instance
from hounsfield.runs.digest import content_digest, folder_of, identity, size_of_source
from hounsfield.verbs.copy.summary import Item

FEW = 4
"""A series that lacks at most one in this many instances gets them one by one, otherwise whole again."""

HEAD_BYTES = 64 * 1024
"""What is kept in memory of a file that is being written, to read its header from."""

_UIDS = {0x0020000D: b"UI", 0x0020000E: b"UI", 0x00080018: b"UI"}


@dataclass(frozen=True, slots=True)
class SeriesTask:
    """One series to copy; `count` is how many instances are expected, 0 when nobody said. `name` is for people."""

    study: str
    series: str
    count: int = 0
    sources: tuple[tuple[str, Source], ...] = field(default=(), repr=False)
    name: str = ""


@dataclass(frozen=True, slots=True)
class Delivered:
    """One instance, verified; `path` is its file where that was made for this copy and may be moved away.

    `original` is its SOP Instance UID at the origin, where it has another one since (`recoding`); `note` is to be told.
    """

    study: str
    series: str
    instance: str
    source: Source
    size: int
    path: Path | None = None
    original: str = ""
    note: str = ""

    @property
    def uid_there(self) -> str:
        """Its SOP Instance UID at the origin."""
        return self.original or self.instance

    @property
    def name(self) -> str:
        return self.instance if self.path is not None else self.source.name


class Origin(Protocol):
    """Where instances come from."""

    def tasks(self, skipped: list[Skipped]) -> Iterator[SeriesTask]: ...

    def instances(self, task: SeriesTask) -> list[str]:
        """The SOP Instance UIDs of a series."""

    def digest(self, task: SeriesTask, uids: Sequence[str], *, content: bool) -> str:
        """What the series is now, in hexadecimal, told without reading pixels unless `content`; of a server, its UIDs.

        Raises `LocationError` where it is gone.
        """

    def address(self, task: SeriesTask) -> str:
        """Where the series is, for the ledger."""

    def deliver(
        self, task: SeriesTask, wanted: set[str] | None, spool: Path, *, singly: bool = False
    ) -> Iterator[Delivered | Item]:
        """Those wanted (None: all), in any order, new files in `spool`; an `Item` for what came and is not fit.

        `singly`: each by itself, so that one that cannot be had is an `Item` and keeps no other back. Raises where the
        transfer breaks.
        """


@dataclass(frozen=True, slots=True)
class PlaceOrigin:
    """A folder, file or archive; every header is read to know what belongs together."""

    location: Location

    def tasks(self, skipped: list[Skipped]) -> Iterator[SeriesTask]:
        found: dict[tuple[str, str], dict[str, Source]] = {}
        names: dict[tuple[str, str], str] = {}
        for source in self.location.sources():
            if isinstance(source, Skipped):
                skipped.append(source)
                continue
            try:
                header = read_header(source)
            except HounsfieldError as error:
                skipped.append(Skipped(source.name, error.found))
                continue
            study, series, uid = (header.text(f"{each}InstanceUID") for each in ("Study", "Series", "SOP"))
            if not (is_uid(study) and is_uid(series) and is_uid(uid)):
                skipped.append(Skipped(source.name, "no study, series or SOP Instance UID"))
            elif found.setdefault((study, series), {}).setdefault(uid, source) is not source:
                skipped.append(Skipped(source.name, f"a second file of {uid}; the first was taken"))
            else:
                words = (header.text("SeriesNumber"), header.text("SeriesDescription"))
                names.setdefault((study, series), " ".join(filter(None, words)))
        for key, sources in found.items():
            yield SeriesTask(*key, len(sources), tuple(sources.items()), names[key])

    def instances(self, task: SeriesTask) -> list[str]:
        return [uid for uid, _ in task.sources]

    def digest(self, task: SeriesTask, uids: Sequence[str], *, content: bool) -> str:
        told = (
            (uid, content_digest(source) if content else identity(source))
            for uid, source in sorted(task.sources, key=lambda each: each[0])
        )
        return _short(chain.from_iterable(told))

    def address(self, task: SeriesTask) -> str:
        return folder_of(task.sources[0][1].name)

    def deliver(
        self, task: SeriesTask, wanted: set[str] | None, spool: Path, *, singly: bool = False
    ) -> Iterator[Delivered | Item]:
        for uid, source in task.sources:
            if wanted is None or uid in wanted:
                yield Delivered(task.study, task.series, uid, source, size_of_source(source))


@dataclass(frozen=True, slots=True)
class ServerOrigin:
    """A DICOMweb server, or what a URL names on it."""

    location: DicomwebLocation
    transfer_syntax: str = "*"

    @property
    def client(self) -> Client:
        return self.location.client

    def tasks(self, skipped: list[Skipped]) -> Iterator[SeriesTask]:
        for found in self.location.found_series():
            study, series = found.resource.study or "", found.resource.series or ""
            yield SeriesTask(study, series, found.count, name=found.name)

    def instances(self, task: SeriesTask) -> list[str]:
        if (one := self.location.resource.instance) is not None:
            return [one]
        found = self.client.search_for_instances(task.study, task.series)
        return [uid for model in found if (uid := first(model, "SOPInstanceUID"))]

    def digest(self, task: SeriesTask, uids: Sequence[str], *, content: bool) -> str:
        return _short(uids)

    def address(self, task: SeriesTask) -> str:
        return self.client.resource(task.study, task.series).url

    def deliver(
        self, task: SeriesTask, wanted: set[str] | None, spool: Path, *, singly: bool = False
    ) -> Iterator[Delivered | Item]:
        cut: HounsfieldError | None = None
        for resource in self._requests(task, wanted, singly):
            try:
                for delivered in self._parts(resource, wanted, spool):
                    # What comes in place of the one that was asked for is not told of twice.
                    if not (singly and isinstance(delivered, Item) and delivered.name != resource.instance):
                        yield delivered
            except HounsfieldError as error:
                if not singly or resource.instance is None:
                    raise
                if error.data.get("truncated"):
                    cut = error
                else:
                    yield Item(resource.instance, "failed", reason=str(error))
        if cut is not None:
            raise cut

    def _parts(self, resource: Resource, wanted: set[str] | None, spool: Path) -> Iterator[Delivered | Item]:
        """What a resource's answer holds of those wanted, as files."""
        for part in self.client.iter_parts(resource, transfer_syntax=self.transfer_syntax):
            delivered = _saved(part, resource, spool)
            if isinstance(delivered, Item) or wanted is None or delivered.instance in wanted:
                yield delivered
            elif delivered.path is not None:
                delivered.path.unlink()

    def _requests(self, task: SeriesTask, wanted: set[str] | None, singly: bool) -> Iterator[Resource]:
        series = self.client.resource(task.study, task.series)
        if (one := self.location.resource.instance) is not None:
            yield series.at(instance=one)
        elif wanted is None or (len(wanted) * FEW > len(self.instances(task)) and not singly):
            yield series
        else:
            yield from (series.at(instance=uid) for uid in sorted(wanted))


def _short(words: Iterable[str]) -> str:
    told = hashlib.blake2b(digest_size=16)
    for word in words:
        told.update(word.encode() + b"\0")
    return told.hexdigest()


def _saved(part: Part, resource: Resource, spool: Path) -> Delivered | Item:
    """A part as a file, whole and with the UIDs that were asked for; an `Item` and no file if it is not that."""
    path = partial_instance(spool)
    try:
        size, head = part.save(path, keep=HEAD_BYTES)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    try:
        study, series, instance = written_uids(FileSource(path), head, size)
    except HounsfieldError as error:
        path.unlink(missing_ok=True)
        return Item(f"{resource.path} part {part.index + 1}", "failed", reason=error.found)
    if (study, series) != (resource.study, resource.series) or resource.instance not in {None, instance}:
        path.unlink(missing_ok=True)
        return Item(instance, "failed", reason=f"came where {resource.path} was asked for")
    return Delivered(study, series, instance, FileSource(path), size, path)


class _Head(io.BytesIO):
    """Bytes that come all at once, so that a header is walked over once."""

    def read(self, size: int | None = -1) -> bytes:
        return super().read()


def written_uids(source: Source, head: bytes = b"", size: int = 0) -> tuple[str, str, str]:
    """(study, series, instance) UIDs of a whole file; an error for what is no DICOM, is cut, or has none.

    `head` and `size`, where they are known, save reading the file again.
    """
    elements = scan_elements(_Head(head), _UIDS) if head else None
    if elements is None:
        with source.open() as stream:
            elements = scan_elements(stream, _UIDS)
            size = stream.seek(0, os.SEEK_END)
    if elements is None:
        header = read_header(source)
        texts = [header.text(f"{each}InstanceUID") for each in ("Study", "Series", "SOP")]
    else:
        texts = [elements.values.get(tag, b"").rstrip(b"\0 ").decode("latin-1") for tag in _UIDS]
        pixels = elements.pixels
        if pixels is not None and pixels.length is not None and pixels.offset + pixels.length > size:
            raise TruncatedError(
                f"{size} bytes",
                expected=f"{pixels.offset + pixels.length}",
                where=source.name,
                found_bytes=size,
                expected_bytes=pixels.offset + pixels.length,
            )
    if not all(map(is_uid, texts)):
        raise MalformedError("an instance without its UIDs", where=source.name)
    return texts[0], texts[1], texts[2]
