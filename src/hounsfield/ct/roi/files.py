"""Regions as files: the JSON that the viewer exports and imports, and CSV for spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable
from typing import Any, cast

from hounsfield.ct.roi.measuring import Measured
from hounsfield.ct.roi.planes import Plane, PlaneRoi
from hounsfield.ct.roi.regions import Kind, Roi
from hounsfield.errors import MalformedError
from hounsfield.language import say

FORMAT = "hounsfield measurements"
VERSION = 1


def read_rois(text: str) -> tuple[Roi | PlaneRoi, ...]:
    """Regions from the JSON that the viewer or `write_json` made; probes across slices, mere places, are left out.

    Raises `MalformedError`, or `GeometryError` for a region that cannot be.
    """
    try:
        body = json.loads(text)
    except ValueError as error:
        raise MalformedError("not JSON", expected=say("a file of {format}", format=FORMAT)) from error
    items = body.get("measurements") if isinstance(body, dict) and body.get("format") == FORMAT else None
    if not isinstance(items, list):
        raise MalformedError("JSON of another kind", expected=say("a file of {format}", format=FORMAT))
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
        for name, step in row.pop("plane", {}).items():
            row[f"plane_{name}_lps_mm"] = " ".join(map(str, step))
        row["points_row_column"] = "; ".join(" ".join(map(str, point)) for point in each.roi.points)
        row["points_lps_mm"] = "; ".join(" ".join(map(str, place)) for place in each.lps)
        writer.writerow([_cell(row.get(column, "")) for column in _CSV_COLUMNS])
    return out.getvalue()


_CSV_COLUMNS = (
    *("kind", "label", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "slice", "unit"),
    *("value", "length_mm", "across_mm", "angle_degrees"),
    *("count", "mean", "sd", "minimum", "maximum", "area_mm2"),
    *("points_row_column", "points_lps_mm", "samples"),
    *("plane_origin_lps_mm", "plane_across_lps_mm", "plane_down_lps_mm"),
)


_NUMBERS = re.compile(r"-?\d[-\d.e+ ;]*")


def _cell(value: Any) -> Any:
    # Text that a spreadsheet would take for a formula is led by an apostrophe; a row of numbers is none.
    formula = isinstance(value, str) and value[:1] in "=+-@\t\r" and value and not _NUMBERS.fullmatch(value)
    return f"'{value}" if formula else value


def _roi(item: Any, number: int) -> Roi | PlaneRoi | None:
    try:
        kind, label = cast(Kind, item["kind"]), str(item.get("label", ""))
        plane = item.get("plane")
        if item["slice"] is None and plane is None:
            return None
        points = tuple((float(row), float(column)) for row, column in item["points"])
        if item["slice"] is not None:
            return Roi(kind, int(item["slice"]), points, label)
        return PlaneRoi(kind, Plane(plane["origin"], plane["across"], plane["down"]), points, label)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise MalformedError(
            say("measurement {number} that lacks {error}", number=number, error=error),
            expected="kind, slice or plane, and points",
        ) from error
