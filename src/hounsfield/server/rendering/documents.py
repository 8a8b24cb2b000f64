"""Objects without pixels as a person reads them: reports as trees, structures as lists, files within files.

From the data set alone; nothing here is rendered. Sequences are followed so deep and so far, and no further.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hounsfield.segmentation.colours import rgb_of_cielab

if TYPE_CHECKING:
    from pydicom import Dataset

MOST_NODES = 20_000
DEEPEST = 32
LONGEST = 4000
"""Characters of one value."""

_PDF = "1.2.840.10008.5.1.4.1.1.104.1"
_MODELS = {
    "1.2.840.10008.5.1.4.1.1.104.3": "STL",
    "1.2.840.10008.5.1.4.1.1.104.4": "OBJ",
    "1.2.840.10008.5.1.4.1.1.104.5": "MTL",
}
_CDA = "1.2.840.10008.5.1.4.1.1.104.2"
_PRESENTATION = "1.2.840.10008.5.1.4.1.1.11."
_FACTS = (
    *("SeriesDescription", "DocumentTitle", "ContentLabel", "ContentDescription", "StructureSetLabel"),
    *(
        "StructureSetName",
        "RTPlanLabel",
        "RTPlanName",
        "PresentationCreationDate",
        "ContentDate",
        "StructureSetDate",
    ),
    *(
        "CompletionFlag",
        "VerificationFlag",
        "ContentCreatorName",
        "ReferringPhysicianName",
        "InstitutionName",
    ),
    *("Manufacturer", "SegmentationType", "ApprovalStatus", "DoseUnits", "DoseType"),
)


@dataclass
class Document:
    """One object. `kind`: "report", "pdf", "model", "document", "structures", "segments", "presentation" or "other".

    `items`: rows of a list; `tree`: nodes of a report; `drawn_on`: series that it refers to; `file`: media type
    and bytes of what is encapsulated.
    """

    kind: str
    title: str
    facts: list[dict[str, Any]] = field(default_factory=list)
    items: list[dict[str, Any]] = field(default_factory=list)
    tree: list[dict[str, Any]] = field(default_factory=list)
    drawn_on: list[str] = field(default_factory=list)
    file: dict[str, Any] | None = None


def document_of(dataset: Dataset) -> Document:
    """The object as a person reads it."""
    sop_class = str(dataset.get("SOPClassUID", ""))
    class_name = class_name_of(sop_class)
    made = Document("other", class_name, _facts(dataset), drawn_on=sorted(set(_series(dataset))))
    if "ContentSequence" in dataset or str(dataset.get("ValueType", "")) == "CONTAINER":
        made.kind = "report"
        made.title = _meaning(dataset, "ConceptNameCodeSequence") or class_name
        made.tree = _Tree().nodes(dataset, 0)
    elif "StructureSetROISequence" in dataset:
        made.kind, made.items = "structures", list(_structures(dataset))
    elif "SegmentSequence" in dataset:
        made.kind, made.items = "segments", list(_segments(dataset))
    elif sop_class.startswith(_PRESENTATION):
        made.kind, made.items = "presentation", list(_presented(dataset))
    elif "EncapsulatedDocument" in dataset:
        made.kind = {_PDF: "pdf", _CDA: "document"}.get(
            sop_class, "model" if sop_class in _MODELS else "document"
        )
        content, media_type = encapsulated(dataset)
        made.file = {"type": media_type, "bytes": len(content)}
    return made


def class_name_of(sop_class: str) -> str:
    """Name of a SOP class, without "Storage" (PS3.6 A); the UID itself where it has none."""
    from pydicom import config
    from pydicom.uid import UID

    return str(UID(sop_class, config.IGNORE).name).removesuffix(" Storage")


def encapsulated(dataset: Dataset) -> tuple[bytes, str]:
    """The file within an object and its media type: a PDF only where it begins like one, any other as bytes."""
    content = bytes(dataset.get("EncapsulatedDocument", b"") or b"")
    length = dataset.get("EncapsulatedDocumentLength")
    if isinstance(length, int) and 0 < length <= len(content):
        content = content[:length]  # the rest makes the length even (PS3.3 C.24.2)
    is_pdf = content.lstrip()[:5] == b"%PDF-"
    return content, "application/pdf" if is_pdf else "application/octet-stream"


def _facts(dataset: Dataset) -> list[dict[str, Any]]:
    from hounsfield.dicom.dictionary import attribute, find_tag

    facts = []
    for keyword in _FACTS:
        value = _text(dataset.get(keyword, ""))
        if value:
            name = attribute(find_tag(keyword)).name
            facts.append({"name": [name.say("en"), name.say("zh")], "value": value})
    return facts


def _text(value: object) -> str:
    return "" if value is None else str(value).strip()[:LONGEST]


def _meaning(item: Any, keyword: str) -> str:
    """Code Meaning of the first code of a sequence."""
    code = _first(item, keyword)
    return "" if code is None else _text(code.get("CodeMeaning", "") or code.get("CodeValue", ""))


def _first(item: Any, keyword: str) -> Any:
    """The first item of a sequence; None where there is none."""
    items: Any = item.get(keyword) or ()
    return items[0] if len(items) else None


class _Tree:
    """The content of a report, at most `MOST_NODES` of it (PS3.3 C.17.3)."""

    def __init__(self) -> None:
        self._left = MOST_NODES

    def nodes(self, item: Any, depth: int) -> list[dict[str, Any]]:
        out: list[dict[str, Any]] = []
        for child in item.get("ContentSequence") or ():
            self._left -= 1
            if self._left < 0 or depth == DEEPEST:
                out.append({"name": "…", "value": "", "relation": "", "children": []})
                break
            out.append(
                {
                    "name": _meaning(child, "ConceptNameCodeSequence"),
                    "value": _value(child),
                    "relation": _text(child.get("RelationshipType", "")),
                    "children": self.nodes(child, depth + 1),
                }
            )
        return out


def _value(item: Any) -> str:
    """The value of a content item, by its Value Type (PS3.3 Table C.17.3-7)."""
    kind = _text(item.get("ValueType", ""))
    if kind == "NUM":
        measured = _first(item, "MeasuredValueSequence")
        if measured is None:
            return _meaning(item, "NumericValueQualifierCodeSequence")
        unit = _first(measured, "MeasurementUnitsCodeSequence")
        no_unit = unit is None or unit.get("CodeValue", "") == "1"
        said = "" if no_unit else _meaning(measured, "MeasurementUnitsCodeSequence")
        return f"{_text(measured.get('NumericValue', ''))} {said}".strip()
    if kind == "CODE":
        return _meaning(item, "ConceptCodeSequence")
    if kind in ("IMAGE", "COMPOSITE", "WAVEFORM"):
        named = _first(item, "ReferencedSOPSequence")
        return "" if named is None else _text(named.get("ReferencedSOPInstanceUID", ""))
    if kind in ("SCOORD", "SCOORD3D"):
        data = item.get("GraphicData") or ()
        return f"{_text(item.get('GraphicType', ''))} ({len(data)})"
    keywords = {"TEXT": "TextValue", "PNAME": "PersonName", "UIDREF": "UID"}
    keywords |= {"DATE": "Date", "TIME": "Time", "DATETIME": "DateTime"}
    return _text(item.get(keywords.get(kind, ""), "")) if kind in keywords else ""


def _structures(dataset: Dataset) -> Iterator[dict[str, Any]]:
    contours = {
        int(each.get("ReferencedROINumber", -1)): each for each in dataset.get("ROIContourSequence") or ()
    }
    types = {
        int(each.get("ReferencedROINumber", -1)): _text(each.get("RTROIInterpretedType", ""))
        for each in dataset.get("RTROIObservationsSequence") or ()
    }
    for each in dataset.StructureSetROISequence:
        number = int(each.get("ROINumber", 0))
        drawn = contours.get(number)
        colour = drawn.get("ROIDisplayColor") if drawn is not None else None
        yield {
            "number": number,
            "name": _text(each.get("ROIName", "")),
            "type": types.get(number, ""),
            "colour": [int(part) for part in colour] if colour is not None and len(colour) == 3 else None,
            "count": len(drawn.get("ContourSequence") or ()) if drawn is not None else 0,
        }


def _segments(dataset: Dataset) -> Iterator[dict[str, Any]]:
    for each in dataset.SegmentSequence:
        lab = each.get("RecommendedDisplayCIELabValue")
        colour = rgb_of_cielab(lab) if lab is not None else None
        yield {
            "number": int(each.get("SegmentNumber", 0)),
            "name": _text(each.get("SegmentLabel", "")),
            "type": _meaning(each, "SegmentedPropertyTypeCodeSequence"),
            "colour": list(colour) if colour else None,
            "detail": _text(each.get("SegmentAlgorithmName", "") or each.get("SegmentAlgorithmType", "")),
        }


def _presented(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Texts and graphics of a presentation state by layer (PS3.3 C.10.5)."""
    for number, each in enumerate(dataset.get("GraphicAnnotationSequence") or (), 1):
        texts = [_text(item.get("UnformattedTextValue", "")) for item in each.get("TextObjectSequence") or ()]
        graphics = [_text(item.get("GraphicType", "")) for item in each.get("GraphicObjectSequence") or ()]
        name = "; ".join(filter(None, texts)) or ", ".join(sorted(set(filter(None, graphics))))
        yield {"number": number, "name": name, "type": _text(each.get("GraphicLayer", "")), "colour": None}


def _series(dataset: Dataset) -> Iterator[str]:
    """Series that it refers to by the usual sequences."""
    for item in dataset.get("ReferencedSeriesSequence") or ():
        yield str(item.get("SeriesInstanceUID", ""))
    for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence"):
        for study in dataset.get(keyword) or ():
            for item in study.get("ReferencedSeriesSequence") or ():
                yield str(item.get("SeriesInstanceUID", ""))
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for item in study.get("RTReferencedSeriesSequence") or ():
                yield str(item.get("SeriesInstanceUID", ""))
