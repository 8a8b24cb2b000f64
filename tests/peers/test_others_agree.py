"""What two of pydicom, GDCM and DCMTK read equally, we read equally: over every file within reach.

Lossy JPEG is the exception that proves itself: inverse cosine transforms differ in the last bit, so no two agree there.
"""

from __future__ import annotations

import functools
import shutil
import subprocess
import warnings
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_frames import PYDICOM_FILES, format_of
from pydicom.pixels import pixel_array

from hounsfield.codecs.native import decode_native
from hounsfield.ct.hu import stored_values
from hounsfield.ct.instance import FileSource, Instance, read_instance
from hounsfield.errors import HounsfieldError

SIZE_LIMIT, EVERY = 12_000_000, 40
SERIES_FROM = 60  # files of one folder that are a series, of which some will do
DCMTK = {
    **dict.fromkeys(("50", "51", "53", "55", "57", "70"), ("dcmdjpeg", "+cn")),
    **dict.fromkeys(("80", "81"), ("dcmdjpls",)),
}
PACKAGES = {
    "gdcmconv": "libgdcm-tools",
    "dcmconv": "dcmtk",
    "dcmdjpeg": "dcmtk",
    "dcmdjpls": "dcmtk",
    "dcmdrle": "dcmtk",
}

Frames = list[np.ndarray[Any, Any]]


def files_below(root: Path) -> list[Path]:
    """Those that may be images, some of each long series."""
    found: dict[Path, list[Path]] = {}
    for path in sorted(root.rglob("*")):
        if (
            path.is_file()
            and 132 < path.stat().st_size < SIZE_LIMIT
            and path.suffix not in (".zip", ".gz", ".json")
        ):
            found.setdefault(path.parent, []).append(path)
    return [
        path
        for paths in found.values()
        for path in (paths if len(paths) < SERIES_FROM or root == PYDICOM_FILES else paths[::EVERY])
    ]


def need_tools() -> None:
    for name, package in PACKAGES.items():
        if shutil.which(name) is None:
            pytest.skip(f"{name} is not here; install {package}")


def frames_of(array: np.ndarray, instance: Instance) -> Frames:
    count = instance.header.number_of_frames
    shape = (*instance.shape, instance.samples) if instance.samples > 1 else instance.shape
    return list(np.asarray(array).reshape(count, *shape))


def by_pydicom(path: Path, instance: Instance) -> Frames:
    return frames_of(pixel_array(pydicom.dcmread(path, force=True), raw=True), instance)


def by_program(command: list[str], path: Path, instance: Instance, out: Path) -> Frames:
    """The cells that a program writes natively."""
    out.unlink(missing_ok=True)
    subprocess.run([*command, str(path), str(out)], check=True, capture_output=True, timeout=60)
    dataset = pydicom.dcmread(out)
    form = format_of(dataset)
    assert not dataset["PixelData"].is_undefined_length and form.bits_allocated > 1
    size = form.native_bytes
    count = instance.header.number_of_frames
    return [
        decode_native(dataset.PixelData[size * index : size * (index + 1)], form) for index in range(count)
    ]


def readings(path: Path, instance: Instance, folder: Path) -> dict[str, Frames]:
    suffix = instance.header.transfer_syntax.rpartition(".")[2]
    plain = ("dcmdrle",) if instance.syntax.family == "rle" else ("dcmconv", "+te")
    dcmtk = list(DCMTK.get(suffix, plain))
    readers = {
        "pydicom": by_pydicom,
        "GDCM": functools.partial(by_program, ["gdcmconv", "--raw"], out=folder / "gdcm.dcm"),
        "DCMTK": functools.partial(by_program, dcmtk, out=folder / "dcmtk.dcm"),
    }
    found = {}
    for name, reader in readers.items():
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found[name] = reader(path, instance)  # type: ignore[operator]
        except Exception:  # noqa: BLE001 (whatever ails them: then they have no say)
            continue
    return found


def agreed(found: dict[str, Frames]) -> tuple[str, Frames] | None:
    for one, other in combinations(found, 2):
        if all(map(np.array_equal, found[one], found[other])):
            return f"{one} and {other}", found[one]
    return None


def is_read_so(instance: Instance, index: int, theirs: np.ndarray) -> bool:
    """Our values are their cells, without what is above Bits Stored: a lossy coding may go beyond it, and others leave
    it at that.
    """
    stored = instance.stored_format
    mine = stored_values(instance.cells(index), stored)
    within = theirs.astype(np.int64).clip(*stored.range)
    return np.array_equal(mine, within) or np.array_equal(mine, stored_values(theirs, stored))


def disagreements(paths: list[Path], folder: Path) -> tuple[int, list[str]]:
    judged, wrong = 0, []
    for path in paths:
        try:
            instance = read_instance(FileSource(path))
            if (
                instance.header.pixels is None
                or instance.is_real
                or instance.header.integer("BitsAllocated") == 1
            ):
                continue
        except HounsfieldError:
            continue
        found = agreed(readings(path, instance, folder))
        if found is None:
            continue
        judged += 1
        try:
            if not all(is_read_so(instance, index, theirs) for index, theirs in enumerate(found[1])):
                wrong.append(f"{path.name}: other values than {found[0]}")
        except HounsfieldError as error:
            wrong.append(f"{path.name}: {error} (read by {found[0]})")
    return judged, wrong


@pytest.mark.parametrize("part", range(6))
def test_pydicoms_files_are_read_as_two_others_read_them(part: int, tmp_path: Path) -> None:
    need_tools()
    judged, wrong = disagreements(files_below(PYDICOM_FILES)[part::6], tmp_path)
    assert judged > 10
    assert wrong == []


def test_the_shared_files_are_read_as_two_others_read_them(real_data: Path, tmp_path: Path) -> None:
    need_tools()
    judged, wrong = disagreements(files_below(real_data), tmp_path)
    assert judged > 50
    assert wrong == []
