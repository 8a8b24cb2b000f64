"""300 slices of 512 × 512 to voxels of 1 mm, beside SimpleITK: seconds, and seconds of CPU, on all cores."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import SimpleITK

from hounsfield.ct.grid import resampled
from hounsfield.ct.volume import Volume

REPEATS = 3
STEPS = (1.25, 0.7, 0.7)
KINDS = {
    "linear": SimpleITK.sitkLinear,
    "nearest": SimpleITK.sitkNearestNeighbor,
    "cubic": SimpleITK.sitkBSpline,
}


def timed(work: Callable[[], Any]) -> tuple[float, float]:
    wall, cpu = [], []
    for _ in range(REPEATS):
        begin, used = time.perf_counter(), time.process_time()
        work()
        wall.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - used)
    return statistics.median(wall), statistics.median(cpu)


def main() -> None:
    z, y, x = np.ogrid[:300, :512, :512]
    array = (400 * np.sin(x / 9) * np.cos(y / 11) + z).astype(np.int16)
    affine = np.diag([*STEPS, 1.0])[[2, 1, 0, 3]]
    volume = Volume(array, affine, STEPS)
    image, target = volume.to_sitk(), resampled(volume, voxel=1.0).to_sitk()
    print(f"{'':8s} {'ours s':>8s} {'CPU':>8s} {'SimpleITK s':>12s} {'CPU':>8s}")
    for name, kind in KINDS.items():
        ours = timed(lambda name=name: resampled(volume, voxel=1.0, interpolation=name))  # type: ignore[misc]
        theirs = timed(
            lambda kind=kind: SimpleITK.Resample(image, target, SimpleITK.Transform(), kind, -1024.0)
        )  # type: ignore[misc]
        print(f"{name:8s} {ours[0]:8.2f} {ours[1]:8.2f} {theirs[0]:12.2f} {theirs[1]:8.2f}")


if __name__ == "__main__":
    main()
