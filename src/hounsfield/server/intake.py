"""The body of a store request (PS3.18 10.5) on its way into an archive: fed in pieces, whatever its size.

Memory stays bounded: parts go to their files as they arrive, and are read, judged and synced by a few threads
while the next ones come. Every part ends as stored, refused with a reason, or not understood. No HTTP here.
"""

from __future__ import annotations

import logging
import struct
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from hounsfield.dicomweb.media_types import DICOM, MULTIPART, MediaType
from hounsfield.dicomweb.multipart import MultipartParser, PartBegins, PartData, PartEnds
from hounsfield.dicomweb.store_results import StoredInstance, StoreResult
from hounsfield.errors import DicomwebError, HounsfieldError, LocationError, MalformedError
from hounsfield.instance import Instance
from hounsfield.instance.elements import ITEM, SEQUENCE_END, UNDEFINED
from hounsfield.server.archive import Archive
from hounsfield.server.header_text import read_header_text
from hounsfield.server.index import Record
from hounsfield.server.index.records import record_of
from hounsfield.server.limits import Limits
from hounsfield.server.store import Arrival

PENDING = 256
"""Instances that are published in one go."""

HELD_BYTES = 4 * 1024 * 1024
"""Bytes of one request that wait to be written."""

_JUDGES = 16
_PREAMBLE = 128

DUPLICATE, NOT_UNDERSTOOD, MISMATCH, NO_ROOM, FAILED = 0x0111, 0xC000, 0xA900, 0xA700, 0x0110

log = logging.getLogger("hounsfield.server")

_judges: ThreadPoolExecutor | None = None


def _pool() -> ThreadPoolExecutor:
    """Threads that mostly wait for the disk; one pool for all requests of a process."""
    global _judges  # noqa: PLW0603 (made when first needed, never replaced)
    if _judges is None:
        _judges = ThreadPoolExecutor(_JUDGES, thread_name_prefix="intake")
    return _judges


@dataclass(frozen=True, slots=True)
class _Refused:
    """A part that is not stored, and why."""

    code: int
    reason: str
    sop_instance: str = ""
    sop_class: str = ""


@dataclass(slots=True)
class _Part:
    arrival: Arrival | None
    refused: _Refused | None = None
    judged: Future[Record | _Refused] | None = None
    pieces: list[bytes | memoryview] = field(default_factory=list)


@dataclass(slots=True)
class Intake:
    """One store request. `feed` bytes, then `finish`; `abandon` when the request broke off.

    `content_type` is the request's; `study` the UID in its URL. Raises `DicomwebError` for a body that is none.
    """

    archive: Archive
    content_type: MediaType
    study: str | None = None
    limits: Limits = field(default_factory=Limits)
    _parser: MultipartParser | None = None
    _open: _Part | None = None
    _pending: deque[_Part] = field(default_factory=deque)
    _held: deque[tuple[Future[Record | _Refused], int]] = field(default_factory=deque)
    _results: list[StoredInstance] = field(default_factory=list)
    _others: list[str] = field(default_factory=list)
    _received: int = 0

    def __post_init__(self) -> None:
        if self.content_type.name == MULTIPART:
            inner = self.content_type.inner
            if inner is not None and inner.name != DICOM:
                raise _unsupported(inner.name)
            self._parser = MultipartParser(self.content_type.parameter("boundary"))
        elif self.content_type.name == DICOM:
            self._open = _Part(self.archive.store.arrival())
        else:
            raise _unsupported(self.content_type.name)

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes of the body."""
        for chunk in chunks:
            self._received += len(chunk)
            if self._received > self.limits.body:
                raise DicomwebError(
                    "the request is too large", expected=f"at most {self.limits.body} bytes", status=413
                )
            if self._parser is None:
                self._write(chunk)
                continue
            for event in self._parser.feed(chunk):
                self._take(event)
        self._flush()
        if len(self._pending) >= PENDING:
            self._publish()

    def finish(self) -> StoreResult:
        """The body is whole: publish what is left; what became of each part."""
        if self._parser is None:
            self._end()
        else:
            for event in self._parser.close():
                self._take(event)
        while self._pending:
            self._publish()
        return StoreResult(tuple(self._results), tuple(self._others))

    def abandon(self) -> None:
        """Drop what is not published."""
        for part in (*self._pending, *([self._open] if self._open else [])):
            if part.judged is not None and not part.judged.cancel():
                part.judged.exception()
            if part.arrival is not None:
                part.arrival.discard()
        self._pending.clear()
        self._open = None

    def _take(self, event: PartBegins | PartData | PartEnds) -> None:
        if isinstance(event, PartBegins):
            if event.index >= self.limits.parts:
                raise DicomwebError(
                    "too many parts in one request", expected=f"at most {self.limits.parts}", status=413
                )
            self._begin(event)
        elif isinstance(event, PartData):
            self._write(event.content)
        else:
            self._end()

    def _begin(self, event: PartBegins) -> None:
        told = event.header("content-type")
        kind = MediaType.parse(told).name if told and "/" in told else DICOM
        if kind not in {DICOM, "application/octet-stream"}:
            self._open = _Part(None, _Refused(NOT_UNDERSTOOD, f"a part of type {kind[:64]}, not {DICOM}"))
        else:
            self._open = _Part(self.archive.store.arrival())

    def _write(self, content: bytes | memoryview) -> None:
        if self._open is not None:
            self._open.pieces.append(content)

    def _flush(self) -> None:
        """Write what came of a long part; a short one is written by whoever judges it, beside others."""
        part = self._open
        if part is None or sum(map(len, part.pieces)) <= HELD_BYTES:
            return
        pieces, part.pieces = part.pieces, []
        if part.arrival is not None and self._fits(part, pieces):
            part.arrival.write(pieces)

    def _fits(self, part: _Part, pieces: list[bytes | memoryview]) -> bool:
        """Whether the part may grow by `pieces`; one that may not is dropped."""
        assert part.arrival is not None
        if part.arrival.size + sum(map(len, pieces)) <= self.limits.instance:
            return True
        part.arrival.discard()
        part.arrival = None
        part.refused = _Refused(NO_ROOM, f"larger than {self.limits.instance} bytes")
        return False

    def _end(self) -> None:
        part, self._open = self._open, None
        if part is None:
            return
        pieces, part.pieces = part.pieces, []
        if part.arrival is not None and self._fits(part, pieces):
            part.judged = _pool().submit(self._judge, part.arrival, pieces)
            self._held.append((part.judged, sum(map(len, pieces))))
        self._pending.append(part)
        # Memory stays bounded: what is not yet written may not grow.
        while sum(size for _, size in self._held) > HELD_BYTES:
            wait([self._held.popleft()[0]])

    def _judge(self, arrival: Arrival, pieces: list[bytes | memoryview]) -> Record | _Refused:
        """Write, read, check and sync one arrival; runs in a thread of the pool."""
        record: Record | None = None
        try:
            arrival.write(pieces)
            pieces.clear()
            with arrival.source.open() as stream:
                if stream.read(_PREAMBLE + 4)[_PREAMBLE:] != b"DICM":
                    return _Refused(NOT_UNDERSTOOD, "no DICOM file: no DICM after a preamble")
            text = read_header_text(arrival.source)
            record = record_of(text, key="", size=arrival.size)
            problem = self._problem(record, text.instance, arrival.size)
            if problem is not None:
                return problem
            arrival.sync()
        except LocationError:
            raise
        except HounsfieldError as error:
            error.where = None
            return _Refused(NOT_UNDERSTOOD, str(error), record.instance if record else "")
        except Exception as error:
            log.error("an instance could not be read", exc_info=error)
            return _Refused(FAILED, "a fault of the server")
        from dataclasses import replace

        key = self.archive.store.key_of(record.study, record.series, record.instance)
        return replace(record, key=key)

    def _problem(self, record: Record, instance: Instance, size: int) -> _Refused | None:
        def refused(code: int, reason: str) -> _Refused:
            return _Refused(code, reason, record.instance, record.sop_class)

        if not record.sop_class:
            return refused(MISMATCH, "no SOP Class UID")
        if self.study is not None and record.study != self.study:
            return refused(MISMATCH, "it is of another study than the one in the URL")
        if instance.header.pixels is not None and instance.header.transfer_syntax != "1.2.840.10008.1.2.1.99":
            missing = _missing_bytes(instance, size)
            if missing:
                return refused(NOT_UNDERSTOOD, f"cut off: {missing}")
        if len(record.header) > self.limits.header:
            return refused(NO_ROOM, f"a header of more than {self.limits.header} bytes")
        return None

    def _publish(self) -> None:
        """Publish and index up to `PENDING` parts, in the order in which they came."""
        batch = [self._pending.popleft() for _ in range(min(PENDING, len(self._pending)))]
        arrived: list[tuple[Record, Arrival]] = []
        verdicts: list[Record | _Refused] = []
        try:
            for part in batch:
                verdict = part.refused or (part.judged.result() if part.judged else None)
                assert verdict is not None
                verdicts.append(verdict)
                if isinstance(verdict, Record) and part.arrival is not None:
                    arrived.append((verdict, part.arrival))
            taken = iter(self.archive.take_in(arrived))
        except BaseException:
            self._pending.extendleft(reversed(batch))
            raise
        for part, verdict in zip(batch, verdicts, strict=True):
            if isinstance(verdict, Record):
                self._results.append(_told(verdict, next(taken).outcome))
            else:
                if part.arrival is not None:
                    part.arrival.discard()
                self._refuse(verdict)

    def _refuse(self, verdict: _Refused) -> None:
        if verdict.sop_instance:
            told = StoredInstance(
                verdict.sop_instance, "refused", verdict.sop_class, verdict.code, verdict.reason
            )
            self._results.append(told)
        else:
            self._others.append(verdict.reason)


def _told(record: Record, outcome: str) -> StoredInstance:
    if outcome == "other":
        reason = "another instance with this UID is there already, with other content"
        return StoredInstance(record.instance, "refused", record.sop_class, DUPLICATE, reason)
    path = f"studies/{record.study}/series/{record.series}/instances/{record.instance}"
    return StoredInstance(record.instance, "stored", record.sop_class, url=path)


def _missing_bytes(instance: Instance, size: int) -> str:
    """What a file lacks of the pixel data it declares; "" for nothing."""
    pixels = instance.header.pixels
    assert pixels is not None
    if pixels.length is not None:
        missing = pixels.offset + pixels.length - size
        return f"{missing} bytes of Pixel Data are missing" if missing > 0 else ""
    with instance.source.open() as stream:
        position = pixels.offset
        while True:
            stream.seek(position)
            head = stream.read(8)
            if len(head) < 8:
                return "the end of encapsulated Pixel Data is missing"
            group, element, length = struct.unpack("<HHI", head)
            if group << 16 | element == SEQUENCE_END:
                return ""
            if group << 16 | element != ITEM or length == UNDEFINED:
                raise MalformedError("no item where a fragment of Pixel Data should begin")
            position += 8 + length
            if position > size:
                return f"{position - size} bytes of a fragment are missing"


def _unsupported(kind: str) -> DicomwebError:
    return DicomwebError(
        f"a store of {kind[:64]}", expected=f'{MULTIPART}; type="{DICOM}", or {DICOM}', status=415
    )
