"""`hounsfield volume`: one volume, or a folder of them with a table of what was made, and what was not, and why."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner, Result

from hounsfield import load, phantom
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec

PLAIN = PhantomSpec(rows=40, columns=48, slices=6)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_one_series_becomes_one_file_with_the_values_of_load(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    result = run("volume", tmp_path / "in", tmp_path / "out.nii.gz")
    assert result.exit_code == 0, result.output
    written = np.asarray(nibabel.load(tmp_path / "out.nii.gz").dataobj).transpose(2, 1, 0)
    assert np.array_equal(written, load(tmp_path / "in").array)


def test_a_folder_gets_a_volume_a_series_and_a_table(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in" / "a")
    phantom.write(replace(PLAIN, seed=2, tilt=12.0), tmp_path / "in" / "b")
    phantom.write(replace(PLAIN, seed=3, missing=(2,)), tmp_path / "in" / "c")
    result = run("volume", tmp_path / "in", tmp_path / "out", "--format", ".nrrd", "--json")
    rows = json.loads(result.stdout)["volumes"]
    assert [row["status"] for row in rows] == ["made", "made", "failed"]
    assert "gaps" in rows[2]["reason"]
    assert "--gaps" in rows[2]["reason"]
    assert result.exit_code == 1
    suffixes = sorted(path.suffix for path in (tmp_path / "out").iterdir())
    assert suffixes == [".csv", ".html", ".jsonl", ".jsonl", ".nrrd", ".nrrd"]
    with (tmp_path / "out" / "hounsfield.csv").open(encoding="utf-8") as stream:
        assert [row["status"] for row in csv.DictReader(stream)] == ["made", "made", "failed"]


def test_every_phase_becomes_a_volume(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, phases=3), tmp_path / "in")
    result = run("volume", tmp_path / "in", tmp_path / "out", "--json")
    rows = json.loads(result.stdout)["volumes"]
    assert [row["status"] for row in rows] == ["made"] * 3
    assert len({row["output"] for row in rows}) == 3


def test_series_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for seed in (1, 2):
        phantom.write(replace(PLAIN, seed=seed), tmp_path / "in" / str(seed))
    rows = json.loads(run("volume", tmp_path / "in", tmp_path / "out", "--json").stdout)["volumes"]
    assert len({row["output"].lower() for row in rows}) == 2


def test_an_existing_output_needs_force_and_is_untouched_without(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    out = tmp_path / "out.nii"
    out.write_bytes(b"mine")
    refused = run("volume", tmp_path / "in", out)
    assert refused.exit_code == 1
    assert "exists already" in refused.stderr
    assert out.read_bytes() == b"mine"
    assert run("volume", tmp_path / "in", out, "--force").exit_code == 0
    assert nibabel.load(out).shape == (48, 40, 6)


def test_several_series_and_one_file_is_an_error_that_lists_them(tmp_path: Path) -> None:
    for seed in (1, 2):
        phantom.write(replace(PLAIN, seed=seed), tmp_path / "in" / str(seed))
    result = run("volume", tmp_path / "in", tmp_path / "out.nii")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "2 series" in result.stderr
    assert "--series" in result.stderr


@pytest.mark.parametrize("spacing", ["1,2", "a,b,c", "0,1,1", "inf,1,1"])
def test_a_senseless_spacing_is_wrong_usage(tmp_path: Path, spacing: str) -> None:
    assert run("volume", tmp_path, tmp_path / "out.nii", "--spacing", spacing).exit_code == 2


def test_the_philips_phantom_gives_three_volumes_and_names_the_rest(real_data: Path, tmp_path: Path) -> None:
    result = run("volume", real_data / "philips_phantom", tmp_path / "out", "--format", ".nii", "--json")
    answer = json.loads(result.stdout)
    made = {row["series"]: row for row in answer["volumes"] if row["status"] == "made"}
    assert sorted(made) == ["201 STD BRAIN 5MM", "201 STEREOTAXIS", "202 STD BRAIN 1MM, iDose"]
    assert [row["reason"] for row in answer["volumes"] if row["status"] == "left out"] == [
        "a localizer: a projection, not slices"
    ]
    reasons = [item["reason"] for item in answer["skipped"]]
    assert sum("Secondary Capture" in reason for reason in reasons) == 3
    assert sum("colour image" in reason for reason in reasons) == 3
    assert result.exit_code == 0
    tilted = nibabel.load(made["201 STEREOTAXIS"]["output"])
    assert np.allclose(tilted.affine[:3, 2], (0, 0, 2.5), atol=0.01)  # not along the slices' normal
