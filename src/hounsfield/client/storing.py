"""Stores (PS3.18 10.5): files streamed in batches of known length, each instance reported by itself.

A body is made anew for each attempt, so that a repeat sends the same bytes; storing the same instance twice is
harmless. What the server does not confirm is never called stored.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Union, cast

from hounsfield.client.peer import JSON, Peer
from hounsfield.client.wire import Body, Request, failure
from hounsfield.ct.instance import BytesSource, FileSource, Source
from hounsfield.ct.instance.reading import read_header
from hounsfield.dicomweb.media_types import DICOM, multipart
from hounsfield.dicomweb.multipart import closing, encoded_length, new_boundary, part_head
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.store_results import StoredInstance, StoreResult, parse_store_result
from hounsfield.errors import DicomwebError, HounsfieldError, TruncatedError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset

Storable = Union["Source", Path, bytes, "Dataset"]

BATCH_BYTES = 256 * 1024**2
"""Bytes in one request: large enough to be quick, small enough that servers take it and a repeat is cheap."""

BATCH_COUNT = 2000
_BLOCK = 256 * 1024
_PART_HEADERS = (("Content-Type", DICOM),)


@dataclass(frozen=True, slots=True)
class _Candidate:
    source: Source
    uid: str
    sop_class: str
    length: int


class Storing(Peer):
    """The storing and deleting methods of a client."""

    def store_instances(
        self,
        instances: Iterable[Storable],
        study_instance_uid: str | None = None,
        *,
        batch_bytes: int = BATCH_BYTES,
    ) -> StoreResult:
        """Store files, sources, bytes or data sets; the result tells of each, in order.

        Raises `DicomwebError` if the server takes nothing at all; what it does not take after it took something is
        reported as unconfirmed, with why.
        """
        found: list[StoredInstance] = []
        others: list[str] = []
        try:
            for result in self.iter_store(instances, study_instance_uid, batch_bytes=batch_bytes):
                found += result.instances
                others += result.other_failures
        except DicomwebError as error:
            if not any(each.kept for each in found):
                raise
            others.append(str(error))
        return StoreResult(tuple(found), tuple(others), self.resource(study_instance_uid).url)

    def iter_store(
        self,
        instances: Iterable[Storable],
        study_instance_uid: str | None = None,
        *,
        batch_bytes: int = BATCH_BYTES,
    ) -> Iterator[StoreResult]:
        """The same, a result for each batch as soon as it is known; the first batch that fails raises."""
        everywhere = study_instance_uid is None
        resource = self.service.all("studies") if everywhere else self.resource(study_instance_uid)
        for batch, rejected in _batches(instances, batch_bytes):
            if rejected:
                yield StoreResult(tuple(rejected))
            if batch:
                yield from self._store(resource, batch)

    def _store(self, resource: Resource, batch: list[_Candidate]) -> Iterator[StoreResult]:
        url = self._url(resource, self._prefixes.store)
        boundary = new_boundary()
        length = encoded_length([(_PART_HEADERS, each.length) for each in batch], boundary)
        body = Body(lambda: _encoded(batch, boundary), length, str(multipart(DICOM, boundary=boundary)))
        answer = self._wire.send(Request("POST", url, {"Accept": JSON}, body))
        with answer:
            if answer.status == 413 and len(batch) > 1:
                answer.close()
                middle = len(batch) // 2
                yield from self._store(resource, batch[:middle])
                yield from self._store(resource, batch[middle:])
                return
            if answer.status not in {200, 201, 202, 204, 409}:
                raise failure(answer)
            content_type = answer.headers.get("Content-Type", "")
            found = answer.read(self.limits.text)
        try:
            yield parse_store_result(answer.status, content_type, found, [each.uid for each in batch])
        except DicomwebError as error:
            error.at(answer.url)
            raise

    def delete_study(self, study_instance_uid: str) -> None:
        self._delete(self.resource(study_instance_uid))

    def delete_series(self, study_instance_uid: str, series_instance_uid: str) -> None:
        self._delete(self.resource(study_instance_uid, series_instance_uid))

    def delete_instance(
        self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
    ) -> None:
        self._delete(self.resource(study_instance_uid, series_instance_uid, sop_instance_uid))

    def _delete(self, resource: Resource) -> None:
        # A second DELETE would report as missing what the first one removed.
        request = Request("DELETE", self._url(resource, self._prefixes.store), repeat="if not begun")
        self._wire.demand(request).close()


def _batches(
    instances: Iterable[Storable], batch_bytes: int
) -> Iterator[tuple[list[_Candidate], list[StoredInstance]]]:
    """Batches to send, and with each the instances that are not fit to be sent."""
    batch: list[_Candidate] = []
    rejected: list[StoredInstance] = []
    size, uids = 0, set[str]()
    for storable in instances:
        try:
            candidate = _candidate(_source(storable))
        except HounsfieldError as error:
            rejected.append(StoredInstance("", "refused", reason=f"not sent: {error}"))
            continue
        # One UID twice in one request could not be distinguished in the response.
        full = size + candidate.length > batch_bytes or len(batch) >= BATCH_COUNT or candidate.uid in uids
        if batch and full:
            yield batch, rejected
            batch, rejected, size, uids = [], [], 0, set()
        batch.append(candidate)
        uids.add(candidate.uid)
        size += candidate.length
    yield batch, rejected


def _candidate(source: Source) -> _Candidate:
    """Return what must be known before sending: the UIDs that the response will name, and the length."""
    with source.open() as stream:
        preamble = stream.read(132)
        length = stream.seek(0, os.SEEK_END)
    if preamble[128:] != b"DICM":
        raise DicomwebError("no DICOM file (PS3.10)", expected="a DICM preamble", where=source.name)
    header = read_header(source)
    uid = header.text("SOPInstanceUID")
    if not uid:
        raise DicomwebError("no SOP Instance UID", where=source.name)
    return _Candidate(source, uid, header.text("SOPClassUID"), length)


def _source(storable: Storable) -> Source:
    if isinstance(storable, Path):
        return FileSource(storable)
    if isinstance(storable, bytes):
        return BytesSource("bytes in memory", storable)
    write = getattr(storable, "save_as", None)
    if write is None:
        return cast(Source, storable)
    stream = io.BytesIO()
    try:
        write(stream, enforce_file_format=True)
    except Exception as error:  # pydicom raises whatever the data set leads it to
        raise DicomwebError(
            say("a data set that cannot be written: {error}", error=str(error)[:200])
        ) from error
    return BytesSource("a data set", stream.getvalue())


def _encoded(batch: list[_Candidate], boundary: str) -> Iterator[bytes | memoryview]:
    """The body, read from the sources as it is sent, through one buffer."""
    buffer = memoryview(bytearray(_BLOCK))
    for index, candidate in enumerate(batch):
        yield part_head(boundary, _PART_HEADERS, first=index == 0)
        left = candidate.length
        with candidate.source.open() as stream:
            while left:
                got = stream.readinto(buffer[: min(left, _BLOCK)])  # type: ignore[attr-defined]
                if not got:
                    raise TruncatedError(
                        "shorter than it was",
                        where=candidate.source.name,
                        remedy="it changed while it was sent",
                    )
                left -= got
                yield buffer[:got]
    yield closing(boundary)
