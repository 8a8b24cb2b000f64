"""The place of each slice of a phantom in the patient; and the affine that a right reader must find.

Written from PS3.3 C.7.6.2.1.1 alone, and apart from `hounsfield.ct.geometry` on purpose: it is the oracle that the
other is tested against.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.phantom.spec import PhantomSpec

Vector = NDArray[np.float64]

# Row and column directions that put "up" of the room at the top of the image, looked at from the patient's
# feet (head first) or head (feet first): PS3.3 C.7.3.1.1.2.
_AXES: dict[str, tuple[int, int, int, int, int, int]] = {
    "HFS": (1, 0, 0, 0, 1, 0),
    "HFP": (-1, 0, 0, 0, -1, 0),
    "HFDR": (0, 1, 0, -1, 0, 0),
    "HFDL": (0, -1, 0, 1, 0, 0),
    "FFS": (-1, 0, 0, 0, 1, 0),
    "FFP": (1, 0, 0, 0, -1, 0),
    "FFDR": (0, -1, 0, -1, 0, 0),
    "FFDL": (0, 1, 0, 1, 0, 0),
}


@dataclass(frozen=True)
class Directions:
    """Unit vectors in LPS: to the next column, to the next row, to the next slice."""

    along_row: Vector
    down_column: Vector
    along_stack: Vector


@dataclass(frozen=True)
class Placement:
    """One slice to be written."""

    index: int
    """Along the stack, missing slices counted."""
    phase: int
    copy: int
    """1 for the second of two at the same place."""
    position: float
    """mm along the stack from the grid's centre."""
    origin: tuple[float, float, float]
    """LPS of the centre of the first voxel."""


def directions(spec: PhantomSpec) -> Directions:
    """The tilted plane's two directions and the untilted way of the stack."""
    given = np.asarray(spec.orientation or _AXES[spec.patient_position], dtype=np.float64).reshape(2, 3)
    along_row = given[0] / np.linalg.norm(given[0])
    down_column = given[1] - (given[1] @ along_row) * along_row
    down_column = np.asarray(down_column / np.linalg.norm(down_column), dtype=np.float64)
    along_stack = np.cross(along_row, down_column)
    angle = np.deg2rad(spec.tilt)
    leaning = np.cos(angle) * down_column + np.sin(angle) * along_stack
    return Directions(along_row, leaning, along_stack)


def positions(spec: PhantomSpec) -> tuple[float, ...]:
    """mm along the stack of every slice, missing ones too, jitter applied, ascending."""
    if spec.slice_positions is not None:
        places = np.array(sorted(spec.slice_positions), dtype=np.float64)
    else:
        places = (np.arange(spec.slices, dtype=np.float64) - (spec.slices - 1) / 2) * spec.slice_step
    if spec.position_jitter:
        jitter = np.random.default_rng([spec.seed, 1]).uniform(-1, 1, places.size)
        places = places + jitter * spec.position_jitter
    return tuple(float(place) for place in places)


def placements(spec: PhantomSpec) -> tuple[Placement, ...]:
    """Every slice there is, by phase, then along the stack, then by copy."""
    places = positions(spec)
    found = []
    for phase in range(spec.phases):
        for index, position in enumerate(places):
            if index in spec.missing:
                continue
            origin = _origin(spec, position)
            copies = 2 if index in spec.duplicated else 1
            found += [Placement(index, phase, copy, position, origin) for copy in range(copies)]
    return tuple(found)


def affine(spec: PhantomSpec) -> NDArray[np.float64]:
    """4×4; `affine @ (slice, row, column, 1)` = LPS mm of a voxel's centre, for the slices that are there.

    Exact under any tilt. Where slices are missing, irregular or jittered, no affine is exact: this one joins the
    first slice to the last evenly.
    """
    way = directions(spec)
    here = sorted({placement.position for placement in placements(spec)})
    step = (here[-1] - here[0]) / (len(here) - 1) if len(here) > 1 else spec.slice_step
    row_step, column_step = spec.spacing
    matrix = np.eye(4)
    matrix[:3, 0] = way.along_stack * step
    matrix[:3, 1] = way.down_column * row_step
    matrix[:3, 2] = way.along_row * column_step
    matrix[:3, 3] = _origin(spec, here[0])
    return matrix


def _origin(spec: PhantomSpec, position: float) -> tuple[float, float, float]:
    way = directions(spec)
    row_step, column_step = spec.spacing
    corner = (
        np.asarray(spec.centre)
        + way.along_stack * position
        - way.along_row * column_step * (spec.columns - 1) / 2
        - way.down_column * row_step * (spec.rows - 1) / 2
    )
    return float(corner[0]), float(corner[1]), float(corner[2])


def plane(spec: PhantomSpec, origin: tuple[float, float, float]) -> tuple[Vector, Vector, Vector]:
    """x, y, z of the voxel centres of the slice at `origin`; they broadcast together to (rows, columns).

    Kept as thin as the orientation allows: in an axial slice x is one row, y one column, z one number.
    """
    way = directions(spec)
    row_step, column_step = spec.spacing
    down = np.arange(spec.rows, dtype=np.float64)[:, None] * row_step
    along = np.arange(spec.columns, dtype=np.float64)[None, :] * column_step
    axes = []
    for axis in range(3):
        coordinate = np.full((1, 1), origin[axis])
        if way.down_column[axis] != 0:
            coordinate = coordinate + down * way.down_column[axis]
        if way.along_row[axis] != 0:
            coordinate = coordinate + along * way.along_row[axis]
        axes.append(coordinate)
    return axes[0], axes[1], axes[2]


def outside_circle(spec: PhantomSpec) -> NDArray[np.bool_]:
    """(rows, columns): true outside the largest circle that the matrix holds, where nothing is reconstructed."""
    row_step, column_step = spec.spacing
    down = (np.arange(spec.rows)[:, None] - (spec.rows - 1) / 2) * row_step
    along = (np.arange(spec.columns)[None, :] - (spec.columns - 1) / 2) * column_step
    radius = min(spec.rows * row_step, spec.columns * column_step) / 2
    outside: NDArray[np.bool_] = down**2 + along**2 > radius**2
    return outside
