"""The UIDs that may stand in a URL: checked, never corrected.

Components with a leading zero break PS3.5 9.1 but are found in archives, and an instance must stay reachable;
everything else of the rule holds, so that a UID is always safe as one segment of a path.
"""

from __future__ import annotations

import re

from hounsfield.errors import DicomwebError
from hounsfield.language import say

MAX_LENGTH = 64
"""Characters in a UID, PS3.5 9.1."""

UID = re.compile(r"[0-9]+(?:\.[0-9]+)*", re.ASCII)


def is_uid(text: str) -> bool:
    """Return whether `text` is digits in components parted by single dots, at most 64 characters."""
    return len(text) <= MAX_LENGTH and UID.fullmatch(text) is not None


def require_uid(text: str, what: str) -> str:
    """`text`, or `DicomwebError` that calls it `what` ("Study Instance UID")."""
    if not is_uid(text):
        shown = text if len(text) <= MAX_LENGTH else text[:MAX_LENGTH] + "…"
        raise DicomwebError(
            say("{shown} is not a {what}", shown=repr(shown), what=what),
            expected="digits and single dots, at most 64 characters",
            status=400,
        )
    return text
