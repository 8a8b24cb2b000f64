"""The attributes that every image of a written series shares: patient, study, equipment, and that it is derived.

Patient and study are those of the images the volume was made from, or of a scan that is named; the acquisition is given
only of the series it was. UIDs are under 2.25 (PS3.5 B.2) and follow from values, place and study.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np

from hounsfield.ct.geometry import is_orthonormal
from hounsfield.ct.units import UNSPECIFIED
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, UnsupportedError
from hounsfield.formats.dicom.scale import Scale, decimal
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset

CT_IMAGE, ENHANCED_CT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1"

_NAMESPACE = uuid.UUID("3f0d5a52-7d0b-4ad8-9f57-6c1c7a51e0a4")
_PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge"),
    *("PatientSize", "PatientWeight", "PatientIdentityRemoved", "DeidentificationMethod"),
    *("DeidentificationMethodCodeSequence", "LongitudinalTemporalInformationModified"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"),
    *("StudyDescription", "FrameOfReferenceUID", "PositionReferenceIndicator", "PatientPosition"),
)
_EQUIPMENT = (
    *("Manufacturer", "InstitutionName", "StationName", "ManufacturerModelName", "DeviceSerialNumber"),
    *("SoftwareVersions", "BodyPartExamined", "Laterality", "ProtocolName", "SeriesDate"),
)
_ACQUISITION = (
    *("AcquisitionNumber", "AcquisitionDate", "AcquisitionTime", "ScanOptions", "KVP", "FilterType"),
    *("DataCollectionDiameter", "ReconstructionDiameter", "DistanceSourceToDetector"),
    *("DistanceSourceToPatient", "TableHeight", "RotationDirection", "ExposureTime", "XRayTubeCurrent"),
    *("Exposure", "GeneratorPower", "FocalSpots", "ConvolutionKernel", "RevolutionTime"),
    *("SingleCollimationWidth", "TotalCollimationWidth", "TableSpeed", "TableFeedPerRotation"),
    *("SpiralPitchFactor", "CTDIvol", "ContrastBolusAgent", "ContrastBolusRoute", "ContrastBolusVolume"),
    *("WindowCenter", "WindowWidth"),
)
_EMPTY = (  # type 2: there, if only empty
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID"),
    *("AccessionNumber", "ReferringPhysicianName", "PositionReferenceIndicator", "Manufacturer"),
    "PatientPosition",
)
_DERIVATIONS = {
    "113091": "Spatially-related frames extracted from the volume",
    "113085": "Spatial resampling",
}


@dataclass(frozen=True)
class Uids:
    """The UIDs of what is written, from a digest of all that makes it what it is."""

    digest: str

    @classmethod
    def of(cls, volume: Volume, like: Sequence[Dataset], sop_class: str) -> Uids:
        """Those of a volume beside that study, as images of that class."""
        made = hashlib.sha256()
        study = str(like[0].get("StudyInstanceUID", "")) if like else str(_fact(volume, "StudyInstanceUID"))
        parts = (sop_class, study, str(_fact(volume, "SeriesInstanceUID")), volume.unit, str(volume.shape))
        made.update("\n".join((*parts, volume.array.dtype.name)).encode())
        made.update(volume.affine.tobytes())
        for plane in volume.array:
            made.update(np.ascontiguousarray(plane).data)
        return cls(made.hexdigest())

    def uid(self, what: str) -> str:
        """The UID of one thing."""
        return f"2.25.{uuid.uuid5(_NAMESPACE, f'{what} {self.digest}').int}"


def shared_attributes(volume: Volume, like: Sequence[Dataset], scale: Scale, uids: Uids) -> Dataset:
    """The attributes of every image. `like`: headers of the scan that the volume belongs to, none where it is unknown.

    Raises `UnsupportedError` for a volume that is no CT, `GeometryError` for axes that no DICOM slice has.
    """
    from pydicom import Dataset

    _refuse(volume)
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 192"
    for keyword in _EMPTY:
        setattr(made, keyword, "")
    _adopt(made, volume, like)
    made.Modality = "CT"
    made.SeriesInstanceUID = uids.uid("series")
    for keyword, what in (("StudyInstanceUID", "study"), ("FrameOfReferenceUID", "frame of reference")):
        if not made.get(keyword):
            setattr(made, keyword, uids.uid(what))
    made.SeriesNumber = min(int(_number(volume, like)) * 100 + 2, 2**31 - 1)
    made.SeriesDescription = _description(volume, like)
    if not made.Manufacturer:
        made.Manufacturer = "hounsfield"
    made.ContributingEquipmentSequence = [_equipment(derivation(volume, scale))]
    made.BurnedInAnnotation, made.LossyImageCompression = "NO", _lossy(like)
    made.DerivationDescription = derivation(volume, scale)
    made.DerivationCodeSequence = derivation_codes(volume)
    made.SamplesPerPixel, made.PhotometricInterpretation = 1, "MONOCHROME2"
    made.Rows, made.Columns = volume.shape[1:]
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, scale.bits_stored, scale.bits_stored - 1
    made.PixelRepresentation = int(scale.signed)
    return made


def put_rescale(item: Dataset, volume: Volume, scale: Scale) -> Dataset:
    """Rescale Slope, Intercept and Type; the item itself."""
    item.RescaleSlope, item.RescaleIntercept = scale.texts
    item.RescaleType = "US" if volume.unit == UNSPECIFIED else volume.unit[:64]
    return item


def put_window(item: Dataset, common: Dataset, volume: Volume) -> None:
    """A window to begin with: the source's, soft tissue for a CT without, all there is for a map."""
    centre, width = common.get("WindowCenter"), common.get("WindowWidth")
    if centre is None or width is None:
        low, high = float(volume.array.min()), float(volume.array.max())
        centre, width = (40, 400) if volume.is_hounsfield else ((low + high) / 2, max(high - low, 1))
        centre, width = decimal(centre), decimal(width)
    item.WindowCenter, item.WindowWidth = centre, width


def orientation(volume: Volume) -> list[str]:
    """Image Orientation (Patient): the direction along a row, then down a column."""
    across, down = (volume.affine[:3, axis] / np.linalg.norm(volume.affine[:3, axis]) for axis in (2, 1))
    return [decimal(part) for part in (*across, *down)]


def position(volume: Volume, index: int) -> list[str]:
    """Image Position (Patient) of a slice, LPS mm."""
    return [decimal(mm) for mm in volume.lps(index, 0, 0)]


def pixel_spacing(volume: Volume) -> list[str]:
    """(row, column) mm, by the affine."""
    return [decimal(float(np.linalg.norm(volume.affine[:3, axis]))) for axis in (1, 2)]


def along_normal(volume: Volume) -> list[int]:
    """The slices in the order that DICOM has for them: along row × column direction."""
    normal = np.cross(volume.affine[:3, 2], volume.affine[:3, 1])
    order = list(range(volume.shape[0]))
    return order if normal @ volume.affine[:3, 0] > 0 else order[::-1]


def derivation(volume: Volume, scale: Scale) -> str:
    """The way from the source to these values, in a sentence or two."""
    report = volume.report
    done = [f"Values in {volume.unit} written by hounsfield {version('hounsfield')}"]
    if report.resampled:
        done.append("; ".join(report.spacing_notes[-1:]) or "resampled")
    done += ["cropped"] if report.cropped else []
    done += [f"{len(report.filled)} slices that no file held are padding"] if report.filled else []
    done += [f"{report.padded} voxels of padding are {volume.padding_value}"] if report.padded else []
    done += [f"{report.clamped} voxels below −1024 raised to it"] if report.clamped else []
    done += [f"values kept within {scale.error:.2g}"] if scale.error else []
    return "; ".join(done)[:1024]


def derivation_codes(volume: Volume) -> list[Dataset]:
    """Derivation Code Sequence (PS3.16 CID 7203)."""
    codes = ("113085",) if volume.report.resampled else ("113091",)
    return [code(each, _DERIVATIONS[each]) for each in codes]


def sources(volume: Volume, index: int, like: Sequence[Dataset]) -> list[Dataset]:
    """Source Image Sequence of a slice: its file, or where it is no file's, first and last of the series it is of."""
    if not _is_of_files(volume):
        return []
    if volume.uids[index]:
        return [_source(volume.uids[index], like)]
    own = like if _is_own(volume, like) else ()
    return [_source(uid, like) for uid in dict.fromkeys(str(each.SOPInstanceUID) for each in own)]


def _source(uid: str, like: Sequence[Dataset]) -> Dataset:
    from pydicom import Dataset

    item = Dataset()
    item.ReferencedSOPClassUID = str(like[0].SOPClassUID) if like and "SOPClassUID" in like[0] else CT_IMAGE
    item.ReferencedSOPInstanceUID = uid
    item.PurposeOfReferenceCodeSequence = [code("121322", "Source image for image processing operation")]
    return item


def irradiation_event(volume: Volume, like: Sequence[Dataset], uids: Uids) -> str:
    """The UID of the exposure: the source's, or one for all that is made of its series."""
    if _is_own(volume, like) and (known := like[0].get("IrradiationEventUID")):
        return str(known if isinstance(known, str) else known[0])
    series = str(_fact(volume, "SeriesInstanceUID"))
    return Uids(series).uid("irradiation event") if series else uids.uid("irradiation event")


def source_evidence(volume: Volume, like: Sequence[Dataset]) -> list[Dataset]:
    """Every source image, by study and series (PS3.3 10.3), as an Enhanced CT lists them."""
    from pydicom import Dataset

    named: dict[str, Dataset] = {}
    for index in range(volume.shape[0]):
        for each in sources(volume, index, like):
            item = named.setdefault(each.ReferencedSOPInstanceUID, each)
            item.pop("PurposeOfReferenceCodeSequence", None)
    if not named:
        return []
    study, series = Dataset(), Dataset()
    series.SeriesInstanceUID = volume.header["SeriesInstanceUID"]
    series.ReferencedSOPSequence = list(named.values())
    study.StudyInstanceUID = volume.header["StudyInstanceUID"]
    study.ReferencedSeriesSequence = [series]
    return [study]


def code(value: str, meaning: str, scheme: str = "DCM") -> Dataset:
    """One coded entry (PS3.3 8.8)."""
    from pydicom import Dataset

    made = Dataset()
    made.CodeValue, made.CodingSchemeDesignator, made.CodeMeaning = value, scheme, meaning
    return made


def file_meta(dataset: Dataset) -> Any:
    """Group 0002 for Explicit VR Little Endian."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID("2.25.302843402903853742938470293847029384")
    meta.ImplementationVersionName = "HOUNSFIELD"
    return meta


def _refuse(volume: Volume) -> None:
    modality = str(volume.header.get("Modality") or "CT")
    if modality != "CT":
        raise UnsupportedError(
            say("Modality is {modality}", modality=modality),
            expected="a CT",
            remedy="write .nii.gz, .nrrd or .mha instead",
        )
    axes = [volume.affine[:3, axis] / np.linalg.norm(volume.affine[:3, axis]) for axis in (2, 1)]
    if not is_orthonormal(tuple(float(part) for axis in axes for part in axis)):
        raise GeometryError(
            "rows and columns that are not perpendicular",
            expected="Image Orientation (Patient) of two unit vectors at right angles",
            remedy="resample it first: volume.resampled(like=…)",
        )


def _adopt(made: Dataset, volume: Volume, like: Sequence[Dataset]) -> None:
    """Take over what is known of patient, study and, if these are its own images, how they were acquired."""
    if not like:
        for keyword in (*_PATIENT_AND_STUDY, *_EQUIPMENT, *_ACQUISITION):
            if value := _fact(volume, keyword):
                setattr(made, keyword, value)
        return
    first, last = like[0], like[-1]
    for dataset in like:
        dataset.decode()
    for keyword in _PATIENT_AND_STUDY:
        _take(made, first, keyword)
    if not _is_own(volume, like):
        return
    for keyword in _EQUIPMENT:
        _take(made, first, keyword)
    for keyword in _ACQUISITION:
        # What changes along the table is true of single slices only, and they may be others now.
        if first.get(keyword) == last.get(keyword):
            _take(made, first, keyword)


def _take(made: Dataset, source: Dataset, keyword: str) -> None:
    from contextlib import suppress

    with suppress(Exception):  # a broken element is left out: pydicom raises many kinds
        if keyword in source and source[keyword].value not in (None, ""):
            made[keyword] = source[keyword]


def _is_own(volume: Volume, like: Sequence[Dataset]) -> bool:
    """Return whether these are headers of the very series that the volume was made of."""
    series = str(volume.header.get("SeriesInstanceUID", ""))
    return bool(like and series) and str(like[0].get("SeriesInstanceUID", "")) == series


def _is_of_files(volume: Volume) -> bool:
    """Return whether its UIDs are of a scanner's files: a volume file has one made up for study and series."""
    study, series = (volume.header.get(each, "") for each in ("StudyInstanceUID", "SeriesInstanceUID"))
    return bool(study and series) and study != series


def _fact(volume: Volume, keyword: str) -> Any:
    if keyword.endswith("UID") and not _is_of_files(volume):
        return ""
    return volume.header.get(keyword, "")


def _number(volume: Volume, like: Sequence[Dataset]) -> int:
    text = str(volume.header.get("SeriesNumber", "") or (like[0].get("SeriesNumber") if like else "") or "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _description(volume: Volume, like: Sequence[Dataset]) -> str:
    said = str(volume.header.get("SeriesDescription", "")).replace("\\", "_")
    what = volume.unit if not volume.report.resampled else f"{volume.unit} resampled"
    return f"{said[: 64 - len(what) - 1]} {what}".strip()


def _lossy(like: Sequence[Dataset]) -> str:
    """Lossy Image Compression: once lossy, always lossy (PS3.3 C.7.6.1.1.5)."""
    return "01" if any(str(each.get("LossyImageCompression", "")) == "01" for each in like) else "00"


def _equipment(contribution: str) -> Dataset:
    from pydicom import Dataset

    made = Dataset()
    made.PurposeOfReferenceCodeSequence = [code("109103", "Modifying Equipment")]
    made.Manufacturer, made.ManufacturerModelName = "hounsfield", "hounsfield"
    made.SoftwareVersions = version("hounsfield")
    made.ContributionDescription = contribution
    return made
