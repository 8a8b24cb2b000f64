"""The place of a run's outputs and its ledger, and what is there already."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hounsfield.formats import buckets, sidecars_of
from hounsfield.runs.ledger import Ledger, Record

_DISTRIBUTIONS = ("hounsfield", "numpy", "pydicom", "imagecodecs")


@dataclass(frozen=True)
class Place:
    """The place of outputs and ledger. `force`: do everything again, over whatever is there.

    `content`: know sources by all their bytes, not by size and time. `exists` tells whether an output is still
    there as it was recorded. `pages`: what a person looks at once the place is closed.
    """

    folder: str
    ledger: Ledger
    keep_preview: Callable[[str, Mapping[str, Any]], None]
    exists: Callable[[Record], bool]
    force: bool = False
    content: bool = False
    pages: Path | None = None


@lru_cache
def versions() -> Mapping[str, str]:
    """Return what the numbers depend on, as installed here."""
    return {name: version(name) for name in _DISTRIBUTIONS}


def what_is_there(target: str) -> str:
    """The path or address of what a run would replace, "" for nothing."""
    if buckets.is_address(target):
        return target if buckets.size_of(target) is not None else ""
    path = Path(target)
    return next((str(each) for each in (path, *sidecars_of(path)) if os.path.lexists(each)), "")


def size_of(target: str) -> int:
    """Bytes of a file, of all files in a folder, or of an object in a bucket (0 for a Zarr there)."""
    if buckets.is_address(target):
        return buckets.size_of(target) or 0
    path = Path(target)
    if path.is_dir():
        return sum(item.stat().st_size for item in path.rglob("*") if item.is_file())
    return path.stat().st_size if path.is_file() else 0


def is_still_there(folder: Path, record: Record) -> bool:
    """Return whether a recorded output is where it was, and of the size it had (of a folder only that it is there)."""
    path = folder / record.output
    return path.is_dir() or (path.is_file() and path.stat().st_size == record.bytes)


def plain(options: Mapping[str, Any]) -> dict[str, Any]:
    """As they come back from JSON, so that they compare."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in sorted(options.items())
        if value not in (None, ())
    }
