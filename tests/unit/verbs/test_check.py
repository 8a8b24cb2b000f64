"""`check`: a volume against the DICOM that it was made of. What is right stays uncontested, what is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

import hounsfield
from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.ct.plausibility import Physics
from hounsfield.ct.volume import Volume
from hounsfield.errors import HounsfieldError, OutputExistsError, SelectionError
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.check import fix, volumes_in

SPEC = PhantomSpec(rows=96, columns=112, slices=6)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Upright, tilted and with a gap: three series of one shape, and a fourth of another."""
    folder = tmp_path_factory.mktemp("study")
    for number, changes in enumerate(
        ({}, {"tilt": -18.5}, {"missing": (3,), "slices": 7}, {"rows": 80}), start=1
    ):
        spec: Any = {
            "rows": 96,
            "columns": 112,
            "slices": 6,
            "series_number": number,
            "seed": number,
            **changes,  # type: ignore[dict-item]
        }
        phantom.write(PhantomSpec(**spec), folder / str(number))
    return folder


@pytest.fixture
def head(study: Path) -> Volume:
    return hounsfield.load(study, series=1, clamp=False)


def save(path: Path, array: NDArray[Any], affine: NDArray[np.float64]) -> Path:
    """A NIfTI of (slices, rows, columns) and an affine to LPS."""
    nibabel.Nifti1Image(array.transpose(), LPS_TO_RAS @ affine[:, [2, 1, 0, 3]]).to_filename(path)
    return path


def run(*command: object) -> Result:
    return CliRunner().invoke(main, ["check", *map(str, command)])


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha", ".npy", ".zarr"])
@pytest.mark.parametrize("series", [1, 2])
def test_what_we_wrote_is_right_and_found_among_series_of_its_shape(
    suffix: str, series: int, study: Path, tmp_path: Path
) -> None:
    hounsfield.write_volume(hounsfield.load(study, series=series), tmp_path / f"x{suffix}")
    found = hounsfield.check(tmp_path / f"x{suffix}", study)
    assert found.is_right and found.series is not None and found.values is not None
    assert found.series.series.facts["SeriesNumber"] == str(series)
    assert found.values.verdict == "equal"
    done = run(tmp_path / f"x{suffix}", study)
    assert done.exit_code == 0 and "bit for bit" in done.output and "at the same place" in done.output


CHANGES: dict[str, tuple[Callable[[NDArray[Any]], NDArray[Any]], str]] = {
    "twice": (lambda hu: (hu - 1024).astype(np.int16), "rescaled-twice"),
    "offset lost": (lambda hu: (hu + 1024).astype(np.int16), "offset-lost"),
    "window": (lambda hu: (np.clip((hu + 160) / 400, 0, 1) * 255).astype(np.uint8), "windowed"),
    "clipped": (lambda hu: np.clip(hu, -150, 250).astype(np.int16), "clipped"),
    "half": (lambda hu: (hu * 0.5).astype(np.float32), "scaled"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_was_done_to_values_is_named_and_fixed(
    name: str, head: Volume, study: Path, tmp_path: Path
) -> None:
    change, verdict = CHANGES[name]
    wrong = save(tmp_path / "wrong.nii.gz", change(head.array), head.affine)
    out = tmp_path / "right.nii.gz"
    done = run(wrong, study, "--json", "--fix", out)
    told = json.loads(done.output)
    assert done.exit_code == 1
    assert told["values"]["verdict"] == verdict and told["geometry"]["verdict"] == "equal"
    assert {"slope", "offset", "largest"} <= told["values"].keys() and told["geometry"]["largest_mm"] < 0.01
    assert told["series"]["SeriesInstanceUID"] == hounsfield.scan(study).choose(1).uid
    assert run(out, study).exit_code == 0


def test_a_lost_affine_a_shift_and_a_flip_are_told_apart(head: Volume, study: Path, tmp_path: Path) -> None:
    cases = {
        "other": (head.array, np.eye(4)),
        "shifted": (
            head.array,
            head.affine + np.array([[0, 0, 0, 4.0], [0, 0, 0, 3], [0, 0, 0, 0], [0] * 4]),
        ),
        "turned": (head.array[:, ::-1], head.affine),
    }
    for verdict, (array, affine) in cases.items():
        found = hounsfield.check(save(tmp_path / "x.nii", array, affine), study, series=1)
        assert found.values is not None and found.geometry is not None
        assert found.values.verdict == "equal" and found.geometry.verdict == verdict
        assert not found.is_right


def test_the_order_of_axes_is_said_and_is_no_fault(head: Volume, study: Path, tmp_path: Path) -> None:
    flipped = head.affine.copy()
    flipped[:3, 3] += (head.shape[1] - 1) * flipped[:3, 1]
    flipped[:3, 1] *= -1
    done = run(save(tmp_path / "x.nii", head.array[:, ::-1], flipped), study)
    assert done.exit_code == 0 and "rows run the other way" in done.output
    turned = head.affine[:, [2, 0, 1, 3]]
    found = hounsfield.check(save(tmp_path / "y.nii", head.array.transpose(2, 0, 1), turned), study)
    assert found.is_right and found.alignment is not None and found.alignment.axes == (1, 2, 0)


def test_without_an_affine_values_still_find_their_series(head: Volume, study: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", head.array[::-1, :, ::-1])
    found = hounsfield.check(tmp_path / "x.npy", study)
    assert found.values is not None and found.geometry is not None and found.alignment is not None
    assert (found.values.verdict, found.geometry.verdict) == ("equal", "none")
    assert found.alignment.flipped == (True, False, True)
    assert found.series is not None and found.series.series.facts["SeriesNumber"] == "1"


def test_slices_stacked_over_a_gap(study: Path, tmp_path: Path) -> None:
    series = hounsfield.scan(study).choose(3)
    stacked = hounsfield.load(study, series=3, gaps="fill")
    kept = [index for index in range(7) if index not in stacked.report.filled]
    found = hounsfield.check(save(tmp_path / "x.nii", stacked.array[kept], stacked.affine), study, series=3)
    assert found.values is not None and found.geometry is not None and series.verdict == "gaps"
    assert found.values.is_equal and found.geometry.verdict == "uneven"
    assert found.geometry.largest_mm == pytest.approx(stacked.spacing[0], rel=1e-3)


def test_a_volume_in_memory(head: Volume, study: Path) -> None:
    assert hounsfield.check(head, study).is_right
    wrong = Volume.from_array(head.array - np.int16(1024), head.affine)
    found = hounsfield.check(wrong, study)
    assert found.values is not None and found.values.verdict == "rescaled-twice"


def test_nothing_of_that_shape_names_the_nearest(head: Volume, study: Path, tmp_path: Path) -> None:
    small = save(tmp_path / "x.nii", head.array[:, :78], head.affine)
    with pytest.raises(SelectionError, match=r"6×78×112.*nearest of 4 is 4 Phantom, 6×80×112"):
        hounsfield.check(small, study)
    done = run(small, study)
    assert done.exit_code == 1 and done.output.count("\n") == 1


def test_values_of_something_else_are_not_taken_for_a_series(
    head: Volume, study: Path, tmp_path: Path
) -> None:
    noise = np.random.default_rng(0).normal(0, 300, head.shape).astype(np.int16)
    with pytest.raises(SelectionError, match="none of 3 series of its shape is like it"):
        hounsfield.check(save(tmp_path / "x.nii", noise, head.affine), study)
    found = hounsfield.check(tmp_path / "x.nii", study, series=1)
    assert found.values is not None and found.values.verdict == "differs"


def test_alone_it_is_judged_by_physics(study: Path, tmp_path: Path) -> None:
    values = hounsfield.load(study, series=1, clamp=False)
    done = run(save(tmp_path / "x.nii", (values.array + 1024).astype(np.int16), values.affine), "--json")
    told = json.loads(done.output)
    assert done.exit_code == 1 and told["values"] is None and told["geometry"] is None
    assert told["plausibility"]["verdict"] in ("implausible", "unknown") and not told["right"]
    alone = hounsfield.check(values)
    assert alone.is_right == (alone.plausibility.verdict is Physics.PLAUSIBLE)


def test_four_dimensions_need_a_choice(head: Volume, study: Path, tmp_path: Path) -> None:
    both = np.stack([head.array - 1024, head.array]).astype(np.int16)
    ras = LPS_TO_RAS @ head.affine[:, [2, 1, 0, 3]]
    nibabel.Nifti1Image(both.transpose(3, 2, 1, 0), ras).to_filename(tmp_path / "x.nii")
    with pytest.raises(SelectionError, match="phase=0 … 1"):
        hounsfield.check(tmp_path / "x.nii", study)
    assert not hounsfield.check(tmp_path / "x.nii", study, phase=0).is_right
    assert hounsfield.check(tmp_path / "x.nii", study, phase=1).is_right


def test_fix_replaces_nothing_unasked_and_needs_dicom(head: Volume, study: Path, tmp_path: Path) -> None:
    wrong = save(tmp_path / "x.nii", (head.array - 1024).astype(np.int16), head.affine)
    (tmp_path / "there.nii").write_bytes(b"mine")
    assert run(wrong, study, "--fix", tmp_path / "there.nii").exit_code == 1
    with pytest.raises(OutputExistsError):
        fix(hounsfield.check(wrong, study), tmp_path / "there.nii")
    assert (tmp_path / "there.nii").read_bytes() == b"mine"
    assert run(wrong, "--fix", tmp_path / "new.nii").exit_code == 2
    with pytest.raises(SelectionError):
        fix(hounsfield.check(wrong), tmp_path / "new.nii")
    assert not (tmp_path / "new.nii").exists()


@pytest.fixture
def volumes(head: Volume, study: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "volumes"
    (folder / "deep").mkdir(parents=True)
    hounsfield.write_volume(head, folder / "right.nii.gz")
    hounsfield.write_volume(hounsfield.load(study, series=2), folder / "deep" / "tilted.zarr")
    save(folder / "wrong.nii", (head.array - 1024).astype(np.int16), head.affine)
    (folder / "broken.nii.gz").write_bytes(b"\x1f\x8b nothing")
    (folder / "notes.txt").write_text("of no concern")
    return folder


def test_a_folder_of_volumes_against_a_folder_of_series(volumes: Path, study: Path) -> None:
    assert [path.name for path in volumes_in(volumes)] == [
        "broken.nii.gz",
        "right.nii.gz",
        "wrong.nii",
        "tilted.zarr",
    ]
    done = run(volumes, study, "--json", "--workers", 1)
    told = {Path(row["volume"]).name: row for row in json.loads(done.output)["volumes"]}
    assert done.exit_code == 1
    assert {name: row["right"] for name, row in told.items()} == {
        "right.nii.gz": True,
        "tilted.zarr": True,
        "wrong.nii": False,
        "broken.nii.gz": False,
    }
    assert "broken" in told["broken.nii.gz"]["error"]
    assert run(volumes, study).output.rstrip().endswith("4 volumes: 2 right")


def test_a_folder_as_a_run_with_its_ledger(volumes: Path, study: Path, tmp_path: Path) -> None:
    report = tmp_path / "report"
    first = run(volumes, study, "--report", report)
    assert first.exit_code == 1, first.output
    assert (report / "hounsfield.jsonl").is_file() and (report / "hounsfield.html").is_file()
    results = [json.loads(path.read_text("utf-8")) for path in report.glob("*.check.json")]
    assert sorted(result["right"] for result in results) == [False, True, True]
    again = run(volumes, study, "--report", report)
    assert again.exit_code == 1 and again.output.count("made before") >= 3


@pytest.mark.parametrize("options", [("--report", "r"), ("--ledger", "l.jsonl")])
def test_options_of_folders_are_refused_for_one(
    options: tuple[str, str], head: Volume, tmp_path: Path
) -> None:
    hounsfield.write_volume(head, tmp_path / "x.nii")
    assert run(tmp_path / "x.nii", *options).exit_code == 2


def test_hostile_volumes_end_in_one_line(study: Path, tmp_path: Path) -> None:
    (tmp_path / "x.nii").write_bytes(b"\x5c\x01\0\0" + bytes(400))
    with pytest.raises(HounsfieldError):
        hounsfield.check(tmp_path / "x.nii", study)
    done = run(tmp_path / "x.nii", study)
    assert done.exit_code == 1 and done.output.count("\n") == 1
