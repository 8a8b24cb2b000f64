"""Axial slices by millimetres of the patient: values at any (x, y) of a slice. Not a resampler: no new grid is made."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError

Values = NDArray[Any]
"""float64, or whole numbers that serve as such."""

STEEPEST = 0.95
"""Least cosine between the slices' normal and the patient's z: what is not axial is not a phantom on its table."""


@dataclass(frozen=True)
class Stack:
    """A volume whose slices are axial, addressed by slice number and LPS mm."""

    volume: Volume

    def __post_init__(self) -> None:
        if abs(float(self.volume.normal[2])) < STEEPEST:
            raise GeometryError("slices are not axial", expected="slices across the phantom's axis")

    @property
    def count(self) -> int:
        """Number of slices."""
        return int(self.volume.shape[0])

    @property
    def step(self) -> float:
        """mm from slice to slice."""
        return float(self.volume.spacing[0])

    @property
    def pixel(self) -> float:
        """The larger side of a pixel in mm."""
        return float(max(self.volume.spacing[1:]))

    @cached_property
    def _inverse(self) -> Values:
        return np.linalg.inv(self.volume.affine[:2, 1:3])

    def places(self, number: float, rows: Values, columns: Values) -> Values:
        """Return LPS mm, (3, …), of pixels of a slice."""
        matrix = self.volume.affine
        return np.stack([row[0] * number + row[1] * rows + row[2] * columns + row[3] for row in matrix[:3]])

    def pixels(self, number: float, x: Values, y: Values) -> tuple[Values, Values]:
        """Return rows and columns of (x, y) in a slice, with fractions."""
        origin = self.volume.affine[:2, 3] + self.volume.affine[:2, 0] * number
        dx, dy = x - origin[0], y - origin[1]
        inverse = self._inverse
        return inverse[0, 0] * dx + inverse[0, 1] * dy, inverse[1, 0] * dx + inverse[1, 1] * dy

    def height(self, number: int, x: float, y: float) -> float:
        """Return the z in mm of a slice at (x, y)."""
        rows, columns = self.pixels(number, np.asarray(x, float), np.asarray(y, float))
        return float(self.places(number, rows, columns)[2])

    def sample(self, number: int, x: Values, y: Values) -> Values:
        """Return values at (x, y) of a slice, between four pixels; NaN outside."""
        rows, columns = self.pixels(number, x, y)
        image = self.volume.array[number]
        top, left = np.floor(rows).astype(np.intp), np.floor(columns).astype(np.intp)
        inside = (top >= 0) & (left >= 0) & (top < image.shape[0] - 1) & (left < image.shape[1] - 1)
        top, left = np.where(inside, top, 0), np.where(inside, left, 0)
        down, right = rows - top, columns - left
        found = (
            image[top, left] * (1 - down) * (1 - right)
            + image[top, left + 1] * (1 - down) * right
            + image[top + 1, left] * down * (1 - right)
            + image[top + 1, left + 1] * down * right
        )
        return np.where(inside, found, np.nan)
