"""Objects that hold segments, known by their headers alone."""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.ct.instance import Instance
from hounsfield.ct.instance.reading import pydicom_tolerated, read_dataset

SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.4"
LABEL_MAP_SEGMENTATION = "1.2.840.10008.5.1.4.1.1.66.7"
STRUCTURE_SET = "1.2.840.10008.5.1.4.1.1.481.3"

KINDS = {SEGMENTATION: "SEG", LABEL_MAP_SEGMENTATION: "SEG", STRUCTURE_SET: "RTSTRUCT"}
"""SOP classes of what holds segments, and what they are called (PS3.4 B.5)."""


@dataclass(frozen=True)
class FoundMasks:
    """A segmentation or structure set of a location; `series` is its own Series Instance UID."""

    kind: str
    description: str
    uid: str
    series: str
    instance: Instance

    @property
    def name(self) -> str:
        """In words: kind, description and where it is."""
        return " ".join(part for part in (self.kind, self.description, f"({self.instance.name})") if part)

    def referenced_series(self) -> str:
        """Read the Series Instance UID of what it was drawn on, "" where it says none (PS3.3 C.12.1.1.6, C.8.8.5)."""
        with pydicom_tolerated(self.instance.name):
            dataset = read_dataset(self.instance.source)
            for item in dataset.get("ReferencedSeriesSequence", ()):
                return str(item.get("SeriesInstanceUID", ""))
            for frame in dataset.get("ReferencedFrameOfReferenceSequence", ()):
                for study in frame.get("RTReferencedStudySequence", ()):
                    for item in study.get("RTReferencedSeriesSequence", ()):
                        return str(item.get("SeriesInstanceUID", ""))
        return ""

    def to_json(self) -> dict[str, str]:
        """As plain JSON values."""
        return {
            "kind": self.kind,
            "description": self.description,
            "SOPInstanceUID": self.uid,
            "SeriesInstanceUID": self.series,
            "name": self.instance.name,
        }


def found_masks(instance: Instance) -> FoundMasks | None:
    """Return the kind of an instance that holds segments."""
    header = instance.header
    kind = KINDS.get(header.text("SOPClassUID"))
    if kind is None:
        return None
    uids = header.text("SOPInstanceUID"), header.text("SeriesInstanceUID")
    return FoundMasks(kind, header.text("SeriesDescription"), *uids, instance)
