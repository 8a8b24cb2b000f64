"""Segmentations and structure sets for tests: SEG by highdicom, which is no part of the reader, RTSTRUCT by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import highdicom as hd
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from hounsfield import phantom
from hounsfield.ct.volume import Volume
from hounsfield.phantom import PhantomSpec

STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"
Contours = Mapping[str, Sequence[tuple[str, NDArray[np.float64]]]]


def write_ct(folder: Path, **spec: Any) -> list[pydicom.Dataset]:
    """A small phantom in `folder`; its slices as pydicom reads them, ascending along the stack."""
    phantom.write(PhantomSpec(**{"rows": 32, "columns": 40, "slices": 6, "seed": 3, **spec}), folder)
    read = [pydicom.dcmread(path) for path in sorted(folder.rglob("*.dcm"))]
    cosines = np.array(read[0].ImageOrientationPatient, float)
    normal = np.cross(cosines[:3], cosines[3:])
    return sorted(read, key=lambda each: float(np.dot(np.array(each.ImagePositionPatient, float), normal)))


def blobs(shape: tuple[int, int, int], count: int, *, overlapping: bool = False) -> NDArray[np.bool_]:
    """(segments, slices, rows, columns): ellipsoids side by side, or upon each other."""
    slices, rows, columns = shape
    z, y, x = np.mgrid[:slices, :rows, :columns]
    out = np.zeros((count, *shape), bool)
    for number in range(count):
        share = 0.5 if overlapping else (number + 0.5) / count
        radius = columns / 5 if overlapping else columns / count / 2.2
        centre = (slices / 2 + (number % 2) * 0.7, rows / 2 - number, columns * share)
        away = (
            ((z - centre[0]) / (slices / 2.5)) ** 2
            + ((y - centre[1]) / radius) ** 2
            + ((x - centre[2]) / radius) ** 2
        )
        out[number] = away <= 1
    return out


def write_seg(
    path: Path, source: Sequence[pydicom.Dataset], pixels: NDArray[Any], kind: str = "BINARY", **more: Any
) -> pydicom.Dataset:
    """A SEG of `pixels`, (slices, rows, columns[, segments]), that names the slices of `source` one by one."""
    count = int(pixels.max()) if pixels.ndim == 3 and pixels.dtype.kind == "u" else pixels.shape[-1]
    descriptions = [
        hd.seg.SegmentDescription(
            number,
            f"Organ {number}",
            codes.SCT.Organ,
            codes.SCT.Liver,
            hd.seg.SegmentAlgorithmTypeValues.MANUAL,
        )
        for number in range(1, count + 1)
    ]
    made = hd.seg.Segmentation(
        list(source),
        pixels,
        hd.seg.SegmentationTypeValues(kind),
        descriptions,
        generate_uid(),
        7,
        generate_uid(),
        1,
        "Tests",
        "Tests",
        "1",
        "1",
        **more,
    )
    made.save_as(path)
    return made


def write_rtstruct(
    path: Path, volume: Volume, structures: Contours, *, uids: bool = False
) -> pydicom.Dataset:
    """A structure set of contours: name → (geometric type, points (points, 3) as (slice, row, column))."""
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = STRUCTURE_SET, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality = "RTSTRUCT"
    dataset.StructureSetROISequence, dataset.ROIContourSequence = [], []
    for number, (name, contours) in enumerate(structures.items(), 1):
        roi = pydicom.Dataset()
        roi.ROINumber, roi.ROIName, roi.ROIGenerationAlgorithm = number, name, "MANUAL"
        roi.ReferencedFrameOfReferenceUID = volume.header.get("FrameOfReferenceUID", "")
        dataset.StructureSetROISequence.append(roi)
        drawn = pydicom.Dataset()
        drawn.ReferencedROINumber, drawn.ROIDisplayColor = number, [255, 0, 10 * number]
        drawn.ContourSequence = [_contour(volume, kind, points, uids) for kind, points in contours]
        dataset.ROIContourSequence.append(drawn)
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
    return dataset


def _contour(volume: Volume, kind: str, points: NDArray[np.float64], uids: bool) -> pydicom.Dataset:
    item = pydicom.Dataset()
    item.ContourGeometricType, item.NumberOfContourPoints = kind, len(points)
    places = points @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    item.ContourData = [f"{number:.8g}" for number in places.ravel()]
    if uids:
        image = pydicom.Dataset()
        image.ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        image.ReferencedSOPInstanceUID = volume.uids[round(float(points[0, 0]))]
        item.ContourImageSequence = [image]
    return item


def write_dose(path: Path, volume: Volume, dose: NDArray[np.float64], affine: NDArray[np.float64]) -> None:
    """An RT Dose of `dose` (slices, rows, columns) in Gy on a grid of its own, `affine` as a volume's, upright."""
    scaling = float(dose.max()) / 60000
    dataset = pydicom.Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.481.2", generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.Modality, dataset.SeriesDescription = "RTDOSE", "Plan dose"
    dataset.FrameOfReferenceUID = volume.header.get("FrameOfReferenceUID", "")
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.NumberOfFrames, dataset.Rows, dataset.Columns = dose.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.DoseUnits, dataset.DoseType, dataset.DoseSummationType = "GY", "PHYSICAL", "PLAN"
    dataset.DoseGridScaling = f"{scaling:.10g}"
    steps = [np.linalg.norm(affine[:3, axis]) for axis in range(3)]
    dataset.GridFrameOffsetVector = [f"{number * steps[0]:.6g}" for number in range(dose.shape[0])]
    dataset.FrameIncrementPointer = 0x3004000C
    dataset.ImagePositionPatient = [f"{mm:.8g}" for mm in affine[:3, 3]]
    dataset.ImageOrientationPatient = [
        f"{part:.8g}" for axis in (2, 1) for part in affine[:3, axis] / steps[axis]
    ]
    dataset.PixelSpacing = [f"{steps[1]:.8g}", f"{steps[2]:.8g}"]
    dataset.PixelData = np.rint(dose / scaling).astype("<u2").tobytes()
    pydicom.dcmwrite(path, dataset, enforce_file_format=True)
