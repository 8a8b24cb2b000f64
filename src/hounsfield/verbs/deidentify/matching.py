"""Finds names, numbers and dates in text and takes them out, however they are written there.

Made once for what identifies somebody, and asked for every text of that patient's objects; what it said of a text is
remembered, since the objects of a series say the same. Knows no attributes: `identity` collects what is looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple, TypeAlias

from hounsfield.errors import MalformedError
from hounsfield.language import say
from hounsfield.verbs.deidentify.dates import pattern_of, written_on
from hounsfield.verbs.deidentify.folding import DIGIT, LOWER, UPPER, Folded
from hounsfield.verbs.deidentify.needles import (
    ACROSS_SIGNS,
    Needle,
    of_name,
    of_number,
    of_place,
    terms,
)

Kind: TypeAlias = Literal["name", "number", "place", "date"]

_ENCODINGS = ("utf-8", "latin-1", "gb18030", "big5", "shift_jis", "euc_kr", "utf-16-le", "utf-16-be")
LONGEST_TEXT = 1 << 16
"""Characters of a text that is searched; of a longer one nothing is kept."""

MOST_IDENTITIES, MOST_DAYS = 1000, 200
"""Names, numbers and days of one object; more are no patient's, and would take minutes to look for."""

_REMEMBERED = 4096
_LONGEST_TERM = 40
_WORD = UPPER + LOWER + DIGIT
_LETTERS = UPPER + LOWER
_UMLAUTS = {"a": "a[ae]?", "o": "oe?", "u": "ue?"}
_TWO_LETTERS = re.compile("a[ae]|oe|ue")
_SHORTEST_REDUCED = 4
_JOINS_AFTER, _JOINS_BEFORE = re.compile(r"^[\s_\-^~|/\\.:#=+*&]+"), re.compile(r"[\s_\-^~|/\\.:#=+*&]+$")
_SURE_LETTERS = 5
"""ASCII letters by which bytes are known to hold an identity; fewer stand together by chance."""


class Identity(NamedTuple):
    """Something that identifies somebody, as an attribute has it."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class _Sought:
    needle: Needle
    pattern: re.Pattern[str]


class Matcher:
    """Looks for all `identities` at once."""

    def __init__(self, identities: Iterable[Identity]) -> None:
        identities = frozenset(identities)
        _check_number(len(identities), MOST_IDENTITIES)
        needles = {needle for identity in identities for needle in _needles(identity)}
        self._numbers = frozenset(needle.letters for needle in needles if needle.is_number and needle.inside)
        inside = {needle.letters for needle in needles if needle.inside}
        self._sought = tuple(
            sought
            for needle in sorted(needles, key=lambda needle: (-len(needle.letters), needle))
            if needle.inside or needle.letters not in inside
            for sought in _ways(needle)
        )
        days = {day for kind, text in identities if kind == "date" and (day := written_on(text))}
        _check_number(len(days), MOST_DAYS)
        patterns = [pattern_of(day) for day in sorted(days)]
        self._dates = re.compile("|".join(patterns)) if patterns else None
        self._in_bytes = _literally(inside, identities)
        self._cleaned: dict[str, str] = {}

    def __bool__(self) -> bool:
        return bool(self._sought or self._dates)

    def finds(self, text: str) -> bool:
        """Return whether there is anything of somebody in `text`."""
        return self.clean(text) != text

    def clean(self, text: str) -> str:
        """`text` without the words that anything was found in; the same where there is nothing.

        What is too long to be read by anybody is not searched, and nothing of it is left.
        """
        if len(text) > LONGEST_TEXT:
            return ""
        known = self._cleaned.get(text)
        if known is None:
            if len(self._cleaned) >= _REMEMBERED:
                self._cleaned.clear()
            known = self._cleaned[text] = _without(text, self._spans(text))
        return known

    def finds_in_number(self, text: str, *, is_identifier: bool) -> bool:
        """Return whether a number, a date or a time has letters of somebody in it, or is one of the identifiers."""
        if text.strip(" +-.:0123456789\\") == "":
            return is_identifier and text.strip().partition(".")[0].lstrip("+-0") in self._numbers
        return self.finds(text)

    def finds_in_bytes(self, content: bytes) -> bool:
        """Return whether a reader in any usual encoding would see a name or a number of some length in `content`."""
        if self._in_bytes is None:
            return False
        # Characters of two bytes may begin at an odd one; of those of four the ASCII is left without its zeros.
        readings = [(content, encoding) for encoding in _ENCODINGS]
        readings += [
            (content[1:], "utf-16-le"),
            (content[1:], "utf-16-be"),
            (content.replace(b"\0", b""), "ascii"),
        ]
        return any(self._in_bytes.search(part.decode(encoding, "replace")) for part, encoding in readings)

    def _spans(self, text: str) -> list[tuple[int, int]]:
        folded = Folded(text)
        found = {span for sought in self._sought for span in _found(sought, folded)}
        if self._dates is not None:
            found.update(_dates_in(self._dates, folded))
        if not text.isascii():
            found.update(self._romanised(text))
        return [(folded.units[first].begin, folded.units[last].end) for first, last in found]

    def _romanised(self, text: str) -> Iterator[tuple[int, int]]:
        """Latin names in text of another script, by its transliteration, where enough letters agree."""
        folded = Folded(text, in_latin=True)
        for sought in self._sought:
            if not sought.needle.is_number and len(sought.needle.letters) >= _SHORTEST_REDUCED:
                yield from _found(sought, folded, whole=len(sought.needle.letters) < ACROSS_SIGNS)


@lru_cache(maxsize=64)
def matcher(identities: frozenset[Identity]) -> Matcher:
    """The same matcher for the same identities: objects of a series have the same."""
    return Matcher(identities)


def _check_number(found: int, most: int) -> None:
    if found > most:
        raise MalformedError(
            say("{found} different names, numbers and dates in one object", found=found),
            expected=say("at most {most} to look for", most=most),
        )


def _needles(identity: Identity) -> Iterable[Needle]:
    kind, text = identity
    if kind == "name":
        return of_name(text)
    if kind == "place":
        return of_place(text)
    # What should be a date and is none is looked for by its digits.
    return () if kind == "date" and written_on(text) else of_number(text)


def _ways(needle: Needle) -> Iterator[_Sought]:
    """A needle with its umlauts as one letter or two; one that gets short by it counts between borders alone."""
    if needle.is_number or not needle.letters.isascii():
        yield _Sought(needle, re.compile(f"(?=({re.escape(needle.letters)}))"))
        return
    reduced = _TWO_LETTERS.sub(lambda two: two[0][0], needle.letters)
    is_short = len(reduced) < min(_SHORTEST_REDUCED, len(needle.letters))
    yield _Sought(needle, _spelt(needle.letters if is_short else reduced))
    if is_short:
        yield _Sought(Needle(needle.letters, False), _spelt(reduced))


def _spelt(letters: str) -> re.Pattern[str]:
    return re.compile(f"(?=({''.join(_UMLAUTS.get(letter, re.escape(letter)) for letter in letters)}))")


def _found(sought: _Sought, folded: Folded, *, whole: bool = False) -> Iterator[tuple[int, int]]:
    """First and last unit of the words in which there is what is sought; between borders alone, if `whole`."""
    needle = sought.needle
    for match in sought.pattern.finditer(folded.letters):
        first, last = folded.units_of[match.start(1)], folded.units_of[match.end(1) - 1]
        has_signs = folded.has_signs(first, last)
        is_whole = folded.is_border(first) and folded.is_border(last + 1)
        if not is_whole:
            if whole or not needle.inside or (has_signs and len(needle.letters) < ACROSS_SIGNS):
                continue
            if not has_signs and _is_term(folded, first, last):
                continue
        yield folded.word(first, last, _WORD) if folded.units[first].kind in _WORD else (first, last)


def _is_term(folded: Folded, first: int, last: int) -> bool:
    """Return whether what was found is but a part of a word of the trade."""
    begin, end = folded.word(first, last, _LETTERS)
    if (begin, end) == (first, last) or end - begin > _LONGEST_TERM:
        return False
    return "".join(unit.folded for unit in folded.units[begin : end + 1]) in terms()


def _dates_in(dates: re.Pattern[str], folded: Folded) -> list[tuple[int, int]]:
    spans = []
    for match in dates.finditer(folded.spaced):
        first, last = (folded.units_of_spaced[place] for place in (match.start(), match.end() - 1))
        spans.append(folded.word(first, last, _WORD))
    return spans


def _without(text: str, spans: list[tuple[int, int]]) -> str:
    """`text` without these spans, and without the signs that joined them to what is left."""
    if not spans:
        return text
    kept, place = [], 0
    for begin, end in (*sorted(spans), (len(text), len(text))):
        part = text[place : max(begin, place)]
        part = _JOINS_AFTER.sub("", part) if place else part
        kept.append(_JOINS_BEFORE.sub("", part) if begin < len(text) else part)
        place = max(place, end)
    return " ".join(" ".join(kept).split())


def _is_sure(word: str) -> bool:
    return len(word) >= _SURE_LETTERS or (not word.isascii() and len(word) > 1)


def _literally(letters: Iterable[str], identities: Iterable[Identity]) -> re.Pattern[str] | None:
    """Return what of it is sure enough to be looked for in bytes: long words, and such as are not
    ASCII, as they are.
    """
    words = set(filter(_is_sure, letters))
    for kind, text in identities:
        if kind == "date" and (day := written_on(text)) is not None:
            words |= {
                day.strftime(form) for form in ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
            }
        elif kind == "name":
            parts = re.split(r"[\^=\s,]+", text)
            words |= {part for part in parts if _is_sure(part)}
    longest_first = sorted(filter(None, words), key=lambda word: (-len(word), word))
    return re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE) if longest_first else None
