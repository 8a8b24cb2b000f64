"""The one runner: what a plan hands out is done, and what comes of it is recorded, whatever the verb.

A `Plan` knows which units have to be done and keeps the ledger; a doing takes its jobs and yields a result for each, on
an engine (`on_engine`) or by a way of its own. A run that was stopped, however, is resumed by running again: the plan
then hands out what is missing, changed or failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Protocol, TypeVar

from hounsfield.errors import HounsfieldError
from hounsfield.outputs.results import Result
from hounsfield.runs.engines import Engine
from hounsfield.runs.running import run_each

Job = TypeVar("Job")
Job_co = TypeVar("Job_co", covariant=True)

Doing = Callable[[Iterator[Job]], Iterator[tuple[str, Result]]]
"""Does jobs as they are handed out; yields the key of each with its result, in no order."""


class Plan(Protocol[Job_co]):
    """The plan of a run, and the record of it; `SeriesPlan`, `FilePlan`."""

    def jobs(self) -> Iterator[Job_co]:
        """Return what is missing, changed or failed; a line "started" is on the disk before a job is handed out."""

    def settle(self, key: str, result: Result) -> Iterable[Result]:
        """Record the result of a job; the results that it settles."""

    def standing(self) -> Iterable[Result]:
        """Results that need no job, as far as they are known by now; each once."""

    def close(self) -> None:
        """Record what is known of units that do not go on."""


def run(plan: Plan[Job], doing: Doing[Job]) -> Iterator[Result]:
    """Do what a plan hands out; yields a result for each of its units, in no order.

    Raises `LocationError` when the ledger cannot be written or the engine is gone for good: what is done by then is
    recorded.
    """
    with closing(plan):
        for key, result in doing(plan.jobs()):
            yield from plan.standing()
            yield from plan.settle(key, result)
        yield from plan.standing()


def on_engine(
    work: Callable[[Job], Result],
    engine: Engine,
    *,
    key: Callable[[Job], str],
    failed: Callable[[Job, HounsfieldError], Result],
    fail_fast: bool = False,
) -> Doing[Job]:
    """The doing that calls `work` for each job on `engine`; what it raises, or dies of, is a result by `failed`."""

    def doing(jobs: Iterator[Job]) -> Iterator[tuple[str, Result]]:
        running = run_each(work, jobs, engine, fail_fast=fail_fast, fails=lambda result: result.has_failed)
        with closing(running):
            for finished in running:
                if finished.error is not None:
                    yield key(finished.item), failed(finished.item, finished.error)
                elif finished.value is not None:
                    yield key(finished.item), finished.value

    return doing
