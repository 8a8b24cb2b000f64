"""`image --slices`: every slice as it is, 8 bits by the window or 16 with every HU, with labels beside them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import hounsfield
from hounsfield.cli import main
from hounsfield.ct.windowing import apply_window, window
from hounsfield.phantom import PhantomSpec, write
from hounsfield.pictures.slices import write_slices


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slices") / "scan"
    write(PhantomSpec(rows=24, columns=20, slices=5, order="shuffled", series_description="Head"), folder)
    return folder


def run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["image", *map(str, arguments)])
    return done.exit_code, done.output


def read(folder: Path, suffix: str = ".png") -> np.ndarray[Any, Any]:
    files = sorted(folder.glob(f"*{suffix}"))
    return np.stack([np.asarray(Image.open(file)) for file in files])


def only(folder: Path) -> Path:
    [made] = [path for path in folder.iterdir() if path.is_dir()]
    return made


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_keep_every_value(scan: Path, tmp_path: Path, suffix: str) -> None:
    code, output = run(scan, tmp_path / "out", "--slices", "--bits", "16", "--format", suffix)
    assert code == 0, output
    folder, volume = only(tmp_path / "out"), hounsfield.load(scan)
    found = read(folder, f".{suffix}")
    assert found.dtype == np.uint16
    assert np.array_equal(found.astype(int) - 1024, volume.array)
    described = json.loads((folder / "slices.json").read_text("utf-8"))
    assert described["rule"] == {"value": "pixel - 1024", "offset": -1024, "scale": 1}
    positions = [each["position"] for each in described["slices"]]
    assert np.diff(positions) == pytest.approx(2.5)  # by position, whatever the order of the files
    assert [each["SOPInstanceUID"] for each in described["slices"]] == list(volume.uids)
    assert np.array_equal(described["affine"], volume.affine)


def test_eight_bits_are_the_window(scan: Path, tmp_path: Path) -> None:
    assert run(scan, tmp_path / "out", "--slices", "--window", "brain", "--invert")[0] == 0
    folder, volume = only(tmp_path / "out"), hounsfield.load(scan)
    found = read(folder)
    assert found.dtype == np.uint8
    assert np.array_equal(found, apply_window(volume.array, window("brain"), invert=True))
    rule = json.loads((folder / "slices.json").read_text("utf-8"))["rule"]
    assert rule == {"window": "40/80", "centre": 40, "width": 80, "invert": True}


def test_masks_become_labels_beside_them(scan: Path, tmp_path: Path) -> None:
    volume = hounsfield.load(scan)
    labels = (volume.array > 0).astype(np.uint8) * 2 + (volume.array < -500)
    hounsfield.Volume.from_array(labels, volume.affine, unit="unspecified").save(tmp_path / "m.nrrd")
    code, output = run(scan, tmp_path / "out", "--slices", "--mask", tmp_path / "m.nrrd")
    assert code == 0, output
    folder = only(tmp_path / "out")
    found = read(folder / "labels")
    assert found.dtype == np.uint8 and np.array_equal(found, labels)
    described = json.loads((folder / "slices.json").read_text("utf-8"))
    assert [each["number"] for each in described["segments"]] == [1, 2]


def test_a_second_run_does_nothing_and_names_nobody(scan: Path, tmp_path: Path) -> None:
    assert run(scan, tmp_path / "out", "--slices")[0] == 0
    code, output = run(scan, tmp_path / "out", "--slices", "--json")
    assert code == 0 and json.loads(output)["pictures"][0]["kept"]
    for path in only(tmp_path / "out").rglob("*"):
        assert PhantomSpec().patient_id.encode() not in path.read_bytes()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--bits", "16"), "are for --slices"),
        (("--format", "tif"), "are for --slices"),
        (("--slices", "--montage", "2x2"), "are different pictures"),
        (("--slices", "--slice", "3"), "are different pictures"),
        (("--slices", "--format", "jpg"), "are png or tif"),
        (("--slices", "--bits", "16", "--window", "lung"), "keeps every HU"),
        (("--slices", "--size", "512"), "--size is for pictures"),
    ],
)
def test_what_would_be_ignored_is_refused(
    scan: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    code, output = run(scan, tmp_path / "out", *options)
    assert code == 2 and words in " ".join(output.split())
    assert not (tmp_path / "out").exists()


def test_what_sixteen_bits_do_not_hold_is_refused(scan: Path, tmp_path: Path) -> None:
    volume = hounsfield.load(scan, dtype="float32")
    with pytest.raises(hounsfield.errors.UnsupportedError, match="values of"):
        write_slices(volume, tmp_path / "out", shown=window("lung"), bits=16)
    assert list(tmp_path.iterdir()) == []
