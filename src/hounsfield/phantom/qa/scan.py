"""The scan of a phantom that is asked for, and the place of the phantom in the patient."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Scan:
    """A scan to make; lengths in mm, angles in degrees, values in HU.

    - `shape`, `spacing`, `start`: slices, rows, columns; `start` the LPS place of the first voxel (default: the
      phantom's axis in the middle of the field, its modules in the slices)
    - `roll` clockwise on the image, `tilt` about x and y, `offset` of the phantom's centre (x, y, z)
    - `mirror`: the data flipped in x; `reverse`: the phantom turned end for end
    - `psf`: sigma of the Gaussian point spread, so that the TTF is exp(−2π²σ²f²); `thickness` of the box in z and
      `blur`, sigma of the Gaussian that goes over it
    - `noise`: standard deviation; its spectrum f·exp(−f²/(2·peak²)); `z_correlation` between neighbouring slices
    - `gain`, `shift`: the scale of a cone beam; `cup`: HU lost in the centre; `ring`: HU of a ring of radius 30 mm
    - `floor`, `ceiling`: what values are cut off at
    - `field`: diameter of the field, `cut`: mm from the axis beyond which x has no data
    - `rim_gap`: degrees over which the rim fades into air; `table`, `beads`: what else lies in the field
    - `missing`: modules that are not there; `kv` as the header says
    """

    model: str = "catphan604"
    shape: tuple[int, int, int] = (100, 512, 512)
    spacing: tuple[float, float, float] = (2.0, 0.5, 0.5)
    start: tuple[float, float, float] | None = None
    roll: float = 0.0
    tilt: tuple[float, float] = (0.0, 0.0)
    offset: tuple[float, float, float] = (0.0, 0.0, 0.0)
    mirror: bool = False
    reverse: bool = False
    psf: float = 0.6
    thickness: float = 2.0
    blur: float = 0.3
    noise: float = 0.0
    peak: float = 0.25
    z_correlation: float = 0.0
    gain: float = 1.0
    shift: float = 0.0
    cup: float = 0.0
    ring: float = 0.0
    floor: float | None = None
    ceiling: float | None = None
    field: float | None = None
    cut: float | None = None
    rim_gap: float = 0.0
    table: bool = False
    beads: int = 0
    missing: tuple[str, ...] = ()
    kv: float = 120.0
    seed: int = 1

    def to_json(self) -> dict[str, Any]:
        """Every field as plain JSON values."""
        return asdict(self)


def rotation(scan: Scan) -> NDArray[np.float64]:
    """Return the 3×3 matrix of (u, v, w) of the phantom to (x, y, z) of the patient; −1 its determinant if mirrored."""
    roll, about_x, about_y = (math.radians(angle) for angle in (scan.roll, *scan.tilt))
    turn = np.array([[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]])
    end = np.diag([-1.0, 1.0, -1.0]) if scan.reverse else np.eye(3)
    cx, sx, cy, sy = math.cos(about_x), math.sin(about_x), math.cos(about_y), math.sin(about_y)
    tilt = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]]) @ np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    flip = np.diag([-1.0, 1.0, 1.0]) if scan.mirror else np.eye(3)
    found: NDArray[np.float64] = flip @ tilt @ end @ turn
    return found


def affine(scan: Scan, middle: float) -> NDArray[np.float64]:
    """Return the affine of (slice, row, column) to LPS mm; `middle` is the z in the middle of the slices."""
    dz, dy, dx = scan.spacing
    slices, rows, columns = scan.shape
    start = scan.start or (-dx * (columns - 1) / 2, -dy * (rows - 1) / 2, middle - dz * (slices - 1) / 2)
    found = np.zeros((4, 4))
    found[0, 2], found[1, 1], found[2, 0], found[3, 3] = dx, dy, dz, 1
    found[:3, 3] = start
    return found
