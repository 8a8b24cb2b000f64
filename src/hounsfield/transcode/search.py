"""The search for the rate at which a lossy coding loses what was asked for, and not more."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from hounsfield.codecs import FrameFormat, Pixels, Rate, decode_frame, encode_frame, written_format
from hounsfield.codecs.jpeg import largest_near
from hounsfield.dicom.syntaxes import TransferSyntax, transfer_syntax
from hounsfield.errors import HounsfieldError, UnsupportedError
from hounsfield.language import say
from hounsfield.transcode.loss import NOTHING_LOST, FrameScale, Loss, comparable, decoder_slack, measure
from hounsfield.transcode.target import Target

RATIO_TOLERANCE = 0.10
"""Tolerance of a ratio that is asked for."""

GOOD_ENOUGH = 0.04
"""The search ends here; the rest is margin for what rounding does to other frames."""

_TRIES = 14
_COARSEST, _FINEST = -40.0, 110.0  # quality, on the scale of `Rate`
_FINER = 10.0  # of quality: half the step
_LOSSLESS_TWIN = {
    "jpeg-ls-near": "jpeg-ls",
    "jpeg2000-lossy": "jpeg2000",
    "htj2k-lossy": "htj2k",
    "jpeg-xl-lossy": "jpeg-xl",
}


@dataclass(frozen=True, slots=True)
class Coded:
    """All frames of an instance coded at one rate; `rate` is `None` where nothing was lost after all."""

    streams: list[bytes]
    rate: Rate | None
    loss: Loss


@dataclass(frozen=True, slots=True)
class CommonRate:
    """The rate at which the images of a series, coded in the syntax `keyword`, meet `ratio` in total."""

    keyword: str
    ratio: float
    rate: Rate


def encode_lossy(frame: Pixels, syntax: TransferSyntax, form: FrameFormat, rate: Rate) -> bytes:
    """A frame's codestream in which no error takes a value from one end of its range to the other.

    JPEG-LS has no sign: there the greatest value stands beside the least, and an error would make one the other. So
    both ends are brought in by as much as the error, which doubles it for these cells.
    """
    if syntax.keyword == "jpeg-ls-near" and form.signed and rate.near:
        limits = np.iinfo(frame.dtype)
        frame = np.clip(frame, limits.min + rate.near, limits.max - rate.near)
    return encode_frame(frame, syntax, form, rate=rate)


class LossySearch:
    """Codes the frames of one instance until what `target` asks for is met."""

    def __init__(
        self, cells: Sequence[Pixels], scales: Sequence[FrameScale], form: FrameFormat, target: Target
    ) -> None:
        assert target.syntax is not None
        self.cells = cells
        self.scales = scales
        self.form = form
        self.written = written_format(target.syntax, form)
        self.target = target
        self.syntax: TransferSyntax = target.syntax
        self.near = self.syntax.keyword == "jpeg-ls-near"
        self.native_bytes = form.native_bytes * len(cells)

    def run(self, hint: Rate | CommonRate | None = None) -> Coded:
        """`hint` is a rate that met the same target for a neighbour; a common one is taken as it is.

        Raises `UnsupportedError` if no rate meets the target.
        """
        if self.target.max_error is not None:
            return self._within(self.target.max_error)
        if self.target.ratio is None:
            return self._at_quality(self.target.quality or 0.0)
        if isinstance(hint, CommonRate):
            if (hint.keyword, hint.ratio) == (self.syntax.keyword, self.target.ratio):
                return (
                    self._nearest(hint.rate.near, None) if self.near else self._at_quality(hint.rate.quality)
                )
            hint = None
        return self._at_ratio(self.target.ratio, hint)

    def size_at(self, rate: Rate) -> int:
        """Bytes of all frames at a rate."""
        return sum(map(len, self._encode(rate)))

    def nearest_to(self, ratio: float) -> Rate:
        """The rate that comes nearest to a ratio."""
        return self._bisect(ratio, None)[1]

    def _encode(self, rate: Rate) -> list[bytes]:
        rate = replace(rate, effort=self.target.effort)
        return [encode_lossy(frame, self.syntax, self.form, rate) for frame in self.cells]

    def _coded(self, rate: Rate, streams: list[bytes] | None = None) -> Coded:
        streams = self._encode(rate) if streams is None else streams
        decoded = [decode_frame(stream, self.syntax, self.written) for stream in streams]
        like = [comparable(frame, self.syntax, self.form) for frame in decoded]
        slack = decoder_slack(self.syntax, self.form)
        return Coded(streams, rate, measure(self.cells, like, self.scales, slack))

    def _at_quality(self, quality: float) -> Coded:
        """The quality asked for; finer where padding would become something else.

        JPEG-LS has none: its error is half the quantiser step of that quality.
        """
        if self.near:
            return self._nearest(round(Rate(quality=quality).step / 2), None)
        finest = 100.0 if self.syntax.family == "jpeg" else _FINEST
        while True:
            coded = self._coded(Rate(quality=quality))
            if coded.loss.keeps(None):
                return coded
            if quality >= finest:
                return self._lossless()
            quality = min(finest, quality + _FINER)

    def _nearest(self, near: int, max_error: float | None) -> Coded:
        """JPEG-LS with an error of at most `near`: less, by halves, where that does not keep what is promised."""
        near = min(largest_near(self.form), near)
        while near:
            coded = self._coded(Rate(near=near))
            if coded.loss.keeps(max_error):
                return coded
            near //= 2
        return self._lossless()

    def _lossless(self) -> Coded:
        """These syntaxes hold lossless codestreams too: what is asked for is finer than their losses."""
        twin = _LOSSLESS_TWIN.get(self.syntax.keyword)
        if twin is None:
            raise UnsupportedError(
                f"{self.syntax.keyword} cannot keep "
                + (
                    "padding apart"
                    if self.target.max_error is None
                    else f"errors within {self.target.max_error:g}"
                ),
                remedy="allow more, or use jpeg-ls-near",
            )
        syntax = transfer_syntax(twin)
        rate = Rate(effort=self.target.effort)
        streams = [encode_frame(frame, syntax, self.form, rate=rate) for frame in self.cells]
        for frame, stream in zip(self.cells, streams, strict=True):
            if not np.array_equal(decode_frame(stream, syntax, self.form), frame):
                raise HounsfieldError(say("a frame does not come back from {twin} as it was", twin=twin))
        return Coded(streams, None, NOTHING_LOST)

    def _within(self, max_error: float) -> Coded:
        """The fewest bytes of which no cell, padding included, is off by more than `max_error`."""
        steepest = max(abs(scale.slope) for scale in self.scales)
        if self.near:
            return self._nearest(math.floor(max_error / steepest + 1e-9), max_error + 1e-9)
        best: Coded | None = None
        low, high = (1.0, 100.0) if self.syntax.family == "jpeg" else (_COARSEST, _FINEST)
        for _ in range(_TRIES):
            middle = (low + high) / 2
            coded = self._coded(Rate(quality=middle))
            if coded.loss.keeps(max_error):
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
                say(
                    "{keyword} comes no nearer to a ratio of {ratio} than {found} here",
                    keyword=self.syntax.keyword,
                    ratio=format(ratio, "g"),
                    found=format(found, ".3g"),
                ),
                remedy="ask for another ratio, or use another lossy syntax",
                ratio=found,
            )
        coded = self._coded(rate, streams)
        if not coded.loss.keeps(None):
            raise UnsupportedError(
                say(
                    "at a ratio of {ratio} padding can no longer be separated from the image by {keyword}",
                    ratio=format(ratio, "g"),
                    keyword=self.syntax.keyword,
                ),
                remedy="ask for a smaller ratio, or for --max-error",
            )
        return coded

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
            if abs(found / ratio - 1) <= GOOD_ENOUGH:
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
