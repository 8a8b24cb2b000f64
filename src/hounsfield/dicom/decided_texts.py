"""In which character set the texts of a data set are, decided for all of them together.

What (0008,0005) says is a claim. In order: the declared set if every text is of it; else UTF-8; the escapes that are
there; the set that was configured; Chinese, Japanese or Korean sets where the texts can only be that; GB18030;
Latin-1 where they read like it; else what cannot be read is replaced. `docs/character-sets.md` says why.

ISO_IR 100 gives each byte a letter, so it can never be found wrong by its bytes alone; there the two readings are
weighed: accented letters stand one by one within Latin words, Chinese characters in rows of two bytes.
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from hounsfield.dicom.charsets import (
    GB18030,
    LATIN1,
    UTF8,
    decode_strictly,
    escaped_set,
    known_set,
    terms,
    without_escapes,
)

VARIABLE = "HOUNSFIELD_CHARSET"
"""The environment variable that names the configured set; `--charset` sets it, for child processes too."""

LONGEST_SEQUENCE = 64 * 1024
"""Bytes of a sequence in which texts are looked for to decide by; longer ones hold frames, whose texts are codes."""

_CHINESE = frozenset({"GB18030", "GBK", "GB2312", "ISO 2022 GBK", "ISO 2022 58"})
_DISTINCT_HANGUL = 10  # characters; as many of GB 2312 lie in the rows of hangul by chance once in 3000 texts
_LATIN_LETTERS = frozenset({*range(0xC0, 0x100), 0xAA, 0xBA} - {0xD7, 0xF7})
_LATIN_SIGNS = frozenset(
    b"\xa0\xa1\xa7\xa9\xab\xae\xb0\xb1\xb2\xb3\xb4\xb5\xb7\xb9\xbb\xbc\xbd\xbe\xbf\xd7\xf7"
)
_PUNCTUATION = re.compile(
    rb"(?<![\x80-\xff])[\x80\x85\x8a\x8c\x8e\x91-\x97\x99\x9a\x9c\x9e\x9f](?![\x80-\xff])"
)
"""Quotation marks and letters of windows-1252 that ISO 8859-1 has not."""

_HIGH = re.compile(rb"[\x80-\xff]+")
_FOREIGN_RUN = re.compile(r"[^\x00-\x7f]+")


class Text(NamedTuple):
    """One value that needs a character set: its bytes, the set that its own data set declares, whether it is a PN."""

    raw: bytes
    declared: str
    person: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """The set in which texts are read. `used`: "" where each is read as it is declared, which `declared` tells of the
    root; `is_certain`: nothing was replaced, and nothing contradicts the declaration. `miscounted`: tags of texts whose
    length counts characters.
    """

    declared: str = ""
    used: str = ""
    is_certain: bool = True
    miscounted: tuple[int, ...] = ()

    def of(self, declared: str) -> str:
        """The set of texts for which `declared` is said."""
        return self.used or declared

    @property
    def is_as_declared(self) -> bool:
        return not self.used and self.is_certain


AS_DECLARED = Decision()


def configured_set() -> str:
    """The set that the user named for texts that are not in the one they declare; "" for none.

    Raises `SelectionError` for a name that means none.
    """
    name = os.environ.get(VARIABLE, "")
    return known_set(name) if name.strip() else ""


def decide(texts: Sequence[Text], declared: str, configured: str | None = None) -> Decision:
    """The decision for all `texts` of a data set whose root declares `declared`; ASCII ones need not be among them.

    `configured`: None for that of the process.
    """
    if not texts:
        return Decision(declared)
    own = configured_set() if configured is None else configured
    return _decide(tuple(dict.fromkeys(texts)), declared, own)


@lru_cache(maxsize=4096)  # the slices of a series have the same texts
def _decide(texts: tuple[Text, ...], declared: str, configured: str) -> Decision:
    every = {term for text in texts for term in terms(text.declared)}
    if all(decode_strictly(text.raw, text.declared, person=text.person) is not None for text in texts):
        if every == {LATIN1}:
            used = next(_in_place_of_latin(texts, configured), "")
            return Decision(declared, used, bool(used) or _reads_as_latin(texts))
        if every <= _CHINESE and _is_unicode_by_chance_chinese(texts):
            return Decision(declared, UTF8)
        is_chinese = every == {UTF8} and _is_chinese_by_chance_unicode(texts) and not _is_one_script(texts)
        return Decision(declared, GB18030 if is_chinese else "")
    used = next(_in_place_of_others(texts, declared, configured), "")
    if used:
        return Decision(declared, used)
    # Nothing is lost in Latin-1; a set of several bytes has no character for what is not of it.
    is_plain = every <= {"", "ISO_IR 6", "ISO 2022 IR 6"}
    return Decision(declared, LATIN1 if is_plain else "", is_certain=False)


def _in_place_of_latin(texts: Sequence[Text], configured: str) -> Iterator[str]:
    """The sets that texts are in which say ISO_IR 100, and of which every byte is."""
    if _is_chinese_by_chance_unicode(texts):
        yield GB18030
    if _are_in(texts, UTF8):
        yield UTF8
    if not _reads_as_latin(texts):
        if configured and _are_in(texts, configured):
            yield configured
        yield from _recognised(texts)


def _in_place_of_others(texts: Sequence[Text], declared: str, configured: str) -> Iterator[str]:
    """The sets that texts may be in which are not in the one they declare, the likeliest first."""
    if _is_chinese_by_chance_unicode(texts):
        yield GB18030
    if _are_in(texts, UTF8):
        yield UTF8
    announced = escaped_set([text.raw for text in texts])
    if announced and _are_in(texts, announced):
        yield announced
    # What the label names without its escapes comes before what the user says of all places.
    for name in (*without_escapes(declared), configured):
        if name and _are_in(texts, name):
            yield name
    yield from _recognised(texts)
    if _reads_as_latin(texts):
        yield LATIN1
    if _reads_as_latin([text._replace(raw=_PUNCTUATION.sub(b"\xb4", text.raw)) for text in texts]):
        yield "windows-1252"
    if _are_in(texts, GB18030):
        yield GB18030


def _recognised(texts: Sequence[Text]) -> Iterator[str]:
    """Sets of several bytes to a character that the texts can only be in."""
    if _reads_as_korean(texts):
        yield "EUC-KR"
    if _reads_as_chinese(texts):
        yield GB18030
    for name, is_common in (("Big5", _is_common_in_big5), ("Shift-JIS", _is_common_in_shift_jis)):
        if _reads_as(texts, name, is_common):
            yield name


def _are_in(texts: Sequence[Text], charset: str) -> bool:
    return all(decode_strictly(text.raw, charset, person=text.person) is not None for text in texts)


def _is_unicode_by_chance_chinese(texts: Sequence[Text]) -> bool:
    """Return whether texts that are of GB18030 are UTF-8 all the same.

    Characters of three bytes are in it, which as GB18030 would mostly be rare ones.
    """
    found = [decode_strictly(text.raw, UTF8) for text in texts]
    if None in found or not any("\u4e00" <= char <= "\u9fff" for text in found for char in text or ""):
        return False
    chars = "".join(run for run, _ in _runs(texts, GB18030) or ())
    return sum(_rank(char) == 1 for char in chars) < 0.75 * len(chars)


def _is_chinese_by_chance_unicode(texts: Sequence[Text]) -> bool:
    """Return whether texts that are valid UTF-8 are Chinese all the same, as 女 and 头颅 are.

    Their letters, of two bytes each, are then of several scripts, or Latin ones that stand by themselves.
    """
    runs = list(_runs(texts, UTF8) or ())
    if not runs or any(char > "\u07ff" for run, _ in runs for char in run) or not _reads_as_chinese(texts):
        return False
    letters = [(run, is_within_word) for run, is_within_word in runs if run.isalpha() and run > "\u00c0"]
    is_alone = all(len(run) == 1 and run < "\u0250" and not is_within_word for run, is_within_word in letters)
    return not _is_one_script(texts) or (is_alone and bool(letters))


def _is_one_script(texts: Sequence[Text]) -> bool:
    """Return whether all letters beyond ASCII are of one, and no mark is among them that is not seen."""
    chars = {char for run, _ in _runs(texts, UTF8) or () for char in run}
    marks = {
        unicodedata.name(char, "").partition(" ")[0]
        for char in chars
        if unicodedata.category(char)[0] in "LM"
    }
    return len(marks - {"MICRO", "COMBINING"}) < 2 and "\u00ad" not in chars


def _reads_as_latin(texts: Sequence[Text]) -> bool:
    """Return whether every byte beyond ASCII is a sign, or a letter as words of European languages have them."""
    return all(_is_latin_run(text.raw, match) for text in texts for match in _HIGH.finditer(text.raw))


def _is_latin_run(raw: bytes, match: re.Match[bytes]) -> bool:
    letters = sum(byte in _LATIN_LETTERS for byte in match[0])
    if letters + sum(byte in _LATIN_SIGNS for byte in match[0]) < len(match[0]):
        return False
    beside = raw[max(match.start() - 1, 0) : match.start()] + raw[match.end() : match.end() + 1]
    return letters < 2 or (letters == len(match[0]) == 2 and any(map(_is_ascii_letter, beside)))


def _is_ascii_letter(byte: int) -> bool:
    return 0x41 <= byte & 0xDF <= 0x5A


def _runs(texts: Sequence[Text], charset: str) -> Iterator[tuple[str, bool]] | None:
    """Runs beyond ASCII, and whether one is a single character in an ASCII word; None if not all are of the set."""
    found = [decode_strictly(text.raw, charset, person=text.person) for text in texts]
    return None if None in found else (run for text in found for run in _runs_of(text or ""))


def _runs_of(text: str) -> Iterator[tuple[str, bool]]:
    for match in _FOREIGN_RUN.finditer(text):
        beside = text[max(match.start() - 1, 0) : match.start()] + text[match.end() : match.end() + 1]
        yield match[0], len(match[0]) == 1 and any(_is_ascii_letter(ord(each)) for each in beside)


def _reads_as_chinese(texts: Sequence[Text]) -> bool:
    """Return whether GB18030 gives characters as people write them, and not by chance.

    The 3755 characters of GB 2312's first level make up all but a hundredth of what is written; those that only the
    larger sets have are rare, and a single one within a Latin word is an accented letter with its neighbour.
    """
    score, first, second = 0.0, 0, 0
    for run, is_within_word in _runs(texts, GB18030) or ():
        for char in run:
            rank = _rank(char)
            if rank > 3:
                return False
            if rank == 3:
                score -= 1 if is_within_word else 0.5
            elif rank and not is_within_word:
                first, second = first + (rank == 1), second + (rank == 2)
                score += 1 if rank == 1 else 0.25
    return score > 0 and first >= second


@lru_cache(maxsize=4096)
def _rank(char: str) -> int:
    """0 for a sign of GB 2312, 1 and 2 for a character of its first and second level, 3 for a rarer one, 4 for none."""
    raw = char.encode("gb18030")
    if "\ue000" <= char <= "\uf8ff":
        return 4
    if len(raw) != 2 or min(raw) < 0xA1 or raw[0] > 0xF7:
        return 3
    return 0 if raw[0] < 0xB0 else 1 if raw[0] <= 0xD7 else 2


def _reads_as_korean(texts: Sequence[Text]) -> bool:
    """Return whether all characters lie in the rows of hangul, and are so many that they are not Chinese by chance."""
    runs = _runs(texts, "EUC-KR")
    chars = {char for run, _ in runs or () for char in run}
    hangul = {char for char in chars if "\uac00" <= char <= "\ud7a3"}
    return len(hangul) >= _DISTINCT_HANGUL and hangul == chars


def _reads_as(texts: Sequence[Text], charset: str, is_common: Callable[[str], bool | None]) -> bool:
    """Return whether three in four characters are `is_common`, which is None of signs; at least two, none in a word."""
    runs = _runs(texts, charset)
    found = [
        False if is_within_word else is_common(char) for run, is_within_word in runs or () for char in run
    ]
    common, rare = found.count(True), found.count(False)
    return common >= 2 and common >= 3 * rare


def _is_common_in_big5(char: str) -> bool | None:
    raw = char.encode("big5")
    return None if raw[0] < 0xA4 else raw[0] <= 0xC6


def _is_common_in_shift_jis(char: str) -> bool | None:
    raw = char.encode("shift_jis")
    if len(raw) == 1:
        return False  # half-width kana: any byte from A1 to DF
    return None if raw[0] == 0x81 else raw[0] <= 0x98
