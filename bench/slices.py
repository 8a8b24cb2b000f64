"""Slices of a volume as PNG, per second: `hounsfield.pictures.slices` beside Pillow in a loop, on two cores.

    python bench/slices.py [SLICES]

The volume is a phantom of 512 × 512 with noise, as CT has it: noise is what deflate spends its time on.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from hounsfield.ct.volume import Volume
from hounsfield.ct.windowing import apply_window, window
from hounsfield.pictures.slices import write_slices

WORKERS = 2


def noisy(slices: int) -> Volume:
    """A cylinder of water in air, with noise of 12 HU, −1024 outside a circle."""
    rows, columns = np.mgrid[-1:1:512j, -1:1:512j]
    radius = np.hypot(rows, columns)
    flat = np.where(radius < 0.7, 40, -1000)
    noise = np.random.default_rng(7).normal(0, 12, (slices, 512, 512))
    values = np.where(radius < 1, np.maximum(flat + noise, -1024), -1024)
    return Volume.from_array(np.rint(values).astype(np.int16), np.diag([1.0, 0.7, 0.7, 1.0])[[2, 1, 0, 3]])


def by_pillow(volume: Volume, folder: Path, bits: int) -> None:
    """What people write: one slice after another."""
    folder.mkdir()
    for index, plane in enumerate(volume.array):
        pixels = (
            (plane + 1024).astype(np.uint16) if bits == 16 else apply_window(plane, window("soft-tissue"))
        )
        Image.fromarray(pixels).save(folder / f"{index:04d}.png")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds by the clock and of CPU."""
    begin, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - begin, time.process_time() - cpu


def main() -> None:
    slices = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    volume, shown = noisy(slices), window("soft-tissue")
    print(f"{slices} slices of 512 × 512, {WORKERS} threads: PNG a second (ms of CPU each)")
    with tempfile.TemporaryDirectory() as root:
        for bits in (8, 16):

            def ours(bits: int = bits) -> None:
                write_slices(volume, Path(root, f"ours{bits}"), shown=shown, bits=bits, workers=WORKERS)

            def pillow(bits: int = bits) -> None:
                by_pillow(volume, Path(root, f"pillow{bits}"), bits)

            for name, work in (("hounsfield", ours), ("Pillow", pillow)):
                seconds, cpu = timed(work)
                print(f"  {bits:2} bits  {name:10}  {slices / seconds:7.1f}  ({cpu / slices * 1e3:.1f})")


if __name__ == "__main__":
    main()
