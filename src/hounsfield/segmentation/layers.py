"""Label arrays while they are filled: a segment that meets another moves whole into a layer where it does not."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import UnsupportedError
from hounsfield.language import say
from hounsfield.segmentation.masks import HIGHEST_LABEL, Labels, Masks, Segment

MOST_LAYERS = 64
"""Segments that may lie upon each other at one voxel; more is damage, and would cost an array each."""

Box = tuple[int | slice, slice, slice]
"""Slice (or slices), rows and columns."""


class Layers:
    """The label arrays of a grid of `shape` (slices, rows, columns), for segments of the given numbers.

    Raises `UnsupportedError` for a number that no label can have.
    """

    def __init__(self, shape: tuple[int, int, int], numbers: Iterable[int], *, where: str = "") -> None:
        highest = max(numbers, default=1)
        if highest > HIGHEST_LABEL:
            raise UnsupportedError(
                say("a label of {highest}", highest=highest), expected=f"1 … {HIGHEST_LABEL}", where=where
            )
        self._shape, self._where = shape, where
        self._dtype: type[np.unsignedinteger[Any]] = np.uint8 if highest <= 0xFF else np.uint16
        self._arrays: list[Any] = [np.zeros(shape, self._dtype)]
        self._layer_of: dict[int, int] = {}
        self._boxes: dict[int, list[Box]] = {}

    @property
    def arrays(self) -> tuple[Labels, ...]:
        """The label arrays as they are now, (slices, rows, columns) each."""
        return tuple(self._arrays)

    def placed(self, segments: Iterable[Segment]) -> tuple[Segment, ...]:
        """The same segments, each with the layer in which it lies."""
        return tuple(replace(segment, layer=self._layer_of.get(segment.number, 0)) for segment in segments)

    def put(self, number: int, index: int, top: int, left: int, inside: NDArray[np.bool_]) -> None:
        """Add `inside` (rows, columns) to a segment; its first voxel is (`index`, `top`, `left`)."""
        box = index, slice(top, top + inside.shape[0]), slice(left, left + inside.shape[1])
        layer = self._layer_of.setdefault(number, 0)
        while not self._is_free(layer, number, box, inside):
            layer = self._moved(number, layer)
        self._arrays[layer][box][inside] = number
        self._boxes.setdefault(number, []).append(box)

    def put_voxels(self, number: int, voxels: NDArray[np.int64]) -> None:
        """Add voxels, indexes into the flat grid, to a segment."""
        if not len(voxels):
            return
        layer = self._layer_of.setdefault(number, 0)
        while True:
            there = self._arrays[layer].reshape(-1)[voxels]
            if not ((there != 0) & (there != number)).any():
                break
            layer = self._moved(number, layer)
        self._arrays[layer].reshape(-1)[voxels] = number
        _, rows, columns = self._shape
        row, column = voxels // columns % rows, voxels % columns
        box = (
            slice(int(voxels[0]) // (rows * columns), int(voxels[-1]) // (rows * columns) + 1),
            slice(int(row.min()), int(row.max()) + 1),
            slice(int(column.min()), int(column.max()) + 1),
        )
        self._boxes.setdefault(number, []).append(box)

    def put_labels(self, index: int, top: int, left: int, labels: NDArray[Any]) -> bool:
        """Add a whole plane of labels, (rows, columns), to the first layer; return whether nothing was there before."""
        target = self._arrays[0][index, top : top + labels.shape[0], left : left + labels.shape[1]]
        is_free = not target.any()
        np.copyto(target, labels, casting="unsafe", where=True if is_free else labels != 0)
        return is_free

    def _is_free(self, layer: int, number: int, box: Box, inside: NDArray[np.bool_]) -> bool:
        there = self._arrays[layer][box][inside]
        return not ((there != 0) & (there != number)).any()

    def _moved(self, number: int, layer: int) -> int:
        """Move what there is of a segment into the next layer that has room for it, and return that."""
        held = [(box, self._arrays[layer][box] == number) for box in self._boxes.get(number, [])]
        target = layer + 1
        while target < len(self._arrays) and not all(
            self._is_free(target, number, box, inside) for box, inside in held
        ):
            target += 1
        if target == MOST_LAYERS:
            raise UnsupportedError(
                say(
                    "more than {most_layers} segments upon each other, segment {number} among them",
                    most_layers=MOST_LAYERS,
                    number=number,
                ),
                where=self._where,
            )
        if target == len(self._arrays):
            self._arrays.append(np.zeros(self._shape, self._dtype))
        for box, inside in held:
            self._arrays[layer][box][inside] = 0
            self._arrays[target][box][inside] = number
        self._layer_of[number] = target
        return target


def joined(found: Sequence[Masks]) -> Masks:
    """The segments of several masks of one grid as one, in their order; numbered anew where numbers meet.

    Raises `UnsupportedError` for more segments than labels can name.
    """
    if len(found) == 1:
        return found[0]
    numbers = [segment.number for masks in found for segment in masks.segments]
    is_new = len(set(numbers)) < len(numbers)
    count = len(numbers) if is_new else max(numbers, default=0)
    if count > HIGHEST_LABEL:
        raise UnsupportedError(say("a label of {highest}", highest=count), expected=f"1 … {HIGHEST_LABEL}")
    dtype: type[np.unsignedinteger[Any]] = np.uint8 if count <= 0xFF else np.uint16
    arrays: list[Any] = []
    segments: list[Segment] = []
    for masks in found:
        renumbered = {
            each.number: len(segments) + place if is_new else each.number
            for place, each in enumerate(masks.segments, 1)
        }
        placed = [_laid(layer, renumbered, arrays, dtype) for layer in masks.layers]
        segments += [
            replace(each, number=renumbered[each.number], layer=placed[each.layer]) for each in masks.segments
        ]
    warnings = tuple(text for masks in found for text in masks.warnings)
    source = ", ".join(masks.source for masks in found)
    return Masks(tuple(arrays), tuple(segments), found[0].affine, source, warnings)


def _laid(layer: Labels, numbers: dict[int, int], arrays: list[Any], dtype: Any) -> int:
    """Put a label array into the first of `arrays` where it meets nothing, or behind them; the place of that."""
    table = np.zeros(int(layer.max(initial=0)) + 1, dtype)
    for before, after in numbers.items():
        if before < len(table):
            table[before] = after
    renumbered = table[layer]
    for place, array in enumerate(arrays):
        if not ((array != 0) & (renumbered != 0)).any():
            np.maximum(array, renumbered, out=array)
            return place
    arrays.append(renumbered)
    return len(arrays) - 1
