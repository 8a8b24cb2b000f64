"""The phantom's body as formulas: what HU is at a point of the patient's space.

A water-equivalent elliptic cylinder in air, around the origin, its axis along z, with eight rods of known HU in a
ring. What else is in it is there to show errors that rods cannot: a cone and a helix of six different spheres
betray slices that are in the wrong order, a ramp whose HU is four times its z betrays slices in the wrong place,
and nothing is the same mirrored. Not a simulator: no partial volume, no beam hardening, no reconstruction.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Coordinate = NDArray[np.float64]

AIR_HU = -1000.0
BODY_HU = 10.0
TABLE_HU = -700.0
CONE_HU = 300.0
RAMP_HU_PER_MM = 4.0
VESSEL_HU = 50.0
VESSEL_HU_PER_PHASE = 150.0

BODY_HALF_AXES = (150.0, 110.0, 95.0)
"""mm along x and y of the ellipse, and half the length along z."""
ROD_HALF_LENGTH = 80.0
ROD_RADIUS = 14.0
RING_RADIUS = 75.0

_MATERIALS = (
    ("air", "air", -1000.0),
    ("pmp", "polymethylpentene", -200.0),
    ("ldpe", "low-density polyethylene", -100.0),
    ("polystyrene", "polystyrene", -35.0),
    ("water", "water", 0.0),
    ("acrylic", "polymethyl methacrylate", 120.0),
    ("delrin", "polyoxymethylene", 340.0),
    ("teflon", "polytetrafluoroethylene", 990.0),
)


@dataclass(frozen=True)
class Insert:
    """A rod of one material, its axis along z."""

    name: str
    material: str
    hu: float
    centre_mm: tuple[float, float, float]
    radius_mm: float
    half_length_mm: float


@dataclass(frozen=True)
class Sphere:
    """One of the helix."""

    hu: float
    centre_mm: tuple[float, float, float]
    radius_mm: float


def inserts() -> tuple[Insert, ...]:
    """The eight rods, clockwise as a head-first supine image shows them, the air rod right below the patient's left."""
    found = []
    for number, (name, material, hu) in enumerate(_MATERIALS):
        angle = math.radians(22.5 + 45.0 * number)
        centre = (RING_RADIUS * math.cos(angle), RING_RADIUS * math.sin(angle), 0.0)
        found.append(Insert(name, material, hu, centre, ROD_RADIUS, ROD_HALF_LENGTH))
    return tuple(found)


def spheres() -> tuple[Sphere, ...]:
    """Six spheres, each denser, further round and higher up than the last."""
    found = []
    for number in range(6):
        angle = math.radians(60.0 * number)
        centre = (42.0 * math.cos(angle), 42.0 * math.sin(angle), -30.0 + 12.0 * number)
        found.append(Sphere(200.0 + 100.0 * number, centre, 7.0))
    return tuple(found)


_INSERTS = inserts()
_SPHERES = spheres()


def sample(
    x: Coordinate,
    y: Coordinate,
    z: Coordinate,
    *,
    phase: int = 0,
    table: bool = True,
    metal: float | None = None,
) -> NDArray[np.float32]:
    """HU, without noise, at LPS points in mm; x, y and z broadcast, and so is the answer shaped."""
    hu = np.full(np.broadcast_shapes(x.shape, y.shape, z.shape), AIR_HU, dtype=np.float32)
    if table:
        _paint(hu, (np.abs(x) < 140) & (np.abs(y - 126) < 8) & (np.abs(y - 126 + x**2 / 2500) < 5), TABLE_HU)
    half_x, half_y, half_z = BODY_HALF_AXES
    _paint(hu, ((x / half_x) ** 2 + (y / half_y) ** 2 < 1) & (np.abs(z) < half_z), BODY_HU)
    inside = np.abs(z) < ROD_HALF_LENGTH
    for insert in _INSERTS:
        _paint(hu, _rod(x, y, insert.centre_mm, insert.radius_mm) & inside, insert.hu)
    _paint(hu, (x**2 + y**2 < (14 + z / 8) ** 2) & inside, CONE_HU)
    _paint(hu, _rod(x, y, (110, 0, 0), 12) & inside, z * RAMP_HU_PER_MM)
    _paint(hu, _rod(x, y, (-110, 0, 0), 12) & inside, VESSEL_HU + VESSEL_HU_PER_PHASE * phase)
    if metal is not None:
        _paint(hu, _rod(x, y, (0, -98, 0), 6) & inside, metal)
    for sphere in _SPHERES:
        height = (z - sphere.centre_mm[2]) ** 2
        if height.min() < sphere.radius_mm**2:
            across = (x - sphere.centre_mm[0]) ** 2 + (y - sphere.centre_mm[1]) ** 2
            _paint(hu, across + height < sphere.radius_mm**2, sphere.hu)
    return hu


def ideal(
    shape: tuple[int, int, int],
    affine: NDArray[np.float64],
    *,
    phase: int = 0,
    table: bool = True,
    metal: float | None = None,
) -> NDArray[np.float32]:
    """HU without noise on any grid (slices, rows, columns); `affine @ (slice, row, column, 1)` = LPS mm."""
    volume = np.empty(shape, dtype=np.float32)
    rows, columns = np.meshgrid(np.arange(shape[1]), np.arange(shape[2]), indexing="ij")
    for number in range(shape[0]):
        x, y, z = (
            affine[axis, 0] * number + affine[axis, 1] * rows + affine[axis, 2] * columns + affine[axis, 3]
            for axis in range(3)
        )
        volume[number] = sample(x, y, z, phase=phase, table=table, metal=metal)
    return volume


def _rod(
    x: Coordinate, y: Coordinate, centre: tuple[float, float, float], radius: float
) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (x - centre[0]) ** 2 + (y - centre[1]) ** 2 < radius**2
    return inside


def _paint(hu: NDArray[np.float32], where: NDArray[np.bool_], value: float | Coordinate) -> None:
    np.copyto(hu, value, where=where, casting="same_kind")
