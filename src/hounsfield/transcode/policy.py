"""Policies: rules in a TOML file, of which the first that matches an image decides.

::

    [[rule]]
    name = "old chest CT"                 # for people
    modality = "CT"                       # Modality (0008,0060)
    body_part = ["CHEST", "LUNG"]         # Body Part Examined (0018,0015); "" where there is none
    sop_class = "CT Image Storage"        # by name, keyword or UID
    older_than = "5 years"                # of the study, by Study Date (0008,0020); or newer_than
    to = "jpeg2000-lossy"                 # a keyword or UID of a syntax, "auto", or "keep"
    ratio = 8                             # or max_error (HU), or quality: one of them, for a lossy syntax

Every condition may be left out, and may be a list. What no rule matches stays as it is. As with `auto`, an image that
its rule's syntax does not hold takes the best lossless one that holds it, one that is lossy already is not coded with
loss again, and one that would not become smaller stays as it is.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Any

from hounsfield.ct.instance import Header
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import HounsfieldError, LocationError, MalformedError, SelectionError
from hounsfield.language import say
from hounsfield.transcode.target import Choice, Target

_CONDITIONS = ("modality", "body_part", "sop_class", "older_than", "newer_than")
_GOALS = ("ratio", "max_error", "quality")
_KNOWN = frozenset({"name", "to", "effort", *_CONDITIONS, *_GOALS})
_AGE = re.compile(r"\s*(\d{1,4})\s*(day|month|year)s?\s*", re.IGNORECASE)
_UID = re.compile(r"[0-9.]+")


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: conditions that must all hold, empty ones always do; `target` None keeps the image as it is.

    `older_than` and `newer_than` are counts of months and of days before today.
    """

    target: Target | None
    name: str = ""
    modality: frozenset[str] = frozenset()
    body_part: frozenset[str] = frozenset()
    sop_class: frozenset[str] = frozenset()
    older_than: tuple[int, int] | None = None
    newer_than: tuple[int, int] | None = None

    @property
    def matches_all(self) -> bool:
        return not (self.modality or self.body_part or self.sop_class or self.older_than or self.newer_than)

    def matches(self, header: Header, today: date) -> bool:
        """Return whether it is for this image. An image whose study has no date is neither older nor newer."""
        for allowed, keyword in (
            (self.modality, "Modality"),
            (self.body_part, "BodyPartExamined"),
            (self.sop_class, "SOPClassUID"),
        ):
            if allowed and header.text(keyword).upper() not in allowed:
                return False
        if self.older_than is None and self.newer_than is None:
            return True
        studied = _date(header.text("StudyDate"))
        if studied is None:
            return False
        is_old_enough = self.older_than is None or studied < before(today, *self.older_than)
        return is_old_enough and (self.newer_than is None or studied >= before(today, *self.newer_than))


@dataclass(frozen=True)
class Policy:
    """The rules in their order; `rows` are those of the file, for a ledger. `today` decides on ages."""

    rules: tuple[Rule, ...]
    rows: tuple[Mapping[str, Any], ...] = field(default=(), compare=False, repr=False)
    today: date = field(default_factory=date.today)

    def choice_for(self, header: Header, *, lossy_before: bool = False) -> Choice:
        """Return what becomes of an image; as of `Target.chosen_for`."""
        for number, rule in enumerate(self.rules, start=1):
            if rule.matches(header, self.today):
                if rule.target is None:
                    return Choice(None, f"kept by {rule.name or f'rule {number}'} of the policy")
                return rule.target.chosen_for(header, lossy_before=lossy_before)
        return Choice(None, "no rule of the policy is for it")


def policy_target(
    name: str | Path, *, extended_offsets: bool | None = None, today: date | None = None
) -> Target:
    """The target that the policy in a file, or one that is shipped, makes. Errors as of `read_policy`."""
    rules = read_policy(name, extended_offsets=extended_offsets)
    return Target(None, extended_offsets=extended_offsets, policy=Policy(*rules, today or date.today()))


def shipped_policies() -> dict[str, str]:
    """Name → text of the policies that come with this package; none is used unless it is asked for."""
    folder = resources.files("hounsfield.transcode").joinpath("policies")
    return {
        item.name.removesuffix(".toml"): item.read_text("utf-8")
        for item in sorted(folder.iterdir(), key=lambda item: item.name)
        if item.name.endswith(".toml")
    }


def read_policy(
    name: str | Path, *, extended_offsets: bool | None = None
) -> tuple[tuple[Rule, ...], tuple[Mapping[str, Any], ...]]:
    """The rules in a file, or of a shipped policy by its name, and what they say.

    Raises `LocationError`, `MalformedError` for what is no TOML, `SelectionError` for a rule that cannot be.
    """
    try:
        found = tomllib.loads(_text(name))
    except tomllib.TOMLDecodeError as error:
        raise MalformedError(say("is no TOML: {error}", error=error), where=str(name)) from error
    rules = found.pop("rule", None)
    if found or not isinstance(rules, list) or not rules or not all(isinstance(rule, dict) for rule in rules):
        odd = f"{', '.join(map(repr, found))} in it" if found else "no rule in it"
        raise SelectionError(odd, expected="tables called [[rule]] and nothing else", where=str(name))
    made: list[Rule] = []
    for number, row in enumerate(rules, start=1):
        try:
            if made and made[-1].matches_all:
                raise SelectionError("is never reached, since the rule before it is for every image")
            made.append(_rule(row, extended_offsets))
        except HounsfieldError as error:
            error.at(say("{name}: rule {number}", name=name, number=number))
            raise
    return tuple(made), tuple(rules)


def _text(name: str | Path) -> str:
    path = Path(name)
    if path.is_file():
        try:
            return path.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise LocationError(say("cannot be read: {error}", error=error), where=str(name)) from error
    shipped = shipped_policies()
    if str(name) not in shipped:
        raise LocationError(
            "is neither a file nor a policy that is shipped",
            expected=say("a TOML file, or one of {listed}", listed=", ".join(shipped)),
            where=str(name),
        )
    return shipped[str(name)]


def _rule(row: Mapping[str, Any], extended_offsets: bool | None) -> Rule:
    unknown = sorted(set(row) - _KNOWN)
    if unknown:
        raise SelectionError(
            say("{unknown} is no part of a rule", unknown=repr(unknown[0])),
            expected=", ".join(sorted(_KNOWN)),
        )
    return Rule(
        _target(row, extended_offsets),
        str(row.get("name", "")),
        _texts(row, "modality"),
        _texts(row, "body_part"),
        frozenset(map(_sop_class, _texts(row, "sop_class"))),
        _age(row, "older_than"),
        _age(row, "newer_than"),
    )


def _target(row: Mapping[str, Any], extended_offsets: bool | None) -> Target | None:
    to = row.get("to")
    if not isinstance(to, str):
        raise SelectionError("it does not say what to make", expected='to = "SYNTAX", "auto" or "keep"')
    goals: dict[str, Any] = {key: _number(row, key) for key in (*_GOALS, "effort") if key in row}
    if to in ("keep", "auto") and goals:
        raise SelectionError(
            say("{next} makes no sense with {to}", next=next(iter(goals)), to=repr(to)),
            remedy="name a syntax, or leave it out",
        )
    if to == "keep":
        return None
    if to == "auto":
        return Target(None, extended_offsets=extended_offsets)
    syntax = transfer_syntax(to)
    effort = int(goals.pop("effort", 1))
    Target(syntax, effort=effort, **goals)  # says what is wrong with the two together
    # As a table of one entry, so that what `auto` does for what a syntax does not hold is done here too.
    return Target(None, effort=effort, extended_offsets=extended_offsets, auto={"": syntax.keyword}, **goals)


def _number(row: Mapping[str, Any], key: str) -> float:
    value = row[key]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise SelectionError(f"{key} = {value!r}", expected="a number")
    return value


def _texts(row: Mapping[str, Any], key: str) -> frozenset[str]:
    value = row.get(key, [])
    values = value if isinstance(value, list) else [value]
    if not all(isinstance(each, str) for each in values) or (key in row and not values):
        raise SelectionError(f"{key} = {value!r}", expected="a text or a list of texts")
    return frozenset(each.strip().upper() for each in values)


def _sop_class(name: str) -> str:
    """The UID of a SOP Class that is given by UID, name or keyword."""
    from pydicom._uid_dict import UID_dictionary

    if _UID.fullmatch(name):
        return name
    for uid, (title, kind, _, _, keyword) in UID_dictionary.items():
        if kind == "SOP Class" and name in (title.upper(), keyword.upper()):
            return uid
    raise SelectionError(
        say("{name} is no SOP Class", name=repr(name)), expected="a UID, or a name such as CT Image Storage"
    )


def _age(row: Mapping[str, Any], key: str) -> tuple[int, int] | None:
    if key not in row:
        return None
    found = _AGE.fullmatch(row[key]) if isinstance(row[key], str) else None
    if found is None:
        raise SelectionError(
            f"{key} = {row[key]!r}", expected='an age such as "5 years", "18 months", "90 days"'
        )
    count, unit = int(found[1]), found[2].lower()
    ages: Mapping[str, Callable[[], tuple[int, int]]] = {
        "day": lambda: (0, count), "month": lambda: (count, 0), "year": lambda: (12 * count, 0),
    }  # fmt: skip
    return ages[unit]()


def before(today: date, months: int, days: int) -> date:
    """The day so many months, then days, before `today`; the last of a month where that has no such day."""
    month = today.year * 12 + today.month - 1 - months
    if month < 12:
        return date.min
    for day in range(today.day, 27, -1):
        try:
            found = date(month // 12, month % 12 + 1, day)
            break
        except ValueError:
            continue
    else:
        found = date(month // 12, month % 12 + 1, min(today.day, 28))
    return date.fromordinal(max(1, found.toordinal() - days))


def _date(text: str) -> date | None:
    digits = text.replace(".", "").strip()[:8]
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:8]))
    except ValueError:
        return None
