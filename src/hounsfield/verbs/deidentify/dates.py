"""A day as people write it: ISO, European and American order, two-digit years, months by name, compact, Chinese.

Patterns are for text folded with its signs (`Folded.spaced`). A month and a year alone are no day, and are not found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from importlib.resources import files

from hounsfield.verbs.deidentify.folding import Folded

_ERAS = (
    ("明治|m", 1867),
    ("大正|t", 1911),
    ("昭和|s", 1925),
    ("平成|h", 1988),
    ("令和|r", 2018),
    ("民[国國]", 1911),
)
"""Japanese eras and that of Taiwan, with the year before their first."""

_BUDDHIST = 543
"""Years by which the calendar of Thailand is ahead."""

_SIGNS = r"[^\w]{0,3}_?[^\w]?"
_WORDS = rf"(?:{_SIGNS}(?:de|del|di|of|da|den|ב|от)?{_SIGNS})"
_BETWEEN = r"(?:[\s._/\\,:;'–—-]{1,3})"
_ORDINAL = r"(?:st|nd|rd|th|er|e|º|ª)?"
_HAN_DIGITS = "〇一二三四五六七八九"


def written_on(text: str) -> date | None:
    """The day of a DA or DT value (PS3.5 6.2), or of one with signs in it; None where it is none."""
    found = re.match(r"\s*(\d{4})[.:/-]?(\d\d?)[.:/-]?(\d\d?)", text)
    european = re.match(r"\s*(\d\d?)[.](\d\d?)[.](\d{4})", text)
    try:
        if european:
            return date(*map(int, reversed(european.groups())))
        return date(*map(int, found.groups())) if found else None
    except ValueError:
        return None


def pattern_of(day: date) -> str:
    """A regular expression of every way to write `day`."""
    return "|".join((*_compact(day), *_by_signs(day), *_by_month(day), *_in_asia(day), *_by_era(day)))


def _compact(day: date) -> Iterator[str]:
    """Eight digits anywhere, as in a national number; six where digits begin, or where they end."""
    yield day.strftime("%Y%m%d")
    yield from (day.strftime(form) for form in ("%d%m%Y", "%m%d%Y", "%Y%d%m"))
    for form in ("%y%m%d", "%d%m%y", "%m%d%y"):
        # Behind them may come the rest of a national number.
        yield rf"(?<!\d){day.strftime(form)}(?:(?!\d)(?:[-+]\d{{3,7}}\w?)?|\d{{3,7}}(?!\d))"


def _by_signs(day: date) -> Iterator[str]:
    years = (f"{day.year:04}", f"{day.year % 100:02}", str(day.year + _BUDDHIST))
    month, dom = rf"0?{day.month}", rf"0?{day.day}"
    for year in years:
        for first, second in ((month, dom), (dom, month)):
            yield rf"(?<!\d){year}{_BETWEEN}{first}{_BETWEEN}{second}(?!\d)"
            yield rf"(?<!\d){first}{_BETWEEN}{second}{_BETWEEN}{year}(?!\d)"


def _by_month(day: date) -> Iterator[str]:
    name = rf"(?:{'|'.join(_months()[day.month - 1])})[^\W\d_]*"
    dom = rf"0?{day.day}(?!\d)"
    year = rf"(?:{day.year:04}|{day.year % 100:02})"
    yield rf"(?<!\d){dom}{_ORDINAL}{_WORDS}{name}{_WORDS}{year}(?!\d)"
    yield rf"{name}{_WORDS}(?<!\d){dom}{_ORDINAL}{_WORDS}{year}(?!\d)"
    yield rf"(?<!\d){year}{_WORDS}{name}{_WORDS}{dom}"


def _in_asia(day: date) -> Iterator[str]:
    """年月日, also in Chinese digits; the Korean 년월일; the Vietnamese ngày, tháng, năm."""
    year = rf"(?:{day.year:04}|{day.year % 100:02})"
    yield rf"(?<!\d){year}\s*[年년]\s*0?{day.month}\s*[月월]\s*0?{day.day}(?!\d)\s*[日号號일]?"
    yield rf"(?<!\d)0?{day.day}\s*thang\s*0?{day.month}\s*(?:nam)?[\s,]*{year}(?!\d)"
    digits = "".join(_HAN_DIGITS[int(digit)] for digit in f"{day.year:04}").replace("〇", "[〇零○0o]")
    yield rf"{digits}\s*年\s*{_han_number(day.month)}\s*月\s*{_han_number(day.day)}\s*[日号號]?"


def _han_number(number: int) -> str:
    tens, ones = divmod(number, 10)
    digit = _HAN_DIGITS[ones] if ones else ""
    spelt = ("" if tens == 0 else "十" if tens == 1 else f"{_HAN_DIGITS[tens]}十") + digit
    return f"(?:{spelt}|{''.join(_HAN_DIGITS[int(one)] for one in str(number))})(?![一二三四五六七八九十])"


def _by_era(day: date) -> Iterator[str]:
    for name, before in _ERAS:
        year = day.year - before
        if 0 < year < 130:
            first = "|元" if year == 1 else ""
            yield (
                rf"(?<![^\W\d_])(?:{name})\s*(?:0?{year}{first})\s*[年.\-/ ]\s*0?{day.month}\s*[月.\-/ ]"
                rf"\s*0?{day.day}(?!\d)\s*日?"
            )


@lru_cache
def _months() -> tuple[tuple[str, ...], ...]:
    """Beginnings of the names of each month, folded."""
    text = files("hounsfield.verbs.deidentify").joinpath("months.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    return tuple(tuple(dict.fromkeys(map(_folded_name, line.split()))) for line in lines)


def _folded_name(name: str) -> str:
    return re.escape(Folded(name.replace("_", " ")).spaced)
