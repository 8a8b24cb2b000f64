"""What a run over many series takes of memory, all its processes together: workers × the largest series + 200 MB."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pydicom
import pytest
from peak_memory import proportional_bytes

from hounsfield import phantom
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import LEDGER_NAME, read_ledger

MEGABYTE = 1 << 20
SLICES, SIDE = 200, 512
SERIES_BYTES = SLICES * SIDE * SIDE * 2
BEYOND_BYTES = 200 * MEGABYTE


def many_series(folder: Path, count: int, *, slices: int = SLICES) -> None:
    (path, *_) = phantom.write(PhantomSpec(rows=SIDE, columns=SIDE, slices=1, noise=0.0), folder / "one")
    dataset = pydicom.dcmread(path)
    for series in range(count):
        (folder / "in" / str(series)).mkdir(parents=True)
        dataset.SeriesInstanceUID, dataset.SeriesNumber = f"1.2.3.{series + 1}", series + 1
        for index in range(slices):
            uid = f"1.2.3.{series + 1}.{index + 1}"
            dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid  # type: ignore[assignment]
            dataset.ImagePositionPatient[2] = float(index)
            dataset.save_as(folder / "in" / str(series) / f"{index}.dcm")


def tree(root: int) -> list[int]:
    """The process and all that descend from it."""
    parents: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found = [root]
    for process in found:
        found += parents.get(process, [])
    return found


VERBS = {
    "volume .nii.gz": ["volume", "in", "out", "--format", ".nii.gz"],
    "volume .zarr": ["volume", "in", "out", "--format", ".zarr"],
    "image": ["image", "in", "out"],
    "image --mip": ["image", "in", "out", "--mip"],
    "info": ["info", "in", "--json"],
    "copy": ["copy", "in", "out"],
    "copy --verify": ["copy", "in", "out", "--verify"],
    "deidentify": ["deidentify", "in", "out"],
    "compress": ["compress", "in", "out", "--to", "htj2k"],
}


def peak_bytes(command: list[str], folder: Path) -> int:
    """The most that the verb and all its processes took together."""
    most = 0
    command = [sys.executable, "-m", "hounsfield", *command, "--workers", "2"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            most = max(most, sum(map(proportional_bytes, tree(process.pid))))
            time.sleep(0.02)
    assert process.returncode == 0
    return most


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's smaps_rollup")
@pytest.mark.parametrize("verb", VERBS)
def test_a_run_stays_within_its_memory(tmp_path: Path, verb: str) -> None:
    many_series(tmp_path, 5)
    most = peak_bytes(VERBS[verb], tmp_path)
    if verb != "info":
        statuses = [record.status for record in read_ledger(tmp_path / "out" / LEDGER_NAME)]
        assert statuses.count("done") == 5
    print(f"{verb}: {most / MEGABYTE:.0f} MB, of {(2 * SERIES_BYTES + BEYOND_BYTES) / MEGABYTE:.0f}")
    assert most < 2 * SERIES_BYTES + BEYOND_BYTES


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's smaps_rollup")
def test_a_huge_series_streams_into_zarr(tmp_path: Path) -> None:
    """A gigabyte of slices, in less than half of that."""
    many_series(tmp_path, 1, slices=2000)
    most = peak_bytes(["volume", "in", "out", "--format", ".zarr"], tmp_path)
    print(f"{2000 * SIDE * SIDE * 2 / MEGABYTE:.0f} MB of slices: {most / MEGABYTE:.0f} MB")
    assert most < 500 * MEGABYTE
