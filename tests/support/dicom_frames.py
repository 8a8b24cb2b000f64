"""Frames of a DICOM file by way of pydicom's parser and our own locating and decoding; for tests only."""

from __future__ import annotations

import io
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset

from hounsfield.codecs import FrameFormat, Pixels, decode_frame
from hounsfield.dicom.encapsulation import locate_frames, read_frame
from hounsfield.dicom.syntaxes import transfer_syntax

PYDICOM_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def format_of(header: Dataset) -> FrameFormat:
    return FrameFormat(
        header.Rows,
        header.Columns,
        header.SamplesPerPixel,
        header.BitsAllocated,
        header.BitsStored,
        header.HighBit,
        header.PixelRepresentation,
        header.PhotometricInterpretation,
        header.get("PlanarConfiguration") or 0,
    )


def frame_bytes(header: Dataset) -> list[bytes]:
    """The encoded bytes of each frame."""
    count = int(header.get("NumberOfFrames") or 1)
    if not transfer_syntax(header.file_meta.TransferSyntaxUID).encapsulated:
        length = format_of(header).native_bytes
        if count == 1:
            return [header.PixelData]
        return [header.PixelData[i * length : (i + 1) * length] for i in range(count)]
    stream = io.BytesIO(header.PixelData)
    return [read_frame(stream, f) for f in locate_frames(stream, offset=0, number_of_frames=count)]


def decoded(path: Path) -> list[Pixels]:
    """Each frame's stored values."""
    header = pydicom.dcmread(path, force=True)
    syntax = transfer_syntax(header.file_meta.TransferSyntaxUID)
    swap = not syntax.little_endian and header["PixelData"].VR == "OW"
    return [
        decode_frame(data, syntax, format_of(header), swap_words=swap and header.BitsAllocated == 8)
        for data in frame_bytes(header)
    ]
