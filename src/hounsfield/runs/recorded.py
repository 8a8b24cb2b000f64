"""Series → outputs in one folder, each recorded in its ledger; what is there already and unchanged is not done again.

Knows no verb: a `Task` brings the work. Before work on a series begins, its line "started" is on disk; so whatever
stops the run, the next one knows an output of its own from a file of somebody else's.
"""

from __future__ import annotations

import dataclasses
import os
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

from hounsfield.ct.series import Series
from hounsfield.errors import HounsfieldError, OutputExistsError
from hounsfield.formats import buckets, sidecars_of
from hounsfield.outputs.results import Result, Status
from hounsfield.runs.digest import digest, folder_of
from hounsfield.runs.engines import Engine
from hounsfield.runs.ledger import STARTED, Ledger, Record, fields_of
from hounsfield.runs.running import Finished, run_each

LONGEST_NAME = 80
"""Characters of a file name's description: file systems stop at 255 bytes, and people earlier."""

_DISTRIBUTIONS = ("hounsfield", "numpy", "pydicom", "imagecodecs")


@dataclass(frozen=True)
class Job:
    """One series (one phase of it): what a worker is given. `target` is absolute; what is there is an earlier
    attempt's, and to be replaced.
    """

    key: str
    series: Series
    phase: int
    digest: str
    output: str
    target: str


class Work(Protocol):
    """What a worker does; it must pickle. Errors it raises become the result's reason.

    Facts of its result that are fields of a `Record` (verdict, shape, unit, counts, warnings) become those of the
    ledger's line, others its `facts`; `preview` is for the report alone.
    """

    def __call__(self, job: Job) -> Result: ...


@dataclass(frozen=True)
class Task:
    """A verb over series: its work, the suffix of its outputs, and the options that decide what they hold.

    `leave_out` says why a series is not for this verb, "" where it is. `by_phase`: an output for each phase.
    """

    verb: str
    work: Work
    suffix: str
    options: Mapping[str, Any]
    leave_out: Callable[[Series], str] = lambda series: ""
    by_phase: bool = True


@dataclass(frozen=True)
class Place:
    """Where outputs and ledger are. `force`: do everything again, over whatever is there.

    `content`: know sources by all their bytes, not by size and time. `exists` tells whether an output is still
    there as it was recorded. `pages`: what a person looks at once the place is closed.
    """

    folder: str
    ledger: Ledger
    keep_preview: Callable[[str, Mapping[str, Any]], None]
    exists: Callable[[Record], bool]
    force: bool = False
    content: bool = False
    pages: Path | None = None


@dataclass(frozen=True)
class _Timed:
    """The work with its clock and its worker's versions."""

    work: Work

    def __call__(self, job: Job) -> Result:
        begin = time.perf_counter()
        result = self.work(job)
        measured = {"seconds": round(time.perf_counter() - begin, 3), "versions": versions()}
        return dataclasses.replace(result, bytes=size_of(job.target), facts={**result.facts, **measured})


def run_recorded(
    series: Iterable[Series], task: Task, place: Place, engine: Engine, *, fail_fast: bool = False
) -> Iterator[Result]:
    """Do what is missing, changed or failed, and record it; yields a result for every series, in no order.

    The largest are begun first, so that at the end no worker waits for one that another began last.
    Raises `LocationError` when the ledger cannot be written or the engine is gone for good: what is done by then
    is recorded.
    """
    planner = _Planner(task, place)
    settled: list[Result] = []
    largest_first = sorted(series, key=lambda each: -len(each.slices))
    jobs = _started(planner, largest_first, settled)
    for finished in run_each(_Timed(task.work), jobs, engine, fail_fast=fail_fast):
        yield from _drained(settled)
        record = planner.finished(finished)
        if finished.value is not None and (shown := finished.value.facts.get("preview")):
            place.keep_preview(record.key, shown)
        place.ledger.append(record)
        yield record.result()
    yield from _drained(settled)


def _started(planner: _Planner, series: Iterable[Series], settled: list[Result]) -> Iterator[Job]:
    for each in series:
        for plan in planner.plans(each):
            if isinstance(plan, Record):
                kept = plan is planner.place.ledger.latest.get(plan.key)
                if not kept:
                    planner.place.ledger.append(plan)
                settled.append(plan.result(kept=kept))
                continue
            planner.place.ledger.append(Record(key=plan.key, status=STARTED, output=plan.output))
            yield plan


def _drained(settled: list[Result]) -> Iterator[Result]:
    while settled:
        yield settled.pop(0)


class _Planner:
    """What is to be done about each series, given what the ledger says; names outputs so that none meet."""

    def __init__(self, task: Task, place: Place) -> None:
        self.task = task
        self.place = place
        # A name once given stays with its series, also when others join or the order changes.
        self.names = {record.key: record.output for record in place.ledger.latest.values() if record.output}
        self.taken = {name.casefold() for name in self.names.values()}
        self.seen: dict[str, int] = {}
        self.options = plain(task.options)

    def plans(self, series: Series) -> Iterator[Job | Record]:
        """What is to be done, or the record of what is not: that of the ledger where it stands."""
        phases: list[tuple[int, Series]] = [(0, series)]
        if self.task.by_phase and len(series.phases) > 1:
            phases = [(number, one_phase(series, number)) for number in range(len(series.phases))]
        reason = self.task.leave_out(series)
        for number, part in phases[:1] if reason else phases:
            yield self._plan(part, number, len(phases), reason)

    def _plan(self, series: Series, phase: int, phases: int, reason: str) -> Job | Record:
        key = self._key(series, phase)
        before = self.place.ledger.latest.get(key)
        if reason:
            if before is not None and (before.status, before.reason) == (Status.SKIPPED, reason):
                return before
            return self._record(
                key, series, phase, Status.SKIPPED, reason=reason, verdict=str(series.verdict)
            )
        try:
            digested = digest(series, content=self.place.content)
        except HounsfieldError as error:
            return self._record(key, series, phase, Status.FAILED, reason=str(error))
        if before is not None and not self.place.force and self._stands(before, digested):
            return before
        ours = key in self.names
        output = self._name(key, series, phase if phases > 1 else None)
        target = f"{self.place.folder}/{output}"
        if not (self.place.force or ours) and (stranger := _what_is_there(target)):
            # Not begun, and its name not claimed: the next run must not take it for ours.
            del self.names[key]
            refusal = OutputExistsError(
                "exists already", where=stranger, remedy="move it away, or --force to replace it"
            )
            return self._record(
                key, series, phase, Status.FAILED, reason=str(refusal), verdict=str(series.verdict)
            )
        return Job(key, series, phase, digested, output, target)

    def _stands(self, before: Record, digested: str) -> bool:
        return (
            before.status == Status.DONE
            and before.digest == digested
            and plain(before.options) == self.options
            and self.place.exists(before)
        )

    def _key(self, series: Series, phase: int) -> str:
        # All phases in one output are not the first phase of an earlier run.
        joined = not self.task.by_phase and len(series.phases) > 1
        key = f"{self.task.verb} {series.uid}#{series.part}@{'all' if joined else phase}"
        self.seen[key] = count = self.seen.get(key, 0) + 1
        return key if count == 1 else f"{key}~{count}"

    def _name(self, key: str, series: Series, phase: int | None) -> str:
        if key in self.names and self.names[key].endswith(self.task.suffix):
            return self.names[key]
        plain = file_name(series, phase)
        name, number = plain, 1
        while (name + self.task.suffix).casefold() in self.taken:
            number += 1
            name = f"{plain}-{number}"
        self.taken.add((name + self.task.suffix).casefold())
        self.names[key] = name + self.task.suffix
        return self.names[key]

    def finished(self, finished: Finished[Job, Result]) -> Record:
        job = finished.item
        if finished.value is None:
            record = self._record(
                job.key,
                job.series,
                job.phase,
                Status.FAILED,
                reason=str(finished.error).removeprefix(f"{job.series.name}: "),
                verdict=str(job.series.verdict),
            )
            return dataclasses.replace(record, digest=job.digest, output=job.output)
        result = finished.value
        facts = {name: value for name, value in result.facts.items() if name != "preview"}
        return self._record(
            job.key,
            job.series,
            job.phase,
            result.status,
            digest=job.digest,
            output=job.output,
            bytes=result.bytes,
            reason=result.reason,
            **fields_of(facts),
        )

    def _record(self, key: str, series: Series, phase: int, status: str, **facts: Any) -> Record:
        return Record(
            key=key,
            status=status,
            verb=self.task.verb,
            series=series.name,
            uid=series.uid,
            part=series.part,
            phase=phase,
            phase_name=series.phases[0].label if len(series.phases) == 1 else "",
            source=source_of(series),
            options=self.options,
            time=datetime.now(UTC).isoformat(timespec="seconds"),
            **{"versions": versions(), **facts},
        )


def one_phase(series: Series, number: int) -> Series:
    """The series with this phase alone: the others need not travel to a worker."""
    phase = series.phases[number]
    return dataclasses.replace(series, phases=(phase,), slices=tuple(phase.slices))


def file_name(series: Series, phase: int | None) -> str:
    """Series number, description and, where they say nothing, the end of the UID: safe on every file system."""
    words = [series.name if series.name != series.uid else f"series-{series.uid[-12:]}"]
    if phase is not None:
        words.append(f"phase{phase}")
    text = re.sub(r"[^\w.+-]+", "-", "-".join(words), flags=re.UNICODE).strip("-.")
    return text[:LONGEST_NAME] or f"series-{series.uid[-12:]}"


def source_of(series: Series) -> str:
    """Where the series was read from: the folder, archive or address that its first slice names."""
    return folder_of(series.slices[0].instance.name)


@lru_cache
def versions() -> Mapping[str, str]:
    """What the numbers depend on, as installed here."""
    return {name: version(name) for name in _DISTRIBUTIONS}


def _what_is_there(target: str) -> str:
    """The path or address of what a run would replace, "" for nothing."""
    if buckets.is_address(target):
        return target if buckets.size_of(target) is not None else ""
    path = Path(target)
    return next((str(each) for each in (path, *sidecars_of(path)) if os.path.lexists(each)), "")


def size_of(target: str) -> int:
    """Bytes of a file, of all files in a folder, or of an object in a bucket (0 for a Zarr there)."""
    if buckets.is_address(target):
        return buckets.size_of(target) or 0
    path = Path(target)
    if path.is_dir():
        return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    return path.stat().st_size if path.is_file() else 0


def is_still_there(folder: Path, record: Record) -> bool:
    """Whether a recorded output is where it was, and of the size it had (of a folder only that it is there)."""
    path = folder / record.output
    return path.is_dir() or (path.is_file() and path.stat().st_size == record.bytes)


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """As they come back from JSON, so that they compare."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in sorted(options.items())
        if value not in (None, ())
    }
