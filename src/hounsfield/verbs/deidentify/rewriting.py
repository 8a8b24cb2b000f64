"""One data set made anonymous in place: every attribute, in every item of every sequence.

Order: identities are collected first, then each attribute is treated by the profile, then whatever text is left is
searched for the identities and noted for the review; at the end the object says what was done to it (PS3.3
C.12.1.1.1, C.7.1.1).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import Any

from pydicom import Dataset
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement
from pydicom.sequence import Sequence
from pydicom.tag import Tag

from hounsfield.dicom.vr import BYTES, NUMERIC_TEXT, TEMPORAL, TEXT
from hounsfield.verbs.deidentify.charsets import Reading, readings
from hounsfield.verbs.deidentify.identity import Identities, Pseudonyms, collect, shifted, texts
from hounsfield.verbs.deidentify.matching import Matcher, matcher
from hounsfield.verbs.deidentify.needles import is_term
from hounsfield.verbs.deidentify.pixels import mask_unused_bits, trim_pixels
from hounsfield.verbs.deidentify.profile import Profile, dictionary_vr, is_standard_uid
from hounsfield.verbs.deidentify.review import Review

DUMMIES = {
    "AE": "ANONYMIZED",
    "AS": "000Y",
    "CS": "ANONYMIZED",
    "DA": "19000101",
    "DS": "0",
    "DT": "19000101000000",
    "IS": "0",
    "LO": "ANONYMIZED",
    "LT": "ANONYMIZED",
    "PN": "ANONYMIZED",
    "SH": "ANONYMIZED",
    "ST": "ANONYMIZED",
    "TM": "000000",
    "UC": "ANONYMIZED",
    "UR": "about:blank",
    "UT": "ANONYMIZED",
}
"""Dummy values, where something must stand (action D)."""

_REVIEWED = TEXT - NUMERIC_TEXT - TEMPORAL - {"UI"}
"""VRs whose text is listed for a person to read; the others hold numbers and codes."""

_SEARCHED_BYTES = 16 << 20

_ASCII = re.compile(r"[A-Za-z0-9]+")

_REMOVED_GROUPS = {0x0000, 0x0002, 0x0004, 0x4008, *range(0x5000, 0x5100), *range(0x6000, 0x6100)}
"""Commands, file meta and directories (no place of theirs is here), results, curves, overlays."""

_PIXELS = frozenset({0x7FE00001, 0x7FE00002, 0x7FE00008, 0x7FE00009, 0x7FE00010})
"""Elements written again as they are: pixels and where their frames begin."""

# Retired variable pixel data and coefficients: pictures that nobody looks at.
_REMOVED_GROUPS |= {*range(0x7F00, 0x7FE0)}
_REMOVED = frozenset({0x7FE00003, 0x7FE00020, 0x7FE00030, 0x7FE00040})
"""A length of pixels that may be another afterwards; coefficients."""

_CHARACTER_SET = 0x00080005
_TEMPORAL = {"remove": "REMOVED", "shift": "MODIFIED", "keep": "UNMODIFIED"}


@dataclass
class Rewriter:
    """De-identifies one object; made anew for each, since it knows that object's identities."""

    profile: Profile
    pseudonyms: Pseudonyms
    patient: str
    days: int
    identities: Identities
    matcher: Matcher
    counts: Counter[str] = field(default_factory=Counter)
    review: Review = field(default_factory=Review)

    @classmethod
    def of(cls, dataset: Dataset, profile: Profile, pseudonyms: Pseudonyms) -> Rewriter:
        """For `dataset`, before anything in it is changed."""
        identities = collect(dataset, profile)
        facts = (
            str(dataset.get(name, "") or "") for name in ("PatientID", "IssuerOfPatientID", "PatientName")
        )
        patient = pseudonyms.patient(*facts)
        days = pseudonyms.days(patient) if profile.dates == "shift" else 0
        return cls(profile, pseudonyms, patient, days, identities, matcher(identities.sought))

    def rewrite(self, dataset: Dataset) -> None:
        """All of it, and the attributes that tell so."""
        mask_unused_bits(dataset)
        self.counts["pixels trimmed"] += trim_pixels(dataset)
        self._treat(dataset, top=True)
        if self.identities.is_mislabelled:
            dataset.SpecificCharacterSet = "ISO_IR 192"
        dataset.PatientID = self.patient
        dataset.PatientName = self.patient
        self._declare(dataset)

    def _treat(self, dataset: Dataset, *, top: bool = False) -> None:
        for tag in list(dataset.keys()):
            if tag.is_private:
                self._private(dataset, tag)
            elif tag.group in _REMOVED_GROUPS or tag in _REMOVED or dictionary_vr(tag) is None:
                self._remove(dataset, tag)
            elif tag == _CHARACTER_SET and not top and self.identities.is_mislabelled:
                del dataset[tag]  # all text is written in one set
            elif tag in _PIXELS and not top:
                self._remove(dataset, tag)  # a picture within the object, which nobody looks at
            elif tag not in _PIXELS:
                self._public(dataset, dataset[tag])

    def _public(self, dataset: Dataset, element: DataElement) -> None:
        keyword = keyword_for_tag(element.tag)
        meant = dictionary_vr(element.tag)
        if (
            meant == "SQ" and element.VR != "SQ"
        ):  # its items could not be walked: nobody knows what is in them
            self._remove(dataset, element.tag)
            return
        action, option = self.profile.action(int(element.tag), keyword, element.VR)
        if action == "K" and not option and meant not in (None, element.VR):
            # A file may give a name or a date a harmless VR.
            action, option = self.profile.action(int(element.tag), keyword, str(meant))
        if keyword in ("PatientName", "PatientID"):
            # Not emptied, as PS3.15 E.1.1 allows: patients stay apart, in references in items too.
            element.value = self.patient
        elif action == "X":
            self._remove(dataset, element.tag)
        elif action == "Z":
            self.counts["emptied"] += 1
            element.value = Sequence() if element.VR == "SQ" else None
        elif action == "D":
            self.counts["dummy"] += 1
            self._dummy(element)
        elif action == "U":
            self._replace_uids(element)
        elif option == "shift" and element.VR in ("DA", "DT"):
            self._shift(element)
        elif element.VR == "SQ":
            for item in element.value or ():
                self._treat(item)
        else:
            self._sweep(dataset, element)

    def _private(self, dataset: Dataset, tag: Any) -> None:
        """Safe ones stay with their creator; all others go."""
        if self.profile.safe_private:
            if tag.is_private_creator:
                used = any(
                    other.group == tag.group
                    and other.element >> 8 == tag.element
                    and _is_safe(dataset, other)
                    for other in dataset.keys()  # noqa: SIM118 (a data set iterates over its elements)
                )
                if used:
                    return
            elif _is_safe(dataset, tag):
                self.counts["kept private"] += 1
                self._sweep(dataset, dataset[tag])
                return
        self._remove(dataset, tag, "removed private")

    def _remove(self, dataset: Dataset, tag: Any, how: str = "removed") -> None:
        self.counts[how] += 1
        del dataset[tag]

    def _dummy(self, element: DataElement) -> None:
        if element.VR == "SQ":
            for item in element.value or ():
                for inner in list(item):
                    if inner.tag.is_private:
                        del item[inner.tag]
                    else:
                        self._dummy(inner)
        elif element.VR == "UI":
            self._replace_uids(element)
        else:
            element.value = DUMMIES.get(element.VR)

    def _replace_uids(self, element: DataElement) -> None:
        if element.value is None or element.VM == 0:
            return
        self.counts["UIDs replaced"] += 1
        values = [str(value) for value in (element.value if element.VM > 1 else [element.value])]
        new = [uid if is_standard_uid(uid) or not uid else self.pseudonyms.uid(uid) for uid in values]
        element.value = new if len(new) > 1 else new[0]

    def _shift(self, element: DataElement) -> None:
        self.counts["dates shifted"] += 1
        values = [str(value) for value in (element.value if element.VM > 1 else [element.value or ""])]
        moved = [shifted(value, self.days) for value in values]
        element.value = moved if len(moved) > 1 else moved[0]

    def _sweep(self, dataset: Dataset, element: DataElement) -> None:
        """Text that is kept, with no identity left in it; bytes in which there is one go as a whole."""
        if element.VR in BYTES:
            if self._is_in(element.value):
                self._remove(dataset, element.tag)
            return
        name = keyword_for_tag(element.tag) or str(element.tag)
        values = texts(element) if element.VR in TEXT else []
        cleaned = [self._clean(value, element.VR) for value in values]
        found = self.identities.readings.get((id(dataset), int(element.tag)), ())
        if found and self._is_in_other_reading("\\".join(cleaned), _encoding("\\".join(values), found)):
            cleaned = [""] * len(values)
        if cleaned != values:
            self.counts["cleaned"] += 1
            self.review.taken_out[name] += 1
            element.value = cleaned if len(cleaned) > 1 else cleaned[0]
        if element.VR in _REVIEWED:
            for value, before in zip(cleaned, values, strict=True):
                self.review.note(name, value, cleaned=value != before)

    def _is_in_other_reading(self, text: str, encoding: str) -> bool:
        """Return whether what is left of a text names somebody to a reader who believes in another character set."""
        if text.isascii():
            return False
        try:
            others = readings(text.encode(encoding), (encoding,))
        except (UnicodeEncodeError, LookupError):
            return True
        # Their ASCII is that of the text itself.
        return any(self.matcher.finds(_ASCII.sub("|", other.text)) for other in others if other.text != text)

    def _clean(self, value: str, vr: str) -> str:
        """`value` without what identifies; where a part of it means nothing, or something else, none of it."""
        for uid in self.identities.uids:
            value = value.replace(uid, "")
        if vr in NUMERIC_TEXT or vr in TEMPORAL:
            is_found = self.matcher.finds_in_number(value, is_identifier=vr in NUMERIC_TEXT)
            return "" if is_found else value
        if vr == "UI":
            if self.profile.uids:
                return value
            # Another UID of a class or a context is not made up: whoever reads it would look for it.
            return value if is_standard_uid(value) or not self.matcher.finds(value) else ""
        if vr == "CS":
            return value if is_term(value) or not self.matcher.finds(value) else ""
        return self.matcher.clean(value)

    def _is_in(self, content: Any) -> bool:
        """Return whether an identity could be read out of these bytes; what is too long to search counts."""
        if not isinstance(content, (bytes, bytearray)):
            return False
        if len(content) > _SEARCHED_BYTES or any(uid.encode() in content for uid in self.identities.uids):
            return True
        return self.matcher.finds_in_bytes(bytes(content))

    def _declare(self, dataset: Dataset) -> None:
        """PS3.15 E.1.1: what was done, by text and by codes."""
        dataset.PatientIdentityRemoved = "YES"
        dataset.DeidentificationMethod = _method()
        items = []
        for value, meaning in self.profile.codes:
            item = Dataset()
            item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "DCM", meaning
            items.append(item)
        dataset.DeidentificationMethodCodeSequence = Sequence(items)
        dataset.LongitudinalTemporalInformationModified = _TEMPORAL[self.profile.dates]


@lru_cache
def _method() -> str:
    return f"hounsfield {version('hounsfield')}: PS3.15 Annex E"


def _encoding(text: str, found: tuple[Reading, ...]) -> str:
    """The codec by which it is `text` that was read."""
    return next((reading.encoding for reading in found if reading.text == text), found[0].encoding)


@lru_cache
def safe_private() -> frozenset[tuple[str, int, int]]:
    """(creator, group, element's last byte) of `safe_private.txt`."""
    rows = set()
    for line in (
        files("hounsfield.verbs.deidentify").joinpath("safe_private.txt").read_text("utf-8").splitlines()
    ):
        if not line.startswith("#"):
            creator, group, elements = (part.strip() for part in line.split("|"))
            rows |= {(creator, int(group, 16), int(element, 16)) for element in elements.split()}
    return frozenset(rows)


def _is_safe(dataset: Dataset, tag: Any) -> bool:
    if not tag.is_private or tag.is_private_creator or tag.element < 0x1000:
        return False
    creator = dataset.get(Tag(tag.group, tag.element >> 8))
    name = "" if creator is None else str(creator.value).strip()
    return (name, tag.group, tag.element & 0xFF) in safe_private()
