"""The ways in which a file asks to be shown: its windows and its VOI LUTs, of each frame (PS3.3 C.11.2, C.7.6.16.2.10).

Windows are `windowing.Window`; a VOI LUT Sequence (0028,3010) gives tables. Both take output values of the modality
transformation, HU in a CT, and give grey levels; for eyes only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from hounsfield.ct.windowing import LARGEST_OUT, Function, Window, apply_window
from hounsfield.errors import HounsfieldError

LARGEST_TABLE = 1 << 16
"""Entries that a LUT has at most (PS3.3 C.11.2.1.1: 0 means so many)."""


@dataclass(frozen=True)
class VoiTable:
    """A VOI LUT (PS3.3 C.11.2.1.1): `entries[0]` is shown at `first` and below it, the last one at its end and above.

    `entries`: (n,) grey levels 0 … 2**`bits` − 1.
    """

    first: int
    bits: int
    entries: NDArray[np.uint16]

    def apply(self, values: NDArray[Any]) -> NDArray[np.float64]:
        """Output values (any shape) → 0 … 255, float64, same shape."""
        last = len(self.entries) - 1
        rounded = np.rint(np.nan_to_num(np.asarray(values, np.float64), nan=-np.inf))
        index = np.clip(rounded - self.first, 0, last).astype(np.int64)
        levels: NDArray[np.float64] = self.entries[index] * (LARGEST_OUT / ((1 << self.bits) - 1))
        return levels


@dataclass(frozen=True)
class Voi:
    """One way in which a file asks to be shown, with the explanation that it gives, "" for none."""

    shown: Window | VoiTable
    explanation: str = ""

    def apply(self, values: NDArray[Any], *, invert: bool = False) -> NDArray[np.uint8]:
        """Output values (any shape) → uint8 (same shape), 0 black … 255 white; `invert` swaps these (MONOCHROME1)."""
        return apply_voi(values, self.shown, invert=invert)


def apply_voi(values: NDArray[Any], shown: Window | VoiTable, *, invert: bool = False) -> NDArray[np.uint8]:
    """Output values (any shape) → uint8 (same shape), by a window or a table, rounded to nearest."""
    if isinstance(shown, Window):
        return apply_window(values, shown, invert=invert)
    levels = np.rint(np.clip(shown.apply(values), 0, LARGEST_OUT)).astype(np.uint8)
    return LARGEST_OUT - levels if invert else levels


def vois_of(dataset: Mapping[Any, Any] | Any, frame: int = 0) -> tuple[Voi, ...]:
    """Return the ways in which frame `frame` (from 0) of a data set asks to be shown, the first that it should be.

    A table comes before windows. `dataset`: a pydicom Dataset; of multi-frame objects the Frame VOI LUT Sequence
    (0028,9132) of the frame, else the shared one, else the root's. What makes no sense is left out.
    """
    for level in _levels(dataset, frame):
        found = (*_tables(level, dataset), *_windows(level))
        if found:
            return found
    return ()


def _levels(dataset: Any, frame: int) -> Iterator[Any]:
    frames = dataset.get("PerFrameFunctionalGroupsSequence") or ()
    shared = dataset.get("SharedFunctionalGroupsSequence") or ()
    for groups in (*frames[frame : frame + 1], *shared[:1]):
        yield from (groups.get("FrameVOILUTSequence") or ())[:1]
    yield dataset


def _windows(level: Any) -> Iterator[Voi]:
    centers, widths = _numbers(level.get("WindowCenter")), _numbers(level.get("WindowWidth"))
    said = level.get("WindowCenterWidthExplanation")
    texts = [said] if isinstance(said, str) else [str(each) for each in said or ()]
    function = str(level.get("VOILUTFunction") or "LINEAR").strip().upper()
    known: Function = function if function in get_args(Function) else "LINEAR"  # type: ignore[assignment]
    for at, (center, width) in enumerate(zip(centers, widths, strict=False)):
        try:
            yield Voi(Window(center, width, known), texts[at] if at < len(texts) else "")
        except HounsfieldError:
            continue


def _numbers(value: Any) -> list[float]:
    if value is None or value == "":
        return []
    try:
        return [
            float(each)
            for each in (value if isinstance(value, (list, tuple)) or _is_several(value) else [value])
        ]
    except (TypeError, ValueError):
        return []


def _is_several(value: Any) -> bool:
    return not isinstance(value, str) and hasattr(value, "__iter__")


def _tables(level: Any, root: Any) -> Iterator[Voi]:
    for item in level.get("VOILUTSequence") or ():
        table = _table(item, root)
        if table is not None:
            yield Voi(table, str(item.get("LUTExplanation") or ""))


def _table(item: Any, root: Any) -> VoiTable | None:
    try:
        count, first, bits = (int(number) for number in item["LUTDescriptor"].value)
        element = item["LUTData"]
    except (KeyError, TypeError, ValueError):
        return None
    count = count or LARGEST_TABLE
    if first > np.iinfo(np.int16).max and _is_signed(root):
        first -= 1 << 16  # read as unsigned where its VR is ambiguous
    entries = _entries(element.value, count, bits)
    if not 1 <= bits <= 16 or not len(entries):
        return None
    return VoiTable(first, bits, entries)


def _entries(data: Any, count: int, bits: int) -> NDArray[np.uint16]:
    """Entries of 16 bits, or of 8 where the data hold no more (PS3.3 C.11.2.1.1)."""
    if isinstance(data, (bytes, bytearray)):
        kind = "<u2" if len(data) >= 2 * count or bits > 8 else "u1"
        return np.frombuffer(
            bytes(data[: len(data) // np.dtype(kind).itemsize * np.dtype(kind).itemsize]), kind
        )[:count].astype(np.uint16)
    numbers = np.atleast_1d(np.asarray(data if _is_several(data) else [data], np.int64))
    if len(numbers) * 2 == count or (bits <= 8 and len(numbers) * 2 == count + count % 2):
        return numbers.astype("<u2").view(np.uint8)[:count].astype(np.uint16)  # two to a word
    return (numbers[:count] & 0xFFFF).astype(np.uint16)


def _is_signed(root: Any) -> bool:
    """Return whether a VOI LUT may take negative values: of signed cells, or by an intercept below zero."""
    try:
        return int(root.get("PixelRepresentation") or 0) == 1 or float(root.get("RescaleIntercept") or 0) < 0
    except (TypeError, ValueError):
        return False
