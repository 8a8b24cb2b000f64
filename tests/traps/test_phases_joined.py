"""All phases of a series in one NIfTI: values, grid, names, times; what is refused; and that dcm2niix reads it so."""

from __future__ import annotations

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from phase_series import SMALL, crossed, only, setting, stack, two_times, written
from test_peers import by_dcm2niix

import hounsfield
from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.ct.series import LoadOptions
from hounsfield.errors import GeometryError, UnsupportedError
from hounsfield.formats.nifti_series import write_phases
from hounsfield.runs.ledger import read_ledger


def run(*arguments: Any) -> Any:
    return CliRunner().invoke(main, ["volume", *map(str, arguments)])


def written_phases(path: Path) -> tuple[Any, dict[str, Any]]:
    """The image, and what its extension says."""
    image = nibabel.load(path)
    (extension,) = image.header.extensions
    return image, json.loads(extension.get_content())


def in_time(folder: Path, **times: list[Any]) -> Path:
    ((keyword, values),) = times.items()
    stacks = [(stack(seed), setting(**{keyword: value})) for seed, value in enumerate(values)]
    return written(folder, *stacks)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_phases_are_one_file_of_four_dimensions(suffix: str, tmp_path: Path) -> None:
    folder = in_time(tmp_path / "ct", TriggerTime=["0", "250", "500"])
    out = tmp_path / f"out{suffix}"
    result = run(folder, out, "--4d")
    assert result.exit_code == 0, result.output
    assert "3×6×10×12" in result.output
    image, told = written_phases(out)
    assert image.shape == (12, 10, 6, 3)
    assert image.get_data_dtype() == np.int16
    assert image.header.get_zooms()[3] == pytest.approx(0.25)
    assert image.header.get_xyzt_units() == ("mm", "sec")
    assert told["times_s"] == [0, 0.25, 0.5]
    assert told["phases"] == [f"{ms} ms after the trigger" for ms in (0, 250, 500)]
    for phase in range(3):
        volume = hounsfield.load(folder, phase=phase)
        np.testing.assert_array_equal(np.asarray(image.dataobj)[..., phase].T, volume.array)
    hounsfield.write_volume(volume, tmp_path / "one.nii")
    np.testing.assert_allclose(image.affine, nibabel.load(tmp_path / "one.nii").affine)


@pytest.mark.parametrize(
    ("times", "seconds", "step"),
    [
        ({"AcquisitionTime": ["100000", "100010.5", "100021"]}, [0, 10.5, 21], 10.5),
        ({"AcquisitionDateTime": ["20260101235959", "20260102000001", "20260102000003"]}, [0, 2, 4], 2),
        ({"ContentTime": ["100000", "100001", "100011"]}, [0, 1, 11], 5.5),
        ({"ConvolutionKernel": ["a", "b", "c"]}, None, 0),
    ],
)
def test_times_come_from_whatever_says_them(times: Any, seconds: Any, step: float, tmp_path: Path) -> None:
    folder = in_time(tmp_path / "ct", **times)
    made = write_phases(only(folder), tmp_path / "out.nii")
    image, told = written_phases(tmp_path / "out.nii")
    assert told.get("times_s") == seconds
    assert image.header.get_zooms()[3] == pytest.approx(step)
    assert image.header.get_xyzt_units()[1] == ("unknown" if seconds is None else "sec")
    uneven = any("do not follow each other at one step" in each for each in made.volume.report.warnings)
    assert uneven == (seconds is not None and len(set(np.diff(seconds))) > 1)


def test_frames_of_an_enhanced_ct_with_offsets_in_time(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced", phases=2, frame_order="shuffled")
    (path,) = phantom.write(spec, tmp_path / "ct")
    two_times(path, "TemporalPositionSequence", "TemporalPositionTimeOffset", [0.5, 2.0])
    write_phases(only(tmp_path / "ct"), tmp_path / "out.nii")
    image, told = written_phases(tmp_path / "out.nii")
    assert told == {"phases": ["0.5 s", "2 s"], "times_s": [0, 1.5]}
    assert np.asarray(image.dataobj).shape == (12, 10, 6, 2)


def test_a_folder_gets_one_file_for_each_series_and_the_ledger_says_so(tmp_path: Path) -> None:
    in_time(tmp_path / "ct" / "a", TriggerTime=["0", "250"])
    phantom.write(replace(SMALL, series_number=9), tmp_path / "ct" / "b")
    out = tmp_path / "out"
    assert run(tmp_path / "ct", out).exit_code == 0
    assert sorted(path.name for path in out.glob("*.nii.gz")) == [
        "1-Phantom-phase0.nii.gz",
        "1-Phantom-phase1.nii.gz",
        "9-Phantom.nii.gz",
    ]
    result = run(tmp_path / "ct", out, "--4d")
    assert result.exit_code == 0, result.output
    assert len(list(out.glob("*.nii.gz"))) == 4  # what was made one by one is left as it was
    records = [record for record in read_ledger(out / "hounsfield.jsonl") if record.status == "done"]
    assert [record.output for record in records if len(record.shape) == 4] == ["1-Phantom.nii.gz"]
    assert nibabel.load(out / "9-Phantom.nii.gz").ndim == 3
    again = run(tmp_path / "ct", out, "--4d")
    assert "made before" in again.output


def test_split_by_decides_what_is_joined(tmp_path: Path) -> None:
    folder = crossed(tmp_path / "ct")
    assert run(folder, tmp_path / "all.nii", "--4d").exit_code == 0
    assert nibabel.load(tmp_path / "all.nii").shape == (12, 10, 6, 4)
    alone = written(tmp_path / "turns", (SMALL, setting()))
    for number, path in enumerate(sorted(alone.iterdir(), key=lambda path: int(path.stem))):
        dataset = pydicom.dcmread(path)
        dataset.AcquisitionNumber = number % 2 + 1
        dataset.save_as(path)
    assert (
        run(alone, tmp_path / "turns.nii", "--4d", "--split-by", "AcquisitionNumber").exit_code == 1
    )  # half a step apart
    assert not (tmp_path / "turns.nii").exists()


def test_phases_on_different_grids_are_refused_and_nothing_is_written(tmp_path: Path) -> None:
    other = replace(stack(2), slices=5)
    folder = written(tmp_path / "ct", (stack(1), setting(KVP="80")), (other, setting(KVP="140")))
    with pytest.raises(GeometryError, match="140 kV is not on the grid of 80 kV; write them one by one"):
        write_phases(only(folder), tmp_path / "out.nii")
    assert not list(tmp_path.glob("*.nii*"))


def test_other_formats_and_one_phase_of_many_are_wrong_usage(tmp_path: Path) -> None:
    folder = in_time(tmp_path / "ct", TriggerTime=["0", "250"])
    for arguments in (
        ("out.nrrd", "--4d"),
        ("out.nii", "--4d", "--phase", "0"),
        ("out", "--4d", "--format", ".zarr"),
    ):
        result = run(folder, tmp_path / arguments[0], *arguments[1:])
        assert result.exit_code == 2, result.output
        assert "--4d" in result.output
    with pytest.raises(UnsupportedError, match="only NIfTI"):
        write_phases(only(folder), tmp_path / "out.mha")


def test_a_series_of_one_phase_is_a_plain_volume(tmp_path: Path) -> None:
    phantom.write(SMALL, tmp_path / "ct")
    assert run(tmp_path / "ct", tmp_path / "out.nii", "--4d").exit_code == 0
    assert nibabel.load(tmp_path / "out.nii").shape == (12, 10, 6)


def test_a_failure_at_a_later_phase_leaves_no_file(tmp_path: Path) -> None:
    folder = in_time(tmp_path / "ct", TriggerTime=["0", "250"])
    last = max(folder.iterdir(), key=lambda path: int(path.stem))
    last.write_bytes(last.read_bytes()[:-40])
    assert run(folder, tmp_path / "out.nii.gz", "--4d").exit_code == 1
    assert not (tmp_path / "out.nii.gz").exists()


def test_equal_input_is_equal_output(tmp_path: Path) -> None:
    folder = in_time(tmp_path / "ct", TriggerTime=["0", "250"])
    for name in ("one.nii.gz", "other.nii.gz"):
        assert run(folder, tmp_path / name, "--4d").exit_code == 0
    assert (tmp_path / "one.nii.gz").read_bytes() == (tmp_path / "other.nii.gz").read_bytes()
    assert len(gzip.decompress((tmp_path / "one.nii.gz").read_bytes())) > 12 * 10 * 6 * 2 * 2


def test_dcm2niix_makes_the_same_four_dimensions_of_times(tmp_path: Path) -> None:
    """Where it does not interleave: phases told apart by the acquisition and by a trigger time."""
    kinds = [{"AcquisitionNumber": n + 1, "AcquisitionTime": f"1000{10 * n:02d}"} for n in range(3)]
    folder = written(tmp_path / "ct", *((stack(n), setting(**kind)) for n, kind in enumerate(kinds)))
    write_phases(only(folder), tmp_path / "ours.nii", LoadOptions(clamp=False, dtype="int16"))
    ours = nibabel.load(tmp_path / "ours.nii")
    found = by_dcm2niix(folder, tmp_path / "out")
    (theirs,) = found.values()
    assert theirs.shape == ours.shape
    mapping = np.linalg.inv(ours.affine) @ theirs.affine
    turned = np.asarray(theirs.dataobj)
    for axis in range(3):
        if mapping[axis, axis] < 0:
            turned = np.flip(turned, axis)
    values = np.asarray(ours.dataobj)
    inside = values > -1024  # they leave padding as it is
    np.testing.assert_array_equal(turned[inside], values[inside])
    shutil.rmtree(folder)
