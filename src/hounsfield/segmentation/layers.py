"""Label arrays while they are filled: a segment that meets another moves whole into a layer where it does not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import UnsupportedError
from hounsfield.language import say
from hounsfield.segmentation.masks import HIGHEST_LABEL, Labels, Segment

MOST_LAYERS = 64
"""Segments that may lie upon each other at one voxel; more is damage, and would cost an array each."""

Box = tuple[int, slice, slice]
"""Slice, rows and columns."""


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
