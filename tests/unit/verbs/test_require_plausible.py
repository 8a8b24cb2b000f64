"""The verdict of physics in `load`, `volume` and ledgers: asked for, never paid for unasked, an error on request."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

import hounsfield
from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.ct.plausibility import Physics
from hounsfield.ct.series import LoadOptions
from hounsfield.ct.series import physics as judging
from hounsfield.ct.volume import Volume
from hounsfield.errors import NotHounsfieldError
from hounsfield.phantom import PhantomSpec

SPEC = PhantomSpec(rows=256, columns=256, slices=4)


@pytest.fixture(scope="module")
def right(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("right")
    phantom.write(SPEC, folder)
    return folder


@pytest.fixture(scope="module")
def wrong(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same whose offset was lost on the way."""
    folder = tmp_path_factory.mktemp("wrong")
    phantom.write(SPEC, folder)
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            dataset = pydicom.dcmread(path)
            dataset.RescaleIntercept = "0"
            dataset.PixelPaddingValue = None
            del dataset.PixelPaddingValue
            dataset.PixelData = np.maximum(dataset.pixel_array, 0).astype(np.int16).tobytes()
            dataset.save_as(path)
    return folder


def test_the_report_has_the_verdict_and_load_pays_nothing_for_it(
    right: Path, wrong: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    judge = judging.judge
    monkeypatch.setattr(judging, "judge", lambda *args, **named: asked.append(1) or judge(*args, **named))  # type: ignore[func-returns-value]
    one, other = hounsfield.load(right), hounsfield.load(wrong)
    assert "plausibility" not in one.report.to_json() and not asked
    assert one.report.plausibility is not None and other.report.plausibility is not None
    assert one.report.plausibility.verdict is Physics.PLAUSIBLE
    assert other.report.plausibility.verdict is Physics.IMPLAUSIBLE
    assert other.report.plausibility.looks_like == "offset-lost"
    assert one.report.plausibility is one.report.plausibility and len(asked) == 2
    assert one.report.to_json()["plausibility"]["verdict"] == "plausible"
    assert pickle.loads(pickle.dumps(other)).report.plausibility == other.report.plausibility


def test_it_is_judged_before_the_clamp(right: Path) -> None:
    volume = hounsfield.load(right)
    clamped = Volume.from_array(np.maximum(volume.array - np.int16(1024), -1024), volume.affine)
    assert clamped.report.plausibility is not None
    assert clamped.report.plausibility.verdict is not Physics.PLAUSIBLE
    assert clamped.report.judge is not volume.report.judge


def test_a_volume_of_an_array_is_judged_by_that_array_alone(right: Path) -> None:
    volume = hounsfield.load(right)
    made = Volume.from_array(volume.array, volume.affine)
    assert made.report.plausibility is not None and made.report.plausibility.verdict is Physics.PLAUSIBLE
    fractions = replace(made, array=(volume.array / 4000).astype(np.float32))
    assert fractions.report.plausibility is not None
    assert fractions.report.plausibility.verdict is Physics.IMPLAUSIBLE
    assert Volume.from_array(volume.array, volume.affine, unit="Z_EFF").report.plausibility is None


def test_what_cannot_be_hu_is_an_error_on_request(right: Path, wrong: Path) -> None:
    assert hounsfield.load(right, require_plausible=True).shape == (4, 256, 256)
    with pytest.raises(NotHounsfieldError, match="as if the offset"):
        hounsfield.load(wrong, require_plausible=True)
    assert hounsfield.load(wrong).shape == (4, 256, 256)
    with pytest.raises(NotHounsfieldError):
        hounsfield.scan(wrong).series[0].load(LoadOptions(require_plausible=True))


def test_what_is_only_unknown_is_loaded(tmp_path: Path) -> None:
    phantom.write(replace(SPEC, tags={"Manufacturer": "ELEKTA", "ManufacturerModelName": "XVI"}), tmp_path)
    volume = hounsfield.load(tmp_path, require_plausible=True)
    assert volume.report.plausibility is not None and volume.report.plausibility.verdict is Physics.UNKNOWN


@pytest.mark.parametrize("suffix", [".nii.gz", ".zarr"])
def test_volume_refuses_on_request_and_writes_nothing(
    suffix: str, right: Path, wrong: Path, tmp_path: Path
) -> None:
    out = tmp_path / f"x{suffix}"
    refused = CliRunner().invoke(main, ["volume", str(wrong), str(out), "--require-plausible"])
    assert refused.exit_code == 1 and "cannot be HU" in refused.output and not out.exists()
    assert CliRunner().invoke(main, ["volume", str(right), str(out), "--require-plausible"]).exit_code == 0
    assert out.exists()


def test_a_run_records_the_verdict_and_the_option_is_part_of_it(wrong: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told = json.loads(CliRunner().invoke(main, ["volume", str(wrong), str(out), "--json"]).output)
    assert told["volumes"][0]["plausibility"] == "implausible"
    assert "cannot be HU" in told["volumes"][0]["warnings"][0]
    line = json.loads((out / "hounsfield.jsonl").read_text("utf-8").splitlines()[-1])
    assert line["facts"]["plausibility"] == "implausible" and "require_plausible" not in line["options"]
    assert "physics: implausible" in (out / "hounsfield.html").read_text("utf-8")
    again = CliRunner().invoke(main, ["volume", str(wrong), str(out), "--require-plausible", "--json"])
    assert again.exit_code == 1 and json.loads(again.output)["volumes"][0]["status"] == "failed"
