"""Masks that go along with a volume: into SimpleITK, xarray and torch, and beside the volumes of a ledger."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from click.testing import CliRunner
from mask_objects import blobs, write_ct

import hounsfield
from hounsfield.cli import main
from hounsfield.errors import GeometryError
from hounsfield.segmentation import Masks, Segment, joined
from hounsfield.verbs.masks_writing import rewrite_masks

HAS_TORCH = importlib.util.find_spec("torch") is not None


def _masks(volume: hounsfield.Volume, names: tuple[str, str], *, overlapping: bool = False) -> Masks:
    truth = blobs(volume.shape, 2, overlapping=overlapping)
    layers = tuple((each * number).astype(np.uint8) for number, each in enumerate(truth, 1))
    segments = tuple(
        Segment(number, name, (number - 1) * overlapping, algorithm="MANUAL")
        for number, name in enumerate(names, 1)
    )
    return Masks(layers if overlapping else (np.maximum(*layers),), segments, volume.affine, "test")


@pytest.fixture(scope="module")
def volume(tmp_path_factory: pytest.TempPathFactory) -> hounsfield.Volume:
    folder = tmp_path_factory.mktemp("ct")
    write_ct(folder, tilt=-18.5)
    return hounsfield.load(folder)


@pytest.mark.parametrize("overlapping", [False, True])
def test_simpleitk_gets_labels_at_the_same_place(volume: hounsfield.Volume, overlapping: bool) -> None:
    found = _masks(volume, ("liver", "spleen"), overlapping=overlapping)
    image, labels = volume.to_sitk(masks=found)
    assert labels.GetDirection() == image.GetDirection()
    assert labels.GetOrigin() == image.GetOrigin()
    array = SimpleITK.GetArrayViewFromImage(labels)
    for number in (1, 2):
        layer = array[..., number - 1] if overlapping else array
        assert np.array_equal(layer == number, found.mask(number))
        index = tuple(int(at[0]) for at in np.nonzero(found.mask(number)))
        np.testing.assert_allclose(
            labels.TransformIndexToPhysicalPoint(index[::-1]), volume.lps(*index), atol=1e-6
        )
    assert [labels.GetMetaData(f"Segment{place}_Name") for place in (0, 1)] == ["liver", "spleen"]


@pytest.mark.parametrize("overlapping", [False, True])
def test_xarray_gets_values_and_labels_on_one_grid(volume: hounsfield.Volume, overlapping: bool) -> None:
    pytest.importorskip("xarray")
    found = _masks(volume, ("liver", "spleen"), overlapping=overlapping)
    dataset = volume.to_xarray(masks=found)
    assert dataset["labels"].dims == (("layer",) if overlapping else ()) + ("slice", "row", "column")
    labels = dataset["labels"].isel(layer=1) if overlapping else dataset["labels"]
    mean = float(dataset["values"].where(labels == 2).mean())
    assert mean == pytest.approx(float(volume.array[found.mask("spleen")].mean()), abs=1e-3)
    assert [each["label"] for each in dataset["labels"].attrs["segments"]] == ["liver", "spleen"]


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
@pytest.mark.parametrize("overlapping", [False, True])
def test_torch_gets_a_pair(volume: hounsfield.Volume, overlapping: bool) -> None:
    found = _masks(volume, ("liver", "spleen"), overlapping=overlapping)
    image, labels = volume.to_torch(masks=found)
    assert image.shape == labels.shape[-3:] == volume.shape
    assert labels.dim() == (4 if overlapping else 3)
    assert int((labels == 2).sum()) == found.counts()[2]


def test_masks_of_another_grid_do_not_go_along(volume: hounsfield.Volume) -> None:
    found = _masks(volume.cropped((slice(0, 3), slice(None), slice(None))), ("liver", "spleen"))
    with pytest.raises(GeometryError, match="expected the grid of the volume"):
        volume.to_sitk(masks=found)


def test_masks_are_joined_in_their_order(volume: hounsfield.Volume) -> None:
    one = _masks(volume, ("liver", "spleen"))
    other = _masks(volume, ("tumour", "vessel"), overlapping=True)
    both = joined([one, other])
    assert [(each.number, each.name) for each in both.segments] == [
        (1, "liver"),
        (2, "spleen"),
        (3, "tumour"),
        (4, "vessel"),
    ]
    for name, source in (("liver", one), ("spleen", one), ("tumour", other), ("vessel", other)):
        assert np.array_equal(both.mask(name), source.mask(name))
    assert joined([one]) is one


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two series; their segmentations number the same names the other way round."""
    folder = tmp_path_factory.mktemp("study")
    for number, names in enumerate((("liver", "spleen"), ("spleen", "liver")), 1):
        write_ct(folder / f"ct{number}", series_number=number)
        series = hounsfield.scan(folder / f"ct{number}").choose()
        rewrite_masks(_masks(series.load(), names), folder / f"{number}.dcm", series, "seg")
    return folder


def _volumes(study: Path, out: Path, *more: str) -> list[dict[str, Any]]:
    arguments = ["volume", study, out, "--mask", study, "--workers", "1", "--json", *more]
    result = CliRunner().invoke(main, [str(each) for each in arguments])
    assert result.exit_code == 0, result.output
    rows: list[dict[str, Any]] = json.loads(result.stdout)["volumes"]
    return rows


@pytest.mark.parametrize("suffix", [".npy", ".nii.gz", ".nrrd"])
def test_volume_writes_labels_beside_each_volume(study: Path, suffix: str, tmp_path: Path) -> None:
    rows = _volumes(study, tmp_path / "out", "--format", suffix)
    assert [row["status"] for row in rows] == ["made", "made"]
    for row in rows:
        path = Path(row["output"])
        labels = path.with_name(f"{path.name.removesuffix(suffix)}.labels{suffix}")
        series = next(each for each in hounsfield.scan(study).series if each.uid == row["SeriesInstanceUID"])
        truth = hounsfield.masks(study / f"{series.header.text('SeriesNumber')}.dcm", series.load())
        assert np.array_equal(hounsfield.masks(labels, series.load()).labels, truth.labels)
    again = _volumes(study, tmp_path / "out", "--format", suffix)
    assert all(row["kept"] for row in again)


@pytest.mark.skipif(not HAS_TORCH, reason="torch is not installed")
def test_a_dataset_gives_image_and_label(study: Path, tmp_path: Path) -> None:
    from hounsfield.bridges.dataset import LedgerDataset

    _volumes(study, tmp_path / "out", "--format", ".npy")
    first, second = LedgerDataset(tmp_path / "out")
    assert first["label"].shape == first["image"].shape
    assert (first["segments"], second["segments"]) == (
        {"liver": 1, "spleen": 2},
        {"spleen": 1, "liver": 2},
    )
    alike = list(LedgerDataset(tmp_path / "out", numbers={"liver": 5}))
    for item, before in zip(alike, (first, second), strict=True):
        assert ((item["label"] == 5) == (before["label"] == before["segments"]["liver"])).all()
        assert set(item["label"].unique().tolist()) == {0, 5}
        assert item["segments"] == {"liver": 5}


def test_phases_in_one_file_have_no_labels(study: Path, tmp_path: Path) -> None:
    result = CliRunner().invoke(
        main, ["volume", str(study), str(tmp_path / "a.nii"), "--4d", "--mask", str(study)]
    )
    assert result.exit_code == 2
