"""Text as it is compared: without case, width, diacritics, ways of writing a character, spaces and signs.

Each folded character remembers where in the text it was, so that what is found can be taken out of the text itself.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from importlib.resources import files
from itertools import accumulate

UPPER, LOWER, DIGIT, SYLLABLE, SIGN = "U", "l", "9", "S", "-"
"""Kinds of unit. A syllable is a character of a script in which two make a name: Han, kana, hangul."""

_SYLLABLES = re.compile(
    "[\u3005\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff\uac00-\ud7a3\U00020000-\U0003ffff]"
)
_CONTINUES = re.compile(
    "[\u1160-\u11ff\uff9e\uff9f]"
)  # vowels and finals of hangul, marks of half-width kana
_KATAKANA = {code: code - 0x60 for code in range(0x30A1, 0x30F7)}
_ARABIC = {ord("ة"): "ه", ord("ى"): "ي", ord("ی"): "ي", ord("ک"): "ك", ord("ـ"): None}


@dataclass(frozen=True, slots=True)
class Unit:
    """A character with its marks: what it is folded to, where it is in the text, and its kind."""

    folded: str
    begin: int
    end: int
    kind: str


class Folded:
    """`text` in units; `letters` are those of letters and digits joined, `units_of[k]` the unit of the k-th.

    With `in_latin`, letters of other scripts are transliterated, a syllable as a whole.
    """

    def __init__(self, text: str, *, in_latin: bool = False) -> None:
        self.text = text
        self.units = tuple(_units(text))
        if in_latin:
            self.units = tuple(map(_romanised, self.units))

    @cached_property
    def letters(self) -> str:
        return "".join(unit.folded for unit in self.units if unit.kind != SIGN)

    @cached_property
    def units_of(self) -> list[int]:
        return [place for place, unit in enumerate(self.units) if unit.kind != SIGN for _ in unit.folded]

    @cached_property
    def spaced(self) -> str:
        """Every unit, signs as they are."""
        return "".join(unit.folded for unit in self.units)

    @cached_property
    def units_of_spaced(self) -> list[int]:
        return [place for place, unit in enumerate(self.units) for _ in unit.folded]

    def is_border(self, place: int) -> bool:
        """Return whether a word may begin or end before unit `place`: at a sign, a digit, another script, another
        case.
        """
        if place in (0, len(self.units)):
            return True
        before, after = self.units[place - 1].kind, self.units[place].kind
        if before == UPPER and after == UPPER:
            return place + 1 < len(self.units) and self.units[place + 1].kind == LOWER
        return before != after and (before, after) != (UPPER, LOWER)

    def word(self, first: int, last: int, kinds: str) -> tuple[int, int]:
        """The units from `first` to `last` and what is joined to them of these kinds."""
        begins, ends = self._runs[kinds] if kinds in self._runs else self._found_runs(kinds)
        return begins[first], ends[last]

    def has_signs(self, first: int, last: int) -> bool:
        """Return whether there is a sign among the units from `first` to `last`."""
        return self._signs[last] > self._signs[first]

    @cached_property
    def _signs(self) -> list[int]:
        return list(accumulate(unit.kind == SIGN for unit in self.units))

    @cached_property
    def _runs(self) -> dict[str, tuple[list[int], list[int]]]:
        return {}

    def _found_runs(self, kinds: str) -> tuple[list[int], list[int]]:
        """For each unit where the run of these kinds that it is in begins and ends, once for all of them."""
        begins, ends = list(range(len(self.units))), list(range(len(self.units)))
        for place in range(1, len(self.units)):
            if self.units[place].kind in kinds and self.units[place - 1].kind in kinds:
                begins[place] = begins[place - 1]
        for place in range(len(self.units) - 2, -1, -1):
            if self.units[place].kind in kinds and self.units[place + 1].kind in kinds:
                ends[place] = ends[place + 1]
        self._runs[kinds] = begins, ends
        return begins, ends


def fold(text: str) -> str:
    """The letters and digits of `text` as they are compared."""
    return Folded(text).letters


def is_syllabic(text: str) -> bool:
    """Return whether there is a character in it of a script in which two make a name."""
    return _SYLLABLES.search(text) is not None


def _units(text: str) -> list[Unit]:
    if text.isascii():
        return [Unit(char.lower(), place, place + 1, _ascii_kind(char)) for place, char in enumerate(text)]
    found: list[Unit] = []
    begin = 0
    while begin < len(text):
        end = begin + 1
        while end < len(text) and _continues(text[end]):
            end += 1
        folded, kind = _folded(text[begin:end])
        found.append(Unit(folded, begin, end, kind))
        begin = end
    return found


def _ascii_kind(char: str) -> str:
    if char.isalpha():
        return UPPER if char.isupper() else LOWER
    return DIGIT if char.isdigit() else SIGN


def _continues(char: str) -> bool:
    return unicodedata.category(char) in ("Mn", "Mc", "Me", "Cf") or _CONTINUES.match(char) is not None


@lru_cache(maxsize=8192)
def _folded(cluster: str) -> tuple[str, str]:
    plain = unicodedata.normalize("NFKC", cluster)
    base = plain[0]
    if base.isdecimal() or base.isdigit():
        return str(unicodedata.digit(base)), DIGIT
    if not base.isalpha():
        return (" " if base.isspace() else plain), SIGN
    parts = unicodedata.normalize("NFKD", plain.casefold())
    bare = "".join(
        part for part in parts if not unicodedata.combining(part) and unicodedata.category(part) != "Cf"
    )
    bare = unicodedata.normalize("NFC", bare).translate(_variants())
    if is_syllabic(bare):
        return bare, SYLLABLE
    kind = UPPER if base.isupper() or base.istitle() else LOWER
    return "".join(map(_latin, bare)), kind


def romanised(text: str) -> str:
    """`text` in Latin letters of ASCII: 张三 is ZhangSan, Иван is Ivan, ł is l, æ is ae."""
    from anyascii import anyascii

    found: str = anyascii(text)
    return found


def _latin(letter: str) -> str:
    """ł, ø, đ, æ, þ … as ASCII: they have no diacritic that decomposes. Letters of other scripts stay."""
    is_latin = not letter.isascii() and unicodedata.name(letter, "").startswith("LATIN")
    return romanised(letter).lower() if is_latin else letter


def _romanised(unit: Unit) -> Unit:
    """The unit in Latin letters; one that has none of them is a sign."""
    if unit.folded.isascii() or unit.kind == SIGN:
        return unit
    letters = "".join(char for char in romanised(unit.folded).lower() if char.isalnum())
    return Unit(letters or unit.folded, unit.begin, unit.end, unit.kind if letters else SIGN)


@lru_cache
def _variants() -> Mapping[int, str | int | None]:
    """One way of writing for characters that have several: traditional and simplified Han, kana, Arabic."""
    text = files("hounsfield.verbs.deidentify").joinpath("variants.txt").read_text("utf-8")
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    found: dict[int, str | int | None] = {**_KATAKANA, **_ARABIC}
    for written, one in zip(lines[::2], lines[1::2], strict=True):
        found.update(str.maketrans(written, one))
    return found
