"""`scan` for verbs: the same, with a count of headers on a terminal while it reads."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from hounsfield.cli.terminal import progress

if TYPE_CHECKING:
    from hounsfield.reading import Scan


def scanned(location: str | Path) -> Scan:
    """What `location` holds; a count of the headers read so far shows on a terminal."""
    from hounsfield.reading import scan

    with progress("Reading headers") as seen:
        return scan(location, seen=seen)
