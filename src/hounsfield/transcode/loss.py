"""How much a lossy coding loses, and the search for the rate that loses what was asked for.

Errors are in rescaled units (HU), over everything but padding: declared (PS3.3 C.7.5.1.1.2), or on CT below what
air can be.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hounsfield.codecs import FrameFormat, Pixels, Rate, decode_frame, encode_frame
from hounsfield.codecs.jpeg import largest_near
from hounsfield.errors import HounsfieldError, UnsupportedError
from hounsfield.hu import Padding
from hounsfield.instance import Instance
from hounsfield.syntaxes import TransferSyntax, transfer_syntax
from hounsfield.transcode.target import Target

AIR = -1024.0
"""HU below which a CT value is padding: no tissue, nor air, is there."""

RATIO_TOLERANCE = 0.10
"""How far a ratio may be from the one asked for."""

_GOOD_ENOUGH = 0.04  # the search ends here; margin for what rounding does to other frames
_TRIES = 14
_COARSEST, _FINEST = -40.0, 110.0  # quality, on the scale of `Rate`
_LOSSLESS_TWIN = {
    "jpeg-ls-near": "jpeg-ls",
    "jpeg2000-lossy": "jpeg2000",
    "htj2k-lossy": "htj2k",
    "jpeg-xl-lossy": "jpeg-xl",
}


@dataclass(frozen=True, slots=True)
class FrameScale:
    """Stored value → rescaled unit of one frame, and what of it is padding."""

    slope: float = 1.0
    intercept: float = 0.0
    padding: Padding | None = None
    floor: bool = False

    def mask(self, cells: Pixels) -> NDArray[np.bool_] | None:
        """True where there is padding; `None` when there is none."""
        found: NDArray[np.bool_] | None = None
        if self.padding is not None:
            found = (cells >= self.padding.low) & (cells <= self.padding.high)
        if self.floor and self.slope > 0:
            below = cells < (AIR - self.intercept) / self.slope
            found = below if found is None else found | below
        return found if found is not None and found.any() else None


@dataclass(frozen=True, slots=True)
class Loss:
    """What was lost: largest error in rescaled units, and PSNR in dB over the range of the values."""

    max_error: float
    psnr: float


@dataclass(frozen=True, slots=True)
class Coded:
    """All frames of an instance coded at one rate; `rate` is `None` where nothing was lost after all."""

    streams: list[bytes]
    rate: Rate | None
    loss: Loss


def frame_scales(instance: Instance, count: int) -> list[FrameScale]:
    """The scale of each frame; stored values stand for themselves where there is no linear rescale."""
    try:
        planes = instance.planes
        padding = instance.padding
    except HounsfieldError:
        return [FrameScale()] * count
    floor = instance.header.text("Modality") == "CT"
    scales = []
    for index in range(count):
        rescale = planes[min(index, len(planes) - 1)].rescale
        linear = rescale.lut is None and rescale.slope != 0
        slope, intercept = (rescale.slope, rescale.intercept) if linear else (1.0, 0.0)
        scales.append(FrameScale(slope, intercept, padding, floor and linear))
    return scales


def measure(originals: Sequence[Pixels], decoded: Sequence[Pixels], scales: Sequence[FrameScale]) -> Loss:
    """Errors over all frames, padding left out."""
    worst, squares, voxels = 0.0, 0.0, 0
    low, high = math.inf, -math.inf
    for before, after, scale in zip(originals, decoded, scales, strict=True):
        difference = after.astype(np.int64) - before
        mask = scale.mask(before)
        kept = before if mask is None else before[~mask]
        if mask is not None:
            difference = difference[~mask]
        if kept.size == 0:
            continue
        slope = abs(scale.slope)
        worst = max(worst, float(np.abs(difference).max()) * slope)
        squares += float(np.square(difference, dtype=np.float64).sum()) * slope**2
        voxels += kept.size
        ends = sorted(float(end) * scale.slope + scale.intercept for end in (kept.min(), kept.max()))
        low, high = min(low, ends[0]), max(high, ends[1])
    if squares == 0.0:
        return Loss(0.0, math.inf)
    return Loss(worst, 20.0 * math.log10(max(high - low, 1.0)) - 10.0 * math.log10(squares / voxels))


def comparable(decoded: Pixels, syntax: TransferSyntax, form: FrameFormat) -> Pixels:
    """A decoded frame in the colour space of `form`: JPEG comes back as YBR where RGB went in."""
    if syntax.family != "jpeg" or form.photometric_interpretation != "RGB":
        return decoded
    from hounsfield.codecs.colour import to_rgb

    return to_rgb(decoded, "YBR_FULL")


class LossySearch:
    """Codes the frames of one instance until what `target` asks for is met."""

    def __init__(
        self, cells: Sequence[Pixels], scales: Sequence[FrameScale], form: FrameFormat, target: Target
    ) -> None:
        assert target.syntax is not None
        self.cells = cells
        self.scales = scales
        self.form = form
        self.target = target
        self.syntax: TransferSyntax = target.syntax
        self.near = self.syntax.keyword == "jpeg-ls-near"
        self.native_bytes = form.native_bytes * len(cells)

    def run(self, hint: Rate | None = None) -> Coded:
        """`hint` is a rate that met the same target for a neighbour. Raises `UnsupportedError` if none does."""
        if self.target.max_error is not None:
            return self._within(self.target.max_error)
        if self.target.ratio is not None:
            return self._at_ratio(self.target.ratio, hint)
        return self._near_quality() if self.near else self._coded(Rate(quality=self.target.quality or 0.0))

    def _encode(self, rate: Rate) -> list[bytes]:
        rate = replace(rate, effort=self.target.effort)
        return [encode_frame(frame, self.syntax, self.form, rate=rate) for frame in self.cells]

    def _coded(self, rate: Rate, streams: list[bytes] | None = None) -> Coded:
        streams = self._encode(rate) if streams is None else streams
        decoded = [decode_frame(stream, self.syntax, self.form) for stream in streams]
        like = [comparable(frame, self.syntax, self.form) for frame in decoded]
        return Coded(streams, rate, measure(self.cells, like, self.scales))

    def _near_quality(self) -> Coded:
        """JPEG-LS has no quality; its error is half the quantiser step of that quality."""
        step = Rate(quality=self.target.quality or 0.0).step
        return self._coded(Rate(near=min(largest_near(self.form), round(step / 2))))

    def _lossless(self) -> Coded:
        """These syntaxes hold lossless codestreams too: what is asked for is finer than their losses."""
        twin = _LOSSLESS_TWIN.get(self.syntax.keyword)
        if twin is None:
            raise UnsupportedError(
                f"{self.syntax.keyword} cannot keep errors within {self.target.max_error:g}",
                remedy="allow more, or use jpeg-ls-near",
            )
        syntax = transfer_syntax(twin)
        rate = Rate(effort=self.target.effort)
        streams = [encode_frame(frame, syntax, self.form, rate=rate) for frame in self.cells]
        return Coded(streams, None, Loss(0.0, math.inf))

    def _within(self, max_error: float) -> Coded:
        """The fewest bytes whose largest error is at most `max_error`."""
        steepest = max(abs(scale.slope) for scale in self.scales)
        if self.near:
            near = min(largest_near(self.form), math.floor(max_error / steepest + 1e-9))
            return self._coded(Rate(near=near)) if near else self._lossless()
        best: Coded | None = None
        low, high = (1.0, 100.0) if self.syntax.family == "jpeg" else (_COARSEST, _FINEST)
        for _ in range(_TRIES):
            middle = (low + high) / 2
            coded = self._coded(Rate(quality=middle))
            if coded.loss.max_error <= max_error:
                best, high = coded, middle
            else:
                low = middle
            if high - low < 0.5:
                break
        return best or self._lossless()

    def _at_ratio(self, ratio: float, hint: Rate | None) -> Coded:
        """Bisection on the rate, which the ratio follows monotonically but for ripples."""
        streams, rate, found = self._bisect(ratio, hint)
        if abs(found / ratio - 1) > RATIO_TOLERANCE:
            raise UnsupportedError(
                f"{self.syntax.keyword} comes no nearer to a ratio of {ratio:g} than {found:.3g} here",
                remedy="ask for another ratio, or use another lossy syntax",
                ratio=found,
            )
        return self._coded(rate, streams)

    def _bisect(self, ratio: float, hint: Rate | None) -> tuple[list[bytes], Rate, float]:
        finest, coarsest, to_rate = self._knob()
        knob = self._knob_of(hint) if hint is not None else (finest + coarsest) / 2
        best: tuple[list[bytes], Rate, float] | None = None
        for _ in range(_TRIES):
            rate = to_rate(knob)
            streams = self._encode(rate)
            found = self.native_bytes / max(1, sum(map(len, streams)))
            if best is None or abs(math.log(found / ratio)) < abs(math.log(best[2] / ratio)):
                best = streams, rate, found
            if abs(found / ratio - 1) <= _GOOD_ENOUGH:
                break
            if found < ratio:
                finest = knob
            else:
                coarsest = knob
            following = (finest + coarsest) / 2
            if to_rate(following) == rate:
                break
            knob = following
        assert best is not None
        return best

    def _knob(self) -> tuple[float, float, Callable[[float], Rate]]:
        """(finest, coarsest, knob → rate): a number that rises with the loss."""
        if self.near:
            most = largest_near(self.form)
            return 0.0, math.log2(most + 1), lambda knob: Rate(near=min(most, round(2**knob) - 1))
        if self.syntax.family == "jpeg":
            return -100.0, -1.0, lambda knob: Rate(quality=round(-knob))
        return -_FINEST, -_COARSEST, lambda knob: Rate(quality=-knob)

    def _knob_of(self, rate: Rate) -> float:
        return math.log2(rate.near + 1) if self.near else -rate.quality
