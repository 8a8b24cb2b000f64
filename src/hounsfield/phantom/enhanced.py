"""All frames in one file: Enhanced CT, Legacy Converted Enhanced CT, and multi-frames without functional groups.

PS3.3 A.38 and A.70, functional groups by C.7.6.16; the last are no IODs of the standard, but are met (dental and
micro-CT, converters). Not a reader: frames may be written in any order.
"""

from __future__ import annotations

import numpy as np
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from hounsfield.phantom.headers import (
    STUDY_DATE,
    fill,
    image_pixel,
    instance_uid,
    patient_to_equipment,
    text_element,
    uid,
    written_orientation,
)
from hounsfield.phantom.pixels import add_pixels
from hounsfield.phantom.placement import Placement, placements
from hounsfield.phantom.spec import Order, PhantomSpec
from hounsfield.phantom.values import cells, decimal, declared_padding, rescale_texts, stored

SOP_CLASSES = {"enhanced": "1.2.840.10008.5.1.4.1.1.2.1", "legacy": "1.2.840.10008.5.1.4.1.1.2.2"}

_TYPE = ["DERIVED", "PRIMARY", "VOLUME", "NONE"]
_VOLUMETRIC = {
    "PixelPresentation": "MONOCHROME",
    "VolumetricProperties": "VOLUME",
    "VolumeBasedCalculationTechnique": "NONE",
}


def multiframe(spec: PhantomSpec) -> Dataset:
    """The series as one data set, pixels and all."""
    assert spec.multiframe is not None
    frames = in_order(placements(spec), spec.frame_order, spec.seed)
    dataset = patient_to_equipment(spec)
    fill(
        dataset,
        **image_pixel(spec),
        SOPClassUID=SOP_CLASSES.get(spec.multiframe, spec.sop_class),
        SOPInstanceUID=uid(spec, "multiframe", spec.series_number),
        InstanceNumber=1,
        NumberOfFrames=len(frames),
        ContentDate=STUDY_DATE,
        ContentTime="100000",
        AcquisitionDateTime=f"{STUDY_DATE}100000",
        AcquisitionNumber=1,
        BurnedInAnnotation="NO",
        LossyImageCompression="00",
    )
    padding = declared_padding(spec)
    if padding is not None:
        dataset.add(DataElement(0x00280120, "SS" if spec.signed else "US", padding))
    if spec.multiframe in ("no geometry", "root geometry"):
        _bare(dataset, spec, frames)
    else:
        _enhanced(dataset, spec, frames)
    if spec.rescale_place == "root":
        _rescale(dataset, spec, frames[0])
    values = [cells(spec, frame, stored(spec, frame)) for frame in frames]
    add_pixels(dataset, spec, values, damaged=spec.damaged is None)
    for keyword, value in spec.tags.items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            fill(dataset, **{keyword: value})
    return dataset


def in_order(slices: tuple[Placement, ...], order: Order, seed: int) -> list[Placement]:
    """`slices` along the stack, against it, or in no order at all."""
    if order == "descending":
        return list(reversed(slices))
    if order == "shuffled":
        mixed = np.random.default_rng([seed, 6]).permutation(len(slices))
        return [slices[number] for number in mixed]
    return list(slices)


def _bare(dataset: Dataset, spec: PhantomSpec, frames: list[Placement]) -> None:
    if spec.multiframe == "root geometry":
        step = frames[1].position - frames[0].position if len(frames) > 1 else spec.slice_step
        fill(
            dataset,
            ImagePositionPatient=[decimal(part) for part in frames[0].origin],
            ImageOrientationPatient=written_orientation(spec, frames[0]),
            PixelSpacing=[decimal(part) for part in spec.spacing],
            SpacingBetweenSlices=decimal(step),
        )
    else:
        del dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator
    fill(dataset, ImageType=list(spec.image_type))
    if spec.rescale_place != "root":
        _rescale(dataset, spec, frames[0])


def _enhanced(dataset: Dataset, spec: PhantomSpec, frames: list[Placement]) -> None:
    fill(
        dataset,
        ImageType=_TYPE,
        ContentQualification="RESEARCH",
        PresentationLUTShape="IDENTITY",
        AcquisitionContextSequence=Sequence(),
        **_VOLUMETRIC,
    )
    _dimensions(dataset, spec)
    per_frame = _rescale_is_per_frame(spec)
    shared = _shared_groups(spec, frames[0])
    if spec.rescale_place == "shared" and not per_frame:
        _put(shared, "PixelValueTransformationSequence", _rescale(Dataset(), spec, frames[0]))
    if spec.multiframe == "legacy":
        _legacy(dataset, shared, spec, frames)
    dataset.SharedFunctionalGroupsSequence = Sequence([shared])
    dataset.PerFrameFunctionalGroupsSequence = Sequence(
        [_one_frame(spec, frame, with_rescale=per_frame) for frame in frames]
    )


def _shared_groups(spec: PhantomSpec, frame: Placement) -> Dataset:
    """Spacing, orientation, type, window and anatomy of every frame."""
    measures, orientation, frame_type, window, anatomy, region = (Dataset() for _ in range(6))
    thickness = spec.slice_step if spec.slice_thickness is None else spec.slice_thickness
    fill(measures, PixelSpacing=[decimal(step) for step in spec.spacing], SliceThickness=decimal(thickness))
    fill(orientation, ImageOrientationPatient=written_orientation(spec, frame))
    fill(frame_type, FrameType=_TYPE, **_VOLUMETRIC)
    fill(window, WindowCenter="40", WindowWidth="400")
    fill(region, CodeValue="123037004", CodingSchemeDesignator="SCT", CodeMeaning="Body structure")
    fill(anatomy, FrameLaterality="U", AnatomicRegionSequence=Sequence([region]))
    shared = Dataset()
    _put(shared, "PixelMeasuresSequence", measures)
    _put(shared, "PlaneOrientationSequence", orientation)
    _put(shared, "CTImageFrameTypeSequence", frame_type)
    _put(shared, "FrameVOILUTSequence", window)
    _put(shared, "FrameAnatomySequence", anatomy)
    return shared


def _rescale_is_per_frame(spec: PhantomSpec) -> bool:
    differs = isinstance(spec.slope, tuple) or isinstance(spec.intercept, tuple)
    return spec.rescale_place == "per-frame" or (differs and spec.rescale_place == "shared")


def _one_frame(spec: PhantomSpec, frame: Placement, *, with_rescale: bool) -> Dataset:
    group, position, content = Dataset(), Dataset(), Dataset()
    fill(position, ImagePositionPatient=[decimal(part) for part in frame.origin])
    _put(group, "PlanePositionSequence", position)
    stack, place = _stack_of(spec, frame)
    fill(
        content,
        StackID=str(stack),
        InStackPositionNumber=place,
        TemporalPositionIndex=frame.phase + 1,
        DimensionIndexValues=[stack, place, frame.phase + 1],
        FrameAcquisitionNumber=frame.phase + 1,
        FrameReferenceDateTime=f"{STUDY_DATE}100000",
        FrameAcquisitionDateTime=f"{STUDY_DATE}100000",
        FrameAcquisitionDuration=500.0,
    )
    _put(group, "FrameContentSequence", content)
    if with_rescale:
        _put(group, "PixelValueTransformationSequence", _rescale(Dataset(), spec, frame))
    if spec.multiframe == "legacy":
        leftover, source = Dataset(), Dataset()
        fill(leftover, InstanceNumber=frame.index + 1, SliceLocation=decimal(frame.position))
        _put(group, "UnassignedPerFrameConvertedAttributesSequence", leftover)
        fill(source, ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2")
        fill(source, ReferencedSOPInstanceUID=instance_uid(spec, frame))
        _put(group, "ConversionSourceAttributesSequence", source)
    return group


def _stack_of(spec: PhantomSpec, frame: Placement) -> tuple[int, int]:
    """Stack ID and position in it, both from 1."""
    total = spec.slices if spec.slice_positions is None else len(spec.slice_positions)
    per_stack = -(-total // spec.stacks)
    return frame.index // per_stack + 1, frame.index % per_stack + 1


def _legacy(dataset: Dataset, shared: Dataset, spec: PhantomSpec, frames: list[Placement]) -> None:
    leftover = Dataset()
    fill(leftover, KVP="120", ConvolutionKernel="STANDARD")
    _put(shared, "UnassignedSharedConvertedAttributesSequence", leftover)
    series, instances = Dataset(), []
    for frame in frames:
        instance = Dataset()
        fill(instance, ReferencedSOPClassUID="1.2.840.10008.5.1.4.1.1.2")
        fill(instance, ReferencedSOPInstanceUID=instance_uid(spec, frame))
        instances.append(instance)
    fill(series, SeriesInstanceUID=uid(spec, "series before conversion", spec.series_number))
    fill(series, ReferencedInstanceSequence=Sequence(instances))
    _put(dataset, "ReferencedSeriesSequence", series)


def _dimensions(dataset: Dataset, spec: PhantomSpec) -> None:
    organization, indices = Dataset(), []
    fill(organization, DimensionOrganizationUID=uid(spec, "dimensions"))
    for tag in (0x00209056, 0x00209057, 0x00209128):
        index = Dataset()
        fill(index, DimensionOrganizationUID=organization.DimensionOrganizationUID)
        fill(index, DimensionIndexPointer=tag, FunctionalGroupPointer=0x00209111)
        indices.append(index)
    _put(dataset, "DimensionOrganizationSequence", organization)
    dataset.DimensionIndexSequence = Sequence(indices)


def _rescale(item: Dataset, spec: PhantomSpec, frame: Placement) -> Dataset:
    slope, intercept = rescale_texts(spec, frame)
    if slope is not None:
        item.add(text_element("RescaleSlope", slope))
    if intercept is not None:
        item.add(text_element("RescaleIntercept", intercept))
    if spec.rescale_type is not None:
        fill(item, RescaleType=spec.rescale_type)
    return item


def _put(dataset: Dataset, keyword: str, item: Dataset) -> None:
    fill(dataset, **{keyword: Sequence([item])})
