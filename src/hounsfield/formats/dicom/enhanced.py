"""One Enhanced CT Image, a frame a slice, along row × column direction (PS3.3 A.38, C.7.6.16)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hounsfield.ct.volume import Volume
from hounsfield.errors import UnsupportedError
from hounsfield.formats.description import Compression
from hounsfield.formats.dicom.attributes import (
    ENHANCED_CT,
    Uids,
    along_normal,
    code,
    derivation,
    derivation_codes,
    file_meta,
    irradiation_event,
    orientation,
    pixel_spacing,
    position,
    put_rescale,
    put_window,
    shared_attributes,
    source_evidence,
    sources,
)
from hounsfield.formats.dicom.scale import Scale, decimal, scale_of
from hounsfield.language import say
from hounsfield.outputs import whole_file

if TYPE_CHECKING:
    from pydicom import Dataset

LARGEST_PIXELS = 0xFFFFFFFE
"""Bytes of a Pixel Data of defined length (PS3.5 7.1.1)."""

_VOLUMETRIC = {
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
}
_OF_SLICES = (  # what an Enhanced CT says in functional groups, or not at all
    *("AcquisitionDate", "AcquisitionTime", "ScanOptions", "KVP", "FilterType", "DataCollectionDiameter"),
    *("ReconstructionDiameter", "DistanceSourceToDetector", "DistanceSourceToPatient", "TableHeight"),
    *("RotationDirection", "ExposureTime", "XRayTubeCurrent", "Exposure", "GeneratorPower", "FocalSpots"),
    *("ConvolutionKernel", "RevolutionTime", "SingleCollimationWidth", "TotalCollimationWidth"),
    *("TableSpeed", "TableFeedPerRotation", "SpiralPitchFactor", "CTDIvol", "ContrastBolusAgent"),
    *("ContrastBolusRoute", "ContrastBolusVolume", "WindowCenter", "WindowWidth", "BodyPartExamined"),
    *("DerivationDescription", "DerivationCodeSequence"),
)


def write_enhanced(
    volume: Volume, path: Path, force: bool, compression: Compression, like: Sequence[Dataset] = ()
) -> tuple[Path, ...]:
    """Write one file with a frame for each slice, uncompressed. `like` and errors as of `write_classic`."""
    with whole_file(path, force=force) as temporary:
        made = _enhanced(volume, like)
        made.save_as(temporary, enforce_file_format=True)
    return (path,)


def _enhanced(volume: Volume, like: Sequence[Dataset]) -> Dataset:
    size = int(np.prod(volume.shape)) * 2
    if size > LARGEST_PIXELS:
        raise UnsupportedError(
            say("{size} bytes of pixels", size=size),
            expected=say("at most {largest_pixels} in one file", largest_pixels=LARGEST_PIXELS),
            remedy="--format dicom",
        )
    scale, kind = scale_of(volume), _type(volume)
    uids = Uids.of(volume, like, ENHANCED_CT)
    made = shared_attributes(volume, like, scale, uids)
    shared = _shared(volume, scale, made, kind)
    number = made.get("AcquisitionNumber") or 1
    for keyword in _OF_SLICES:
        made.pop(keyword, None)
    made.SOPClassUID, made.SOPInstanceUID = ENHANCED_CT, uids.uid("instance")
    made.ImageType, made.InstanceNumber, made.AcquisitionNumber = kind, 1, number
    made.NumberOfFrames = volume.shape[0]
    made.ContentQualification, made.PresentationLUTShape = "RESEARCH", "IDENTITY"
    # Type 1: where no study says, now.
    now = datetime.now()
    made.ContentDate = made.StudyDate or now.strftime("%Y%m%d")
    made.ContentTime = made.StudyTime or now.strftime("%H%M%S")
    made.AcquisitionContextSequence = []
    for keyword, value in {**_VOLUMETRIC, "BurnedInAnnotation": "NO"}.items():
        setattr(made, keyword, value)
    for keyword, default in (("ManufacturerModelName", "hounsfield"), ("DeviceSerialNumber", "0")):
        if not made.get(keyword):
            setattr(made, keyword, default)
    if not made.get("SoftwareVersions"):
        made.SoftwareVersions = made.ContributingEquipmentSequence[0].SoftwareVersions
    _put_dimensions(made, uids)
    event = irradiation_event(volume, like, uids)
    shared.IrradiationEventIdentificationSequence = _group("", IrradiationEventUID=event)[1]
    if evidence := source_evidence(volume, like):
        made.SourceImageEvidenceSequence = evidence
    made.SharedFunctionalGroupsSequence = [shared]
    made.PerFrameFunctionalGroupsSequence = list(_frames(volume, scale, like))
    order = along_normal(volume)
    made.PixelData = b"".join(scale.stored(volume.array[index]).tobytes() for index in order)
    made["PixelData"].VR = "OW"
    made.file_meta = file_meta(made)
    return made


def _type(volume: Volume) -> list[str]:
    """Image Type and Frame Type: value 2 has one word here (PS3.3 C.8.16.1.2)."""
    return ["DERIVED", "PRIMARY", "VOLUME", "RESAMPLED" if volume.report.resampled else "NONE"]


def _group(keyword: str, /, **values: Any) -> tuple[str, list[Dataset]]:
    from pydicom import Dataset

    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return keyword, [item]


def _shared(volume: Volume, scale: Scale, common: Dataset, kind: list[str]) -> Dataset:
    """The groups that all frames share: spacing, orientation, type, scale, window, anatomy."""
    from pydicom import Dataset

    made = Dataset()
    step = decimal(volume.spacing[0])
    anatomy = code("123037004", "Body structure", "SCT")
    for keyword, items in (
        _group("PixelMeasuresSequence", PixelSpacing=pixel_spacing(volume), SliceThickness=step),
        _group("PlaneOrientationSequence", ImageOrientationPatient=orientation(volume)),
        _group("CTImageFrameTypeSequence", FrameType=kind, **_VOLUMETRIC),
        _group("FrameAnatomySequence", FrameLaterality="U", AnatomicRegionSequence=[anatomy]),
        _group("PixelValueTransformationSequence"),
        _group("FrameVOILUTSequence"),
    ):
        setattr(made, keyword, items)
    made.PixelMeasuresSequence[0].SpacingBetweenSlices = step
    put_rescale(made.PixelValueTransformationSequence[0], volume, scale)
    put_window(made.FrameVOILUTSequence[0], common, volume)
    return made


def _frames(volume: Volume, scale: Scale, like: Sequence[Dataset]) -> Iterator[Dataset]:
    from pydicom import Dataset

    text = derivation(volume, scale)
    for number, index in enumerate(along_normal(volume), 1):
        made = Dataset()
        for keyword, items in (
            _group("PlanePositionSequence", ImagePositionPatient=position(volume, index)),
            _group(
                "FrameContentSequence",
                StackID="1",
                InStackPositionNumber=number,
                DimensionIndexValues=[1, number],
            ),
        ):
            setattr(made, keyword, items)
        if found := sources(volume, index, like):
            codes = derivation_codes(volume)
            derived = {"DerivationCodeSequence": codes, "SourceImageSequence": found}
            made.DerivationImageSequence = _group("", DerivationDescription=text, **derived)[1]
        yield made


def _put_dimensions(made: Dataset, uids: Uids) -> None:
    """Two dimensions: the stack, and the place in it (PS3.3 C.7.6.17)."""
    from pydicom import Dataset

    organization = Dataset()
    organization.DimensionOrganizationUID = uids.uid("dimensions")
    indices = []
    for pointer in (0x00209056, 0x00209057):
        index = Dataset()
        index.DimensionOrganizationUID = organization.DimensionOrganizationUID
        index.DimensionIndexPointer, index.FunctionalGroupPointer = pointer, 0x00209111
        indices.append(index)
    made.DimensionOrganizationSequence = [organization]
    made.DimensionIndexSequence = indices
