"""A folder of CT Images, one a slice, along row × column direction (PS3.3 A.3)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hounsfield.ct.volume import Volume
from hounsfield.formats.description import Compression
from hounsfield.formats.dicom.attributes import (
    CT_IMAGE,
    Uids,
    along_normal,
    file_meta,
    orientation,
    pixel_spacing,
    position,
    put_rescale,
    put_window,
    shared_attributes,
    sources,
)
from hounsfield.formats.dicom.scale import decimal, scale_of
from hounsfield.outputs import whole_folder

if TYPE_CHECKING:
    from pydicom import Dataset


def write_classic(
    volume: Volume, path: Path, force: bool, compression: Compression, like: Sequence[Dataset] = ()
) -> tuple[Path, ...]:
    """Write a folder of CT Images, uncompressed: `0001.dcm` … `like`: headers of the scan it belongs to.

    Raises `UnsupportedError` for what no CT Image holds, `GeometryError` for axes that are not perpendicular.
    """
    with whole_folder(path, force=force) as folder:
        scale = scale_of(volume)
        uids = Uids.of(volume, like, CT_IMAGE)
        common = _shared_by_slices(volume, shared_attributes(volume, like, scale, uids))
        put_rescale(common, volume, scale)
        digits = max(4, len(str(volume.shape[0])))
        for number, index in enumerate(along_normal(volume), 1):
            made = _slice(volume, index, number, common, like)
            made.SOPInstanceUID = uids.uid(f"instance {number}")
            made.PixelData = scale.stored(volume.array[index]).tobytes()
            made["PixelData"].VR = "OW"
            made.file_meta = file_meta(made)
            made.save_as(folder / f"{number:0{digits}d}.dcm", enforce_file_format=True)
    return (path,)


def _shared_by_slices(volume: Volume, made: Dataset) -> Dataset:
    """Complete the attributes that all slices share."""
    made.SOPClassUID = CT_IMAGE
    made.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
    for keyword in ("AcquisitionNumber", "KVP"):  # type 2
        if keyword not in made:
            setattr(made, keyword, "")
    if "BodyPartExamined" not in made and "Laterality" not in made:
        made.Laterality = ""  # type 2C: unknown of what may be one of a pair
    put_window(made, made, volume)
    made.ImageOrientationPatient = orientation(volume)
    made.PixelSpacing = pixel_spacing(volume)
    made.SliceThickness = made.SpacingBetweenSlices = decimal(volume.spacing[0])
    return made


def _slice(volume: Volume, index: int, number: int, common: Dataset, like: Sequence[Dataset]) -> Dataset:
    from pydicom import Dataset

    made = Dataset()
    made.update(common)
    made.InstanceNumber = number
    made.ImagePositionPatient = position(volume, index)
    across = np.cross(volume.affine[:3, 2], volume.affine[:3, 1])
    made.SliceLocation = decimal(float(volume.lps(index, 0, 0) @ across) / float(np.linalg.norm(across)))
    if items := sources(volume, index, like):
        made.SourceImageSequence = items
    return made
