"""Which objects cannot be de-identified by their attributes: text in their pixels, documents, directories.

They are left out, each with its reason; whether pixels hold text is judged by what the object says it is, not seen.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydicom import Dataset

_SECONDARY_CAPTURE = "1.2.840.10008.5.1.4.1.1.7"
_DIRECTORY = "1.2.840.10008.1.3.10"
_DOCUMENTS = "1.2.840.10008.5.1.4.1.1.104."
_REPORTS = "1.2.840.10008.5.1.4.1.1.88."
_PHOTOGRAPHS = "1.2.840.10008.5.1.4.1.1.77.1."
_DRAWN_ON = frozenset({"SCREEN SAVE", "REPORT", "DOSE", "DOSE_INFO", "DOSE INFO", "SUMMARY", "TEXT", "PROT"})
_PIXELS = ("PixelData", "FloatPixelData", "DoubleFloatPixelData")


def reason_to_leave_out(dataset: Dataset) -> str:
    """Why the object is left out; "" when its attributes are all there is to treat."""
    sop_class = str(dataset.get("SOPClassUID", "") or "")
    if sop_class == _DIRECTORY:
        return "a directory of a file-set: it names the patients"
    if not dataset.get("SOPInstanceUID") or not dataset.get("StudyInstanceUID"):
        return "no SOP or Study Instance UID: not a composite object"
    if sop_class.startswith(_REPORTS):
        return "a structured report: its text may name anybody"
    if sop_class.startswith(_DOCUMENTS):
        return "an encapsulated document: what is in it is not looked at"
    if sop_class.startswith(_PHOTOGRAPHS):
        return "a photograph or film: it may show a face or a label"
    return _reason_in_pixels(dataset, sop_class)


def _reason_in_pixels(dataset: Dataset, sop_class: str) -> str:
    if str(dataset.get("BurnedInAnnotation", "") or "").strip().upper() == "YES":
        return "Burned In Annotation (0028,0301) is YES"
    if sop_class.startswith(_SECONDARY_CAPTURE):
        return "a Secondary Capture: text may be in its pixels"
    kinds = {str(kind).strip().upper() for kind in dataset.get("ImageType", None) or ()}
    if kinds & _DRAWN_ON:
        return f"Image Type says {', '.join(sorted(kinds & _DRAWN_ON))}: text may be in its pixels"
    if str(dataset.get("Modality", "")) == "CT" and int(dataset.get("SamplesPerPixel", 1) or 1) > 1:
        return "a colour image among CT (a dose page, a screenshot): text may be in its pixels"
    return _reason_in_storage(dataset)


def _reason_in_storage(dataset: Dataset) -> str:
    """Where the pixels lie in a way that this cannot treat."""
    has_pixels = any(keyword in dataset for keyword in _PIXELS)
    if not has_pixels and "Rows" in dataset and (0x07A1, 0x100A) in dataset:
        return "its pixels are in private attributes, which are removed; convert it first"
    if _has_embedded_overlay(dataset) and _is_encapsulated(dataset):
        return "an overlay in the bits of compressed pixels; decompress it first"
    return ""


def _has_embedded_overlay(dataset: Dataset) -> bool:
    return any(
        (group, 0x0102) in dataset and (group, 0x3000) not in dataset for group in range(0x6000, 0x6020, 2)
    )


def _is_encapsulated(dataset: Dataset) -> bool:
    syntax = dataset.file_meta.get("TransferSyntaxUID") if hasattr(dataset, "file_meta") else None
    return bool(syntax and syntax.is_transfer_syntax and syntax.is_encapsulated)
