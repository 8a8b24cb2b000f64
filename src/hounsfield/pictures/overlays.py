"""Label arrays upon a picture: fills and outlines in the colours of a palette, where the labels truly lie.

A pixel is of a label when the voxel that holds its place is: labels are never blended with each other, nor smoothed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hounsfield.pictures.planes import Cut

Rgb = tuple[int, int, int]
Plane = NDArray[np.unsignedinteger[Any]]

OPACITY = 0.35
"""Of a fill: grey values beneath stay legible."""

THIN_OUTLINE = 600
"""Pixels of the shorter side for each pixel of an outline's width."""


@dataclass(frozen=True, eq=False)
class Overlay:
    """A label array, the colours and names of its labels, and how it is drawn.

    `labels` (slices, rows, columns), 0 where nothing is; `affine` 4×4, (slice, row, column, 1) → LPS mm. A label
    without a colour is not drawn. `opacity` 0 … 1 is that of the fills, `outlined` draws edges at full strength.
    """

    labels: Plane
    affine: NDArray[np.float64]
    colours: Mapping[int, Rgb]
    names: Mapping[int, str]
    opacity: float = OPACITY
    outlined: bool = True

    def legend(self) -> Iterator[tuple[str, Rgb]]:
        """Names and colours of the labels that are drawn, in their order."""
        for label in sorted(self.colours):
            yield self.names.get(label, str(label)), self.colours[label]

    def on(self, cut: Cut) -> Plane:
        """(rows, columns): the label at each value of a plane; 0 beyond the labels' grid."""
        inverse = np.linalg.inv(self.affine[:3, :3])
        start = inverse @ (cut.corner - self.affine[:3, 3])
        down, across = (inverse @ cut.steps).T
        rows, columns = cut.values.shape
        row, column = np.arange(rows)[:, None], np.arange(columns)[None]
        inside = np.ones((rows, columns), bool)
        index = []
        for axis, length in enumerate(self.labels.shape):
            place = np.floor(start[axis] + down[axis] * row + across[axis] * column + 0.5).astype(np.intp)
            inside &= (place >= 0) & (place < length)
            index.append(np.clip(place, 0, length - 1))
        found: Plane = np.where(inside, self.labels[tuple(index)], 0)
        return found


def painted(image: Image.Image, cut: Cut, overlays: Sequence[Overlay]) -> Image.Image:
    """The picture of `cut` in colours, with its overlays upon it in their order; as it is where there is none."""
    if not overlays:
        return image
    pixels = np.repeat(np.asarray(image, np.float32)[..., None], 3, axis=2)
    for overlay in overlays:
        labels = _in_pixels(overlay.on(cut), pixels.shape[:2])
        palette, drawn = _palette(overlay)
        shown = drawn[labels]
        colours = palette[labels]
        pixels[shown] += (colours[shown] - pixels[shown]) * overlay.opacity
        if overlay.outlined:
            edge = _edges(labels, max(1, min(image.size) // THIN_OUTLINE)) & shown
            pixels[edge] = colours[edge]
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def seen(cuts: Iterable[Cut], overlays: Sequence[Overlay]) -> Iterator[tuple[str, Rgb]]:
    """Names and colours of what is drawn on some of the planes, in the order of overlays and labels."""
    planes = list(cuts)
    for overlay in overlays:
        counts = np.zeros(1, np.int64)
        for cut in planes:
            found = np.bincount(overlay.on(cut).ravel(), minlength=len(counts))
            found[: len(counts)] += counts
            counts = found
        for label in np.flatnonzero(counts).tolist():
            if label in overlay.colours:
                yield overlay.names.get(label, str(label)), overlay.colours[label]


def _palette(overlay: Overlay) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Colours by label, (labels, 3), and which labels are drawn."""
    count = np.iinfo(overlay.labels.dtype).max + 1
    colours, drawn = np.zeros((count, 3), np.float32), np.zeros(count, bool)
    for label, colour in overlay.colours.items():
        if 0 < label < count:
            colours[label], drawn[label] = colour, True
    return colours, drawn


def _in_pixels(labels: Plane, shape: tuple[int, ...]) -> Plane:
    """The nearest label for each of `shape` (rows, columns) pixels."""
    index = [
        ((np.arange(wanted) + 0.5) * length / wanted).astype(np.intp)
        for wanted, length in zip(shape, labels.shape, strict=True)
    ]
    return labels if labels.shape == shape else labels[np.ix_(*index)]


def _edges(labels: Plane, width: int) -> NDArray[np.bool_]:
    """(rows, columns): pixels within `width` of one of another label, above, below or beside them."""
    edge = np.zeros(labels.shape, bool)
    for step in range(1, width + 1):
        for axis in (0, 1):
            lines = np.moveaxis(labels, axis, 0)
            marks = np.moveaxis(edge, axis, 0)
            differs = lines[step:] != lines[:-step]
            marks[step:] |= differs
            marks[:-step] |= differs
    return edge
