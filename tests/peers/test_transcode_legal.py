"""The whole table, kind by kind and target by target: legal by dciodvfy or refused, lossless equal, the bound of a
lossy target kept at the extremes of every type, and other people's decoders of one mind with ours.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array
from test_transcode import image, saved

from hounsfield.codecs import PixelKind, holds
from hounsfield.ct.hu import stored_values
from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.dicom.syntaxes import SYNTAXES, TransferSyntax, transfer_syntax
from hounsfield.errors import UnsupportedError
from hounsfield.transcode import Target, transcode
from hounsfield.transcode.pixels import open_pixels

KINDS = [
    PixelKind(allocated, stored, signed, photometric, samples)
    for photometric, samples, sizes, signs in (
        ("MONOCHROME2", 1, [(8, 8), (8, 6), (16, 16), (16, 12), (16, 9), (32, 32), (32, 20)], (False, True)),
        ("MONOCHROME1", 1, [(8, 8), (16, 12)], (False,)),
        ("PALETTE COLOR", 1, [(8, 8), (16, 16)], (False,)),
        ("RGB", 3, [(8, 8), (16, 16)], (False,)),
        ("YBR_FULL", 3, [(8, 8)], (False,)),
    )
    for allocated, stored in sizes
    for signed in signs
]
TARGETS = [s for s in SYNTAXES.values() if s.writable and s.keyword != "jpeg-xl-jpeg"]
BOUND = 3
KNOWN_TO_DCIODVFY = {
    "native",
    "rle",
    "jpeg",
    "jpeg-lossless",
    "jpeg-ls",
    "jpeg2000",
}  # families; that of 2022
IN_GDCM = {
    "rle",
    "jpeg-lossless",
    "jpeg-lossless-14",
    "jpeg-ls",
    "jpeg-ls-near",
    "jpeg2000",
    "jpeg2000-lossy",
}
IN_DCMTK = {
    "rle": ("dcmdrle",),
    **dict.fromkeys(("jpeg-lossless", "jpeg-lossless-14"), ("dcmdjpeg", "+cn")),
    **dict.fromkeys(("jpeg-ls", "jpeg-ls-near"), ("dcmdjpls",)),
}
IN_PYDICOM = {*IN_GDCM, "htj2k", "htj2k-rpcl", "htj2k-lossy"}


def tool(name: str, package: str) -> str:
    return shutil.which(name) or pytest.skip(f"{name} is not here; install {package}")


def of_kind(kind: PixelKind) -> tuple[bytes, np.ndarray]:
    """A Secondary Capture of such pixels, smooth, with both ends of the range side by side; and its values."""
    low = -(1 << kind.bits_stored - 1) if kind.signed else 0
    high = low + (1 << kind.bits_stored) - 1
    rows, columns = np.mgrid[0:40, 0:48]
    plane = (low + (high - low) * ((np.sin(rows / 9) + np.cos(columns / 11) + 2) / 4)).round()
    plane[4:9, 4:9], plane[4:9, 9:14], plane[30:, 40:] = low, high, high
    values = plane if kind.samples_per_pixel == 1 else np.stack([plane, plane[::-1], plane[:, ::-1]], axis=-1)
    values = values.astype(f"{'i' if kind.signed else 'u'}{kind.bits_allocated // 8}")
    dataset = image(
        values if values.ndim == 2 else values[..., 0], Modality="OT", BitsStored=kind.bits_stored
    )
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    dataset.HighBit, dataset.PhotometricInterpretation = kind.bits_stored - 1, kind.photometric_interpretation
    dataset.PixelData = values.tobytes()
    dataset["PixelData"].VR = "OB" if kind.bits_allocated == 8 else "OW"
    _complete(dataset, kind)
    return saved(dataset), values


def _complete(dataset: Dataset, kind: PixelKind) -> None:
    """What else the modules of a Secondary Capture ask for (PS3.3 A.8.1)."""
    for keyword in (
        "RescaleSlope",
        "RescaleIntercept",
        "RescaleType",
        "ImagePositionPatient",
        "ImageOrientationPatient",
    ):
        delattr(dataset, keyword)
    dataset.ImageType = ["ORIGINAL", "PRIMARY"]
    dataset.ConversionType = "WSD"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate, dataset.PatientSex = "A^B", "1", "", ""
    dataset.StudyDate, dataset.StudyTime, dataset.StudyID, dataset.AccessionNumber = (
        "20200101",
        "120000",
        "1",
        "",
    )
    dataset.ReferringPhysicianName, dataset.SeriesNumber, dataset.InstanceNumber = "", 1, 1
    dataset.PatientOrientation, dataset.Laterality = ["L", "P"], ""
    if kind.samples_per_pixel == 3:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    if kind.photometric_interpretation == "PALETTE COLOR":
        for colour in ("Red", "Green", "Blue"):
            entries = min(65536, 1 << kind.bits_stored)
            setattr(dataset, f"{colour}PaletteColorLookupTableDescriptor", [entries % 65536, 0, 16])
            setattr(
                dataset, f"{colour}PaletteColorLookupTableData", np.arange(entries, dtype="<u2").tobytes()
            )


def complaints(content: bytes, folder: Path) -> set[str]:
    """Errors of dciodvfy, without what differs by file."""
    path = folder / "checked.dcm"
    path.write_bytes(content)
    done = subprocess.run(
        [tool("dciodvfy", "dicom3tools"), str(path)], check=False, capture_output=True, timeout=60
    )
    told = (done.stdout + done.stderr).decode(errors="replace").splitlines()
    return {re.sub(r"<[^>]*>", "<>", line) for line in told if line.startswith("Error")}


def goal(syntax: TransferSyntax) -> Target:
    return Target(syntax) if syntax.lossless else Target(syntax, max_error=BOUND)


def transcoded(kind: PixelKind, syntax: TransferSyntax) -> tuple[bytes, np.ndarray] | None:
    """The file and what it was made of; None where it is refused, as the table has it."""
    content, values = of_kind(kind)
    try:
        result = transcode(BytesSource("image", content), goal(syntax))
    except UnsupportedError as error:
        assert not holds(syntax, kind) or "cannot keep errors within" in str(error), error
        return None
    assert holds(syntax, kind)
    return result.content, values


def read_back(content: bytes) -> np.ndarray:
    instance = read_instance(BytesSource("", content))
    pixels = open_pixels(content, instance.header)
    return stored_values(pixels.cells(0), instance.stored_format).astype(np.int64)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_target_is_legal_and_right_or_refused(kind: PixelKind, tmp_path: Path) -> None:
    before = complaints(of_kind(kind)[0], tmp_path)
    for syntax in TARGETS:
        made = transcoded(kind, syntax)
        if made is None:
            continue
        content, values = made
        if syntax.family in KNOWN_TO_DCIODVFY:
            assert complaints(_inflated(content), tmp_path) <= before, (
                syntax.keyword
            )  # it does not inflate either
        if syntax.family != "jpeg" or kind.samples_per_pixel == 1:
            off = np.abs(read_back(_inflated(content)) - values).max()
            assert off <= (0 if syntax.lossless else BOUND), syntax.keyword


def _inflated(content: bytes) -> bytes:
    if read_instance(BytesSource("", content)).syntax.deflated:
        return transcode(BytesSource("", content), Target(transfer_syntax("explicit"))).content
    return content


def is_beyond_gdcm(kind: PixelKind, syntax: TransferSyntax) -> bool:
    """GDCM 3.0 stops at an assertion of its own on 6 of 8 bits, reads no 32, and takes the bytes of 16-bit colour in
    RLE in another order than everybody else.
    """
    is_odd_rle = syntax.keyword == "rle" and kind.samples_per_pixel == 3 and kind.bits_allocated == 16
    return kind.bits_allocated == 32 or (kind.bits_allocated, kind.bits_stored) == (8, 6) or is_odd_rle


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_other_decoders_agree(kind: PixelKind, tmp_path: Path) -> None:
    gdcm = tool("gdcmconv", "libgdcm-tools")
    packed, native = tmp_path / "packed.dcm", tmp_path / "native.dcm"
    for syntax in TARGETS:
        made = transcoded(kind, syntax) if syntax.keyword in IN_PYDICOM else None
        if made is None:
            continue
        expected = read_back(made[0])
        packed.write_bytes(made[0])
        commands = [(gdcm, "--raw")] if syntax.keyword in IN_GDCM and not is_beyond_gdcm(kind, syntax) else []
        if syntax.keyword in IN_DCMTK:
            name, *options = IN_DCMTK[syntax.keyword]
            commands.append((tool(name, "dcmtk"), *options))  # type: ignore[arg-type]
        for command in commands:
            native.unlink(missing_ok=True)
            subprocess.run([*command, str(packed), str(native)], check=False, capture_output=True, timeout=60)
            assert native.is_file(), (syntax.keyword, command)
            theirs = pixel_array(pydicom.dcmread(native), raw=True)
            assert is_agreed(theirs, expected, syntax), (syntax.keyword, command)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = pixel_array(pydicom.dcmread(io.BytesIO(made[0])), raw=True)
        assert is_agreed(theirs, expected, syntax), syntax.keyword


def is_agreed(theirs: np.ndarray, ours: np.ndarray, syntax: TransferSyntax) -> bool:
    """Equal; of an irreversible wavelet within what each decoder rounds by itself."""
    slack = 1 if syntax.keyword in ("jpeg2000-lossy", "htj2k-lossy") else 0
    return bool(np.abs(theirs.astype(np.int64) - ours).max() <= slack)
