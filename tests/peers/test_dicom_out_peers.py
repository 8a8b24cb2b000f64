"""DICOM that we write, as SimpleITK, dcm2niix, pydicom, GDCM and Orthanc read it: our values at our places."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path

import nibabel
import numpy as np
import pydicom
import pytest
from orthanc import running_orthanc, skip_without_orthanc
from PIL import Image

import hounsfield
from hounsfield import Volume
from hounsfield.client import Client
from hounsfield.phantom import PhantomSpec, write

sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not here: pip install SimpleITK")


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Volume, Path]]:
    """Volumes and the folder or file that each was written to."""
    root = tmp_path_factory.mktemp("written")
    for name, tilt in {"upright": 0.0, "tilted": -15.0}.items():
        write(
            PhantomSpec(rows=64, columns=64, slices=8, tilt=tilt, tags={"BodyPartExamined": "HEAD"}),
            root / name,
        )
    upright, tilted = hounsfield.load(root / "upright"), hounsfield.load(root / "tilted")
    volumes = {"upright": upright, "tilted": tilted, "isotropic": upright.resampled(voxel=3.0)}
    volumes["below"] = hounsfield.load(root / "upright", clamp=False)
    found = {}
    for name, volume in volumes.items():
        for suffix in (".dicom", ".dcm"):
            out = root / f"{name}{suffix}"
            volume.save(out, like=root / ("tilted" if name == "tilted" else "upright"))
            found[f"{name}{suffix}"] = (volume, out)
    return found


def test_simpleitk_reads_the_same(written: dict[str, tuple[Volume, Path]]) -> None:
    for name, (volume, out) in written.items():
        reader = sitk.ImageSeriesReader()
        names = reader.GetGDCMSeriesFileNames(str(out)) if out.is_dir() else (str(out),)
        image = sitk.ReadImage(names) if out.is_dir() else sitk.ReadImage(str(out))
        assert np.array_equal(sitk.GetArrayFromImage(image), volume.array), name
        if not volume.is_sheared:  # its direction has to be a rotation
            last = tuple(length - 1 for length in image.GetSize())
            place = image.TransformIndexToPhysicalPoint(last)
            assert place == pytest.approx(tuple(volume.lps(*last[::-1])), abs=1e-3), name


def test_pydicom_and_gdcm_read_the_same(written: dict[str, tuple[Volume, Path]], tmp_path: Path) -> None:
    convert = shutil.which("gdcmconv")
    for name, (volume, out) in written.items():
        files = sorted(out.iterdir()) if out.is_dir() else [out]
        found = []
        for file in files:
            if convert is not None:
                subprocess.run(
                    [convert, "--raw", str(file), str(tmp_path / "raw.dcm")], check=True, timeout=60
                )
                raw = pydicom.dcmread(tmp_path / "raw.dcm")
                assert np.array_equal(raw.pixel_array, pydicom.dcmread(file).pixel_array)
            dataset = pydicom.dcmread(file)
            scale = dataset
            if not out.is_dir():
                [scale] = dataset.SharedFunctionalGroupsSequence[0].PixelValueTransformationSequence
            values = dataset.pixel_array * float(scale.RescaleSlope) + float(scale.RescaleIntercept)
            found.append(values.reshape(-1, *volume.shape[1:]))
        assert np.array_equal(np.concatenate(found), volume.array), name


def test_dcm2niix_reads_the_same(written: dict[str, tuple[Volume, Path]], tmp_path: Path) -> None:
    dcm2niix = pytest.importorskip("dcm2niix", reason="dcm2niix is not here: pip install dcm2niix")
    for name, (volume, out) in written.items():
        if volume.is_sheared:  # it writes what it calls tilted twice, neither on this grid
            continue
        folder = tmp_path / name
        folder.mkdir()
        command = [dcm2niix.bin, "-z", "n", "-s", "n" if out.is_dir() else "y", "-f", "v", "-o", str(folder)]
        subprocess.run([*command, str(out)], check=True, capture_output=True, timeout=120)
        [path] = folder.glob("*.nii")
        image = nibabel.load(path)
        values = np.asarray(image.dataobj).transpose(2, 1, 0)
        assert np.array_equal(values[:, ::-1], volume.array), name
        affine = np.diag([-1.0, -1, 1, 1]) @ image.affine
        row = volume.shape[1] - 1  # its first row is the last
        corner = affine @ (volume.shape[2] - 1, row, volume.shape[0] - 1, 1)
        assert corner[:3] == pytest.approx(volume.lps(volume.shape[0] - 1, 0, volume.shape[2] - 1), abs=1e-3)


def test_orthanc_stores_and_renders_it(written: dict[str, tuple[Volume, Path]], tmp_path: Path) -> None:
    skip_without_orthanc()
    with running_orthanc(tmp_path / "orthanc") as url, Client(url) as client:
        for name in ("isotropic.dicom", "isotropic.dcm", "tilted.dicom"):
            volume, out = written[name]
            files = sorted(out.iterdir()) if out.is_dir() else [out]
            assert client.store_instances(files).complete
            header = pydicom.dcmread(files[0])
            back = hounsfield.load(
                f"{url}/studies/{header.StudyInstanceUID}/series/{header.SeriesInstanceUID}"
            )
            assert np.array_equal(back.array, volume.array)
            study, series, instance = header.StudyInstanceUID, header.SeriesInstanceUID, header.SOPInstanceUID
            frames = f"studies/{study}/series/{series}/instances/{instance}"
            picture = rendered(f"{url}/{frames}{'' if out.is_dir() else '/frames/1'}/rendered")
            assert picture.shape == volume.shape[1:] and picture.std() > 5


def rendered(address: str) -> np.ndarray:
    """The picture that a server draws, (rows, columns)."""
    import urllib.request

    request = urllib.request.Request(address, headers={"Accept": "image/png"})
    with urllib.request.urlopen(request, timeout=60) as response:
        return np.asarray(Image.open(io.BytesIO(response.read())).convert("L"))
