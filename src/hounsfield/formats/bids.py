"""A JSON beside a volume, with the names of BIDS and dcm2niix where they have one: scanner, tube, timing, values.

It names nobody unless it is asked to: no person, no number of one, no date, no institution, no device.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hounsfield.ct.volume import Volume
from hounsfield.formats import buckets
from hounsfield.formats.table import volume_suffixes
from hounsfield.outputs import whole_file

if TYPE_CHECKING:
    from pydicom import Dataset

_FIELDS = (
    ("Modality", "Modality", None),
    ("Manufacturer", "Manufacturer", None),
    ("ManufacturersModelName", "ManufacturerModelName", None),
    ("SoftwareVersions", "SoftwareVersions", None),
    ("BodyPart", "BodyPartExamined", None),
    ("PatientPosition", "PatientPosition", None),
    ("ProtocolName", "ProtocolName", None),
    ("SeriesDescription", "SeriesDescription", None),
    ("SeriesNumber", "SeriesNumber", int),
    ("AcquisitionNumber", "AcquisitionNumber", int),
    ("ImageType", "ImageType", list),
    ("ScanOptions", "ScanOptions", None),
    ("KVP", "KVP", float),
    ("XRayTubeCurrent", "XRayTubeCurrent", float),
    ("XRayExposure", "Exposure", float),
    ("ConvolutionKernel", "ConvolutionKernel", None),
    ("FilterType", "FilterType", None),
    ("GeneratorPower", "GeneratorPower", float),
    ("FocalSpots", "FocalSpots", list),
    ("CTDIvol", "CTDIvol", float),
    ("ExposureTime", "ExposureTime", float),
    ("RevolutionTime", "RevolutionTime", float),
    ("AcquisitionTime", "AcquisitionTime", None),
    ("SpiralPitchFactor", "SpiralPitchFactor", float),
    ("TableSpeed", "TableSpeed", float),
    ("SingleCollimationWidth", "SingleCollimationWidth", float),
    ("TotalCollimationWidth", "TotalCollimationWidth", float),
    ("ReconstructionDiameter", "ReconstructionDiameter", float),
    ("DataCollectionDiameter", "DataCollectionDiameter", float),
    ("GantryDetectorTilt", "GantryDetectorTilt", float),
    ("SliceThickness", "SliceThickness", float),
    ("ContrastBolusIngredient", "ContrastBolusAgent", None),
    ("SeriesInstanceUID", "SeriesInstanceUID", None),
    ("StudyInstanceUID", "StudyInstanceUID", None),
)
"""(name in the file, DICOM keyword, type)."""

_IDENTITY = (
    *("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "PatientAge", "PatientWeight"),
    *("AccessionNumber", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AcquisitionDate"),
    *("ReferringPhysicianName", "InstitutionName", "StationName", "DeviceSerialNumber"),
)
_SECONDS = {"ExposureTime": 1e-3}  # BIDS has seconds, DICOM milliseconds


def sidecar(volume: Volume, header: Dataset | None, *, identity: bool = False) -> dict[str, Any]:
    """The fields of a volume made of the series with that header; `identity` adds who, when and where."""
    made: dict[str, Any] = {}
    for name, keyword, kind in _FIELDS:
        if (value := _value(volume, header, keyword, kind)) is not None:
            made[name] = value * _SECONDS[name] if name in _SECONDS and isinstance(value, float) else value
    for keyword in _IDENTITY if identity else ():
        if (value := _value(volume, header, keyword, None)) is not None:
            made[keyword] = value
    report = volume.report.to_json()
    made |= {
        "Units": volume.unit,
        "RescaleSlopeOfFiles": report["slope"],
        "RescaleInterceptOfFiles": report["intercept"],
        "PaddingValue": volume.padding_value,
        "VoxelSpacing": list(volume.spacing),
        "TiltDegrees": round(volume.tilt_degrees, 4),
        "ConversionSoftware": "hounsfield",
        "ConversionSoftwareVersion": version("hounsfield"),
        "Conversion": report,
    }
    return made


def sidecar_path(target: str | Path) -> str:
    """The path of the JSON beside a volume: `a.nii.gz` has `a.json`."""
    text = str(target)
    ends = [suffix for suffix in volume_suffixes() if text.lower().endswith(suffix)]
    return text[: -max(map(len, ends), default=0) or None] + ".json"


def with_sidecar(
    target: str | Path, described: dict[str, Any], force: bool, write: Callable[[], object]
) -> None:
    """Let `write` make the volume at `target`, and the JSON appear beside it; neither where either fails."""
    text = json.dumps(described, indent=1, ensure_ascii=False) + "\n"
    path = sidecar_path(target)
    if buckets.is_address(path):
        write()
        buckets.upload(path, lambda here: here.write_text(text, "utf-8"), force=force)
        return
    with whole_file(Path(path), force=force) as temporary:
        temporary.write_text(text, "utf-8")
        write()


def _value(volume: Volume, header: Dataset | None, keyword: str, kind: Any) -> Any:
    found: Any = volume.header.get(keyword)
    if header is not None:
        with suppress(Exception):  # a broken element is left out: pydicom raises many kinds
            found = header.get(keyword, found)
    if found is None or (hasattr(found, "__len__") and len(found) == 0):
        return None
    is_several = not isinstance(found, str) and hasattr(found, "__iter__") and keyword != "PatientName"
    try:
        if kind is list:
            return [_plain(each) for each in (found if is_several else [found])]
        if is_several:
            return [kind(each) if kind else _plain(each) for each in found]
        return kind(found) if kind else _plain(found)
    except (TypeError, ValueError):
        return str(found)


def _plain(value: Any) -> Any:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else str(value)
