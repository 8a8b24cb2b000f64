"""MetaImage: one `.mha` file, axes (column, row, slice), LPS, exact under tilt.

The header is text as ITK's MetaIO reads it; its `TransformMatrix` holds the unit direction of each axis and
need not be orthogonal: ITK 5.4 and SimpleITK 2.5 place every voxel of a tilted volume where it belongs (a
test asks SimpleITK). Not a reader.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import numpy as np

from hounsfield.ct.volume import Volume
from hounsfield.errors import UnsupportedError
from hounsfield.formats.deflate import blocks, write_raw, write_zlib
from hounsfield.formats.description import Compression
from hounsfield.language import say
from hounsfield.outputs import whole_file

TYPES = {
    "int8": "MET_CHAR",
    "uint8": "MET_UCHAR",
    "int16": "MET_SHORT",
    "uint16": "MET_USHORT",
    "int32": "MET_INT",
    "uint32": "MET_UINT",
    "int64": "MET_LONG_LONG",
    "uint64": "MET_ULONG_LONG",
    "float32": "MET_FLOAT",
    "float64": "MET_DOUBLE",
}
"""MetaIO's names of number types by NumPy's."""

KEPT = (
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "SeriesDescription",
    "StudyDate",
)
"""Facts that become fields; ITK shows them as metadata. MetaIO reads short lines only, so no list of UIDs."""

LONGEST_VALUE = 200
SIZE_DIGITS = 20


def write_metaimage(volume: Volume, path: Path, force: bool, compression: Compression) -> tuple[Path, ...]:
    """Write one `.mha`, zlib-compressed unless the level is 0; `UnsupportedError` for a type MetaIO lacks."""
    with whole_file(path, force=force) as temporary, temporary.open("wb") as file:
        if compression.level == 0:
            file.write(_header(volume, compressed=None))
            write_raw(file, blocks(volume.array))
        else:
            _write_compressed(volume, file, compression)
    return (path,)


def _write_compressed(volume: Volume, file: BinaryIO, compression: Compression) -> None:
    """The header tells the compressed size, known only afterwards: written twice, the same length."""
    start = file.write(_header(volume, compressed=0))
    write_zlib(file, blocks(volume.array), compression)
    size = file.tell() - start
    file.seek(0)
    file.write(_header(volume, compressed=size))


def _header(volume: Volume, *, compressed: int | None) -> bytes:
    kind = TYPES.get(volume.array.dtype.name)
    if kind is None:
        raise UnsupportedError(
            say("MetaImage has no {name}", name=volume.array.dtype.name), remedy="load as int16 or float32"
        )
    axes = volume.affine[:3, [2, 1, 0]]
    lengths = np.linalg.norm(axes, axis=0)
    fields = {
        "ObjectType": "Image",
        "NDims": "3",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": str(compressed is not None),
        "CompressedDataSize": None if compressed is None else str(compressed).ljust(SIZE_DIGITS),
        # One axis after another, although ITK's direction matrix holds them as columns.
        "TransformMatrix": _numbers((axes / lengths).T.ravel()),
        "Offset": _numbers(volume.affine[:3, 3]),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": _numbers(lengths),
        "DimSize": " ".join(str(length) for length in reversed(volume.shape)),
        "Unit": volume.unit,
        **{name: volume.header.get(name) for name in KEPT},
        "ElementType": kind,
        "ElementDataFile": "LOCAL",
    }
    lines = (f"{name} = {_line(value)}\n" for name, value in fields.items() if value)
    return "".join(lines).encode("utf-8")


def _numbers(values: np.ndarray) -> str:
    return " ".join(repr(float(value)) for value in values)


def _line(value: object) -> str:
    text = "".join(filter(str.isprintable, str(value)))
    return text[:LONGEST_VALUE]
