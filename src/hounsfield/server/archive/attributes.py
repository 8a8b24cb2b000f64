"""The attributes that an index knows at each level: searched by, returned, and belonging to it.

Pure data of PS3.18 Tables 10.6.1-5 and 10.6.3-3 to 10.6.3-5, and PS3.3 A.1.4 for what belongs to a patient,
study or series. SQL is in `index`, matching's meaning in `hounsfield.dicomweb.matching`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

Level = Literal["study", "series", "instance"]
LEVELS: tuple[Level, ...] = ("study", "series", "instance")

Kind = Literal["text", "name", "date", "time", "uid", "number"]
"""The kinds of matching of a column: wildcards, a person's name, ranges of dates or times, UID lists, numbers."""


@dataclass(frozen=True, slots=True)
class Searched:
    """One attribute with a column of its own; `keyword` is also the column's name.

    All of them have one value (VM 1, PS3.6); where a file has more, the first is searched by.
    """

    keyword: str
    tag: int
    kind: Kind = "text"


SEARCHED: dict[Level, tuple[Searched, ...]] = {
    "study": (
        Searched("StudyInstanceUID", 0x0020000D, "uid"),
        Searched("StudyDate", 0x00080020, "date"),
        Searched("StudyTime", 0x00080030, "time"),
        Searched("AccessionNumber", 0x00080050),
        Searched("ReferringPhysicianName", 0x00080090, "name"),
        Searched("StudyDescription", 0x00081030),
        Searched("PatientName", 0x00100010, "name"),
        Searched("PatientID", 0x00100020),
        Searched("IssuerOfPatientID", 0x00100021),
        Searched("PatientBirthDate", 0x00100030, "date"),
        Searched("PatientSex", 0x00100040),
        Searched("StudyID", 0x00200010),
        Searched("InstitutionName", 0x00080080),
    ),
    "series": (
        Searched("SeriesInstanceUID", 0x0020000E, "uid"),
        Searched("Modality", 0x00080060),
        Searched("SeriesNumber", 0x00200011, "number"),
        Searched("SeriesDescription", 0x0008103E),
        Searched("SeriesDate", 0x00080021, "date"),
        Searched("SeriesTime", 0x00080031, "time"),
        Searched("BodyPartExamined", 0x00180015),
        Searched("ProtocolName", 0x00181030),
        Searched("Manufacturer", 0x00080070),
        Searched("ManufacturerModelName", 0x00081090),
        Searched("StationName", 0x00081010),
        Searched("FrameOfReferenceUID", 0x00200052, "uid"),
        Searched("PerformedProcedureStepStartDate", 0x00400244, "date"),
        Searched("PerformedProcedureStepStartTime", 0x00400245, "time"),
    ),
    "instance": (
        Searched("SOPInstanceUID", 0x00080018, "uid"),
        Searched("SOPClassUID", 0x00080016, "uid"),
        Searched("InstanceNumber", 0x00200013, "number"),
        Searched("AvailableTransferSyntaxUID", 0x00083002, "uid"),
    ),
}

UIDS: dict[Level, int] = {"study": 0x0020000D, "series": 0x0020000E, "instance": 0x00080018}

SHOWN: dict[Level, frozenset[int]] = {
    "study": frozenset(
        (
            *(0x00080005, 0x00080020, 0x00080030, 0x00080050, 0x00080090, 0x00080201, 0x00081030),
            *(0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x0020000D, 0x00200010),
        )
    ),
    "series": frozenset(
        (
            *(0x00080005, 0x00080021, 0x00080031, 0x00080060, 0x00080201, 0x0008103E, 0x00180015),
            *(0x0020000E, 0x00200011, 0x00400244, 0x00400245, 0x00400275),
        )
    ),
    "instance": frozenset(
        (
            *(0x00080005, 0x00080016, 0x00080018, 0x00080201, 0x00083002, 0x00200013),
            *(0x00280008, 0x00280010, 0x00280011, 0x00280100),
        )
    ),
}
"""Attributes of a response without `includefield`, beside what the server adds."""

REQUIRED: dict[Level, dict[int, str]] = {
    "study": {
        0x00080020: "DA",
        0x00080030: "TM",
        0x00080050: "SH",
        0x00080061: "CS",
        0x00080090: "PN",
        0x00100010: "PN",
        0x00100020: "LO",
        0x00100030: "DA",
        0x00100040: "CS",
        0x00200010: "SH",
    },
    "series": {0x00080060: "CS", 0x00200011: "IS"},
    "instance": {0x00080016: "UI", 0x00200013: "IS"},
}
"""Those of type R with their VR: returned empty where the files do not have them (PS3.4 C.2.2.1.2)."""

COUNTED: dict[str, tuple[Level, int]] = {
    "ModalitiesInStudy": ("study", 0x00080061),
    "NumberOfStudyRelatedSeries": ("study", 0x00201206),
    "NumberOfStudyRelatedInstances": ("study", 0x00201208),
    "NumberOfSeriesRelatedInstances": ("series", 0x00201209),
    "InstanceAvailability": ("instance", 0x00080056),
    "RetrieveURL": ("instance", 0x00081190),
}
"""Attributes that the server knows rather than the files."""

_STUDY_TAGS = frozenset(
    (
        *(0x00080005, 0x00080020, 0x00080030, 0x00080050, 0x00080051, 0x00080080, 0x00080081, 0x00080090),
        *(0x00080096, 0x0008009C, 0x00080201, 0x00081030, 0x00081032, 0x00081048, 0x00081049, 0x00081060),
        *(0x00081080, 0x00081084, 0x00081110, 0x00081120, 0x0020000D, 0x00200010, 0x00321032, 0x00321060),
        *(0x00321064, 0x00380010, 0x00400031, 0x00401012),
    )
)
_SERIES_TAGS = frozenset(
    (
        *(0x00080005, 0x00080021, 0x00080031, 0x00080060, 0x00080070, 0x00080201, 0x00081010, 0x0008103E),
        *(0x0008103F, 0x00081040, 0x00081050, 0x00081070, 0x00081090, 0x00081111, 0x00180015, 0x00181000),
        *(0x00181020, 0x00181030, 0x00185100, 0x0020000E, 0x00200011, 0x00200052, 0x00200060, 0x00201040),
        *(0x00400244, 0x00400245, 0x00400250, 0x00400251, 0x00400253, 0x00400254, 0x00400260, 0x00400275),
    )
)


@lru_cache(maxsize=16384)
def belongs(tag: int, level: Level) -> bool:
    """Whether an attribute is one of `level`: Patient and Study modules, Series and Equipment, or the rest."""
    if level == "study":
        return tag in _STUDY_TAGS or tag >> 16 == 0x0010
    if level == "series":
        return tag in _SERIES_TAGS
    return tag in (0x00080005, 0x00080201) or not (belongs(tag, "study") or belongs(tag, "series"))


@lru_cache(maxsize=4096)
def searched(keyword: str) -> tuple[Level, Searched] | None:
    """The column for an attribute and the level it is of; None where there is none."""
    for level in LEVELS:
        for each in SEARCHED[level]:
            if each.keyword == keyword:
                return level, each
    return None
