"""`Masks` → DICOM: Segmentation by highdicom (the extra `[masks]`), RT Structure Set by hand.

Every frame names the slice that it was made on; contours lie on the slices' planes and fill to the same voxels.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import deepcopy
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.volume import FrameUid, Volume
from hounsfield.errors import GeometryError, UnsupportedError
from hounsfield.language import say
from hounsfield.segmentation.colours import cielab_of_rgb, colour_at
from hounsfield.segmentation.contours import outlines
from hounsfield.segmentation.found import STRUCTURE_SET
from hounsfield.segmentation.labelmaps import carried
from hounsfield.segmentation.masks import Code, Masks, Segment

if TYPE_CHECKING:
    from pydicom import Dataset

SegKind = Literal["BINARY", "LABELMAP"]

_TISSUE = Code("85756007", "SCT", "Tissue")
MAKER = "hounsfield"
_OF_PATIENT_AND_STUDY = (
    *(
        "SpecificCharacterSet",
        "PatientName",
        "PatientID",
        "PatientBirthDate",
        "PatientSex",
        "StudyInstanceUID",
    ),
    *("StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName", "StudyDescription"),
)


def to_seg(
    masks: Masks,
    volume: Volume,
    sources: Sequence[Dataset],
    *,
    kind: SegKind = "BINARY",
    description: str = "",
) -> Dataset:
    """A Segmentation of `masks` that names the slices of `volume`, the series as it was read, one by one.

    `sources`: the headers of its slices, by SOP Instance UID; slices without one hold no segment. Masks of another grid
    of the same series (made upright, resampled) are taken back onto its slices. Raises `GeometryError` for voxels on a
    slice that no file holds, `UnsupportedError` without highdicom, or for a label map of segments that overlap.
    """
    hd = load_highdicom()
    masks = carried(masks, volume)
    datasets, places = _sources_of(volume, sources)
    _refuse_elsewhere(masks, volume, places)
    segments = [segment for segment in masks.segments if segment.number]
    if kind == "LABELMAP" and len(masks.layers) > 1:
        raise UnsupportedError(
            "segments that overlap", expected="one label a voxel", remedy="write BINARY: --to seg"
        )
    # pydicom has opinions on names of people, which are the series' own.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = hd.seg.Segmentation(
            source_images=[in_unicode(datasets[0]), *datasets[1:]],
            pixel_array=_pixels(masks, segments, places),
            segmentation_type=hd.seg.SegmentationTypeValues(kind),
            segment_descriptions=[_description(hd, place, each) for place, each in enumerate(segments, 1)],
            series_instance_uid=hd.UID(),
            series_number=number_of(datasets[0]),
            sop_instance_uid=hd.UID(),
            instance_number=1,
            manufacturer=MAKER,
            manufacturer_model_name=MAKER,
            software_versions=version("hounsfield"),
            device_serial_number="0",
            series_description=(description or "Segmentation")[:64],
            omit_empty_frames=True,
        )
    # Names of segments may be in any script, whatever that of the series is.
    made.SpecificCharacterSet = "ISO_IR 192"
    dataset: Dataset = made
    return dataset


def load_highdicom() -> Any:
    """The module. Raises `UnsupportedError` where it is not installed."""
    try:
        import highdicom
    except ImportError as error:
        raise UnsupportedError(
            "highdicom is not there, which writes segmentations and reports",
            remedy="pip install 'hounsfield[masks]'",
        ) from error
    return highdicom


def in_unicode(source: Dataset) -> Dataset:
    """A copy of a header, its texts decoded, whose character set is UTF-8: highdicom takes over the first one's, and
    not every set that series are written in.
    """
    made = deepcopy(source)
    made.decode()
    made.SpecificCharacterSet = "ISO_IR 192"
    return made


def _sources_of(volume: Volume, sources: Sequence[Dataset]) -> tuple[list[Dataset], list[int]]:
    """The headers that highdicom takes, and the slice of each frame of theirs, −1 for one that is none of the volume's.

    Headers in the order of the slices, or the one of a multi-frame instance.
    """
    by_uid = {str(each.SOPInstanceUID): each for each in sources}
    held = [index for index, uid in enumerate(volume.uids) if uid in by_uid]
    if not held:
        raise GeometryError(
            "a volume of which no slice is one of a file", remedy="give the series as it was read"
        )
    uids = list(dict.fromkeys(str(volume.uids[index]) for index in held))
    if not any(isinstance(volume.uids[index], FrameUid) for index in held):
        return [by_uid[uid] for uid in uids], held
    if len(uids) > 1:
        raise UnsupportedError(
            say("a segmentation on {count} multi-frame instances", count=len(uids)),
            expected="one, or a file for each slice",
            remedy="write --to nifti or rtstruct",
        )
    source = by_uid[uids[0]]
    slice_of = {getattr(volume.uids[index], "frame", 1): index for index in held}
    count = int(source.get("NumberOfFrames") or 1)
    return [source], [slice_of.get(frame, -1) for frame in range(1, count + 1)]


def _refuse_elsewhere(masks: Masks, volume: Volume, places: Sequence[int]) -> None:
    others = sorted(set(range(volume.shape[0])) - set(places))
    for index in others:
        found = {int(number) for layer in masks.layers for number in np.unique(layer[index]) if number}
        if found:
            name = next((each.name for each in masks.segments if each.number in found), "")
            raise GeometryError(
                say(
                    "segment {found} ({name}) has voxels on slice {index}, which no file holds",
                    found=min(found),
                    name=name,
                    index=index,
                ),
                expected="voxels on slices of the series",
                where=masks.source,
                remedy="write --to nifti",
            )


def _pixels(masks: Masks, segments: Sequence[Segment], places: Sequence[int]) -> NDArray[Any]:
    """(frames, rows, columns) of numbers from 1 in their order, or with an axis of segments where they overlap."""
    absent = [frame for frame, place in enumerate(places) if place < 0]
    if len(masks.layers) > 1:
        parts = [(masks.layers[each.layer][list(places)] == each.number) for each in segments]
        for part in parts:
            part[absent] = False
        return np.stack(parts, axis=-1).astype(np.uint8)
    table = np.zeros(
        max((each.number for each in segments), default=0) + 1, np.uint8 if len(segments) < 256 else np.uint16
    )
    for place, each in enumerate(segments, 1):
        table[each.number] = place
    found = table[masks.layers[0][list(places)]]
    found[absent] = 0
    return found


def _description(hd: Any, number: int, segment: Segment) -> Any:
    algorithm = segment.algorithm or "SEMIAUTOMATIC"
    identification = None
    if algorithm != "MANUAL":
        identification = hd.AlgorithmIdentificationSequence(
            name=(segment.algorithm_name or "not stated")[:64],
            family=hd.sr.CodedConcept("123109", "DCM", "Manual Processing")
            if algorithm == "SEMIAUTOMATIC"
            else hd.sr.CodedConcept("123105", "DCM", "Morphological Operations"),
            version=version("hounsfield"),
        )
    made = hd.seg.SegmentDescription(
        segment_number=number,
        segment_label=segment.name[:64],
        segmented_property_category=_concept(hd, segment.category or _TISSUE),
        segmented_property_type=_concept(hd, segment.kind or _TISSUE),
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues(algorithm),
        algorithm_identification=identification,
    )
    made.RecommendedDisplayCIELabValue = cielab_of_rgb(segment.colour or colour_at(number - 1))
    return made


def _concept(hd: Any, code: Code) -> Any:
    return hd.sr.CodedConcept(code.value, code.scheme, code.meaning)


def number_of(source: Dataset) -> int:
    return min(int(source.get("SeriesNumber") or 0) * 100 + 1, 9999) or 1


def to_rtstruct(
    masks: Masks, volume: Volume, sources: Sequence[Dataset], *, description: str = ""
) -> Dataset:
    """A structure set of `masks`: contours on the planes of `volume`'s slices, each naming the slice it lies on.

    Filled by the rule of `read_rtstruct` they hold the same voxels. Holes are contours of their own, within another.
    Raises as `to_seg` does.
    """
    from pydicom import Dataset
    from pydicom.uid import generate_uid

    masks = carried(masks, volume)
    known = {str(each.SOPInstanceUID): each for each in sources}
    first = in_unicode(next(iter(known.values())))
    made = _new(first, description or "Structures")
    frame = str(volume.header.get("FrameOfReferenceUID", "")) or generate_uid()
    made.FrameOfReferenceUID, made.PositionReferenceIndicator = frame, ""
    made.ReferencedFrameOfReferenceSequence = [_frame_of_reference(frame, first, volume, known)]
    made.StructureSetROISequence, made.ROIContourSequence, made.RTROIObservationsSequence = [], [], []
    for place, segment in enumerate(masks.segments, 1):
        roi = Dataset()
        roi.ROINumber, roi.ReferencedFrameOfReferenceUID = segment.number, frame
        roi.ROIName, roi.ROIGenerationAlgorithm = segment.name[:64], segment.algorithm
        made.StructureSetROISequence.append(roi)
        drawn = Dataset()
        drawn.ROIDisplayColor = list(segment.colour or colour_at(place - 1))
        contours = _contours(masks.mask(segment.number), volume, known)
        if contours:
            drawn.ContourSequence = contours
        drawn.ReferencedROINumber = segment.number
        made.ROIContourSequence.append(drawn)
        seen = Dataset()
        seen.ObservationNumber, seen.ReferencedROINumber = place, segment.number
        seen.RTROIInterpretedType, seen.ROIInterpreter = "", ""
        made.RTROIObservationsSequence.append(seen)
    return made


def _new(source: Dataset, description: str) -> Dataset:
    from pydicom import Dataset
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    made, now = Dataset(), datetime.now()
    for keyword in _OF_PATIENT_AND_STUDY:
        if keyword in source:
            made[keyword] = source[keyword]
        elif keyword not in ("SpecificCharacterSet", "StudyDescription"):
            setattr(made, keyword, "")
    made.SpecificCharacterSet = "ISO_IR 192"
    made.SOPClassUID, made.SOPInstanceUID = STRUCTURE_SET, generate_uid()
    made.SeriesInstanceUID, made.SeriesNumber = generate_uid(), number_of(source)
    made.SeriesDescription, made.Modality = description[:64], "RTSTRUCT"
    made.Manufacturer, made.ManufacturerModelName = MAKER, MAKER
    made.SoftwareVersions, made.OperatorsName = version("hounsfield"), ""
    made.InstanceNumber, made.StructureSetLabel = 1, description[:16]
    made.StructureSetDate, made.StructureSetTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")
    made.InstanceCreationDate, made.InstanceCreationTime = made.StructureSetDate, made.StructureSetTime
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return made


def _frame_of_reference(frame: str, source: Dataset, volume: Volume, known: dict[str, Dataset]) -> Dataset:
    from pydicom import Dataset

    study, series, item = Dataset(), Dataset(), Dataset()
    study.ReferencedSOPClassUID = "1.2.840.10008.3.1.2.3.1"
    study.ReferencedSOPInstanceUID = source.StudyInstanceUID
    series.SeriesInstanceUID = source.SeriesInstanceUID
    held = dict.fromkeys(uid for uid in volume.uids if uid in known)
    series.ContourImageSequence = [_image(known[uid]) for uid in held]
    study.RTReferencedSeriesSequence = [series]
    item.FrameOfReferenceUID, item.RTReferencedStudySequence = frame, [study]
    return item


def _contours(mask: NDArray[np.bool_], volume: Volume, known: dict[str, Dataset]) -> list[Dataset]:
    from pydicom import Dataset

    made = []
    for index in np.flatnonzero(mask.any(axis=(1, 2))).tolist():
        for points in outlines(mask[index]):
            places = np.column_stack([np.full(len(points), float(index)), points])
            item = Dataset()
            if volume.uids[index] in known:
                frame = getattr(volume.uids[index], "frame", None)
                item.ContourImageSequence = [_image(known[volume.uids[index]], frame)]
            item.ContourGeometricType, item.NumberOfContourPoints = "CLOSED_PLANAR", len(points)
            lps = places @ volume.affine[:3, :3].T + volume.affine[:3, 3]
            item.ContourData = [f"{mm:.9g}" for mm in lps.ravel().tolist()]
            made.append(item)
    return made


def _image(source: Dataset, frame: int | None = None) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    if frame is not None:
        item.ReferencedFrameNumber = frame
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source.SOPClassUID, source.SOPInstanceUID
    return item
