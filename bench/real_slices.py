"""The 140 real slices that benchmarks work on: where they are, copies of them, and a larger exam made of them."""

from __future__ import annotations

import argparse
import os
import shutil
from pathlib import Path

SERIES = Path("philips_phantom", "S21570", "S2020")


def data_folder() -> Path:
    """The folder of real CT (see tests/conftest.py), whether it is there or not."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    return Path(os.environ.get("HOUNSFIELD_TEST_DATA", beside))


def add_data_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", type=Path, default=data_folder())


def slices(data: Path) -> list[Path]:
    return sorted((data / SERIES).glob("I*"))


def copy_slices(data: Path, out: Path) -> None:
    out.mkdir()
    for path in slices(data):
        shutil.copyfile(path, out / path.name)


def write_big_exam(data: Path, out: Path, count: int) -> None:
    """`count` slices at 1 mm, pixels of the real ones, each a file with its own UID and position."""
    import pydicom

    out.mkdir()
    datasets = [pydicom.dcmread(path) for path in sorted(slices(data), key=lambda path: int(path.name[1:]))]
    for index in range(count):
        dataset = datasets[index % len(datasets)]
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = (
            f"1.2.826.0.1.3680043.9.7133.1.{index + 1}"
        )
        dataset.ImagePositionPatient[2] = float(index)
        dataset.InstanceNumber = index + 1
        dataset.save_as(out / f"{index:05}.dcm")
