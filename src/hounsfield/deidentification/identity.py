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

from hounsfield.deidentification.profile import Profile, dictionary_vr

if TYPE_CHECKING:
    from pydicom import Dataset

LONGEST_SHIFT_DAYS = 3650
"""Dates move back by up to ten years, never forward: nothing then lies in the future."""

SHORTEST_TOKEN, SHORTEST_FOREIGN_TOKEN = 3, 2
"""Characters of a name's part that is looked for in other text, in ASCII and beyond it (two Han characters are a
name); shorter ones are in every word.
"""

_IDENTITY = frozenset(
    {
        "PatientID",
        "OtherPatientIDs",
        "AccessionNumber",
        "IssuerOfPatientID",
        "PatientAddress",
        "PatientTelephoneNumbers",
        "MedicalRecordLocator",
        "AdmissionID",
        "ServiceEpisodeID",
        "InstitutionName",
        "InstitutionAddress",
        "InstitutionalDepartmentName",
        "StationName",
        "DeviceSerialNumber",
        "ReferringPhysicianAddress",
        "ReferringPhysicianTelephoneNumbers",
        "PersonTelephoneNumbers",
        "StudyID",
        "RequestedProcedureID",
        "PlacerOrderNumberImagingServiceRequest",
        "FillerOrderNumberImagingServiceRequest",
        "StudyInstanceUID",
        "SeriesInstanceUID",
        "SOPInstanceUID",
        "FrameOfReferenceUID",
    }
)
"""Whose values are looked for in whatever text is kept; all persons' names and the birth date besides."""

_BIRTH_DATES = ("%Y%m%d", "%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y")
_BETWEEN = re.compile(r"[\^=\s,;\\]+")
_TEXTS = frozenset({"AE", "AS", "CS", "DA", "LO", "LT", "SH", "ST", "UC", "UI", "UR", "UT", "PN", "DS", "IS"})
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

    def token(self, original: str | bytes) -> bytes:
        """32 bytes by which a record knows a source again, and nobody without the key what it was."""
        text = original.hex() if isinstance(original, bytes) else original
        return self._digest("source", text)

    def patient(self, patient_id: str, issuer: str, name: str) -> str:
        """Sixteen hexadecimal digits, one set for each patient; by the name where there is no ID."""
        return self._digest("patient", patient_id.strip() or name.strip(), issuer.strip()).hex()[:16].upper()

    def days(self, patient: str) -> int:
        """By how many days a patient's dates move: 1 … `LONGEST_SHIFT_DAYS` back."""
        return -1 - int.from_bytes(self._digest("days", patient)[:8], "big") % LONGEST_SHIFT_DAYS


def tokens(dataset: Dataset, profile: Profile) -> frozenset[str]:
    """Every word or number in the object that identifies somebody, in lower case, but what `profile` keeps."""
    found: set[str] = set()
    for element in _elements(dataset):
        # A name is one by the dictionary too, whatever VR the file gives it.
        if element.VR == "PN" or dictionary_vr(int(element.tag)) == "PN":
            found.update(part for text in texts(element) for part in _names(text))
        elif element.keyword in _IDENTITY:
            if profile.action(int(element.tag), element.keyword, element.VR)[1]:
                continue  # an option keeps it
            found.update(text.strip() for text in texts(element))
        elif element.keyword == "PatientBirthDate":
            found.update(written for text in texts(element) for written in _dates(text))
    return frozenset(token.casefold() for token in found if len(token) >= _shortest(token))


def _names(text: str) -> Iterator[str]:
    """The parts of a PN value, and each way of writing it (PS3.5 6.2.1) with family and given name together."""
    for writing in text.split("="):
        yield from _BETWEEN.split(writing)
        family, given = (part.strip() for part in (*writing.split("^"), "")[:2])
        yield from (family + given, given + family)


def _dates(text: str) -> Iterator[str]:
    try:
        date = datetime.strptime(text.strip(), "%Y%m%d")
    except ValueError:
        yield text.strip()
    else:
        yield from (date.strftime(form) for form in _BIRTH_DATES)


def _shortest(token: str) -> int:
    return SHORTEST_TOKEN if token.isascii() else SHORTEST_FOREIGN_TOKEN


def holding(identities: frozenset[str]) -> re.Pattern[str] | None:
    """What finds any of the tokens: as a whole word, or anywhere where it is not ASCII; None where there are none.

    Chinese and Japanese are written without spaces: a name has no borders there.
    """
    if not identities:
        return None
    longest_first = sorted(identities, key=lambda token: (-len(token), token))
    parts = [
        rf"(?<!\w){re.escape(token)}(?!\w)" if token.isascii() else re.escape(token)
        for token in longest_first
    ]
    return re.compile("|".join(parts), re.IGNORECASE)


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
