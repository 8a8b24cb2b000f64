"""Measurements of a region in a volume: statistics, lengths, angles, values."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.roi.planes import PlaneRoi, samples
from hounsfield.ct.roi.regions import Kind, Roi
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError
from hounsfield.language import say


@dataclass(frozen=True)
class Statistics:
    """Of the voxels (or samples) inside. `sd` is theirs (divided by their number); `area` their number × one's, mm²."""

    count: int
    mean: float
    sd: float
    minimum: float
    maximum: float
    area: float


@dataclass(frozen=True)
class Measured:
    """A region and what it measures; what does not apply to its kind, or holds no voxel, is None.

    `lps` are the points in mm; `uid` the SOP Instance UID of the slice, "" on a plane across slices; `length` mm,
    `across` that of a second diameter; `angle` degrees. `interpolated`: the numbers are of samples between voxels,
    not of voxels.
    """

    roi: Roi | PlaneRoi
    study: str
    series: str
    uid: str
    unit: str
    lps: tuple[tuple[float, float, float], ...]
    statistics: Statistics | None = None
    value: float | None = None
    length: float | None = None
    across: float | None = None
    angle: float | None = None
    interpolated: bool = False

    def to_json(self) -> dict[str, Any]:
        """As the viewer exports it."""
        out: dict[str, Any] = {
            "kind": self.roi.kind,
            "label": self.roi.label,
            "StudyInstanceUID": self.study,
            "SeriesInstanceUID": self.series,
            "SOPInstanceUID": self.uid,
            "slice": None if isinstance(self.roi, PlaneRoi) else self.roi.slice,
            "points": [list(point) for point in self.roi.points],
            "lps": [list(place) for place in self.lps],
            "unit": self.unit,
        }
        if isinstance(self.roi, PlaneRoi):
            plane = self.roi.plane
            out["plane"] = {name: list(getattr(plane, name)) for name in ("origin", "across", "down")}
            out["samples"] = "interpolated" if self.interpolated else "voxels"
        numbers = {"value": self.value, "length_mm": self.length, "across_mm": self.across}
        numbers["angle_degrees"] = self.angle
        out |= {key: value for key, value in numbers.items() if value is not None}
        if self.statistics is not None:
            out["statistics"] = _statistics_json(self.statistics)
        return out


def measure(volume: Volume, roi: Roi | PlaneRoi) -> Measured:
    """Measure `roi` in `volume`. Raises `GeometryError` for a slice the volume has not."""
    if isinstance(roi, PlaneRoi):
        lps = tuple(roi.plane.lps(*point) for point in roi.points)
        found = samples(volume, roi)
        return _measured(volume, roi, "", lps, found.values, roi.plane.area, not found.are_voxels)
    slices, rows, columns = volume.shape
    if not 0 <= roi.slice < slices:
        raise GeometryError(say("a region on slice {slice}", slice=roi.slice), expected=f"0 … {slices - 1}")
    lps = tuple(_place(volume, roi.slice, point) for point in roi.points)
    inside = volume.array[roi.slice][roi.mask(rows, columns)]
    area = volume.spacing[1] * volume.spacing[2]
    return _measured(volume, roi, volume.uids[roi.slice], lps, inside, area)


def _measured(
    volume: Volume,
    roi: Roi | PlaneRoi,
    uid: str,
    lps: tuple[tuple[float, float, float], ...],
    inside: NDArray[Any],
    area: float,
    interpolated: bool = False,
) -> Measured:
    return Measured(
        roi,
        str(volume.header.get("StudyInstanceUID", "")),
        str(volume.header.get("SeriesInstanceUID", "")),
        uid,
        volume.unit,
        lps,
        statistics=None if roi.kind == "probe" else _statistics(inside, area),
        value=float(inside[0]) if roi.kind == "probe" and inside.size else None,
        length=_distance(lps[0], lps[1]) if roi.kind in ("length", "bidirectional") else None,
        across=_distance(lps[2], lps[3]) if roi.kind == "bidirectional" else None,
        angle=_angle(roi.kind, lps),
        interpolated=interpolated,
    )


def _statistics(values: NDArray[Any], voxel_area: float) -> Statistics | None:
    if not values.size:
        return None
    numbers = values.astype(np.float64)
    return Statistics(
        int(numbers.size),
        float(numbers.mean()),
        float(numbers.std()),
        float(numbers.min()),
        float(numbers.max()),
        float(numbers.size * voxel_area),
    )


def _statistics_json(statistics: Statistics) -> dict[str, Any]:
    return {
        "count": statistics.count,
        "mean": statistics.mean,
        "sd": statistics.sd,
        "minimum": statistics.minimum,
        "maximum": statistics.maximum,
        "area_mm2": statistics.area,
    }


def _place(volume: Volume, slice_: int, point: tuple[float, float]) -> tuple[float, float, float]:
    x, y, z = volume.lps(slice_, *point).tolist()
    return x, y, z


def _distance(a: Sequence[float], b: Sequence[float]) -> float:
    return float(np.linalg.norm(np.subtract(a, b)))


def _angle(kind: Kind, lps: Sequence[Sequence[float]]) -> float | None:
    """At the second of three points; the sharp one between two lines (Cobb)."""
    if kind == "angle":
        return _between(np.subtract(lps[0], lps[1]), np.subtract(lps[2], lps[1]))
    if kind == "cobb":
        angle = _between(np.subtract(lps[1], lps[0]), np.subtract(lps[3], lps[2]))
        return min(angle, 180 - angle)
    return None


def _between(first: NDArray[Any], second: NDArray[Any]) -> float:
    across = np.linalg.norm(np.cross(first, second))
    return float(np.degrees(np.arctan2(across, first @ second)))
