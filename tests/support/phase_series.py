"""Series of several stacks of the phantom under one UID, told apart by what a test sets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom

import hounsfield
from hounsfield import Series, phantom
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=10, columns=12, slices=6)
Change = Callable[[pydicom.Dataset], None]


def written(folder: Path, *stacks: tuple[PhantomSpec, Change]) -> Path:
    """One series of several stacks, each changed in its own way."""
    folder.mkdir(parents=True, exist_ok=True)
    first = phantom.series_uid(stacks[0][0])
    study = next(iter(phantom.datasets(stacks[0][0]))).StudyInstanceUID
    number = 0
    for spec, change in stacks:
        for dataset in phantom.datasets(spec):
            number += 1
            dataset.SeriesInstanceUID, dataset.StudyInstanceUID = first, study
            dataset.InstanceNumber = number
            dataset.AcquisitionTime = dataset.ContentTime = "100000"
            dataset.FrameOfReferenceUID = "1.2.3"
            change(dataset)
            pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)
    return folder


def setting(**values: Any) -> Change:
    def change(dataset: pydicom.Dataset) -> None:
        for keyword, value in values.items():
            setattr(dataset, keyword, value)

    return change


def only(folder: Path, **options: Any) -> Series:
    (series,) = hounsfield.scan(folder, **options).series
    return series


def stack(seed: int, **options: Any) -> PhantomSpec:
    return replace(SMALL, seed=seed, **options)


def shifted(seed: int) -> PhantomSpec:
    """Half a step beside `stack`: together they are one even grid."""
    return stack(seed, centre=(0.0, 0.0, 1.25))


def crossed(folder: Path) -> Path:
    """Two kernels × two acquisitions: parted by both, or by one by hand."""
    kinds = [{"ConvolutionKernel": kernel, "AcquisitionNumber": time} for kernel in "AB" for time in (1, 2)]
    return written(folder, *((stack(seed), setting(**kind)) for seed, kind in enumerate(kinds)))


def two_times(path: Path, sequence: str, keyword: str, values: list[Any]) -> None:
    """Leave to the frames of an Enhanced CT of two phases nothing but one element that tells them apart."""
    dataset = pydicom.dcmread(path)
    for item in dataset.PerFrameFunctionalGroupsSequence:
        content = item.FrameContentSequence[0]
        time = content.TemporalPositionIndex - 1
        for other in ("TemporalPositionIndex", "FrameAcquisitionNumber", "DimensionIndexValues"):
            del content[other]
        if sequence not in item:
            setattr(item, sequence, [pydicom.Dataset()])
        value = values[time]
        if keyword == "DimensionIndexValues":
            value = [value[0], content.InStackPositionNumber]
        setattr(item[sequence][0], keyword, value)
    dataset.save_as(path)
