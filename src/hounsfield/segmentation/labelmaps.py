"""Label maps of volume files, and what was drawn in the viewer → `Masks` on the grid of a volume."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.roi import PlaneRoi, Roi
from hounsfield.ct.roi.regions import LINES
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, MalformedError, UnsupportedError
from hounsfield.language import say
from hounsfield.segmentation.grids import ON_SLICE, ON_VOXEL, Target
from hounsfield.segmentation.layers import Layers
from hounsfield.segmentation.masks import HIGHEST_LABEL, Labels, Masks, Segment

Affine = NDArray[np.float64]


def read_labels(
    array: NDArray[Any],
    affine: Affine | None,
    volume: Volume,
    *,
    name: str = "",
    names: Mapping[int, str] | None = None,
    nearest: bool | None = None,
) -> Masks:
    """The labels of `array`, (slices, rows, columns) by its own `affine`, on the grid of `volume`.

    Axes may run the other way, or be exchanged: a grid is the same whatever its order. `affine` None takes an array of
    the volume's shape as it lies. `names` of labels; `nearest` as in `read_seg`. Raises `GeometryError` with the mm,
    `MalformedError` for values that are no labels, `UnsupportedError` beyond 65 535.
    """
    target = Target.of(volume, nearest=nearest)
    labels = _whole(array, name)
    warnings: list[str] = []
    if affine is None:
        if labels.shape != target.shape:
            raise GeometryError(
                say(
                    "{listed} labels without a place in the patient",
                    listed=" × ".join(map(str, labels.shape)),
                ),
                expected=target.describe(),
                where=name,
            )
        warnings.append("it has no place in the patient: taken voxel for voxel")
        placed = labels
    else:
        placed = _onto(labels, affine, target, name, warnings)
    found = [label for label in np.flatnonzero(np.bincount(placed.ravel())).tolist() if label]
    segments = tuple(Segment(label, (names or {}).get(label, f"label {label}")) for label in found)
    return Masks((np.ascontiguousarray(placed),), segments, volume.affine, name, tuple(warnings))


def _whole(array: NDArray[Any], name: str) -> Labels:
    """The same as the smallest type of labels."""
    low, high = (array.min(), array.max()) if array.size else (0, 0)
    if array.dtype.kind == "f" and not np.array_equal(array, np.rint(array)):
        raise MalformedError(
            "values with fractions are no labels",
            expected="whole numbers",
            where=name,
            remedy="threshold it first",
        )
    if not (low >= 0 and high <= HIGHEST_LABEL):
        slice_ = next(
            index for index, plane in enumerate(array) if plane.min() < 0 or plane.max() > HIGHEST_LABEL
        )
        raise UnsupportedError(
            say(
                "labels from {low} to {high}, first on slice {slice_}",
                low=format(low, "g"),
                high=format(high, "g"),
                slice_=slice_,
            ),
            expected=f"0 … {HIGHEST_LABEL}",
            where=name,
        )
    return array.astype(np.uint8 if high <= 0xFF else np.uint16)


def _onto(labels: Labels, affine: Affine, target: Target, name: str, warnings: list[str]) -> Labels:
    """On the target's grid: by exchange of axes where that is all, else by centres on request."""
    steps = np.linalg.inv(target.affine[:3, :3]) @ affine[:3, :3]
    first = target.index(affine[:3, 3])
    order = np.argmax(np.abs(steps), axis=0)
    signs = np.sign(steps[order, range(3)])
    sizes = np.array(labels.shape)
    ideal = np.zeros((3, 3))
    ideal[order, range(3)] = signs
    # Over the whole grid: a spacing that differs a little is off at the far end.
    drift = np.abs(steps - ideal) * (sizes - 1)
    off = np.abs(first - np.rint(first)) + drift.sum(axis=1)
    allowed = np.array([ON_SLICE, ON_VOXEL, ON_VOXEL])
    if sorted(order.tolist()) == [0, 1, 2] and (off <= allowed).all():
        turned = np.transpose(labels, np.argsort(order))
        for axis in range(3):
            if signs[np.argsort(order)[axis]] < 0:
                turned = np.flip(turned, axis)
        corner = np.rint(first).astype(int)
        size = np.array(turned.shape)
        negative = signs[np.argsort(order)] < 0
        return _pasted(turned, corner - np.where(negative, size - 1, 0), target, name, warnings)
    if not target.is_resampled:
        raise GeometryError(
            say("lies {misfit}", misfit=_misfit(first, off, target, labels.shape)),
            expected=say("the grid of {describe}", describe=target.describe()),
            where=name,
            remedy="is it of this series? nearest=True (--nearest) takes what it has at each voxel's centre",
        )
    return _by_centres(labels, affine, target)


def _misfit(first: NDArray[Any], off: NDArray[Any], target: Target, shape: tuple[int, ...]) -> str:
    mm = np.minimum(off, np.array(shape)) * np.linalg.norm(target.affine[:3, :3], axis=0)
    worst = int(np.argmax(mm))
    axis = ("slices", "rows", "columns")[worst]
    return say("up to {mm} mm off the CT's {axis}", mm=format(mm[worst], ".3g"), axis=say(axis))


def _pasted(labels: Labels, corner: NDArray[Any], target: Target, name: str, warnings: list[str]) -> Labels:
    """`labels` whose first voxel is at `corner`. Raises `GeometryError` where a slice of them is none of the CT's."""
    if not corner.any() and labels.shape == target.shape:
        return labels
    low, high = np.maximum(corner, 0), np.minimum(corner + labels.shape, target.shape)
    out = np.zeros(target.shape, labels.dtype)
    kept: Labels = labels[:0]
    if (high > low).all():
        here = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        there = tuple(slice(int(a), int(b)) for a, b in zip(low - corner, high - corner, strict=True))
        kept = labels[there]
        out[here] = kept
    lost = int(np.count_nonzero(labels)) - int(np.count_nonzero(kept))
    if lost and not target.is_cropped:
        mm = float(np.abs(np.concatenate([low - corner, corner + labels.shape - high])).max() * target.step)
        raise GeometryError(
            say("{lost} of its voxels lie outside the CT, up to {mm} mm", lost=lost, mm=format(mm, ".3g")),
            expected=say("the grid of {describe}", describe=target.describe()),
            where=name,
            remedy="is it of this series?",
        )
    if labels.shape != target.shape:
        warnings.append(
            say(
                "its grid is {shape}, the CT's {grid}: none is lost",
                shape=" × ".join(map(str, labels.shape)),
                grid=target.describe(),
            )
        )
    return out


def _by_centres(labels: Labels, affine: Affine, target: Target) -> Labels:
    """Each voxel of the target takes the label of the voxel that holds its centre; a slice at a time."""
    both = np.linalg.inv(affine) @ target.affine
    _, rows, columns = target.shape
    row, column = np.mgrid[0:rows, 0:columns]
    plane = both[:3, 1, None, None] * row + both[:3, 2, None, None] * column + both[:3, 3, None, None]
    out = np.zeros(target.shape, labels.dtype)
    for slice_ in range(target.shape[0]):
        index = np.floor(plane + both[:3, 0, None, None] * slice_ + 0.5).astype(np.intp)
        inside = ((index >= 0) & (index < np.array(labels.shape)[:, None, None])).all(axis=0)
        out[slice_][inside] = labels[tuple(index[:, inside])]
    return out


def read_drawn(rois: Sequence[Roi | PlaneRoi], volume: Volume, *, name: str = "") -> Masks:
    """Regions drawn in the viewer on slices of this volume; regions of one label are one segment.

    What was drawn across slices, and lines, hold no voxel of a slice: a warning. Raises `GeometryError` for a slice
    that the volume has not.
    """
    slices, rows, columns = volume.shape
    warnings: list[str] = []
    numbers: dict[str, int] = {}
    used = []
    for place, roi in enumerate(rois, 1):
        if isinstance(roi, PlaneRoi) or roi.kind in LINES:
            what = say("a line") if roi.kind in LINES else say("drawn across slices")
            warnings.append(
                say(
                    "region {place} ({label}) is {what}: it holds no voxels",
                    place=place,
                    label=roi.label or roi.kind,
                    what=what,
                )
            )
            continue
        if not 0 <= roi.slice < slices:
            raise GeometryError(
                say(
                    "region {place} ({label}) is on slice {slice}",
                    place=place,
                    label=roi.label or roi.kind,
                    slice=roi.slice,
                ),
                expected=f"0 … {slices - 1}",
                where=name,
            )
        used.append((numbers.setdefault(roi.label or f"{roi.kind} {place}", len(numbers) + 1), roi))
    layers = Layers(volume.shape, numbers.values(), where=name)
    for number, roi in used:
        layers.put(number, roi.slice, 0, 0, roi.mask(rows, columns))
    segments = layers.placed(Segment(number, label, algorithm="MANUAL") for label, number in numbers.items())
    return Masks(layers.arrays, segments, volume.affine, name, tuple(warnings))


def carried(masks: Masks, volume: Volume) -> Masks:
    """The same masks on the grid of `volume`: as they are where it is theirs, else by what lies at its centres."""
    if masks.shape == volume.shape and np.allclose(masks.affine, volume.affine, atol=1e-6):
        return masks
    target = Target.of(volume, nearest=True)
    layers = tuple(_onto(layer, masks.affine, target, masks.source, []) for layer in masks.layers)
    return replace(masks, layers=layers, affine=volume.affine)
