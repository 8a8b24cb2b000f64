"""Measurements as Structured Reports (TID 1500): by dciodvfy, by highdicom, stored in our server and in Orthanc."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from mask_objects import blobs, write_ct
from orthanc import running_orthanc, skip_without_orthanc
from server_support import running

import hounsfield
from hounsfield.cli import main
from hounsfield.client import Client
from hounsfield.segmentation import Code, Masks, Segment
from hounsfield.verbs.masks_writing import rewrite_masks

Made = tuple[Path, dict[str, Any]]


@pytest.fixture(scope="module", params=["seg", "rtstruct", "tissues"])
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A report of masks of a kind, and the JSON of the same measurement. Names of people and segments are Chinese."""
    folder = tmp_path_factory.mktemp("sr")
    write_ct(folder / "ct", tilt=-18.5, patient_name="王^小东=王^小东", character_set="GB18030")
    series = hounsfield.scan(folder / "ct").choose()
    volume = series.load()
    liver = Code("10200004", "SCT", "Liver")
    layers = tuple(
        (each * number).astype(np.uint8) for each, number in zip(blobs(volume.shape, 2), (2, 7), strict=True)
    )
    segments = (Segment(2, "肝", kind=liver, algorithm="MANUAL"), Segment(7, "spleen"))
    masks = Masks((np.maximum(*layers),), segments, volume.affine, "test")
    arguments: list[object] = [
        "measure",
        folder / "ct",
        "--recipe",
        "fat",
        "--json",
        "--sr",
        folder / "sr.dcm",
    ]
    if request.param != "tissues":
        rewrite_masks(masks, folder / "masks.dcm", series, request.param)
        arguments += ["--mask", folder / "masks.dcm"]
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    return folder, json.loads(result.stdout)


def test_highdicom_reads_the_figures_of_each_segment(made: Made) -> None:
    folder, measured = made
    beside = folder / "sr.seg.dcm"
    segmentation = pydicom.dcmread(beside if beside.exists() else folder / "masks.dcm")
    report = hd.sr.srread(folder / "sr.dcm")
    groups = report.content.get_volumetric_roi_measurement_groups()  # type: ignore[attr-defined]
    assert len(groups) == len(measured["segments"])
    for group, segment in zip(groups, measured["segments"], strict=True):
        assert group.tracking_identifier == segment["label"]
        referenced = group.referenced_segment
        assert referenced.referenced_sop_instance_uid == segmentation.SOPInstanceUID
        named = {each.SegmentNumber: each.SegmentLabel for each in segmentation.SegmentSequence}
        assert named[int(referenced.referenced_segment_numbers[0])] == segment["label"][:64]
        values = {
            (each.name.meaning, each.derivation.meaning if each.derivation else ""): each.value
            for each in group.get_measurements()
        }
        assert values["Volume", ""] == pytest.approx(segment["ml"])
        if "mean" in segment:
            assert values["Attenuation Coefficient", "Mean"] == pytest.approx(segment["mean"])
            assert values["Attenuation Coefficient", "Standard Deviation"] == pytest.approx(segment["sd"])
            assert values["Intensity skewness", ""] == pytest.approx(segment["skewness"], abs=1e-9)
            assert values["fat percent", ""] == pytest.approx(segment["recipes"]["fat"]["fat_percent"])
    for path in folder.glob("*.dcm"):
        assert str(pydicom.dcmread(path).PatientName) == "王^小东=王^小东"


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not here")
def test_dciodvfy_finds_no_error_in_reports(made: Made) -> None:
    for path in (each for each in made[0].glob("sr*.dcm")):
        told = subprocess.run(["dciodvfy", str(path)], capture_output=True, text=True, check=False)
        lines = (told.stdout + told.stderr).splitlines()
        assert [line for line in lines if line.startswith("Error")] == []


@pytest.mark.parametrize("server", ["hounsfield", "orthanc"])
def test_servers_store_reports_and_give_them_back(made: Made, server: str, tmp_path: Path) -> None:
    if server == "orthanc":
        skip_without_orthanc()
    path = made[0] / "sr.dcm"
    report = pydicom.dcmread(path)
    opened = running_orthanc(tmp_path / "o") if server == "orthanc" else running(tmp_path / "a")
    with opened as place, Client(place if isinstance(place, str) else place.url) as client:
        assert client.store_instances([path]).complete
        (part,) = client.retrieve_series(report.StudyInstanceUID, report.SeriesInstanceUID)
    assert part.content == path.read_bytes()


def test_reports_are_of_one_series_and_never_replace_silently(made: Made, tmp_path: Path) -> None:
    folder = made[0]
    again = CliRunner().invoke(main, ["measure", str(folder / "ct"), "--sr", str(folder / "sr.dcm")])
    assert again.exit_code == 1
    assert "exists" in again.output
    many = ["measure", str(folder / "ct"), "--sr", str(tmp_path / "a.dcm"), "--report", str(tmp_path / "out")]
    assert CliRunner().invoke(main, many).exit_code == 2
