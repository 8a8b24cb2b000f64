"""The identity of the people and the place of one object, and what stands for it afterwards.

Pseudonyms, UIDs and the days by which dates move come from a key by HMAC-SHA-256: the same for the same original and
key, in any run and on any machine; without the key nobody gets from one to the other.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any, cast

from pydicom import Dataset
from pydicom.charset import convert_encodings
from pydicom.dataelem import DataElement, RawDataElement

from hounsfield.dicom.dataset_texts import decide_texts
from hounsfield.dicom.vr import LOCALIZED, TEXT
from hounsfield.verbs.deidentify.charsets import Reading, is_as_labelled, readings
from hounsfield.verbs.deidentify.dates import written_on
from hounsfield.verbs.deidentify.matching import Identity, Kind
from hounsfield.verbs.deidentify.profile import Profile, dictionary_vr

LONGEST_SHIFT_DAYS = 3650
"""Dates move back by up to ten years, never forward: nothing then lies in the future."""

_DAYS_OF_DEVICES = frozenset(
    {
        "DateOfLastCalibration",
        "DateTimeOfLastCalibration",
        "DateOfLastDetectorCalibration",
        "DateOfManufacture",
        "DateOfInstallation",
    }
)
_OWN_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")
_DELIMITERS = 0xFFFE
_SHORTEST_UID = 10  # characters; a shorter one is a version or a measure
_PERSONS = frozenset({"PersonIdentificationCodeSequence", "ContentCreatorIdentificationCodeSequence"})
"""Codes that stand for a person: their value is a number, their meaning a name."""

_DATE = re.compile(r"\d{8}")


class Pseudonyms:
    """Pseudonyms for identities under one key."""

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


@dataclass(frozen=True)
class Identities:
    """The identities in an object, with their text in other readings than the one that it is given.

    - `sought`: the same for all objects of a study, as far as they say the same
    - `uids`: those of the object itself; a profile that keeps UIDs has none
    - `readings`: by data set and tag, what the bytes of a text may say besides; where they are ASCII, nothing
    - `is_mislabelled`: text is not in the character set that the file names
    """

    sought: frozenset[Identity]
    uids: tuple[str, ...]
    readings: Mapping[tuple[int, int], tuple[Reading, ...]]
    is_mislabelled: bool


def collect(dataset: Dataset, profile: Profile) -> Identities:
    """Read all of `dataset`, whose text is given its likeliest reading, before anything in it is changed."""
    decision = decide_texts(dataset)
    found = _Collector(profile, decision.used if decision.is_certain else "")
    found.data_set(dataset, ())
    uids = () if profile.uids else tuple(str(dataset.get(name) or "").strip() for name in _OWN_UIDS)
    uids = tuple(uid for uid in uids if len(uid) >= _SHORTEST_UID)
    return Identities(frozenset(found.sought), uids, found.readings, found.is_mislabelled)


class _Collector:
    """Goes through a data set with its sequences once."""

    def __init__(self, profile: Profile, decided: str = "") -> None:
        self.profile, self.decided = profile, decided
        self.sought: set[Identity] = set()
        self.readings: dict[tuple[int, int], tuple[Reading, ...]] = {}
        self.is_mislabelled = False

    def data_set(self, dataset: Dataset, label: Sequence[str], *, of_person: bool = False) -> None:
        if "SpecificCharacterSet" in dataset or not label:
            label = convert_encodings(dataset.get("SpecificCharacterSet"))
        for tag in list(dataset.keys()):
            if tag.group == _DELIMITERS:
                del dataset[tag]  # a stray item tag, which is no element
                continue
            raw = dataset.get_item(tag)
            content = raw.value if isinstance(raw, RawDataElement) else None
            element = dataset[tag]
            if element.VR == "SQ":
                for item in element.value or ():
                    self.data_set(item, label, of_person=element.keyword in _PERSONS)
                continue
            if isinstance(content, bytes) and element.VR in TEXT and _is_foreign(content):
                self._reread(dataset, element, content, label)
            kind = self._kind(element, of_person)
            if kind is not None:
                self._take(kind, dataset, element)

    def _reread(self, dataset: Dataset, element: DataElement, content: bytes, label: Sequence[str]) -> None:
        found = tuple(
            Reading(text.rstrip("\0 "), encoding) for text, encoding in readings(content, label, self.decided)
        )
        self.readings[id(dataset), int(element.tag)] = found
        if element.VR in LOCALIZED and not is_as_labelled(found[0], label):
            self.is_mislabelled = True
            is_one = element.VR in ("LT", "ST", "UT")
            element.value = found[0].text if is_one else found[0].text.split("\\")

    def _kind(self, element: DataElement, of_person: bool) -> Kind | None:
        """Return what the value of an element is to somebody's identity; None for nothing, or where an option keeps
        it.
        """
        keyword, vr = element.keyword, dictionary_vr(int(element.tag))
        # A name is one by the dictionary too, whatever VR the file gives it.
        if element.VR == "PN" or vr == "PN" or (of_person and keyword == "CodeMeaning"):
            return "name"
        found = kinds().get(keyword)
        if found == "date":
            return found
        if "DA" in (element.VR, vr) or "DT" in (element.VR, vr):
            is_sought = self.profile.dates != "keep" and keyword not in _DAYS_OF_DEVICES
            return "date" if is_sought else None
        if of_person and keyword == "CodeValue":
            return "number"
        is_kept = found is not None and self.profile.action(int(element.tag), keyword, element.VR)[1]
        return None if is_kept else found

    def _take(self, kind: Kind, dataset: Dataset, element: DataElement) -> None:
        values = texts(element)
        for reading in self.readings.get((id(dataset), int(element.tag)), ()):
            values += reading.text.split("\\")
        for value in filter(None, map(str.strip, values)):
            # A day without its time, so that all objects of a series look for the same.
            day = written_on(value) if kind == "date" else None
            self.sought.add(Identity(kind, value if day is None else f"{day:%Y%m%d}"))


@lru_cache
def kinds() -> Mapping[str, Kind]:
    """The attributes of `identities.txt` by keyword."""
    found: dict[str, Kind] = {}
    kind: Kind = "number"
    for line in (
        files("hounsfield.verbs.deidentify").joinpath("identities.txt").read_text("utf-8").splitlines()
    ):
        if line.startswith("["):
            kind = cast("Kind", line.strip("[]"))
        elif not line.startswith("#"):
            found |= dict.fromkeys(line.split(), kind)
    return MappingProxyType(found)


def _is_foreign(content: bytes) -> bool:
    return not content.isascii() or b"\x1b" in content


def texts(element: Any) -> list[str]:
    """An element's values as text, [] for one that holds none."""
    if element.VR not in TEXT or element.value is None:
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
