"""Companions of a CT series that lie among its slices: scouts, dose pages, and things of other kinds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from hounsfield.phantom.headers import (
    STUDY_DATE,
    STUDY_TIME,
    file_meta,
    fill,
    of_one_slice,
    patient_to_equipment,
    shared_by_slices,
    uid,
)
from hounsfield.phantom.pixels import add_pixels, syntax_uid
from hounsfield.phantom.placement import placements
from hounsfield.phantom.spec import PhantomSpec
from hounsfield.phantom.values import cells, stored

EXPLICIT = "1.2.840.10008.1.2.1"
STRAYS = {
    "RTSTRUCT": "1.2.840.10008.5.1.4.1.1.481.3",
    "SR": "1.2.840.10008.5.1.4.1.1.88.11",
    "PR": "1.2.840.10008.5.1.4.1.1.11.1",
}


def companions(spec: PhantomSpec) -> Iterator[tuple[str, Dataset]]:
    """File name and data set of each guest that the spec invites; they share the study, scouts and pages the series."""
    for number in range(spec.localizers):
        yield f"LOC{number + 1:03d}.dcm", localizer(spec, number)
    for number in range(spec.dose_pages):
        yield f"DOSE{number + 1:03d}.dcm", dose_page(spec, number)
    if spec.strays:
        for modality in STRAYS:
            yield f"{modality}001.dcm", stray(spec, modality)


def localizer(spec: PhantomSpec, number: int) -> Dataset:
    """A scout: one coronal (odd numbers: sagittal) view of another matrix, as CT Image of type LOCALIZER."""
    plane = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0) if number % 2 else (1.0, 0.0, 0.0, 0.0, 0.0, -1.0)
    view = replace(
        spec,
        rows=96,
        columns=112,
        pixel_spacing=(2.0, 3.2),
        orientation=plane,
        slice_positions=(0.0,),
        tilt=0.0,
        phases=1,
        missing=(),
        duplicated=(),
        padding=None,
        padding_tag=None,
        padding_limit=None,
        overlay_bit=None,
        image_type=("ORIGINAL", "PRIMARY", "LOCALIZER"),
    )
    dataset = shared_by_slices(view)
    placement = placements(view)[0]
    of_one_slice(dataset, view, placement, 9000 + number)
    fill(dataset, SOPInstanceUID=uid(spec, "localizer", spec.series_number, number))
    add_pixels(dataset, view, [cells(view, placement, stored(view, placement))], damaged=False)
    dataset.file_meta = file_meta(dataset, syntax_uid(spec))
    return dataset


def dose_page(spec: PhantomSpec, number: int) -> Dataset:
    """A page of the dose report: colour, 8 bits, Secondary Capture, no geometry."""
    dataset = patient_to_equipment(spec)
    del dataset.FrameOfReferenceUID, dataset.PositionReferenceIndicator
    page = np.full((64, 96, 3), 255, dtype=np.uint8)
    page[8:56:8, 8:80] = (0, 0, 0)
    page[4:60, 84:90] = (200, 30, 30)
    fill(
        dataset,
        SOPClassUID="1.2.840.10008.5.1.4.1.1.7",
        SOPInstanceUID=uid(spec, "dose page", spec.series_number, number),
        ImageType=["DERIVED", "SECONDARY", "SCREEN SAVE"],
        ConversionType="WSD",
        InstanceNumber=9500 + number,
        ContentDate=STUDY_DATE,
        ContentTime=STUDY_TIME,
        SamplesPerPixel=3,
        PhotometricInterpretation="RGB",
        PlanarConfiguration=0,
        Rows=64,
        Columns=96,
        BitsAllocated=8,
        BitsStored=8,
        HighBit=7,
        PixelRepresentation=0,
        PixelData=page.tobytes(),
    )
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = file_meta(dataset, EXPLICIT)
    return dataset


def stray(spec: PhantomSpec, modality: str) -> Dataset:
    """An object of the study that has no pixels: the few elements that tell what it is."""
    dataset = patient_to_equipment(spec)
    fill(
        dataset,
        SOPClassUID=STRAYS[modality],
        SOPInstanceUID=uid(spec, modality),
        Modality=modality,
        SeriesInstanceUID=uid(spec, "series", modality),
        InstanceNumber=1,
        ContentDate=STUDY_DATE,
        ContentTime=STUDY_TIME,
        **_named(modality),
    )
    dataset.file_meta = file_meta(dataset, EXPLICIT)
    return dataset


def _named(modality: str) -> dict[str, Any]:
    """Return the keys that a directory record of its kind must have (PS3.3 F.5)."""
    if modality == "RTSTRUCT":
        return {
            "StructureSetLabel": "PHANTOM",
            "StructureSetDate": STUDY_DATE,
            "StructureSetTime": STUDY_TIME,
        }
    if modality == "PR":
        date, time = "PresentationCreationDate", "PresentationCreationTime"
        return {"ContentLabel": "PHANTOM", date: STUDY_DATE, time: STUDY_TIME}
    title = Dataset()
    title.CodeValue, title.CodingSchemeDesignator = "121060", "DCM"
    title.CodeMeaning = "History"
    return {
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "ConceptNameCodeSequence": [title],
    }


def write_other_files(folder: Path) -> None:
    """A note in plain text, and a scanner's own binary index."""
    (folder / "notes.txt").write_text("Table height 143 mm. Not DICOM.\n", encoding="utf-8")
    (folder / "DIRFILE").write_bytes(b"\x00\x01DIRFILE\x00" + bytes(range(256)))
