"""The value representations (PS3.5 6.2): how long their lengths are, and what their values are made of.

The one table of them; other rooms ask here. Names are text; those that are compared with the bytes of a file are in
`LONG` and `SHORT`, as bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

NUMBERS: Mapping[str, str] = MappingProxyType(
    {"US": "H", "SS": "h", "UL": "I", "SL": "i", "FL": "f", "FD": "d", "SV": "q", "UV": "Q"}
)
"""Binary numbers, with the code that `struct` has for one value."""

WHOLE_NUMBERS = frozenset({"SL", "SS", "SV", "UL", "US", "UV"})
FLOATING = frozenset({"FL", "FD"})
BYTES = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
"""Values that are bytes in a row, of no character and no number here."""

NUMERIC_TEXT = frozenset({"AS", "DS", "IS"})
TEMPORAL = frozenset({"DA", "DT", "TM"})
LOCALIZED = frozenset({"LO", "LT", "PN", "SH", "ST", "UC", "UT"})
"""Text in the Specific Character Set (PS3.5 6.1.2.2)."""

LOCALIZED_BYTES = frozenset(name.encode() for name in LOCALIZED)

TEXT = LOCALIZED | NUMERIC_TEXT | TEMPORAL | {"AE", "CS", "UI", "UR"}
SINGLE_VALUE = frozenset({"LT", "ST", "UR", "UT"})
"""Text in which a backslash separates nothing (PS3.5 6.4)."""

WIDTHS: Mapping[bytes, int] = MappingProxyType(
    {
        **dict.fromkeys(b"AT OW SS US".split(), 2),
        **dict.fromkeys(b"FL OF OL SL UL".split(), 4),
        **dict.fromkeys(b"FD OD OV SV UV".split(), 8),
    }
)
"""Bytes that change places with the byte order (PS3.5 7.3); one for all others."""

LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Two reserved bytes and a length of 32 bits (PS3.5 7.1.2)."""

SHORT = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())
"""A length of 16 bits."""

KNOWN = LONG | SHORT
SHORT_TEXT = SHORT & frozenset(name.encode() for name in TEXT)


@lru_cache(maxsize=8192)
def dictionary_vr(tag: int) -> str:
    """The VR that PS3.6 gives a tag, alternatives as it writes them ("US or SS"); "UN" where nobody knows it.

    Of private elements only creators and group lengths are known without their creator.
    """
    from pydicom.datadict import dictionary_VR

    if tag & 0xFFFF == 0:
        return "UL"
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    try:
        found = dictionary_VR(tag)
    except KeyError:
        return "UN"
    return "UN" if found == "NONE" else found


def vr_of(tag: int, *, signed: bool = False) -> bytes:
    """One VR for an element that is written without: by the sign of the pixels where it is US or SS, else OW."""
    name = dictionary_vr(tag)
    if name == "US or SS":
        return b"SS" if signed else b"US"
    return b"OW" if " or " in name else name.encode("ascii")
