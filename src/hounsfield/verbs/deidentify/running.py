"""A whole location de-identified into a folder: each object apart, on any engine, the same again for the same key."""

from __future__ import annotations

import dataclasses
import functools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

from hounsfield.ct.instance import BytesSource, Source
from hounsfield.dicomweb.uids import is_uid
from hounsfield.errors import HounsfieldError, NotDicomError, UnsupportedError
from hounsfield.language import say
from hounsfield.locations import Delivered, open_destination
from hounsfield.outputs import whole_file, writing_below
from hounsfield.outputs.results import word_of
from hounsfield.runs import Engine, FilePlan, Piece, Place, Result, Status, Step, run, run_each, threads
from hounsfield.verbs.deidentify.identity import Pseudonyms
from hounsfield.verbs.deidentify.objects import Deidentified, deidentify_object
from hounsfield.verbs.deidentify.profile import Profile
from hounsfield.verbs.deidentify.records import Unnamed, unnamed_series
from hounsfield.verbs.deidentify.review import Review

AT_ONCE = 16
"""Objects handed to a worker together: handing over costs as much as a small object."""

NAMED_BY_FOLDER = "named by folder"
"""The fact that the name of the folder of outputs names a patient."""

SHORTEST_KEY = 16
"""Bytes of a key; fewer could be guessed, and with it whoever is in the data."""


@dataclass(frozen=True)
class _Work:
    profile: Profile
    key: bytes
    out: Path
    force: bool = False

    def __call__(self, steps: tuple[Step, ...]) -> list[Result]:
        pseudonyms = Pseudonyms(self.key)
        return [self._one(step, pseudonyms) for step in steps]

    def _one(self, step: Step, pseudonyms: Pseudonyms) -> Result:
        source = step.piece.source
        try:
            made = deidentify_object(source, self.profile, pseudonyms)
            if made.reason:
                return Result(source.name, Status.SKIPPED, made.reason)
            result = self._written(step, made)
            names = made.names(self.out.name)
            return dataclasses.replace(result, facts={**result.facts, NAMED_BY_FOLDER: names})
        except NotDicomError as error:
            return Result(source.name, Status.SKIPPED, error.found)
        except HounsfieldError as error:
            reason = str(error).removeprefix(f"{source.name}: ")
            return Result(source.name, Status.FAILED, reason, facts={"kind": type(error).__name__})

    def _written(self, step: Step, made: Deidentified) -> Result:
        output, name = f"{made.study}/{made.series}/{made.instance}.dcm", step.piece.source.name
        facts = {"counts": dict(made.counts), "review": made.review}
        path = self.out / output
        is_ours = self.force or (step.replace and output == step.piece.output)
        if is_ours and all(map(is_uid, (made.study, made.series, made.instance))):
            with whole_file(path, force=True) as temporary:
                temporary.write_bytes(made.content)
            return Result(name, Status.DONE, output=str(path), facts=facts)
        source = BytesSource(made.instance, made.content)
        instance = Delivered(made.study, made.series, made.instance, source, len(made.content))
        (stored,) = open_destination(self.out).write([instance])
        if stored.has_failed:
            return replace(stored, unit=name, status=Status.FAILED, facts={"kind": str(stored.status)})
        return replace(stored, unit=name, bytes=0, facts=facts)


def deidentify(
    sources: Iterable[Source],
    out: Path,
    *,
    key: bytes,
    profile: Profile | None = None,
    engine: Engine | None = None,
    place: Place | None = None,
    fail_fast: bool = False,
    on_series: Callable[[Result], None] = lambda result: None,
) -> Iterator[Result]:
    """Write each object of `sources` to `out` as study/series/instance.dcm by its new UIDs; yields the result.

    `key` decides on UIDs, pseudonyms and shifts: keep it secret, and the same for data that belong together. Objects
    that cannot be made anonymous by their attributes are left out. With a `place` (`runs.report.open_place` of
    `out`) there is a ledger: what is unchanged and still there is not opened again, and `on_series` gets each series;
    nothing in it says whose it is. With `fail_fast` nothing is begun after the first failure. Raises
    `UnsupportedError` for a key too short, `LocationError` when the ledger cannot be written.
    """
    if len(key) < SHORTEST_KEY:
        raise UnsupportedError(
            say("a key of {count} bytes", count=len(key)),
            expected=say("at least {shortest_key}", shortest_key=SHORTEST_KEY),
        )
    profile, engine = profile or Profile(), engine or threads()
    work = _Work(profile, key, out.absolute(), place is not None and place.force)
    doing = functools.partial(_in_packs, work=work, engine=engine, fail_fast=fail_fast)
    if place is None:
        for _, result in doing(Step(Piece(source, "")) for source in sources):
            yield result
        return
    pseudonyms = Pseudonyms(key)
    series, others = unnamed_series(sources, profile, pseudonyms, content=place.content)
    plan = FilePlan(series, others, Unnamed(profile, pseudonyms, work.out), place, on_series)
    outputs = (work.out / piece.output for each in series for piece in each.pieces)
    with writing_below(work.out, outputs):
        yield from run(plan, doing)


def _in_packs(
    steps: Iterator[Step], work: _Work, engine: Engine, fail_fast: bool
) -> Iterator[tuple[str, Result]]:
    """The output of each step with its result."""
    for finished in run_each(work, _packs(steps), engine, fail_fast=fail_fast, fails=_any_failed):
        results = finished.value
        if results is None:
            names = [step.piece.source.name for step in finished.item]
            lost = {"kind": "lost"}
            results = [Result(name, Status.FAILED, str(finished.error), facts=lost) for name in names]
        yield from zip((step.piece.output for step in finished.item), results, strict=True)


def _any_failed(results: list[Result]) -> bool:
    return any(each.has_failed for each in results)


def _packs(steps: Iterator[Step]) -> Iterator[tuple[Step, ...]]:
    while pack := tuple(islice(steps, AT_ONCE)):
        yield pack


@dataclass
class Summary:
    """Counts and kept texts, nothing that names a source: it may lie beside the data.

    `is_told`: the name of the folder tells whose some object is; not in `to_json`, which goes with it. Statuses are
    counted by the words of `deidentify`.
    """

    profile: Profile
    statuses: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    review: Review = field(default_factory=Review)
    is_told: bool = False

    def add(self, result: Result) -> None:
        self.is_told |= result.facts.get(NAMED_BY_FOLDER, False)
        self.statuses[word_of("deidentify", result.status)] += 1
        if result.status == Status.SKIPPED:
            self.reasons[result.reason] += 1
        self.done.update(result.facts.get("counts", {}))
        self.review.add(result.facts.get("review", Review()))

    def to_json(self) -> dict[str, Any]:
        return {
            "objects": dict(self.statuses),
            "left_out": dict(self.reasons),
            "attributes": dict(self.done),
            "profile": [{"code": code, "meaning": meaning} for code, meaning in self.profile.codes],
            "included": list(self.profile.include),
            **self.review.to_json(),
        }
