"""Other readers over the same files: bit for bit where they are right; by how much, and why, where they are not."""

from __future__ import annotations

import subprocess
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import dcm2niix
import nibabel
import numpy as np
import pydicom
import pytest
import SimpleITK

import hounsfield
from hounsfield import Volume, phantom
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.phantom import PhantomSpec

SMALL = PhantomSpec(rows=30, columns=34, slices=6)
UPRIGHT = ["philips_phantom/S21570/S2010", "philips_phantom/S21570/S2020", "odd/ge_ct_3slice"]
TILTED = "philips_phantom/S21610/S2010"
EXPLICIT = "CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm"


def by_hand(folder: Path) -> tuple[Any, Any]:
    """Slices by pydicom alone, in order of their z: HU that nobody masked or clamped, and positions."""
    datasets = [pydicom.dcmread(path) for path in folder.iterdir() if path.name != "DIRFILE"]
    datasets.sort(key=lambda one: float(one.ImagePositionPatient[2]))
    hu = [one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept) for one in datasets]
    return np.array(hu), np.array([one.ImagePositionPatient for one in datasets], dtype=float)


def by_simpleitk(folder: Path) -> SimpleITK.Image:
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return reader.Execute()


def simpleitk_affine(image: SimpleITK.Image) -> Any:
    """Its geometry in our axes: (slice, row, column, 1) → LPS mm."""
    steps = np.reshape(image.GetDirection(), (3, 3)) * np.array(image.GetSpacing())
    affine = np.eye(4)
    affine[:3, :3] = steps[:, ::-1]
    affine[:3, 3] = image.GetOrigin()
    return affine


def by_dcm2niix(folder: Path, out: Path) -> dict[str, Any]:
    """Its images by file name."""
    out.mkdir()
    command = [dcm2niix.bin, "-z", "n", "-b", "n", "-f", "out", "-o", str(out), str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    return {path.stem: nibabel.load(path) for path in out.glob("*.nii")}


def on_our_grid(image: Any, volume: Volume) -> Any:
    """A NIfTI's voxels in our axes, by its own affine: axes only swapped and turned."""
    lps = np.diag([-1, -1, 1, 1]) @ image.affine
    mapping = np.linalg.inv(volume.affine) @ lps
    turns = np.rint(mapping[:3, :3])
    np.testing.assert_allclose(mapping[:3, :3], turns, atol=1e-3)
    array = np.asarray(image.dataobj)
    axes = np.abs(turns).argmax(axis=1)
    array = array.transpose(axes)
    return np.flip(array, [axis for axis in range(3) if turns[axis, axes[axis]] < 0])  # type: ignore[call-overload]


@pytest.mark.parametrize("name", [*UPRIGHT, TILTED])
def test_pydicom_by_hand_agrees_on_every_voxel_above_the_floor(real_data: Path, name: str) -> None:
    hu, positions = by_hand(real_data / name)
    volume = hounsfield.load(real_data / name)
    np.testing.assert_array_equal(volume.array, np.maximum(hu, -1024))
    for index, position in enumerate(positions):
        np.testing.assert_allclose(volume.lps(index, 0, 0), position, atol=0.02)


@pytest.mark.parametrize("name", UPRIGHT)
def test_simpleitk_agrees_on_values_and_geometry_of_upright_series(real_data: Path, name: str) -> None:
    image, volume = by_simpleitk(real_data / name), hounsfield.load(real_data / name, clamp=False)
    theirs = SimpleITK.GetArrayFromImage(image)
    seen = volume.array > -1024
    np.testing.assert_array_equal(theirs[seen], volume.array[seen])
    np.testing.assert_allclose(simpleitk_affine(image), volume.affine, atol=2e-3)


def test_simpleitk_leaves_padding_at_minus_3024(real_data: Path) -> None:
    folder = real_data / "odd" / "ge_ct_3slice"
    theirs = SimpleITK.GetArrayFromImage(by_simpleitk(folder))
    volume = hounsfield.load(folder)
    assert theirs.min() == -3024
    assert volume.array.min() == -1024
    # Padding and nothing else is where the two differ.
    np.testing.assert_array_equal(theirs != volume.array, theirs == -3024)
    assert volume.report.padded == np.count_nonzero(theirs == -3024)


def test_simpleitk_puts_the_last_slice_of_a_tilted_series_42_mm_off(real_data: Path) -> None:
    folder = real_data / TILTED
    image, volume = by_simpleitk(folder), hounsfield.load(folder)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), volume.array)
    _, positions = by_hand(folder)
    last = len(positions) - 1
    theirs = simpleitk_affine(image) @ (last, 0, 0, 1)
    # It stacks along the normal, though the gantry leans 18.5° and each slice lies (0, 0, 2.5) mm from the last.
    assert np.linalg.norm(theirs[:3] - positions[last]) == pytest.approx(42.6, abs=0.1)
    np.testing.assert_allclose(volume.lps(last, 0, 0), positions[last], atol=0.02)


def test_simpleitk_stretches_a_series_over_a_missing_slice(tmp_path: Path) -> None:
    spec = replace(SMALL, missing=(2,))
    phantom.write(spec, tmp_path)
    assert by_simpleitk(tmp_path).GetSpacing()[2] == pytest.approx(2.5 * 5 / 4)
    assert hounsfield.load(tmp_path, gaps="fill").spacing[0] == pytest.approx(2.5)


def test_simpleitk_inverts_monochrome1(tmp_path: Path) -> None:
    spec = replace(SMALL, photometric="MONOCHROME1", padding=None, signed=False)
    phantom.write(spec, tmp_path)
    theirs = SimpleITK.GetArrayFromImage(by_simpleitk(tmp_path)).astype(float)
    truth = phantom.truth(spec, clamp=False)
    np.testing.assert_array_equal(hounsfield.load(tmp_path, clamp=False).array, truth)
    assert np.corrcoef(theirs.ravel(), truth.ravel())[0, 1] < -0.99


def test_simpleitk_takes_every_slice_for_one_of_the_first_ones_type(tmp_path: Path) -> None:
    spec = replace(SMALL, slope=(1.0, 0.5), padding=None)
    phantom.write(spec, tmp_path)
    truth = phantom.truth(spec)
    np.testing.assert_array_equal(hounsfield.load(tmp_path, dtype="float32").array, truth)
    theirs = SimpleITK.GetArrayFromImage(by_simpleitk(tmp_path))
    assert np.any(theirs != phantom.truth(spec, clamp=False))


@pytest.mark.parametrize("name", UPRIGHT[:2])
def test_dcm2niix_agrees_on_values_and_geometry_of_upright_series(
    real_data: Path, name: str, tmp_path: Path
) -> None:
    volume = hounsfield.load(real_data / name)
    image = by_dcm2niix(real_data / name, tmp_path / "out")["out"]
    np.testing.assert_array_equal(on_our_grid(image, volume), volume.array)
    ours = np.linalg.inv(volume.affine) @ np.diag([-1, -1, 1, 1]) @ image.affine
    np.testing.assert_allclose(
        np.abs(ours[:3, 3]), np.where(ours[:3, :3].sum(1) < 0, np.array(volume.shape) - 1, 0), atol=0.01
    )


def test_dcm2niix_leaves_padding_at_minus_3024(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "odd" / "ge_ct_3slice"
    volume = hounsfield.load(folder)
    (image,) = by_dcm2niix(folder, tmp_path / "out").values()
    theirs = on_our_grid(image, volume)
    assert theirs.min() == -3024
    np.testing.assert_array_equal(theirs != volume.array, theirs == -3024)


def test_dcm2niix_uncorrected_is_off_by_millimetres_under_tilt(real_data: Path, tmp_path: Path) -> None:
    folder = real_data / TILTED
    volume = hounsfield.load(folder)
    image = by_dcm2niix(folder, tmp_path / "out")["out"]
    corners = np.array([[i, j, k, 1] for i in (0, 511) for j in (0, 511) for k in (0, 53)], dtype=float)
    theirs = (np.diag([-1, -1, 1, 1]) @ image.affine @ corners.T)[:3].T
    array = np.asarray(image.dataobj)
    off = []
    for corner, place in zip(corners[:, :3].astype(int), theirs, strict=True):
        # The same voxel in our axes: columns run alike, rows and slices from whichever end theirs do.
        index = (corner[2], 511 - corner[1], corner[0])
        assert volume.array[index] == array[tuple(corner)]
        off.append(np.linalg.norm(volume.lps(*index) - place))
    assert 5 < max(off) < 10


def test_pydicom_gives_stored_values_of_an_enhanced_ct(tmp_path: Path) -> None:
    spec = replace(SMALL, multiframe="enhanced")
    (path,) = phantom.write(spec, tmp_path)
    dataset = pydicom.dcmread(path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = pydicom.pixels.apply_modality_lut(dataset.pixel_array, dataset)
    truth = phantom.truth(spec, masked=False, clamp=False)
    np.testing.assert_array_equal(theirs, truth + 1024)  # the shared transformation is not looked at
    np.testing.assert_array_equal(
        hounsfield.load(path, clamp=False).array[:, 10:20, 10:20], truth[:, 10:20, 10:20]
    )


def test_pydicom_gives_stored_values_where_only_the_intercept_is_written(tmp_path: Path) -> None:
    spec = replace(SMALL, slope_tag=None, padding=None)
    path = phantom.write(spec, tmp_path)[0]
    dataset = pydicom.dcmread(path)
    theirs = pydicom.pixels.apply_modality_lut(dataset.pixel_array, dataset)
    np.testing.assert_array_equal(theirs, phantom.truth(spec, clamp=False)[0] + 1024)
    np.testing.assert_array_equal(
        hounsfield.load(path, clamp=False).array[0], phantom.truth(spec, clamp=False)[0]
    )


@pytest.mark.parametrize(
    ("ending", "error"),
    [
        *((uid, 0) for uid in ("2", "2.1.99", "2.1", "2.2", "2.5", "2.4.57", "2.4.70", "2.4.80", "2.4.90")),
        ("2.4.81", 1),  # near-lossless, NEAR 1
        ("2.4.91", 5),  # wavelets, 3 HU at the 99.9th percentile
        ("2.4.51", 36),  # 12-bit DCT over steps of 2.0002442 HU
        ("2.4.53", 36),
        ("2.4.55", 36),
        ("2.4.50", 2 * 32.2),  # 8 bits, steps of 32.1216 HU
    ],
)
def test_every_transfer_syntax_gives_the_hu_of_the_uncompressed_slice(
    real_data: Path, ending: str, error: float
) -> None:
    folder = real_data / "transfer_syntaxes"
    (path,) = folder.glob(f"*_1.2.840.10008.1.{ending}.dcm")
    reference = hounsfield.load(folder / EXPLICIT).array.astype(int)
    volume = hounsfield.load(path)
    assert volume.array.min() == -1024
    assert np.abs(volume.array - reference).max() <= error
    # No shift, no wrong slope: at most the half step by which an encoder that rounds down is off on the whole.
    assert abs(float(np.mean(volume.array - reference))) <= error / 4


@pytest.mark.parametrize(
    "ending", ["2.4.50", "2.4.51", "2.4.57", "2.4.70", "2.4.80", "2.4.81", "2.4.90", "2.4.91", "2.5"]
)
def test_simpleitk_decodes_the_same_values(real_data: Path, ending: str) -> None:
    (path,) = (real_data / "transfer_syntaxes").glob(f"*_1.2.840.10008.1.{ending}.dcm")
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))[0]
    plane = read_instance(FileSource(path)).planes[0]
    ours = hounsfield.load(path, dtype="float32", clamp=False).array[0]
    # Two inverse DCTs may round apart by a step.
    step = plane.rescale.slope if ending in ("2.4.50", "2.4.51") else 0
    assert np.abs(theirs - ours).max() <= step + 1e-3


def test_simpleitk_reads_the_twelve_bit_enhanced_ct_alike(real_data: Path) -> None:
    # Its encoder added 1024 to the pixels and left the intercept: both readers show what is written.
    path = real_data / "enhanced" / "CT0012.fragmented_no_bot_jpeg_baseline.51.dcm"
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    theirs = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    assert hounsfield.load(path).array.min() == theirs.min() == -14
