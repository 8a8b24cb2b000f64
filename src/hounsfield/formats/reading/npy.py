"""Headers of NumPy's `.npy`, and the description that `formats.npy` writes beside it. Pickles are refused."""

from __future__ import annotations

import io
import json
from pathlib import PurePath
from typing import Any

import numpy as np

from hounsfield.formats.reading.layout import Beginning, VolumeLayout, grid, not_real, usable

_LONGEST = 1 << 16  # bytes of the dictionary in the header


def npy_layout(beginning: Beginning) -> VolumeLayout:
    """The layout of a `.npy`, (slices, rows, columns). Raises `MalformedError`, `UnsupportedError`."""
    stream = io.BytesIO(beginning.head)
    try:
        version = np.lib.format.read_magic(stream)
        read: Any = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, is_fortran, kind = read(stream, max_header_size=_LONGEST)
    except Exception as error:  # numpy parses it as Python, which raises many kinds
        raise beginning.malformed(f"a .npy header that cannot be read ({str(error)[:120]})") from error
    if kind.hasobject or kind.names or kind.kind not in "iufb":
        raise not_real(f"the type {kind}", beginning.name)
    sizes = [int(length) for length in reversed(shape)]
    if len(sizes) >= 3 and sizes[0] in (3, 4) and kind.itemsize == 1:
        raise not_real("colour", beginning.name)
    if is_fortran and len(sizes) != 3:
        raise beginning.malformed(f"an array of {len(sizes)} dimensions in Fortran order", expected="three")
    known = _described(beginning)
    affine = None if known is None else np.array(known.get("affine", ()), np.float64)
    is_placed = affine is not None and usable(affine)
    facts = (
        {}
        if known is None
        else {str(key): str(value) for key, value in dict(known.get("header") or {}).items()}
    )
    return VolumeLayout(
        "NumPy",
        grid(sizes, "an array", beginning.name),
        kind,
        affine if is_placed else None,
        offset=stream.tell(),
        slices_fastest=bool(is_fortran),
        unit="" if known is None else str(known.get("unit", "")),
        facts=facts,
        notes=() if is_placed else ("an array has no place in the patient",),
    )


def _described(beginning: Beginning) -> dict[str, Any] | None:
    """Return what `NAME.json` says of `NAME.npy`; None where it is of another array, or nobody's."""
    path = PurePath(beginning.name)
    text = beginning.beside(path.with_suffix(".json").name)
    try:
        known = json.loads(text or "null")
    except (ValueError, RecursionError):
        return None
    fits = (
        isinstance(known, dict) and known.get("array") == path.name and isinstance(known.get("affine"), list)
    )
    return known if fits else None
