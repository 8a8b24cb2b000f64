"""Other people's decoders read what is written here to the same pixels: DCMTK, GDCM, SimpleITK, pylibjpeg."""

from __future__ import annotations

import io
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_frames import decoded

from hounsfield.ct.instance import FileSource
from hounsfield.transcode import target, transcode

DCMTK = {"jpeg-ls": "dcmdjpls", "jpeg-lossless": "dcmdjpeg", "jpeg-lossless-14": "dcmdjpeg", "rle": "dcmdrle"}
GDCM = ("jpeg-ls", "jpeg-lossless", "jpeg-lossless-14", "rle", "jpeg2000")
NEEDED = {"dcmdjpls": "dcmtk", "dcmdjpeg": "dcmtk", "dcmdrle": "dcmtk", "gdcmconv": "libgdcm-tools"}


def tool(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not here; install {NEEDED[name]}")
    return found


def originals(real_data: Path) -> list[Path]:
    """Signed with padding, unsigned 12 bits, and many frames."""
    slices = sorted((real_data / "philips_phantom" / "S21570" / "S2020").glob("I*"))
    plain = (
        real_data
        / "transfer_syntaxes"
        / ("CTImage.dcm_LittleEndianExplicitTransferSyntax_1.2.840.10008.1.2.1.dcm")
    )
    return [plain, slices[70], real_data / "enhanced" / "CT0012.explicit_little_endian.dcm"]


def read_by(command: list[str], packed: bytes, folder: Path) -> np.ndarray:
    """Have `command` decompress; its output is native and so read by anything."""
    source, out = folder / "packed.dcm", folder / "native.dcm"
    source.write_bytes(packed)
    out.unlink(missing_ok=True)
    done = subprocess.run([*command, str(source), str(out)], check=False, capture_output=True, timeout=60)
    assert out.is_file(), (done.stdout + done.stderr).decode(errors="replace")
    return pydicom.dcmread(out).pixel_array


def same(got: np.ndarray, path: Path) -> bool:
    frames = decoded(path)
    expected = np.stack(frames) if len(frames) > 1 else frames[0]
    return np.array_equal(got, expected)


@pytest.mark.parametrize("keyword", DCMTK)
def test_dcmtk_reads_the_same_pixels(keyword: str, real_data: Path, tmp_path: Path) -> None:
    program = tool(DCMTK[keyword])
    for path in originals(real_data):
        packed = transcode(FileSource(path), target(keyword)).content
        assert same(read_by([program], packed, tmp_path), path), path.name


@pytest.mark.parametrize("keyword", GDCM)
def test_gdcm_reads_the_same_pixels(keyword: str, real_data: Path, tmp_path: Path) -> None:
    program = tool("gdcmconv")
    for path in originals(real_data):
        packed = transcode(FileSource(path), target(keyword)).content
        assert same(read_by([program, "--raw"], packed, tmp_path), path), path.name


@pytest.mark.parametrize("keyword", ["jpeg-ls", "jpeg-lossless", "jpeg2000", "rle"])
def test_simpleitk_reads_the_same_values(keyword: str, real_data: Path, tmp_path: Path) -> None:
    sitk = pytest.importorskip("SimpleITK", reason="SimpleITK is not here; install SimpleITK")
    for path in originals(real_data)[:2]:
        packed = tmp_path / "packed.dcm"
        packed.write_bytes(transcode(FileSource(path), target(keyword)).content)
        one, two = (sitk.GetArrayFromImage(sitk.ReadImage(str(p))) for p in (packed, path))
        assert np.array_equal(one, two)


@pytest.mark.parametrize("keyword", ["jpeg-ls", "jpeg-lossless", "jpeg2000", "htj2k", "htj2k-rpcl", "rle"])
def test_pylibjpeg_reads_the_same_pixels(keyword: str, real_data: Path) -> None:
    pytest.importorskip("pylibjpeg", reason="pylibjpeg is not here; install pylibjpeg[all]")
    for path in originals(real_data):
        dataset = pydicom.dcmread(io.BytesIO(transcode(FileSource(path), target(keyword)).content))
        dataset.pixel_array_options(decoding_plugin="pylibjpeg")
        assert same(dataset.pixel_array, path), path.name


def test_dcmtk_reads_near_lossless_within_its_bound(real_data: Path, tmp_path: Path) -> None:
    program = tool("dcmdjpls")
    for path in originals(real_data)[:2]:
        packed = transcode(FileSource(path), target("jpeg-ls-near", max_error=3)).content
        got = read_by([program], packed, tmp_path)
        assert np.abs(got.astype(int) - decoded(path)[0]).max() == 3


def test_dcmtk_reads_twelve_bit_extended_jpeg(real_data: Path, tmp_path: Path) -> None:
    program = tool("dcmdjpeg")
    path = originals(real_data)[1]
    packed = transcode(FileSource(path), target("jpeg-extended", quality=95))
    got = read_by([program], packed.content, tmp_path)
    assert np.abs(got.astype(int) - decoded(path)[0]).max() <= packed.max_error + 1


@pytest.mark.parametrize("keyword", ["jpeg-ls", "jpeg-lossless", "htj2k-lossy", "jpeg-ls-near"])
def test_dcmtk_finds_nothing_wrong_with_the_file(keyword: str, real_data: Path, tmp_path: Path) -> None:
    program = shutil.which("dcmdump") or pytest.skip("dcmdump is not here; install dcmtk")
    options: dict[str, Any] = {"htj2k-lossy": {"ratio": 10}, "jpeg-ls-near": {"max_error": 2}}.get(
        keyword, {}
    )
    packed = tmp_path / "packed.dcm"
    packed.write_bytes(transcode(FileSource(originals(real_data)[1]), target(keyword, **options)).content)
    done = subprocess.run([program, "-q", str(packed)], check=False, capture_output=True, timeout=60)
    assert done.returncode == 0 and not done.stderr, done.stderr.decode(errors="replace")
