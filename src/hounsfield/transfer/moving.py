"""The copy itself: series side by side, each begun where it was left, cut transfers taken up again.

What is present at the destination is asked first; only if something is there must the source be listed. So a copy
into an empty place is one request for each series, and a copy that was interrupted moves only what is missing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from hounsfield.client import Retries
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.locations import is_server, is_web_address, open_location
from hounsfield.locations.dicomweb import DicomwebLocation, open_dicomweb
from hounsfield.transfer.destinations import Destination, FolderDestination, ServerDestination
from hounsfield.transfer.origins import Delivered, Origin, PlaceOrigin, SeriesTask, ServerOrigin
from hounsfield.transfer.summary import Item, Summary

WORKERS = 4
"""Series on their way at once: enough to hide each other's waiting, few enough not to be a nuisance."""

Progress = Callable[[Item], None]


def copy(
    source: str | Path,
    target: str | Path,
    *,
    transfer_syntax: str = "*",
    workers: int = WORKERS,
    retries: Retries | None = None,
    progress: Progress | None = None,
    expect: Callable[[int], None] | None = None,
) -> Summary:
    """Copy every instance of `source` (any location) to `target` (a folder, a DICOMweb URL or named server).

    - `transfer_syntax`: what a server is asked to send, "*" as stored
    - `progress` is called with each `Item` once it is settled, `expect` with numbers of instances as they are found

    Raises only for a source that cannot be listed or a target that makes no sense; whatever happens to single
    instances is in the summary. Run again, it moves what is missing.
    """
    origin = _origin(source, transfer_syntax)
    destination = _destination(target)
    started = time.monotonic()
    summary = Summary(str(source), str(target))
    mover = _Mover(origin, destination, retries or Retries(), summary, progress, expect)
    try:
        mover.run(workers)
    finally:
        destination.close()
        summary.seconds = time.monotonic() - started
    return summary


class _Mover:
    """Moves series on a few threads; the summary is kept under a lock."""

    def __init__(
        self,
        origin: Origin,
        destination: Destination,
        retries: Retries,
        summary: Summary,
        progress: Progress | None,
        expect: Callable[[int], None] | None,
    ) -> None:
        self._origin = origin
        self._destination = destination
        self._retries = retries
        self._summary = summary
        self._progress = progress
        self._expect = expect
        self._lock = threading.Lock()
        self._stop = threading.Event()

    def run(self, workers: int) -> None:
        """All series, never more listed ahead than are worked on; an interruption lets the running ones end."""
        waiting: set[Future[None]] = set()
        with ThreadPoolExecutor(max(workers, 1)) as pool:
            try:
                for task in self._origin.tasks(self._summary.skipped):
                    while len(waiting) >= workers:
                        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                        for future in done:
                            future.result()
                    waiting.add(pool.submit(self._series, task))
                for future in waiting:
                    future.result()
            except BaseException:
                self._stop.set()
                raise

    def _series(self, task: SeriesTask) -> None:
        try:
            # Of two places on disk the destination compares the very bytes; a server is only asked what it has.
            compared = bool(task.sources) and self._destination.compares
            present = set() if compared else self._destination.present(task)
            wanted = self._missing(task, present) if present else None
            if wanted is None or wanted:
                self._move(task, wanted)
        except HounsfieldError as error:
            self._settle([Item(f"studies/{task.study}/series/{task.series}", "failed", reason=str(error))])

    def _missing(self, task: SeriesTask, present: set[str]) -> set[str]:
        """What of a series is not there yet; what is there is settled."""
        listed = self._origin.instances(task)
        self._expected(len(listed))
        self._settle([Item(uid, "present") for uid in listed if uid in present])
        return set(listed) - present

    def _move(self, task: SeriesTask, wanted: set[str] | None) -> None:
        """Deliver and take until nothing is missing, or until as many tries as allowed brought nothing new."""
        if wanted is None:
            self._expected(task.count)
        arrived: set[str] = set()
        fruitless = 0
        while not self._stop.is_set():
            before = len(arrived)
            error = self._try(task, wanted, arrived)
            if wanted is None and (error is not None or len(arrived) < task.count):
                wanted = set(self._origin.instances(task))
            missing = (wanted or set()) - arrived
            if not missing:
                return
            fruitless = 0 if len(arrived) > before else fruitless + 1
            # What a server does not send without a word, it is asked for once more; a cut, until nothing comes.
            tries = 1 if error is None else self._retries.attempts
            if fruitless >= tries or (error is not None and not error.data.get("truncated")):
                reason = str(error) if error is not None else "the server did not send it"
                self._settle([Item(uid, "failed", reason=reason) for uid in sorted(missing)])
                return
            wanted = missing
            self._retries.sleep(self._retries.pause(fruitless + 1))

    def _try(self, task: SeriesTask, wanted: set[str] | None, arrived: set[str]) -> HounsfieldError | None:
        """Move what comes, and note it as arrived; the error that ended it, if one did."""
        spool = self._destination.spool(task)
        batch: list[Delivered] = []
        size = 0
        error: HounsfieldError | None = None
        try:
            for delivered in self._origin.deliver(task, wanted, spool):
                if isinstance(delivered, Item):
                    self._settle([delivered])
                    arrived.add(delivered.name)
                    continue
                batch.append(delivered)
                size += delivered.size
                if size >= self._destination.batch:
                    self._take(batch, arrived)
                    batch, size = [], 0
                if self._stop.is_set():
                    break
        except HounsfieldError as broken:
            error = broken
        # What came whole before a cut counts.
        self._take(batch, arrived)
        return error

    def _take(self, batch: list[Delivered], arrived: set[str]) -> None:
        arrived.update(each.instance for each in batch)
        if batch:
            self._settle(list(self._destination.take(batch)))

    def _settle(self, items: list[Item]) -> None:
        with self._lock:
            self._summary.add(items)
            if self._progress is not None:
                for item in items:
                    self._progress(item)

    def _expected(self, count: int) -> None:
        if self._expect is not None:
            with self._lock:
                self._expect(count)


def _origin(source: str | Path, transfer_syntax: str) -> Origin:
    location = open_location(source)
    if isinstance(location, DicomwebLocation):
        return ServerOrigin(location, transfer_syntax)
    if transfer_syntax != "*":
        raise LocationError(
            "only a server can be asked for a transfer syntax",
            where=str(source),
            remedy="use: hounsfield compress",
        )
    return PlaceOrigin(location)


def _destination(target: str | Path) -> Destination:
    text = str(target)
    if isinstance(target, str) and (is_web_address(text) or is_server(text)):
        location = open_dicomweb(text)
        if location.resource.level not in {"service", "study"}:
            raise LocationError("a copy goes to a server or a study", where=text)
        return ServerDestination(location.client, location.resource.study)
    path = Path(target).expanduser()
    if path.exists() and not path.is_dir():
        raise LocationError("is a file", expected="a folder or a DICOMweb URL", where=text)
    return FolderDestination(path)
