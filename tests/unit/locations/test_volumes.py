"""Volume files as locations: what others wrote is read at its place, and what lies is refused."""

from __future__ import annotations

import bz2
import gzip
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from numpy.typing import NDArray

import hounsfield
from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.ct.volume import Volume
from hounsfield.errors import (
    GeometryError,
    HounsfieldError,
    LocationError,
    MalformedError,
    SelectionError,
    TruncatedError,
    UnsupportedError,
)
from hounsfield.locations import open_location
from hounsfield.locations.archives import ArchiveLimits
from hounsfield.locations.volume_files import open_volume
from hounsfield.locations.volumes import VolumeLocation
from hounsfield.phantom import PhantomSpec
from hounsfield.testing import LocationContract, SourceContract

SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha", ".npy", ".zarr")


@pytest.fixture(scope="module")
def tilted(tmp_path_factory: pytest.TempPathFactory) -> Volume:
    folder = tmp_path_factory.mktemp("tilted")
    phantom.write(PhantomSpec(rows=40, columns=56, slices=5, tilt=-18.5), folder)
    return hounsfield.load(folder)


@pytest.fixture
def affine() -> NDArray[np.float64]:
    """(column, row, slice) → RAS mm, as dcm2niix has it: rows run to the front."""
    return np.array([[-0.8, 0, 0, 90], [0, 0.7, 0, -120], [0, 0, 2.5, -300], [0, 0, 0, 1.0]])


def numbers(shape: tuple[int, ...] = (9, 8, 4), kind: str = "i2") -> NDArray[Any]:
    """(columns, rows, slices), every voxel another value."""
    return (np.arange(np.prod(shape)).reshape(shape) - 100).astype(kind)


def at(volume: Volume, ras: NDArray[np.float64]) -> float:
    return volume.hu_at((-ras[0], -ras[1], ras[2]))


def same_place(volume: Volume, data: NDArray[Any], affine: NDArray[np.float64]) -> None:
    """Every corner and one voxel within: the value that the other library has at that place."""
    last = np.array(data.shape) - 1
    for corner in [*np.ndindex(2, 2, 2), None]:
        index = np.array([3, 2, 1]) if corner is None else np.array(corner) * last
        assert at(volume, (affine @ (*index, 1.0))[:3]) == data[tuple(index)]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_we_wrote_comes_back_bit_for_bit_under_tilt(suffix: str, tilted: Volume, tmp_path: Path) -> None:
    hounsfield.write_volume(tilted, tmp_path / f"head{suffix}")
    back = hounsfield.load(tmp_path / f"head{suffix}")
    assert np.array_equal(back.array, tilted.array) and back.array.dtype == np.int16
    assert np.abs(back.affine - tilted.affine).max() < 1e-4
    assert back.unit == "HU" and back.is_sheared


def test_a_nifti_of_dcm2niix_is_turned_to_where_a_dicom_would_have_it(
    affine: NDArray[np.float64], tmp_path: Path
) -> None:
    data = numbers()
    nibabel.Nifti1Image(data, affine).to_filename(tmp_path / "x.nii.gz")
    volume = hounsfield.load(tmp_path / "x.nii.gz")
    assert volume.shape == (4, 8, 9)
    assert np.array_equal(volume.array, data.transpose(2, 1, 0)[:, ::-1])
    same_place(volume, data, affine)
    assert np.allclose(volume.affine[:3, 0], (0, 0, 2.5))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", ["u1", "i1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_number_type_and_byte_order_keeps_its_values(
    kind: str, order: str, affine: NDArray[np.float64], tmp_path: Path
) -> None:
    data = (
        np.abs(numbers((5, 4, 3))) if kind[0] == "u" else numbers((5, 4, 3)) + (0.25 if kind[0] == "f" else 0)
    )
    header = nibabel.Nifti1Header(endianness=order)
    header.set_data_dtype(np.dtype(kind))
    image = nibabel.Nifti1Image(data.astype(kind), affine, header)
    image.to_filename(tmp_path / "x.nii")
    volume = hounsfield.load(tmp_path / "x.nii", dtype="float32", clamp=False)
    same_place(volume, data.astype(kind), affine)


@pytest.mark.parametrize("kind", ["i2", "f4"])
def test_the_scale_of_a_nifti_is_applied(kind: str, affine: NDArray[np.float64], tmp_path: Path) -> None:
    stored = numbers((5, 4, 3), kind)
    image = nibabel.Nifti1Image(stored, affine)
    image.header.set_slope_inter(0.5, -10.25)
    image.to_filename(tmp_path / "x.nii")
    raw = bytearray((tmp_path / "x.nii").read_bytes())
    raw[352:] = stored.tobytes(order="F")
    raw[112:120] = struct.pack("<ff", 0.5, -10.25)
    (tmp_path / "x.nii").write_bytes(raw)
    expected = np.asarray(nibabel.load(tmp_path / "x.nii").dataobj)
    assert np.array_equal(expected, stored * 0.5 - 10.25)
    volume = hounsfield.load(tmp_path / "x.nii", dtype="float32")
    same_place(volume, expected, affine)


def test_a_qform_places_where_there_is_no_sform(affine: NDArray[np.float64], tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(numbers(), None)
    image.header.set_qform(affine, code=1)
    image.header.set_sform(None, code=0)
    image.to_filename(tmp_path / "x.nii")
    same_place(hounsfield.load(tmp_path / "x.nii"), numbers(), affine)


def test_lengths_in_microns_are_taken_as_such(affine: NDArray[np.float64], tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(numbers(), np.diag([1000, 1000, 1000, 1]) @ affine)
    image.header.set_xyzt_units("micron")
    image.to_filename(tmp_path / "x.nii")
    assert np.allclose(hounsfield.load(tmp_path / "x.nii").spacing, (2.5, 0.7, 0.8))


def test_without_an_affine_it_is_looked_at_and_loaded_with_a_spacing(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(numbers(), None)
    image.header["sform_code"] = image.header["qform_code"] = 0
    image.to_filename(tmp_path / "x.nii")
    np.save(tmp_path / "x.npy", numbers().transpose())
    for name in ("x.nii", "x.npy"):
        assert len(hounsfield.scan(tmp_path / name).series[0].slices) == 4
        with pytest.raises(GeometryError, match="no Image Position") as refused:
            hounsfield.load(tmp_path / name)
        assert "--spacing" in str(refused.value)
        volume = hounsfield.load(tmp_path / name, spacing=(2.5, 0.7, 0.8))
        assert np.array_equal(volume.array, numbers().transpose())


def test_four_dimensions_are_volumes_to_choose_from(affine: NDArray[np.float64], tmp_path: Path) -> None:
    data = np.stack([numbers(), numbers() + 5], axis=-1)
    nibabel.Nifti1Image(data, affine).to_filename(tmp_path / "x.nii.gz")
    with pytest.raises(SelectionError, match="phase=0 … 1"):
        hounsfield.load(tmp_path / "x.nii.gz")
    for phase in (0, 1):
        same_place(hounsfield.load(tmp_path / "x.nii.gz", phase=phase), data[..., phase], affine)


def test_phases_that_we_wrote_come_back(tmp_path: Path) -> None:
    phantom.write(PhantomSpec(rows=16, columns=16, slices=3, phases=2), tmp_path / "s")
    done = CliRunner().invoke(main, ["volume", str(tmp_path / "s"), str(tmp_path / "x.nii.gz"), "--4d"])
    assert done.exit_code == 0, done.output
    for phase in (0, 1):
        back = hounsfield.load(tmp_path / "x.nii.gz", phase=phase)
        assert np.array_equal(back.array, hounsfield.load(tmp_path / "s", phase=phase).array)


@pytest.mark.parametrize("sizes", ["9 8 inf", "9 8 1e400", "9 8 2.5", "nan 8 4", "", "9 8 -4", "9 8 0"])
def test_sizes_that_are_no_whole_numbers_are_refused(sizes: str, tmp_path: Path) -> None:
    (tmp_path / "x.nrrd").write_bytes(
        f"NRRD0005\ntype: short\ndimension: 3\nsizes: {sizes}\nencoding: raw\n\n".encode() + bytes(999)
    )
    header = f"NDims = 3\nDimSize = {sizes}\nElementType = MET_SHORT\nElementDataFile = LOCAL\n"
    (tmp_path / "x.mha").write_bytes(header.encode() + bytes(999))
    for name in ("x.nrrd", "x.mha"):
        with pytest.raises(HounsfieldError, match=name):
            hounsfield.load(tmp_path / name)


def test_what_a_header_says_beyond_its_kind_is_left_out(tmp_path: Path) -> None:
    header = "NRRD0005\ntype: short\ndimension: 3\nsizes: 9 8 4\nencoding: raw\nsample units: H\\U\n"
    header += "KVP:=so high\nModality:=C\\T\nConvolutionKernel:=B30f\n\n"
    (tmp_path / "x.nrrd").write_bytes(header.encode() + numbers().tobytes())
    series = hounsfield.scan(tmp_path / "x.nrrd").series[0]
    assert series.unit.name == "H_U" and not series.unit.hounsfield
    assert series.facts["ConvolutionKernel"] == "B30f" and series.facts["Modality"] == "CT"
    assert "KVP" not in series.facts


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr", ".mha", ".mhd", ".nii", ".nii.gz"])
@pytest.mark.parametrize("packed", [False, True])
def test_what_itk_wrote_lies_where_itk_has_it(suffix: str, packed: bool, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(numbers((4, 8, 9)))
    image.SetSpacing((0.8, 0.7, 2.5))
    image.SetOrigin((-90.0, 120.5, -300.0))
    turn = np.deg2rad(20)
    image.SetDirection((1, 0, 0, 0, np.cos(turn), -np.sin(turn), 0, np.sin(turn), np.cos(turn)))
    sitk.WriteImage(image, str(tmp_path / f"x{suffix}"), useCompression=packed)
    volume = hounsfield.load(tmp_path / f"x{suffix}")
    for index in [(0, 0, 0), (8, 7, 3), (1, 6, 2)]:
        assert volume.hu_at(image.TransformIndexToPhysicalPoint(index)) == image[index]
    bridged = Volume.from_sitk(image)
    assert np.array_equal(bridged.array, volume.array) and np.allclose(
        bridged.affine, volume.affine, atol=1e-4
    )


@pytest.mark.parametrize("space", ["left-posterior-superior", "RAS", "right-anterior-superior", "LAS"])
@pytest.mark.parametrize("encoding", ["raw", "gzip", "bzip2"])
def test_a_nrrd_in_any_space_of_the_patient(space: str, encoding: str, tmp_path: Path) -> None:
    letters = space if len(space) == 3 else "".join(word[0] for word in space.split("-")).upper()
    signs = np.array([1 if letters[0] == "L" else -1, 1 if letters[1] == "P" else -1, 1])
    header = (
        f"NRRD0004\n# a comment: of no field\ntype: short\ndimension: 3\nspace: {space}\nsizes: 9 8 4\n"
        f"space directions: (0.8,0,0) (0,0.7,0) (0,0,2.5)\nkinds: domain domain domain\nendian: big\n"
        f"encoding: {encoding}\nspace origin: (1,2,3)\n\n"
    )
    body = numbers().astype(">i2").tobytes(order="F")
    pack: dict[str, Callable[[bytes], bytes]] = {"raw": bytes, "gzip": gzip.compress, "bzip2": bz2.compress}
    (tmp_path / "x.nrrd").write_bytes(header.encode() + pack[encoding](body))
    volume = hounsfield.load(tmp_path / "x.nrrd")
    for index in [(0, 0, 0), (8, 7, 3), (2, 5, 1)]:
        place = (np.array((1, 2, 3)) + np.array(index) * (0.8, 0.7, 2.5)) * signs
        assert volume.hu_at(place) == numbers()[index]


def test_a_sheared_grid_that_no_slices_have_is_refused_by_name(tmp_path: Path) -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.3  # rows are not perpendicular to columns
    nibabel.Nifti1Image(numbers(), affine).to_filename(tmp_path / "x.nii")
    with pytest.raises(GeometryError, match="perpendicular"):
        hounsfield.load(tmp_path / "x.nii")


def test_an_array_in_fortran_order_is_read_as_it_is_meant(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.asfortranarray(numbers((4, 8, 9))))
    assert np.array_equal(hounsfield.load(tmp_path / "x.npy", spacing=(1, 1, 1)).array, numbers((4, 8, 9)))


def test_a_zarr_array_without_a_place(tmp_path: Path) -> None:
    zarr = pytest.importorskip("zarr")
    zarr.save_array(str(tmp_path / "x.zarr"), numbers((20, 8, 9)))
    assert np.array_equal(hounsfield.load(tmp_path / "x.zarr", spacing=(1, 1, 1)).array, numbers((20, 8, 9)))


def nifti(change: Callable[[Any], None], tmp_path: Path, body: bytes | None = None) -> Path:
    image = nibabel.Nifti1Image(numbers(), np.eye(4))
    change(image.header)
    path = tmp_path / "x.nii"
    path.write_bytes(
        bytes(image.header.binaryblock) + b"\0" * 4 + (numbers().tobytes() if body is None else body)
    )
    return path


def sized(*sizes: int) -> Callable[[Any], None]:
    def change(header: Any) -> None:
        header["dim"][: len(sizes) + 1] = (len(sizes), *sizes)
        header["vox_offset"] = 352

    return change


REFUSED: dict[str, tuple[Callable[[Any], None], type[HounsfieldError]]] = {
    "longer than it is": (sized(9, 8, 5), TruncatedError),
    "as large as can be said": (sized(2000, 2000, 32767), LocationError),
    "an empty axis": (sized(9, 0, 4), MalformedError),
    "five dimensions": (sized(9, 8, 4, 1, 3), UnsupportedError),
    "a slice beyond 4 GiB": (sized(32767, 32767, 2), MalformedError),
    "negative": (sized(9, -8, 4), MalformedError),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_nifti_whose_sizes_lie_is_refused(name: str, tmp_path: Path) -> None:
    change, kind = REFUSED[name]
    with pytest.raises(kind) as refused:
        hounsfield.load(nifti(change, tmp_path))
    assert "\n" not in str(refused.value) and "x.nii" in str(refused.value)


@pytest.mark.parametrize("offset", [-1.0, 4.0, 1e30, float("nan"), float("inf")])
def test_voxels_said_to_lie_elsewhere_are_refused(offset: float, tmp_path: Path) -> None:
    def change(header: Any) -> None:
        header["vox_offset"] = offset

    with pytest.raises(HounsfieldError):
        hounsfield.load(nifti(change, tmp_path))


@pytest.mark.parametrize("code", [128, 2304, 32, 1792, 1, 7])
def test_colour_and_complex_numbers_are_no_hounsfield_units(code: int, tmp_path: Path) -> None:
    def change(header: Any) -> None:
        header["datatype"] = code
        header["vox_offset"] = 352

    with pytest.raises(HounsfieldError):
        hounsfield.load(nifti(change, tmp_path))


def test_colour_and_vectors_of_other_formats_are_refused(tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK")
    image = sitk.GetImageFromArray(np.zeros((4, 8, 9, 3), np.uint8), isVector=True)
    for suffix in (".nrrd", ".mha", ".nii"):
        sitk.WriteImage(image, str(tmp_path / f"x{suffix}"))
        with pytest.raises(UnsupportedError):
            hounsfield.load(tmp_path / f"x{suffix}")
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 9, 3), np.uint8))
    np.save(tmp_path / "o.npy", np.array([{}], object), allow_pickle=True)
    for name in ("x.npy", "o.npy"):
        with pytest.raises(UnsupportedError):
            hounsfield.load(tmp_path / name)


def test_a_bomb_is_refused_before_it_is_expanded(tmp_path: Path) -> None:
    header = nibabel.Nifti1Image(numbers(), np.eye(4)).header
    sized(2000, 2000, 400)(header)
    content = bytes(header.binaryblock) + b"\0" * (4 + (64 << 20))
    (tmp_path / "bomb.nii.gz").write_bytes(gzip.compress(content, 9))
    with pytest.raises(LocationError, match="as only a bomb does"):
        hounsfield.load(tmp_path / "bomb.nii.gz")


def test_nothing_is_expanded_beyond_what_the_header_asks_for(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(numbers(), np.eye(4))
    content = image.to_bytes() + b"\0" * (64 << 20)
    (tmp_path / "long.nii.gz").write_bytes(gzip.compress(content, 9))
    opened = open_volume(tmp_path / "long.nii.gz", ArchiveLimits())
    assert opened.path.stat().st_size == 352 + numbers().nbytes


@pytest.mark.parametrize(("excess", "is_refused"), [(0, False), (1, True)])
def test_the_limits_of_archives_hold(excess: int, is_refused: bool, tmp_path: Path) -> None:
    nibabel.Nifti1Image(numbers(), np.eye(4)).to_filename(tmp_path / "x.nii.gz")
    limits = ArchiveLimits(total_bytes=numbers().nbytes - excess)
    if is_refused:
        with pytest.raises(LocationError, match="over the limit"):
            open_volume(tmp_path / "x.nii.gz", limits)
    else:
        assert open_volume(tmp_path / "x.nii.gz", limits).values().shape == (4, 8, 9)


@pytest.mark.parametrize("data", ["../secret.raw", "/etc/hostname", "a/b.raw", "..\\x.raw", ".."])
def test_a_header_names_no_file_outside_its_folder(data: str, tmp_path: Path) -> None:
    (tmp_path / "secret.raw").write_bytes(bytes(600))
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.nhdr").write_text(
        f"NRRD0004\ntype: uint8\ndimension: 3\nsizes: 4 4 4\nencoding: raw\ndata file: {data}\n\n"
    )
    (folder / "x.mhd").write_text(
        f"NDims = 3\nDimSize = 4 4 4\nElementType = MET_UCHAR\nElementDataFile = {data}\n"
    )
    for name in ("x.nhdr", "x.mhd"):
        with pytest.raises(MalformedError, match="same folder"):
            hounsfield.load(folder / name)


@pytest.mark.parametrize("suffix", SUFFIXES[:-1])
def test_a_file_cut_anywhere_or_with_bytes_changed_ends_in_one_of_our_errors(
    suffix: str, tilted: Volume, tmp_path: Path
) -> None:
    hounsfield.write_volume(tilted, tmp_path / f"whole{suffix}")
    whole = (tmp_path / f"whole{suffix}").read_bytes()
    chance = np.random.default_rng(7)
    for number in range(60):
        damaged = bytearray(whole)
        if number % 2:
            damaged = damaged[: int(chance.integers(0, len(whole)))]
        else:
            for place in chance.integers(0, min(len(whole), 900), 6):
                damaged[place] = int(chance.integers(0, 256))
        path = tmp_path / f"damaged{suffix}"
        path.write_bytes(damaged)
        try:
            hounsfield.load(path)
        except HounsfieldError as error:
            assert "\n" not in str(error)


def test_a_dicom_file_under_another_name_stays_one(tmp_path: Path) -> None:
    phantom.write(PhantomSpec(rows=16, columns=16, slices=1), tmp_path / "s")
    dicom = next(path for path in (tmp_path / "s").rglob("*") if path.is_file())
    dicom.rename(tmp_path / "x.nii")
    assert not isinstance(open_location(tmp_path / "x.nii"), VolumeLocation)
    assert hounsfield.load(tmp_path / "x.nii").shape == (1, 16, 16)


def test_bridges_from_nibabel_and_arrays(affine: NDArray[np.float64]) -> None:
    volume = Volume.from_nibabel(nibabel.Nifti1Image(numbers(), affine))
    same_place(volume, numbers(), affine)
    assert volume.shape == (4, 8, 9) and np.allclose(volume.spacing, (2.5, 0.7, 0.8)) and volume.unit == "HU"
    back = Volume.from_nibabel(volume.to_nibabel())
    assert np.array_equal(back.array, volume.array) and np.allclose(back.affine, volume.affine)
    with pytest.raises(GeometryError):
        Volume.from_nibabel(nibabel.Nifti1Image(np.zeros((2, 2, 2, 2), np.int16), affine))
    with pytest.raises(GeometryError):
        Volume.from_array(np.zeros((2, 2, 2)), np.zeros((4, 4)))


def test_the_verbs_take_a_volume_file(tilted: Volume, tmp_path: Path) -> None:
    source = tmp_path / "head.nii.gz"
    hounsfield.write_volume(tilted, source)
    for command in (
        ["info", str(source)],
        ["info", str(source), "--json"],
        ["image", str(source), str(tmp_path / "head.png")],
        ["volume", str(source), str(tmp_path / "head.nrrd")],
        ["volume", str(source), str(tmp_path / "folder")],
    ):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, (command, done.output)
    assert np.array_equal(hounsfield.load(tmp_path / "head.nrrd").array, tilted.array)
    shown = CliRunner().invoke(main, ["info", str(source)]).output
    assert "sheared" in shown and "physics" in shown and "head.nii.gz" in shown


def test_a_run_knows_a_volume_that_was_changed_in_place(tilted: Volume, tmp_path: Path) -> None:
    source, out = tmp_path / "x.nii", tmp_path / "out"
    hounsfield.write_volume(tilted, source)
    assert "made" in CliRunner().invoke(main, ["volume", str(source), str(out)]).output
    assert "made before" in CliRunner().invoke(main, ["volume", str(source), str(out)]).output
    content = bytearray(source.read_bytes())
    content[400] ^= 1
    source.write_bytes(content)
    assert "made before" not in CliRunner().invoke(main, ["volume", str(source), str(out)]).output


def test_slices_travel_to_other_processes(tilted: Volume, tmp_path: Path) -> None:
    hounsfield.write_volume(tilted, tmp_path / "x.nii.gz")
    series = hounsfield.scan(tmp_path / "x.nii.gz").series[0]
    assert np.array_equal(pickle.loads(pickle.dumps(series)).load().array, tilted.array)


class TestSlice(SourceContract):
    """One slice of a volume file, of an odd number of bytes and rows from the last to the first."""

    @pytest.fixture
    def source(self, affine: NDArray[np.float64], tmp_path: Path) -> Any:
        nibabel.Nifti1Image(numbers((5, 3, 2), "u1"), affine).to_filename(tmp_path / "x.nii.gz")
        return next(iter(VolumeLocation(tmp_path / "x.nii.gz").sources()))

    @pytest.fixture
    def content(self, source: Any) -> bytes:
        plane = source.file.cells[0, 0][::-1]
        return source.header + plane.tobytes() + b"\0"


class TestLocation(LocationContract):
    @pytest.fixture
    def location(self, tilted: Volume, tmp_path: Path) -> Any:
        hounsfield.write_volume(tilted, tmp_path / "x.nii.gz")
        return open_location(tmp_path / "x.nii.gz")

    @pytest.fixture
    def expected(self, location: Any) -> dict[str, bytes]:
        file = open_volume(location.path)
        headers = [source.header for source in location.sources()]
        planes = file.cells[0]
        return {
            f"slice {number + 1}": header + planes[number].tobytes() for number, header in enumerate(headers)
        }
