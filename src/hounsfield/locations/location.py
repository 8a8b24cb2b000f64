"""What a location is: anything that holds DICOM, seen as a run of sources.

A contract in prose; `LocationContract` in `tests/contracts.py` enforces it on every implementation:

- `name` is what a person is told: a path, a URL, a server's name. Stable.
- `sources()` yields every object that may be a DICOM instance, and a `Skipped` with its reason for everything
  else: nothing is left out silently. Whether bytes are DICOM is decided by whoever reads them, not here.
- The order is the natural order of names (`I2` before `I10`) and the same each time; names are unique. A DICOMDIR
  keeps the order of its records.
- It is lazy: making a location and asking for `sources()` reads nothing; sources come as they are found, and none
  is opened. It may be asked any number of times, from any threads.
- What cannot be read at all raises `LocationError`, `MalformedError` or `UnsupportedError` while iterating; a part
  that cannot be read is `Skipped`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from hounsfield.ct.instance.source import Skipped, Source


class Location(Protocol):
    """Anything that holds DICOM."""

    @property
    def name(self) -> str: ...

    def sources(self) -> Iterator[Source | Skipped]: ...
