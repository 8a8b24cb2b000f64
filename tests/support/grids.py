"""Affines of every kind of acquisition, for tests of what is exported and shown."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def turned(*, x: float = 0.0, y: int = 0.0, z: int = 0.0) -> NDArray[Any]:  # type: ignore[assignment]
    """Rotation by degrees about the patient's axes."""
    about = np.eye(3)
    for axis, degrees in enumerate((x, y, z)):
        sine, cosine = np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
        one, two = (axis + 1) % 3, (axis + 2) % 3
        turn = np.eye(3)
        turn[one, one] = turn[two, two] = cosine
        turn[one, two], turn[two, one] = -sine, sine
        about = turn @ about
    return about


def geometry(
    directions: Any,
    spacing: tuple[float, float, float],
    origin: tuple[float, float, float] = (-123.25, -98.5, 41.75),
) -> NDArray[Any]:
    affine = np.eye(4)
    affine[:3, :3] = directions * spacing
    affine[:3, 3] = origin
    return affine


HEAD_FIRST = np.array([[0, 0, 1], [0, 1, 0], [1, 0, 0]], float)
SPACING = (2.5, 0.48828125, 0.48828125)


def tilted_affine() -> NDArray[Any]:
    tilt = np.radians(-18.5)
    affine = geometry(HEAD_FIRST, SPACING)
    affine[:3, 1] = 0.48828125 * np.array([0, np.cos(tilt), np.sin(tilt)])
    return affine


AFFINES = {
    "regular": geometry(HEAD_FIRST, SPACING),
    "oblique": geometry(turned(x=17, y=-8, z=30) @ HEAD_FIRST, SPACING),
    "feet first prone": geometry(HEAD_FIRST * (-1, -1, 1), SPACING),
    "decubitus": geometry(turned(z=90) @ HEAD_FIRST, SPACING),
    "coronal": geometry(np.array([[0, 0, 1], [1, 0, 0], [0, -1, 0]], float), SPACING),
    "tilted": tilted_affine(),
}
