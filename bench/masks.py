"""How fast masks are read and measured, beside highdicom, SimpleITK's label statistics and plastimatch: `make bench`.

104 ellipsoids in a CT of 512 × 512 × 300: a LABELMAP and a BINARY SEG read onto the grid and measured; an RT Structure
Set of outlines filled. Every contender runs in a fresh process, which has the CT's array before the clock starts; its
peak is above that.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from measuring import peak_mb

_CPU_BEFORE = [0.0]
"""Processor seconds of this process when the clock started."""

SEGMENTS = 104
SHAPE = (300, 512, 512)
STRUCTURES = 20
"""Of them in the structure set: plastimatch takes minutes for all."""


def volume_of(folder: Path) -> Any:
    import hounsfield

    array = np.load(folder / "ct.npy")
    affine = np.diag([0.75, 0.75, 1.0, 1.0])[:, [2, 1, 0, 3]]
    uids = tuple(json.loads((folder / "uids.json").read_text()))
    volume = hounsfield.Volume.from_array(array, affine)
    return hounsfield.Volume(array, affine, volume.spacing, uids=uids)


def labels() -> Any:
    """(slices, rows, columns): ellipsoids in rows, none upon another."""
    out = np.zeros(SHAPE, np.uint8)
    places = [(z, y, x) for z in (75, 225) for y in range(32, 470, 68) for x in range(30, 470, 60)][:SEGMENTS]
    z, y, x = np.mgrid[-60:61, -26:27, -24:25]
    inside = (z / 60) ** 2 + (y / 26) ** 2 + (x / 24) ** 2 <= 1
    for number, (slice_, row, column) in enumerate(places, 1):
        out[slice_ - 60 : slice_ + 61, row - 26 : row + 27, column - 24 : column + 25][inside] = number
    return out


def prepare(folder: Path) -> None:
    import pydicom
    from pydicom.uid import generate_uid

    from hounsfield.segmentation import Masks, Segment, to_rtstruct, to_seg

    rng = np.random.default_rng(1)
    np.save(folder / "ct.npy", rng.normal(0, 120, SHAPE).astype(np.int16))
    uids = [generate_uid() for _ in range(SHAPE[0])]
    (folder / "uids.json").write_text(json.dumps(uids))
    volume = volume_of(folder)
    sources = []
    common = {
        "StudyInstanceUID": generate_uid(),
        "SeriesInstanceUID": generate_uid(),
        "FrameOfReferenceUID": generate_uid(),
    }
    for index, uid in enumerate(uids):
        header = pydicom.Dataset()
        for keyword, value in common.items():
            setattr(header, keyword, value)
        header.SOPClassUID, header.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", uid
        header.PatientName = "Bench^Mark"
        header.PatientID = header.StudyID = header.AccessionNumber = "1"
        header.PatientBirthDate = header.PatientSex = header.StudyDate = header.StudyTime = ""
        header.Modality, header.SeriesNumber, header.InstanceNumber = "CT", 1, index + 1
        header.Rows, header.Columns = SHAPE[1:]
        header.ImagePositionPatient = volume.lps(index, 0, 0).tolist()
        header.ImageOrientationPatient, header.PixelSpacing = [1, 0, 0, 0, 1, 0], [0.75, 0.75]
        header.SliceThickness = 1
        header.file_meta = pydicom.dataset.FileMetaDataset()
        header.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        sources.append(header)
    array = labels()
    segments = tuple(
        Segment(number, f"organ {number}", algorithm="MANUAL") for number in range(1, SEGMENTS + 1)
    )
    masks = Masks((array,), segments, volume.affine)
    for kind in ("LABELMAP", "BINARY"):
        to_seg(masks, volume, sources, kind=kind).save_as(folder / f"{kind}.dcm")  # type: ignore[arg-type]
    some = Masks(
        (np.where(array <= STRUCTURES, array, 0).astype(np.uint8),), segments[:STRUCTURES], volume.affine
    )
    to_rtstruct(some, volume, sources).save_as(folder / "rtstruct.dcm", enforce_file_format=True)
    import hounsfield

    hounsfield.write_volume(volume, folder / "ct.nrrd")


def _started() -> float:
    _CPU_BEFORE[0] = time.process_time()
    return time.perf_counter()


def ours(folder: Path, name: str) -> tuple[float, int]:
    import hounsfield
    from hounsfield.segmentation import measure

    volume = volume_of(folder)
    before = peak_mb()
    start = _started()
    masks = hounsfield.masks(folder / f"{name}.dcm", volume)
    if name == "rtstruct":
        return time.perf_counter() - start, _told(sum(masks.counts().values()), before)
    rows = [each.to_json() for each in measure(volume, masks)]
    return time.perf_counter() - start, _told(sum(row["voxels"] for row in rows), before)


def highdicom_simpleitk(folder: Path, name: str) -> tuple[float, int]:
    import highdicom
    import SimpleITK

    volume = volume_of(folder)
    before = peak_mb()
    start = _started()
    found = highdicom.seg.segread(folder / f"{name}.dcm").get_volume(combine_segments=True)
    statistics = SimpleITK.LabelIntensityStatisticsImageFilter()
    image = SimpleITK.GetImageFromArray(volume.array[: found.shape[0]])
    statistics.Execute(SimpleITK.GetImageFromArray(found.array.astype(np.uint8)), image)
    count = sum(statistics.GetNumberOfPixels(label) for label in statistics.GetLabels())
    return time.perf_counter() - start, _told(count, before)


def plastimatch(folder: Path, name: str) -> tuple[float, int]:
    start = _started()
    out = folder / "plastimatch.nrrd"
    subprocess.run(
        [
            "plastimatch",
            "convert",
            "--input",
            str(folder / f"{name}.dcm"),
            "--output-ss-img",
            str(out),
            "--fixed",
            str(folder / "ct.nrrd"),
        ],
        check=True,
        capture_output=True,
    )
    return time.perf_counter() - start, _told(0, 0.0)


def _told(count: int, before: float) -> int:
    used = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = sum(each.ru_utime + each.ru_stime for each in used) - _CPU_BEFORE[0]
    print(
        json.dumps({"voxels": count, "mb": round(peak_mb() - before), "cpu": round(cpu, 2)}), file=sys.stderr
    )
    return count


CONTENDERS = {"ours": ours, "highdicom and SimpleITK": highdicom_simpleitk, "plastimatch": plastimatch}
RUNS = (
    ("LABELMAP", "ours"),
    ("LABELMAP", "highdicom and SimpleITK"),
    ("BINARY", "ours"),
    ("BINARY", "highdicom and SimpleITK"),
    ("rtstruct", "ours"),
    ("rtstruct", "plastimatch"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("FOLDER", "NAME", "CONTENDER"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        folder, name, contender = asked.one
        print(CONTENDERS[contender](Path(folder), name)[0])
        return
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        prepare(folder)
        print(f"{SEGMENTS} segments, {'×'.join(map(str, SHAPE))}; the structure set has {STRUCTURES}")
        for name, contender in RUNS:
            if contender == "plastimatch" and shutil.which("plastimatch") is None:
                print(f"{name:<10} {contender:<26} not here")
                continue
            command = [sys.executable, __file__, "--one", str(folder), name, contender]
            told = subprocess.run(command, capture_output=True, text=True, check=False)
            if told.returncode:
                print(f"{name:<10} {contender:<26} failed: {told.stderr.strip().splitlines()[-1][:120]}")
                continue
            facts = json.loads(told.stderr.strip().splitlines()[-1])
            memory = f"{facts['mb']:>6} MB above the CT" if facts["voxels"] else ""
            print(
                f"{name:<10} {contender:<26} {float(told.stdout):>7.2f} s ({facts['cpu']:.2f} CPU) "
                f"{facts['voxels']:>10} voxels {memory}"
            )


if __name__ == "__main__":
    main()
