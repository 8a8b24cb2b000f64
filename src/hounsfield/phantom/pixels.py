"""Pixel Data and its private cousin: cells of a frame as bytes of a transfer syntax.

Compression is `hounsfield.codecs`' business; the only codec here is the Philips one that nobody else writes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, encapsulate_extended

from hounsfield.phantom.spec import PhantomSpec

BIG_ENDIAN = "1.2.840.10008.1.2.2"
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", BIG_ENDIAN, "1.2.840.10008.1.2.1.99")

Cells = NDArray[np.unsignedinteger[Any]]


def syntax_uid(spec: PhantomSpec) -> str:
    """The UID of the transfer syntax, whether the spec gives it so or by keyword."""
    if spec.transfer_syntax.replace(".", "").isdigit():
        return spec.transfer_syntax
    from hounsfield.dicom.syntaxes import transfer_syntax

    return str(transfer_syntax(spec.transfer_syntax).uid)


def add_pixels(dataset: Dataset, spec: PhantomSpec, frames: list[Cells], *, damaged: bool) -> None:
    """Set Pixel Data from `frames`, each (rows, columns), or what the spec wants in its stead."""
    if spec.philips_rle is not None:
        _add_philips(dataset, frames)
        if spec.philips_rle == "alone":
            return
    syntax = syntax_uid(spec)
    if syntax in NATIVE or spec.native_pixels:
        content = _native(spec, frames, big_endian=syntax == BIG_ENDIAN, damaged=damaged)
        # PS3.5 A.2: OW unless the cells are bytes.
        dataset.add(DataElement(0x7FE00010, "OB" if spec.bits_allocated == 8 else "OW", content))
        return
    coded = [_encode(spec, syntax, frame) for frame in frames]
    element = DataElement(0x7FE00010, "OB", b"")
    if spec.offset_table == "extended":
        element.value, offsets, lengths = encapsulate_extended(coded)
        dataset.ExtendedOffsetTable = offsets
        dataset.ExtendedOffsetTableLengths = lengths
    else:
        has_table = spec.offset_table == "basic"
        element.value = encapsulate(coded, fragments_per_frame=spec.fragments, has_bot=has_table)
    element.is_undefined_length = True
    dataset.add(element)


def _native(spec: PhantomSpec, frames: list[Cells], *, big_endian: bool, damaged: bool) -> bytes:
    content = b"".join(frame.astype(frame.dtype.newbyteorder("<")).tobytes() for frame in frames)
    if (
        big_endian and frames[0].dtype.itemsize > 1
    ):  # VR OW: words, of which cells of 32 bits have two (PS3.5 A.3)
        content = np.frombuffer(content, "<u2").astype(">u2").tobytes()
    if damaged:
        content += content[: len(content) // len(frames)] * spec.extra_frames + bytes(spec.extra_pixel_bytes)
        content = content[: len(content) - spec.missing_pixel_bytes]
    return content + bytes(len(content) % 2)


def _encode(spec: PhantomSpec, syntax: str, frame: Cells) -> bytes:
    from hounsfield.codecs import FrameFormat, encode_frame
    from hounsfield.dicom.syntaxes import transfer_syntax

    values = frame.view(frame.dtype.str.replace("u", "i")) if spec.signed else frame
    frame_format = FrameFormat(
        rows=spec.rows,
        columns=spec.columns,
        samples_per_pixel=1,
        bits_allocated=spec.bits_allocated,
        bits_stored=spec.bits_stored,
        high_bit=spec.top_bit,
        pixel_representation=int(spec.signed),
        photometric_interpretation=spec.photometric,
        planar_configuration=0,
    )
    return bytes(encode_frame(values, transfer_syntax(syntax), frame_format))


def _add_philips(dataset: Dataset, frames: list[Cells]) -> None:
    block = dataset.private_block(0x07A1, "ELSCINT1", create=True)
    block.add_new(0x11, "CS", "PMSCT_RLE1")
    block.add_new(0x0A, "OB", b"".join(philips_encode(frame) for frame in frames))


def philips_encode(frame: Cells) -> bytes:
    """PMSCT_RLE1: 16-bit cells as differences, their bytes as runs; padded to an even length.

    First pass: the difference to the cell before as one signed byte, or 0x5A and the cell itself, low byte first.
    Second pass: 0xA5, count less one, byte, for runs and for any literal 0xA5.
    """
    differences = bytearray()
    previous = 0
    for value in frame.astype(np.uint16).ravel().tolist():
        step = value - previous
        if -128 <= step <= 127 and step != 0x5A:
            differences.append(step & 0xFF)
        else:
            differences += bytes((0x5A, value & 0xFF, value >> 8))
        previous = value
    runs = bytearray()
    at = 0
    while at < len(differences):
        byte = differences[at]
        length = 1
        while length < 256 and at + length < len(differences) and differences[at + length] == byte:
            length += 1
        if length > 3 or byte == 0xA5:
            runs += bytes((0xA5, length - 1, byte))
        else:
            runs += bytes((byte,)) * length
        at += length
    return bytes(runs) + bytes(len(runs) % 2)
