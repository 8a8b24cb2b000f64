"""Headers of volume files → `VolumeLayout`: shape, type, place, scale, and where the voxels are. Reads no voxel.

What a header says is a claim: sizes are held against limits and against the file by whoever reads the voxels
(`hounsfield.locations.volumes`). Anything that is no three-dimensional grid of real numbers is refused by name.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from hounsfield.formats.reading.layout import HEADER_BYTES, Beginning, VolumeLayout

__all__ = ["HEADER_BYTES", "READERS", "Beginning", "VolumeLayout", "read_layout", "reader_of"]

READERS: tuple[tuple[str, tuple[str, ...], tuple[bytes, ...], str], ...] = (
    ("NIfTI", (".nii.gz", ".nii"), (), "nifti.nifti_layout"),
    ("NRRD", (".nrrd", ".nhdr"), (b"NRRD00",), "nrrd.nrrd_layout"),
    ("MetaImage", (".mha", ".mhd"), (), "metaimage.metaimage_layout"),
    ("NumPy", (".npy",), (b"\x93NUMPY",), "npy.npy_layout"),
)
"""Format, suffixes, magic numbers, and the function of this package that reads its header. OME-Zarr, a folder, has
`omezarr.zarr_layout`."""


def reader_of(path: Path, head: bytes) -> str | None:
    """The reader of a volume file by its suffix, or by its magic number; None for another file.

    A DICOM file under any name is none.
    """
    if head[128:132] == b"DICM":
        return None
    name = path.name.lower()
    for _, suffixes, magics, reader in READERS:
        if name.endswith(suffixes) or (magics and head.startswith(magics)):
            return reader
    return None


def read_layout(reader: str, beginning: Beginning) -> VolumeLayout:
    """The layout by that reader. Raises `MalformedError`, `UnsupportedError`."""
    module, _, function = reader.partition(".")
    layout: VolumeLayout = getattr(importlib.import_module(f"{__name__}.{module}"), function)(beginning)
    return layout.checked(beginning.name)
