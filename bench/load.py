"""How fast `load` is, beside its peers and the floor, in one run: `make bench`.

140 real slices, and a 600-slice exam made from them with new positions. Every contender runs in a fresh process,
warms up once, then is timed; its peak memory is the process's own. The floor reads the same pixel bytes into one
array and does nothing else; a second one reads into an array whose pages are there, as `load(out=)` does. Cold reads
drop the files from the page cache first.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measuring import peak_mb
from real_slices import add_data_option, copy_slices, write_big_exam

REPEATS = 5
BIG = 600


def floor(folder: Path) -> Any:
    import numpy as np

    files = sorted(folder.iterdir())
    array = np.empty((len(files), 512, 512), np.int16)
    for plane, path in zip(array, files, strict=True):
        with open(path, "rb", buffering=0) as stream:
            stream.seek(-plane.nbytes, os.SEEK_END)
            stream.readinto(plane.data)
    return array


def ours(folder: Path) -> Any:
    import hounsfield

    return hounsfield.load(folder).array


_WARM: dict[str, Any] = {}


def warm_array(folder: Path) -> Any:
    """One array for all reads of a folder, its pages there since the first."""
    import numpy as np

    if str(folder) not in _WARM:
        _WARM[str(folder)] = np.zeros((len(list(folder.iterdir())), 512, 512), np.int16)
    return _WARM[str(folder)]


def floor_out(folder: Path) -> Any:
    array = warm_array(folder)
    for plane, path in zip(array, sorted(folder.iterdir()), strict=True):
        with open(path, "rb", buffering=0) as stream:
            stream.seek(-plane.nbytes, os.SEEK_END)
            stream.readinto(plane.data)
    return array


def ours_out(folder: Path) -> Any:
    import hounsfield

    return hounsfield.load(folder, out=warm_array(folder)).array


def drop_cache(folder: Path) -> None:
    """Have the next read of these files come from the disk (Linux: clean pages go when they are not wanted)."""
    for path in folder.iterdir():
        with open(path, "rb") as stream:
            os.fsync(stream.fileno())
            os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def simpleitk(folder: Path) -> Any:
    import SimpleITK

    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return SimpleITK.GetArrayViewFromImage(reader.Execute())


def pydicom_numpy(folder: Path) -> Any:
    import numpy as np
    import pydicom
    from pydicom.pixels import apply_rescale

    datasets = [pydicom.dcmread(path) for path in folder.iterdir()]
    datasets.sort(key=lambda dataset: dataset.ImagePositionPatient[2])
    array = np.empty((len(datasets), 512, 512), np.int16)
    for plane, dataset in zip(array, datasets, strict=True):
        plane[...] = apply_rescale(dataset.pixel_array, dataset)
    return array


def dicomsdl_numpy(folder: Path) -> Any:
    import dicomsdl
    import numpy as np

    datasets = [dicomsdl.open(str(path)) for path in folder.iterdir()]
    datasets.sort(key=lambda dataset: dataset.ImagePositionPatient[2])
    array = np.empty((len(datasets), 512, 512), np.int16)
    for plane, dataset in zip(array, datasets, strict=True):
        plane[...] = dataset.pixelData(storedvalue=False)
    return array


def dcm2niix(folder: Path) -> Any:
    import dcm2niix as package

    with tempfile.TemporaryDirectory() as out:
        command = [package.bin, "-z", "n", "-b", "n", "-v", "0", "-o", out, str(folder)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return [path.stat().st_size for path in Path(out).iterdir()]


CONTENDERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "floor": ("bare read of the pixel bytes", floor),
    "hounsfield": ("hounsfield.load", ours),
    "floor_out": ("bare read into warm memory", floor_out),
    "hounsfield_out": ("hounsfield.load(out=)", ours_out),
    "dcm2niix": ("dcm2niix (writes .nii)", dcm2niix),
    "dicomsdl": ("dicomsdl + numpy", dicomsdl_numpy),
    "simpleitk": ("SimpleITK series reader", simpleitk),
    "pydicom": ("pydicom + numpy", pydicom_numpy),
}


COLD = ("floor", "hounsfield", "dcm2niix")
"""Contenders that are timed with the files out of the cache as well."""


def measure(name: str, folder: Path, *, cold: bool = False) -> dict[str, float]:
    """In this process: warm up, then time. Memory is what the process peaked at, and what the result takes.

    `cold`: the files are dropped from the page cache before each timing.
    """
    function = CONTENDERS[name][1]
    result = function(folder)
    size = result.nbytes if hasattr(result, "nbytes") else 0
    del result  # or two arrays would count as the peak
    times = []
    cpu = time.process_time()
    for _ in range(REPEATS):
        if cold:
            drop_cache(folder)
        start = time.perf_counter()
        function(folder)
        times.append(time.perf_counter() - start)
    cpu = (time.process_time() - cpu) / REPEATS
    return {
        "median": statistics.median(times),
        "least": min(times),
        "cpu": cpu,
        "peak_mb": peak_mb(),
        "array_mb": size / 2**20,
    }


def run_all(data: Path) -> list[dict[str, Any]]:
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        real, big = Path(temporary, "real"), Path(temporary, "big")
        copy_slices(data, real)
        write_big_exam(data, big, BIG)
        for folder in (real, big):
            for name, cold in [*((each, False) for each in CONTENDERS), *((each, True) for each in COLD)]:
                command = [sys.executable, __file__, "--one", name, str(folder)]
                command += ["--cold"] if cold else []
                done = subprocess.run(command, check=True, capture_output=True, text=True)
                found = json.loads(done.stdout)
                rows.append({"slices": len(list(folder.iterdir())), "reader": name, "cold": cold, **found})
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print(
        f"\nload, median of {REPEATS}, warm where not said; CPU of this process; "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(f"{'slices':>6}  {'reader':34} {'seconds':>8} {'CPU':>6} {'× floor':>8} {'peak MB over array':>19}")
    floors = {(row["slices"], row["cold"], row["reader"]): row["median"] for row in rows}
    for row in rows:
        over = f"{row['peak_mb'] - row['array_mb']:.0f}" if row["array_mb"] else "-"
        base = "floor_out" if row["reader"].endswith("_out") else "floor"
        times = row["median"] / floors[row["slices"], row["cold"], base]
        name = CONTENDERS[row["reader"]][0] + (", cold" if row["cold"] else "")
        print(
            f"{row['slices']:>6}  {name:34} {row['median']:>8.3f} {row['cpu']:>6.3f} {times:>8.1f} {over:>19}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("READER", "FOLDER"))
    parser.add_argument(
        "--cold", action="store_true", help="With --one: drop the files from the cache first."
    )
    parser.add_argument("--json", type=Path)
    add_data_option(parser)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one[0], Path(arguments.one[1]), cold=arguments.cold)))
        return
    rows = run_all(arguments.data)
    show(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
