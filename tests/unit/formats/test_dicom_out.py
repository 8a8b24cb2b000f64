"""Volumes → DICOM → the same volumes: every value, every place, patient and study, stable UIDs, by dciodvfy sound."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner

import hounsfield
from hounsfield import Volume
from hounsfield.cli import main
from hounsfield.errors import GeometryError, OutputExistsError, UnsupportedError
from hounsfield.formats.dicom.scale import decimal, scale_of
from hounsfield.phantom import PhantomSpec, write

HEAD = {"BodyPartExamined": "HEAD"}
SPECS = {
    "upright": PhantomSpec(rows=40, columns=32, slices=6, tags=HEAD),
    "tilted": PhantomSpec(rows=40, columns=40, slices=6, tilt=-18.5, tags=HEAD),
    "gaps": PhantomSpec(rows=32, columns=32, slices=7, missing=(3,), tags=HEAD),
    "enhanced": PhantomSpec(rows=32, columns=32, slices=5, multiframe="enhanced"),
    "fractions": PhantomSpec(rows=32, columns=32, slices=4, slope=0.25, tags=HEAD),
}
AFFINE = np.array([[0, 0, 0.5, -120.25], [0, 0.75, 0, -98.5], [2.5, 0, 0, 41.75], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for name, spec in SPECS.items():
        write(spec, folder / name)
    return folder


def volumes_of(scans: Path) -> dict[str, Volume]:
    upright, tilted = (hounsfield.load(scans / name) for name in ("upright", "tilted"))
    return {
        "upright": upright,
        "tilted": tilted,
        "tilted at 2 mm": tilted.resampled(voxel=2),
        "resampled": upright.resampled(voxel=(1.3, 4, 5.1)),
        "turned": upright.oriented("RAS"),
        "coronal": upright.oriented("LSP"),
        "cropped": upright.cropped([(1, 4), (2, 30), (3, 20)]),
        "gaps filled": hounsfield.load(scans / "gaps", gaps="fill"),
        "from enhanced": hounsfield.load(scans / "enhanced"),
        "fractions": hounsfield.load(scans / "fractions", dtype="float32"),
        "below −1024": hounsfield.load(scans / "upright", clamp=False),
        "one slice": upright.cropped([(2, 3), (None, None), (None, None)]),
    }


@pytest.mark.parametrize("suffix", [".dicom", ".dcm"])
def test_what_is_loaded_is_what_was_written(scans: Path, tmp_path: Path, suffix: str) -> None:
    for name, volume in volumes_of(scans).items():
        out = tmp_path / f"{name}{suffix}"
        assert volume.save(out, like=scans / "upright") == (out,)
        found = hounsfield.load(out, dtype=volume.array.dtype.name, clamp=name != "below −1024")  # type: ignore[arg-type]
        if name == "coronal":  # turned against row × column direction, which no DICOM can say
            assert np.cross(volume.affine[:3, 2], volume.affine[:3, 1]) @ volume.affine[:3, 0] < 0
            assert np.array_equal(found.array, volume.array[::-1]), name
            continue
        assert found.array.dtype == volume.array.dtype and found.unit == "HU"
        assert np.array_equal(found.array, volume.array), name
        one = volume.shape[0] == 1  # of which nobody can say how far the next one is
        corners = np.array([(*corner, 1) for corner in np.ndindex(1 if one else 2, 2, 2)]) * (
            *volume.shape,
            1,
        )
        assert np.abs((found.affine - volume.affine) @ corners.T).max() < 1e-9, name
        assert found.spacing[one:] == pytest.approx(volume.spacing[one:])


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not here")
def test_dciodvfy_finds_nothing(scans: Path, tmp_path: Path) -> None:
    for name, volume in volumes_of(scans).items():
        own = scans / ("tilted" if name.startswith("tilted") else "upright")
        for suffix in (".dicom", ".dcm"):
            out = tmp_path / f"{name}{suffix}"
            volume.save(out, like=own)
            for file in sorted(out.glob("*.dcm"))[:2] if out.is_dir() else [out]:
                assert complaints(file) == [], (name, suffix)


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (dicom3tools) is not here")
def test_dciodvfy_finds_no_error_where_nobody_is_known(tmp_path: Path) -> None:
    for suffix in (".dicom", ".dcm"):
        made().save(tmp_path / f"v{suffix}")
    for file in tmp_path.rglob("*.dcm"):
        if file.is_file():
            assert [line for line in complaints(file) if not line.startswith("Warning")] == []


def complaints(file: Path) -> list[str]:
    """Errors and warnings of dciodvfy."""
    checked = subprocess.run(["dciodvfy", str(file)], check=False, capture_output=True, text=True, timeout=60)
    return [line for line in checked.stderr.splitlines() if line.startswith(("Error", "Warning"))]


def made(array: Any = None, **more: Any) -> Volume:
    values = (
        np.random.default_rng(1).integers(-1024, 3000, (4, 6, 5)).astype(np.int16) if array is None else array
    )
    return Volume(np.asarray(values), AFFINE, (2.5, 0.75, 0.5), **more)


def spread(low: float, high: float, dtype: Any) -> Volume:
    return made(np.linspace(low, high, 120).reshape(4, 6, 5).astype(dtype))


@pytest.mark.parametrize(
    ("volume", "bits", "signed", "slope", "intercept"),
    [
        (spread(-1024, 3071, np.int16), 12, False, 1, -1024),
        (spread(-1024, 3072, np.int16), 16, False, 1, -1024),
        (spread(-1025, 3000, np.int16), 16, True, 1, 0),
        (spread(-32768, 32767, np.int16), 16, True, 1, 0),
        (spread(-1024, 64511, np.int32), 16, False, 1, -1024),
        (spread(40000, 100000, np.int32), 16, False, 1, 40000),
        (spread(0, 200, np.uint8), 12, False, 1, -1024),
        (spread(-1024, 3000, np.float32), 16, False, 0.0625, -1024),
        (made(np.arange(120).reshape(4, 6, 5) - 1000.0), 12, False, 1, -1024),
        (made(np.arange(120).reshape(4, 6, 5) / 8 - 1000.0), 16, False, 0.125, -1000),
    ],
)
def test_slope_and_intercept_are_chosen_for_the_values(
    volume: Volume, bits: int, signed: bool, slope: float, intercept: float
) -> None:
    scale = scale_of(volume)
    found = (scale.bits_stored, scale.signed, scale.slope, scale.intercept)
    assert found == (bits, signed, slope, intercept)
    back = scale.values(scale.stored(volume.array), np.dtype(np.float64))
    assert np.abs(back - volume.array).max() <= scale.error
    assert [float(text) for text in scale.texts] == [scale.slope, scale.intercept]
    assert scale.stored(volume.array).max() < 1 << bits


@pytest.mark.parametrize("span", [1e-7, 3e-3, 1.0, 17.3, 4095.0, 65536.5, 1e6, 3e9])
@pytest.mark.parametrize("low", [-1024.0, -3.7, 0.0, 12345.678])
def test_the_bound_that_is_stated_for_real_numbers_holds(low: float, span: float) -> None:
    values = low + np.random.default_rng(4).random((4, 6, 5)) * span
    values[0, 0, :2] = low, low + span
    volume = made(values)
    scale = scale_of(volume)
    assert all(len(text) <= 16 for text in scale.texts)
    back = scale.values(scale.stored(values), np.dtype(np.float64))
    assert np.abs(back - values).max() <= scale.error * (1 + 1e-6) + 1e-9 * abs(low)
    assert scale.error <= span / 65534 or span < 1e-6


def test_the_slope_of_the_files_brings_back_every_real_number(scans: Path, tmp_path: Path) -> None:
    write(PhantomSpec(rows=16, columns=16, slices=3, slope=0.3, intercept=-1024), tmp_path / "scan")
    volume = hounsfield.load(tmp_path / "scan", dtype="float32")
    scale = scale_of(volume)
    assert (scale.slope, scale.error) == (0.3, 0.0)
    volume.save(tmp_path / "out.dicom")
    assert np.array_equal(hounsfield.load(tmp_path / "out.dicom", dtype="float32").array, volume.array)


def test_a_decimal_has_sixteen_characters_at_most() -> None:
    for number in (0.1, -0.0, 1 / 3, -1e-9 / 3, 123456.789012345678, 1e22, -1024.0, 0.0001220703125):
        assert len(decimal(number)) <= 16
        assert float(decimal(number)) == pytest.approx(number, rel=1e-9)
    assert decimal(-0.0) == "0" and decimal(-1024.0) == "-1024"


def test_what_dicom_does_not_hold_is_refused_before_anything_is_there(tmp_path: Path) -> None:
    holes = spread(-1000, 3000, np.float32)
    holes.array[1, 2, 3] = np.nan
    skew = AFFINE.copy()
    skew[1, 2] = 0.2
    refused: list[tuple[Volume, type[Exception], str]] = [
        (holes, UnsupportedError, "1 values that are no numbers"),
        (made(header={"Modality": "MR"}), UnsupportedError, "Modality is MR"),
        (Volume.from_array(made().array, skew), GeometryError, "not perpendicular"),
    ]
    for volume, error, words in refused:
        for suffix in (".dicom", ".dcm"):
            with pytest.raises(error, match=words):
                volume.save(tmp_path / f"v{suffix}")
    with pytest.raises(UnsupportedError, match="names no patient"):
        made().save(tmp_path / "v.nrrd", like=Path(__file__).parent)
    assert list(tmp_path.iterdir()) == []


def test_what_is_there_is_kept_without_force(tmp_path: Path) -> None:
    made().save(tmp_path / "out", format="dicom")
    with pytest.raises(OutputExistsError):
        made().save(tmp_path / "out", format="dicom")
    assert len(made().save(tmp_path / "out", format="dicom", force=True)) == 1
    with pytest.raises(UnsupportedError, match="is no name for NIfTI"):
        made().save(tmp_path / "other", format="nifti")


def test_uids_follow_from_the_content(scans: Path, tmp_path: Path) -> None:
    volume = hounsfield.load(scans / "upright")
    other = volume.resampled(voxel=4)
    for name, each in {"one": volume, "again": volume, "other": other}.items():
        each.save(tmp_path / name, format="dicom", like=scans / "upright")
    files = {name: sorted((tmp_path / name).iterdir()) for name in ("one", "again", "other")}
    assert [a.read_bytes() for a in files["one"]] == [b.read_bytes() for b in files["again"]]
    first, last = (pydicom.dcmread(files[name][0]) for name in ("one", "other"))
    assert first.SeriesInstanceUID != last.SeriesInstanceUID
    uids = {pydicom.dcmread(file).SOPInstanceUID for file in (*files["one"], *files["other"])}
    assert len(uids) == len(files["one"]) + len(files["other"]) and all(uid.is_valid for uid in uids)


def test_it_is_a_derived_series_of_the_same_study(scans: Path, tmp_path: Path) -> None:
    hounsfield.load(scans / "upright").save(tmp_path / "a", format="dicom", like=scans / "upright")
    source = pydicom.dcmread(scans / "upright" / "CT0001.dcm")
    found = [pydicom.dcmread(path) for path in sorted((tmp_path / "a").iterdir())]
    first = found[0]
    for keyword in ("PatientID", "PatientName", "StudyInstanceUID", "StudyDate", "FrameOfReferenceUID"):
        assert first[keyword].value == source[keyword].value != ""
    for keyword in ("Manufacturer", "KVP", "ConvolutionKernel", "PatientPosition", "BodyPartExamined"):
        assert first[keyword].value == source[keyword].value
    assert first.SeriesInstanceUID != source.SeriesInstanceUID and first.SeriesNumber != source.SeriesNumber
    assert first.ImageType[:2] == ["DERIVED", "SECONDARY"]
    assert first.DerivationCodeSequence[0].CodeValue == "113091"
    assert first.ContributingEquipmentSequence[0].Manufacturer == "hounsfield"
    references = [each.SourceImageSequence[0].ReferencedSOPInstanceUID for each in found]
    assert references == list(hounsfield.load(scans / "upright").uids)
    assert [each.InstanceNumber for each in found] == [1, 2, 3, 4, 5, 6]


def test_resampling_is_told(scans: Path, tmp_path: Path) -> None:
    hounsfield.load(scans / "upright").resampled(voxel=3).save(tmp_path / "a.dcm", like=scans / "upright")
    found = pydicom.dcmread(tmp_path / "a.dcm")
    [derived] = found.PerFrameFunctionalGroupsSequence[0].DerivationImageSequence
    assert derived.DerivationCodeSequence[0].CodeValue == "113085"
    assert "resampled to voxels of 3×3×3 mm (linear)" in derived.DerivationDescription
    assert found.ImageType == ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED"]
    assert len(found.SourceImageEvidenceSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence) == 2


def test_a_volume_file_takes_patient_and_study_but_no_acquisition(scans: Path, tmp_path: Path) -> None:
    named = tmp_path / "scan"
    write(PhantomSpec(rows=16, columns=16, slices=3, character_set="GB18030", patient_name="王^小东"), named)
    file, out = tmp_path / "v.nii.gz", tmp_path / "out"
    hounsfield.load(named).resampled(voxel=7).save(file)
    done = CliRunner().invoke(main, ["volume", str(file), str(out / "v.dicom"), "--like", str(named)])
    assert done.exit_code == 0, done.output
    found = pydicom.dcmread(out / "v.dicom" / "0001.dcm")
    assert (str(found.PatientName), found.PatientID) == ("王^小东", PhantomSpec().patient_id)
    assert found.StudyInstanceUID == pydicom.dcmread(named / "CT0001.dcm").StudyInstanceUID
    assert found.KVP is None and "SourceImageSequence" not in found
    again, before = hounsfield.load(out / "v.dicom"), hounsfield.load(file)
    assert np.array_equal(again.array, before.array)
    assert np.abs(again.affine - before.affine).max() < 1e-9


def test_the_grid_of_another_is_meant_for_a_scan(scans: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.nrrd"
    hounsfield.load(scans / "upright").resampled(voxel=4).save(other)
    out = tmp_path / "v.dcm"
    options = ["--like", str(other), "--interpolation", "nearest"]
    done = CliRunner().invoke(main, ["volume", str(scans / "upright"), str(out), *options])
    assert done.exit_code == 0, done.output
    expected = hounsfield.load(scans / "upright", like=hounsfield.load(other), interpolation="nearest")
    assert np.array_equal(hounsfield.load(out).array, expected.array)
    assert pydicom.dcmread(out).PatientID == PhantomSpec().patient_id


@pytest.mark.parametrize(("word", "suffix"), [("dicom", ".dicom"), ("enhanced", ".dcm"), (".dcm", ".dcm")])
def test_a_folder_of_series_becomes_one_of_dicom(scans: Path, tmp_path: Path, word: str, suffix: str) -> None:
    out = tmp_path / "out"
    arguments = ["volume", str(scans / "tilted"), str(out), "--format", word, "--json"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output
    [row] = json.loads(done.stdout)["volumes"]
    assert row["output"].endswith(suffix)
    assert np.array_equal(hounsfield.load(out).array, hounsfield.load(scans / "tilted").array)
    again = json.loads(CliRunner().invoke(main, arguments).stdout)["volumes"]
    assert again[0]["kept"]


def test_a_format_that_out_contradicts_is_refused(scans: Path, tmp_path: Path) -> None:
    arguments = ["volume", str(scans / "upright"), str(tmp_path / "v.nrrd"), "--format", "dicom"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 2 and "OUT is one by its name" in " ".join(done.output.split())
    assert list(tmp_path.iterdir()) == []


def test_what_was_lossy_stays_so_and_another_unit_keeps_its_name(tmp_path: Path) -> None:
    tags = {"LossyImageCompression": "01", "RescaleType": None}
    write(PhantomSpec(rows=16, columns=16, slices=3, tags=tags, rescale_type="Z_EFF"), tmp_path / "scan")
    volume = hounsfield.load(tmp_path / "scan")
    volume = volume if volume.unit == "Z_EFF" else made(volume.array, unit="Z_EFF")
    volume.save(tmp_path / "out", format="dicom", like=tmp_path / "scan")
    found = pydicom.dcmread(tmp_path / "out" / "0001.dcm")
    assert found.LossyImageCompression == "01" and found.RescaleType == "Z_EFF"
    assert hounsfield.load(tmp_path / "out").unit == "Z_EFF"


def test_real_scans_survive(real_data: Path, tmp_path: Path) -> None:
    for name in ("philips_phantom/S21610/S2010", "odd/ge_ct_3slice", "odd/torchio_17"):
        volume = hounsfield.load(real_data / name)
        out = tmp_path / Path(name).name
        volume.save(out, format="dicom", like=real_data / name)
        found = hounsfield.load(out, dtype=volume.array.dtype.name)  # type: ignore[arg-type]
        assert np.array_equal(found.array, volume.array), name
        assert found.unit == volume.unit
        assert np.abs(found.affine - volume.affine).max() < 1e-9
