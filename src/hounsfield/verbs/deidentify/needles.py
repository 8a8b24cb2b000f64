"""Needles to search text for: those that a name, a number or a place becomes, in every way of writing them.

Letters of needles are folded (`folding`). A needle of few letters counts only between borders; a longer one anywhere,
inside words too. Rather one word too many is found than one too few.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from itertools import permutations
from typing import NamedTuple

from hounsfield.verbs.deidentify.folding import fold, is_syllabic, romanised

INSIDE_LETTERS, INSIDE_SYLLABLES, INSIDE_DIGITS = 3, 2, 5
"""From here on names and numbers are found inside words; what is shorter needs a border on both sides."""

ACROSS_SIGNS = 6
"""Letters or digits from which on a needle is found across spaces and signs without borders at its ends."""

_SHORTEST = 2
_SHORTEST_NUMBER = 3
_SHORTEST_PLACE = 4
_NAMES = 3  # components of a name that are names: family, given, middle; prefix and suffix follow
_MANY = 6  # words of a name that are put together in pairs
_SPACES = re.compile(r"[\s,;\\/()\[\]\"^]+")
_SIGNS = re.compile(r"(?:[^\w]|_)+")
_CAMEL = re.compile(r"(?<=[a-zà-þ])(?=[A-ZÀ-Þ])")
_LETTERS_AND_DIGITS = re.compile(r"[^\W\d]\d|\d[^\W\d]|[^\W\d].*\d|\d.*[^\W\d]")
_DIGITS_AND_SIGNS = re.compile(r"\d(?:[\d\W_]*\d)?")
_TITLES = frozenset(
    {
        "al", "bin", "ct", "da", "de", "del", "della", "den", "der", "des", "di", "dos", "dr", "du", "el", "frau",
        "herr", "ibn", "jr", "la", "le", "md", "med", "mevr", "mr", "mrs", "ms", "phd", "prof", "rn", "rt", "sr",
        "sra", "ste", "ter", "van", "vom", "von", "zu", "zum", "zur",
    }
)  # fmt: skip
"""Titles and particles of names, and what phantoms are called by: words of every text."""


class Needle(NamedTuple):
    """Folded letters to look for. `inside`: anywhere, else between borders only."""

    letters: str
    inside: bool

    @property
    def is_number(self) -> bool:
        return self.letters.isdigit()


@lru_cache
def terms() -> frozenset[str]:
    """Words of the trade, folded: they stay where a name is but a part of them, and are no names of places."""
    text = files("hounsfield.verbs.deidentify").joinpath("terms.txt").read_text("utf-8")
    return frozenset(
        fold(word) for line in text.splitlines() if not line.startswith("#") for word in line.split()
    )


@lru_cache(maxsize=4096)
def is_term(text: str) -> bool:
    """Return whether a text is made of words of the trade and short numbers alone, which tell nothing of anybody."""
    words = re.findall(r"[^\W\d_]+", text)
    return all(fold(word) in terms() for word in words) and not re.search(r"\d{5}", text)


def of_name(value: str) -> frozenset[Needle]:
    """The needles of a person's name, a PN value (PS3.5 6.2.1): each group is a way of writing it."""
    return frozenset(
        needle for group in value.split("=") for writing in _writings(group) for needle in _of_name(writing)
    )


def _writings(group: str) -> Iterator[list[list[str]]]:
    """Components of a name as lists of words: as written, and in Latin letters where it is in another script."""
    components = [list(filter(None, _SPACES.split(part))) for part in group.split("^")]
    yield components
    if not group.isascii():
        # One word of several syllables, of which each alone would be in every text.
        yield [
            [romanised(part).capitalize() for word in words for part in _split_han(word, components)]
            for words in components
        ]


def _split_han(word: str, components: list[list[str]]) -> list[str]:
    """Family and given name of a name in one piece; two characters of family name are rare."""
    alone = sum(map(len, components)) == 1
    return [word[0], word[1:]] if alone and is_syllabic(word) and 2 <= len(word) <= 4 else [word]


def _of_name(components: list[list[str]]) -> Iterator[Needle]:
    words = [word for place, component in enumerate(components) for word in _meant(place, component)]
    for word in words:
        joined = _SIGNS.sub("", word)
        parts = [part for piece in _SIGNS.split(word) for part in _CAMEL.split(piece)]
        for part in dict.fromkeys([joined, *parts, *_tails(word)]):
            yield from _alone(part)
    whole = ["".join(component) for component in components if component]
    pairs = {*permutations(words[:_MANY], 2), *permutations(whole[:_MANY], 2), *map(tuple, components)}
    for pair in pairs:
        yield from _together("".join(pair))


def _meant(place: int, component: list[str]) -> list[str]:
    """The words of a component but titles and particles: "der" beside others, "Du" only behind the given names."""
    if len(component) == 1 and place < _NAMES:
        return component
    return [word for word in component if fold(word) not in _TITLES]


def _tails(word: str) -> list[str]:
    """The given name within a name of Han or hangul in one piece."""
    if not is_syllabic(word) or not 3 <= len(word) <= 4:
        return []
    return [word[1:], word[2:]] if len(word) == 4 else [word[1:]]


def _alone(word: str) -> Iterator[Needle]:
    letters = fold(word)
    if is_syllabic(letters):
        if len(letters) >= INSIDE_SYLLABLES:
            yield Needle(letters, True)
    elif len(letters) >= _SHORTEST:
        yield Needle(letters, len(letters) >= INSIDE_LETTERS)


def _together(words: str) -> Iterator[Needle]:
    """Family and given name in one: of short ones only between borders, since together they are no name."""
    letters = fold(words)
    if is_syllabic(letters):
        yield from _alone(words)
    elif len(letters) > _SHORTEST:
        yield Needle(letters, len(letters) >= ACROSS_SIGNS)


def of_number(value: str) -> frozenset[Needle]:
    """Those of an identifier or a telephone number: all of it, and each long run of digits, leading zeros apart."""
    letters, found = fold(value), set[Needle]()
    for run in _DIGITS_AND_SIGNS.findall(_ascii_digits(value)):
        digits = "".join(char for char in run if char.isdigit())
        for number in (digits, *re.findall(r"\d+", run)):
            bare = number.lstrip("0") if len(number.lstrip("0")) >= INSIDE_DIGITS else number
            if len(bare) >= INSIDE_DIGITS:
                found.add(Needle(bare, True))
    if letters.isdigit() or letters in terms():
        if _SHORTEST_NUMBER <= len(letters) < INSIDE_DIGITS:
            found.add(Needle(letters, False))
    elif is_syllabic(letters):
        found.update(_alone(value))
    elif len(letters) >= _SHORTEST_NUMBER:
        is_mixed = _LETTERS_AND_DIGITS.search(letters) is not None
        found.add(Needle(letters, len(letters) >= (INSIDE_DIGITS if is_mixed else ACROSS_SIGNS)))
    return frozenset(found)


def _ascii_digits(value: str) -> str:
    return value if value.isascii() else "".join(fold(char) if char.isdigit() else char for char in value)


def of_place(value: str) -> frozenset[Needle]:
    """Those of an institution or an address: all of it, its words that are no terms, its long numbers."""
    whole, found = fold(value), set[Needle]()
    if whole in terms():
        return frozenset()
    if is_syllabic(whole):
        found.update(_alone(value))
    elif len(whole) >= _SHORTEST_NUMBER:
        found.add(Needle(whole, len(whole) >= ACROSS_SIGNS))
    for word in _SIGNS.split(value):
        letters = fold(word)
        if letters.isdigit():
            found.update(needle for needle in of_number(word) if needle.inside)
        elif (
            letters not in terms() | _TITLES and not is_syllabic(letters) and len(letters) >= _SHORTEST_PLACE
        ):
            found.add(Needle(letters, False))
    return frozenset(found)
