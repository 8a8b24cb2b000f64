"""NumPy: `.npy`, (slices, rows, columns) as in memory, with a `.json` beside it that holds all the rest.

The pair appears together or not at all.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import Volume
from hounsfield.formats.deflate import blocks, write_raw
from hounsfield.formats.description import Compression, described
from hounsfield.outputs import refuse_existing, whole_file


def write_npy(volume: Volume, path: Path, force: bool, compression: Compression) -> tuple[Path, ...]:
    """Write `NAME.npy` and `NAME.json`; the array is never compressed, so that it can be mapped."""
    beside = refuse_existing(path.with_suffix(".json"), force=force)
    existed = beside.exists()
    named = False
    try:
        with whole_file(path, force=force) as array_file:
            _write_array(volume.array, array_file)
            with whole_file(beside, force=force) as json_file:
                description = {**described(volume), "array": path.name}
                json_file.write_text(json.dumps(description, indent=1, ensure_ascii=False), "utf-8")
            named = True
    except BaseException:
        # The array could not take its name after its description had: alone it describes nothing.
        if named and not existed:
            beside.unlink(missing_ok=True)
        raise
    return (path, beside)


def _write_array(array: NDArray[Any], path: Path) -> None:
    """Write as `np.save` does; that one's error does not tell a full disk from anything else."""
    kind = np.lib.format.dtype_to_descr(array.dtype.newbyteorder("<"))
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": kind, "fortran_order": False, "shape": array.shape}
        )
        write_raw(file, blocks(array))
