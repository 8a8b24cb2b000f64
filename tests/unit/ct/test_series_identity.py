"""Trap 60: no volume of two patients, two studies or two series, whatever UID they share or lack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

import hounsfield
from hounsfield import phantom
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=12, columns=14, slices=6)
Change = Callable[[int, pydicom.Dataset], None]


def written(folder: Path, change: Change, spec: PhantomSpec = SMALL) -> Path:
    folder.mkdir()
    for number, dataset in enumerate(phantom.datasets(spec)):
        change(number, dataset)
        pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)
    return folder


@pytest.mark.parametrize(
    ("keyword", "values", "labels"),
    [
        ("PatientID", ("A", "B"), ("HU patient 1", "HU patient 2")),
        ("PatientName", ("Zhang^San", "Li^Si"), ("HU patient 1", "HU patient 2")),
        ("StudyInstanceUID", ("1.2.3", "1.2.4"), ("HU study 1", "HU study 2")),
        ("SeriesNumber", (4, 7), ("HU series 4", "HU series 7")),
    ],
)
@pytest.mark.parametrize("pattern", ["halves", "alternating"])
def test_two_of_them_under_one_series_uid_are_two_series(
    keyword: str, values: Any, labels: Any, pattern: str, tmp_path: Path
) -> None:
    def change(number: int, dataset: pydicom.Dataset) -> None:
        which = number // 3 if pattern == "halves" else number % 2
        setattr(dataset, keyword, values[which])

    series = hounsfield.scan(written(tmp_path / "ct", change)).series
    assert sorted(each.part for each in series) == sorted(labels)
    assert [len(each.slices) for each in series] == [3, 3]
    for each in series:
        assert len({item.instance.header.text(keyword) for item in each.slices}) == 1
        assert any("under one Series Instance UID: told apart" in note for note in each.notes)
        volume = hounsfield.load(tmp_path / "ct", series=f"{each.uid}#{each.part}")
        assert volume.array.shape == (3, 12, 14)


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("PatientName", ("Doe^John", "DOE^JOHN^^^")),
        ("SeriesNumber", ("4", " 4")),
        ("PatientID", ("A", "A ")),
        ("PatientID", ("A", "")),
        ("PatientID", ("A", None)),
        ("PatientName", ("Doe^John", None)),
        ("StudyInstanceUID", ("1.2.3", None)),
        ("SeriesNumber", ("4", None)),
    ],
)
def test_another_spelling_and_a_blank_are_no_other_series(keyword: str, values: Any, tmp_path: Path) -> None:
    def change(number: int, dataset: pydicom.Dataset) -> None:
        value = values[number % 2]
        if value is None:
            del dataset[keyword]
        else:
            setattr(dataset, keyword, value)

    volume = hounsfield.load(written(tmp_path / "ct", change))
    np.testing.assert_array_equal(volume.array, phantom.truth(SMALL))
    assert volume.report.warnings == ()


def test_a_blank_that_may_be_either_of_two_is_neither(tmp_path: Path) -> None:
    def change(number: int, dataset: pydicom.Dataset) -> None:
        dataset.PatientID = ("A", "B", "")[number % 3]

    series = hounsfield.scan(written(tmp_path / "ct", change)).series
    assert sorted(each.facts.get("PatientID", "") for each in series) == ["", "A", "B"]


@pytest.mark.parametrize(
    ("keyword", "values"),
    [
        ("SeriesNumber", (1, 2)),
        ("SeriesDescription", ("thin", "thick")),
        ("StudyInstanceUID", ("1.2.3", "1.2.4")),
        ("PatientID", ("A", "B")),
    ],
)
def test_without_a_series_uid_study_number_and_description_group(
    keyword: str, values: Any, tmp_path: Path
) -> None:
    def change(number: int, dataset: pydicom.Dataset) -> None:
        del dataset.SeriesInstanceUID
        setattr(dataset, keyword, values[number % 2])

    series = hounsfield.scan(written(tmp_path / "ct", change)).series
    assert [len(each.slices) for each in series] == [3, 3]
    assert len({each.part for each in series}) == 2
    for each in series:
        assert any("no Series Instance UID" in note for note in each.notes)


def test_a_localizer_joins_the_series_of_its_own_patient(tmp_path: Path) -> None:
    spec = replace(SMALL, localizers=1)

    def change(number: int, dataset: pydicom.Dataset) -> None:
        dataset.PatientID = "A" if "LOCALIZER" in dataset.ImageType or number % 2 else "B"

    series = hounsfield.scan(written(tmp_path / "ct", change, spec)).series
    left_out = {each.facts["PatientID"]: len(each.left_out) for each in series}
    assert left_out == {"A": 1, "B": 0}


def test_volumes_of_a_folder_name_nobody_and_never_meet(tmp_path: Path) -> None:
    from click.testing import CliRunner

    from hounsfield.cli import main

    def change(number: int, dataset: pydicom.Dataset) -> None:
        dataset.PatientID = "SECRET-A" if number < 3 else "SECRET-B"

    folder = written(tmp_path / "ct", change)
    result = CliRunner().invoke(main, ["volume", str(folder), str(tmp_path / "out")])
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "out").glob("*.nii.gz"))
    assert names == ["1-Phantom-HU-patient-1.nii.gz", "1-Phantom-HU-patient-2.nii.gz"]
