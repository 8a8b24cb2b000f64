"""Is a volume really HU, and does it lie where its DICOM says? One volume against the series of a location.

The series is found by shape, by where the file lies, and by its values; a volume alone is judged by physics. Nothing
is changed: `fix` writes another file, from the DICOM.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.agreement import (
    Alignment,
    Grid,
    Placement,
    ValueAgreement,
    align,
    alignments,
    compare_values,
    likeness,
    place,
)
from hounsfield.ct.plausibility import Physics, Plausibility, judge_array
from hounsfield.ct.series import LoadOptions, Series
from hounsfield.ct.series.assembly import allocate, convert_into
from hounsfield.ct.series.phases import Phase
from hounsfield.ct.volume import Volume
from hounsfield.errors import HounsfieldError, SelectionError
from hounsfield.formats import write_volume
from hounsfield.language import say, translated
from hounsfield.locations import Location
from hounsfield.locations.volume_files import VolumeFile, is_volume, open_volume
from hounsfield.verbs.load import Scan, load, scan

MOST_COMPARED = 8
"""Series of the right shape that are held against a volume slice by slice, the nearest first."""

_BETTER = (
    0.001  # of correlation, by which another alignment must fit better than the one that the affine asks for
)
_HEAD = 1024
_RANK = ("equal", "padded", "rounded", "clipped", "noise")

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Candidate:
    """One volume of a series that a file may have been made of."""

    series: Series
    number: int
    phase: Phase

    @property
    def shape(self) -> tuple[int, int, int]:
        """(slices, rows, columns)"""
        rows, columns = self.phase.slices[0].shape
        return len(self.phase.slices), rows, columns

    @property
    def name(self) -> str:
        return f"{self.series.name}, {self.phase.label}" if self.phase.label else self.series.name

    @property
    def rescale(self) -> tuple[float, float]:
        """Slope and intercept of the first slice; 1 and 0 under a table."""
        rescale = self.phase.slices[0].plane.rescale
        return (1.0, 0.0) if rescale.lut is not None else (rescale.slope, rescale.intercept)

    @property
    def grid(self) -> Grid:
        plane = self.phase.slices[0].plane
        assert plane.orientation is not None and plane.spacing is not None  # or it were no phase
        orientation = np.array(plane.orientation)
        down, across = orientation[3:] * plane.spacing[0], orientation[:3] * plane.spacing[1]
        return Grid(np.asarray(self.phase.stack.positions), down, across, self.shape)

    def values(self, chosen: Sequence[int] | None = None) -> NDArray[Any]:
        """HU before any clamp, float32 (slices, rows, columns), of all slices or of those."""
        slices = self.phase.slices if chosen is None else tuple(self.phase.slices[index] for index in chosen)
        array = allocate((len(slices), *self.shape[1:]), "float32")
        options = LoadOptions(dtype="float32", clamp=False)
        convert_into(array, slices, tuple(range(len(slices))), self.series.unit, options)
        return array


@dataclass(frozen=True)
class Subject:
    """The volume that is looked at: `values` as its file has them, `affine` (slice, row, column, 1) → LPS mm."""

    name: str
    values: NDArray[Any]
    affine: Floats | None
    spacing: tuple[float, float, float] | None = None

    @property
    def plausibility(self) -> Plausibility:
        """Return what the numbers alone say of being HU, by at most twelve slices."""
        return judge_array(self.values, self.spacing)


@dataclass(frozen=True)
class Checked:
    """The result of checking one volume. Without a location `values`, `geometry` and `series` are None."""

    name: str
    shape: tuple[int, int, int]
    plausibility: Plausibility
    series: Candidate | None = None
    alignment: Alignment | None = None
    values: ValueAgreement | None = None
    geometry: Placement | None = None

    @property
    def is_right(self) -> bool:
        """Equal to its DICOM and at its place; without DICOM, plausible."""
        if self.values is None or self.geometry is None:
            return self.plausibility.verdict is Physics.PLAUSIBLE
        return self.values.is_equal and self.geometry.is_equal

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values."""
        values, geometry, series = self.values, self.geometry, self.series
        return {
            "volume": self.name,
            "shape": list(self.shape),
            "right": self.is_right,
            "values": values and _plain(values, ("verdict", "slope", "offset", "largest")),
            "geometry": geometry and _plain(geometry, ("verdict", "largest_mm")),
            "axes": self.alignment
            and {"axes": list(self.alignment.axes), "flipped": list(self.alignment.flipped)},
            "series": series
            and {"SeriesInstanceUID": series.series.uid, "name": series.name, "phase": series.number},
            "plausibility": self.plausibility.to_json(),
        }


def check(
    volume: str | PathLike[str] | Volume,
    location: str | PathLike[str] | Location | Scan | None = None,
    *,
    series: str | int | None = None,
    phase: int | None = None,
) -> Checked:
    """Hold a volume against the series of `location` that it was made of; without one, against physics alone.

    `volume`: a file (`.nii.gz`, `.nrrd`, `.mha`, `.npy`, `.zarr`), any other location, or a `Volume`. `series` and
    `phase` choose from the location, else every series of its shape is tried; `phase` chooses from a file of four
    dimensions too. Raises `SelectionError`, with the nearest, where no series has its shape or is like it, and
    whatever reading raises.
    """
    subject = subject_of(volume, phase)
    shape: Any = subject.values.shape
    judged = subject.plausibility
    if location is None:
        return Checked(subject.name, shape, judged)
    found = location if isinstance(location, Scan) else scan(location)
    return _held_against(subject, candidates_of(found, series, phase), judged, found.location)


def subject_of(volume: str | PathLike[str] | Volume, phase: int | None = None) -> Subject:
    """The volume to be looked at, its values untouched. Raises whatever reading raises."""
    if isinstance(volume, Volume):
        return Subject("the volume", volume.array, volume.affine, volume.spacing)
    path = Path(volume).expanduser()
    if path.exists() and is_volume(path, _head(path)):
        return _of_file(open_volume(path), phase)
    loaded = load(volume, phase=phase, dtype="float32", clamp=False)
    return Subject(str(volume), loaded.array, loaded.affine, loaded.spacing)


def _head(path: Path) -> bytes:
    if path.is_dir():
        return b""
    with path.open("rb") as stream:
        return stream.read(_HEAD)


def _of_file(file: VolumeFile, phase: int | None) -> Subject:
    count = file.layout.shape[0]
    if phase is None and count > 1:
        raise SelectionError(
            say("{count} volumes in it", count=count),
            where=file.name,
            remedy=say("choose one with phase=0 … {number} (--phase)", number=count - 1),
        )
    if count > 1 and not 0 <= (phase or 0) < count:
        raise SelectionError(
            say("no volume {phase}", phase=phase), expected=f"0 … {count - 1}", where=file.name
        )
    affine = file.layout.affine
    lengths = file.layout.spacing
    if affine is not None:
        step, row, column = (float(mm) for mm in np.linalg.norm(affine[:3, :3], axis=0))
        lengths = (step, row, column)
    return Subject(file.name, file.values((phase or 0) if count > 1 else 0), affine, lengths)


def candidates_of(found: Scan, series: str | int | None = None, phase: int | None = None) -> list[Candidate]:
    """The volumes that a location holds, or those of one series. Raises `SelectionError` for a choice that is none."""
    chosen = found.series if series is None else (found.choose(series),)
    made = [
        Candidate(each, number, part)
        for each in chosen
        for number, part in enumerate(each.phases)
        if phase is None or len(each.phases) == 1 or number == phase
    ]
    if not made:
        found.choose(series)  # says what there is
        raise SelectionError(
            "no series with a place in space", where=found.location, remedy="check the location"
        )
    return made


def _held_against(
    subject: Subject, candidates: Sequence[Candidate], judged: Plausibility, where: str
) -> Checked:
    shape = subject.values.shape
    fitting = [each for each in candidates if sorted(each.shape) == sorted(shape)]
    if not fitting:
        nearest = min(candidates, key=lambda each: abs(np.log(np.prod(each.shape) / np.prod(shape))))
        raise SelectionError(
            say("no series of {sides} voxels in {where}", sides=_sides(shape), where=where),
            where=subject.name,
            expected=say(
                "one; nearest of {count} is {name}, {sides}",
                count=len(candidates),
                name=nearest.name,
                sides=_sides(nearest.shape),
            ),
            remedy="a volume that was cropped or resampled cannot be held against its DICOM voxel by voxel",
        )
    ranked = _ranked(subject, fitting)
    results = []
    for candidate in ranked[:MOST_COMPARED]:
        results.append(compare(subject, candidate, judged))
        if results[-1].is_right:
            break
    best = min(results, key=_quality)
    assert best.values is not None and best.series is not None
    if best.values.verdict == "differs" and len(fitting) > 1:
        raise SelectionError(
            say(
                "none of {count} series of its shape is like it; nearest is {name}: {sentence}",
                count=len(fitting),
                name=best.series.name,
                sentence=best.values.sentence,
            ),
            where=subject.name,
            remedy="name the series with series=… (--series) to see the comparison",
        )
    return best


def _ranked(subject: Subject, fitting: Sequence[Candidate]) -> list[Candidate]:
    """Nearest place first, and among those at one place what three slices are most like."""
    if len(fitting) == 1:
        return list(fitting)

    def rank(candidate: Candidate) -> tuple[float, int, float]:
        alignment = _by_place(subject, candidate)
        placed = place(subject.affine, subject.values.shape, candidate.grid, alignment)
        apart = np.inf if placed.largest_mm is None else round(placed.largest_mm, 1)
        count = candidate.shape[0]
        chosen = sorted({count // 6, count // 2, 5 * count // 6})
        try:
            like = compare_values(
                alignment.apply(subject.values)[chosen], candidate.values(chosen), candidate.rescale
            )
        except HounsfieldError:
            return apart, len(_RANK) + 1, np.inf
        order = _RANK.index(like.verdict) if like.verdict in _RANK else len(_RANK)
        return apart, order, like.largest

    return sorted(fitting, key=rank)


def _quality(checked: Checked) -> tuple[bool, float, float]:
    """The better of two comparisons: values first, then place."""
    assert checked.values is not None and checked.geometry is not None
    apart = checked.geometry.largest_mm
    return checked.values.verdict == "differs", checked.values.largest, np.inf if apart is None else apart


def _by_place(subject: Subject, candidate: Candidate) -> Alignment:
    """The alignment that the file's affine asks for; without one the plainest that fits."""
    shape = subject.values.shape
    asked = None if subject.affine is None else align(subject.affine, shape, candidate.grid)
    return asked or alignments(shape, candidate.shape)[0]


def compare(subject: Subject, candidate: Candidate, judged: Plausibility | None = None) -> Checked:
    """The volume against one series, turned as its affine asks or, where that fits less well, as its values do.

    `judged`: its plausibility, where that is known already. Both have the same lengths, in some order.
    """
    judged = judged or subject.plausibility
    hu = candidate.values()
    shape: Any = subject.values.shape
    alignment = _by_place(subject, candidate)
    values = compare_values(alignment.apply(subject.values), hu, candidate.rescale)
    if not values.is_equal:
        others = {
            each: abs(likeness(each.apply(subject.values), hu)) for each in alignments(shape, candidate.shape)
        }
        best = max(others, key=lambda each: others[each])
        if others[best] > others[alignment] + _BETTER:
            alignment = best
            values = compare_values(alignment.apply(subject.values), hu, candidate.rescale)
    placed = place(subject.affine, shape, candidate.grid, alignment)
    return Checked(subject.name, shape, judged, candidate, alignment, values, placed)


def fix(checked: Checked, out: str | PathLike[str], *, force: bool = False) -> tuple[Path, ...]:
    """Write the volume as it should be, from the DICOM that it was found to be of; the paths that were written.

    Raises `SelectionError` where it was held against none, and what loading and writing raise.
    """
    if checked.series is None:
        raise SelectionError(
            "not held against DICOM", where=checked.name, remedy="give the LOCATION of its DICOM"
        )
    loaded = checked.series.series.load(phase=checked.series.number)
    return write_volume(loaded, Path(out) if "://" not in str(out) else str(out), force=force)


def _plain(item: ValueAgreement | Placement, names: tuple[str, ...]) -> dict[str, Any]:
    facts = {name: _finite(getattr(item, name)) for name in names}
    return {**facts, "sentence": str(item.sentence), "sentence_zh": translated(item.sentence, "zh")}


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _sides(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape))
