"""`hounsfield demo` as a user meets it, on a phantom small enough for a test."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from hounsfield import phantom
from hounsfield.cli import demo as verb
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> PhantomSpec:
    """The demo's own spec with fewer and larger voxels."""
    spec = replace(verb.demo_spec(), rows=96, columns=96, slices=10, slice_step=6.0)
    monkeypatch.setattr(verb, "demo_spec", lambda: spec)
    return spec


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["demo", *map(str, arguments)])


@pytest.mark.usefixtures("small")
def test_demo_measures_every_insert_and_succeeds(tmp_path: Path) -> None:
    result = run("--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    for words in ("Teflon", "990", "All 8 inserts agree", "LOC001.dcm", "DOSE001.dcm"):
        assert words in result.output
    assert "OFF" not in result.output


def test_what_demo_writes_is_what_it_says(small: PhantomSpec, tmp_path: Path) -> None:
    run("--out", tmp_path / "out")
    assert len(list((tmp_path / "out" / "dicom").iterdir())) == 12
    nifti: Any = nibabel.load(tmp_path / "out" / "phantom.nii.gz")
    np.testing.assert_array_equal(np.asarray(nifti.dataobj).T, phantom.truth(small))
    with Image.open(tmp_path / "out" / "phantom.png") as picture:
        assert np.asarray(picture).std() > 20


@pytest.mark.usefixtures("small")
def test_demo_as_json_is_one_document(tmp_path: Path) -> None:
    result = run("--out", tmp_path / "out", "--json")
    told = json.loads(result.stdout)
    assert told["agrees"] is True
    assert [one["nominal"] for one in told["inserts"]] == [-1000, -200, -100, -35, 0, 120, 340, 990]
    assert all(abs(one["difference"]) <= one["tolerance"] for one in told["inserts"])
    assert {one["name"] for one in told["left_out"]} == {"LOC001.dcm", "DOSE001.dcm"}
    assert all(Path(path).exists() for path in told["written"].values())


@pytest.mark.usefixtures("small")
def test_demo_speaks_chinese(tmp_path: Path) -> None:
    result = run("--out", tmp_path / "out", "--lang", "zh")
    assert result.exit_code == 0
    assert "聚四氟乙烯" in result.output
    assert "8 个插件的实测值均与标称值相符" in result.output


def test_an_insert_that_is_off_makes_the_status_1(
    small: PhantomSpec, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    wrong = replace(small, intercept_tag="-1014", noise=0.0)
    monkeypatch.setattr(verb, "demo_spec", lambda: wrong)
    result = run("--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.output.count("OFF") == 8
    assert "8 of 8 inserts are off" in result.output
    assert "+10.0" in result.output


@pytest.mark.usefixtures("small")
def test_demo_replaces_its_folder_only_when_told(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    refused = run("--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert "exists already" in refused.stderr
    assert (tmp_path / "out" / "mine.txt").read_text() == "mine"
    assert run("--out", tmp_path / "out", "--force").exit_code == 0
    assert not (tmp_path / "out" / "mine.txt").exists()


@pytest.mark.usefixtures("small")
def test_demo_suggests_only_verbs_that_there_are(tmp_path: Path) -> None:
    result = run("--out", tmp_path / "my out")
    suggested = [line.split()[1] for line in result.output.splitlines() if line.startswith("  hounsfield ")]
    context = main.make_context("hounsfield", [], resilient_parsing=True)
    assert suggested
    assert set(suggested) <= set(main.list_commands(context))
    assert "'" in next(line for line in result.output.splitlines() if line.startswith("  hounsfield "))


@pytest.mark.usefixtures("small")
def test_demo_suggests_commands_that_a_shell_without_the_environment_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Found by review: after `make demo` nothing called hounsfield was on the PATH.
    command = tmp_path / ".venv" / "bin" / "hounsfield"
    command.parent.mkdir(parents=True)
    command.touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sys.argv", [str(command), "demo"])
    assert "  .venv/bin/hounsfield info out/dicom\n" in run("--out", "out").output
