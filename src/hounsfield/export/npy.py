"""NumPy: `.npy`, (slices, rows, columns) as in memory, with a `.json` beside it that holds all the rest.

The pair appears together or not at all.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from hounsfield.export import Compression, described
from hounsfield.outputs import whole_file
from hounsfield.volume import Volume


def write_npy(volume: Volume, path: Path, force: bool, compression: Compression) -> tuple[Path, ...]:
    """Write `NAME.npy` and `NAME.json`; the array is never compressed, so that it can be mapped."""
    beside = path.with_suffix(".json")
    existed = beside.exists()
    named = False
    try:
        with whole_file(path, force=force) as array_file:
            with whole_file(beside, force=force) as json_file:
                with array_file.open("wb") as file:
                    np.save(file, volume.array, allow_pickle=False)
                told = {**described(volume), "array": path.name}
                json_file.write_text(json.dumps(told, indent=1, ensure_ascii=False), "utf-8")
            named = True
    except BaseException:
        # The array could not take its name after its description had: alone it describes nothing.
        if named and not existed:
            beside.unlink(missing_ok=True)
        raise
    return (path, beside)
