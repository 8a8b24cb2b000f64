"""The frames of a segmentation that hold anything, one at a time: bits unpacked no further than their box."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.instance import Instance
from hounsfield.ct.instance.reading import open_pixels
from hounsfield.errors import TruncatedError, UnsupportedError
from hounsfield.language import say
from hounsfield.segmentation.seg_header import SegHeader

Plane = tuple[int, int, NDArray[Any]]
"""First row and column of a box, and what lies in it."""


def frame_reader(instance: Instance, header: SegHeader) -> Iterator[tuple[int, Plane]]:
    """The number of each frame that is not empty, from 0, and its box; labels, or 0 and 1.

    Raises `TruncatedError` where there are fewer frames than the header says, and what decoding raises.
    """
    if header.kind == "BINARY" and instance.header.integer("BitsAllocated") == 1:
        yield from _bits(instance, header)
        return
    least = (header.full + 1) // 2 if header.kind == "FRACTIONAL" else 1
    for index in range(len(header.frames)):
        cells = instance.cells(index)
        content = cells if header.kind == "LABELMAP" else (cells >= least).view(np.uint8)
        if content.any():
            yield index, (0, 0, content.view(f"u{content.dtype.itemsize}"))


def _bits(instance: Instance, header: SegHeader) -> Iterator[tuple[int, Plane]]:
    """Bits lie one after another, the first in the lowest; a frame may begin within a byte (PS3.5 8.1.1, D.2)."""
    pixels, (rows, columns) = instance.header.pixels, instance.shape
    count, size = instance.header.number_of_frames, rows * columns
    if pixels is None or pixels.length is None:
        raise UnsupportedError(
            "bits that are compressed, frame by frame",
            expected="a native transfer syntax",
            where=instance.name,
            remedy="rewrite it: gdcmconv --raw, or dcmdjpeg",
        )
    needed = (count * size + 7) // 8
    if pixels.length < needed:
        raise TruncatedError(
            say("Pixel Data of {length} bytes", length=pixels.length),
            expected=say(
                "{needed} for {count} frames of {rows} × {columns} bits",
                needed=needed,
                count=count,
                rows=rows,
                columns=columns,
            ),
            where=header.where(instance.name, pixels.length * 8 // size),
            remedy="was it copied whole?",
        )
    with open_pixels(instance.source, instance.header) as stream:
        for index in range(count):
            plane = _plane(stream, pixels.offset, index, rows, columns, instance.name)
            if plane is not None:
                yield index, plane


def _plane(stream: BinaryIO, offset: int, index: int, rows: int, columns: int, name: str) -> Plane | None:
    begin, end = index * rows * columns, (index + 1) * rows * columns
    stream.seek(offset + begin // 8)
    wanted = (end + 7) // 8 - begin // 8
    data = stream.read(wanted)
    if len(data) < wanted:
        raise TruncatedError(
            "ends before its frames do", where=say("{name}, frame {number}", name=name, number=index + 1)
        )
    packed = np.frombuffer(data, np.uint8)
    if begin % 8 or columns % 8:
        flat = np.unpackbits(packed, bitorder="little")[begin % 8 : begin % 8 + rows * columns]
        return _boxed(flat.reshape(rows, columns))
    lines = packed.reshape(rows, columns // 8)
    used = np.flatnonzero(lines.any(axis=1))
    if not len(used):
        return None
    some = lines[used[0] : used[-1] + 1]
    bytes_ = np.flatnonzero(some.any(axis=0))
    box = some[:, bytes_[0] : bytes_[-1] + 1]
    return int(used[0]), int(bytes_[0]) * 8, np.unpackbits(box, axis=1, bitorder="little")


def _boxed(plane: NDArray[np.uint8]) -> Plane | None:
    used = np.flatnonzero(plane.any(axis=1))
    if not len(used):
        return None
    columns = np.flatnonzero(plane.any(axis=0))
    top, left = int(used[0]), int(columns[0])
    return top, left, plane[top : used[-1] + 1, left : columns[-1] + 1]
