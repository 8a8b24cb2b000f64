"""SOP classes of the services (PS3.4), and what is asked of Query/Retrieve levels. Names, no behaviour."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

VERIFICATION = "1.2.840.10008.1.1"
CT_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
STORAGE_COMMITMENT = "1.2.840.10008.1.20.1"
STORAGE_COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""The well-known SOP instance that storage commitment is asked of (PS3.4 J.3.5)."""

_QUERY = "1.2.840.10008.5.1.4.1.2"

Level = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]

UNIQUE_KEYS: dict[Level, str] = {
    "PATIENT": "PatientID",
    "STUDY": "StudyInstanceUID",
    "SERIES": "SeriesInstanceUID",
    "IMAGE": "SOPInstanceUID",
}
"""The unique key of each level (PS3.4 C.6.1.1)."""


@dataclass(frozen=True, slots=True)
class InformationModel:
    """A Query/Retrieve information model (PS3.4 C.6): its levels from the top, and the SOP classes of its services."""

    name: str
    levels: tuple[Level, ...]
    find: str
    move: str
    get: str


PATIENT_ROOT = InformationModel(
    "Patient Root",
    ("PATIENT", "STUDY", "SERIES", "IMAGE"),
    f"{_QUERY}.1.1",
    f"{_QUERY}.1.2",
    f"{_QUERY}.1.3",
)
STUDY_ROOT = InformationModel(
    "Study Root", ("STUDY", "SERIES", "IMAGE"), f"{_QUERY}.2.1", f"{_QUERY}.2.2", f"{_QUERY}.2.3"
)
MODELS = (STUDY_ROOT, PATIENT_ROOT)

_STORAGE = "1.2.840.10008.5.1.4.1.1."
_NOT_STORED = ("1.2.840.10008.5.1.4.1.2.", "1.2.840.10008.5.1.4.31", "1.2.840.10008.5.1.4.32")
_STORED_ELSEWHERE = ("1.2.840.10008.5.1.4.34.7", "1.2.840.10008.5.1.4.43.1", "1.2.840.10008.5.1.4.44.1")


def is_storage(sop_class: str) -> bool:
    """Return whether a SOP class may be one of storage: any but those that DICOM defines for other services.

    Private classes are taken for storage, and so are those of editions to come.
    """
    if sop_class.startswith(_STORAGE) or sop_class in _STORED_ELSEWHERE:
        return True
    return not sop_class.startswith("1.2.840.10008.")
