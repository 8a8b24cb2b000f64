"""The body of a store request (PS3.18 10.5) on its way into an archive: fed in pieces, whatever its size.

Memory stays bounded: a part goes to its file when it is whole, a long one as it arrives, while a few threads bring
the files before it to the disk. Every part ends as stored, refused with a reason, or not understood. No HTTP here;
whether a part is an instance is decided by `validation`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace

from hounsfield.ct.instance import Source
from hounsfield.dicomweb.media_types import DICOM, MULTIPART, MediaType
from hounsfield.dicomweb.multipart import Event, PartBegins, PartData
from hounsfield.dicomweb.store_results import StoredInstance, StoreResult
from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.index import Record
from hounsfield.server.archive.store import Arrival
from hounsfield.server.archive.store.versions import key_of
from hounsfield.server.http.limits import Limits
from hounsfield.server.ingest.body import Body, check_size
from hounsfield.server.ingest.validation import (
    DUPLICATE,
    NO_ROOM,
    NOT_UNDERSTOOD,
    HeldSource,
    Refused,
    validate,
)

PENDING = 256
"""Instances that are published in one go."""

HELD_BYTES = 8 * 1024 * 1024
"""Bytes of one request that wait to be written."""

LONG_PART = 4 * 1024 * 1024
"""Bytes from which on a part is written before it is whole."""

LOT_BYTES = 2 * 1024 * 1024
LOT = 16
"""The share that one thread writes and brings to the disk, one after another: so many bytes, or instances."""

_WRITERS = 16

_writers: ThreadPoolExecutor | None = None

Pieces = list[bytes | memoryview]


def _pool() -> ThreadPoolExecutor:
    """Threads that mostly wait for the disk; one pool for all requests of a process."""
    global _writers  # noqa: PLW0603 (made when first needed, never replaced)
    if _writers is None:
        _writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="upload")
    return _writers


@dataclass(slots=True)
class _Part:
    arrival: Arrival | None
    verdict: Record | Refused | None = None
    pieces: Pieces = field(default_factory=list)


@dataclass(slots=True)
class _Lot:
    """Instances that are written and synced together, and their bytes."""

    arrivals: list[tuple[Arrival, Pieces]] = field(default_factory=list)
    size: int = 0
    done: Future[None] | None = None

    def keep(self) -> None:
        """Bring them to the disk, and let go of their bytes."""
        for arrival, pieces in self.arrivals:
            if pieces:
                arrival.write(pieces)
                pieces.clear()
        for arrival, _ in self.arrivals:
            arrival.sync()


@dataclass(slots=True)
class Upload:
    """One store request. `feed` bytes, then `finish`; `abandon` when the request broke off.

    `content_type` is the request's, None where instances come by `instance` instead; `study` the UID in its URL.
    Raises `DicomwebError` for a body that is none.
    """

    archive: Archive
    content_type: MediaType | None
    study: str | None = None
    limits: Limits = field(default_factory=Limits)
    _body: Body | None = None
    _open: _Part | None = None
    _pending: deque[_Part] = field(default_factory=deque)
    _lot: _Lot = field(default_factory=_Lot)
    _kept: deque[_Lot] = field(default_factory=deque)
    _results: list[StoredInstance] = field(default_factory=list)
    _others: list[str] = field(default_factory=list)
    _made: int = 0
    last_refused: Refused | None = None
    """The last part that was not stored, with its code."""

    def __post_init__(self) -> None:
        if self.content_type is None:
            return
        if self.content_type.name == MULTIPART:
            inner = self.content_type.inner
            if inner is not None and inner.name != DICOM:
                raise _unsupported(inner.name)
        elif self.content_type.name != DICOM:
            raise _unsupported(self.content_type.name)
        self._body = Body(self.content_type, self.limits)

    def feed(self, chunks: Iterable[bytes]) -> None:
        """Take the next bytes of the body."""
        assert self._body is not None
        for chunk in chunks:
            for event in self._body.feed(chunk):
                self._take(event)
        self._flush()
        if len(self._pending) >= PENDING:
            self._publish()

    def instance(self, pieces: Iterable[bytes], uid: str | None = None) -> None:
        """Take one instance that comes by itself, and under this SOP Instance UID where one is given."""
        self._open = _Part(self.archive.store.arrival())
        for piece in pieces:
            self._made += len(piece)
            check_size(self._made, self.limits)
            self._write(piece)
            self._flush()
        self._end(uid)
        if len(self._pending) >= PENDING:
            self._publish()

    def refuse(self, code: int, reason: str, sop_instance: str = "", sop_class: str = "") -> None:
        """Report one instance that could not be made."""
        self._pending.append(_Part(None, Refused(code, reason, sop_instance, sop_class)))

    def finish(self) -> StoreResult:
        """Publish what is left of a body that is whole; return the outcome of each part."""
        for event in self._body.close() if self._body is not None else ():
            self._take(event)
        while self._pending:
            self._publish()
        return StoreResult(tuple(self._results), tuple(self._others))

    def abandon(self) -> None:
        """Drop what is not published."""
        # Nobody may close a file that a thread still writes.
        wait([lot.done for lot in self._kept if lot.done is not None and not lot.done.cancel()])
        for part in (*self._pending, *([self._open] if self._open else [])):
            if part.arrival is not None:
                part.arrival.discard()
        self._pending.clear()
        self._kept.clear()
        self._lot = _Lot()
        self._open = None

    def _take(self, event: Event) -> None:
        if isinstance(event, PartBegins):
            self._begin(event)
        elif isinstance(event, PartData):
            self._write(event.content)
        else:
            self._end()

    def _begin(self, event: PartBegins) -> None:
        stated = event.header("content-type")
        kind = MediaType.parse(stated).name if stated and "/" in stated else DICOM
        if kind not in {DICOM, "application/octet-stream"}:
            self._open = _Part(None, Refused(NOT_UNDERSTOOD, f"a part of type {kind[:64]}, not {DICOM}"))
        else:
            self._open = _Part(self.archive.store.arrival())

    def _write(self, content: bytes | memoryview) -> None:
        if self._open is not None:
            self._open.pieces.append(content)

    def _flush(self) -> None:
        """Write what came of a long part; a short one is judged first."""
        part = self._open
        if part is None or sum(map(len, part.pieces)) <= LONG_PART:
            return
        pieces, part.pieces = part.pieces, []
        if part.arrival is not None and self._fits(part, pieces):
            part.arrival.write(pieces)

    def _fits(self, part: _Part, pieces: Sequence[bytes | memoryview]) -> bool:
        """Whether the part may grow by `pieces`; one that may not is dropped."""
        assert part.arrival is not None
        if part.arrival.size + sum(map(len, pieces)) <= self.limits.instance:
            return True
        self._refuse(part, Refused(NO_ROOM, f"larger than {self.limits.instance} bytes"))
        return False

    def _refuse(self, part: _Part, refused: Refused) -> None:
        assert part.arrival is not None
        part.arrival.discard()
        part.arrival, part.verdict = None, refused

    def _end(self, uid: str | None = None) -> None:
        """The open part is whole: validate it, and have it written."""
        part, self._open = self._open, None
        if part is None:
            return
        self._pending.append(part)
        pieces, part.pieces = part.pieces, []
        if part.arrival is None or not self._fits(part, pieces):
            return
        if part.arrival.size:
            part.arrival.write(pieces)
            pieces = []
            source: Source = part.arrival.source
        else:
            source = HeldSource(pieces)
        size = part.arrival.size + sum(map(len, pieces))
        limits = self.limits
        verdict = validate(
            source,
            size=size,
            study=self.study,
            instance=uid,
            header=limits.header,
            document=limits.document,
            elements=limits.elements,
        )
        if isinstance(verdict, Refused):
            self._refuse(part, verdict)
            return
        key = key_of(verdict.study, verdict.series, verdict.instance)
        part.verdict = replace(verdict, key=key)
        self._lot.arrivals.append((part.arrival, pieces))
        self._lot.size += sum(map(len, pieces))
        if self._lot.size >= LOT_BYTES or len(self._lot.arrivals) >= LOT:
            self._keep()

    def _keep(self) -> None:
        """Have another thread write and sync what came; not before what is to be written fits into memory."""
        lot, self._lot = self._lot, _Lot()
        while self._kept and lot.size + sum(each.size for each in self._kept) > HELD_BYTES:
            self._await_lot()
        if lot.arrivals:
            lot.done = _pool().submit(lot.keep)
            self._kept.append(lot)

    def _await_lot(self) -> None:
        lot = self._kept[0]
        if lot.done is not None:
            lot.done.result()
        self._kept.popleft()

    def _publish(self) -> None:
        """Publish and index up to `PENDING` parts, in the order in which they came."""
        self._keep()
        while self._kept:
            self._await_lot()
        batch = [self._pending[number] for number in range(min(PENDING, len(self._pending)))]
        arrived = [
            (part.verdict, part.arrival)
            for part in batch
            if isinstance(part.verdict, Record) and part.arrival is not None
        ]
        taken = iter(self.archive.take_in(arrived))
        for part in batch:
            self._pending.popleft()
            if isinstance(part.verdict, Record):
                self._results.append(_stored(part.verdict, next(taken).outcome))
            elif part.verdict is not None:
                self._report_refused(part.verdict)

    def _report_refused(self, refused: Refused) -> None:
        self.last_refused = refused
        if refused.sop_instance:
            result = StoredInstance(
                refused.sop_instance, "refused", refused.sop_class, refused.code, refused.reason
            )
            self._results.append(result)
        else:
            self._others.append(refused.reason)


def _stored(record: Record, outcome: str) -> StoredInstance:
    if outcome == "other":
        reason = "another instance with this UID is there already, with other content"
        return StoredInstance(record.instance, "refused", record.sop_class, DUPLICATE, reason)
    path = f"studies/{record.study}/series/{record.series}/instances/{record.instance}"
    return StoredInstance(record.instance, "stored", record.sop_class, url=path)


def _unsupported(kind: str) -> DicomwebError:
    return DicomwebError(
        say("a store of {kind}", kind=kind[:64]),
        expected=say('{multipart}; type="{dicom}", or {dicom}', multipart=MULTIPART, dicom=DICOM),
        status=415,
    )
