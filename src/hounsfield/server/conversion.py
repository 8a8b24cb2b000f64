"""One stored instance in another transfer syntax, and its frames in another coding: what negotiation settles on.

Lossless unless the client named a lossy syntax. Not a batch tool and not a file writer: bytes for one answer.
"""

from __future__ import annotations

import io
import struct
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from hounsfield.codecs import decode_frame, decoded_photometric, encode_frame, encoded_photometric
from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.frames import read_frame
from hounsfield.instance import Instance
from hounsfield.instance.reading import open_pixels
from hounsfield.syntaxes import TransferSyntax, transfer_syntax

if TYPE_CHECKING:
    from pydicom import Dataset

EXPLICIT = "1.2.840.10008.1.2.1"
_SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
_PIXELS_BEYOND_INTEGERS = {"FloatPixelData": 4, "DoubleFloatPixelData": 8}


def convert(instance: Instance, target: str, *, limit: int) -> bytes:
    """The whole instance in the transfer syntax `target`, as a Part 10 file.

    `limit`: bytes of decoded pixels. Raises `UnsupportedError` where a codec is missing, `MalformedError`.
    """
    from pydicom import dcmwrite

    syntax = transfer_syntax(target)
    dataset = instance.dataset()
    if instance.header.pixels is not None:
        _put_pixels(dataset, instance, syntax, limit)
    meta = getattr(dataset, "file_meta", None)
    if meta is None:
        from pydicom.dataset import FileMetaDataset

        meta = dataset.file_meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = dataset.SOPClassUID
        meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    from pydicom.uid import UID

    meta.TransferSyntaxUID = UID(syntax.uid)
    out = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dcmwrite(out, dataset, enforce_file_format=True)
        except (ValueError, TypeError, AttributeError, OverflowError, struct.error, KeyError) as error:
            raise MalformedError(
                f"the header cannot be written in {syntax.name} ({error})", where=instance.name
            ) from error
    return out.getvalue()


def frame_bytes(instance: Instance, frame: int, target: str) -> bytes:
    """Frame `frame` (from 0) alone, coded as in `target`."""
    if target == instance.header.transfer_syntax or _both_plain(instance, target):
        return stored_frame(instance, frame)
    syntax = transfer_syntax(target)
    if not syntax.encapsulated:
        return _native(instance, frame)
    return encode_frame(cells(instance, frame), syntax, instance.frame_format)


def stored_frame(instance: Instance, frame: int) -> bytes:
    """Frame `frame` (from 0) as it is stored; native frames little-endian."""
    pixels = instance.header.pixels
    if pixels is None:
        raise UnsupportedError("no Pixel Data in it", where=instance.name, status=404)
    if instance.is_native:
        return _native(instance, frame)
    with open_pixels(instance.source, instance.header) as stream:
        return read_frame(stream, instance.frames_in(stream, truncated=False)[frame])


def is_plain(instance: Instance) -> bool:
    """Whether its frames are already as Explicit VR Little Endian has them."""
    return instance.is_native and instance.header.transfer_syntax not in {
        "1.2.840.10008.1.2.2",
        "1.2.840.10008.1.2.1.99",
    }


def _both_plain(instance: Instance, target: str) -> bool:
    return is_plain(instance) and not transfer_syntax(target).encapsulated


def _native(instance: Instance, frame: int) -> bytes:
    """A frame's cells as Explicit VR Little Endian stores them."""
    pixels = instance.header.pixels
    if pixels is not None and is_plain(instance) and pixels.length is not None:
        size = _stored_frame_size(instance)
        with open_pixels(instance.source, instance.header) as stream:
            stream.seek(pixels.offset + frame * size)
            content = b""
            while len(content) < size and (more := stream.read(size - len(content))):
                content += more
        if len(content) < size:
            raise MalformedError(f"frame {frame + 1} is cut off", where=instance.name)
        return content
    values = np.ascontiguousarray(cells(instance, frame))
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _stored_frame_size(instance: Instance) -> int:
    width = _PIXELS_BEYOND_INTEGERS.get(instance.header.pixels.keyword if instance.header.pixels else "")
    if width is not None:
        return (
            (instance.header.integer("Rows", 0) or 0) * (instance.header.integer("Columns", 0) or 0) * width
        )
    return instance.frame_format.native_bytes


def cells(instance: Instance, frame: int) -> Any:
    """A frame's cells: stored values of what was compressed, all bits of what was not."""
    if instance.is_native:
        if not instance.frame_format.subsampled:
            return instance.cells(frame)
        # Two pixels share their chrominance: the decoder of native frames takes them apart.
        return decode_frame(_native(instance, frame), transfer_syntax(EXPLICIT), instance.frame_format)
    with open_pixels(instance.source, instance.header) as stream:
        data = read_frame(stream, instance.frames_in(stream, truncated=False)[frame])
    return decode_frame(data, instance.syntax, instance.frame_format)


def _put_pixels(dataset: Dataset, instance: Instance, syntax: TransferSyntax, limit: int) -> None:
    """Set Pixel Data and what describes it, in the coding of `syntax`."""
    frames = instance.header.number_of_frames
    total = _stored_frame_size(instance) * frames
    if total > limit:
        raise UnsupportedError(
            f"{total} bytes of pixels to convert", expected=f"at most {limit}",
            remedy="ask for it as it is stored: transfer-syntax=*", status=413,
        )  # fmt: skip
    keyword = instance.header.pixels.keyword if instance.header.pixels else "PixelData"
    if instance.is_native and not syntax.encapsulated:
        content = b"".join(_native(instance, frame) for frame in range(frames))
        _set(dataset, keyword, content + b"\0" * (len(content) % 2), "OW")
        return
    form = instance.frame_format
    if not syntax.encapsulated:
        content = b"".join(_native(instance, frame) for frame in range(frames))
        _set(
            dataset, keyword, content + b"\0" * (len(content) % 2), "OW" if form.bits_allocated > 8 else "OB"
        )
        if form.samples_per_pixel > 1:
            dataset.PlanarConfiguration = 0
            dataset.PhotometricInterpretation = decoded_photometric(form.photometric_interpretation)
        return
    _set(
        dataset,
        keyword,
        encapsulated([encode_frame(cells(instance, n), syntax, form) for n in range(frames)]),
        "OB",
    )
    dataset["PixelData"].is_undefined_length = True
    dataset.PhotometricInterpretation = encoded_photometric(
        syntax, decoded_photometric(form.photometric_interpretation)
    )
    if form.samples_per_pixel > 1:
        dataset.PlanarConfiguration = 0


def encapsulated(frames: list[bytes]) -> bytes:
    """Frames as fragments, one each, after a Basic Offset Table (PS3.5 A.4)."""
    offsets, position = [], 0
    items = []
    for frame in frames:
        padded = frame + b"\0" * (len(frame) % 2)
        offsets.append(position)
        items.append(struct.pack("<HHI", 0xFFFE, 0xE000, len(padded)) + padded)
        position += 8 + len(padded)
    table = struct.pack(f"<{len(offsets)}I", *offsets) if position < 2**32 and len(offsets) > 1 else b""
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(table)) + table + b"".join(items) + _SEQUENCE_END


def _set(dataset: Dataset, keyword: str, content: bytes, vr: str) -> None:
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import DataElement

    tag = tag_for_keyword(keyword)
    assert tag is not None
    kind = {"FloatPixelData": "OF", "DoubleFloatPixelData": "OD"}.get(keyword, vr)
    dataset[tag] = DataElement(tag, kind, content)
    for stale in ("ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        if stale in dataset:
            del dataset[stale]
