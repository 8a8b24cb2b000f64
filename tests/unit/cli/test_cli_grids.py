"""`volume` and `load` on other grids: the options act, in their order, and none is ignored."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import hounsfield
from hounsfield.cli import main
from hounsfield.errors import GeometryError, HounsfieldError
from hounsfield.phantom import PhantomSpec, write

SPEC = PhantomSpec(rows=40, columns=36, slices=8, pixel_spacing=(1.6, 1.2), slice_step=3.0)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("grids") / "scan"
    write(SPEC, folder)
    return folder


def _run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["volume", *map(str, arguments)])
    return done.exit_code, done.output


def test_the_command_writes_what_load_gives(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.nii.gz"
    options = (
        "--voxel",
        "1.5,1.6,0.9",
        "--interpolation",
        "cubic",
        "--crop",
        "2:9,,4:30",
        "--orientation",
        "RAS",
    )
    assert _run(scan, out, *options)[0] == 0
    box = ((2, 9), (None, None), (4, 30))
    expected = hounsfield.load(scan, voxel=(1.5, 1.6, 0.9), interpolation="cubic", box=box, orientation="RAS")
    found = hounsfield.load(out)
    assert found.shape == expected.shape == (7, 40, 26)
    assert np.array_equal(oriented(found), oriented(expected))
    assert found.hu_at(expected.lps(3, 20, 11)) == expected.array[3, 20, 11]


def oriented(volume: hounsfield.Volume) -> np.ndarray:
    return np.asarray(volume.oriented("LPS"))


def test_another_volume_or_series_gives_the_grid(scan: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.nrrd", tmp_path / "b.nrrd"
    assert _run(scan, first, "--voxel", "2")[0] == 0
    assert _run(scan, second, "--like", first)[0] == 0
    assert np.array_equal(np.asarray(hounsfield.load(first)), np.asarray(hounsfield.load(second)))
    assert _run(first, tmp_path / "c.nrrd", "--like", scan)[0] == 0
    assert hounsfield.load(tmp_path / "c.nrrd").shape == hounsfield.load(scan).shape


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--spacing", "1,1,1"), "have a place in the patient; leave it out"),
        (("--interpolation", "cubic"), "without a grid"),
        (("--voxel", "1", "--step", "2"), "with a grid of its own"),
        (("--voxel", "0"), "is not three lengths"),
        (("--crop", "1:2"), "is not three ranges"),
        (("--crop", "0:99,,"), "expected something within 0:8"),
        (("--orientation", "XYZ"), "one each of R/L, A/P and S/I"),
    ],
)
def test_an_option_that_cannot_act_is_refused(
    scan: Path, tmp_path: Path, options: tuple[str, ...], message: str
) -> None:
    status, output = _run(scan, tmp_path / "a.nii.gz", *options)
    assert status != 0
    assert message in " ".join(output.split())
    assert not (tmp_path / "a.nii.gz").exists()


def test_load_refuses_two_grids_and_ignored_options(scan: Path) -> None:
    volume = hounsfield.load(scan)
    with pytest.raises(HounsfieldError, match="one of them"):
        hounsfield.load(scan, voxel=1.0, like=volume)
    with pytest.raises(GeometryError, match="leave it out"):
        hounsfield.load(scan, spacing=(1.0, 1.0, 1.0))


def test_a_ledger_without_grids_stays_valid(scan: Path, tmp_path: Path) -> None:
    assert _run(scan, tmp_path / "out")[0] == 0
    ledger = (tmp_path / "out" / "hounsfield.jsonl").read_text("utf-8")
    assert not any(name in ledger for name in ("voxel", "like", "interpolation", "box", "orientation"))
    kept = []
    for options in ((), ("--voxel", "2", "--force")):
        _, output = _run(scan, tmp_path / "out", "--json", *options)
        kept += [row["kept"] for row in json.loads(output)["volumes"]]
    assert kept == [True, False]
