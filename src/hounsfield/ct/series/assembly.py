"""Slices → one array: allocate once, convert each slice into its place, on all cores.

Order of operations, always this one: read or decode a slice's cells → `hu.convert` with that slice's own rescale →
the slice's place in the array. Then, on request: gaps filled or interpolated, a tilt made upright, an even step.
"""

from __future__ import annotations

import contextlib
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import asdict, dataclass
from itertools import pairwise
from operator import itemgetter
from typing import Any, Literal, TypeAlias, TypedDict, TypeVar, Unpack, get_args

import numpy as np
import numpy.typing as npt

from hounsfield.ct.grid import Box, Grid, Side, box_of
from hounsfield.ct.hu import AIR_FLOOR, Conversion, Counts, convert
from hounsfield.ct.sampling import Interpolation
from hounsfield.ct.series.slices import Slice
from hounsfield.ct.units import HOUNSFIELD, Unit
from hounsfield.ct.volume import Volume
from hounsfield.errors import GeometryError, HounsfieldError, MalformedError, TruncatedError
from hounsfield.language import say

Array = npt.NDArray[Any]
Pair: TypeAlias = tuple[Slice, int]
Result = TypeVar("Result")
DTYPES = ("int16", "float32")

# Not named by a ledger unless they are used: runs of versions without them stay valid.
_GRID_OPTIONS = ("voxel", "like", "box", "orientation")


class Keywords(TypedDict, total=False):
    """Those of `LoadOptions` that are written as they are kept."""

    dtype: Literal["int16", "float32"] | None
    clamp: bool
    gaps: Literal["error", "fill", "interpolate"]
    step: float | None
    rectify: bool
    interpolation: Interpolation
    orientation: str | None
    truncated: Literal["error", "fill"]
    spacing: tuple[float, float, float] | None
    unit: Literal["HU"] | None
    require_plausible: bool
    workers: int | None


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """Options for making a volume of slices.

    - `dtype`: "int16": rounded to nearest and saturated, with counts; "float32": exact; None: int16 for Hounsfield
      units, float32 for any other
    - `clamp`: values below −1024 HU become −1024
    - `gaps`: "error"; "fill": missing slices hold −1024; "interpolate": linear between neighbours
    - `step`: mm: resample to this slice step, whatever the spacing was
    - `rectify`: shift the slices of a tilted series in their planes until they stack upright
    - `voxel`: mm, (slice, row, column), or `like`: the grid of another volume: resample all three axes to it, by
      `interpolation`: "linear", "nearest" or "cubic"
    - `box`: (start, stop) of slices, rows and columns: a part of that grid; slices outside are not read, unless
      something is resampled
    - `orientation`: three letters such as "RAS", where columns, rows and slices rise to
    - `truncated`: "error"; "fill": what a short file lacks is −1024, listed
    - `spacing`: (slice, row, column) mm for frames that have no place in the patient
    - `unit`: "HU": the values are Hounsfield units, whatever the files say of them
    - `require_plausible`: an error for numbers that physics rules out
    - `workers`: threads; None for one a core
    """

    dtype: Literal["int16", "float32"] | None = None
    clamp: bool = True
    gaps: Literal["error", "fill", "interpolate"] = "error"
    step: float | None = None
    rectify: bool = False
    voxel: tuple[float, float, float] | None = None
    like: Grid | None = None
    interpolation: Interpolation = "linear"
    box: Box | None = None
    orientation: str | None = None
    truncated: Literal["error", "fill"] = "error"
    spacing: tuple[float, float, float] | None = None
    unit: Literal["HU"] | None = None
    require_plausible: bool = False
    workers: int | None = None

    def __post_init__(self) -> None:
        allowed: dict[str, tuple[str | None, ...]] = {
            "dtype": (*DTYPES, None),
            "gaps": ("error", "fill", "interpolate"),
            "truncated": ("error", "fill"),
            "unit": (HOUNSFIELD, None),
            "interpolation": get_args(Interpolation),
        }
        for name, choices in allowed.items():
            if getattr(self, name) not in choices:
                raise HounsfieldError(
                    f"{name}={getattr(self, name)!r}", expected=" or ".join(map(repr, choices))
                )
        if self.step is not None and not (np.isfinite(self.step) and self.step > 0):
            raise HounsfieldError(
                say("step={step}", step=repr(self.step)), expected="a length above zero, in mm"
            )
        lengths = () if self.spacing is None else self.spacing
        if self.spacing is not None and not (len(lengths) == 3 and all(0 < mm < np.inf for mm in lengths)):
            raise HounsfieldError(
                say("spacing={spacing}", spacing=repr(self.spacing)),
                expected="three lengths above zero, in mm: (slice, row, column)",
            )

        if self.voxel is not None and self.like is not None:
            raise HounsfieldError("voxel= and like= together", expected="one of them")
        if self.step is not None and (self.voxel or self.like):
            raise HounsfieldError("step= with a grid of its own", remedy="leave step= out")
        if self.interpolation != "linear" and self.voxel is None and self.like is None:
            raise HounsfieldError(
                say("interpolation={interpolation} without a grid", interpolation=repr(self.interpolation)),
                expected="voxel= or like= with it",
            )

    @property
    def resamples(self) -> bool:
        """Return whether the volume is not its slices as they are: anything that makes, leaves out or turns voxels."""
        made = self.step is not None or self.rectify or self.gaps == "interpolate"
        return made or any(getattr(self, name) is not None for name in _GRID_OPTIONS)

    @classmethod
    def of(
        cls,
        *,
        voxel: float | Sequence[float] | None = None,
        like: Volume | Grid | None = None,
        slices: slice | Side | None = None,
        box: Sequence[slice | Side] | None = None,
        **rest: Unpack[Keywords],
    ) -> LoadOptions:
        """Options as a person writes them: one length for a cube, a volume for its grid, `slices` for a box of them.

        Raises `HounsfieldError` for what no volume can be made by.
        """
        if slices is not None and box is not None:
            raise HounsfieldError("slices= and box= together", expected="one of them")
        if slices is not None:
            box = (slices, (None, None), (None, None))
        lengths = (voxel,) * 3 if isinstance(voxel, int | float) else voxel
        if lengths is not None and len(lengths) != 3:
            raise HounsfieldError(
                say("voxel={voxel}", voxel=repr(voxel)), expected="one length in mm, or (slice, row, column)"
            )
        return cls(
            voxel=None if lengths is None else (lengths[0], lengths[1], lengths[2]),
            like=Grid.of(like) if isinstance(like, Volume) else like,
            box=None if box is None else box_of(box),
            **rest,
        )

    def dtype_of(self, unit: Unit) -> Literal["int16", "float32"]:
        """The type of a volume in `unit`; it never depends on what else a header says."""
        return self.dtype or ("int16" if unit.hounsfield else "float32")

    def to_json(self) -> dict[str, Any]:
        """Everything that decides the volume, as a ledger keeps it: all but `workers`."""
        left_out = {"workers"} | {name for name in _GRID_OPTIONS if getattr(self, name) is None}
        if self.voxel is None and self.like is None:
            left_out.add("interpolation")
        if not self.require_plausible:
            left_out.add("require_plausible")
        return {name: value for name, value in asdict(self).items() if name not in left_out}


@dataclass(frozen=True)
class Assembled:
    """An array and how it came about: counts, notes by slice, places that no slice fills."""

    array: Array
    counts: Counts
    notes: tuple[str, ...]
    filled: tuple[int, ...]


def assemble(
    slices: tuple[Slice, ...],
    places: tuple[int, ...],
    depth: int,
    unit: Unit,
    options: LoadOptions,
    out: Array | None = None,
) -> Assembled:
    """Convert `slices` into a (depth, rows, columns) array, `out` if it is given, slice i at `places[i]`; other places
    hold −1024 (0 where the unit is not HU). Raises what reading raises, `GeometryError` where memory does not suffice.
    """
    shape, dtype = (depth, *slices[0].shape), options.dtype_of(unit)
    array = allocate(shape, dtype) if out is None else checked(out, shape, dtype)
    counts, notes, empty = convert_into(array, slices, places, unit, options)
    return Assembled(array, counts, counted_notes(notes, len(slices)), empty)


def convert_into(
    array: Array, slices: tuple[Slice, ...], places: tuple[int, ...], unit: Unit, options: LoadOptions
) -> tuple[Counts, dict[str, int], tuple[int, ...]]:
    """Convert slice i into `array[places[i]]`, padding into every other place: the counts, on how many slices each
    note holds, and the places that no slice fills.
    """
    empty = tuple(sorted(set(range(len(array))) - set(places)))
    array[list(empty)] = AIR_FLOOR if unit.hounsfield else 0
    worker = _Worker(array, unit, options)
    waiting = _Waiting(list(zip(slices, places, strict=True)), options.workers or os.cpu_count() or 1)
    counts, notes = Counts(), list[tuple[int, str]]()
    for its_counts, its_notes in waiting.worked_off(worker.run):
        counts += its_counts
        notes += its_notes
    # In the order of the slices, whichever thread had them: the same files give the same report.
    return counts, Counter(note for _, note in sorted(notes, key=itemgetter(0))), empty


def conversion_of(item: Slice, unit: Unit, *, clamp: bool = True) -> Conversion:
    """Everything that decides a slice's values, from its header. Raises `MalformedError`, `UnsupportedError`."""
    instance = item.instance
    return Conversion(instance.stored_format, item.plane.rescale, instance.padding, clamp, unit.hounsfield)


class _Waiting:
    """Items for some threads: each has a stretch of its own, and at its end takes from the ends of the others.

    Stretches, since neighbouring slices share pages of memory: two threads that fill them side by side wait for
    each other.
    """

    def __init__(self, items: list[Pair], threads: int) -> None:
        threads = max(1, min(threads, len(items)))
        bounds = [len(items) * index // threads for index in range(threads + 1)]
        self._stretches = [deque(items[begin:end]) for begin, end in pairwise(bounds)]

    def worked_off(self, function: Callable[[Iterator[Pair]], Result]) -> list[Result]:
        """`function` over the items, once in each thread; where it fails in one, nothing waits any more."""
        if len(self._stretches) == 1:
            return [function(self._taken(0))]
        with ThreadPoolExecutor(len(self._stretches)) as pool:
            # Each with a copy of this thread's context: who waits for the volume, waits for its decoders.
            futures = [
                pool.submit(copy_context().run, self._work, function, index)
                for index in range(len(self._stretches))
            ]
        return [future.result() for future in futures]

    def _work(self, function: Callable[[Iterator[Pair]], Result], index: int) -> Result:
        try:
            return function(self._taken(index))
        except BaseException:
            for stretch in self._stretches:
                stretch.clear()
            raise

    def _taken(self, index: int) -> Iterator[Pair]:
        own = self._stretches[index]
        with contextlib.suppress(IndexError):
            while True:
                yield own.popleft()
        for other in self._stretches:
            with contextlib.suppress(IndexError):
                while True:
                    yield other.pop()


@dataclass(frozen=True, slots=True)
class _Worker:
    """The work of each thread; the array's slices are disjoint, so threads never meet."""

    array: Array
    unit: Unit
    options: LoadOptions

    def run(self, pairs: Iterator[Pair]) -> tuple[Counts, list[tuple[int, str]]]:
        """Return what was done to the voxels, and each note with the place of its slice."""
        counts, notes = Counts(), list[tuple[int, str]]()
        for item, place in pairs:
            of_slice: list[str] = []
            counts += self._convert(item, self.array[place], of_slice)
            notes += [(place, note) for note in of_slice]
        return counts, notes

    def _convert(self, item: Slice, out: Array, notes: list[str]) -> Counts:
        notes += item.plane.notes
        try:
            cells = item.instance.cells(item.plane.frame, out=out if out.dtype == np.int16 else None)
        except TruncatedError as error:
            if self.options.truncated == "error":
                raise
            notes += item.instance.pixel_notes
            conversion = conversion_of(item, self.unit, clamp=self.options.clamp)
            return self._convert_what_is_there(item, conversion, out, error.data.get("found_bytes", 0), notes)
        if cells.shape != out.shape:
            raise MalformedError(
                say("a frame of {shape}", shape=cells.shape), expected=f"{out.shape}", where=item.name
            )
        # Not before the cells: a codestream may say more of its values than the header does.
        notes += item.instance.pixel_notes
        conversion = conversion_of(item, self.unit, clamp=self.options.clamp)
        return convert(cells, conversion, out)

    def _convert_what_is_there(
        self, item: Slice, conversion: Conversion, out: Array, found_bytes: int, notes: list[str]
    ) -> Counts:
        """A truncated slice's native cells, or a compressed frame before the end of the data; padding for the rest."""
        instance, rest = item.instance, out.reshape(-1)
        counts = Counts()
        if not instance.is_native:
            try:
                return convert(instance.cells(item.plane.frame, fill=0), conversion, out)
            except TruncatedError:
                pass
        notes.append(f"truncated, the rest is padding: {item.name}")
        if instance.is_native:
            count = found_bytes // (conversion.stored.bits_allocated // 8)
            cells = instance.cells(item.plane.frame, fill=0).reshape(-1)
            counts += convert(cells[:count], conversion, rest[:count])
            rest = rest[count:]
        rest[...] = AIR_FLOOR if self.unit.hounsfield else 0
        return counts


def checked(out: Array, shape: tuple[int, int, int], dtype: str) -> Array:
    """`out`, if it can hold such a volume. Raises `GeometryError`."""
    if (
        out.shape != shape
        or out.dtype != np.dtype(dtype)
        or not out.flags.c_contiguous
        or not out.flags.writeable
    ):
        kind = "" if out.flags.c_contiguous and out.flags.writeable else ", not contiguous or not writable"
        raise GeometryError(
            say(
                "out= of {listed} {name}{kind}",
                listed="×".join(map(str, out.shape)),
                name=out.dtype.name,
                kind=kind,
            ),
            expected=say(
                "{listed} {dtype}, contiguous and writable", listed="×".join(map(str, shape)), dtype=dtype
            ),
        )
    return out


def allocate(shape: tuple[int, int, int], dtype: str) -> Array:
    """Memory for (slices, rows, columns), not set. `GeometryError` where there is not enough."""
    try:
        return np.empty(shape, np.dtype(dtype))
    except (MemoryError, ValueError) as error:
        size = int(np.prod(shape, dtype=object)) * np.dtype(dtype).itemsize
        raise GeometryError(
            say(
                "a volume of {listed} voxels needs {number} GiB",
                listed="×".join(map(str, shape)),
                number=format(size / 2**30, ".1f"),
            ),
            remedy="use a machine with more memory, or write OME-Zarr, which streams",
        ) from error


def counted_notes(notes: Mapping[str, int], total: int) -> tuple[str, ...]:
    """Each note once, with on how many slices it holds."""
    return tuple(
        note if count == total else f"{note} ({count} of {total} slices)" for note, count in notes.items()
    )
