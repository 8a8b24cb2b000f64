"""Headers of NRRD (Teem, "Definition of NRRD File Format", version 5), attached and detached."""

from __future__ import annotations

import re
from collections.abc import Sequence

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

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
TYPES = {name: code for code, names in _TYPES.items() for name in names}
_ENCODINGS: dict[str, Encoding] = {
    "raw": "raw",
    "gzip": "gzip",
    "gz": "gzip",
    "bzip2": "bzip2",
    "bz2": "bzip2",
}
_AXES = {
    "right": (0, -1),
    "left": (0, 1),
    "anterior": (1, -1),
    "posterior": (1, 1),
    "inferior": (2, -1),
    "superior": (2, 1),
}
_LETTERS = {name[0].upper(): name for name in _AXES}
_SPATIAL = ("domain", "space", "???", "none", "time", "list")
_VECTOR = re.compile(r"\(([^)]*)\)|none")


def nrrd_layout(beginning: Beginning) -> VolumeLayout:
    """The layout of a `.nrrd` or `.nhdr`. Raises `MalformedError`, `UnsupportedError`."""
    fields, facts, size = _fields(beginning)
    kind = TYPES.get(fields.get("type", "").lower())
    encoding = _ENCODINGS.get(fields.get("encoding", "").lower())
    if kind is None:
        raise not_real(f"the type {fields.get('type', '')!r}", beginning.name)
    if encoding is None or "line skip" in fields:
        raise UnsupportedError(
            say(
                "the encoding {fields}{which}",
                fields=repr(fields.get("encoding", "")),
                which=" with lines to skip" if "line skip" in fields else "",
            ),
            expected="raw, gzip or bzip2",
            where=beginning.name,
        )
    sizes = _whole(beginning, fields, "sizes")
    _refuse_vectors(beginning, fields, sizes)
    data_file = fields.get("data file", fields.get("datafile", ""))
    skip = _whole(beginning, fields, "byte skip", default="0")[0]
    affine, spacing, notes = _place(beginning, fields)
    order = ">" if fields.get("endian", "little").lower() == "big" else "<"
    begin = 0 if data_file else size
    return VolumeLayout(
        "NRRD",
        grid(sizes, "a NRRD", beginning.name),
        np.dtype(f"{order}{kind}"),
        affine,
        spacing=spacing,
        offset=skip if skip < 0 else skip + (begin if encoding == "raw" else 0),
        encoding=encoding,
        packed_from=begin,
        data_file=data_file,
        unit=facts.pop("sample units", fields.get("sample units", "")).strip('"'),
        facts=facts,
        notes=notes,
    )


def _fields(beginning: Beginning) -> tuple[dict[str, str], dict[str, str], int]:
    """Fields, key/value pairs, and the length of the header: up to a blank line, or all of a detached one."""
    ends = [match for mark in (b"\n\n", b"\r\n\r\n") if (match := beginning.head.find(mark)) >= 0]
    if not beginning.head.startswith(b"NRRD00") or (not ends and len(beginning.head) >= 1 << 24):
        raise beginning.malformed("no NRRD header", expected="NRRD0001 … NRRD0005 and a blank line")
    end = min(ends, default=len(beginning.head))
    size = end + (4 if beginning.head[end : end + 4] == b"\r\n\r\n" else 2)
    fields: dict[str, str] = {}
    facts: dict[str, str] = {}
    for line in beginning.head[:end].decode("utf-8", "replace").splitlines()[1:]:
        key, is_fact, value = line.partition(":=")
        if is_fact and not line.startswith("#"):
            facts[key] = value
        elif not line.startswith("#") and ": " in line:
            name, _, value = line.partition(":")
            fields[name.strip().lower()] = value.strip()
    return fields, facts, size


def _refuse_vectors(beginning: Beginning, fields: dict[str, str], sizes: Sequence[int]) -> None:
    kinds = fields.get("kinds", "").lower().split()
    unfit = [kind for kind in kinds if kind not in _SPATIAL]
    # A list may be the last axis, a volume each; as the first it is a vector a voxel.
    if unfit or (len(sizes) > 3 and kinds[:1] in (["list"], ["time"])):
        raise not_real(f"the kind {(unfit or kinds)[0]!r}", beginning.name)


def _place(
    beginning: Beginning, fields: dict[str, str]
) -> tuple[NDArray[np.float64] | None, tuple[float, float, float] | None, tuple[str, ...]]:
    """Affine, spacing and notes by space, directions and origin; without them spacings alone."""
    signs = _space(fields.get("space", ""))
    vectors = [
        _vector(beginning, part.group(1))
        for part in _VECTOR.finditer(fields.get("space directions", ""))
        if part.group(1)
    ]
    origin = [
        _vector(beginning, part.group(1))
        for part in _VECTOR.finditer(fields.get("space origin", ""))
        if part.group(1)
    ]
    if len(vectors) < 3 or any(len(vector) != 3 for vector in (*vectors, *origin)):
        given = _numbers(beginning, fields, "spacings", default="")[:3]
        good = len(given) == 3 and all(np.isfinite(mm) and mm > 0 for mm in given)
        return (
            None,
            (given[2], given[1], given[0]) if good else None,
            ("no space directions: no place in the patient",),
        )
    axes = np.array(vectors[:3]).T
    lengths = np.linalg.norm(axes, axis=0)
    spacing = (float(lengths[2]), float(lengths[1]), float(lengths[0])) if (lengths > 0).all() else None
    if signs is None:
        return None, spacing, ("a space of no known orientation: no place in the patient",)
    order, sign = signs
    turned = np.zeros((3, 3))
    turned[order, [0, 1, 2]] = sign
    affine = affine_of_axes(turned @ axes, turned @ np.array(origin[0] if origin else (0.0, 0.0, 0.0)))
    if not usable(affine):
        return None, spacing, ("axes that span no space: no place in the patient",)
    return affine, spacing, () if origin else ("no space origin: taken as 0",)


def _space(name: str) -> tuple[list[int], list[int]] | None:
    """Return which LPS axis each axis of a space is, and its sign; None for a space that is none of the patient's."""
    words = name.lower().removesuffix("-time").split("-")
    if len(words) == 1 and len(name) in (3, 4):
        words = [_LETTERS.get(letter, "") for letter in name.upper()[:3]]
    if len(words) != 3 or not all(word in _AXES for word in words):
        return None
    order = [_AXES[word][0] for word in words]
    return (order, [_AXES[word][1] for word in words]) if sorted(order) == [0, 1, 2] else None


def _vector(beginning: Beginning, text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise beginning.malformed(f"a vector ({text[:60]})", expected="three numbers") from error


def _whole(beginning: Beginning, fields: dict[str, str], name: str, default: str | None = None) -> list[int]:
    numbers = _numbers(beginning, fields, name, default)
    if not numbers or not all(number.is_integer() for number in numbers):
        raise beginning.malformed(f"{name}: {fields.get(name, '')[:60]}", expected="whole numbers")
    return [int(number) for number in numbers]


def _numbers(
    beginning: Beginning, fields: dict[str, str], name: str, default: str | None = None
) -> list[float]:
    text = fields.get(name, default)
    try:
        if text is None:
            raise ValueError
        return [float(part) for part in text.split() if part.lower() != "nan"]
    except ValueError as error:
        raise beginning.malformed(f"{name}: {(text or 'nothing')[:60]}", expected="numbers") from error
