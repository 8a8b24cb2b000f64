"""OME-Zarr: NGFF 0.5 metadata, a pyramid that lies where it should, and the exact truth in an attribute."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from hounsfield.ct.volume import Volume
from hounsfield.formats import Compression, write_volume


def body(
    shape: tuple[int, int, int] = (30, 300, 260),
    spacing: tuple[float, float, float] = (2.0, 0.75, 0.75),
    origin: tuple[float, float, float] = (-100.0, -80.0, 5.0),
) -> Volume:
    """A ramp along x, y and z, padded outside a circle."""
    affine = np.eye(4)
    affine[:3, :3] = np.fliplr(np.diag(spacing[::-1]))
    affine[:3, 3] = origin
    slices, rows, columns = np.indices(shape, dtype=np.float32)
    array = np.rint(slices * 3 + rows - columns).astype(np.int16)
    away = np.hypot(rows - shape[1] / 2, columns - shape[2] / 2)
    array[away > min(shape[1:]) / 2] = -1024
    return Volume(array, affine, spacing, uids=tuple(f"1.{k}" for k in range(shape[0])))


@pytest.fixture
def written(tmp_path: Path) -> tuple[Any, Any]:
    volume = body()
    write_volume(volume, tmp_path / "v.ome.zarr")
    return volume, tmp_path / "v.ome.zarr"


def test_the_metadata_is_ngff_0_5(written: tuple[Any, Any]) -> None:
    _, path = written
    told = json.loads((path / "zarr.json").read_text())
    assert told["zarr_format"] == 3
    ome = told["attributes"]["ome"]
    assert ome["version"] == "0.5"
    (multiscale,) = ome["multiscales"]
    assert [axis["name"] for axis in multiscale["axes"]] == ["z", "y", "x"]
    assert {axis["unit"] for axis in multiscale["axes"]} == {"millimeter"}
    assert multiscale["type"] == "mean"
    first = multiscale["datasets"][0]["coordinateTransformations"]
    assert first == [
        {"type": "scale", "scale": [2.0, 0.75, 0.75]},
        {"type": "translation", "translation": [5.0, -80.0, -100.0]},
    ]


def test_level_0_is_the_volume_bit_for_bit(written: tuple[Any, Any]) -> None:
    volume, path = written
    level = zarr.open_group(str(path), mode="r")["0"]
    assert level.dtype == np.int16
    assert level.metadata.dimension_names == ("z", "y", "x")
    assert np.array_equal(level[...], volume.array)
    assert level.chunks == (8, 300, 260)
    assert level.fill_value == -1024


def test_lower_levels_show_the_same_place(written: tuple[Any, Any]) -> None:
    """The ramp is linear, so a level's voxel must hold the ramp's value at the place its metadata gives."""
    volume, path = written
    group = zarr.open_group(str(path), mode="r")
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    assert [dataset["path"] for dataset in datasets] == ["0", "1", "2"]
    for dataset in datasets:
        level = group[dataset["path"]][...]
        scale, translation = (np.array(step[step["type"]]) for step in dataset["coordinateTransformations"])
        middle = np.array(level.shape) // 2
        place = (scale * middle + translation)[::-1]
        slice_, row, column = volume.index(place)
        assert level[tuple(middle)] == pytest.approx(slice_ * 3 + row - column, abs=1)
    assert max(level.shape[1:]) <= 128
    # 2 mm slices are coarse already: only rows and columns are halved, until voxels are about cubic.
    assert group["1"].shape == (30, 150, 130)
    assert group["2"].shape == (15, 75, 65)


def test_trap_31_padding_never_bleeds_into_the_pyramid(tmp_path: Path) -> None:
    volume = body()
    array = np.where(volume.array == -1024, -1024, 40).astype(np.int16)
    write_volume(Volume(array, volume.affine, volume.spacing), tmp_path / "v.zarr")
    group = zarr.open_group(str(tmp_path / "v.zarr"), mode="r")
    for name in ("1", "2"):
        assert set(np.unique(group[name][...])) == {-1024, 40}


def test_the_exact_affine_and_report_are_in_the_attributes(tmp_path: Path) -> None:
    volume = body()
    affine = volume.affine.copy()
    affine[1, 0] = 0.7
    tilted = Volume(volume.array, affine, volume.spacing, uids=volume.uids)
    write_volume(tilted, tmp_path / "v.zarr")
    group = zarr.open_group(str(tmp_path / "v.zarr"), mode="r")
    exact = group.attrs["hounsfield"]
    assert np.array_equal(exact["affine"], affine)
    assert exact["uids"] == list(volume.uids)
    assert exact["report"]["verdict"] == "regular"
    steps = group.attrs["ome"]["multiscales"][0]["datasets"][0]["coordinateTransformations"]
    assert steps[1]["translation"] == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("shape", [(1, 5, 4), (1, 1, 1), (3, 1, 400), (9, 515, 129)])
def test_any_shape_has_a_pyramid_that_ends(tmp_path: Path, shape: tuple[int, int, int]) -> None:
    volume = body(shape)
    write_volume(volume, tmp_path / "v.zarr", compression=Compression(level=0))
    group = zarr.open_group(str(tmp_path / "v.zarr"), mode="r")
    assert np.array_equal(group["0"][...], volume.array)


def test_exact_values_stay_float(tmp_path: Path) -> None:
    volume = body((4, 150, 140))
    array = volume.array + np.float32(0.25)
    write_volume(Volume(array, volume.affine, volume.spacing), tmp_path / "v.zarr")
    group = zarr.open_group(str(tmp_path / "v.zarr"), mode="r")
    assert group["0"].dtype == np.float32
    assert np.array_equal(group["0"][...], array)
    assert group["1"].dtype == np.float32
