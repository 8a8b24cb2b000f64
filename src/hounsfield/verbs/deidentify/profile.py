"""The profile: what is done to each attribute, and the options that change it. PS3.15 Annex E, as data.

The table is `actions.txt`; what it does not name is treated by its VR, more strictly than the standard asks: dates,
times, persons' names and long free text go, UIDs are replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from types import MappingProxyType
from typing import Literal

from pydicom import config
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.uid import UID

from hounsfield.errors import UnsupportedError
from hounsfield.language import say

Action = Literal["X", "Z", "D", "U", "K"]
Dates = Literal["remove", "shift", "keep"]

KEPT_UIDS = frozenset(
    {
        "SOPClassUID",
        "ReferencedSOPClassUID",
        "ReferencedRelatedGeneralSOPClassUIDInFile",
        "RelatedGeneralSOPClassUID",
        "OriginalSpecializedSOPClassUID",
        "MediaStorageSOPClassUID",
        "TransferSyntaxUID",
        "CodingSchemeUID",
        "ContextUID",
        "MappingResourceUID",
        "AvailableTransferSyntaxUID",
    }
)
"""UIDs that say what something is, never which."""


KEPT_TEXTS = frozenset({"LongCodeValue", "URNCodeValue", "CodeMeaning"})
"""Long text or addresses that are codes."""

_BY_VR: Mapping[str, Action] = {
    "DA": "X",
    "DT": "X",
    "TM": "X",
    "PN": "X",
    "LT": "X",
    "ST": "X",
    "UC": "X",
    "UT": "X",
    "UR": "X",
    "UI": "U",
}

_CODES = {
    "basic": ("113100", "Basic Application Confidentiality Profile"),
    "descriptions": ("113105", "Clean Descriptors Option"),
    "keep": ("113106", "Retain Longitudinal Temporal Information Full Dates Option"),
    "shift": ("113107", "Retain Longitudinal Temporal Information Modified Dates Option"),
    "patient": ("113108", "Retain Patient Characteristics Option"),
    "device": ("113109", "Retain Device Identity Option"),
    "uids": ("113110", "Retain UIDs Option"),
    "safe_private": ("113111", "Retain Safe Private Option"),
    "institution": ("113112", "Retain Institution Identity Option"),
}
"""PS3.16 CID 7050."""


@dataclass(frozen=True)
class Rule:
    """A row of the profile: what the basic profile does, and the option that keeps it instead, "" for none."""

    action: Action
    option: str = ""


@dataclass(frozen=True)
class Profile:
    """The basic profile with the options of PS3.15 E.3 that are wanted.

    - `dates`: "remove"; "shift": by a whole number of days, one for each patient; "keep"
    - `descriptions`: keep them, without what identifies the patient, the people and the place
    - `device`, `institution`, `patient` (age, sex, size, weight): keep what identifies or describes these
    - `uids`: keep them all
    - `safe_private`: keep the private attributes that the standard lists as safe (PS3.15 E.3.10)
    - `include`: objects that would be left out, by SOP class (UID or keyword), modality, Image Type or Conversion Type
    """

    dates: Dates = "remove"
    descriptions: bool = False
    device: bool = False
    institution: bool = False
    patient: bool = False
    uids: bool = False
    safe_private: bool = False
    include: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.dates not in ("remove", "shift", "keep"):
            raise UnsupportedError(
                say("dates={dates}", dates=repr(self.dates)), expected="remove, shift or keep"
            )

    @property
    def keeps_dates(self) -> bool:
        """Return whether dates stay, moved or not."""
        return self.dates != "remove"

    @property
    def codes(self) -> tuple[tuple[str, str], ...]:
        """(value, meaning) of the profile and each option, for Deidentification Method Code Sequence (0012,0064)."""
        chosen = [
            name for name in _CODES if name in ("basic", self.dates) or getattr(self, name, False) is True
        ]
        return tuple(_CODES[name] for name in chosen)

    def action(self, tag: int, keyword: str, vr: str) -> tuple[Action, str]:
        """Return what to do with a public attribute, and the option that kept it, if one did. Dates are found by
        `dates`.
        """
        if vr in ("DA", "DT", "TM"):
            if self.keeps_dates and keyword not in _NEVER_KEPT_DATES:
                return "K", self.dates
            # No other option keeps a date, whatever it is about.
            return table().get(tag, Rule("X")).action, ""
        if vr == "UI":
            return self._uid_action(tag, keyword)
        rule = table().get(tag)
        if rule is not None:
            kept = bool(rule.option) and getattr(self, _OPTIONS[rule.option])
            return ("K", _OPTIONS[rule.option]) if kept else (rule.action, "")
        return ("K" if keyword in KEPT_TEXTS else _BY_VR.get(vr, "K")), ""

    def _uid_action(self, tag: int, keyword: str) -> tuple[Action, str]:
        if keyword in KEPT_UIDS:
            return "K", ""
        if self.uids:
            return "K", "uids"
        rule = table().get(tag)
        if rule is not None and not (rule.option and getattr(self, _OPTIONS[rule.option])):
            return rule.action, ""
        return "U", ""


_OPTIONS = {
    "dates": "keeps_dates",
    "desc": "descriptions",
    "device": "device",
    "institution": "institution",
    "patient": "patient",
}
_NEVER_KEPT_DATES = frozenset({"PatientBirthDate", "PatientBirthTime", "GPSDateStamp", "GPSTimeStamp"})
"""Attributes that the options for dates do not keep: PS3.15 Table E.1-1 has no K for it."""


@lru_cache
def table() -> Mapping[int, Rule]:
    """Every attribute of `actions.txt` by its tag."""
    rules: dict[int, Rule] = {}
    rule = Rule("X")
    for line in files("hounsfield.verbs.deidentify").joinpath("actions.txt").read_text("utf-8").splitlines():
        if line.startswith("["):
            action, _, option = line.strip("[]").partition(" ")
            rule = Rule(action, option)  # type: ignore[arg-type]
        elif not line.startswith("#"):
            for keyword in line.split():
                tag = tag_for_keyword(keyword)
                if tag is not None:
                    rules[tag] = rule
    return MappingProxyType(rules)


@lru_cache(maxsize=8192)
def is_standard_uid(uid: str) -> bool:
    """Return whether PS3.6 registers it: it says what something is, never which. Its root alone does not: others use
    it.
    """
    return bool(UID(uid.strip(), validation_mode=config.IGNORE).type)


@lru_cache(maxsize=8192)
def dictionary_vr(tag: int) -> str | None:
    """The VR of a public attribute by PS3.6, None for one that is not there."""
    try:
        return dictionary_VR(tag)
    except KeyError:
        return None
