"""Series to another transfer syntax, in a folder of the same shape, with a record of each in its ledger.

`find_files` says which file goes where, by headers alone; `compress_all` does what is missing, changed or failed. Of a
series that stands as it was recorded no file is opened again.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any

from hounsfield.ct.instance import Source
from hounsfield.errors import HounsfieldError
from hounsfield.outputs import writing_below
from hounsfield.outputs.results import word_of
from hounsfield.runs import (
    LEDGER_NAME,
    Engine,
    FilePlan,
    FileSeries,
    Gathered,
    Pace,
    Piece,
    Place,
    Record,
    Result,
    Status,
    Step,
    gather,
    run,
)
from hounsfield.runs.digest import STATE_BYTES, content_digest, folder_of, identity, size_of_source
from hounsfield.runs.ledger import FILE_LEDGER_NAME, append_lines, appending
from hounsfield.runs.report import SUMMARY_NAMES, preview_of_file
from hounsfield.transcode import Target
from hounsfield.verbs.compress.files import Job, transcode_files
from hounsfield.verbs.compress.foretelling import foretold_file
from hounsfield.verbs.compress.mirror import finish_mirror
from hounsfield.verbs.compress.series_rates import SeriesRates


@dataclass(frozen=True)
class Files:
    """The files of a location for this verb: `series`, and `others`, which belong to none or cannot be read.

    `root`: the tree that is to be there as a whole in the end. Then `others` are a series of the ledger too.
    """

    series: tuple[FileSeries, ...]
    others: tuple[Piece, ...]
    root: Path | None = None

    @property
    def count(self) -> int:
        return sum(len(each.pieces) for each in self.series) + len(self.others)

    @property
    def outputs(self) -> Iterator[str]:
        """Below the folder."""
        for each in self.series:
            yield from (piece.output for piece in each.pieces)
        yield from (piece.output for piece in self.others)


def find_files(
    sources: Iterable[tuple[Source, PurePath]],
    *,
    content: bool = False,
    root: Path | None = None,
    seen: Callable[[], None] | None = None,
) -> Files:
    """Each source with the place it would have below the folder; of two with one place the second is numbered.

    `content`: know sources by all their bytes, not by size and time. `root`: the tree that
    the sources are all files of; then what is no image has a place there too. `seen` is called after each header.
    """
    names: list[str] = []
    taken = {LEDGER_NAME, FILE_LEDGER_NAME, *SUMMARY_NAMES}

    def named() -> Iterator[Source]:
        for source, path in sources:
            names.append(_free(path, taken))
            yield source

    found, others = gather(named(), content=content, seen=seen)
    series = tuple(_series(each, [names[member.number] for member in each.members]) for each in found)
    if root is None:
        return Files(series, tuple(Piece(source, names[number]) for number, source in others))
    rest = [_other(source, names[number], content) for number, source in others]
    return Files((*series, *([_others(rest)] if rest else [])), (), root)


def _other(source: Source, output: str, content: bool) -> Piece:
    """A file of a mirrored tree that belongs to no series; one that is gone again says so when it is its turn."""
    try:
        state = content_digest(source) if content else identity(source)
        size = size_of_source(source)
    except HounsfieldError:
        state, size = "", 0
    return Piece(source, output, hashlib.blake2b(state.encode(), digest_size=STATE_BYTES).digest(), size)


def _others(pieces: Sequence[Piece]) -> FileSeries:
    whole = hashlib.blake2b(digest_size=STATE_BYTES)
    for each in sorted(piece.state for piece in pieces):
        whole.update(each)
    return FileSeries(
        key="compress others",
        name="files of no series",
        uid="",
        source=folder_of(pieces[0].source.name),
        digest=whole.hexdigest(),
        output=_folder([piece.output for piece in pieces]),
        pieces=tuple(pieces),
    )


def _series(found: Gathered, outputs: Sequence[str]) -> FileSeries:
    return FileSeries(
        key=f"compress {found.study}/{found.uid}",
        name=found.name,
        uid=found.uid,
        source=folder_of(found.members[0].source.name),
        digest=found.digest,
        output=_folder(outputs),
        pieces=tuple(
            Piece(member.source, output, member.state, member.size)
            for member, output in zip(found.members, outputs, strict=True)
        ),
    )


def compress_all(
    files: Files,
    place: Place,
    target: Target,
    *,
    engine: Engine | None = None,
    fail_fast: bool = False,
    pace: Pace | None = None,
    hashes: bool = False,
    on_series: Callable[[Result], None] = lambda result: None,
) -> Iterator[Result]:
    """Transcode what is missing, changed or failed, and record it; yields a result for every file, in no order.

    `place` comes from `runs.report.open_place`. `engine` and `pace` as of `transcode_files`. `hashes`: a line
    for each file in `hounsfield-files.jsonl`, by which `hounsfield verify` proves it later. `on_series` gets
    each series once it is settled. Raises `LocationError` when the ledger cannot be written or the engine is gone
    for good.
    """
    out = Path(place.folder)
    plan = FilePlan(files.series, files.others, _Compress(out, target), place, on_series)
    rates = SeriesRates(
        target, ([(piece.output, piece.source) for piece in each.pieces] for each in files.series)
    )

    def transcoded(steps: Iterator[Step]) -> Iterator[tuple[str, Result]]:
        jobs = (
            replace(_job(step, out, files), common=rates.of(step.piece.output), hashes=hashes)
            for step in steps
        )
        options = {"force": place.force, "fail_fast": fail_fast}
        for result in transcode_files(jobs, target, engine=engine, pace=pace, **options):
            yield Path(result.output).relative_to(out).as_posix(), result

    hash_ledger = place.ledger.path.with_name(FILE_LEDGER_NAME)
    with (
        writing_below(out, (out / name for name in files.outputs)),
        appending(hash_ledger) if hashes else nullcontext(-1) as noted,
    ):
        for result in run(plan, transcoded):
            if "sha256" in result.facts:
                append_lines(noted, hash_ledger, [_hash_line(out, result)], sync=False)
            yield result
        if files.root is not None:
            yield from finish_mirror(files.root, out)


def _job(step: Step, out: Path, files: Files) -> Job:
    return Job(step.piece.source, out / step.piece.output, step.replace, mirror=files.root is not None)


def _hash_line(out: Path, result: Result) -> Mapping[str, Any]:
    """Of a file that was made; as in the ledger of a backup, which `verify` reads."""
    facts, status = result.facts, Path(result.output).stat()
    return {
        "file": Path(result.output).relative_to(out).as_posix(),
        "status": word_of("compress", result.status, facts),
        "state": [status.st_size, status.st_mtime_ns],
        "before": facts["before"],
        "after": facts["after"],
        "max_error": facts["max_error"],
        "frames": facts["frame_sha256"],
        "sha256": facts["sha256"],
    }


def foretell_all(files: Files, place: Place, target: Target) -> Iterator[Result]:
    """The result that `compress_all` would have for every file but links and DICOMDIRs; `place`: `foreseen_place`."""
    out = Path(place.folder)
    plan = FilePlan(files.series, files.others, _Compress(out, target), place)
    for step in plan.jobs():
        result = foretold_file(_job(step, out, files), target, force=place.force)
        yield from plan.standing()
        yield result
    yield from plan.standing()


@dataclass(frozen=True)
class _Compress:
    """The verb as the ledger needs it."""

    out: Path
    target: Target
    name: str = "compress"

    @property
    def options(self) -> Mapping[str, Any]:
        return self.target.to_json()

    def standing(self, pieces: Sequence[tuple[Piece, str]], before: Record) -> Iterator[Result]:
        for piece, left_out in pieces:
            status = Status.SKIPPED if left_out else Status.UNCHANGED
            yield Result(piece.source.name, status, left_out, str(self.out / piece.output))

    def reason(self, result: Result) -> str:
        return result.reason

    def alias(self, piece: Piece) -> str:
        return piece.output

    def describe(
        self, series: FileSeries, results: Sequence[Result], before: Record | None
    ) -> Mapping[str, Any]:
        counts = Counter(word_of("compress", each.status, each.facts) for each in results)
        failed = [each for each in results if each.has_failed]
        notes = Counter(_note(each) for each in results if each.status == Status.DONE and each.reason)
        left_out = Counter(each.reason for each in results if each.status == Status.SKIPPED)
        sizes = {str(self.out / piece.output): piece.size for piece in series.pieces}
        there = [each for each in results if each.is_there]
        facts = {
            "files": len(series.pieces),
            "bytes_before": sum(sizes[each.output] for each in there),
            **_measured(results, before, len(series.pieces)),
        }
        return {
            "counts": dict(sorted(counts.items())),
            "facts": {**facts, **({"left_out": dict(left_out)} if left_out else {})},
            "warnings": tuple(f"{count} {said}" for said, count in notes.items()),
            "reason": _reason(failed, len(series.pieces)) or "; ".join(left_out),
        }

    def preview(self, piece: Piece) -> Mapping[str, Any]:
        return preview_of_file(self.out / piece.output)


def _note(result: Result) -> str:
    """Return what is said of a file that was made, but not as asked."""
    is_compressed = "after" in result.facts and "how" not in result.facts
    return f"as {result.facts['after']}: {result.reason}" if is_compressed else f"copied: {result.reason}"


def _measured(results: Sequence[Result], before: Record | None, total: int) -> dict[str, Any]:
    """Syntaxes, and the worst that was lost in the files that were `measured`, those of earlier runs included."""
    done = [each.facts for each in results if each.status == Status.DONE and "how" not in each.facts]
    written = [facts for facts in done if "after" in facts]
    earlier = {} if before is None else before.facts
    if not written:
        return {name: earlier[name] for name in _MEASURES if name in earlier}
    errors = [fact["max_error"] for fact in written]
    noises = [fact["psnr"] for fact in written if fact["psnr"] is not None]
    if len(written) < total and "measured" in earlier:
        errors.append(float(earlier.get("max_error", 0.0)))
        noises += [float(earlier["psnr"])] if "psnr" in earlier else []
    measured = min(total, len(written) + int(earlier.get("measured", 0)))
    ways = sorted({f"{fact['before']} → {fact['after']}" for fact in written} | set(earlier.get("ways", ())))
    worst: dict[str, Any] = {"max_error": max(errors)} if max(errors) else {}
    units = {fact["unit"] for fact in written if fact.get("unit")} or {earlier.get("unit", "")}
    worst |= {"unit": units.pop()} if worst and len(units) == 1 else {}
    lowest = {"psnr": round(min(noises), 2)} if noises and math.isfinite(min(noises)) else {}
    return {"ways": ways, "measured": measured, **worst, **lowest}


_MEASURES = ("ways", "measured", "max_error", "unit", "psnr")


def _reason(failed: Sequence[Result], total: int) -> str:
    if not failed:
        return ""
    named = "; ".join(f"{each.unit}: {each.reason}" for each in failed[:_NAMED])
    more = f"; and {len(failed) - _NAMED} more" if len(failed) > _NAMED else ""
    return f"{len(failed)} of {total} files: {named}{more}"


_NAMED = 5
"""Failed files that the record names one by one."""


def _free(path: PurePath, taken: set[str]) -> str:
    """`path`, numbered where another source has it: `a/../b` and `b` of one zip."""
    free, number = path.as_posix(), 1
    while free in taken:
        number += 1
        free = path.with_name(f"{path.name} ({number})").as_posix()
    taken.add(free)
    return free


def _folder(names: Sequence[str]) -> str:
    """The deepest folder that holds them all."""
    folders = {PurePath(name).parent for name in names}
    first = min(folders, key=lambda folder: len(folder.parts))
    for candidate in (first, *first.parents):
        if all(folder == candidate or candidate in folder.parents for folder in folders):
            return candidate.as_posix()
    return "."
