"""Many files at once: on all cores, in bounded memory, resumable, one failure never the next one's.

Which file goes where is the caller's to say (`Job`); here it is done.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from hounsfield.codecs import Rate
from hounsfield.errors import HounsfieldError, NotDicomError, OutputExistsError
from hounsfield.instance import FileSource, Header, Source, read_instance
from hounsfield.outputs import whole_file
from hounsfield.transcode.compression import goal_of, transcode
from hounsfield.transcode.derivation import derived_uid
from hounsfield.transcode.target import Target

Status = Literal["written", "copied", "present", "skipped", "failed"]
_THREADS_A_CORE, _MOST_THREADS = 4, 32
"""Threads wait for the disk to confirm a file as long as a core takes to make the next."""


@dataclass(frozen=True, slots=True)
class Job:
    """One source and the file it becomes."""

    source: Source
    out: Path


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one job.

    `written`: compressed. `copied`: byte for byte, `reason` says why. `present`: an earlier run did it.
    `skipped`: not DICOM. `failed`: `reason`. `facts` are those of `Transcoded.to_json`.
    """

    name: str
    status: Status
    out: Path
    reason: str = ""
    facts: dict[str, Any] | None = None
    rate: Rate | None = None


def transcode_files(
    jobs: Iterable[Job],
    target: Target,
    *,
    force: bool = False,
    executor: Executor | None = None,
    workers: int | None = None,
) -> Iterator[Outcome]:
    """Transcode every job; outcomes come as they are done, in no order. Outputs appear whole or not at all.

    Threads on all cores by default, a few more than those: codecs leave the interpreter free, and outputs wait for
    the disk. `workers` bounds how many jobs, and so how many images, are in memory. A file that an earlier run
    finished is `present`; another that exists is a failure unless `force`.
    """
    workers = workers or min(_MOST_THREADS, _THREADS_A_CORE * (os.cpu_count() or 1))
    hint: Rate | None = None
    with _running(executor, workers) as pool:
        pending: set[Future[Outcome]] = set()
        queue = iter(jobs)
        for job in queue:
            pending.add(pool.submit(transcode_file, job, target, force=force, hint=hint))
            if len(pending) > workers:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in done:
                    outcome = future.result()
                    hint = outcome.rate or hint
                    yield outcome
        while pending:
            done, pending = wait(pending, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


@contextmanager
def _running(executor: Executor | None, workers: int) -> Iterator[Executor]:
    """The caller's executor, left as it is, or threads of our own; what waits is dropped when the block fails."""
    if executor is not None:
        yield executor
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="transcode")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def transcode_file(job: Job, target: Target, *, force: bool = False, hint: Rate | None = None) -> Outcome:
    """One job, start to end; never raises for what is wrong with it."""
    try:
        if job.out.exists() and not force and _done(job, target):
            return Outcome(job.source.name, "present", job.out)
        _spare_source(job)
        result = transcode(job.source, target, hint=hint)
        with whole_file(job.out, force=force) as temporary:
            temporary.write_bytes(result.content)
    except NotDicomError as error:
        return Outcome(job.source.name, "skipped", job.out, _reason(error, job))
    except HounsfieldError as error:
        return Outcome(job.source.name, "failed", job.out, _reason(error, job))
    except OSError as error:
        return Outcome(job.source.name, "failed", job.out, error.strerror or str(error))
    status: Status = "written" if result.changed else "copied"
    return Outcome(job.source.name, status, job.out, result.why, result.to_json(), result.rate)


def _reason(error: HounsfieldError, job: Job) -> str:
    return str(error).removeprefix(f"{job.source.name}: ")


def _spare_source(job: Job) -> None:
    """Originals are never touched, not even with `force`."""
    if isinstance(job.source, FileSource) and job.out.exists() and job.out.samefile(job.source.path):
        raise OutputExistsError(
            "is the original",
            where=str(job.out),
            remedy="write to another place; originals are never replaced",
        )


def _done(job: Job, target: Target) -> bool:
    """The output is what this job would make, by its header: outputs are whole if they are there."""
    try:
        made = read_instance(FileSource(job.out)).header
        original = read_instance(job.source).header
    except HounsfieldError:
        return False
    wanted = target.chosen_for(original)
    assert wanted.syntax is not None
    if made.transfer_syntax == wanted.syntax.uid:
        return made.text("SOPInstanceUID") in _uids(original, wanted)
    # Copied: without pixels, or kept by `auto` because it would not have become smaller.
    copied = original.pixels is None or target.auto is not None or target.syntax is None
    same = made.text("SOPInstanceUID") == original.text("SOPInstanceUID")
    return copied and same and made.transfer_syntax == original.transfer_syntax


def _uids(original: Header, wanted: Target) -> set[str]:
    """The UID an output may have: the original's, or that of the lossy derivation."""
    own = original.text("SOPInstanceUID")
    assert wanted.syntax is not None
    if not wanted.lossy:
        return {own}
    derived = derived_uid(own.encode("ascii", "replace"), wanted.syntax, goal_of(wanted)).decode("ascii")
    return {derived, own} if wanted.max_error is not None else {derived}
