"""Regions of interest: which voxels of a slice they hold, and the numbers of those; the viewer measures the same way.

A voxel belongs to a region when its centre lies in it. Points are (row, column), fractional, voxel centres at
whole numbers. Pure numbers over a `Volume`: nothing is drawn, nothing is resampled, HU stay as they are.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import GeometryError, MalformedError
from hounsfield.volume import Volume

Kind = Literal["probe", "length", "angle", "rectangle", "ellipse", "freehand"]

FORMAT = "hounsfield measurements"
VERSION = 1
MAX_POINTS = 100_000
"""Of one freehand region; more is no drawing."""

_POINTS: Mapping[str, tuple[int, int]] = {
    "probe": (1, 1),
    "length": (2, 2),
    "angle": (3, 3),
    "rectangle": (2, 2),
    "ellipse": (2, 2),
    "freehand": (3, MAX_POINTS),
}


@dataclass(frozen=True)
class Roi:
    """What is drawn on slice `slice` (index into the volume): `points` are (row, column).

    rectangle and ellipse: two opposite corners of the box; freehand: a closed polygon, even–odd; angle: at the
    second of three points. Raises `GeometryError` for another number of points or one that is not finite.
    """

    kind: Kind
    slice: int
    points: tuple[tuple[float, float], ...]
    label: str = ""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise GeometryError(f"a region of kind {self.kind!r}", expected=", ".join(get_args(Kind)))
        points = tuple((float(row), float(column)) for row, column in self.points)
        least, most = _POINTS[self.kind]
        if not least <= len(points) <= most or not all(
            isfinite(value) for point in points for value in point
        ):
            wanted = str(least) if least == most else f"{least} to {most}"
            raise GeometryError(f"a {self.kind} of {len(points)} points", expected=f"{wanted}, all finite")
        object.__setattr__(self, "points", points)

    def mask(self, rows: int, columns: int) -> NDArray[np.bool_]:
        """(rows, columns): which voxels lie inside; none for a length or an angle, one for a probe."""
        inside = np.zeros((rows, columns), bool)
        points = np.array(self.points)
        low, high = np.ceil(points.min(axis=0)), np.floor(points.max(axis=0))
        if self.kind == "probe":
            low = high = np.floor(points[0] + 0.5)
        elif self.kind in ("length", "angle"):
            return inside
        top, left = (int(np.clip(value, 0, size)) for value, size in zip(low, (rows, columns), strict=True))
        bottom, right = (
            int(np.clip(value, -1, size - 1)) for value, size in zip(high, (rows, columns), strict=True)
        )
        grid = np.mgrid[top : bottom + 1, left : right + 1]
        if grid.size:
            inside[top : bottom + 1, left : right + 1] = self._contains(grid[0], grid[1])
        return inside

    def _contains(self, row: NDArray[Any], column: NDArray[Any]) -> NDArray[np.bool_]:
        points = np.array(self.points)
        if self.kind == "ellipse":
            low, high = points.min(axis=0), points.max(axis=0)
            half, centre = (high - low) / 2, (low + high) / 2
            if not (half > 0).all():
                return np.zeros(row.shape, bool)
            y, x = (row - centre[0]) / half[0], (column - centre[1]) / half[1]
            return np.asarray(y * y + x * x <= 1)
        if self.kind == "freehand":
            return _in_polygon(points, row, column)
        return np.ones(row.shape, bool)


@dataclass(frozen=True)
class Statistics:
    """Of the voxels inside. `sd` is theirs (divided by their number); `area` their number × one voxel's, mm²."""

    count: int
    mean: float
    sd: float
    minimum: float
    maximum: float
    area: float


@dataclass(frozen=True)
class Measured:
    """A region and what it measures; what does not apply to its kind, or holds no voxel, is None.

    `lps` are the points in mm; `uid` the SOP Instance UID of the slice; `length` mm; `angle` degrees.
    """

    roi: Roi
    study: str
    series: str
    uid: str
    unit: str
    lps: tuple[tuple[float, float, float], ...]
    statistics: Statistics | None = None
    value: float | None = None
    length: float | None = None
    angle: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As the viewer exports it."""
        out: dict[str, Any] = {
            "kind": self.roi.kind,
            "label": self.roi.label,
            "StudyInstanceUID": self.study,
            "SeriesInstanceUID": self.series,
            "SOPInstanceUID": self.uid,
            "slice": self.roi.slice,
            "points": [list(point) for point in self.roi.points],
            "lps": [list(place) for place in self.lps],
            "unit": self.unit,
        }
        for key, value in (("value", self.value), ("length_mm", self.length), ("angle_degrees", self.angle)):
            if value is not None:
                out[key] = value
        if self.statistics is not None:
            out["statistics"] = _statistics_json(self.statistics)
        return out


def measure(volume: Volume, roi: Roi) -> Measured:
    """What `roi` measures in `volume`. Raises `GeometryError` for a slice the volume has not."""
    slices, rows, columns = volume.shape
    if not 0 <= roi.slice < slices:
        raise GeometryError(f"a region on slice {roi.slice}", expected=f"0 … {slices - 1}")
    lps = tuple(_place(volume, roi.slice, point) for point in roi.points)
    inside = volume.array[roi.slice][roi.mask(rows, columns)]
    value = float(inside[0]) if roi.kind == "probe" and inside.size else None
    return Measured(
        roi,
        str(volume.header.get("StudyInstanceUID", "")),
        str(volume.header.get("SeriesInstanceUID", "")),
        volume.uids[roi.slice],
        volume.unit,
        lps,
        statistics=None
        if roi.kind == "probe"
        else _statistics(inside, volume.spacing[1] * volume.spacing[2]),
        value=value,
        length=_distance(lps[0], lps[1]) if roi.kind == "length" else None,
        angle=_angle(lps) if roi.kind == "angle" else None,
    )


def read_rois(text: str) -> tuple[Roi, ...]:
    """Regions from the JSON that the viewer or `write_json` made; those drawn across slices are left out.

    Raises `MalformedError`, or `GeometryError` for a region that cannot be.
    """
    try:
        body = json.loads(text)
    except ValueError as error:
        raise MalformedError("not JSON", expected=f"a file of {FORMAT}") from error
    items = body.get("measurements") if isinstance(body, dict) and body.get("format") == FORMAT else None
    if not isinstance(items, list):
        raise MalformedError("JSON of another kind", expected=f"a file of {FORMAT}")
    rois = (_roi(item, number) for number, item in enumerate(items, 1))
    return tuple(roi for roi in rois if roi is not None)


def write_json(measured: Iterable[Measured]) -> str:
    """The file that the viewer imports."""
    items = [each.to_json() for each in measured]
    head = {"format": FORMAT, "version": VERSION, "points": "(row, column)"}
    return json.dumps({**head, "measurements": items}, indent=1, ensure_ascii=False) + "\n"


def write_csv(measured: Iterable[Measured]) -> str:
    """One line a region, the columns of the viewer's export."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_CSV_COLUMNS)
    for each in measured:
        row = each.to_json()
        row |= row.pop("statistics", {})
        row["points_row_column"] = "; ".join(" ".join(map(str, point)) for point in each.roi.points)
        row["points_lps_mm"] = "; ".join(" ".join(map(str, place)) for place in each.lps)
        writer.writerow([_cell(row.get(column, "")) for column in _CSV_COLUMNS])
    return out.getvalue()


_CSV_COLUMNS = (
    *("kind", "label", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "slice", "unit"),
    *("value", "length_mm", "angle_degrees", "count", "mean", "sd", "minimum", "maximum", "area_mm2"),
    *("points_row_column", "points_lps_mm"),
)


def _cell(value: Any) -> Any:
    # Text that a spreadsheet would take for a formula is led by an apostrophe.
    return f"'{value}" if isinstance(value, str) and value[:1] in "=+-@\t\r" and value else value


def _roi(item: Any, number: int) -> Roi | None:
    try:
        if item["slice"] is None:
            return None
        points = tuple((float(row), float(column)) for row, column in item["points"])
        return Roi(cast(Kind, item["kind"]), int(item["slice"]), points, str(item.get("label", "")))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MalformedError(
            f"measurement {number} that lacks {error}", expected="kind, slice and points"
        ) from error


def _in_polygon(points: NDArray[Any], row: NDArray[Any], column: NDArray[Any]) -> NDArray[np.bool_]:
    """Even–odd rule of the closed polygon."""
    inside = np.zeros(row.shape, bool)
    for (r1, c1), (r2, c2) in zip(points, np.roll(points, 1, axis=0), strict=True):
        crosses = (r1 > row) != (r2 > row)
        if crosses.any():
            inside ^= crosses & (column < (c2 - c1) * (row - r1) / (r2 - r1) + c1)
    return inside


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


def _angle(lps: Sequence[Sequence[float]]) -> float:
    first, second = np.subtract(lps[0], lps[1]), np.subtract(lps[2], lps[1])
    across = np.linalg.norm(np.cross(first, second))
    return float(np.degrees(np.arctan2(across, first @ second)))
