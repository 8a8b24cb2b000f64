"""Many files to another transfer syntax: on all cores or a cluster, in bounded memory, resumable, one failure never
the next one's.

Which file goes where is the caller's to say (`Job`); what becomes of one file is `hounsfield.transcode`'s business.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import LifoQueue
from typing import Any, Literal

from hounsfield.batch import Engine, available_cores, run_each, threads
from hounsfield.codecs import Rate
from hounsfield.errors import HounsfieldError, NotDicomError, OutputExistsError
from hounsfield.instance import FileSource, Header, Source, read_instance
from hounsfield.outputs import Folders, whole_file
from hounsfield.transcode import Target, Transcoded, Transcoder, derived_uid, goal_of, transcode

Status = Literal["written", "copied", "present", "skipped", "failed"]
_THREADS_A_CORE, _MOST_THREADS = 8, 64
"""Most threads wait for the disk to confirm what they wrote: files confirmed together cost it little more than one."""


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


def transcode_files(
    jobs: Iterable[Job],
    target: Target,
    *,
    force: bool = False,
    engine: Engine | None = None,
    fail_fast: bool = False,
) -> Iterator[Outcome]:
    """Transcode every job; outcomes come as they are done, in no order. Outputs appear whole or not at all.

    `engine`: by default threads of this process, since codecs leave the interpreter free; `hounsfield.batch` has
    others. Its workers bound how many images are in memory. A file that an earlier run finished is `present`;
    another that exists is a failure unless `force`. With `fail_fast` nothing is begun after the first failure.
    """
    if engine is None or engine.name == "threads":
        engine = engine or threads(min(_MOST_THREADS, _THREADS_A_CORE * available_cores()))
        with Folders() as folders:
            work = _Here(target, force, folders, min(engine.workers, available_cores()))
            yield from _outcomes(work, jobs, engine, fail_fast=fail_fast)
        return
    function = functools.partial(transcode_file, target=target, force=force)
    yield from _outcomes(function, jobs, engine, fail_fast=fail_fast)


def _outcomes(
    function: Callable[[Job], Outcome], jobs: Iterable[Job], engine: Engine, *, fail_fast: bool
) -> Iterator[Outcome]:
    def fails(outcome: Outcome) -> bool:
        return outcome.status == "failed"

    for finished in run_each(function, jobs, engine, fail_fast=fail_fast, fails=fails):
        job = finished.item
        yield finished.value or Outcome(job.source.name, "failed", job.out, str(finished.error))


class _Here:
    """Jobs on threads of this process: as many at the codecs as there are cores, the others wait for the disk."""

    def __init__(self, target: Target, force: bool, folders: Folders, cores: int) -> None:
        self._target, self._force, self._folders = target, force, folders
        self._hint: Rate | None = None
        self._free: LifoQueue[Transcoder] = LifoQueue()
        for _ in range(cores):
            self._free.put(Transcoder())

    def __call__(self, job: Job) -> Outcome:
        return _outcome(job, self._transcoded, self._target, force=self._force, folders=self._folders)

    def _transcoded(self, source: Source) -> Transcoded:
        transcoder = self._free.get()
        try:
            result = transcoder.transcode(source, self._target, hint=self._hint)
        finally:
            self._free.put(transcoder)
        self._hint = result.rate or self._hint
        return result


def transcode_file(job: Job, target: Target, *, force: bool = False) -> Outcome:
    """One job, start to end; never raises for what is wrong with it."""
    return _outcome(job, functools.partial(transcode, target=target), target, force=force)


def _outcome(
    job: Job,
    transcoded: Callable[[Source], Transcoded],
    target: Target,
    *,
    force: bool,
    folders: Folders | None = None,
) -> Outcome:
    try:
        if job.out.exists() and not force and _done(job, target):
            return Outcome(job.source.name, "present", job.out)
        _spare_source(job)
        result = transcoded(job.source)
        with whole_file(job.out, force=force, folders=folders) as temporary:
            temporary.write_bytes(result.content)
    except NotDicomError as error:
        return Outcome(job.source.name, "skipped", job.out, _reason(error, job))
    except HounsfieldError as error:
        return Outcome(job.source.name, "failed", job.out, _reason(error, job))
    except OSError as error:
        return Outcome(job.source.name, "failed", job.out, error.strerror or str(error))
    status: Status = "written" if result.changed else "copied"
    return Outcome(job.source.name, status, job.out, result.why, result.to_json())


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
