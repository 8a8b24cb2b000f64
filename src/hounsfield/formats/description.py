"""The part that every format shares: how hard to compress, and what a file says of its volume beside the numbers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hounsfield.ct.volume import Volume

IDENTITY = frozenset({"PatientName", "PatientID", "PatientBirthDate", "OtherPatientIDs", "AccessionNumber"})
"""Facts that stay out of exported files: whoever holds the DICOM gets back to the patient by the UIDs."""


def described(volume: Volume) -> dict[str, Any]:
    """Everything but the numbers and the patient's identity, as plain JSON values."""
    described: dict[str, Any] = json.loads(json.dumps(volume.to_json(), default=str))
    described["header"] = {key: value for key, value in described["header"].items() if key not in IDENTITY}
    return described


@dataclass(frozen=True)
class Compression:
    """The effort of compression: `level` 0 not at all, 1 fast … 9 small; `threads` None for every core."""

    level: int = 1
    threads: int | None = None
