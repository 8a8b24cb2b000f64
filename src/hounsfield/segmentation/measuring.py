"""The values of a volume inside segments: counts of each value by one pass over the volume."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.segmentation.masks import Masks, Segment
from hounsfield.segmentation.recipes import Recipe
from hounsfield.segmentation.statistics import BIN_WIDTH, Distribution, first_order

WIDEST_TABLE = 1 << 24
"""Cells of the table of labels and values up to which whole numbers are counted in it: 128 MB."""
_SLAB = 16  # slices at once


@dataclass(frozen=True, eq=False)
class Measured:
    """A segment and the values in it. `left_out`: voxels of it that hold padding, or were clamped to it."""

    segment: Segment
    values: Distribution
    left_out: int
    voxel_ml: float
    unit: str
    recipes: dict[str, dict[str, float]]

    def to_json(self, *, histogram: bool = True) -> dict[str, Any]:
        """As JSON values; statistics in the volume's unit, None-free: an empty segment has only its counts."""
        out: dict[str, Any] = {**self.segment.to_json(), "unit": self.unit}
        out |= {
            "voxels": self.values.total,
            "ml": self.values.total * self.voxel_ml,
            "left_out": self.left_out,
        }
        out |= first_order(self.values)
        if histogram and self.values.total:
            first, counts = self.values.histogram()
            out["histogram"] = {"from": first, "width": BIN_WIDTH, "counts": counts.tolist()}
        if self.recipes:
            out["recipes"] = self.recipes
        return out


def measure(volume: Volume, masks: Masks, *, recipes: Sequence[Recipe] = ()) -> list[Measured]:
    """The values of `volume` in each segment of `masks`, and what the recipes make of them.

    Voxels that hold no value are counted apart: what is −1024 HU where anything was padded, clamped, filled or added
    around. Raises `GeometryError` for masks of another grid.
    """
    masks.refuse_other_grid(volume)
    voxel_ml = abs(float(np.linalg.det(volume.affine[:3, :3]))) / 1000
    empty = _empty_value(volume)
    made = []
    for segment, found in _distributions(volume, masks):
        measured, left_out = (found, 0) if empty is None else _without(found, empty)
        inside = _Inside(volume, masks, segment, measured)
        figures = {recipe.name: recipe.figures(inside) for recipe in recipes}
        made.append(Measured(segment, measured, left_out, voxel_ml, volume.unit, figures))
    return made


@dataclass(frozen=True, eq=False)
class _Inside:
    """A segment as recipes see it; its voxels are looked up only by those that ask."""

    volume: Volume
    masks: Masks
    segment: Segment
    values: Distribution

    def slices(self) -> Iterator[tuple[NDArray[Any], NDArray[np.bool_]]]:
        """Values and mask of each slice, (rows, columns)."""
        for plane, labels in zip(self.volume.array, self.masks.layers[self.segment.layer], strict=True):
            yield plane, labels == self.segment.number


def _empty_value(volume: Volume) -> float | None:
    """The value of voxels that hold none; None where every voxel holds one."""
    report = volume.report
    has_empty = report.padded or report.clamped or report.filled or report.resampled
    return float(volume.padding_value) if volume.is_hounsfield and has_empty else None


def _without(found: Distribution, empty: float) -> tuple[Distribution, int]:
    kept = found.values != empty
    return Distribution(found.values[kept], found.counts[kept]), int(found.counts[~kept].sum())


def _distributions(volume: Volume, masks: Masks) -> Iterator[tuple[Segment, Distribution]]:
    highest = max((segment.number for segment in masks.segments), default=0)
    low, high = _range(volume.array) if volume.array.dtype.kind in "iu" else (0, -1)
    width = high - low + 1
    if 0 < width * (highest + 1) <= WIDEST_TABLE:
        tables = [_counted(volume.array, layer, low, width, highest) for layer in masks.layers]
        for segment in masks.segments:
            counts = tables[segment.layer][segment.number]
            used = np.flatnonzero(counts)
            yield segment, Distribution((used + low).astype(np.float64), counts[used])
        return
    for segment in masks.segments:
        yield segment, Distribution.of(volume.array[masks.layers[segment.layer] == segment.number])


def _range(array: NDArray[Any]) -> tuple[int, int]:
    return int(array.min()), int(array.max())


def _counted(
    array: NDArray[Any], labels: NDArray[Any], low: int, width: int, highest: int
) -> NDArray[np.int64]:
    """(labels, values): how often each value occurs under each label, from `low` on."""
    table = np.zeros((highest + 1) * width, np.int64)
    for begin in range(0, len(array), _SLAB):
        slab = labels[begin : begin + _SLAB].ravel()
        used = np.flatnonzero(slab)
        if not len(used):
            continue
        cells = slab[used].astype(np.int32) * np.int32(width)
        cells += array[begin : begin + _SLAB].ravel()[used].astype(np.int32) - np.int32(low)
        table += np.bincount(cells, minlength=len(table))
    return table.reshape(highest + 1, width)
