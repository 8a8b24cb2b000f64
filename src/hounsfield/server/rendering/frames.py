"""One stored instance in another transfer syntax, and its frames in another coding: what negotiation settles on.

Whole instances are `hounsfield.transcode`'s, every frame proved; frames alone are read where they lie, so that one
of thousands costs no more than itself. Lossless unless the client named a lossy syntax.
"""

from __future__ import annotations

from typing import Any, BinaryIO

import numpy as np

from hounsfield.codecs import FrameFormat, decode_frame, encode_frame
from hounsfield.codecs.native import decode_native, encode_native, native_extent
from hounsfield.ct.instance import Instance
from hounsfield.ct.instance.reading import open_pixels
from hounsfield.dicom.encapsulation import Frame, read_frame
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.language import say
from hounsfield.transcode import Target, reencoded, transcode

EXPLICIT = "1.2.840.10008.1.2.1"
LOSSY_QUALITY = 90.0
"""Of a lossy syntax that a client names; the instance then says what was done, and has a UID of its own."""

_NOT_PLAIN = frozenset({"1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"})
_PIXELS_BEYOND_INTEGERS = {"FloatPixelData": 4, "DoubleFloatPixelData": 8}


def convert(instance: Instance, target: str, *, limit: int) -> bytes:
    """The whole instance in the transfer syntax `target`, as a Part 10 file.

    `limit`: bytes of decoded pixels. Raises `UnsupportedError` where a codec is missing, `MalformedError`.
    """
    syntax = transfer_syntax(target)
    pixels = instance.header.pixels
    if pixels is None or pixels.keyword != "PixelData":
        return reencoded(instance.source, syntax)
    total = decoded_size(instance)
    if total > limit:
        raise UnsupportedError(
            say("{total} bytes of pixels to convert", total=total), expected=say("at most {limit}", limit=limit),
            remedy="request it as it is stored: transfer-syntax=*", status=413,
        )  # fmt: skip
    kept = syntax.lossless or syntax.keyword == "jpeg-xl-jpeg"
    return transcode(instance.source, Target(syntax, quality=None if kept else LOSSY_QUALITY)).content


def decoded_size(instance: Instance) -> int:
    """Bytes of all frames in native form, as the header says; none where there are no pixels."""
    return frame_size(instance) * instance.header.number_of_frames if instance.header.pixels else 0


def frame_bytes(instance: Instance, frame: int, target: str) -> bytes:
    """Frame `frame` (from 0) alone, coded as in `target`."""
    if target == instance.header.transfer_syntax or _both_plain(instance, target):
        return stored_frame(instance, frame)
    syntax = transfer_syntax(target)
    if not syntax.encapsulated:
        return _native(instance, frame)
    return encode_frame(cells(instance, frame), syntax, _format(instance))


def stored_frame(instance: Instance, frame: int) -> bytes:
    """Frame `frame` (from 0) as it is stored; native frames little-endian."""
    pixels = instance.header.pixels
    if pixels is None:
        raise UnsupportedError("no Pixel Data in it", where=instance.name, status=404)
    if instance.is_native:
        return _native(instance, frame)
    with open_pixels(instance.source, instance.header) as stream:
        return read_frame(stream, _extent(instance, stream, frame))


def _extent(instance: Instance, stream: BinaryIO, frame: int) -> Frame:
    """Return where an encapsulated frame lies. Raises `MalformedError` for one that the header promises in vain."""
    frames = instance.frames_in(stream, truncated=False)
    if frame >= len(frames):
        raise MalformedError(
            say("frame {number} of {count}", number=frame + 1, count=len(frames)), where=instance.name
        )
    return frames[frame]


def is_plain(instance: Instance) -> bool:
    """Whether its frames are already as Explicit VR Little Endian has them."""
    return instance.is_native and instance.header.transfer_syntax not in _NOT_PLAIN


def is_bits(instance: Instance) -> bool:
    """Whether its pixels are single bits: frames follow each other without padding (PS3.5 8.1.1)."""
    return instance.is_native and instance.header.integer("BitsAllocated") == 1


def _both_plain(instance: Instance, target: str) -> bool:
    return is_plain(instance) and not transfer_syntax(target).encapsulated


def _format(instance: Instance) -> FrameFormat:
    if not is_bits(instance):
        return instance.frame_format
    rows, columns = instance.shape
    return FrameFormat(rows, columns, instance.samples, 1, 1, 0)


def _native(instance: Instance, frame: int) -> bytes:
    """A frame's cells as Explicit VR Little Endian stores them."""
    if is_bits(instance):
        return np.packbits(cells(instance, frame).astype(bool), bitorder="little").tobytes()
    pixels = instance.header.pixels
    if pixels is not None and is_plain(instance) and pixels.length is not None:
        size = frame_size(instance)
        return _read(instance, frame * size, size)
    values = np.ascontiguousarray(cells(instance, frame))
    if instance.is_native:
        return encode_native(values, instance.frame_format)
    return values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()


def _read(instance: Instance, start: int, size: int) -> bytes:
    """Bytes of native Pixel Data."""
    pixels = instance.header.pixels
    assert pixels is not None
    with open_pixels(instance.source, instance.header) as stream:
        stream.seek(pixels.offset + start)
        content = b""
        while len(content) < size and (more := stream.read(size - len(content))):
            content += more
    if len(content) < size or (pixels.length is not None and start + size > pixels.length):
        raise MalformedError("a frame is truncated", where=instance.name)
    return content


def frame_size(instance: Instance) -> int:
    """Bytes of a frame in native form, as its header says."""
    width = _PIXELS_BEYOND_INTEGERS.get(instance.header.pixels.keyword if instance.header.pixels else "")
    if width is not None:
        return (
            (instance.header.integer("Rows", 0) or 0) * (instance.header.integer("Columns", 0) or 0) * width
        )
    return _format(instance).native_bytes


def cells(instance: Instance, frame: int) -> Any:
    """A frame's cells: stored values of what was compressed, all bits of what was not."""
    if is_bits(instance):
        return _bits(instance, frame)
    if instance.is_native:
        return instance.cells(frame)
    with open_pixels(instance.source, instance.header) as stream:
        data = read_frame(stream, _extent(instance, stream, frame))
    return decode_frame(data, instance.syntax, instance.frame_format)


def _bits(instance: Instance, frame: int) -> Any:
    form, pixels = _format(instance), instance.header.pixels
    swapped = pixels is not None and pixels.swapped
    extent = native_extent(form, frame, words=swapped)
    data = _read(instance, extent.start, extent.length)
    return decode_native(data, form, swap_words=swapped, bit_offset=extent.bit_offset)
