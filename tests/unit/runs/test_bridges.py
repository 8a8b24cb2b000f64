"""Each bridge crossed with the real library on its other side: the same values at the same place in the patient."""

from __future__ import annotations

import importlib
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

import hounsfield
from hounsfield import Volume, phantom, scan
from hounsfield.errors import LocationError, UnsupportedError
from hounsfield.phantom import PhantomSpec
from hounsfield.runs.report import open_place
from hounsfield.verbs.convert import convert_all

PLAIN = PhantomSpec(rows=30, columns=34, slices=6)
SPECS = {
    "plain": PLAIN,
    "tilted": replace(PLAIN, tilt=-18.5),
    "feet first": replace(PLAIN, patient_position="FFP"),
    "oblique": replace(PLAIN, orientation=(0.9, 0.3, 0.1, -0.2, 0.9, 0.4)),
}


def needed(module: str, package: str) -> Any:
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{package} is not installed: pip install {package}")
    return importlib.import_module(module)


@pytest.fixture(params=SPECS)
def volume(request: pytest.FixtureRequest, tmp_path: Path) -> Volume:
    phantom.write(SPECS[request.param], tmp_path)
    return hounsfield.load(tmp_path)


def indexes(volume: Volume) -> list[tuple[int, int, int]]:
    corners = [(s, r, c) for s in (0, volume.shape[0] - 1) for r in (0, volume.shape[1] - 1) for c in (0, 5)]
    return [*corners, (3, 11, 17)]


def test_simpleitk_finds_every_voxel_where_it_is(volume: Volume) -> None:
    sitk = needed("SimpleITK", "SimpleITK")
    image = volume.to_sitk()
    assert np.array_equal(sitk.GetArrayViewFromImage(image), volume.array)
    for index in indexes(volume):
        np.testing.assert_allclose(
            image.TransformIndexToPhysicalPoint(index[::-1]), volume.lps(*index), atol=1e-6
        )
    assert image.GetMetaData("SeriesInstanceUID") == volume.header["SeriesInstanceUID"]


def test_nibabel_finds_every_voxel_where_it_is(volume: Volume) -> None:
    image = volume.to_nibabel()
    data = np.asarray(image.dataobj)
    for slice_, row, column in indexes(volume):
        ras = nibabel.affines.apply_affine(image.affine, (column, row, slice_))  # type: ignore[attr-defined]
        np.testing.assert_allclose(ras * (-1, -1, 1), volume.lps(slice_, row, column), atol=1e-6)
        assert data[column, row, slice_] == volume.array[slice_, row, column]
    assert np.shares_memory(data, volume.array)
    assert image.header.get_xyzt_units()[0] == "mm"


def test_nibabel_writes_and_reads_what_it_was_given(volume: Volume, tmp_path: Path) -> None:
    nibabel.save(volume.to_nibabel(), tmp_path / "v.nii.gz")
    back = nibabel.load(tmp_path / "v.nii.gz")
    assert np.array_equal(np.asarray(back.dataobj).transpose(2, 1, 0), volume.array)
    np.testing.assert_allclose(back.affine, volume.to_nibabel().affine, atol=1e-4)


def test_xarray_holds_the_values_and_the_exact_affine(volume: Volume) -> None:
    needed("xarray", "xarray")
    array = volume.to_xarray()
    assert array.dims == ("slice", "row", "column")
    assert np.shares_memory(array.values, volume.array)
    assert np.array_equal(array.attrs["affine"], volume.affine)
    assert array.attrs["units"] == "HU"
    json.dumps(array.attrs)


@pytest.mark.parametrize("name", ["plain", "feet first"])
def test_xarray_coordinates_are_lps_where_the_grid_is_straight(tmp_path: Path, name: str) -> None:
    needed("xarray", "xarray")
    phantom.write(SPECS[name], tmp_path)
    volume = hounsfield.load(tmp_path)
    array = volume.to_xarray()
    voxel = array.isel(slice=2, row=7, column=9)
    place = tuple(float(voxel[axis]) for axis in "xyz")
    np.testing.assert_allclose(place, volume.lps(2, 7, 9), atol=1e-6)
    assert float(voxel) == volume.hu_at(place)


def test_xarray_of_a_tilted_grid_claims_no_lps_coordinates(tmp_path: Path) -> None:
    needed("xarray", "xarray")
    phantom.write(SPECS["tilted"], tmp_path)
    array = hounsfield.load(tmp_path).to_xarray()
    assert set(array.coords) == {"slice_mm", "row_mm", "column_mm"}


@pytest.mark.parametrize("kind", ["int16", "float32", "uint16", "uint8"])
def test_torch_gets_the_values_in_a_type_that_it_computes_with(kind: str) -> None:
    torch = needed("torch", "torch")
    array = np.arange(24, dtype=kind).reshape(2, 3, 4)
    volume = Volume(
        array[:, ::-1], np.array([[0, 0, 1, 0], [0, 1, 0, 0], [2, 0, 0, 0], [0, 0, 0, 1.0]]), (2, 1, 1)
    )
    tensor = volume.to_torch()
    assert np.array_equal(tensor.numpy(), volume.array)
    assert (tensor + 1).sum() == 24 * 25 / 2
    assert volume.to_torch(dtype=torch.float64).dtype == torch.float64
    tensor[0, 0, 0] = 99
    assert array.max() == 23


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path)
    volume = hounsfield.load(tmp_path)
    for module, method in (("SimpleITK", "to_sitk"), ("xarray", "to_xarray"), ("torch", "to_torch")):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(UnsupportedError, match=f"pip install {module}"):
            getattr(volume, method)()


def test_nothing_that_names_the_patient_crosses_a_bridge(tmp_path: Path) -> None:
    needed("SimpleITK", "SimpleITK")
    needed("xarray", "xarray")
    phantom.write(replace(PLAIN, patient_name="SECRET^NAME", patient_id="SECRETID"), tmp_path)
    volume = hounsfield.load(tmp_path)
    image = volume.to_sitk()
    told = [image.GetMetaData(key) for key in image.GetMetaDataKeys()]
    assert (
        "SECRET" not in f"{told}{volume.to_xarray().attrs}{volume._repr_html_()}{volume.to_nibabel().header}"
    )


def test_a_notebook_shows_the_picture_and_the_report(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, slope_tag="", series_description="<b>bold</b>"), tmp_path)
    shown = hounsfield.load(tmp_path)._repr_html_()
    assert "data:image/jpeg;base64," in shown
    assert "Rescale Slope (0028,1053) is empty: taken as 1" in shown
    assert "<b>bold" not in shown and "&lt;b&gt;bold" in shown


@pytest.fixture
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    phantom.write(PLAIN, tmp_path / "in" / "a")
    phantom.write(replace(PLAIN, seed=2, tilt=10.0, slices=4), tmp_path / "in" / "b")
    phantom.write(replace(PLAIN, seed=3, missing=(2,)), tmp_path / "in" / "c")
    with open_place(tmp_path / "out") as place:
        list(convert_all(scan(tmp_path / "in"), place, suffix=request.param))
    return tmp_path


@pytest.mark.parametrize("folder", [".npy", ".zarr", ".nii.gz"], indirect=True)
def test_a_dataset_holds_what_the_ledger_made(folder: Path) -> None:
    torch = needed("torch", "torch")
    from hounsfield.bridges.dataset import LedgerDataset

    dataset = LedgerDataset(folder / "out")
    assert len(dataset) == 2
    for item, name in zip(dataset, "ab", strict=False):
        volume = hounsfield.load(folder / "in" / name)
        assert item["image"].dtype == torch.float32
        assert np.array_equal(item["image"].numpy(), volume.array)
        np.testing.assert_allclose(item["affine"].numpy(), volume.affine, atol=1e-4)
        assert item["series"] == volume.header["SeriesInstanceUID"]


@pytest.mark.parametrize("folder", [".npy"], indirect=True)
def test_a_dataset_feeds_a_loader_with_workers(folder: Path) -> None:
    torch = needed("torch", "torch")
    from hounsfield.bridges.dataset import LedgerDataset

    dataset = LedgerDataset(folder / "out", transform=_middle, wanted=_is_hounsfield)
    loader = torch.utils.data.DataLoader(
        dataset, batch_size=2, num_workers=1, multiprocessing_context="spawn"
    )
    (batch,) = list(loader)
    assert batch.shape == (2, 30, 34)


def _middle(item: dict[str, Any]) -> Any:
    return item["image"][len(item["image"]) // 2]


def _is_hounsfield(record: Any) -> bool:
    return bool(record.unit == "HU")


def test_a_folder_without_a_ledger_is_no_dataset(tmp_path: Path) -> None:
    needed("torch", "torch")
    from hounsfield.bridges.dataset import LedgerDataset

    with pytest.raises(LocationError, match="hounsfield volume"):
        LedgerDataset(tmp_path)
