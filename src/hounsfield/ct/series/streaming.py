"""A series a slab of slices at a time, for volumes larger than memory: the same values and report as `Series.load`.

Writes nothing. Only what needs no slice but its own streams: not resampling, interpolating or rectifying.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from hounsfield.ct.hu import Counts
from hounsfield.ct.series.assembly import Assembled, LoadOptions, allocate, convert_into, counted_notes
from hounsfield.ct.series.series import Series
from hounsfield.ct.volume import Volume
from hounsfield.errors import UnsupportedError

Array = npt.NDArray[Any]

SLAB_BYTES = 32 << 20
"""Bytes that a slab may take, if it holds more than `multiple` slices."""


def streams(options: LoadOptions) -> bool:
    """Return whether volumes by these options can come a slab at a time."""
    return not options.resamples


class Stream:
    """One phase of a series, converted slab by slab.

    `outline` is a `Volume` of the right shape and place whose values are not there yet. Once every slab was drawn,
    `volume()` tells what `load` would tell; its array is the middle slice, repeated: only `slabs` holds the values.
    Raises as `Series.load` does, `UnsupportedError` for options that need the whole volume.
    """

    def __init__(
        self,
        series: Series,
        options: LoadOptions | None = None,
        *,
        phase: int | None = None,
        multiple: int = 8,
    ) -> None:
        self.options = options or LoadOptions()
        self.series = series.in_unit(self.options.unit)
        if not streams(self.options):
            raise UnsupportedError(
                "resampling needs the whole volume",
                where=series.name,
                remedy="leave out step, rectify and interpolate",
            )
        self._chosen = self.series._phase(phase, self.options)
        if self.options.require_plausible:
            self.series._refuse_implausible(self._chosen)
        self._places = series._places(self._chosen, self.options)
        rows, columns = self._chosen.slices[0].shape
        self.shape = (max(self._places) + 1, rows, columns)
        self._dtype = self.options.dtype_of(self.series.unit)
        slice_bytes = rows * columns * np.dtype(self._dtype).itemsize
        self.depth = max(1, SLAB_BYTES // max(slice_bytes, 1) // multiple) * multiple
        nothing = np.zeros((rows, columns), self._dtype)
        self._made = Assembled(np.broadcast_to(nothing, self.shape), Counts(), (), ())
        self.outline = self._volume()

    def slabs(self) -> Iterator[tuple[int, Array]]:
        """(first slice, (≤ depth, rows, columns)) from the first slab to the last; each array is the caller's."""
        counts, notes, filled = Counts(), dict[str, int](), list[int]()
        total, middle = self.shape[0], self.shape[0] // 2
        shown = self._made.array[0]
        inside = sorted(zip(self._places, self._chosen.slices, strict=True), key=lambda pair: pair[0])
        for start in range(0, total, self.depth):
            array = allocate((min(self.depth, total - start), *self.shape[1:]), self._dtype)
            here = [pair for pair in inside if start <= pair[0] < start + len(array)]
            places = tuple(place - start for place, _ in here)
            slices = tuple(item for _, item in here)
            slab_counts, slab_notes, empty = convert_into(
                array, slices, places, self.series.unit, self.options
            )
            counts += slab_counts
            filled += [start + place for place in empty]
            for note, count in slab_notes.items():
                notes[note] = notes.get(note, 0) + count
            if start <= middle < start + len(array):
                shown = array[middle - start].copy()
            yield start, array
        counted = counted_notes(notes, len(inside))
        self._made = Assembled(np.broadcast_to(shown, self.shape), counts, counted, tuple(filled))

    def volume(self) -> Volume:
        """The volume as far as it is known by now: all of it after the last slab."""
        return self._volume()

    def _volume(self) -> Volume:
        made = self.series._volume(self._chosen, self._places, self._made, self.options)
        return dataclasses.replace(made, array=self._made.array)
