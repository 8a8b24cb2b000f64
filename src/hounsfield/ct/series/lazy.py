"""A volume that is not read yet: an array whose slices are converted when they are asked for, and never kept."""

from __future__ import annotations

from collections.abc import Iterable
from operator import index
from typing import Any

import numpy as np
import numpy.typing as npt

from hounsfield.ct.series.assembly import LoadOptions, allocate, convert_into
from hounsfield.ct.series.slices import Slice
from hounsfield.ct.units import Unit
from hounsfield.ct.volume import Volume

Array = npt.NDArray[Any]


class LazyVolume:
    """Shape, type and indexing of an array (slices, rows, columns), for NumPy and for `dask.array.from_array`.

    `outline` is a `Volume` at the right place whose values are not there. Indexing takes what NumPy's basic indexing
    takes, and a list of slices as the first index; it reads the files of those slices alone. `numpy.asarray` reads all.
    """

    ndim = 3

    def __init__(
        self,
        slices: tuple[Slice, ...],
        places: tuple[int, ...],
        unit: Unit,
        options: LoadOptions,
        outline: Volume,
    ) -> None:
        self.outline = outline
        self.shape = outline.shape
        self.dtype = outline.array.dtype
        self._slices = dict(zip(places, slices, strict=True))
        self._unit, self._options = unit, options

    @property
    def chunks(self) -> tuple[int, int, int]:
        """Return what is read at once: one slice."""
        return 1, self.shape[1], self.shape[2]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> Any:
        first, *rest = _full(key)
        if isinstance(first, slice):
            wanted: Iterable[int] = range(*first.indices(len(self)))
            return self._read(wanted)[(slice(None), *rest)]
        if np.ndim(first) == 1:
            numbers = np.arange(len(self))[first]
            return self._read(numbers.tolist())[(slice(None), *rest)]
        at = index(first)
        if not -len(self) <= at < len(self):
            raise IndexError(f"slice {at} of {len(self)}")
        return self._read([at % len(self)])[(0, *rest)]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Array:
        if copy is False:
            raise ValueError("a volume that is not read yet has no memory to share")
        return np.asarray(self[:], dtype=dtype)

    def __repr__(self) -> str:
        return f"<LazyVolume {'×'.join(map(str, self.shape))} {self.dtype.name} {self._unit.name}>"

    def _read(self, wanted: Iterable[int]) -> Array:
        numbers = list(wanted)
        array = allocate((len(numbers), *self.shape[1:]), self.dtype.name)
        if numbers:
            held = [(place, at) for place, at in enumerate(numbers) if at in self._slices]
            slices = tuple(self._slices[at] for _, at in held)
            convert_into(array, slices, tuple(place for place, _ in held), self._unit, self._options)
        return array


def _full(key: Any) -> tuple[Any, ...]:
    """Three indexes, an ellipsis filled. Raises `IndexError` for more, and for new axes."""
    parts = key if isinstance(key, tuple) else (key,)
    if any(part is None for part in parts):
        raise IndexError("new axes: index what was read instead")
    if Ellipsis in [part for part in parts if not isinstance(part, np.ndarray | list)]:
        place = next(number for number, part in enumerate(parts) if part is Ellipsis)
        parts = (*parts[:place], *[slice(None)] * (4 - len(parts)), *parts[place + 1 :])
    if len(parts) > 3:
        raise IndexError(f"{len(parts)} indexes of 3 axes")
    return (*parts, *[slice(None)] * (3 - len(parts)))
