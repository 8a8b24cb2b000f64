"""Series of a library as volumes: scanned once, kept while they do not change, a slice of HU at a time.

Slices are converted singly, so that the first is there at once and gaps or odd steps stop nobody from looking;
a whole `Volume` is made only where a file of it is asked for, under `hounsfield.load`'s rules.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from hounsfield.ct.hu import Conversion, Counts, convert
from hounsfield.ct.instance import Instance, Skipped, read_instance
from hounsfield.ct.series import Series, Slice, find_series
from hounsfield.ct.series.assembly import conversion_of
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DicomwebError, HounsfieldError, SelectionError
from hounsfield.language import say
from hounsfield.language.reasons import unreadable
from hounsfield.server.archive.integrity import check_all
from hounsfield.server.archive.library import Library

KEPT_SCANS = 64
"""Series whose headers stay in memory."""

T = TypeVar("T")


@dataclass(frozen=True)
class Scanned:
    """The parts of one Series Instance UID, and what is no slice of any. `version` as the library tells it."""

    version: tuple[int, int, int]
    parts: tuple[Series, ...]
    skipped: tuple[Skipped, ...]

    def chosen(self, part: int | None, phase: int | None) -> Stack:
        """A part and phase by number, or those that a reader means: the first that is a volume, the first phase."""
        if not self.parts:
            reasons = "; ".join(sorted({each.reason for each in self.skipped}))
            raise SelectionError(
                say("nothing in this series has HU{which}", which=f": {reasons}" if reasons else "")
            )
        if part is None:
            part = next((number for number, each in enumerate(self.parts) if each.phases), 0)
        if not 0 <= part < len(self.parts):
            raise SelectionError(say("no part {part}", part=part), expected=f"0 … {len(self.parts) - 1}")
        series = self.parts[part]
        phase = phase or 0
        if not 0 <= phase < max(len(series.phases), 1):
            raise SelectionError(
                say("no phase {phase}", phase=phase), expected=f"0 … {max(len(series.phases), 1) - 1}"
            )
        return Stack(series, part, phase)


@dataclass(frozen=True)
class Stack:
    """One phase of one part: slices in the order in which a volume has them, or in the series' where it is none."""

    series: Series
    part: int
    phase: int

    @property
    def slices(self) -> tuple[Slice, ...]:
        return self.series.phases[self.phase].slices if self.series.phases else self.series.slices

    def conversion(self, number: int) -> Conversion:
        """Return the conversion of slice `number` to HU, clamped at −1024 as `hounsfield.load` does."""
        return conversion_of(self.slices[number], self.series.unit)

    def check(self, number: int, limit: int) -> None:
        """Refuse a slice of more than `limit` bytes before anything is allocated for it."""
        size = math.prod(self.slices[number].shape) * 2 if 0 <= number < len(self.slices) else 0
        if size > limit:
            raise DicomwebError(
                say("a slice of {size} bytes", size=size),
                expected=say("at most {limit}", limit=limit),
                status=413,
            )

    def hounsfield(self, number: int) -> tuple[npt.NDArray[np.int16], Counts]:
        """(rows, columns) int16 of slice `number`, the same values as in `hounsfield.load`'s array, and what was
        done to them."""
        if not 0 <= number < len(self.slices):
            raise SelectionError(
                say("no slice {number}", number=number), expected=f"0 … {len(self.slices) - 1}"
            )
        item = self.slices[number]
        out = np.empty(item.shape, np.int16)
        cells = item.instance.cells(item.plane.frame, out=out)
        if cells.shape != out.shape:
            raise DicomwebError(
                say("a frame of {shape}", shape=cells.shape), expected=f"{out.shape}", status=500
            )
        return out, convert(cells, self.conversion(number), out)


@dataclass
class VolumeCache:
    """Scans by series, and whatever else is costly to make, least used first out; `limit` bytes of the latter."""

    library: Library
    limit: int
    _scans: OrderedDict[tuple[str, str], Scanned] = field(default_factory=OrderedDict)
    _values: OrderedDict[Hashable, tuple[Any, int]] = field(default_factory=OrderedDict)
    _size: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _making: dict[Hashable, threading.Lock] = field(default_factory=dict)

    def scan(self, scope: Resource) -> Scanned:
        """The series at `scope`; 404 where there is none."""
        assert scope.study is not None and scope.series is not None
        version = self.library.version(scope)
        if not version[0]:
            raise DicomwebError("no such series here", expected="a stored one", status=404)
        key = (scope.study, scope.series)
        with self._alone(("scan", key)):
            with self._lock:
                known = self._scans.get(key)
                if known is not None and known.version == version:
                    self._scans.move_to_end(key)
                    return known
            made = self._scanned(scope, version)
            with self._lock:
                self._scans[key] = made
                while len(self._scans) > KEPT_SCANS:
                    self._scans.popitem(last=False)
        return made

    def _scanned(self, scope: Resource, version: tuple[int, int, int]) -> Scanned:
        instances: list[Instance] = []
        skipped: list[Skipped] = []
        entries = self.library.entries(scope)
        sources = [self.library.source(entry) for entry in entries]
        for entry, source in zip(entries, sources, strict=True):
            try:
                instances.append(read_instance(source))
            except HounsfieldError as error:
                skipped.append(Skipped(entry.instance, unreadable(error)))
        parts, left_out = find_series(instances)
        # What is damaged is no reason to leave a slice out: who looks would not see that it was there.
        check_all(sources)
        return Scanned(version, parts, (*skipped, *left_out))

    def value(self, key: Hashable, make: Callable[[], T], size: Callable[[T], int]) -> T:
        """The value under `key`, made now if it is not kept; one thread makes it, the others wait."""
        with self._alone(key):
            with self._lock:
                if key in self._values:
                    self._values.move_to_end(key)
                    kept: T = self._values[key][0]
                    return kept
            made = make()
            weight = size(made)
            with self._lock:
                if weight <= self.limit:
                    self._values[key] = (made, weight)
                    self._size += weight
                while self._size > self.limit:
                    self._size -= self._values.popitem(last=False)[1][1]
        return made

    def _alone(self, key: Hashable) -> threading.Lock:
        with self._lock:
            if len(self._making) > 4096:
                self._making = {each: lock for each, lock in self._making.items() if lock.locked()}
            return self._making.setdefault(key, threading.Lock())
