"""`scan` for verbs: the same, with a count of headers on a terminal while it reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hounsfield.cli.terminal import progress

if TYPE_CHECKING:
    from hounsfield.verbs.load import Scan


def scanned(location: str | Path, *, unit: Literal["HU"] | None = None, split_by: str | None = None) -> Scan:
    """What `location` holds, in `unit` and parted as `scan` takes it; a count of the headers read so far shows on a
    terminal.
    """
    from hounsfield.verbs.load import scan

    with progress("Reading headers") as seen:
        return scan(location, unit=unit, split_by=split_by, seen=seen)
