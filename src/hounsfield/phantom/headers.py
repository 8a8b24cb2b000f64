"""The attributes of a CT Image (PS3.3 A.3), and of the strange guests that a CT series is found with.

Every value follows from the spec: UIDs from the seed, dates from nothing. No pixels here.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from pydicom.uid import UID

from hounsfield.phantom.placement import Placement, directions
from hounsfield.phantom.spec import PhantomSpec
from hounsfield.phantom.values import (
    decimal,
    declared_padding,
    modality_table,
    overlay,
    rescale_texts,
)

STUDY_DATE = "20240229"
STUDY_TIME = "101500"


def uid(spec: PhantomSpec, *parts: object) -> str:
    """A UID under 2.25 (PS3.5 B.2), the same whenever seed and parts are."""
    text = "/".join(str(part) for part in ("hounsfield phantom", spec.seed, *parts))
    number = int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")
    number = (number & ~(0xF << 76) | 4 << 76) & ~(0x3 << 62) | 0x2 << 62
    return f"2.25.{number}"


def series_uid(spec: PhantomSpec) -> str:
    """Of the series that `spec` describes."""
    return uid(spec, "series", spec.series_number)


def instance_uid(spec: PhantomSpec, placement: Placement) -> str:
    """Of one slice."""
    return uid(spec, "instance", spec.series_number, placement.phase, placement.index, placement.copy)


def fill(dataset: Dataset, **values: Any) -> None:
    """Set elements by keyword; unlike attribute assignment never changes an element shared with another data set."""
    for keyword, value in values.items():
        tag = tag_for_keyword(keyword)
        if tag is None:
            raise KeyError(keyword)
        dataset.add(DataElement(tag, dictionary_VR(tag), value))


def text_element(keyword: str, text: str) -> DataElement:
    """An element that holds `text` as it is, whether or not its VR allows that."""
    tag = Tag(keyword)
    element = DataElement(tag, "LO", text)
    element.VR = dictionary_VR(tag)
    return element


def patient_to_equipment(spec: PhantomSpec) -> Dataset:
    """Return what all instances of the series share: Patient, Study, Series, Frame of Reference, Equipment."""
    dataset = Dataset()
    if spec.character_set is not None:
        names = spec.character_set
        dataset.add(DataElement(0x00080005, "CS", names if isinstance(names, str) else list(names)))
    fill(
        dataset,
        PatientName=spec.patient_name,
        PatientID=spec.patient_id,
        PatientBirthDate="",
        PatientSex="O",
        StudyInstanceUID=uid(spec, "study"),
        StudyDate=STUDY_DATE,
        StudyTime=STUDY_TIME,
        ReferringPhysicianName="",
        StudyID="1",
        AccessionNumber="",
        StudyDescription="CT phantom",
        Modality="CT",
        SeriesInstanceUID=series_uid(spec),
        SeriesNumber=spec.series_number,
        SeriesDate=STUDY_DATE,
        SeriesTime=STUDY_TIME,
        SeriesDescription=spec.series_description,
        ProtocolName="Phantom",
        BodyPartExamined="PHANTOM",
        PatientPosition=spec.patient_position,
        FrameOfReferenceUID=uid(spec, "frame of reference"),
        PositionReferenceIndicator="",
        Manufacturer="Hounsfield",
        ManufacturerModelName="Phantom",
        DeviceSerialNumber="1",
        SoftwareVersions="1",
    )
    return dataset


def image_pixel(spec: PhantomSpec) -> dict[str, Any]:
    """The Image Pixel module without its pixels (PS3.3 C.7.6.3), as keywords and values."""
    return {
        "SamplesPerPixel": 1,
        "PhotometricInterpretation": spec.photometric,
        "Rows": spec.rows,
        "Columns": spec.columns,
        "BitsAllocated": spec.bits_allocated,
        "BitsStored": spec.bits_stored,
        "HighBit": spec.top_bit,
        "PixelRepresentation": int(spec.signed),
    }


def shared_by_slices(spec: PhantomSpec) -> Dataset:
    """All that is the same in every slice of a single-frame series."""
    dataset = patient_to_equipment(spec)
    row_step, column_step = spec.spacing
    fill(
        dataset,
        **image_pixel(spec),
        SOPClassUID=spec.sop_class,
        ImageType=list(spec.image_type),
        AcquisitionDate=STUDY_DATE,
        ContentDate=STUDY_DATE,
        PixelSpacing=[decimal(row_step), decimal(column_step)],
        SliceThickness=decimal(spec.slice_step if spec.slice_thickness is None else spec.slice_thickness),
        GantryDetectorTilt=decimal(spec.tilt),
        KVP="120",
        XRayTubeCurrent="200",
        ExposureTime="500",
        ConvolutionKernel="STANDARD",
        DataCollectionDiameter="500",
        ReconstructionDiameter=decimal(min(spec.rows * row_step, spec.columns * column_step)),
        WindowCenter="40",
        WindowWidth="400",
        BurnedInAnnotation="NO",
        LossyImageCompression="00",
    )
    if spec.mono_energetic_kev is not None:
        fill(
            dataset,
            ImageType=["DERIVED", "PRIMARY", "AXIAL", "VMI"],
            MultienergyCTAcquisition="YES",
            KVP=str(spec.mono_energetic_kev),
            SeriesDescription=f"{spec.series_description} {spec.mono_energetic_kev} keV",
        )
    _padding(dataset, spec)
    if spec.overlay_bit is not None:
        _embedded_overlay(dataset, spec)
    if spec.modality_lut:
        dataset.add(DataElement(0x00283000, "SQ", Sequence([_lut_item(spec)])))
    if spec.private_tags:
        _private_block(dataset)
    return dataset


def of_one_slice(dataset: Dataset, spec: PhantomSpec, placement: Placement, number: int) -> None:
    """Add to `dataset` what differs from slice to slice; `number` is the Instance Number."""
    fill(
        dataset,
        SOPInstanceUID=instance_uid(spec, placement),
        InstanceNumber=number,
        AcquisitionTime=clock(placement.index * 0.5),
        ImagePositionPatient=[decimal(part) for part in placement.origin],
        ImageOrientationPatient=written_orientation(spec, placement),
        SliceLocation=decimal(-placement.position if spec.lying_slice_location else placement.position),
        **phase_values(spec, placement),
    )
    if spec.frame_of_reference_per_slice:
        fill(dataset, FrameOfReferenceUID=uid(spec, "frame of reference", placement.index))
    slope, intercept = rescale_texts(spec, placement)
    if slope is not None:
        dataset.add(text_element("RescaleSlope", slope))
    if intercept is not None:
        dataset.add(text_element("RescaleIntercept", intercept))
    if spec.rescale_type is not None:
        fill(dataset, RescaleType=spec.rescale_type)
    for keyword, value in spec.tags.items():
        if value is None:
            dataset.pop(Tag(keyword), None)
        elif isinstance(value, str):
            dataset.add(text_element(keyword, value))
        else:
            fill(dataset, **{keyword: value})


def clock(seconds: float) -> str:
    """A Time value, so long after ten o'clock."""
    whole = 10 * 3600 + int(seconds)
    return f"{whole // 3600:02d}{whole // 60 % 60:02d}{whole % 60:02d}.{round(seconds % 1 * 1e6):06d}"


def phase_values(spec: PhantomSpec, placement: Placement) -> dict[str, Any]:
    """Acquisition Number and Content Time, and of the phase attributes the one that tells this slice's phase."""
    if spec.phases == 1:
        return {"AcquisitionNumber": 1, "ContentTime": clock(placement.index * 0.5)}
    # Content Time that ran along the stack would tell the phases apart as well as the chosen attribute.
    values: dict[str, Any] = {"AcquisitionNumber": 1, "ContentTime": clock(0)}
    if spec.phase_attribute == "TemporalPositionIdentifier":
        values["NumberOfTemporalPositions"] = spec.phases
    values[spec.phase_attribute] = {
        "AcquisitionNumber": placement.phase + 1,
        "TemporalPositionIdentifier": placement.phase + 1,
        "ContentTime": clock(20.0 * placement.phase),
        "TriggerTime": decimal(100.0 * placement.phase),
    }[spec.phase_attribute]
    return values


def written_orientation(spec: PhantomSpec, placement: Placement) -> list[str]:
    """Direction cosines as the slice states them: the true ones, or those turned a little by jitter."""
    way = directions(spec)
    along_row, down_column = way.along_row, way.down_column
    if spec.orientation_jitter:
        random = np.random.default_rng([spec.seed, 5, placement.index])
        angle = random.uniform(-1, 1) * spec.orientation_jitter
        along_row, down_column = (
            np.cos(angle) * along_row + np.sin(angle) * down_column,
            np.cos(angle) * down_column - np.sin(angle) * along_row,
        )
    return [decimal(float(part)) for part in (*along_row, *down_column)]


def file_meta(dataset: Dataset, transfer_syntax: str) -> FileMetaDataset:
    """Group 0002 for `dataset`."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\0\1"
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID("2.25.302843402903853742938470293847029384")
    meta.ImplementationVersionName = "HOUNSFIELD"
    return meta


def _padding(dataset: Dataset, spec: PhantomSpec) -> None:
    value = declared_padding(spec)
    if value is None:
        return
    right = "SS" if spec.signed else "US"
    vr = spec.padding_vr or right
    dataset.add(DataElement(0x00280120, vr, _as(vr, value)))
    if spec.padding_limit is not None:
        dataset.add(DataElement(0x00280121, vr, _as(vr, spec.padding_limit)))


def _as(vr: str, value: int) -> int:
    """The number that an element of `vr` must show for its 16 bits to be those of `value`."""
    unsigned = value & 0xFFFF
    return unsigned - 0x10000 if vr == "SS" and unsigned > 0x7FFF else unsigned


def _embedded_overlay(dataset: Dataset, spec: PhantomSpec) -> None:
    for element, vr, value in (
        (0x0010, "US", spec.rows),
        (0x0011, "US", spec.columns),
        (0x0040, "CS", "G"),
        (0x0050, "SS", [1, 1]),
        (0x0100, "US", spec.bits_allocated),
        (0x0102, "US", spec.overlay_bit),
        (0x1301, "IS", int(overlay(spec).sum())),
    ):
        dataset.add(DataElement(Tag(0x6000, element), vr, value))


def _lut_item(spec: PhantomSpec) -> Dataset:
    first, table = modality_table(spec)
    vr = "SS" if spec.signed else "US"
    item = Dataset()
    item.add(DataElement(0x00283002, vr, [len(table), first, 16]))
    item.add(DataElement(0x00283004, "LO", "HU"))
    item.add(DataElement(0x00283006, "US", [int(entry) for entry in table]))
    return item


def _private_block(dataset: Dataset) -> None:
    block = dataset.private_block(0x0043, "HOUNSFIELD PHANTOM", create=True)
    inner = Dataset()
    inner.add(DataElement(0x00080104, "LO", "a private sequence"))
    block.add_new(0x01, "SQ", Sequence([inner]))
    block[0x01].is_undefined_length = True
    block.add_new(0x02, "OB", b"\x00\x01\xfe\xff")
    block.add_new(0x03, "LO", "private text")
