"""The facts of a series before trusting it: geometry, values, padding, range, histogram, trust.

Reads headers, and pixels only when asked (`pixels=True`), a run of slices at a time; makes no volume.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from hounsfield.ct.geometry import Verdict
from hounsfield.ct.histogram import Bins, Histogram, WholeNumbers
from hounsfield.ct.hu import Counts, Rescale
from hounsfield.ct.plausibility import (
    UNCALIBRATED,
    Evidence,
    Physics,
    Plausibility,
    SliceLevel,
    level_of,
    looks_interleaved,
)
from hounsfield.ct.series import LoadOptions, Series
from hounsfield.ct.series.assembly import allocate, convert_into, counted_notes
from hounsfield.ct.series.slices import Slice
from hounsfield.ct.series.warnings import is_little, warnings_of
from hounsfield.errors import HounsfieldError
from hounsfield.transcode import estimate

_RUN = 32  # slices converted at once: memory stays at some 16 MB for a 512² series
_ESTIMATED = ("jpeg-ls", "htj2k")  # smallest of the quick, and quickest of the small: docs/compress.md


class Trust(StrEnum):
    """The trust that the numbers deserve without looking further."""

    GREEN = "green"
    AMBER = "amber"
    RED = "red"


@dataclass(frozen=True)
class Inspection:
    """One series, looked at. Lengths in mm, `spacing` (slice, row, column), sizes in bytes.

    `rescale`: the slices' (slope, intercept), None for a Modality LUT; more than one when they differ.
    `padding_declared`: stored values, low and high; `counts` and `histogram` are None without pixels, and
    `compressed` empty: bytes of the pixels by lossless syntax, estimated from a few slices.
    """

    uid: str
    name: str
    facts: dict[str, str]
    verdict: Verdict
    reasons: tuple[str, ...]
    slices: int
    matrix: tuple[int, int]
    phases: tuple[str, ...]
    phases_found: str
    spacing: tuple[float, float, float] | None
    tilt_degrees: float
    missing: int
    unit: str
    is_hounsfield: bool
    rescale: tuple[tuple[float, float] | None, ...]
    bits: tuple[int, int, bool] | None
    padding_declared: tuple[float, float] | None
    syntaxes: dict[str, int]
    pixel_bytes: int
    lossy: bool
    notes: tuple[str, ...]
    left_out: tuple[tuple[str, str], ...]
    counts: Counts | None = None
    histogram: Histogram | None = None
    problem: str = ""
    compressed: dict[str, int] = field(default_factory=dict)
    plausibility: Plausibility | None = None

    @property
    def already_hounsfield(self) -> bool:
        """Slope 1 and intercept 0 on every slice: what is stored is what is meant."""
        return set(self.rescale) == {(1.0, 0.0)}

    @property
    def trust(self) -> Trust:
        """Red: not a volume of HU as it is. Amber: usable, with something to know. Green: at most trifles to say."""
        if not self.is_hounsfield or not self.verdict.is_loadable or self.problem or self.is_implausible:
            return Trust.RED
        return Trust.GREEN if all(map(is_little, self.cautions)) else Trust.AMBER

    @property
    def is_implausible(self) -> bool:
        """The numbers cannot be Hounsfield units, whatever the header says."""
        return self.plausibility is not None and self.plausibility.verdict is Physics.IMPLAUSIBLE

    @property
    def cautions(self) -> tuple[str, ...]:
        """Everything that a careful reader wants to hear, most serious first; every warning of `load` is among it."""
        found = [self.problem] if self.problem else []
        if self.plausibility is not None and self.is_implausible:
            found.append(f"the numbers cannot be HU: {self.plausibility.sentences()[0]}")
        if self.plausibility is not None:
            found += [each.sentence() for each in self.plausibility.evidence if each.key in _CAUTIONED]
        found += [*self.reasons, *self.notes]
        if self.lossy:
            found.append("pixels were compressed with loss: values are approximate")
        if len(self.phases) > 1:
            found.append(self.phases_found)
        return tuple(dict.fromkeys(found))

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON values; the histogram by value."""
        low_high = None if self.histogram is None else list(self.histogram.range)
        return {
            "SeriesInstanceUID": self.uid,
            "name": self.name,
            **{key: value for key, value in self.facts.items() if key != "SeriesInstanceUID"},
            "verdict": str(self.verdict),
            "reasons": list(self.reasons),
            "trust": str(self.trust),
            "cautions": list(self.cautions),
            "slices": self.slices,
            "matrix": list(self.matrix),
            "phases": list(self.phases),
            "spacing": None if self.spacing is None else list(self.spacing),
            "tilt_degrees": self.tilt_degrees,
            "missing_slices": self.missing,
            "unit": self.unit,
            "already_hounsfield": self.already_hounsfield,
            "RescaleSlope": self._half(0),
            "RescaleIntercept": self._half(1),
            "stored": None if self.bits is None else dict(zip(_BITS, self.bits, strict=True)),
            "padding_declared": None if self.padding_declared is None else list(self.padding_declared),
            "transfer_syntaxes": self.syntaxes,
            "pixel_bytes": self.pixel_bytes,
            "compressed_bytes": self.compressed,
            "lossy": self.lossy,
            "left_out": [{"name": name, "reason": reason} for name, reason in self.left_out],
            "range": low_high,
            "padded": None if self.counts is None else self.counts.padded,
            "clamped": None if self.counts is None else self.counts.clamped,
            "saturated": None if self.counts is None else self.counts.saturated,
            "plausibility": None if self.plausibility is None else self.plausibility.to_json(),
            "histogram": None
            if self.histogram is None
            else {
                "first": self.histogram.first,
                "step": self.histogram.step,
                "counts": self.histogram.counts.tolist(),
            },
        }

    def _half(self, which: int) -> float | list[float] | None:
        values = sorted({pair[which] for pair in self.rescale if pair is not None})
        return values[0] if len(values) == 1 else values or None


_CAUTIONED = UNCALIBRATED | {"interleaved"}
"""Evidence that a careful reader wants to hear of, whatever the verdict is."""

_BITS = ("BitsAllocated", "BitsStored", "signed")


def inspect(series: Series, *, pixels: bool = True) -> Inspection:
    """Look at one series. Pixels that cannot be read become `problem`; nothing is raised for them."""
    first = series.slices[0]
    stack = series.phases[0].stack if series.phases else None
    instances = {id(item.instance): item.instance for item in series.slices}.values()
    syntaxes = Counter(_syntax_name(item) for item in series.slices)
    found = _Looked()
    if pixels:
        try:
            found = _look(series)
        except HounsfieldError as error:
            found = _Looked(problem=str(error))
    return Inspection(
        uid=series.uid,
        name=series.name,
        facts=series.facts,
        verdict=series.verdict,
        reasons=series.reasons,
        slices=len(series.slices),
        matrix=first.shape,
        phases=tuple(phase.label for phase in series.phases),
        phases_found=series.phases_found,
        spacing=_spacing(series),
        tilt_degrees=0.0 if stack is None else stack.tilt_degrees,
        missing=0 if stack is None else len(stack.missing),
        unit=series.unit.name,
        is_hounsfield=series.unit.hounsfield,
        rescale=tuple(sorted({_pair(item.plane.rescale) for item in series.slices}, key=str)),
        bits=_bits(first),
        padding_declared=_padding(first),
        syntaxes=dict(syntaxes),
        pixel_bytes=sum(_pixel_bytes(instance) for instance in instances),
        lossy=any(item.instance.header.text("LossyImageCompression") == "01" for item in series.slices),
        notes=found.warnings or _warnings_unread(series),
        left_out=tuple((item.name, item.reason) for item in series.left_out),
        counts=found.counts,
        histogram=found.histogram,
        problem=found.problem,
        compressed=_compressed(series) if pixels and not found.problem else {},
        plausibility=_physics(series, found) if pixels and not found.problem else None,
    )


def _physics(series: Series, found: _Looked) -> Plausibility | None:
    judged = series.plausibility()
    return (
        judged.with_evidence(Evidence("interleaved")) if judged is not None and found.interleaved else judged
    )


@dataclass(frozen=True)
class _Looked:
    """The result of reading the pixels."""

    counts: Counts | None = None
    histogram: Histogram | None = None
    warnings: tuple[str, ...] = ()
    problem: str = ""
    interleaved: bool = False


def _look(series: Series) -> _Looked:
    """Convert every slice, a run at a time, and count; the warnings are those of each volume by itself."""
    options = LoadOptions()
    kind = options.dtype_of(series.unit)
    tally = WholeNumbers() if kind == "int16" else Bins()
    total, warnings, interleaved = Counts(), list[str](), False
    for slices in _volumes(series):
        counts, notes = Counts(), Counter[str]()
        levels = list[SliceLevel]()
        for begin in range(0, len(slices), _RUN):
            run = slices[begin : begin + _RUN]
            array = allocate((len(run), *run[0].shape), kind)
            its_counts, its_notes, _ = convert_into(array, run, tuple(range(len(run))), series.unit, options)
            counts += its_counts
            notes.update(its_notes)
            for plane in array:
                tally.add(plane)
            levels += [level_of(plane) for plane in array] if series.unit.hounsfield else []
        interleaved = interleaved or looks_interleaved(levels)
        found = (*series.notes, *counted_notes(notes, len(slices)))
        warnings += warnings_of(slices, counts, found, series.left_out)
        total += counts
    return _Looked(total, tally.histogram(), tuple(dict.fromkeys(warnings)), interleaved=interleaved)


def _volumes(series: Series) -> list[tuple[Slice, ...]]:
    return [phase.slices for phase in series.phases] or [series.slices]


def _warnings_unread(series: Series) -> tuple[str, ...]:
    """Return what can be warned of without the pixels."""
    warnings: list[str] = []
    for slices in _volumes(series):
        notes = Counter(note for item in slices for note in item.plane.notes)
        found = (*series.notes, *counted_notes(notes, len(slices)))
        warnings += warnings_of(slices, None, found, series.left_out)
    return tuple(dict.fromkeys(warnings))


def _compressed(series: Series) -> dict[str, int]:
    """Return what the pixels would take in the two lossless syntaxes that most archives would choose from."""
    sources = {id(item.instance): item.instance.source for item in series.slices}.values()
    try:
        found = estimate(sources, lossy=False, syntaxes=_ESTIMATED)
    except HounsfieldError:
        return {}
    return {cost.syntax.keyword: cost.stored_bytes for cost in found.costs}


def _pair(rescale: Rescale) -> tuple[float, float] | None:
    return None if rescale.lut is not None else (rescale.slope, rescale.intercept)


def _spacing(series: Series) -> tuple[float, float, float] | None:
    plane = series.slices[0].plane
    if not series.phases or plane.spacing is None:
        return None
    return series.phases[0].stack.step, *plane.spacing[:2]  # type: ignore[return-value]


def _bits(item: Slice) -> tuple[int, int, bool] | None:
    try:
        stored = item.instance.stored_format
    except HounsfieldError:
        return None
    return stored.bits_allocated, stored.bits_stored, stored.signed


def _padding(item: Slice) -> tuple[float, float] | None:
    try:
        padding = item.instance.padding
    except HounsfieldError:
        return None
    return None if padding is None else (padding.low, padding.high)


def _syntax_name(item: Slice) -> str:
    try:
        return item.instance.syntax.name
    except HounsfieldError:
        return item.instance.header.transfer_syntax or "transfer syntax not given by the server"


def _pixel_bytes(instance: Any) -> int:
    """Bytes of pixels as stored; for encapsulated ones what is left of the source behind the header."""
    pixels = instance.header.pixels
    if pixels is None:
        return 0
    if pixels.length is not None:
        return int(pixels.length)
    with instance.source.open() as stream:
        return int(stream.seek(0, 2)) - int(pixels.offset)
