"""One series of a copy, on whatever worker: begun where it was left, cut transfers taken up again, read back if asked.

What is present at the destination is asked first; only if something is there must the source be listed. So a copy
into an empty place is one request for each series, and a copy that was interrupted moves only what is missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from os import PathLike
from pathlib import Path
from typing import Protocol

from hounsfield.client import Retries
from hounsfield.ct.instance import Source
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.locations import (
    Delivered,
    Knowing,
    Location,
    as_location,
    is_path,
    open_destination,
    writable,
)
from hounsfield.runs import Pace, Result, Status
from hounsfield.transcode import Target
from hounsfield.verbs.copy.destinations import Destination
from hounsfield.verbs.copy.origins import Origin, SeriesTask
from hounsfield.verbs.copy.recoding import Recoded, Recoder, uids_after

Place = str | PathLike[str] | Location
"""An end of a copy: a text that `open_location` takes, or a location."""

_CHUNK = 1 << 20
_META_LENGTH = b"\x02\x00\x00\x00UL\x04\x00"
_META_SYNTAX = b"\x02\x00\x10\x00UI"


class Listener(Protocol):
    """A listener to each instance at once; called by any worker of this process."""

    def settled(self, items: Iterable[Result]) -> None: ...

    def expect(self, count: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Before:
    """The ledger's record of a series that was copied whole: its digest then, and its bytes at the destination."""

    digest: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Job:
    """One series for a worker."""

    task: SeriesTask
    before: Before | None = None


def copied(
    task: SeriesTask,
    instances: tuple[Result, ...],
    *,
    digest: str = "",
    size: int = 0,
    kept: bool = False,
    reported: bool = False,
) -> Result:
    """The result of a series: `UNCHANGED` where it stands as an earlier run left it (`kept`).

    Facts: `instances`, a result for each; `digest` of the series at the origin; `reported`: the listener has them.
    """
    failed = any(each.has_failed for each in instances)
    status = Status.UNCHANGED if kept else Status.FAILED if failed else Status.DONE
    facts = {"instances": instances, "digest": digest, "reported": reported}
    return Result(task.name, status, bytes=size, facts=facts)


class Ends:
    """Both ends of a copy, opened; to a worker elsewhere they travel as words, by which it opens them itself."""

    def __init__(
        self,
        source: Place,
        target: Place,
        transfer_syntax: str = "*",
        verify: bool = False,
        content: bool = False,
        retries: Retries | None = None,
        listener: Listener | None = None,
        recode: Target | None = None,
    ) -> None:
        self.words = (_absolute(source), _absolute(target), transfer_syntax, verify, content, retries)
        self.origin = Origin(as_location(source), transfer_syntax)
        self.destination = Destination(
            open_destination(target) if isinstance(target, (str, PathLike)) else writable(as_location(target))
        )
        if verify and not isinstance(self.destination.place, Knowing):
            raise LocationError("what is there cannot be read back", where=self.destination.place.name)
        self.verify = verify
        self.content = content
        self.retries = retries or Retries()
        self.listener = listener
        self.pace = Pace()
        self.recode = recode
        self.stop = threading.Event()

    def __reduce__(self) -> tuple[object, ...]:
        return (_opened if all(isinstance(end, str) for end in self.words[:2]) else Ends), self.words

    def __call__(self, job: Job) -> Result:
        return _SeriesCopy(self, job.task).run(job.before)


@lru_cache(maxsize=4)
def _opened(
    source: str, target: str, transfer_syntax: str, verify: bool, content: bool, retries: Retries | None
) -> Ends:
    return Ends(source, target, transfer_syntax, verify, content, retries)


class _SeriesCopy:
    """One series on its way; `uids` are all that the source has of it, as far as it was asked."""

    def __init__(self, ends: Ends, task: SeriesTask) -> None:
        self.ends = ends
        self.task = task
        self.origin, self.destination = ends.origin, ends.destination
        self.items: list[Result] = []
        self.uids: set[str] = set()
        self.there: set[str] = set()
        self.recoder = None if ends.recode is None else Recoder(ends.recode)
        self.unverified: dict[str, Result] = {}
        self.sent: dict[str, bytes] = {}

    def run(self, before: Before | None) -> Result:
        digest, size = "", 0
        try:
            if before is not None and not self.ends.verify and self._stands(before):
                return self._copied(before.digest, before.bytes, kept=True)
            # Of two places on disk the destination compares the very bytes; a server is only asked what it has.
            compared = bool(self.task.sources) and self.destination.compares and self.recoder is None
            present = set() if compared else self.destination.present(self.task)
            wanted = self._missing(present) if present else None
            if wanted is None or wanted:
                self._move(wanted)
            if self.ends.verify:
                self._verify()
            digest = self.origin.digest(self.task, sorted(self.uids), content=self.ends.content)
            size = self.destination.size(self.task, self.there, self.items)
        except HounsfieldError as error:
            self._tell(self.unverified.values())
            name = f"studies/{self.task.study}/series/{self.task.series}"
            self._tell([Result(name, Status.FAILED, str(error))])
        return self._copied(digest, size)

    def _copied(self, digest: str, size: int, *, kept: bool = False) -> Result:
        reported = self.ends.listener is not None
        return copied(self.task, tuple(self.items), digest=digest, size=size, kept=kept, reported=reported)

    def _stands(self, before: Before) -> bool:
        """Return whether source and destination are as the ledger says; then everything is settled as present."""
        uids = self.origin.instances(self.task)
        if self.origin.digest(self.task, sorted(uids), content=self.ends.content) != before.digest:
            return False
        if self.recoder is None:
            there = set(uids)
        else:
            present = self.destination.present(self.task)
            there = {found for uid in uids if (found := self._place_of(uid, present))}
        if len(there) < len(uids) or not self.destination.holds(self.task, there, before.bytes):
            return False
        self._expected(len(uids))
        self._tell(Result(uid, Status.UNCHANGED) for uid in uids)
        return True

    def _missing(self, present: set[str]) -> set[str]:
        """Return what of a series is not there yet; what is there is settled."""
        listed = self.origin.instances(self.task)
        self._expected(len(listed))
        self.uids.update(listed)
        found = {uid: place for uid in listed if (place := self._place_of(uid, present))}
        self.there.update(found.values())
        self._settle({uid: Result(uid, Status.UNCHANGED) for uid in found})
        return set(listed) - found.keys()

    def _place_of(self, uid: str, present: set[str]) -> str:
        """Under which of `present` an instance of the origin is, "" where it is not there."""
        if self.recoder is None:
            return uid if uid in present else ""
        return next((each for each in uids_after(uid, self.recoder.target) if each in present), "")

    def _move(self, wanted: set[str] | None) -> None:
        """Deliver and take until nothing is missing, or until as many tries as allowed brought nothing new."""
        if wanted is None:
            self._expected(self.task.count)
        retries = self.ends.retries
        arrived: set[str] = set()
        fruitless = 0
        while not self.ends.stop.is_set():
            before = len(arrived)
            # What breaks twice at the same place may be one instance that a server cannot read.
            error = self._try(wanted, arrived, singly=fruitless > 0)
            if wanted is None and (error is not None or len(arrived) < self.task.count):
                wanted = set(self.origin.instances(self.task))
            missing = (wanted or set()) - arrived
            self.uids |= arrived | missing
            if not missing:
                return
            fruitless = 0 if len(arrived) > before else fruitless + 1
            # What a server does not send without a word, it is asked for once more; a cut, until nothing comes.
            tries = 1 if error is None else retries.attempts
            if fruitless >= tries or (error is not None and not error.data.get("truncated")):
                reason = str(error) if error is not None else "the server did not send it"
                self._tell(Result(uid, Status.FAILED, reason) for uid in sorted(missing))
                return
            wanted = missing
            retries.sleep(retries.pause(fruitless + 1))

    def _try(self, wanted: set[str] | None, arrived: set[str], *, singly: bool) -> HounsfieldError | None:
        """Move what comes, and note it as arrived; the error that ended it, if one did."""
        folder = self.destination.folder(self.task)
        batch: list[Delivered] = []
        size = 0
        error: HounsfieldError | None = None
        try:
            for delivered in self._coming(wanted, folder, singly):
                if isinstance(delivered, Result):
                    self._tell([delivered])
                    arrived.add(delivered.unit)
                    continue
                batch.append(delivered)
                size += delivered.size
                if size >= self.destination.batch_bytes:
                    self._take(batch, arrived)
                    batch, size = [], 0
                if self.ends.stop.is_set():
                    break
        except HounsfieldError as broken:
            error = broken
        # What came whole before a cut counts.
        self._take(batch, arrived)
        return error

    def _coming(self, wanted: set[str] | None, folder: Path, singly: bool) -> Iterator[Delivered | Result]:
        """Yield what the origin delivers, no faster than it may, in the syntax that it is to have."""
        coming = self._paced(self.origin.deliver(self.task, wanted, folder, singly=singly))
        yield from coming if self.recoder is None else self.recoder.series(coming, folder)

    def _paced(self, coming: Iterable[Delivered | Result]) -> Iterator[Delivered | Result]:
        for delivered in coming:
            if isinstance(delivered, Delivered):
                self.ends.pace.wait(delivered.size)
            yield delivered

    def _take(self, batch: list[Delivered], arrived: set[str]) -> None:
        arrived.update(_uid_at_origin(each) for each in batch)
        if not batch:
            return
        if self.ends.verify:
            self.sent.update((each.instance, instance_digest(each.source)) for each in batch)
        self.there.update(each.instance for each in batch)
        by_name = {each.name: each for each in batch}
        taken = ((by_name[item.unit], item) for item in self.destination.take(batch))
        self._settle(
            {each.instance: replace(item, reason=item.reason or _note(each)) for each, item in taken}
        )

    def _verify(self) -> None:
        """Read back what counts as there, and compare it with the source."""
        folder = self.destination.folder(self.task)
        if lacking := set(self.unverified) - set(self.sent):
            self.sent.update(_digests(self.origin.deliver(self.task, lacking, folder)))
        held = self._held(set(self.unverified))
        lost = (set(self.unverified) & set(self.sent)) - set(held)
        # Where nothing at all can be read back, it is not single instances that are damaged.
        if lost and self.recoder is None and (held or len(self.unverified) == 1):
            held |= self._send_again(lost, folder)
        judged = [_judged(item, self.sent.get(uid), held.get(uid)) for uid, item in self.unverified.items()]
        self.unverified = {}
        self._tell(judged)

    def _held(self, uids: set[str]) -> dict[str, bytes]:
        """Digests of what is at the destination; one that cannot be read keeps no other back."""
        found = {}
        for uid, source in self.destination.held(self.task, uids).items():
            with contextlib.suppress(HounsfieldError):
                found[uid] = instance_digest(source)
        return found

    def _send_again(self, lost: set[str], folder: Path) -> dict[str, bytes]:
        """Send what could not be read back once more: a server that had it damaged has it whole then; what it has."""
        coming = self.origin.deliver(self.task, lost, folder, singly=True)
        again = [each for each in coming if isinstance(each, Delivered)]
        for _ in self.destination.take(again):
            pass  # the outcome shows when it is read back
        held = self._held(lost)
        for uid in held:
            reason = "it could not be read there, and was sent again"
            self.unverified[uid] = Result(uid, Status.DONE, reason)
        return held

    def _settle(self, items: dict[str, Result]) -> None:
        """Tell what these instances came to, or keep it until they are verified."""
        if not self.ends.verify:
            self._tell(items.values())
            return
        done = {uid: item for uid, item in items.items() if item.is_there}
        self.unverified.update(done)
        self._tell(item for uid, item in items.items() if uid not in done)

    def _tell(self, items: Iterable[Result]) -> None:
        settled = list(items)
        self.items += settled
        if self.ends.listener is not None:
            self.ends.listener.settled(settled)

    def _expected(self, count: int) -> None:
        if self.ends.listener is not None:
            self.ends.listener.expect(count)


def instance_digest(source: Source) -> bytes:
    """Of an instance's data set and transfer syntax. Preamble and file meta are left out: servers write their own.

    Raises `LocationError`.
    """
    digest = hashlib.blake2b(digest_size=16)
    with source.open() as stream:
        head = stream.read(144)
        if head[128:140] == b"DICM" + _META_LENGTH:
            meta = stream.read(int.from_bytes(head[140:144], "little"))
            at = meta.find(_META_SYNTAX) + len(_META_SYNTAX)
            digest.update(meta[at + 2 : at + 2 + int.from_bytes(meta[at : at + 2], "little")].rstrip(b"\0 "))
        else:
            digest.update(head)
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.digest()


def _digests(delivered: Iterable[Delivered | Result]) -> dict[str, bytes]:
    """By SOP Instance UID; files made for this are removed. What came unfit is not among them."""
    found = {}
    for each in delivered:
        if isinstance(each, Delivered):
            found[each.instance] = instance_digest(each.source)
            if each.path is not None:
                each.path.unlink()
    return found


def _uid_at_origin(each: Delivered) -> str:
    return each.original if isinstance(each, Recoded) else each.instance


def _note(each: Delivered) -> str:
    return each.note if isinstance(each, Recoded) else ""


def _judged(item: Result, sent: bytes | None, held: bytes | None) -> Result:
    if sent is not None and sent == held:
        return item
    if sent is None or held is None:
        return replace(
            item, status=Status.FAILED, reason=f"could not be read {'back' if sent else 'again'} to compare"
        )
    if item.status == Status.UNCHANGED:
        return replace(
            item, status=Status.REFUSED, reason="other bytes are stored there under the same SOP Instance UID"
        )
    return replace(item, status=Status.FAILED, reason="read back, it is not what was sent")


def _absolute(place: Place) -> str | Location:
    """As a worker in another folder would name it; what is no text travels as it is."""
    if not isinstance(place, (str, PathLike)):
        return place
    return str(Path(place).expanduser().absolute()) if is_path(place) else str(place)
