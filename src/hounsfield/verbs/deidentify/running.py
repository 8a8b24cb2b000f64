"""A whole location de-identified into a folder: each object apart, on any engine, the same again for the same key."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from hounsfield.ct.instance import BytesSource, Source
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import HounsfieldError, NotDicomError, UnsupportedError
from hounsfield.locations import Delivered, open_destination
from hounsfield.outputs import whole_file, writing_below
from hounsfield.runs import Answer, Engine, Piece, Piecework, Place, Step, run_each, threads
from hounsfield.verbs.deidentify.identity import Pseudonyms
from hounsfield.verbs.deidentify.objects import Deidentified, deidentify_object
from hounsfield.verbs.deidentify.profile import Profile
from hounsfield.verbs.deidentify.records import Treated, Unnamed, unnamed_series
from hounsfield.verbs.deidentify.review import Review

AT_ONCE = 16
"""Objects handed to a worker together: handing over costs as much as a small object."""

SHORTEST_KEY = 16
"""Bytes of a key; fewer could be guessed, and with it whoever is in the data."""


@dataclass(frozen=True)
class _Work:
    profile: Profile
    key: bytes
    out: Path
    force: bool = False

    def __call__(self, steps: tuple[Step, ...]) -> list[Treated]:
        pseudonyms = Pseudonyms(self.key)
        return [self._one(step, pseudonyms) for step in steps]

    def _one(self, step: Step, pseudonyms: Pseudonyms) -> Treated:
        source = step.piece.source
        try:
            made = deidentify_object(source, self.profile, pseudonyms)
            if made.reason:
                return Treated(source.name, "left out", made.reason)
            return dataclasses.replace(self._written(step, made), is_told=made.names(self.out.name))
        except NotDicomError as error:
            return Treated(source.name, "left out", error.found)
        except HounsfieldError as error:
            reason = str(error).removeprefix(f"{source.name}: ")
            return Treated(source.name, "failed", reason, kind=type(error).__name__)

    def _written(self, step: Step, made: Deidentified) -> Treated:
        output, counts = f"{made.study}/{made.series}/{made.instance}.dcm", dict(made.counts)
        path = self.out / output
        is_ours = self.force or (step.replace and output == step.piece.output)
        if is_ours and all(map(is_uid, (made.study, made.series, made.instance))):
            with whole_file(path, force=True) as temporary:
                temporary.write_bytes(made.content)
            return Treated(step.piece.source.name, "made", "", str(path), counts, review=made.review)
        source = BytesSource(made.instance, made.content)
        instance = Delivered(made.study, made.series, made.instance, source, len(made.content))
        (stored,) = open_destination(self.out).write([instance])
        status = {"stored": "made", "present": "present"}.get(stored.status, "failed")
        name, reason, where = step.piece.source.name, stored.reason or "", stored.where or ""
        if status == "failed":
            return Treated(name, status, reason, where, kind=stored.status)
        return Treated(name, status, reason, where, counts, review=made.review)


def deidentify(
    sources: Iterable[Source],
    out: Path,
    *,
    key: bytes,
    profile: Profile | None = None,
    engine: Engine | None = None,
    place: Place | None = None,
    fail_fast: bool = False,
    hear: Callable[[Answer], None] = lambda answer: None,
) -> Iterator[Treated]:
    """Write each object of `sources` to `out` as study/series/instance.dcm by its new UIDs; yields what became of it.

    `key` decides on UIDs, pseudonyms and shifts: keep it secret, and the same for data that belong together. Objects
    that cannot be made anonymous by their attributes are left out. With a `place` (`runs.report.open_place` of
    `out`) there is a ledger: what is unchanged and still there is not opened again, and `hear` is told of each series;
    nothing in it says whose it is. With `fail_fast` nothing is begun after the first failure. Raises
    `UnsupportedError` for a key too short, `LocationError` when the ledger cannot be written.
    """
    if len(key) < SHORTEST_KEY:
        raise UnsupportedError(f"a key of {len(key)} bytes", expected=f"at least {SHORTEST_KEY}")
    profile, engine = profile or Profile(), engine or threads()
    work = _Work(profile, key, out.absolute(), place is not None and place.force)
    if place is None:
        steps: Iterator[Step] = (Step(Piece(source, "")) for source in sources)
        for _, treated in _treated(work, steps, engine, fail_fast):
            yield treated
        return
    pseudonyms = Pseudonyms(key)
    series, others = unnamed_series(sources, profile, pseudonyms, content=place.content)
    records: Piecework[Treated] = Piecework(Unnamed(profile, pseudonyms, work.out), place, hear)
    outputs = (work.out / piece.output for each in series for piece in each.pieces)
    with writing_below(work.out, outputs), closing(records):
        for step, treated in _treated(work, records.steps(series, others), engine, fail_fast):
            yield from records.standing()
            records.settle(step.piece.output, treated)
            yield treated
        yield from records.standing()


def _treated(
    work: _Work, steps: Iterator[Step], engine: Engine, fail_fast: bool
) -> Iterator[tuple[Step, Treated]]:
    """Each step with what became of it."""
    for finished in run_each(work, _packs(steps), engine, fail_fast=fail_fast, fails=_any_failed):
        told = finished.value
        if told is None:
            reason = str(finished.error)
            told = [Treated(step.piece.source.name, "failed", reason, kind="lost") for step in finished.item]
        yield from zip(finished.item, told, strict=True)


def _any_failed(told: list[Treated]) -> bool:
    return any(each.status == "failed" for each in told)


def _packs(steps: Iterator[Step]) -> Iterator[tuple[Step, ...]]:
    while pack := tuple(islice(steps, AT_ONCE)):
        yield pack


@dataclass
class Summary:
    """Counts and kept texts, nothing that names a source: it may lie beside the data.

    `is_told`: the name of the folder tells whose some object is; not in `to_json`, which goes with it.
    """

    profile: Profile
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    review: Review = field(default_factory=Review)
    is_told: bool = False

    def add(self, treated: Treated) -> None:
        self.is_told |= treated.is_told
        self.statuses[treated.status] += 1
        if treated.status == "left out":
            self.reasons[treated.reason] += 1
        self.done.update(treated.counts)
        self.review.add(treated.review)

    def to_json(self) -> dict[str, Any]:
        return {
            "objects": dict(self.statuses),
            "left_out": dict(self.reasons),
            "attributes": dict(self.done),
            "profile": [{"code": code, "meaning": meaning} for code, meaning in self.profile.codes],
            "included": list(self.profile.include),
            **self.review.to_json(),
        }
