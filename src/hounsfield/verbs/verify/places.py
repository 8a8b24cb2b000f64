"""Two places held against each other, file by file: proof, later, that nothing was lost on the way from one to the
other. Knows nothing of how the second was made.

Files are paired by their names below both places, then by SOP Instance UID, that of the image it was derived from
where one was compressed with loss. In memory are the files under way, and of each that has no namesake its name.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hounsfield.ct.instance import FileSource, Skipped, Source
from hounsfield.ct.instance.reading import read_dataset, read_header
from hounsfield.errors import HounsfieldError
from hounsfield.locations import Location, Staging
from hounsfield.locations.archives.names import why_not_an_image
from hounsfield.locations.dicomdir_writing import rebuilt
from hounsfield.locations.naming import relative_name
from hounsfield.locations.tree import is_directory_file, tree_sources
from hounsfield.outputs.results import status_of, word_of
from hounsfield.runs import Engine, Pace, Result, available_cores, run_each, threads
from hounsfield.runs.digest import size_of_source
from hounsfield.transcode.proving import Proof, compare

COLUMNS = (
    "status",
    "old",
    "new",
    "sop_instance_uid",
    "new_sop_instance_uid",
    "frame",
    "old_sha256",
    "new_sha256",
    "max_error",
    "unit",
    "attributes",
    "reason",
)
"""Of the audit, a row for each frame; a file without frames has one row."""


@dataclass(frozen=True, slots=True)
class Pair:
    """One file of the old place, one of the new, or only one of them; `name` is that of the old where there is one."""

    name: str
    old: Source | None
    new: Source | None


def compare_all(
    old: Location,
    new: Location,
    *,
    engine: Engine | None = None,
    pace: Pace | None = None,
    skipped: list[Skipped] | None = None,
) -> Iterator[Result]:
    """Each file of both places, in no order. `skipped` takes what no file can be made of.

    `UNCHANGED`: the same, or, where the fact `how` is "lossy", derived with loss, as of `Proof`. `FAILED`: cannot be
    read or decoded; "different" as of `Proof`; "missing": an instance that the new place does not have. `SKIPPED`: no
    instance, and not in the new place; "extra": only in the new place. The facts `old` and `new` are the names of both
    files, `proof` the `Proof`.
    """
    pace = pace or Pace()
    engine = engine or threads(available_cores())
    if engine.name == "threads":
        engine = pace.stopping(engine)
    jobs = pace.each(_pairs(old, new, [] if skipped is None else skipped), _size)
    for finished in run_each(compare_pair, jobs, engine):
        yield finished.value or _result(finished.item, "failed", reason=str(finished.error))


def compare_pair(pair: Pair) -> Result:
    """One pair; never raises for what is wrong with it."""
    try:
        if pair.old is None:
            return _result(pair, "extra")
        if pair.new is None:
            return _without_twin(pair, pair.old)
        if isinstance(pair.old, FileSource) and isinstance(pair.new, FileSource):
            paths = pair.old.path, pair.new.path
            if all(map(is_directory_file, paths)) and paths[1].read_bytes() == rebuilt(
                paths[0], paths[1].parent
            ):
                return _result(pair, "same", reason="a DICOMDIR that tells of the files beside it")
        proof = compare(pair.old, pair.new)
        return _result(pair, proof.status, proof=proof, reason=proof.reason)
    except HounsfieldError as error:
        return _result(pair, "failed", reason=str(error))
    except OSError as error:
        return _result(pair, "failed", reason=error.strerror or str(error))


def write_audit(results: Iterable[Result], stream: IO[str]) -> Iterator[Result]:
    """Hand on the results, a row for each frame of it written as CSV."""
    writer = csv.DictWriter(stream, COLUMNS)
    writer.writeheader()
    for each in results:
        writer.writerows(rows_of(each))
        yield each


def rows_of(result: Result) -> Iterator[dict[str, Any]]:
    """The rows of one file in the audit."""
    facts = result.facts
    proof = facts["proof"] or Proof("same")
    row: dict[str, Any] = {
        "status": word_of("verify", result.status, facts),
        "old": facts["old"],
        "new": facts["new"],
        "sop_instance_uid": proof.uid,
        "new_sop_instance_uid": proof.new_uid,
        "unit": proof.unit,
        "attributes": " ".join(proof.attributes),
        "reason": result.reason,
    }
    if not proof.frames:
        yield row
    for number, frame in enumerate(proof.frames, start=1):
        hashes = {"frame": number, "old_sha256": frame.old, "new_sha256": frame.new}
        yield row | hashes | {"max_error": f"{frame.max_error:g}"}


def _result(pair: Pair, word: str, *, proof: Proof | None = None, reason: str = "") -> Result:
    old, new = ("" if source is None else source.name for source in (pair.old, pair.new))
    return compared(pair.name, word, old, new, proof, reason)


def compared(
    name: str, word: str, old: str = "", new: str = "", proof: Proof | None = None, reason: str = ""
) -> Result:
    """The result of a comparison, by the word that `verify` has for it."""
    facts = {"how": word, "old": old, "new": new, "proof": proof}
    return Result(name, status_of("verify", word), reason, new, facts=facts)


def _without_twin(pair: Pair, old: Source) -> Result:
    """Missing, if it is an instance: other files need not come along."""
    try:
        read_header(old)
    except HounsfieldError as error:
        return _result(pair, "left out", reason=error.found)
    if isinstance(old, FileSource) and is_directory_file(old.path):
        return _result(pair, "left out", reason="a directory of a file-set")
    return _result(pair, "missing", reason="no file of this name, and none of its SOP Instance UID")


def _size(pair: Pair) -> int:
    try:
        return sum(size_of_source(source) for source in (pair.old, pair.new) if source is not None)
    except HounsfieldError:
        return 0  # it will say so when it is its turn


class Side:
    """One of the places: its files by name; a folder is asked for them, of any other place a list is kept."""

    def __init__(self, place: Location, skipped: list[Skipped]) -> None:
        self.place, self.skipped = place, skipped
        self.folder = Path(place.name) if isinstance(place, Staging) else None
        self._listed = None if self.folder is not None else dict(self._walked())

    def files(self) -> Iterator[tuple[str, Source]]:
        return iter(self._listed.items()) if self._listed is not None else self._walked()

    def get(self, name: str) -> Source | None:
        if self._listed is not None:
            return self._listed.get(name)
        assert self.folder is not None
        path = self.folder / name
        return FileSource(path) if path.is_file() and not path.is_symlink() else None

    def _walked(self) -> Iterator[tuple[str, Source]]:
        found = self.place.sources() if self.folder is None else tree_sources(self.folder, directories=True)
        for source in found:
            if isinstance(source, Skipped):
                self.skipped.append(source)
            elif not _is_record(source.name):
                yield relative_name(source, self.place).as_posix(), source


def _is_record(name: str) -> bool:
    """Return whether it is what a run left of itself."""
    return why_not_an_image(name.rpartition("/")[2]) == "the record of an earlier run"


def _pairs(old: Location, new: Location, skipped: list[Skipped]) -> Iterator[Pair]:
    one, other = Side(old, skipped), Side(new, skipped)
    alone: list[tuple[str, Source]] = []
    for name, source in one.files():
        twin = other.get(name)
        if twin is not None:
            yield Pair(name, source, twin)
        else:
            alone.append((name, source))
    rest = ((name, source) for name, source in other.files() if one.get(name) is None)
    if not alone:
        yield from (Pair(name, None, source) for name, source in rest)
        return
    by_uid: dict[str, Source] = {}
    others: list[Source] = []
    for _, source in rest:
        uid = _uid_of_original(source)
        if by_uid.setdefault(uid, source) is not source:
            others.append(source)
    if "" in by_uid:
        others.append(by_uid.pop(""))
    for name, source in alone:
        yield Pair(name, source, by_uid.pop(_uid(source), None))
    yield from (Pair(source.name, None, source) for source in [*by_uid.values(), *others])


def _uid(source: Source) -> str:
    try:
        return read_header(source).text("SOPInstanceUID")
    except HounsfieldError:
        return "no instance"


def _uid_of_original(source: Source) -> str:
    """Its own SOP Instance UID; of an image that was compressed with loss that of the one that it was before."""
    try:
        header = read_header(source)
        if header.text("LossyImageCompression") == "01":
            images = read_dataset(source).get("SourceImageSequence")
            if images and (uid := images[-1].get("ReferencedSOPInstanceUID")):
                return str(uid)
        return header.text("SOPInstanceUID")
    except HounsfieldError:
        return ""
