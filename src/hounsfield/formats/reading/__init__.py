"""Headers of volume files → `VolumeLayout`: shape, type, place, scale, and where the voxels are. Reads no voxel.

What a header says is a claim: sizes are held against limits and against the file by whoever reads the voxels
(`hounsfield.locations.volumes`). Anything that is no three-dimensional grid of real numbers is refused by name.
"""

from __future__ import annotations

from pathlib import Path

from hounsfield.dicom.extensions import named
from hounsfield.formats.reading.layout import HEADER_BYTES, Beginning, VolumeLayout
from hounsfield.formats.table import FORMATS, format_of

__all__ = ["HEADER_BYTES", "Beginning", "VolumeLayout", "read_layout", "reader_of"]


def reader_of(path: Path, head: bytes) -> str | None:
    """The reader of a volume file by its suffix, or by its magic number; None for another file.

    A DICOM file under any name is none. OME-Zarr, a folder, has `omezarr.zarr_layout`.
    """
    if head[128:132] == b"DICM":
        return None
    name = path.name.lower()
    for each in FORMATS:
        suffixes = (*each.suffixes, *each.also_read)
        if each.reader and (name.endswith(suffixes) or (each.magic and head.startswith(each.magic))):
            return each.reader
    added = format_of(name)
    return added.reader or None if added is not None and added not in FORMATS else None


def read_layout(reader: str, beginning: Beginning) -> VolumeLayout:
    """The layout by that reader. Raises `MalformedError`, `UnsupportedError`."""
    layout: VolumeLayout = named(reader)(beginning)
    return layout.checked(beginning.name)
