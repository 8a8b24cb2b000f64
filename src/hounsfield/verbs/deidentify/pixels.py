"""Pixel Data down to the bytes of its frames: nothing behind them, between them or in their codestreams that is none.

Samples are not touched: what is written decodes to the same values. Encapsulated frames become one fragment each, with
offsets that are right (PS3.5 A.4); native ones end where the last frame does.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from pydicom.tag import Tag

from hounsfield.codecs import FrameFormat, is_native_disguised
from hounsfield.dicom.encapsulation import encapsulate, locate_frames, read_frame
from hounsfield.dicom.syntaxes import SYNTAXES, TransferSyntax
from hounsfield.errors import MalformedError
from hounsfield.language import say
from hounsfield.verbs.deidentify.codestreams import bare

if TYPE_CHECKING:
    from pydicom import Dataset

_PIXEL_DATA, _OFFSETS, _LENGTHS = Tag(0x7FE00010), Tag(0x7FE00001), Tag(0x7FE00002)
_FLOATS: dict[int, int] = {Tag(0x7FE00008): 4, Tag(0x7FE00009): 8}
_DELIMITER = b"\xfe\xff\xdd\xe0\0\0\0\0"
_DELIMITER_BYTES = len(_DELIMITER)


def trim_pixels(dataset: Dataset) -> bool:
    """Take out of the pixels of `dataset` what belongs to no sample; whether there was anything.

    Raises `MalformedError` or `TruncatedError` where frames cannot be separated from what is none.
    """
    held = [tag for tag in (_PIXEL_DATA, *_FLOATS) if tag in dataset]
    if not held:
        return False
    count = _number(dataset, "NumberOfFrames", 1)
    shape = _shape(dataset)
    if count < 1 or min(shape.shape) < 1:
        raise MalformedError(
            say("pixels of {count} frames of {shape}", count=count, shape=shape.shape),
            expected="at least one pixel",
        )
    syntax = SYNTAXES.get(str(dataset.file_meta.get("TransferSyntaxUID") or ""))
    if syntax is not None and syntax.encapsulated and held == [_PIXEL_DATA]:
        return _trim_encapsulated(dataset, syntax, shape, count)
    if any(dataset[tag].is_undefined_length for tag in held):
        raise MalformedError(
            "fragments of pixels in a transfer syntax that has none, or that is not known",
            expected="native pixels",
        )
    cut = [_cut(dataset, tag, _native_bytes(tag, shape, count)) for tag in held]
    return any(cut)


def mask_unused_bits(dataset: Dataset) -> None:
    """Overlays may lie in the unused bits of native pixels (retired, PS3.5 8.1.2), with text: those bits become 0."""
    groups = [
        group
        for group in range(0x6000, 0x6020, 2)
        if (group, 0x0102) in dataset and (group, 0x3000) not in dataset
    ]
    allocated, stored = _number(dataset, "BitsAllocated", 0), _number(dataset, "BitsStored", 0)
    if not groups or "PixelData" not in dataset or allocated not in (8, 16, 32) or not 0 < stored < allocated:
        return
    high = _number(dataset, "HighBit", stored - 1)
    mask = ((1 << stored) - 1) << max(0, high - stored + 1)
    little = dataset.original_encoding[1] is not False
    cell = np.dtype(f"{'<' if little else '>'}u{allocated // 8}")
    content = bytes(dataset.PixelData)
    whole = len(content) // cell.itemsize * cell.itemsize
    masked = np.frombuffer(content[:whole], cell) & cell.type(mask & (1 << allocated) - 1)
    dataset[_PIXEL_DATA].value = masked.astype(cell).tobytes() + content[whole:]


def _native_bytes(tag: int, shape: FrameFormat, count: int) -> int:
    cells = shape.rows * shape.columns * shape.samples_per_pixel * count
    if tag in _FLOATS:
        return cells * _FLOATS[tag]
    # Cells of single bits, or of twelve, run on from frame to frame (PS3.5 8.1.1).
    return (
        shape.native_bytes * count if shape.bits_allocated % 8 == 0 else -(-cells * shape.bits_allocated // 8)
    )


def _cut(dataset: Dataset, tag: int, size: int) -> bool:
    """End the value at `size` bytes, an odd one with a byte of padding."""
    before = bytes(dataset[tag].value or b"")
    is_swapped = dataset.original_encoding[1] is False  # its last cell may be behind the padding (PS3.5 D.1)
    after = before[: size + size % 2] if is_swapped else before[:size]
    if len(after) == size and size % 2:
        after += b"\0"
    if after != before:
        dataset[tag].value = after
    return after != before


def _trim_encapsulated(dataset: Dataset, syntax: TransferSyntax, shape: FrameFormat, count: int) -> bool:
    before = bytes(dataset[_PIXEL_DATA].value)
    stream = io.BytesIO(before)
    offsets, lengths = (_table(dataset, tag) for tag in (_OFFSETS, _LENGTHS))
    located = locate_frames(
        stream, offset=0, number_of_frames=count, extended_offsets=offsets, extended_lengths=lengths
    )
    frames = [_bare(read_frame(stream, frame), syntax, shape) for frame in located[:count]]
    made = encapsulate(frames, extended=True if offsets else None)
    # The writer adds the delimiter itself.
    dataset[_PIXEL_DATA].value = made.value[:-_DELIMITER_BYTES]
    dataset[_PIXEL_DATA].is_undefined_length = True
    for tag, numbers in ((_OFFSETS, made.extended_offsets), (_LENGTHS, made.extended_lengths)):
        dataset.pop(tag, None)
        if numbers:
            dataset.add_new(tag, "OV", np.asarray(numbers, "<u8").tobytes())
    return before.removesuffix(_DELIMITER) != made.value[:-_DELIMITER_BYTES]


def _bare(data: bytes, syntax: TransferSyntax, shape: FrameFormat) -> bytes:
    if is_native_disguised(data, syntax, shape):
        return data
    return bare(data, syntax.family, shape.native_bytes)


def _table(dataset: Dataset, tag: int) -> list[int] | None:
    content = dataset[tag].value if tag in dataset else b""
    if not isinstance(content, bytes) or len(content) % 8:
        return None
    return np.frombuffer(content, "<u8").tolist() or None


def _shape(dataset: Dataset) -> FrameFormat:
    stored = _number(dataset, "BitsStored", 0)
    allocated = _number(dataset, "BitsAllocated", 16)
    return FrameFormat(
        rows=_number(dataset, "Rows", 0),
        columns=_number(dataset, "Columns", 0),
        samples_per_pixel=_number(dataset, "SamplesPerPixel", 1),
        bits_allocated=allocated,
        bits_stored=stored or allocated,
        high_bit=_number(dataset, "HighBit", (stored or allocated) - 1),
        pixel_representation=_number(dataset, "PixelRepresentation", 0),
        photometric_interpretation=str(dataset.get("PhotometricInterpretation") or "MONOCHROME2"),
        planar_configuration=_number(dataset, "PlanarConfiguration", 0),
    )


def _number(dataset: Dataset, keyword: str, default: int) -> int:
    value = dataset.get(keyword)
    if value is None or value == "":
        return default
    try:
        return int(value)
    except (TypeError, ValueError):
        raise MalformedError(
            say("{keyword} is {value}", keyword=keyword, value=repr(value)), expected="one number"
        ) from None
