"""A value as a person types it, checked by its VR (PS3.5 6.2) and written as the bytes of that VR."""

from __future__ import annotations

import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from datetime import date

from hounsfield.dicom.dictionary import find_tag, vr_name
from hounsfield.dicom.vr import LOCALIZED, NUMBERS, SINGLE_VALUE, WHOLE_NUMBERS
from hounsfield.errors import MalformedError, UnsupportedError
from hounsfield.language import say

_UNENCODABLE = "add --set SpecificCharacterSet='ISO_IR 192', or use characters that it has"

_PATTERNS: Mapping[str, tuple[str, str]] = {
    "AE": (r"[\x20-\x7e]{0,16}", "at most 16 ASCII characters"),
    "AS": (r"\d{3}[DWMY]", "three digits and D, W, M or Y, such as 063Y"),
    "CS": (r"[A-Z0-9_ ]{0,16}", "at most 16 of A–Z, 0–9, space and underscore"),
    "DA": (r"\d{8}", "a date as YYYYMMDD"),
    "DS": (r" *[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)? *", "a decimal number of at most 16 characters"),
    "DT": (r"\d{4}(\d\d){0,5}(\.\d{1,6})?([+-]\d{4})?", "a date and time as YYYYMMDDHHMMSS.FFFFFF&ZZXX"),
    "IS": (r" *[+-]?\d+ *", "a whole number of at most 12 characters"),
    "TM": (r"([01]\d|2[0-3])([0-5]\d([0-5]\d(\.\d{1,6})?|60)?)?", "a time as HHMMSS.FFFFFF"),
    "UI": (r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*", "at most 64 digits and dots, no part beginning with 0"),
    "UR": (r"[\x21-\x7e]*", "a URI, in ASCII without spaces"),
}
_ANY_LENGTH = 1 << 31
_LENGTHS: Mapping[str, int] = {
    **dict.fromkeys(("UT", "UC", "UR"), _ANY_LENGTH),
    **dict.fromkeys(("UI", "LO", "PN"), 64),
    **dict.fromkeys(("DS", "SH"), 16),
    "IS": 12,
    "DT": 26,
    "ST": 1024,
    "LT": 10240,
}


def encode_value(
    text: str,
    *,
    vr: str,
    vm: str = "",
    charsets: Sequence[str] = (),
    little: bool = True,
    what: str = "the value",
) -> bytes:
    """The bytes of `text` in `vr`, even in length; several values are separated by backslashes.

    `vm` is the value multiplicity as PS3.6 writes it ("" for any), `charsets` the Specific Character Set, `what` the
    attribute's name for messages. An empty text is an empty value. Raises `MalformedError` for what the VR does not
    allow or the character set does not have, `UnsupportedError` for a VR that is not written as text.
    """
    if not text:
        return b""
    # A backslash is a character in texts of one value (LT, ST, UT, UR: PS3.5 6.4), and a separator in all others.
    values = [text] if vr in SINGLE_VALUE else text.split("\\")
    if vm and not _right_number(len(values), vm):
        raise MalformedError(
            say("{count} values for {what}", count=len(values), what=what),
            expected=vm,
            remedy="separate values by a backslash",
        )
    if vr in NUMBERS:
        content = b"".join(_number(value, vr, little, what) for value in values)
    elif vr == "AT":
        order = "<HH" if little else ">HH"
        tags = [find_tag(value) for value in values]
        content = b"".join(struct.pack(order, tag >> 16, tag & 0xFFFF) for tag in tags)
    elif vr in LOCALIZED:
        # Checked as characters, encoded value by value: limits count characters (PS3.5 6.2), and escape sequences of
        # ISO 2022 begin anew behind each backslash (PS3.5 6.1.2.5.3). In GB18030 a second byte may be 5C, too.
        content = b"\\".join(_encoded(_checked(value, vr, what), vr, charsets, what) for value in values)
    elif vr in _PATTERNS:
        content = b"\\".join(_checked(value, vr, what).encode("ascii") for value in values)
    else:
        raise UnsupportedError(
            say("{what} has VR {vr} ({en})", what=what, vr=vr, en=vr_name(vr).en),
            expected="a VR that is written as text or numbers",
        )
    return content + (b"\0" if vr == "UI" else b" ") * (len(content) % 2)


def _right_number(count: int, vm: str) -> bool:
    """Return whether `count` values satisfy a multiplicity such as "3", "1-n", "2-2n", "1-3" (PS3.5 6.4)."""
    match = re.fullmatch(r"(\d+)(?:-(\d*)(n?))?", vm)
    if match is None:
        return True
    low, high, many = int(match[1]), match[2], match[3]
    if many:
        return count >= low and count % int(high or 1) == 0
    return low <= count <= int(high or low)


def _checked(value: str, vr: str, what: str) -> str:
    pattern, expected = _PATTERNS.get(vr, (None, ""))
    limit = _LENGTHS.get(vr)
    longest = max(map(len, value.split("="))) if vr == "PN" else len(value)
    allowed = "\n\r\t\f" if vr in {"LT", "ST", "UT"} else ""
    bad = (
        (pattern is not None and value and re.fullmatch(pattern, value, re.ASCII) is None)
        or (limit is not None and longest > limit)
        or any(not character.isprintable() and character not in allowed for character in value)
        or (vr == "DA" and value and not _is_date(value))
        or (vr == "IS" and value.strip() and not -(2**31) <= int(value) < 2**31)
        or (vr == "PN" and value.count("=") > 2)
    )
    if bad:
        raise MalformedError(
            say("{value} for {what}", value=repr(value[:70]), what=what),
            expected=expected
            or say("{en} of at most {limit} printable characters", en=vr_name(vr).en, limit=limit),
        )
    return value


def _is_date(value: str) -> bool:
    try:
        date(int(value[:4]), int(value[4:6]), int(value[6:]))
    except ValueError:
        return False
    return True


def _number(value: str, vr: str, little: bool, what: str) -> bytes:
    order = "<" if little else ">"
    try:
        if vr in WHOLE_NUMBERS:
            return struct.pack(order + NUMBERS[vr], int(value))
        return struct.pack(order + NUMBERS[vr], float(value))
    except (ValueError, OverflowError, struct.error) as error:
        raise MalformedError(
            say("{value} for {what}", value=repr(value[:40]), what=what),
            expected=say("a number of VR {vr}, {en}", vr=vr, en=vr_name(vr).en),
        ) from error


def _encoded(value: str, vr: str, charsets: Sequence[str], what: str) -> bytes:
    if value.isascii():
        return value.encode("ascii")
    if vr != "PN":
        return _in_charset(value, charsets, what)
    # The delimiters of a name return to the default repertoire, so each part is encoded by itself (PS3.5 6.1.2.5.3).
    return b"=".join(
        b"^".join(_in_charset(part, charsets, what) for part in group.split("^"))
        for group in value.split("=")
    )


def _in_charset(value: str, charsets: Sequence[str], what: str) -> bytes:
    from pydicom.charset import convert_encodings, decode_bytes, encode_string

    if value.isascii():
        return value.encode("ascii")
    declared = "\\".join(charsets) or "the default repertoire (ASCII)"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            encodings = convert_encodings(list(charsets) or [""])
            content = encode_string(value, encodings)
            same = decode_bytes(content, encodings, set()) == value
    except (UnicodeError, LookupError, ValueError, UserWarning) as error:
        raise MalformedError(
            say("{what} in characters that {declared} does not have", what=what, declared=declared),
            remedy=_UNENCODABLE,
        ) from error
    # pydicom takes Latin 1 for the default repertoire; the standard does not (PS3.5 6.1.2.1).
    if not same or not any(charset.strip() not in {"", "ISO_IR 6"} for charset in charsets):
        raise MalformedError(
            say("{what} in characters that {declared} does not have", what=what, declared=declared),
            remedy=_UNENCODABLE,
        )
    return content
