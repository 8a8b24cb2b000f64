"""How fast `load` is, beside its peers and the floor, in one run: `make bench`.

140 real slices, and a 600-slice exam made from them with new positions. Every contender runs in a fresh process,
warms up once, then is timed; its peak memory is the process's own. The floor reads the same pixel bytes into one
array and does nothing else.
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
    "dcm2niix": ("dcm2niix (writes .nii)", dcm2niix),
    "dicomsdl": ("dicomsdl + numpy", dicomsdl_numpy),
    "simpleitk": ("SimpleITK series reader", simpleitk),
    "pydicom": ("pydicom + numpy", pydicom_numpy),
}


def measure(name: str, folder: Path) -> dict[str, float]:
    """In this process: warm up, then time. Memory is what the process peaked at, and what the result takes."""
    function = CONTENDERS[name][1]
    result = function(folder)
    size = result.nbytes if hasattr(result, "nbytes") else 0
    del result  # or two arrays would count as the peak
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        function(folder)
        times.append(time.perf_counter() - start)
    return {
        "median": statistics.median(times),
        "least": min(times),
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
            for name in CONTENDERS:
                done = subprocess.run(
                    [sys.executable, __file__, "--one", name, str(folder)],
                    check=True,
                    capture_output=True,
                    text=True,
                )
                rows.append(
                    {"slices": len(list(folder.iterdir())), "reader": name, **json.loads(done.stdout)}
                )
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print(
        f"\nload, warm, median of {REPEATS}; "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(f"{'slices':>6}  {'reader':30} {'seconds':>8} {'× floor':>8} {'peak MB over array':>19}")
    floors = {row["slices"]: row["median"] for row in rows if row["reader"] == "floor"}
    for row in rows:
        over = f"{row['peak_mb'] - row['array_mb']:.0f}" if row["array_mb"] else "-"
        times = row["median"] / floors[row["slices"]]
        print(
            f"{row['slices']:>6}  {CONTENDERS[row['reader']][0]:30} {row['median']:>8.3f} {times:>8.1f} {over:>19}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=2, metavar=("READER", "FOLDER"))
    parser.add_argument("--json", type=Path)
    add_data_option(parser)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(arguments.one[0], Path(arguments.one[1]))))
        return
    rows = run_all(arguments.data)
    show(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
