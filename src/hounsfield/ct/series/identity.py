"""Whose slices are, and of which study and series: what no volume may hold two of (ct_traps 60).

A Series Instance UID should say it all (PS3.3 C.7.3.1); but one constant put in by an anonymiser is shared by patients,
and some writers leave it out. So patient, study and Series Number are asked too. What one slice lacks and all others
agree on is no other series.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from hounsfield.ct.instance import Header
from hounsfield.ct.instance.header import ATTRIBUTES
from hounsfield.language.reasons import Reason, reason


class Identity(NamedTuple):
    """The identity that one slice states, "" for nothing; `description` only where there is no series UID."""

    uid: str
    patient_id: str
    patient_name: str
    study: str
    number: str
    description: str


_KEYWORDS = (
    "SpecificCharacterSet",
    "SeriesInstanceUID",
    "PatientID",
    "PatientName",
    "StudyInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
)
_TAGS = tuple(ATTRIBUTES[keyword][0] for keyword in _KEYWORDS)
_WORDS = {"patient_id": "patient", "patient_name": "patient", "study": "study", "number": "series"}
_NAMES = {
    "patient_id": "Patient ID (0010,0020)",
    "patient_name": "Patient's Name (0010,0010)",
    "study": "Study Instance UID (0020,000D)",
    "number": "Series Number (0020,0011)",
}


class Identities:
    """Identities of headers, each different set of bytes decoded once: the hundred thousand of a scan are few."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes | None, ...], Identity] = {}

    def of(self, header: Header) -> Identity:
        """The identity that a header states."""
        values = header.values
        raw = tuple([values.get(tag) for tag in _TAGS])
        known = self._known.get(raw)
        if known is None:
            known = self._known[raw] = _identity(header)
        return known


def _identity(header: Header) -> Identity:
    uid = header.text("SeriesInstanceUID")
    number = header.integer("SeriesNumber")
    return Identity(
        uid=uid,
        patient_id=header.text("PatientID"),
        patient_name=header.text("PatientName").rstrip("^= ").casefold(),
        study=header.text("StudyInstanceUID"),
        number=header.text("SeriesNumber") if number is None else str(number),
        description="" if uid else header.text("SeriesDescription"),
    )


def completed(identities: Iterable[Identity]) -> Mapping[Identity, Identity]:
    """Each identity with its blanks filled from the only other one that agrees with all that it does say."""
    different = list(dict.fromkeys(identities))
    found: dict[Identity, Identity] = {}
    for one in different:
        fuller = [other for other in different if other != one and _agrees(one, other)]
        found[one] = fuller[0] if len(fuller) == 1 else one
    return found


def _agrees(one: Identity, other: Identity) -> bool:
    """Return whether `other` says all that `one` says and more. Slices without a series UID are never given one."""
    return one.uid == other.uid and all(a in ("", b) for a, b in zip(one, other, strict=True))


def labels(identities: Iterable[Identity]) -> Mapping[Identity, str]:
    """Label identities of one Series Instance UID, as " patient 2", without naming anybody; "" for a single one."""
    different = sorted(set(identities))
    found = dict.fromkeys(different, "")
    for name, word in _WORDS.items():
        values = sorted({getattr(one, name) for one in different})
        if len(values) == 1 or len(set(found.values())) == len(different):
            continue
        for one in different:
            value = getattr(one, name)
            said = (value or "?") if name == "number" else str(values.index(value) + 1)
            found[one] += f" {word} {said}"
    return found


def notes(one: Identity, identities: Iterable[Identity]) -> tuple[Reason, ...]:
    """Notes on how a series was separated from the others under its UID."""
    if not one.uid:
        return (reason("no-series-uid"),)
    different = set(identities)
    counts = {name: len({getattr(other, name) for other in different}) for name in _NAMES}
    return tuple(
        reason("shared-uid", count=count, name=_NAMES[name]) for name, count in counts.items() if count > 1
    )
