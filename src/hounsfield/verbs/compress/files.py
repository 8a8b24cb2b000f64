"""Many files to another transfer syntax: on all cores or a cluster, in bounded memory, resumable, one failure never
the next one's.

Which file goes where is the caller's to say (`Job`); how one file is transcoded is `hounsfield.transcode`'s business.
"""

from __future__ import annotations

import functools
import hashlib
import shutil
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hounsfield.codecs import Rate
from hounsfield.ct.instance import FileSource, Header, Source, read_instance
from hounsfield.ct.instance.reading import read_header
from hounsfield.errors import HounsfieldError, NotDicomError, OutputExistsError
from hounsfield.outputs import WholeFiles, carry_status, whole_file
from hounsfield.runs import Engine, Pace, Result, Status, available_cores, run_each, threads
from hounsfield.runs.digest import size_of_source
from hounsfield.transcode import CommonRate, Target, Transcoded, Transcoder, choose, derived_uid, goal_of
from hounsfield.transcode.proving import frame_hashes
from hounsfield.verbs.compress.confirming import Unconfirmed, confirmed

COPIED = {"how": "copied"}


@dataclass(frozen=True, slots=True)
class Job:
    """One source and the file it becomes. `replace`: what is there is ours and not what the source is now.

    `mirror`: `out` gets the source's times and mode, and what cannot be compressed is carried over as it is.
    `common`: the rate of its series, or why there is none. `hashes`: the result has the SHA-256 of the output, and
    of the values of each frame of the source.
    """

    source: Source
    out: Path
    replace: bool = False
    mirror: bool = False
    common: CommonRate | HounsfieldError | None = None
    hashes: bool = False

    @property
    def rate(self) -> CommonRate | None:
        """That of its series. Raises what was said when it was looked for."""
        if isinstance(self.common, HounsfieldError):
            raise self.common
        return self.common

    @property
    def original(self) -> Path | None:
        """Whose times and mode the output gets."""
        return self.source.path if self.mirror and isinstance(self.source, FileSource) else None


def transcode_files(
    jobs: Iterable[Job],
    target: Target,
    *,
    force: bool = False,
    engine: Engine | None = None,
    fail_fast: bool = False,
    pace: Pace | None = None,
) -> Iterator[Result]:
    """Transcode every job; results come as they are done, in no order. Outputs appear whole or not at all.

    `DONE`: compressed, or, where the fact `how` is "copied", byte for byte as it was; `reason` where not as asked.
    `UNCHANGED`: an earlier run did it. `SKIPPED`: not DICOM. Facts are those of `Transcoded.to_json`.

    `engine`: by default threads of this process, since codecs leave the interpreter free; `hounsfield.runs` has
    others. Its workers bound how many images are in memory. A file that an earlier run finished is unchanged;
    another that exists is a failure unless `force`. With `fail_fast` nothing is begun after the first failure.
    `pace` limits how quickly and when jobs are begun.
    """
    pace = pace or Pace()
    if engine is None or engine.name == "threads":
        engine = pace.stopping(engine or threads(available_cores()))
        yield from _here(jobs, _Here(target, force, pace), engine, fail_fast=fail_fast)
        return
    jobs = pace.each(jobs, _size)
    function = functools.partial(transcode_file, target=target, force=force)
    for finished in run_each(function, jobs, engine, fail_fast=fail_fast, fails=has_failed):
        yield finished.value or _failed(finished.item, finished.error)


def _here(jobs: Iterable[Job], work: _Here, engine: Engine, *, fail_fast: bool) -> Iterator[Result]:
    """On threads of this process, which leave the waiting for the disk to one beside them."""
    running = run_each(work, jobs, engine, fail_fast=fail_fast, fails=lambda made: made.result.has_failed)
    with work.files as files, closing(running):
        made = (each.value or Unconfirmed(_failed(each.item, each.error)) for each in running)
        yield from confirmed(made, files.confirm)


class _Here:
    """The work of the threads; each has a transcoder of its own."""

    def __init__(self, target: Target, force: bool, pace: Pace) -> None:
        self._target, self._force, self._pace = target, force, pace
        self.files = WholeFiles()
        self._hint: Rate | None = None
        self._mine = threading.local()

    def __call__(self, job: Job) -> Unconfirmed:
        self._pace.wait(_size(job) if self._pace.bytes_per_second is not None else 0)
        placed: list[Future[None]] = []

        def write(content: bytes) -> None:
            force = self._force or job.replace
            placed.append(self.files.write(job.out, content, force=force, like=job.original))

        result = _result(job, self._transcoded, write, self._target, force=self._force)
        return Unconfirmed(result, placed[0] if placed else None)

    def _transcoded(self, job: Job) -> Transcoded:
        if not hasattr(self._mine, "transcoder"):
            self._mine.transcoder = Transcoder()
        transcoder: Transcoder = self._mine.transcoder
        result = transcoder.transcode(job.source, self._target, hint=self._hint, common=job.rate)
        self._hint = result.rate or self._hint
        return result


def has_failed(result: Result) -> bool:
    """For `run_each`."""
    return result.has_failed


def _failed(job: Job, error: HounsfieldError | None) -> Result:
    return _of(job, Status.FAILED, "" if error is None else _reason(error, job))


def _of(job: Job, status: Status, reason: str = "", facts: Mapping[str, Any] | None = None) -> Result:
    return Result(job.source.name, status, reason, str(job.out), facts=facts or {})


def transcode_file(job: Job, target: Target, *, force: bool = False) -> Result:
    """One job, start to end; never raises for what is wrong with it."""

    def write(content: bytes) -> None:
        with whole_file(job.out, force=force or job.replace) as temporary:
            temporary.write_bytes(content)
            if job.original is not None:
                carry_status(job.original, temporary)

    def transcoded(job: Job) -> Transcoded:
        return Transcoder().transcode(job.source, target, common=job.rate)

    return _result(job, transcoded, write, target, force=force)


def _result(
    job: Job,
    transcoded: Callable[[Job], Transcoded],
    write: Callable[[bytes], None],
    target: Target,
    *,
    force: bool,
) -> Result:
    try:
        if not (force or job.replace) and job.out.exists() and is_done(job, target):
            return _of(job, Status.UNCHANGED)
        _spare_source(job)
        made = _transcoded_or_why_not(job, transcoded)
        if isinstance(made, str):
            return _carried(job, made, force=force)
        write(made.content)
        facts = made.to_json()
        if job.hashes:
            facts |= _hashes(job, made.content)
    except NotDicomError as error:
        return _of(job, Status.SKIPPED, _reason(error, job))
    except HounsfieldError as error:
        return _failed(job, error)
    except OSError as error:
        return _of(job, Status.FAILED, error.strerror or str(error))
    return _of(job, Status.DONE, made.why, facts if made.changed else facts | COPIED)


def _hashes(job: Job, content: bytes) -> dict[str, Any]:
    """Return what proves an output later; the source is read once more for it, by whatever reads any file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "frame_sha256": list(frame_hashes(job.source))}


def _transcoded_or_why_not(job: Job, transcoded: Callable[[Job], Transcoded]) -> Transcoded | str:
    """The result; of a mirrored tree the reason where there is none, since nothing is left out of it."""
    if job.original is None:
        return transcoded(job)
    try:
        read_header(job.source)  # what is no image may be of any size, and need not be read whole to know it
        return transcoded(job)
    except HounsfieldError as error:
        return _reason(error, job)


def _carried(job: Job, reason: str, *, force: bool) -> Result:
    """A file of a mirrored tree as it is."""
    original = job.original
    assert original is not None
    with whole_file(job.out, force=force or job.replace) as temporary:
        shutil.copyfile(original, temporary)
        carry_status(original, temporary)
    return _of(job, Status.DONE, reason, COPIED)


def _size(job: Job) -> int:
    """Bytes that will be read; 0 where nobody says, or where it is gone, which the job itself will tell."""
    try:
        return size_of_source(job.source)
    except HounsfieldError:
        return 0


def _reason(error: HounsfieldError, job: Job) -> str:
    return str(error).removeprefix(f"{job.source.name}: ")


def why_spared(job: Job) -> str:
    """Why the output of a job must not be written, ever: originals are never touched, not even with `force`."""
    if not isinstance(job.source, FileSource):
        return ""
    try:
        is_original = job.out.samefile(job.source.path)
    except OSError:  # one of them is not there
        return ""
    return "is the original" if is_original else ""


def _spare_source(job: Job) -> None:
    if why_spared(job):
        raise OutputExistsError(
            why_spared(job),
            where=str(job.out),
            remedy="write to another place; originals are never replaced",
        )


def is_done(job: Job, target: Target) -> bool:
    """The output is what this job would make, by its header: outputs are whole if they are there."""
    if job.original is not None and _state(job.original) == _state(job.out):
        return True  # carried over with its times
    try:
        made = read_instance(FileSource(job.out)).header
        original = read_instance(job.source).header
    except HounsfieldError:
        return False
    wanted = choose(job.source, original, target).target if original.pixels is not None else None
    if wanted is not None and wanted.syntax is not None and made.transfer_syntax == wanted.syntax.uid:
        return made.text("SOPInstanceUID") in _uids(original, wanted)
    # Copied: without pixels, or kept by `auto`, because nothing holds it or it would not have become smaller.
    copied = original.pixels is None or target.auto is not None or target.syntax is None
    same = made.text("SOPInstanceUID") == original.text("SOPInstanceUID")
    return copied and same and made.transfer_syntax == original.transfer_syntax


def _state(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _uids(original: Header, wanted: Target) -> set[str]:
    """The UID an output may have: the original's, or that of the lossy derivation."""
    own = original.text("SOPInstanceUID")
    assert wanted.syntax is not None
    if not wanted.lossy:
        return {own}
    derived = derived_uid(own.encode("ascii", "replace"), wanted.syntax, goal_of(wanted)).decode("ascii")
    return {derived, own} if wanted.max_error is not None else {derived}
