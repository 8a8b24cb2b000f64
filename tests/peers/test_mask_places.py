"""Masks of a real tilted series written, stored and read again; offered beside a CT wherever it lies."""

from __future__ import annotations

import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from mask_objects import blobs, write_ct
from orthanc import running_orthanc, skip_without_orthanc
from server_support import running

import hounsfield
from hounsfield.cli import main
from hounsfield.client import Client
from hounsfield.ct.series import Series
from hounsfield.segmentation import Masks, Segment
from hounsfield.verbs.masks_writing import rewrite_masks

DATA = Path(os.environ.get("HOUNSFIELD_TEST_DATA", Path(__file__).resolve().parents[3] / "shared/data"))
TILTED = DATA / "philips_phantom/S21610/S2010"

Read = tuple[Series, hounsfield.Volume, Masks]


@pytest.fixture(scope="module")
def tilted() -> Read:
    """The real series of −18.5°, and what is dense and what is soft in it."""
    if not TILTED.is_dir():
        pytest.skip("the real tilted series is not here")
    series = hounsfield.scan(TILTED).choose()
    volume = series.load()
    assert abs(volume.tilt_degrees) == pytest.approx(18.5, abs=0.01)
    soft = (volume.array > 20) & (volume.array < 300)
    labels = np.where(volume.array >= 300, 2, soft).astype(np.uint8)
    labels[:, ::7] = 0  # holes, and edges in number
    segments = (Segment(1, "soft", algorithm="MANUAL"), Segment(2, "bone", algorithm="MANUAL"))
    return series, volume, Masks((labels,), segments, volume.affine, "test")


@pytest.mark.parametrize("to", ["seg", "labelmap", "rtstruct"])
def test_masks_of_a_real_tilted_series_come_back_as_they_were(tilted: Read, to: Any, tmp_path: Path) -> None:
    series, volume, truth = tilted
    if to == "rtstruct":  # a few slices: outlines of noise have a million points
        some = np.zeros_like(truth.labels)
        some[20:22, 150:250] = truth.labels[20:22, 150:250]
        truth = Masks((some,), truth.segments, truth.affine, truth.source)
    rewrite_masks(truth, tmp_path / "out.dcm", series, to)
    found = hounsfield.masks(tmp_path / "out.dcm", volume)
    assert np.array_equal(found.labels, truth.labels)
    assert found.warnings == ()


PLACES = ("folder", "zip", "tar.gz", "hounsfield", "orthanc")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Read]:
    """A tilted series with a BINARY SEG, a LABELMAP and an RT Structure Set of the same voxels beside it."""
    folder = tmp_path_factory.mktemp("masks") / "study"
    write_ct(folder / "ct", tilt=-18.5)
    series = hounsfield.scan(folder / "ct").choose()
    volume = series.load()
    labels = np.maximum(*(each * number for number, each in enumerate(blobs(volume.shape, 2), 1)))
    segments = (Segment(1, "liver", algorithm="MANUAL"), Segment(2, "spleen", algorithm="MANUAL"))
    truth = Masks((labels.astype(np.uint8),), segments, volume.affine, "test")
    for to in ("seg", "labelmap", "rtstruct"):
        rewrite_masks(truth, folder / f"{to}.dcm", series, to)
    return folder, (series, volume, truth)


@pytest.fixture(params=PLACES)
def place(request: pytest.FixtureRequest, study: tuple[Path, Read], tmp_path: Path) -> Iterator[str]:
    """Where the study is found: each kind of place in turn."""
    folder = study[0]
    files = sorted(folder.rglob("*.dcm"))
    if request.param == "folder":
        yield str(folder)
    elif request.param == "zip":
        with zipfile.ZipFile(tmp_path / "study.zip", "w") as archive:
            for path in files:
                archive.write(path, path.relative_to(folder))
        yield str(tmp_path / "study.zip")
    elif request.param == "tar.gz":
        with tarfile.open(tmp_path / "study.tar.gz", "w:gz") as tar:
            tar.add(folder, "study")
        yield str(tmp_path / "study.tar.gz")
    elif request.param == "hounsfield":
        with running(tmp_path / "archive") as server:
            yield _stored(server.url, files, study)
    else:
        skip_without_orthanc()
        with running_orthanc(tmp_path / "orthanc") as url:
            yield _stored(url, files, study)


def _stored(url: str, files: list[Path], study: tuple[Path, Read]) -> str:
    with Client(url) as client:
        result = client.store_instances(files)
    assert result.complete
    return f"{url}/studies/{study[1][1].header['StudyInstanceUID']}"


def test_what_lies_beside_the_ct_is_offered_and_read(place: str, study: tuple[Path, Read]) -> None:
    _, volume, truth = study[1]
    told = CliRunner().invoke(main, ["info", place, "--json", "--no-pixels"])
    assert told.exit_code == 0, told.output
    info = json.loads(told.stdout)
    assert sorted(each["kind"] for each in info["masks"]) == ["RTSTRUCT", "SEG", "SEG"]
    assert len(info["series"]) == 1
    assert info["skipped"] == []
    for each in info["masks"]:
        found = hounsfield.masks(place, volume, which=each["SOPInstanceUID"])
        assert [segment.name for segment in found.segments] == ["liver", "spleen"]
        assert np.array_equal(found.labels, truth.labels)
    arguments = ["measure", place, "--mask", place, "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    measured = json.loads(done.stdout)
    assert len(measured["segments"]) == 6
    livers = [each for each in measured["segments"] if each["label"] == "liver"]
    inside = volume.array[truth.mask("liver")]
    inside = inside[inside > -1024]  # what was clamped is left out
    assert all(each["mean"] == pytest.approx(float(inside.mean())) for each in livers)
