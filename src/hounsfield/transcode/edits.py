"""The elements that change with the pixels: their value, its offset tables, and what the header says of colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hounsfield.codecs import FrameFormat
from hounsfield.ct.hu import Padding
from hounsfield.dicom.encapsulation import encapsulate
from hounsfield.dicom.encoding import EXPLICIT_LITTLE, Encoding, encode_element
from hounsfield.dicom.full_walk import PIXEL_DATA
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.transcode.part10 import EXTENDED_LENGTHS, EXTENDED_OFFSETS, TOTAL_LENGTH, Edit

_PHOTOMETRIC, _PLANAR = 0x00280004, 0x00280006
_REPRESENTATION, _PADDING, _PADDING_LIMIT = 0x00280103, 0x00280120, 0x00280121


def encapsulated_edits(streams: Sequence[bytes], *, extended_offsets: bool | None) -> dict[int, Edit]:
    """Pixel Data of one fragment a frame, and its offset tables (PS3.5 A.4)."""
    written = encapsulate(streams, extended=extended_offsets)
    edits: dict[int, Edit] = {TOTAL_LENGTH: b""}
    edits[PIXEL_DATA] = (
        encode_element(PIXEL_DATA, b"OB", b"", EXPLICIT_LITTLE, undefined=True),
        *written.pieces,
    )
    for tag, table in (
        (EXTENDED_OFFSETS, written.extended_offsets),
        (EXTENDED_LENGTHS, written.extended_lengths),
    ):
        packed = np.asarray(table, "<u8").tobytes()
        edits[tag] = encode_element(tag, b"OV", packed, EXPLICIT_LITTLE) if table else b""
    return edits


def native_edits(frames: Sequence[bytes], form: FrameFormat, syntax: TransferSyntax) -> dict[int, Edit]:
    """Pixel Data of native frames (PS3.5 8.1, A.1 to A.3)."""
    encoding = Encoding(syntax.implicit_vr, syntax.little_endian)
    vr = b"OB" if form.bits_allocated <= 8 and not encoding.implicit else b"OW"
    value = encode_element(PIXEL_DATA, vr, b"".join(frames), encoding)
    return {PIXEL_DATA: value, EXTENDED_OFFSETS: b"", EXTENDED_LENGTHS: b"", TOTAL_LENGTH: b""}


def colour_edits(given: FrameFormat, photometric: str, syntax: TransferSyntax) -> dict[int, bytes]:
    """Photometric Interpretation and Planar Configuration, where they are no longer as `given`."""
    encoding = Encoding(syntax.implicit_vr, syntax.little_endian)
    edits: dict[int, bytes] = {}
    if photometric != given.photometric_interpretation:
        value = photometric.encode("ascii")
        edits[_PHOTOMETRIC] = encode_element(_PHOTOMETRIC, b"CS", value, encoding, filler=b" ")
    if given.samples_per_pixel > 1 and given.planar_configuration:
        edits[_PLANAR] = encode_element(_PLANAR, b"US", b"\0\0", encoding)
    return edits


def sign_edits(form: FrameFormat, syntax: TransferSyntax) -> dict[int, bytes]:
    """Pixel Representation, where the values are not as signed as it said."""
    encoding = Encoding(syntax.implicit_vr, syntax.little_endian)
    value = form.pixel_representation.to_bytes(2, "little" if syntax.little_endian else "big")
    return {_REPRESENTATION: encode_element(_REPRESENTATION, b"US", value, encoding)}


def padding_edits(padding: Padding, form: FrameFormat) -> dict[int, bytes]:
    """Pixel Padding Value and Range Limit (PS3.3 C.7.5.1.1.2) in Explicit VR Little Endian."""
    vr = b"SS" if form.signed else b"US"
    return {
        tag: encode_element(tag, vr, (int(value) & 0xFFFF).to_bytes(2, "little"), EXPLICIT_LITTLE)
        for tag, value in ((_PADDING, padding.low), (_PADDING_LIMIT, padding.high))
    }
