"""A whole copy: series side by side on any engine, each recorded, what stands from an earlier run left as it is."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from datetime import UTC, datetime
from os import PathLike

from hounsfield.client import Retries
from hounsfield.ct.instance import Skipped
from hounsfield.errors import HounsfieldError
from hounsfield.locations import Location
from hounsfield.outputs import refuse_inside
from hounsfield.outputs.results import word_of
from hounsfield.runs import STARTED, Engine, Pace, Place, Record, Result, Status, on_engine, run, threads
from hounsfield.runs.place import plain, versions
from hounsfield.transcode import Target
from hounsfield.verbs.copy.moving import Before, Ends, Job, Listener, copied
from hounsfield.verbs.copy.origins import SeriesTask
from hounsfield.verbs.copy.summary import Summary

WORKERS = 4
"""Series on their way at once: enough to hide each other's waiting, few enough not to be a nuisance."""

Progress = Callable[[Result], None]


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
    - `progress` is called with the result of each instance, `expect` with numbers of instances as they are found

    Raises only for a source that cannot be listed, a target that makes no sense, a ledger that cannot be written or
    an engine that is gone; whatever happens to single instances is in the summary. Run again, it moves what is missing.
    """
    summary = Summary(_name(source), _name(target))
    refuse_inside(summary.source, summary.target, what="what is copied")
    started = time.monotonic()
    listener = _Listener(summary, progress, expect)
    shared = engine is None or engine.name == "threads"
    ends = Ends(
        source,
        target,
        transfer_syntax,
        verify,
        place is not None and place.content,
        retries,
        listener if shared else None,
        recode,
    )
    ends.pace = pace or ends.pace
    engine = engine or threads(workers)
    if shared:
        engine = dataclasses.replace(engine, close=_stopping(ends, ends.pace.stopping(engine)))
    plan = _CopyPlan(ends, place, _options(transfer_syntax, verify, recode), listener, summary.skipped)
    doing = on_engine(ends, engine, key=lambda job: _key(job.task), failed=_failed, fail_fast=fail_fast)
    try:
        with ends.destination.writing():
            summary.series.extend(run(plan, doing))
    finally:
        ends.destination.close()
        summary.seconds = time.monotonic() - started
    return summary


def _name(end: str | PathLike[str] | Location) -> str:
    return end.name if isinstance(end, Location) else str(end)


class _Listener:
    """Keeps the summary, under a lock, and passes on what the caller wants to hear."""

    def __init__(
        self, summary: Summary, progress: Progress | None, expect: Callable[[int], None] | None
    ) -> None:
        self._summary = summary
        self._progress = progress
        self._expect = expect
        self._lock = threading.Lock()

    def settled(self, results: Iterable[Result]) -> None:
        with self._lock:
            for result in results:
                self._summary.add([result])
                if self._progress is not None:
                    self._progress(result)

    def expect(self, count: int) -> None:
        if self._expect is not None:
            with self._lock:
                self._expect(count)


class _CopyPlan:
    """Each series as a job, with what the ledger says of it before; without a place there is no ledger.

    Whether a series stands as it was recorded is seen where it is done, since both ends have to be asked.
    """

    def __init__(
        self,
        ends: Ends,
        place: Place | None,
        options: dict[str, object],
        listener: Listener,
        skipped: list[Skipped],
    ) -> None:
        self.ends = ends
        self.place = place
        self.options = options
        self.listener = listener
        self.skipped = skipped
        self._under_way: dict[str, tuple[SeriesTask, float]] = {}

    def jobs(self) -> Iterator[Job]:
        for task in self.ends.origin.tasks(self.skipped):
            key = _key(task)
            self._under_way[key] = task, time.monotonic()
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

    def settle(self, key: str, result: Result) -> Iterator[Result]:
        task, began = self._under_way.pop(key)
        instances: tuple[Result, ...] = result.facts["instances"]
        if not result.facts["reported"]:
            self.listener.expect(len(instances))
            self.listener.settled(instances)
        if result.status == Status.UNCHANGED and self.place is not None:
            yield self.place.ledger.latest[key].result(kept=True)
            return
        record = self._record(key, task, result, seconds=round(time.monotonic() - began, 3))
        if self.place is not None:
            self.place.ledger.append(record)
        yield record.result()

    def _record(self, key: str, task: SeriesTask, result: Result, *, seconds: float) -> Record:
        instances: tuple[Result, ...] = result.facts["instances"]
        bad = [each for each in instances if each.has_failed]
        counts = Counter(word_of("copy", each.status) for each in instances if each.is_there)
        notes = (each.reason for each in instances if each.reason and not each.has_failed)
        return Record(
            key=key,
            status=Status.FAILED if bad else Status.DONE,
            verb="copy",
            series=task.name,
            uid=task.series,
            source=self.ends.origin.address(task),
            digest=result.facts["digest"],
            options=self.options,
            versions={"hounsfield": versions()["hounsfield"]},
            output=self.ends.destination.address(task),
            bytes=result.bytes,
            counts=dict(sorted(counts.items())),
            warnings=tuple(dict.fromkeys(notes)),
            reason=_reason(bad, len(instances)),
            seconds=seconds,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def standing(self) -> Iterator[Result]:
        yield from ()

    def close(self) -> None:
        """Leave what is under way as begun: the next run asks both ends again."""


def _options(transfer_syntax: str, verify: bool, recode: Target | None) -> dict[str, object]:
    parameters: dict[str, object] = {"transfer_syntax": transfer_syntax, "verify": verify}
    return parameters if recode is None else parameters | {"to": plain(recode.to_json())}


def _key(task: SeriesTask) -> str:
    return f"copy {task.study}/{task.series}"


def _reason(bad: list[Result], total: int) -> str:
    if not bad:
        return ""
    first = bad[0]
    return f"{len(bad)} of {total} are not there, the first: {first.unit}: {first.status}: {first.reason}"


def _failed(job: Job, error: HounsfieldError) -> Result:
    name = f"studies/{job.task.study}/series/{job.task.series}"
    return copied(job.task, (Result(name, Status.FAILED, str(error)),))


def _stopping(ends: Ends, engine: Engine) -> Callable[[Executor], None]:
    """Closes the engine; what is under way in this process ends after its present instance, not its series."""

    def close(executor: Executor) -> None:
        ends.stop.set()
        engine.close(executor)

    return close
