"""Headers of MetaImage, `.mha` and `.mhd` with its data in one file beside."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from hounsfield.errors import UnsupportedError
from hounsfield.formats.reading.layout import (
    Beginning,
    Encoding,
    VolumeLayout,
    affine_of_axes,
    grid,
    not_real,
    usable,
)
from hounsfield.language import say

TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_OWN = re.compile(
    r"ObjectType|NDims|BinaryData\w*|ElementByteOrderMSB|CompressedData\w*|TransformMatrix|Rotation|Orientation|Offset|"
    r"Position|Origin|CenterOfRotation|AnatomicalOrientation|Element\w+|DimSize|HeaderSize|Unit"
)
"""Fields of the format itself; the others are facts."""


def metaimage_layout(beginning: Beginning) -> VolumeLayout:
    """The layout of a `.mha` or `.mhd`. Raises `MalformedError`, `UnsupportedError`."""
    fields, size = _fields(beginning)
    kind = TYPES.get(fields.get("ElementType", ""))
    channels = fields.get("ElementNumberOfChannels", "1")
    if kind is None or channels != "1":
        raise not_real(f"{fields.get('ElementType', '')!r}, {channels} channels", beginning.name)
    data_file = fields["ElementDataFile"]
    if data_file == "LIST" or "%" in data_file or " " in data_file.strip():
        raise UnsupportedError(
            say("voxels in several files ({data_file})", data_file=data_file[:60]),
            expected="one file",
            where=beginning.name,
        )
    if not _says(fields, "BinaryData", default=True):
        raise UnsupportedError("voxels as text", expected="BinaryData = True", where=beginning.name)
    is_big = _says(fields, "BinaryDataByteOrderMSB") or _says(fields, "ElementByteOrderMSB")
    encoding: Encoding = "zlib" if _says(fields, "CompressedData") else "raw"
    is_local = data_file.upper() == "LOCAL"
    skip = int(_numbers(beginning, fields, "HeaderSize", [0.0])[0])
    begin = size if is_local else max(skip, 0)
    lengths = _numbers(beginning, fields, "DimSize", None)
    if not all(length.is_integer() for length in lengths):
        raise beginning.malformed(f"DimSize = {fields['DimSize'][:60]}", expected="whole numbers")
    sizes = [int(length) for length in lengths]
    affine, spacing, notes = _place(beginning, fields, len(sizes))
    return VolumeLayout(
        "MetaImage",
        grid(sizes, "a MetaImage", beginning.name),
        np.dtype(f"{'>' if is_big else '<'}{kind}"),
        affine,
        spacing=spacing,
        offset=-1 if skip == -1 and not is_local else begin if encoding == "raw" else 0,
        encoding=encoding,
        packed_from=begin,
        data_file="" if is_local else data_file,
        unit=fields.get("Unit", ""),
        facts={name: value for name, value in fields.items() if not _OWN.fullmatch(name)},
        notes=notes,
    )


def _fields(beginning: Beginning) -> tuple[dict[str, str], int]:
    """Every field, the last of which is ElementDataFile, and the length of the header."""
    fields: dict[str, str] = {}
    at = 0
    while at < len(beginning.head) and "ElementDataFile" not in fields:
        end = beginning.head.find(b"\n", at)
        end = len(beginning.head) if end < 0 else end
        name, equals, value = beginning.head[at:end].decode("utf-8", "replace").partition("=")
        if not equals:
            break
        fields[name.strip()] = value.strip()
        at = end + 1
    if "ElementDataFile" not in fields or not {"DimSize", "ElementType"} <= fields.keys():
        raise beginning.malformed("no MetaImage header", expected="DimSize, ElementType and ElementDataFile")
    return fields, at


def _place(
    beginning: Beginning, fields: dict[str, str], dimensions: int
) -> tuple[NDArray[np.float64] | None, tuple[float, float, float] | None, tuple[str, ...]]:
    spacing = _first(beginning, fields, ("ElementSpacing", "ElementSize"), dimensions)
    matrix = _first(beginning, fields, ("TransformMatrix", "Rotation", "Orientation"), dimensions**2)
    origin = _first(beginning, fields, ("Offset", "Position", "Origin"), dimensions)
    mm = None if spacing is None or dimensions < 3 else (spacing[2], spacing[1], spacing[0])
    if mm is not None and not all(np.isfinite(length) and length > 0 for length in mm):
        mm = None
    if dimensions < 3 or spacing is None or origin is None:
        return None, mm, ("no spacing or origin in three dimensions: no place in the patient",)
    # One axis after another, although ITK's direction matrix holds them as columns.
    turned = np.eye(dimensions) if matrix is None else np.array(matrix).reshape(dimensions, dimensions).T
    affine = affine_of_axes(turned[:3, :3] * np.array(spacing[:3]), np.array(origin[:3]))
    if not usable(affine):
        return None, mm, ("axes that span no space: no place in the patient",)
    return affine, mm, ()


def _first(
    beginning: Beginning, fields: dict[str, str], names: tuple[str, ...], count: int
) -> list[float] | None:
    """Numbers under the first of these names that is there; None without any. Raises for another count of them."""
    name = next((name for name in names if name in fields), None)
    if name is None:
        return None
    numbers = _numbers(beginning, fields, name, None)
    if len(numbers) != count:
        raise beginning.malformed(f"{name} of {len(numbers)} numbers", expected=str(count))
    return numbers


def _numbers(
    beginning: Beginning, fields: dict[str, str], name: str, default: list[float] | None
) -> list[float]:
    if name not in fields and default is not None:
        return default
    try:
        numbers = [float(part) for part in fields[name].split()]
        if not np.isfinite(numbers).all() or not numbers:
            raise ValueError
    except (ValueError, KeyError) as error:
        raise beginning.malformed(
            f"{name} = {fields.get(name, '')[:60]}", expected="finite numbers"
        ) from error
    return numbers


def _says(fields: dict[str, str], name: str, *, default: bool = False) -> bool:
    return fields.get(name, str(default)).strip().lower() in ("true", "1", "yes")
