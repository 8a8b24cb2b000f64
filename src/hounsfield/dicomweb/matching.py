"""The matching of search values (PS3.4 C.2.2.2) against values as text: single, list, wildcard, range, universal,
and where a query wants them empty and multiple value matching.

One meaning for the folder search of the command line and for a server that has no better index.
"""

from __future__ import annotations

import datetime
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from hounsfield.dicom.vr import NUMBERS, SINGLE_VALUE, TEMPORAL, TEXT
from hounsfield.dicomweb.attributes import items, may_have_several, values, vr_of
from hounsfield.dicomweb.queries import Query
from hounsfield.errors import DicomwebError
from hounsfield.language import say

Matcher = Callable[[str], bool]

_NUMBERS = frozenset({"IS", "DS", *NUMBERS})
_ALTERNATIVES = frozenset({"ModalitiesInStudy", "Modality", "SOPClassesInStudy"})
_DIGITS = {"DA": 8, "TM": 6, "DT": 14}
_SEVERAL = (TEXT - SINGLE_VALUE - TEMPORAL - {"DS", "IS", "UI"}) | {"AT"}
_WITHOUT_COMMAS = frozenset({"AS", "AT", "CS"})
_PLAIN = Query()


MAX_MATCHED = 64 * 1024
"""Characters of a value that are matched."""

EMPTY = '""'
"""The value of a key that asks for an attribute that is absent or empty, where a query says that it may (C.2.2.2.7)."""


def matches(query: Query, model: Mapping[str, Any]) -> bool:
    """Return whether a DICOM JSON object has everything `query` asks for; its page and fields play no part."""
    return matches_all(query, query.matches, model)


def matches_all(query: Query, asked: Sequence[tuple[str, str]], model: Mapping[str, Any]) -> bool:
    """Return whether `model` has all that is `asked`; what lies in one sequence is met by one item (C.2.2.2.6)."""
    within: dict[str, list[tuple[str, str]]] = {}
    for name, value in asked:
        step, _, rest = name.partition(".")
        if is_universal(value):
            continue
        if rest:
            within.setdefault(step, []).append((rest, value))
        elif not value_matches(value, values(model, name), vr=vr_of(name), name=name, query=query):
            return False
    return all(
        any(matches_all(query, inner, item) for item in items(model, step) or ({},))
        for step, inner in within.items()
    )


def is_universal(asked: str) -> bool:
    """Return whether a value matches everything, an absent attribute included (C.2.2.2.3)."""
    return asked.strip() in {"", "*"}


def value_matches(
    asked: str, found: Sequence[str], *, vr: str, name: str = "", query: Query = _PLAIN
) -> bool:
    """Return whether any of the values `found` of an attribute of VR `vr` is what `asked` describes.

    `query` says how: fuzzy, and with empty or multiple value matching.
    """
    if is_universal(asked):
        return True
    if query.match_empty and asked.strip() == EMPTY:
        return not any(value.strip() for value in found)
    every = several_asked(query, name, asked, vr)
    if len(every) > 1:
        single = replace(query, match_multiple=False)
        return all(value_matches(each, found, vr=vr, name=name, query=single) for each in every)
    alternatives = name.rpartition(".")[2] in _ALTERNATIVES
    matcher = _matcher(asked, vr, fuzzy=bool(query.fuzzy), alternatives=alternatives)
    return any(matcher(value) for value in found)


def several_asked(query: Query, name: str, asked: str, vr: str) -> list[str]:
    """The values each of which an attribute must have: more than one only by multiple value matching (C.2.2.2.8).

    They are parted by backslashes, or by commas where the VR has none.
    """
    if not query.match_multiple or vr not in _SEVERAL or not name or not may_have_several(name):
        return [asked]
    text = asked.replace(",", "\\") if vr in _WITHOUT_COMMAS else asked
    return [part.strip() for part in text.split("\\") if part.strip()]


def _matcher(asked: str, vr: str, *, fuzzy: bool, alternatives: bool) -> Matcher:
    if vr == "UI":
        wanted = {each.strip() for each in asked.replace("\\", ",").split(",")}
        return lambda value: value.strip() in wanted
    if vr in TEMPORAL:
        return _range(asked, vr)
    if vr in _NUMBERS:
        return _number(asked)
    if vr == "PN":
        return _fuzzy_name(asked) if fuzzy else _name(asked)
    patterns = _patterns(asked, alternatives=alternatives)
    return lambda value: any(glob(pattern, value[:MAX_MATCHED].strip()) for pattern in patterns)


def values_asked(name: str, asked: str) -> list[str]:
    """The patterns, any of which a plain text attribute may match."""
    return _patterns(asked, alternatives=name.rpartition(".")[2] in _ALTERNATIVES)


def _patterns(asked: str, *, alternatives: bool) -> list[str]:
    parts = asked.replace("\\", ",").split(",") if alternatives else asked.split("\\")
    return [part.strip() for part in parts]


def glob(pattern: str, text: str) -> bool:
    """`*` any run, `?` any one character, every other character itself.

    Each run between stars is looked for once, from where the one before it ended: no pattern takes long.
    """
    first, *others = pattern.split("*")
    if not others:
        return len(text) == len(first) and _fits(first, text, 0)
    *middle, last = others
    start, stop = len(first), len(text) - len(last)
    if start > stop or not _fits(first, text, 0) or not _fits(last, text, stop):
        return False
    for run in filter(None, middle):
        start = _found(run, text, start, stop)
        if start < 0:
            return False
    return True


def _fits(run: str, text: str, at: int) -> bool:
    """Return whether `run` stands at a place of `text`."""
    if "?" not in run:
        return text.startswith(run, at)
    return len(run) <= len(text) - at and all(
        mark in {"?", character} for mark, character in zip(run, text[at : at + len(run)], strict=True)
    )


def _found(run: str, text: str, start: int, stop: int) -> int:
    """Return where the first `run` between two places ends; −1 for nowhere."""
    if "?" not in run:
        at = text.find(run, start, stop)
        return at + len(run) if at >= 0 else -1
    expression = "".join("." if mark == "?" else re.escape(mark) for mark in run)
    found = re.compile(expression, re.DOTALL).search(text, start, stop)
    return found.end() if found else -1


def folded(text: str) -> str:
    """Without case and accents, as names are compared (PS3.4 C.2.2.2.1)."""
    plain = unicodedata.normalize("NFKD", text)
    return "".join(each for each in plain if not unicodedata.combining(each)).casefold()


NAME_MARKS = "^ ,"
"""Marks between the parts of a name, which people leave out or write otherwise."""

_UNMARKED = str.maketrans("", "", NAME_MARKS)


def unmarked(asked: str) -> str:
    """A name as it is typed by what is shown, folded and without marks between its parts; "" where the marks count.

    So 张三丰 is 张^三丰 and 张　三丰, and zhangsanfeng is ZHANG^SAN FENG. Whoever writes `^` means the components.
    """
    return "" if set(asked) & set("^=") else folded(asked).translate(_UNMARKED)


def _name(asked: str) -> Matcher:
    pattern, loose = folded(asked).rstrip("^= "), unmarked(asked)

    def fits(value: str) -> bool:
        whole = folded(value).rstrip("^= ")
        groups = whole.split("=")
        if any(glob(pattern, group.rstrip("^ ")) for group in (whole, *groups)):
            return True
        return bool(loose.strip("*")) and any(glob(loose, group.translate(_UNMARKED)) for group in groups)

    return fits


def _fuzzy_name(asked: str) -> Matcher:
    """Every word asked begins a word of the name, in any order; or all of it a representation of the name."""
    wanted, loose = words(asked), unmarked(asked).rstrip("*")

    def fits(value: str) -> bool:
        if all(any(word.startswith(each) for word in words(value)) for each in wanted):
            return True
        groups = folded(value).split("=")
        return bool(loose) and any(glob(f"{loose}*", group.translate(_UNMARKED)) for group in groups)

    return fits


def words(name: str) -> list[str]:
    """The words of a person's name, folded."""
    marks = str.maketrans("^=,*?", "     ")
    return folded(name).translate(marks).split()


def _number(asked: str) -> Matcher:
    wanted = {_as_number(each) for each in asked.replace("\\", ",").split(",")}
    return lambda value: _as_number(value) in wanted


def _as_number(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text.strip()


def moment(value: str, vr: str) -> str | None:
    """A date or time as ranges compare it, its digits filled up with zeros; None where it is none."""
    digits = _moment(value, vr)
    return digits.ljust(_DIGITS[vr], "0") if digits[:1].isdigit() else None


def bounds(asked: str, vr: str) -> tuple[str, str]:
    """The least and the greatest `moment` that a range asks for; "" where it is open."""
    low, high = _bounds(asked, vr)
    return low and low.ljust(_DIGITS[vr], "0"), high and high + "9" * 20


def _range(asked: str, vr: str) -> Matcher:
    """`a-b`, `a-`, `-b` or a single value; a shorter value stands for all that it begins."""
    low, high = bounds(asked, vr)

    def fits(value: str) -> bool:
        least = moment(value, vr)
        return least is not None and (not low or least >= low) and (not high or least <= high)

    return fits


def _bounds(asked: str, vr: str) -> tuple[str, str]:
    text = asked.strip()
    low, mark, high = text.partition("-")
    if vr == "DT" and mark and len(high) == 4 and high.isdigit() and high <= "1400" and len(low) > 4:
        # `20240102-0500` is one moment west of Greenwich, not the years up to 500 (PS3.5 6.2 DT).
        return _moment(text, vr), _moment(text, vr)
    if vr == "DT" and text.count("-") > 1:
        low, high = _split_zoned(text)
        mark = "-"
    if vr == "DA" and text.count("-") == 2 and len(text) == 10:
        low, mark, high = text.replace("-", ""), "", ""
    if not mark:
        return _moment(low, vr), _moment(low, vr)
    return _moment(low, vr), _moment(high, vr)


_FORMS = {
    "DA": re.compile(r"\d{4}(\d{2}(\d{2})?)?", re.ASCII),
    "TM": re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?", re.ASCII),
    "DT": re.compile(r"\d{4}(\d{2}(\d{2}(\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?)?)?)?", re.ASCII),
}
_EXPECTED = {
    "DA": "a date such as 20240131, or a range a-b, a- or -b",
    "TM": "a time such as 093000, or a range a-b, a- or -b",
    "DT": "a date and time such as 20240131093000, or a range a-b, a- or -b",
}


def check_value(name: str, asked: str) -> None:
    """Raise `DicomwebError` 400 for a date, time or number that is none: it would match nothing, without a word."""
    vr = vr_of(name)
    if is_universal(asked) or asked.strip() == EMPTY:
        return
    if vr in TEMPORAL:
        ends = [end for end in _bounds(asked, vr) if end]
        if not ends or not all(_is_moment(end, vr) for end in ends):
            raise _no_value(name, asked, _EXPECTED[vr])
    elif vr in _NUMBERS:
        for each in asked.replace("\\", ",").split(","):
            if not isinstance(_as_number(each), float):
                raise _no_value(name, asked, "a number")


def _is_moment(text: str, vr: str) -> bool:
    """Return whether `text` is a date or time that exists, or the beginning of one."""
    if _FORMS[vr].fullmatch(text) is None:
        return False
    day, clock = ("", text) if vr == "TM" else (text[:8], text[8:])
    try:
        if day:
            datetime.date(int(day[:4]), int(day[4:6] or 1), int(day[6:8] or 1))
        # The 60th is a leap second (PS3.5 6.2).
        second = 59 if clock[4:6] == "60" else int(clock[4:6] or 0)
        datetime.time(int(clock[:2] or 0), int(clock[2:4] or 0), second)
    except ValueError:
        return False
    return True


def _no_value(name: str, asked: str, expected: str) -> DicomwebError:
    what = say("{name}={value} cannot be matched", name=name, value=repr(asked[:40]))
    return DicomwebError(what, expected=expected, status=400)


def _split_zoned(text: str) -> tuple[str, str]:
    """Parts a range of moments of which one or both end in a zone such as `-0500`."""
    low, _, rest = text.partition("-")
    if rest[:4].isdigit() and rest[4:5] == "-" and rest[:4] <= "1400":
        low, rest = f"{low}-{rest[:4]}", rest[5:]
    return low, rest


def _moment(text: str, vr: str) -> str:
    """A date or time as digits and at most one dot; wall clock, zones dropped, never shifted."""
    stripped = text.strip()
    if vr == "DT":
        for mark in "+-":
            stripped = stripped.partition(mark)[0]
    if vr == "TM":
        return stripped.replace(":", "")
    return stripped.replace(".", "") if vr == "DA" else stripped
