"""Every volume of a folder held against every series of a location: on threads, processes or a cluster, recorded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from hounsfield.ct.instance import Skipped
from hounsfield.ct.series import Series
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.language import say
from hounsfield.locations.volume_files import is_volume
from hounsfield.outputs import whole_file
from hounsfield.runs import Engine, Finished, Job, Place, Result, Status, Task, run_each, run_series
from hounsfield.verbs.check.volume import Checked, check
from hounsfield.verbs.load import Scan, scan

if TYPE_CHECKING:
    from hounsfield.locations.volumes import VolumeSlice

SUFFIX = ".check.json"
"""Of the result of each volume in a recorded run."""


@dataclass(frozen=True)
class _Check:
    """The work on a volume; plain values, so that it pickles. The location is scanned once a process."""

    location: str | None
    series: str | None = None

    def __call__(self, path: str) -> Checked:
        return self.of(path)

    def of(self, path: str, phase: int | None = None) -> Checked:
        found = None if self.location is None else _scanned(self.location)
        return check(path, found, series=self.series, phase=phase)


@lru_cache(maxsize=2)
def _scanned(location: str) -> Scan:
    return scan(location)


def check_all(
    volumes: Sequence[Path],
    location: str | None,
    engine: Engine,
    *,
    series: str | None = None,
    fail_fast: bool = False,
) -> Iterator[Finished[str, Checked]]:
    """Each volume held against the location; yields what was found, or the error, as each is finished."""
    _scanned.cache_clear()  # what is there now, whatever an earlier call saw
    return run_each(_Check(location, series), map(str, volumes), engine, fail_fast=fail_fast)


def check_recorded(
    found: Scan,
    location: str | None,
    place: Place,
    engine: Engine,
    *,
    series: str | None = None,
    fail_fast: bool = False,
) -> Iterator[Result]:
    """The same as a run with a ledger: a result as JSON for each of the volumes of `found` (`scan_volumes`)."""
    _scanned.cache_clear()
    task = Task(
        "check", _Record(_Check(location, series)), SUFFIX, {"location": location or "", "series": series}
    )
    return run_series(found.series, task, place, engine, fail_fast=fail_fast)


@dataclass(frozen=True)
class _Record:
    """The same work with its result in a file."""

    work: _Check

    def __call__(self, job: Job) -> Result:
        source: VolumeSlice = job.series.slices[0].instance.source  # type: ignore[assignment]
        is_one_of_several = source.file.layout.shape[0] > 1
        found = self.work.of(source.file.name, job.phase if is_one_of_several else None)
        with whole_file(Path(job.target), force=True) as temporary:
            temporary.write_text(json.dumps(found.to_json(), indent=1, ensure_ascii=False), "utf-8")
        said = [each.sentence for each in (found.values, found.geometry) if each is not None]
        said += [] if found.values is not None else found.plausibility.sentences()
        facts = {
            "verdict": "right" if found.is_right else "wrong",
            "shape": found.shape,
            "unit": str(found.plausibility.verdict),
            "warnings": () if found.is_right else tuple(said),
        }
        return Result(job.series.name, Status.DONE, facts=facts)


def scan_volumes(folder: Path, volumes: Sequence[Path]) -> Scan:
    """The volumes of a folder as series; those that cannot be opened are skipped, with reasons."""
    series: list[Series] = []
    skipped: list[Skipped] = []
    for path in volumes:
        try:
            series += scan(path).series
        except HounsfieldError as error:
            error.where = None
            skipped.append(Skipped(str(path), str(error)))
    return Scan(str(folder), tuple(series), tuple(skipped))


def volumes_in(folder: Path) -> list[Path]:
    """Every volume file below a folder, in order of their names. Raises `LocationError` where it cannot be read."""
    found: list[Path] = []

    def refuse(error: OSError) -> None:
        raise LocationError(
            say("cannot be listed: {strerror}", strerror=error.strerror), where=str(error.filename)
        ) from error

    for place_, folders, names in os.walk(folder, onerror=refuse):
        inside = Path(place_)
        zarrs = [name for name in sorted(folders) if is_volume(inside / name, b"")]
        folders[:] = [name for name in sorted(folders) if name not in zarrs]
        found += [inside / name for name in (*zarrs, *sorted(names)) if is_volume(inside / name, b"")]
    return found
