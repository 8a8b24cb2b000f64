"""NRRD: one `.nrrd` file, axes (column, row, slice), LPS, exact under tilt.

The header is text (Teem, "Definition of NRRD File Format", version 5); `space directions` hold any three
axes, so a sheared grid is written as it is. Not a reader.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hounsfield.ct.volume import Volume
from hounsfield.errors import UnsupportedError
from hounsfield.formats.deflate import blocks, write_gzip, write_raw
from hounsfield.formats.description import Compression, described
from hounsfield.language import say
from hounsfield.outputs import whole_file

TYPES = {
    "int8": "int8",
    "uint8": "uint8",
    "int16": "int16",
    "uint16": "uint16",
    "int32": "int32",
    "uint32": "uint32",
    "int64": "int64",
    "uint64": "uint64",
    "float32": "float",
    "float64": "double",
}
"""NRRD's names of number types by NumPy's."""


def write_nrrd(volume: Volume, path: Path, force: bool, compression: Compression) -> tuple[Path, ...]:
    """Write one `.nrrd`, gzip-encoded unless the level is 0; `UnsupportedError` for a type it lacks."""
    with whole_file(path, force=force) as temporary:
        packed = compression.level > 0
        header = _header(volume, encoding="gzip" if packed else "raw")
        with temporary.open("wb") as file:
            file.write(header.encode("utf-8"))
            if packed:
                write_gzip(file, blocks(volume.array), compression)
            else:
                write_raw(file, blocks(volume.array))
    return (path,)


def _header(volume: Volume, *, encoding: str) -> str:
    kind = TYPES.get(volume.array.dtype.name)
    if kind is None:
        raise UnsupportedError(
            say("NRRD has no {name}", name=volume.array.dtype.name), remedy="load as int16 or float32"
        )
    axes = [_vector(volume.affine[:3, axis]) for axis in (2, 1, 0)]
    fields = {
        "type": kind,
        "dimension": "3",
        "space": "left-posterior-superior",
        "sizes": " ".join(str(length) for length in reversed(volume.shape)),
        "space directions": " ".join(axes),
        "kinds": "domain domain domain",
        "endian": "little",
        "encoding": encoding,
        "space units": '"mm" "mm" "mm"',
        "space origin": _vector(volume.affine[:3, 3]),
        "sample units": volume.unit,
    }
    known = described(volume)
    keys = {
        **{key: value for key, value in known["header"].items() if value is not None},
        "SOPInstanceUIDs": known["uids"],
        "hounsfield report": known["report"],
    }
    lines = ["NRRD0005", *(f"{field}: {_line(value)}" for field, value in fields.items())]
    lines += [f"{_line(key)}:={_line(_text(value))}" for key, value in keys.items()]
    return "\n".join(lines) + "\n\n"


def _vector(values: np.ndarray) -> str:
    return "(" + ",".join(repr(float(value)) for value in values) + ")"


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _line(text: str) -> str:
    # A value that broke the line would become a field of its own.
    return text.replace("\\", "\\\\").replace("\r", "").replace("\n", "\\n")
