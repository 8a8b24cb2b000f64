"""How fast many series are, beside their floor, in one run: `make bench`.

60 series of real slices through `volume` with 1 and 2 workers, in threads and in processes, and on a local Dask cluster
of two workers; what a series costs beyond its own work; what scanning 20 000 files costs beside dicomsdl, pydicom and
gdcmscanner. Every contender runs in a fresh process over files that are in the page cache.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

SERIES, SCANNED, REPEATS = 60, 20_000, 3
WORKERS = 2
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_MMAP_THRESHOLD_": "33554432"}
"""For Dask's workers, as docs/batch.md advises: by Dask's own setting each large array is returned to the system at
once, which makes conversion a third slower in them than in any other process.
"""


def write_series(source: Path, out: Path, count: int) -> None:
    """`count` series of the real slices in `source`, each with UIDs of its own; pixels untouched."""
    import pydicom

    datasets = [pydicom.dcmread(path) for path in sorted(source.iterdir()) if path.name != "DIRFILE"]
    for number in range(count):
        folder = out / f"{number:03}"
        folder.mkdir(parents=True)
        for index, dataset in enumerate(datasets):
            dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.9.7133.2.{number}"
            dataset.SeriesNumber = number
            uid = f"{dataset.SeriesInstanceUID}.{index}"
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
            dataset.save_as(folder / f"{index:04}.dcm")


def write_scanned(source: Path, out: Path, count: int) -> None:
    """`count` files with the headers of `source` and 64 × 64 pixels, so that the disk is not what is measured."""
    import pydicom

    datasets = [pydicom.dcmread(path) for path in sorted(source.iterdir()) if path.name != "DIRFILE"]
    for dataset in datasets:
        dataset.Rows = dataset.Columns = 64
        dataset.PixelData = dataset.PixelData[: 64 * 64 * 2]
    for number in range(count):
        dataset = datasets[number % len(datasets)]
        series, index = divmod(number, len(datasets))
        dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.9.7133.3.{series}"
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = (
            f"{dataset.SeriesInstanceUID}.{index}"
        )
        folder = out / f"{series:04}"
        folder.mkdir(parents=True, exist_ok=True)
        dataset.save_as(folder / f"{index:04}.dcm")


def convert(folder: Path, kind: str) -> dict[str, float]:
    """The whole verb but for start-up: scan, volumes, ledger, report. Engines start before the clock does."""
    from hounsfield import batch, scan
    from hounsfield.conversion import convert_all
    from hounsfield.report import open_place

    local: Any = None
    if kind == "dask":
        import distributed

        local = distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None, env=MALLOC
        )
        engine = batch.cluster(local.scheduler_address)
    else:
        name, _, count = kind.partition("-")
        engine = {"threads": batch.threads, "processes": batch.processes}[name](int(count))
        import dataclasses

        engine = dataclasses.replace(engine, cores=1)
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        start = time.perf_counter()
        found = scan(folder)
        scanned = time.perf_counter()
        with open_place(out) as place:
            answers = list(convert_all(found, place, suffix=".nii", engine=engine))
        total = time.perf_counter() - start
    if local is not None:
        local.close()
    assert {answer.record.status for answer in answers} == {"made"}
    work = sum(answer.record.seconds for answer in answers)
    return {"seconds": total, "scan": scanned - start, "work": work, "series": len(answers)}


def ours(folder: Path) -> int:
    import hounsfield

    return sum(len(series.slices) for series in hounsfield.scan(folder).series)


def our_headers(folder: Path) -> int:
    import hounsfield

    return sum(1 for _ in hounsfield.instances(folder))


def by_pydicom(folder: Path) -> int:
    import pydicom

    wanted = ["SeriesInstanceUID", "SOPInstanceUID", "ImagePositionPatient", "Rows", "Columns"]
    files = (path for path in folder.rglob("*") if path.is_file())
    return sum(
        "SOPInstanceUID" in pydicom.dcmread(path, stop_before_pixels=True, specific_tags=wanted)
        for path in files
    )


def by_dicomsdl(folder: Path) -> int:
    import dicomsdl

    count = 0
    for path in folder.rglob("*"):
        if path.is_file():
            dataset = dicomsdl.open(str(path), load_until=0x7FE00000)
            count += bool(
                dataset.SeriesInstanceUID and dataset.SOPInstanceUID and dataset.ImagePositionPatient
            )
    return count


def by_gdcmscanner(folder: Path) -> int:
    tags = ["-t", "0020,000e", "-t", "0008,0018", "-t", "0020,0032"]
    done = subprocess.run(
        ["gdcmscanner", "-r", "-d", str(folder), *tags, "--print"], capture_output=True, check=True
    )
    return done.stdout.count(b"Filename: ")


SCANNERS: dict[str, tuple[str, Callable[[Path], int]]] = {
    "hounsfield": ("hounsfield.scan: series, geometry, verdicts", ours),
    "headers": ("hounsfield.instances: headers alone", our_headers),
    "gdcm": ("gdcmscanner: 3 tags", by_gdcmscanner),
    "dicomsdl": ("dicomsdl: headers", by_dicomsdl),
    "pydicom": ("pydicom: 5 tags", by_pydicom),
}
RUNS = ("threads-1", "threads-2", "processes-2", "dask")


def scan_once(folder: Path, name: str) -> dict[str, float]:
    start = time.perf_counter()
    found = SCANNERS[name][1](folder)
    return {"seconds": time.perf_counter() - start, "files": found}


def in_a_fresh_process(*arguments: object) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, __file__, *map(str, arguments)], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measured(what: str, name: str, folder: Path) -> dict[str, float]:
    runs = [in_a_fresh_process(what, name, folder) for _ in range(REPEATS)]
    return min(runs, key=lambda run: run["seconds"]) | {
        "median": statistics.median(run["seconds"] for run in runs)
    }


def run_all(data: Path, series: int, files: int) -> dict[str, dict[str, float]]:
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as temporary:
        many, scanned = Path(temporary, "many"), Path(temporary, "scanned")
        write_series(data / "philips_phantom" / "S21570" / "S2010", many, series)
        for name in RUNS:
            results[name] = measured("--convert", name, many)
        shutil.rmtree(many)
        write_scanned(data / "philips_phantom" / "S21570" / "S2020", scanned, files)
        for name in SCANNERS:
            if name == "gdcm" and shutil.which("gdcmscanner") is None:
                continue
            results[name] = measured("--scan", name, scanned)
    return results


def show(results: dict[str, dict[str, float]], series: int, files: int) -> None:
    one = results["threads-1"]["seconds"]
    print(f"\n{series} series, best of {REPEATS}; {platform.machine()}, {os.cpu_count()} cores")
    print(f"{'engine':14} {'seconds':>8} {'× one':>7} {'scan s':>7} {'beyond work, ms a series':>25}")
    for name in RUNS:
        run = results[name]
        workers = 1 if name.endswith("-1") else WORKERS
        beyond = (run["seconds"] - run["work"] / workers) / run["series"] * 1000
        print(
            f"{name:14} {run['seconds']:>8.2f} {one / run['seconds']:>7.2f} {run['scan']:>7.2f} {beyond:>25.1f}"
        )
    print(f"\nscanning {files} files, best of {REPEATS}\n{'reader':46} {'seconds':>8} {'ms a file':>10}")
    for name, (what, _) in SCANNERS.items():
        if name in results:
            seconds = results[name]["seconds"]
            print(f"{what:46} {seconds:>8.2f} {seconds / files * 1000:>10.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--convert", nargs=2, metavar=("ENGINE", "FOLDER"))
    parser.add_argument("--scan", nargs=2, metavar=("READER", "FOLDER"))
    parser.add_argument("--series", type=int, default=SERIES)
    parser.add_argument("--files", type=int, default=SCANNED)
    parser.add_argument("--json", type=Path)
    beside = Path(__file__).resolve().parent.parent.parent
    data = os.environ.get("HOUNSFIELD_TEST_DATA", beside / "shared" / "data")
    parser.add_argument("--data", type=Path, default=data)
    arguments = parser.parse_args()
    if arguments.convert:
        print(json.dumps(convert(Path(arguments.convert[1]), arguments.convert[0])))
        return
    if arguments.scan:
        print(json.dumps(scan_once(Path(arguments.scan[1]), arguments.scan[0])))
        return
    results = run_all(Path(arguments.data), arguments.series, arguments.files)
    show(results, arguments.series, arguments.files)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
