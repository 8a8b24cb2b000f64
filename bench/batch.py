"""How fast many series are, beside their floor, in one run: `make bench`.

60 series of real slices (a third each of 28, 54 and 140) through `volume` to its default format: with one worker, held
to one core; with two in processes; on a local Dask cluster of two; and what a series costs beyond its own work. What
scanning 20 000 files costs beside dicomsdl, pydicom and gdcmscanner. Every run is a fresh process, engines take turns,
inputs are in the page cache, outputs on a file system in memory where there is one: no disk is measured.

Engines are open and have made four volumes before the clock starts; what that takes is shown apart, as `start`. CPU is
that of the whole tree of processes, a scheduler included: it says what other load on the machine hides.
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
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from real_slices import add_data_option, slices

SERIES, SCANNED, REPEATS, READS = 60, 20_000, 3, 2
WORKERS, WARM = 2, 4
SOURCES = ("S21570/S2010", "S21610/S2010", "S21570/S2020")
SUFFIX = ".nii.gz"
LEAST_SPEED_UP, MOST_BESIDE_PROCESSES, MOST_BEYOND_MS, MOST_SCAN_MS = 1.8, 1.15, 20.0, 0.15
MEMORY = Path("/dev/shm")
ENOUGH_BYTES = 6 << 30


def write_series(data: Path, out: Path, count: int) -> None:
    """`count` series of real slices, each with UIDs of its own; pixels untouched."""
    import pydicom

    sources = [
        [pydicom.dcmread(path) for path in sorted((data / name).iterdir()) if path.name != "DIRFILE"]
        for name in SOURCES
    ]
    for number in range(count):
        folder = out / f"{number:03}"
        folder.mkdir(parents=True)
        for index, dataset in enumerate(sources[number % len(sources)]):
            dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.9.7133.2.{number}"
            dataset.SeriesNumber = number
            uid = f"{dataset.SeriesInstanceUID}.{index}"
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
            dataset.save_as(folder / f"{index:04}.dcm")


def write_scanned(source: list[Path], out: Path, count: int) -> None:
    """`count` files with the headers of `source` and 64 × 64 pixels, so that the disk is not what is measured."""
    import pydicom

    datasets = [pydicom.dcmread(path) for path in source]
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


def tree_cpu() -> float:
    """Seconds of CPU of this process and all that descend from it, dead ones that were waited for included."""
    tick = os.sysconf("SC_CLK_TCK")
    parents: dict[int, list[int]] = {}
    seconds: dict[int, float] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        process = int(path.parent.name)
        parents.setdefault(int(fields[1]), []).append(process)
        seconds[process] = sum(map(int, fields[11:15])) / tick
    found = [os.getpid()]
    for process in found:
        found += parents.get(process, [])
    return sum(seconds.get(process, 0.0) for process in found)


def engine_of(kind: str) -> tuple[Any, Any]:
    """The engine, and the Dask cluster that it is of, if any."""
    from hounsfield import runs as batch

    if kind == "dask":
        import distributed

        local = distributed.LocalCluster(
            n_workers=WORKERS, threads_per_worker=1, processes=True, dashboard_address=None
        )
        return batch.cluster(local.scheduler_address), local
    name, _, count = kind.partition("-")
    if int(count) == 1 and hasattr(os, "sched_setaffinity"):
        # One core a worker, also where there is one worker: that is what two are compared with.
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    return replace({"threads": batch.threads, "processes": batch.processes}[name](int(count)), cores=1), None


def convert(folder: Path, kind: str) -> dict[str, float]:
    """The whole verb but for start-up: scan, volumes, ledger, report."""
    from hounsfield import scan
    from hounsfield.runs.report import open_place
    from hounsfield.verbs.convert import convert_all

    begin = time.perf_counter()
    engine, local = engine_of(kind)
    executor, close = engine.open(), engine.close
    engine = replace(engine, open=lambda: executor, close=lambda _: None)
    with tempfile.TemporaryDirectory(dir=folder.parent) as out:
        whole = scan(folder)
        few = replace(whole, series=whole.series[:WARM])
        with open_place(Path(out, "warm")) as place:
            list(convert_all(few, place, suffix=SUFFIX, engine=engine))
        start, cpu = time.perf_counter(), tree_cpu()
        found = scan(folder)
        scanned = time.perf_counter()
        with open_place(Path(out, "made")) as place:
            answers = list(convert_all(found, place, suffix=SUFFIX, engine=engine))
        total, cpu = time.perf_counter() - start, tree_cpu() - cpu
    close(executor)
    if local is not None:
        local.close()
    assert {answer.status for answer in answers} == {"done"}
    work = sum(answer.facts["seconds"] for answer in answers)
    return {
        "seconds": total,
        "cpu": cpu,
        "start": start - begin,
        "scan": scanned - start,
        "work": work,
        "series": len(answers),
    }


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
RUNS = {
    "threads-1": "one worker",
    "processes-2": f"{WORKERS} workers, processes",
    "dask": f"{WORKERS} workers, Dask",
}


def scan_once(folder: Path, name: str) -> dict[str, float]:
    start, cpu = time.perf_counter(), sum(os.times()[:4])
    found = SCANNERS[name][1](folder)
    return {"seconds": time.perf_counter() - start, "cpu": sum(os.times()[:4]) - cpu, "files": found}


def in_a_fresh_process(*arguments: object) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", __file__, *map(str, arguments)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def in_turns(what: str, names: Iterable[str], folder: Path, repeats: int) -> dict[str, dict[str, float]]:
    """The quickest run of each, all having had their turn before any has its next; CPU is the least of any."""
    runs: dict[str, list[dict[str, float]]] = {}
    for _ in range(repeats):
        for name in names:
            runs.setdefault(name, []).append(in_a_fresh_process(what, name, folder))
    return {
        name: min(each, key=lambda run: run["seconds"])
        | {
            "cpu": min(run["cpu"] for run in each),
            "median": statistics.median(run["seconds"] for run in each),
        }
        for name, each in runs.items()
    }


def room() -> str | None:
    """A folder in memory, if there is one with room; else where temporary files go."""
    fits = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ENOUGH_BYTES
    return str(MEMORY) if fits else None


def run_all(data: Path, series: int, files: int) -> dict[str, dict[str, float]]:
    results: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory(dir=room()) as temporary:
        many, scanned = Path(temporary, "many"), Path(temporary, "scanned")
        write_series(data / "philips_phantom", many, series)
        results |= in_turns("--convert", RUNS, many, REPEATS)
        shutil.rmtree(many)
        write_scanned(slices(data), scanned, files)
        names = [name for name in SCANNERS if name != "gdcm" or shutil.which("gdcmscanner") is not None]
        results |= in_turns("--scan", names, scanned, READS)
    return results


def show(results: dict[str, dict[str, float]], series: int, files: int) -> None:
    cores = f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    print(f"\n{series} series to {SUFFIX}, best of {REPEATS}; {cores}")
    one, two, dask = (results[name] for name in RUNS)
    heads = ("seconds", "× one", "start", "scan", "CPU ms", "work ms", "beyond ms")
    print(f"{'':22}" + "".join(f"{head:>10}" for head in heads) + "   (ms: a series)")
    for name, what in RUNS.items():
        run = results[name]
        each = 1000 / run["series"]
        facts = (run["seconds"], one["seconds"] / run["seconds"], run["start"], run["scan"])
        print(
            f"{what:22}"
            + "".join(f"{fact:>10.2f}" for fact in facts)
            + f"{run['cpu'] * each:>10.1f}{run['work'] * each:>10.1f}{beyond(run, name):>10.1f}"
        )
    print("\ntargets")
    verdict("two workers × one", one["seconds"] / two["seconds"], LEAST_SPEED_UP, least=True)
    verdict("Dask × one", one["seconds"] / dask["seconds"], LEAST_SPEED_UP, least=True)
    verdict("Dask beside processes, seconds", dask["seconds"] / two["seconds"], MOST_BESIDE_PROCESSES)
    verdict("Dask beside processes, CPU", dask["cpu"] / two["cpu"], MOST_BESIDE_PROCESSES)
    for name, what in RUNS.items():
        verdict(f"ms a series beyond work, {what}", beyond(results[name], name), MOST_BEYOND_MS)
    show_scans(results, files)


def beyond(run: dict[str, float], name: str) -> float:
    """Milliseconds a series that no worker worked: scan, planning, hand-over, ledger, pages, idle workers."""
    workers = 1 if name == "threads-1" else WORKERS
    return (run["seconds"] - run["work"] / workers) / run["series"] * 1000


def show_scans(results: dict[str, dict[str, float]], files: int) -> None:
    print(f"\nscanning {files} files, best of {READS}\n{'':46}{'seconds':>10}{'ms a file':>10}{'CPU ms':>10}")
    for name, (what, _) in SCANNERS.items():
        if name in results:
            run = results[name]
            each = 1000 / files
            print(f"{what:46}{run['seconds']:>10.2f}{run['seconds'] * each:>10.3f}{run['cpu'] * each:>10.3f}")
    print("\ntargets")
    verdict("ms a file, hounsfield.scan", results["hounsfield"]["seconds"] / files * 1000, MOST_SCAN_MS)


def verdict(what: str, found: float, target: float, *, least: bool = False) -> None:
    met = found >= target if least else found <= target
    print(f"{what:46}{found:>10.3f}   {'≥' if least else '≤'} {target:g}: {'met' if met else 'NOT met'}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--convert", nargs=2, metavar=("ENGINE", "FOLDER"))
    parser.add_argument("--scan", nargs=2, metavar=("READER", "FOLDER"))
    parser.add_argument("--series", type=int, default=SERIES)
    parser.add_argument("--files", type=int, default=SCANNED)
    parser.add_argument("--json", type=Path)
    add_data_option(parser)
    arguments = parser.parse_args()
    if arguments.convert:
        print(json.dumps(convert(Path(arguments.convert[1]), arguments.convert[0])))
        return
    if arguments.scan:
        print(json.dumps(scan_once(Path(arguments.scan[1]), arguments.scan[0])))
        return
    results = run_all(arguments.data, arguments.series, arguments.files)
    show(results, arguments.series, arguments.files)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
