"""What identifies the people and the place of one object, and what stands for it afterwards.

Pseudonyms, UIDs and the days by which dates move come from a key by HMAC-SHA-256: the same for the same original and
key, in any run and on any machine; without the key nobody gets from one to the other.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom import Dataset

LONGEST_SHIFT_DAYS = 3650
"""Dates move back by up to ten years, never forward: nothing then lies in the future."""

SHORTEST_TOKEN = 3
"""Characters of a name's part that is looked for in other text; shorter ones are in every word."""

_IDENTITY = frozenset(
    {
        "PatientID",
        "OtherPatientIDs",
        "AccessionNumber",
        "IssuerOfPatientID",
        "PatientBirthDate",
        "PatientAddress",
        "PatientTelephoneNumbers",
        "MedicalRecordLocator",
        "AdmissionID",
        "InstitutionName",
        "InstitutionAddress",
        "InstitutionalDepartmentName",
        "StationName",
        "DeviceSerialNumber",
        "ReferringPhysicianAddress",
        "ReferringPhysicianTelephoneNumbers",
        "StudyID",
    }
)
"""Whose values are looked for in whatever text is kept; all persons' names besides."""

_TEXTS = frozenset({"AE", "AS", "CS", "LO", "LT", "SH", "ST", "UC", "UR", "UT", "PN", "DS", "IS"})
_DATE = re.compile(r"\d{8}")


class Pseudonyms:
    """What stands for identities under one key."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def _digest(self, *parts: str) -> bytes:
        return hmac.new(self._key, "\0".join(parts).encode("utf-8", "surrogatepass"), hashlib.sha256).digest()

    def uid(self, original: str) -> str:
        """A UID under 2.25 (PS3.5 B.2)."""
        number = int.from_bytes(self._digest("uid", original.strip())[:16], "big")
        number = (number & ~(0xF << 76) | 4 << 76) & ~(0x3 << 62) | 0x2 << 62
        return f"2.25.{number}"

    def patient(self, patient_id: str, issuer: str, name: str) -> str:
        """Sixteen hexadecimal digits, one set for each patient; by the name where there is no ID."""
        return self._digest("patient", patient_id.strip() or name.strip(), issuer.strip()).hex()[:16].upper()

    def days(self, patient: str) -> int:
        """By how many days a patient's dates move: 1 … `LONGEST_SHIFT_DAYS` back."""
        return -1 - int.from_bytes(self._digest("days", patient)[:8], "big") % LONGEST_SHIFT_DAYS


def tokens(dataset: Dataset) -> frozenset[str]:
    """Every word or number in the object that identifies somebody, in lower case."""
    found: set[str] = set()
    for element in _elements(dataset):
        if element.VR == "PN" or element.keyword in _IDENTITY:
            for text in texts(element):
                parts = re.split(r"[\^=\s,;\\]+", text) if element.VR == "PN" else [text.strip()]
                found.update(part.casefold() for part in parts if len(part) >= SHORTEST_TOKEN)
    return frozenset(found)


def holding(identities: frozenset[str]) -> re.Pattern[str] | None:
    """What finds any of the tokens as a whole word; None where there are none."""
    if not identities:
        return None
    longest_first = sorted(identities, key=len, reverse=True)
    return re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest_first))})(?!\w)", re.IGNORECASE)


def texts(element: Any) -> list[str]:
    """An element's values as text, [] for one that holds none."""
    if element.VR not in _TEXTS or element.value is None:
        return []
    values = element.value if element.VM > 1 else [element.value]
    return [str(value) for value in values]


def shifted(text: str, days: int) -> str:
    """A DA or DT value (or a range of them) with every date in it moved; "" for what is no date."""
    try:
        return _DATE.sub(lambda date: _moved(date[0], days), text) if _DATE.match(text.strip()) else ""
    except (ValueError, OverflowError):
        return ""


def _moved(date: str, days: int) -> str:
    return (datetime.strptime(date, "%Y%m%d") + timedelta(days=days)).strftime("%Y%m%d")


def _elements(dataset: Dataset) -> Iterator[Any]:
    for element in dataset:
        if element.VR == "SQ":
            for item in element.value or ():
                yield from _elements(item)
        else:
            yield element
