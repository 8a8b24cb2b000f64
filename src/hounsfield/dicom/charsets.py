"""Bytes of text in a Specific Character Set (0008,0005) as text (PS3.3 C.12.1.1.2; PS3.5 6.1, annexes H to K).

A set is named by DICOM's defined terms, several joined by backslashes as the attribute has them, or by a name of
Python for those that DICOM has none for (`Big5`, `windows-1251`). Code extensions are undone here and not by pydicom,
which leaves the escapes of `ISO 2022 IR 58` in the text and parts Japanese names at bytes that are half a character.

Not here: which set the texts of a data set really are in (`decided_texts`).
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from hounsfield.errors import SelectionError
from hounsfield.language import say

UTF8, GB18030, LATIN1 = "ISO_IR 192", "GB18030", "ISO_IR 100"

_PARTS_OF_8859 = {
    100: 1, 101: 2, 109: 3, 110: 4, 144: 5, 127: 6, 126: 7, 138: 8, 148: 9, 166: 11, 203: 15,
}  # fmt: skip
"""ISO registration number → part of ISO/IEC 8859 (PS3.3 Table C.12-2)."""

_CODECS = {
    **{f"ISO_IR {number}": f"iso8859_{part}" for number, part in _PARTS_OF_8859.items()},
    "ISO_IR 13": "shift_jis",
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "GB2312": "gb18030",
    "ISO 2022 GBK": "gb18030",  # a private term, without escapes
    "ISO 2022 58": "gb18030",  # the same, for GB 2312
}
_PRIVATE = frozenset({"GB2312", "ISO 2022 GBK", "ISO 2022 58"})
_MULTI_BYTE = {
    58: b"\x1b$)A",  # GB 2312
    87: b"\x1b$B",  # JIS X 0208
    149: b"\x1b$)C",  # KS X 1001
    159: b"\x1b$(D",  # JIS X 0212
}
"""ISO registration number → escape of the sets that come by one alone (PS3.3 Table C.12-4)."""

WITHOUT_ESCAPES = {58: "GB18030", 87: "Shift-JIS", 149: "EUC-KR", 159: "Shift-JIS", 13: "Shift-JIS"}
"""The set that writers mean who leave the escapes of a registered one out."""

_SPELLING = re.compile(r"ISO[ _-]?(?:(2022)[ _-])?IR[ _-]?(\d+)", re.IGNORECASE)
_ESCAPE = re.compile(rb"\x1b[ -/]*[0-~]")
_TOKENS = re.compile(rb"\x1b[ -/]*[0-~]|\x1b|[^\x1b]+", re.DOTALL)
_PIECES = re.compile(rb"[\x80-\xff]+|[\\\r\n\f\t]|[^\x80-\xff\\\r\n\f\t]+", re.DOTALL)
_PIECES_OF_NAMES = re.compile(rb"[\x80-\xff]+|[\\^=\r\n\f\t]|[^\x80-\xff\\^=\r\n\f\t]+", re.DOTALL)
_CONTROLS = re.compile(rb"[\x80-\x9f]")

_TO_G0 = {
    b"\x1b(B": "ascii",
    b"\x1b(J": "ascii",
    b"\x1b$B": "jis x 0208",
    b"\x1b$@": "jis x 0208",
    b"\x1b$(D": "jis x 0212",
}
_TO_G1 = {
    b"\x1b)I": "kana", b"\x1b$)A": "gb2312", b"\x1b$)C": "euc_kr",
    **{b"\x1b-" + final: f"iso8859_{part}" for final, part in zip(
        (b"A", b"B", b"C", b"D", b"L", b"G", b"F", b"H", b"M", b"T", b"b"), _PARTS_OF_8859.values(), strict=True
    )},
}  # fmt: skip
_OF_ANY = frozenset({b"\x1b(B"})


def is_foreign(raw: bytes) -> bool:
    """Return whether a value needs a character set: other bytes than ASCII, or an escape."""
    return not raw.isascii() or b"\x1b" in raw


@lru_cache(maxsize=256)
def terms(written: str) -> tuple[str, ...]:
    """The defined terms in (0008,0005), spelled as PS3.3 spells them; ("",) for the default repertoire."""
    return tuple(_term(each) for each in written.split("\\")) if written.strip("\0 \\") else ("",)


def _term(written: str) -> str:
    text = written.strip("\0 ")
    match = _SPELLING.fullmatch(text)
    if match:
        return f"ISO 2022 IR {int(match[2])}" if match[1] else f"ISO_IR {int(match[2])}"
    upper = text.upper()
    return upper if upper in _CODECS else text


def known_set(name: str) -> str:
    """`name` as `decode_text` takes it. Raises `SelectionError` for a set that nothing here reads."""
    text = name.strip()
    every = terms(text)
    try:
        if any(each in {"ISO_IR 6", "ISO 2022 IR 6"} or _number(each) in _MULTI_BYTE for each in every):
            return "\\".join(every)
        if len(every) == 1 and every[0]:
            # What holds ASCII otherwise than as its own bytes cannot be the text of DICOM.
            codec = _CODECS.get(every[0]) or codecs.lookup(every[0].replace(" ", "-")).name
            if b"^=\\Az".decode(codec) == "^=\\Az":
                return every[0]
    except (LookupError, UnicodeError, TypeError):
        pass
    raise SelectionError(
        say("no character set {name}", name=repr(name[:40])),
        expected="ISO_IR 192, GB18030, ISO_IR 100 …, or a name such as Big5, EUC-KR, Shift-JIS, windows-1251",
    )


def is_defined(charset: str) -> bool:
    """Return whether the terms are those of PS3.3 C.12.1.1.2, and not names of other sets or private ones."""
    every = terms(charset)
    if len(every) == 1:
        return every[0] in _CODECS and every[0] not in _PRIVATE
    registered = {0, 6, 13, *_PARTS_OF_8859, *_MULTI_BYTE}
    return all(
        not each or (each.startswith("ISO 2022 IR ") and _number(each) in registered) for each in every
    )


def decode_text(raw: bytes, charset: str, *, person: bool = False) -> str:
    """`raw` in `charset` as text; what cannot be read becomes U+FFFD. `person`: `^` and `=` end an escape."""
    return _text(raw, charset, person, "replace")


def decode_strictly(raw: bytes, charset: str, *, person: bool = False) -> str | None:
    """The same; None where not every byte is of that set, as far as the standard gives it any."""
    every = terms(charset)
    if _extended(every):
        if not set(_ESCAPE.findall(raw)) <= _announced(every):
            return None
    elif b"\x1b" in raw or not _may_hold(raw, every[0]):
        return None
    try:
        return _text(raw, charset, person, "strict")
    except (UnicodeError, LookupError):
        return None


def escaped_set(raws: Sequence[bytes]) -> str | None:
    """The terms that announce the escapes in `raws`; None without any, or for one that is not registered."""
    found = {escape for raw in raws for escape in _ESCAPE.findall(raw)} - _OF_ANY
    names = {escape: name for name, escape in _escapes().items()}
    if not found or not found <= names.keys():
        return None
    return "\\".join(["", *sorted({f"ISO 2022 IR {names[escape]}" for escape in found})])


def without_escapes(charset: str) -> Iterator[str]:
    """The sets that texts are in whose writer knew those of `charset` and no escapes."""
    for each in terms(charset):
        name = WITHOUT_ESCAPES.get(_number(each))
        if name is not None:
            yield name


def python_codec(charset: str) -> str:
    """The codec of Python that alone reads texts of `charset` without escapes; "" where none does."""
    every = terms(charset)
    return "" if _extended(every) else _codec(every[0])


def _text(raw: bytes, charset: str, person: bool, errors: str) -> str:
    every = terms(charset)
    if _extended(every) or b"\x1b" in raw:
        return "".join(_switched(raw, every[0], person, errors))
    return raw.decode(_codec(every[0]), errors)


def _extended(every: Sequence[str]) -> bool:
    return len(every) > 1 or (every[0] not in _CODECS and every[0].startswith("ISO 2022"))


@lru_cache(maxsize=64)
def _codec(term: str) -> str:
    """Python's codec for one term; for the default repertoire Latin-1, which loses nothing."""
    if term in {"", "ISO_IR 6"}:
        return "latin_1"
    if term in _CODECS:
        return _CODECS[term]
    try:
        return codecs.lookup(term.replace(" ", "-")).name
    except LookupError:
        return "latin_1"


def _may_hold(raw: bytes, term: str) -> bool:
    """Return whether the bytes are of the repertoire; codecs of Python take some that are not."""
    if term in {"", "ISO_IR 6"}:
        return raw.isascii()
    if term == "ISO_IR 13":
        return all(byte < 0x80 or 0xA1 <= byte <= 0xDF for byte in raw)
    if term.startswith("ISO_IR ") and term != UTF8:
        return not _CONTROLS.search(raw) and term in _CODECS
    return True


def _number(term: str) -> int:
    last = term.rpartition(" ")[2]
    return int(last) if term.startswith("ISO") and last.isdigit() else 0


@lru_cache(maxsize=1)
def _escapes() -> dict[int, bytes]:
    found = dict(_MULTI_BYTE)
    for escape, name in _TO_G1.items():
        if name.startswith("iso8859"):
            found[next(n for n, part in _PARTS_OF_8859.items() if f"iso8859_{part}" == name)] = escape
    return {**found, 13: b"\x1b)I"}


@lru_cache(maxsize=64)
def _announced(every: tuple[str, ...]) -> frozenset[bytes]:
    """The escapes that the terms allow."""
    numbers = {_number(each) for each in every}
    found = {_escapes()[number] for number in numbers if number in _escapes()} | _OF_ANY
    if 13 in numbers or 87 in numbers:
        found |= {b"\x1b(J", b"\x1b$@"}
    return frozenset(found)


def _switched(raw: bytes, initial: str, person: bool, errors: str) -> Iterator[str]:
    """Text under code extensions (ISO/IEC 2022 as PS3.5 6.1.2.5 restricts it), piece by piece.

    A delimiter brings back the set that the attribute names first. One of two bytes in G1 outlives it here: writers
    forget the escape after `^`, and no byte would mean anything without it.
    """
    number = _number(initial)
    first = (
        "kana" if number == 13 else f"iso8859_{_PARTS_OF_8859[number]}" if number in _PARTS_OF_8859 else ""
    )
    low, high = "ascii", first
    pieces = _PIECES_OF_NAMES if person else _PIECES
    for token in _TOKENS.findall(raw):
        if token in _TO_G0:
            low = _TO_G0[token]
        elif token in _TO_G1:
            high = _TO_G1[token]
        elif token[0] == 0x1B:
            yield _refused(token, errors)
        elif low != "ascii":
            yield from _in_pairs(token, low, high, errors)
            if token[-1] in b"\r\n\f\t":
                low, high = "ascii", first
        else:
            for piece in pieces.findall(token):
                if piece[0] >= 0x80:
                    yield _of_g1(piece, high, errors)
                    continue
                yield piece.decode("ascii")
                if (
                    len(piece) == 1
                    and piece in b"\\^=\r\n\f\t"
                    and (first or not high.startswith(("gb", "euc")))
                ):
                    high = first


def _in_pairs(token: bytes, low: str, high: str, errors: str) -> Iterator[str]:
    """Characters of two bytes in G0, with what writers put between them."""
    for piece in re.findall(rb"(?:[!-~][!-~])+|[\x80-\xff]+|.", token, re.DOTALL):
        if piece[0] >= 0x80:
            yield _of_g1(piece, high, errors)
        elif len(piece) == 1:
            yield piece.decode("ascii")
        else:
            upper = bytes(byte | 0x80 for byte in piece)
            if low == "jis x 0212":
                upper = b"".join(b"\x8f" + upper[at : at + 2] for at in range(0, len(upper), 2))
            yield upper.decode("euc_jp", errors)


def _of_g1(piece: bytes, high: str, errors: str) -> str:
    if not high:
        return _refused(piece, errors)
    if high == "kana":
        is_kana = all(0xA1 <= byte <= 0xDF for byte in piece)
        return piece.decode("shift_jis", errors) if is_kana else _refused(piece, errors)
    if high == "gb2312":
        # Some that write these escapes mean the larger set.
        return piece.decode("gbk", errors)
    return piece.decode(high, errors)


def _refused(piece: bytes, errors: str) -> str:
    """Bytes that no set gives a character: U+FFFD for each, or a `UnicodeDecodeError`; an escape counts as one."""
    return (b"\xff" if piece.isascii() else piece).decode("ascii", errors)
