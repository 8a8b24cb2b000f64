"""A whole location de-identified into a folder: each object apart, on any engine, the same again for the same key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from hounsfield.batch import Engine, run_each, threads
from hounsfield.deidentification.identity import Pseudonyms
from hounsfield.deidentification.objects import deidentify_object
from hounsfield.deidentification.profile import Profile
from hounsfield.errors import HounsfieldError, NotDicomError, UnsupportedError
from hounsfield.instance import Source
from hounsfield.locations import FolderSink

AT_ONCE = 16
"""Objects handed to a worker together: handing over costs as much as a small object."""

SHORTEST_KEY = 16
"""Bytes of a key; fewer could be guessed, and with it whoever is in the data."""


@dataclass(frozen=True)
class Treated:
    """What became of one object: "made", "present" (made before), "left out" or "failed", and `reason`."""

    name: str
    status: str
    reason: str = ""
    output: str = ""
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class _Work:
    profile: Profile
    key: bytes
    out: Path

    def __call__(self, sources: tuple[Source, ...]) -> list[Treated]:
        pseudonyms, sink = Pseudonyms(self.key), FolderSink(self.out)
        return [self._one(source, pseudonyms, sink) for source in sources]

    def _one(self, source: Source, pseudonyms: Pseudonyms, sink: FolderSink) -> Treated:
        try:
            made = deidentify_object(source, self.profile, pseudonyms)
        except NotDicomError as error:
            return Treated(source.name, "left out", error.found)
        except HounsfieldError as error:
            return Treated(source.name, "failed", str(error).removeprefix(f"{source.name}: "))
        if made.reason:
            return Treated(source.name, "left out", made.reason)
        stored = sink.write(made.content, study=made.study, series=made.series, instance=made.instance)
        status = {"stored": "made", "present": "present"}.get(stored.status, "failed")
        return Treated(source.name, status, stored.reason or "", stored.where or "", dict(made.counts))


def deidentify(
    sources: Iterable[Source],
    out: Path,
    *,
    key: bytes,
    profile: Profile | None = None,
    engine: Engine | None = None,
) -> Iterator[Treated]:
    """Write each object of `sources` to `out` as study/series/instance.dcm by its new UIDs; yields what became of it.

    `key` decides on UIDs, pseudonyms and shifts: keep it secret, and the same for data that belong together. Objects
    that cannot be made anonymous by their attributes are left out. Raises `UnsupportedError` for a key too short.
    """
    if len(key) < SHORTEST_KEY:
        raise UnsupportedError(f"a key of {len(key)} bytes", expected=f"at least {SHORTEST_KEY}")
    work = _Work(profile or Profile(), key, out.absolute())
    for finished in run_each(work, _packs(sources), engine or threads()):
        if finished.value is not None:
            yield from finished.value
        else:
            yield from (Treated(source.name, "failed", str(finished.error)) for source in finished.item)


def _packs(sources: Iterable[Source]) -> Iterator[tuple[Source, ...]]:
    drawn = iter(sources)
    while pack := tuple(islice(drawn, AT_ONCE)):
        yield pack


def summary(treated: Iterable[Treated], profile: Profile) -> dict[str, Any]:
    """Counts alone, nothing that names a source: it may lie beside the data."""
    statuses: Counter[str] = Counter()
    reasons: Counter[str] = Counter()
    done: Counter[str] = Counter()
    for each in treated:
        statuses[each.status] += 1
        if each.status == "left out":
            reasons[each.reason] += 1
        done.update(each.counts)
    return {
        "objects": dict(statuses),
        "left_out": dict(reasons),
        "attributes": dict(done),
        "profile": [{"code": code, "meaning": meaning} for code, meaning in profile.codes],
    }
