"""An output for each series, or for each phase of one: `SeriesPlan` says which are to be done, `run_series` does them.

Knows no verb: a `Task` brings the work. Before work on a series begins, its line "started" is on disk; so whatever
stops the run, the next one knows an output of its own from a file of somebody else's.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from hounsfield.ct.series import Series
from hounsfield.errors import HounsfieldError, OutputExistsError
from hounsfield.outputs.results import Result, Status
from hounsfield.runs.digest import digest, folder_of
from hounsfield.runs.engines import Engine
from hounsfield.runs.ledger import STARTED, Record, fields_of
from hounsfield.runs.names import PatientFolders, Template, file_name, refuse_collisions
from hounsfield.runs.place import Place, plain, size_of, versions, what_is_there
from hounsfield.runs.runner import on_engine, run


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
    """The work on a series; it must pickle. Errors it raises become the result's reason.

    Facts of its result that are fields of a `Record` (verdict, shape, unit, counts, warnings) become those of the
    ledger's line, others its `facts`; `preview` is for the report alone.
    """

    def __call__(self, job: Job) -> Result: ...


@dataclass(frozen=True)
class Task:
    """A verb over series: its work, the suffix of its outputs, and the options that decide what they hold.

    `leave_out` says why a series is not for this verb, "" where it is. `by_phase`: an output for each phase. `name`: a
    template of their names (`runs.names.Template`); by default number and description, in a folder a patient where
    there are several. `beside`: the suffix of a file that belongs to each output and lies beside it.
    """

    verb: str
    work: Work
    suffix: str
    options: Mapping[str, Any]
    leave_out: Callable[[Series], str] = lambda series: ""
    by_phase: bool = True
    name: str = ""
    beside: str = ""


@dataclass(frozen=True)
class _Timed:
    """The work with its clock and its worker's versions."""

    work: Work

    def __call__(self, job: Job) -> Result:
        begin = time.perf_counter()
        result = self.work(job)
        measured = {"seconds": round(time.perf_counter() - begin, 3), "versions": versions()}
        return dataclasses.replace(result, bytes=size_of(job.target), facts={**result.facts, **measured})


def run_series(
    series: Iterable[Series], task: Task, place: Place, engine: Engine, *, fail_fast: bool = False
) -> Iterator[Result]:
    """Do a task for what is missing, changed or failed; a result for every series, in no order. Errors as of `run`."""
    doing = on_engine(_Timed(task.work), engine, key=lambda job: job.key, failed=_failed, fail_fast=fail_fast)
    return run(SeriesPlan(series, task, place), doing)


def _failed(job: Job, error: HounsfieldError) -> Result:
    reason = str(error).removeprefix(f"{job.series.name}: ")
    return Result(job.series.name, Status.FAILED, reason, facts={"verdict": str(job.series.verdict)})


class SeriesPlan:
    """An output for each series (each phase): which are to be done, given what the ledger says.

    Names outputs so that none meet. The largest series are begun first, so that at the end no worker waits for one that
    another began last.
    """

    def __init__(self, series: Iterable[Series], task: Task, place: Place) -> None:
        self.series = sorted(series, key=lambda each: -len(each.slices))
        self.task = task
        self.place = place
        # A name once given stays with its series, also when others join or the order changes.
        self.names = {record.key: record.output for record in place.ledger.latest.values() if record.output}
        self.taken = {name.casefold() for name in self.names.values()}
        self.seen: dict[str, int] = {}
        self.options = plain(task.options)
        self.folders = PatientFolders(self.series)
        self.template = Template(task.name) if task.name else None
        self.asked = self._asked_names() if self.template is not None else {}
        self._under_way: dict[str, Job] = {}
        self._standing: list[Result] = []

    def jobs(self) -> Iterator[Job]:
        for each in self.series:
            for plan in self._plans(each):
                if isinstance(plan, Job):
                    self.place.ledger.append(Record(key=plan.key, status=STARTED, output=plan.output))
                    self._under_way[plan.key] = plan
                    yield plan
                else:
                    self._standing.append(plan)

    def settle(self, key: str, result: Result) -> Iterator[Result]:
        job = self._under_way.pop(key)
        facts = dict(result.facts)
        if shown := facts.pop("preview", None):
            self.place.keep_preview(key, shown)
        made = {"digest": job.digest, "output": job.output, "bytes": result.bytes, "reason": result.reason}
        yield self._recorded(key, job.series, job.phase, result.status, **made, **fields_of(facts))

    def standing(self) -> Iterator[Result]:
        while self._standing:
            yield self._standing.pop(0)

    def close(self) -> None:
        """Leave what is under way as begun: the next run does it again."""

    def _asked_names(self) -> dict[str, str]:
        """The name of every output by the template; what is there already is looked at when its turn comes."""
        assert self.template is not None
        names: dict[str, tuple[str, Series]] = {}
        for series in self.series:
            phases = self._phases(series)
            for number, part in () if self.task.leave_out(series) else phases:
                name = self.template.fill(part, number if len(phases) > 1 else None)
                names[self._key(part, number)] = (name + self.task.suffix, part)
        refuse_collisions(names, self.template.text)
        self.seen.clear()
        return {key: name for key, (name, _) in names.items()}

    def _phases(self, series: Series) -> list[tuple[int, Series]]:
        if self.task.by_phase and len(series.phases) > 1:
            return [(number, one_phase(series, number)) for number in range(len(series.phases))]
        return [(0, series)]

    def _plans(self, series: Series) -> Iterator[Job | Result]:
        """Yield what is to be done, or the result of what is not."""
        phases = self._phases(series)
        reason = self.task.leave_out(series)
        for number, part in phases[:1] if reason else phases:
            yield self._plan(part, number, len(phases), reason)

    def _plan(self, series: Series, phase: int, phases: int, reason: str) -> Job | Result:
        key = self._key(series, phase)
        before = self.place.ledger.latest.get(key)
        if reason:
            if before is not None and (before.status, before.reason) == (Status.SKIPPED, reason):
                return before.result(kept=True)
            return self._recorded(
                key, series, phase, Status.SKIPPED, reason=reason, verdict=str(series.verdict)
            )
        try:
            digested = digest(series, content=self.place.content)
        except HounsfieldError as error:
            return self._recorded(key, series, phase, Status.FAILED, reason=str(error))
        if before is not None and not self.place.force and self._stands(before, digested):
            return before.result(kept=True)
        output = self._name(key, series, phase if phases > 1 else None)
        ours = before is not None and before.output == output
        target = f"{self.place.folder}/{output}"
        if not (self.place.force or ours) and (stranger := self._stranger(target)):
            # Not begun, and its name not claimed: the next run must not take it for ours.
            self.names.pop(key, None)
            refusal = OutputExistsError(
                "exists already", where=stranger, remedy="move it away, or --force to replace it"
            )
            return self._recorded(
                key, series, phase, Status.FAILED, reason=str(refusal), verdict=str(series.verdict)
            )
        return Job(key, series, phase, digested, output, target)

    def _stranger(self, target: str) -> str:
        """The path of a file in the way of an output, "" for none."""
        beside = target.removesuffix(self.task.suffix) + self.task.beside
        return what_is_there(target) or (what_is_there(beside) if self.task.beside else "")

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
        if self.template is not None:
            return self.asked[key]
        if key in self.names and self.names[key].endswith(self.task.suffix):
            return self.names[key]
        plain = self.folders(series) + file_name(series, phase)
        name, number = plain, 1
        while (name + self.task.suffix).casefold() in self.taken:
            number += 1
            name = f"{plain}-{number}"
        self.taken.add((name + self.task.suffix).casefold())
        self.names[key] = name + self.task.suffix
        return self.names[key]

    def _recorded(self, key: str, series: Series, phase: int, status: str, **facts: Any) -> Result:
        """Append the record of a series to the ledger; it as a result."""
        record = Record(
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
        self.place.ledger.append(record)
        return record.result()


def one_phase(series: Series, number: int) -> Series:
    """The series with this phase alone: the others need not travel to a worker."""
    phase = series.phases[number]
    return dataclasses.replace(series, phases=(phase,), slices=tuple(phase.slices))


def source_of(series: Series) -> str:
    """Return where the series was read from: the folder, archive or address that its first slice names."""
    return folder_of(series.slices[0].instance.name)
