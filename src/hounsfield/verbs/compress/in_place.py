"""A tree compressed where it lies: each file replaced by its compressed self, its original kept in a backup.

The backup is a folder of the shape of the tree and a ledger of it, a line for each file (`file_ledger`): what was
swapped, with the SHA-256 of each frame's values, and what stays as it is and why. The walk goes folder by folder, so
that memory does not grow with the tree (but for a ratio, which is that of each series: then all headers are read first,
and less than 1 kB is kept of each file); a run that was stopped, however, is taken up by running again. One file is
`swapping`'s and `hounsfield.transcode`'s business.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hounsfield.ct.instance import FileSource, Source
from hounsfield.ct.instance.reading import read_header
from hounsfield.errors import HounsfieldError, LocationError, NotDicomError
from hounsfield.locations.archives.names import is_partial
from hounsfield.locations.dicomdir_writing import rebuilt
from hounsfield.locations.tree import is_directory_file, tree_entries
from hounsfield.outputs import remove_partials
from hounsfield.runs import Engine, Pace, Result, Status, available_cores, gather, run_each, threads
from hounsfield.transcode import CommonRate, Target, Transcoded, Transcoder
from hounsfield.transcode.proving import compare, frame_hashes
from hounsfield.verbs.compress.confirming import Unconfirmed, confirmed
from hounsfield.verbs.compress.file_ledger import FileLedger
from hounsfield.verbs.compress.series_rates import SeriesRates
from hounsfield.verbs.compress.swapping import State, Swaps, is_same_file, sha256_of, state_of


def compress_in_place(
    root: Path,
    ledger: FileLedger,
    target: Target,
    *,
    engine: Engine | None = None,
    pace: Pace | None = None,
    fail_fast: bool = False,
) -> Iterator[Result]:
    """Every file below `root` (or `root` itself, a file); results come as they are done, in no order.

    `ledger` is that of the backup, open (`file_ledger.open_backup`). `engine`: threads. Files that an earlier run
    settled are `UNCHANGED`, and so, where the fact `how` is "kept", is what stays as it is; `FAILED` leaves the file as
    it was. Raises `LocationError`
    where the tree cannot be walked or the ledger not be written.
    """
    pace = pace or Pace()
    engine = pace.stopping(engine or threads(available_cores()))
    tree = root if root.is_dir() else root.parent
    with Swaps(tree, ledger.folder, ledger.append) as swaps:
        work = _InPlace(ledger, swaps, target, pace)
        unlisted: list[Result] = []
        files = _files(root, lambda folder, error: unlisted.append(_unlisted(folder, error)))
        jobs = _by_series(files, work, swaps) if target.is_over_series else map(_Job, files)
        running = run_each(work, jobs, engine, fail_fast=fail_fast, fails=lambda made: made.result.has_failed)
        with closing(running):
            made = (each.value or Unconfirmed(_failed(each.item.path, each.error)) for each in running)
            yield from confirmed(made, swaps.confirm)
        yield from unlisted
        if root.is_dir():
            for directory in map(work.directory, _directories(root)):
                swaps.confirm()
                yield directory.confirmed()


@dataclass(frozen=True, slots=True)
class _Job:
    """A file, and the rate of its series, or why there is none."""

    path: Path
    common: CommonRate | HounsfieldError | None = None


def _by_series(files: Iterable[Path], work: _InPlace, swaps: Swaps) -> Iterator[_Job]:
    """The files series by series, for all headers are read first; then those of no series.

    The rate of a series is that of its originals, so that it is found again by a run that takes one up half-way.
    """
    found, others = gather(FileSource(path) for path in files)

    def original_of(source: Source) -> Source:
        assert isinstance(source, FileSource)
        kept = swaps.original_of(source.path)
        return FileSource(kept) if kept.is_file() else source

    members = [[(each.source.name, each.source) for each in series.members] for series in found]
    rates = SeriesRates(work.target, members, original_of)
    for name, source in (each for series in members for each in series):
        assert isinstance(source, FileSource)
        yield _Job(source.path, None if work.is_settled(source.path) else rates.of(name))
    for _, source in others:
        assert isinstance(source, FileSource)
        yield _Job(source.path)


def _files(root: Path, unlisted: Callable[[Path, OSError], None]) -> Iterator[Path]:
    """The files to look at, each folder rid of what a killed run left there before its files come."""
    if not root.is_dir():
        yield root
        return
    _clean(root)
    for entry in tree_entries(root, unlisted=unlisted):
        if entry.is_dir(follow_symlinks=False):
            _clean(Path(entry.path))
        elif entry.is_file(follow_symlinks=False) and not is_partial(entry.name):
            path = Path(entry.path)
            if not is_directory_file(path):
                yield path


def _clean(folder: Path) -> None:
    with contextlib.suppress(OSError):  # one that cannot be listed is reported when the walk comes to it
        remove_partials(folder, {path.name for path in folder.iterdir()})


def _directories(root: Path) -> Iterator[Path]:
    for entry in tree_entries(root, unlisted=lambda *_: None):
        if entry.is_file(follow_symlinks=False) and is_directory_file(Path(entry.path)):
            yield Path(entry.path)


class _InPlace:
    """The work of the threads; each has a transcoder of its own."""

    def __init__(self, ledger: FileLedger, swaps: Swaps, target: Target, pace: Pace) -> None:
        self.ledger, self.swaps, self.target, self.pace = ledger, swaps, target, pace
        self._mine = threading.local()

    def is_settled(self, path: Path) -> bool:
        """An earlier run settled this file, and it is as that run left it."""
        try:
            return self.ledger.is_settled(path.relative_to(self.swaps.root).as_posix(), state_of(path))
        except HounsfieldError:
            return False

    def __call__(self, job: _Job) -> Unconfirmed:
        path = job.path
        try:
            state = state_of(path)
            name = path.relative_to(self.swaps.root).as_posix()
            if self.ledger.is_settled(name, state):
                return _of(path, Status.UNCHANGED)
            self.pace.wait(state[0])
            kept = self.swaps.original_of(path)
            if kept.exists() and not is_same_file(path, kept):
                return self._taken_up(path, name, state, kept)
            if isinstance(job.common, HounsfieldError):
                return Unconfirmed(_failed(path, job.common))
            return self._replaced(path, name, state, job.common)
        except HounsfieldError as error:
            return Unconfirmed(_failed(path, error))
        except OSError as error:
            return _of(path, Status.FAILED, error.strerror or str(error))

    def _replaced(self, path: Path, name: str, state: State, common: CommonRate | None) -> Unconfirmed:
        source = FileSource(path)
        try:
            read_header(source)  # what is no image may be of any size, and need not be read whole to know it
            result = self._transcoder().transcode(source, self.target, common=common)
        except NotDicomError:
            return _of(path, Status.UNCHANGED, "no DICOM file", {"how": "kept"})
        if not result.changed:
            self.ledger.note(name, "kept", state, reason=result.why)
            return _of(path, Status.UNCHANGED, result.why, {**result.to_json(), "how": "kept"})
        line = self._line(name, state, result, frame_hashes(source))
        swapped = self.swaps.swap(path, result.content, state, line)
        return _of(path, Status.DONE, result.why, result.to_json(), swapped)

    def _taken_up(self, path: Path, name: str, state: State, kept: Path) -> Unconfirmed:
        """A file whose original is kept, of which the ledger does not know: a run was stopped between the two."""
        proof = compare(FileSource(kept), FileSource(path))
        if proof.status == "different":
            raise LocationError(
                "is neither the original that the backup keeps nor made from it",
                where=str(path),
                remedy="move one of them away, or give another --backup",
            )
        facts: dict[str, Any] = {"max_error": proof.max_error, "sha256": sha256_of(path)}
        facts["frames"] = [frame.old for frame in proof.frames]
        self.ledger.note(name, "swapped", state, original=state_of(kept)[0], uid=proof.uid, **facts)
        return _of(path, Status.UNCHANGED, "swapped by a run that was stopped")

    def directory(self, path: Path) -> Unconfirmed:
        """A DICOMDIR that tells of its files as they are now."""
        try:
            state = state_of(path)
            content = rebuilt(path, path.parent)
            name = path.relative_to(self.swaps.root).as_posix()
            if content == path.read_bytes():
                if self.swaps.original_of(path).exists() and not self.ledger.is_settled(name, state):
                    # Swapped by a run that was stopped before the ledger said so.
                    self.ledger.note(name, "swapped", state, sha256=sha256_of(path))
                return _of(path, Status.UNCHANGED)
            new = (len(content), state[1])
            line = self.ledger.line(
                name, "swapped", new, original=state[0], sha256=hashlib.sha256(content).hexdigest()
            )
            swapped = self.swaps.swap(path, content, state, line, keeps_first=True)
            return _of(path, Status.DONE, swapped=swapped)
        except HounsfieldError as error:
            return Unconfirmed(_failed(path, error))

    def _line(self, name: str, state: State, result: Transcoded, hashes: Iterable[str]) -> Mapping[str, Any]:
        return self.ledger.line(
            name,
            "swapped",
            (len(result.content), state[1]),
            original=state[0],
            before=result.before,
            after=result.after,
            max_error=result.max_error,
            frames=list(hashes),
            sha256=hashlib.sha256(result.content).hexdigest(),
        )

    def _transcoder(self) -> Transcoder:
        if not hasattr(self._mine, "transcoder"):
            self._mine.transcoder = Transcoder()
        transcoder: Transcoder = self._mine.transcoder
        return transcoder


def _of(
    path: Path,
    status: Status,
    reason: str = "",
    facts: Mapping[str, Any] | None = None,
    swapped: Future[None] | None = None,
) -> Unconfirmed:
    return Unconfirmed(Result(str(path), status, reason, str(path), facts=facts or {}), swapped)


def _unlisted(folder: Path, error: OSError) -> Result:
    return Result(str(folder), Status.FAILED, f"cannot be listed: {error.strerror}", str(folder))


def _failed(path: Path, error: HounsfieldError | None) -> Result:
    reason = "" if error is None else str(error).removeprefix(f"{path}: ")
    return Result(str(path), Status.FAILED, reason, str(path))
