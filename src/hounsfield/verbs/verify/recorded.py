"""A tree held against a ledger of files, that of a backup or of `compress --hashes`: when the originals are gone, their
hashes still tell what they held.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hounsfield.ct.instance import Skipped, Source
from hounsfield.errors import HounsfieldError
from hounsfield.locations import Location
from hounsfield.outputs.results import WORDS
from hounsfield.runs import Engine, Pace, Result, Status, available_cores, run_each, threads
from hounsfield.runs.digest import size_of_source
from hounsfield.runs.ledger import read_lines
from hounsfield.transcode.proving import FrameProof, Proof, frame_hashes
from hounsfield.verbs.verify.places import Side, compared


@dataclass(frozen=True, slots=True)
class _Job:
    line: Mapping[str, Any]
    new: Source | None


def compare_recorded(
    ledger: Path,
    new: Location,
    *,
    engine: Engine | None = None,
    pace: Pace | None = None,
    skipped: list[Skipped] | None = None,
) -> Iterator[Result]:
    """Each file that the ledger says was compressed in place, in no order; results as of `compare_all`.

    Frames that were coded with loss cannot have their old hashes: such a file is "lossy" where it is, byte for byte,
    what was swapped then. `SKIPPED` is what was kept as it was, of which the ledger has no hash.
    """
    pace = pace or Pace()
    engine = pace.stopping(engine or threads(available_cores()))
    side = Side(new, [] if skipped is None else skipped)
    doubtful: dict[str, Result] = {}
    jobs = (
        _Job(line, side.get(str(line["file"])))
        for line in read_lines(ledger)
        if isinstance(line.get("file"), str) and line.get("status") in WORDS["compress"]
    )
    for finished in run_each(_compared, pace.each(jobs, _size), engine):
        found = finished.value or compared(
            str(finished.item.line["file"]), "failed", reason=str(finished.error)
        )
        if found.status == Status.UNCHANGED:
            doubtful.pop(found.unit, None)  # an older line of a file that was swapped again
            yield found
        else:
            doubtful[found.unit] = found
    yield from doubtful.values()


def _compared(job: _Job) -> Result:
    name = str(job.line["file"])
    if WORDS["compress"][job.line["status"]] == Status.UNCHANGED:
        return compared(name, "left out", name, reason="was kept as it was; the ledger has no hash of it")
    if job.new is None:
        return compared(name, "missing", name, reason="no file of this name")
    try:
        status, proof, reason = _judged(job.line, job.new)
    except HounsfieldError as error:
        return compared(name, "failed", name, job.new.name, reason=str(error))
    return compared(name, status, name, job.new.name, proof, reason)


def _judged(line: Mapping[str, Any], new: Source) -> tuple[str, Proof, str]:
    old = [str(each) for each in line.get("frames") or ()]
    uid, error = str(line.get("uid") or ""), float(line.get("max_error") or 0)
    with new.open() as stream:
        is_as_swapped = hashlib.sha256(stream.read()).hexdigest() == line.get("sha256")
    if not old:  # a DICOMDIR
        status = "same" if is_as_swapped else "different"
        return status, Proof("same", uid), "" if is_as_swapped else "is not what was swapped for the original"
    now = frame_hashes(new)
    if list(now) == old:
        return "same", Proof("same", uid, frames=tuple(FrameProof(each, each, 0) for each in now)), ""
    frames = tuple(FrameProof(*pair, error) for pair in zip(old, now, strict=False))
    if error and is_as_swapped:
        return "lossy", Proof("lossy", uid, frames=frames), ""
    return (
        "different",
        Proof("different", uid, frames=frames),
        "its frames do not have the hashes of the original's",
    )


def _size(job: _Job) -> int:
    try:
        return 0 if job.new is None else size_of_source(job.new)
    except HounsfieldError:
        return 0
