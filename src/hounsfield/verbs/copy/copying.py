"""A whole copy: series side by side on any engine, each recorded, what stands from an earlier run left as it is."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime
from os import PathLike

from hounsfield.client import Retries
from hounsfield.locations import Location
from hounsfield.outputs import refuse_inside
from hounsfield.runs import (
    STARTED,
    Engine,
    Finished,
    Pace,
    Place,
    Record,
    Result,
    Status,
    run_each,
    threads,
)
from hounsfield.runs.recorded import plain, versions
from hounsfield.transcode import Target
from hounsfield.verbs.copy.moving import Before, Copied, Ends, Job
from hounsfield.verbs.copy.origins import SeriesTask
from hounsfield.verbs.copy.summary import Item, Summary

WORKERS = 4
"""Series on their way at once: enough to hide each other's waiting, few enough not to be a nuisance."""

Progress = Callable[[Item], None]


def copy(
    source: str | PathLike[str] | Location,
    target: str | PathLike[str] | Location,
    *,
    transfer_syntax: str = "*",
    recode: Target | None = None,
    verify: bool = False,
    workers: int = WORKERS,
    engine: Engine | None = None,
    place: Place | None = None,
    fail_fast: bool = False,
    retries: Retries | None = None,
    pace: Pace | None = None,
    progress: Progress | None = None,
    expect: Callable[[int], None] | None = None,
) -> Summary:
    """Copy every instance of `source` to `target`: texts that `open_location` takes, or locations themselves.

    `source` is any location; `target` one that is written to: a folder, there or not, a bucket, a DICOMweb URL or
    named server.

    - `transfer_syntax`: what a server is asked to send, "*" as stored
    - `recode`: what transfer syntax they have at `target`, where the engine is threads
    - `verify`: read back all that is at `target` in the end and compare data sets byte by byte
    - `workers`: series at once, in threads; or any `engine` of `hounsfield.runs`
    - `place` (`runs.report.open_place`) keeps a ledger: a series that it knows, unchanged and still there, stays
    - `fail_fast`: no other series is begun after one that is not whole
    - `pace` limits how quickly and when instances are taken up, where the engine is threads
    - `progress` is called with each `Item` once it is settled, `expect` with numbers of instances as they are found

    Raises only for a source that cannot be listed, a target that makes no sense, a ledger that cannot be written or
    an engine that is gone; whatever happens to single instances is in the summary. Run again, it moves what is missing.
    """
    summary = Summary(_name(source), _name(target))
    refuse_inside(summary.source, summary.target, what="what is copied")
    started = time.monotonic()
    told = _Told(summary, progress, expect)
    shared = engine is None or engine.name == "threads"
    ends = Ends(
        source,
        target,
        transfer_syntax,
        verify,
        place is not None and place.content,
        retries,
        told if shared else None,
        recode,
    )
    ends.pace = pace or ends.pace
    engine = engine or threads(workers)
    if shared:
        engine = dataclasses.replace(engine, close=_stopping(ends, ends.pace.stopping(engine)))
    recorder = _Recorder(ends, place, _options(transfer_syntax, verify, recode))
    try:
        jobs = recorder.jobs(ends.origin.tasks(summary.skipped))
        fails = _is_incomplete if fail_fast else None
        with ends.destination.writing():
            for finished in run_each(ends, jobs, engine, fail_fast=fail_fast, fails=fails):
                copied = _copied(finished)
                if not copied.heard:
                    told.expect(len(copied.items))
                    told.settled(copied.items)
                summary.series.append(recorder.finished(finished.item.task, copied))
    finally:
        ends.destination.close()
        summary.seconds = time.monotonic() - started
    return summary


def _name(end: str | PathLike[str] | Location) -> str:
    return end.name if isinstance(end, Location) else str(end)


class _Told:
    """Keeps the summary, under a lock, and passes on what the caller wants to hear."""

    def __init__(
        self, summary: Summary, progress: Progress | None, expect: Callable[[int], None] | None
    ) -> None:
        self._summary = summary
        self._progress = progress
        self._expect = expect
        self._lock = threading.Lock()

    def settled(self, items: Iterable[Item]) -> None:
        with self._lock:
            for item in items:
                self._summary.add([item])
                if self._progress is not None:
                    self._progress(item)

    def expect(self, count: int) -> None:
        if self._expect is not None:
            with self._lock:
                self._expect(count)


class _Recorder:
    """What the ledger says of a series before, and what it is told after; without a place it only makes the records."""

    def __init__(self, ends: Ends, place: Place | None, options: dict[str, object]) -> None:
        self.ends = ends
        self.place = place
        self.options = options
        self.begun: dict[str, float] = {}

    def jobs(self, tasks: Iterable[SeriesTask]) -> Iterator[Job]:
        for task in tasks:
            key = _key(task)
            self.begun[key] = time.monotonic()
            before = None if self.place is None else self.place.ledger.latest.get(key)
            if before is not None and before.status == Status.DONE and self._is_as_asked(before):
                # Nothing is written for it unless something has to be done: a second run leaves the ledger as it is.
                yield Job(task, Before(before.digest, before.bytes))
                continue
            if self.place is not None:
                output = self.ends.destination.address(task)
                self.place.ledger.append(Record(key=key, status=STARTED, output=output))
            yield Job(task)

    def _is_as_asked(self, before: Record) -> bool:
        return all(before.options.get(name) == self.options.get(name) for name in ("transfer_syntax", "to"))

    def finished(self, task: SeriesTask, copied: Copied) -> Result:
        key = _key(task)
        seconds = time.monotonic() - self.begun.pop(key)
        if copied.kept and self.place is not None:
            return self.place.ledger.latest[key].result(kept=True)
        counts = {
            status: sum(item.status == status for item in copied.items) for status in ("moved", "present")
        }
        bad = [item for item in copied.items if item.status in ("failed", "refused")]
        record = Record(
            key=key,
            status=Status.FAILED if bad else Status.DONE,
            verb="copy",
            series=task.name,
            uid=task.series,
            source=self.ends.origin.address(task),
            digest=copied.digest,
            options=self.options,
            versions={"hounsfield": versions()["hounsfield"]},
            output=self.ends.destination.address(task),
            bytes=copied.bytes,
            counts={status: count for status, count in counts.items() if count},
            warnings=tuple(
                dict.fromkeys(item.reason for item in copied.items if item.reason and item not in bad)
            ),
            reason=_reason(bad, len(copied.items)),
            seconds=round(seconds, 3),
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if self.place is not None:
            self.place.ledger.append(record)
        return record.result()


def _options(transfer_syntax: str, verify: bool, recode: Target | None) -> dict[str, object]:
    told: dict[str, object] = {"transfer_syntax": transfer_syntax, "verify": verify}
    return told if recode is None else told | {"to": plain(recode.to_json())}


def _key(task: SeriesTask) -> str:
    return f"copy {task.study}/{task.series}"


def _reason(bad: list[Item], total: int) -> str:
    if not bad:
        return ""
    return f"{len(bad)} of {total} are not there, the first: {bad[0].name}: {bad[0].status}: {bad[0].reason}"


def _copied(finished: Finished[Job, Copied]) -> Copied:
    if finished.value is not None:
        return finished.value
    task = finished.item.task
    return Copied((Item(f"studies/{task.study}/series/{task.series}", "failed", reason=str(finished.error)),))


def _is_incomplete(copied: Copied) -> bool:
    return not copied.complete


def _stopping(ends: Ends, engine: Engine) -> Callable[[Executor], None]:
    """Closes the engine; what is under way in this process ends after its present instance, not its series."""

    def close(executor: Executor) -> None:
        ends.stop.set()
        engine.close(executor)

    return close
