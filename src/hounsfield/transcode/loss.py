"""Measures of what a lossy coding loses.

Errors are in rescaled units (HU), in signed values. What is reported leaves padding out: declared (PS3.3 C.7.5.1.1.2),
or on CT below what air can be. What is promised does not: no cell may be further off than asked, and padding may not
become anything else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hounsfield.codecs import FrameFormat, Pixels
from hounsfield.codecs.colour import to_rgb
from hounsfield.ct.hu import Padding
from hounsfield.ct.instance import Instance
from hounsfield.ct.units import HOUNSFIELD, UNSPECIFIED, unit_of
from hounsfield.dicom.syntaxes import TransferSyntax
from hounsfield.errors import HounsfieldError

AIR = -1024.0
"""HU below which a CT value is padding: no tissue, nor air, is there."""

GREY_LEVELS = "grey levels"

_COLOUR_SLACK = 3  # 1 of Y and 1.77 of a chrominance

Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class FrameScale:
    """Stored value → rescaled unit of one frame, and what of it is padding; `floor`: it is a CT's."""

    slope: float = 1.0
    intercept: float = 0.0
    padding: Padding | None = None
    floor: bool = False

    def mask(self, cells: Pixels) -> Mask | None:
        """True where there is padding; `None` when there is none."""
        found = self.declared(cells)
        if self.floor and self.slope > 0:
            below = cells < (AIR - self.intercept) / self.slope
            found = below if found is None else found | below
        return found if found is not None and found.any() else None

    def declared(self, cells: Pixels) -> Mask | None:
        """True where there is padding by the header; `None` where it says nothing."""
        if self.padding is None:
            return None
        return np.asarray((cells >= self.padding.low) & (cells <= self.padding.high))

    @property
    def padding_is_air(self) -> bool:
        """Declared padding lies where a CT has air or less: a value beside it is none of the body's."""
        if not self.floor or self.padding is None:
            return False
        ends = (self.padding.low * self.slope, self.padding.high * self.slope)
        return max(ends) + self.intercept <= AIR

    def count_risen(self, before: Pixels, after: Pixels, error: float) -> int:
        """Padding below the air of a CT that is above it afterwards, by more than the `error` of the image."""
        mask = self.mask(before) if self.floor else None
        if mask is None:
            return 0
        declared = self.declared(before)
        if declared is not None and not self.padding_is_air:
            mask &= ~declared
        return int(np.count_nonzero(after[mask] * self.slope + self.intercept > AIR + error))


@dataclass(frozen=True, slots=True)
class Loss:
    """The loss of a coding: largest error in rescaled units, and PSNR in dB over the range of the values, padding left
    out.

    `worst` is the largest error of all cells. `padding`: the stored values that are padding afterwards, where those
    declared are no longer enough. `strays`: padding that became something that cannot be separated from the image, or
    values of the image that became padding. `slack`: what another reader's decoder may add to the largest error.
    """

    max_error: float
    psnr: float
    worst: float = 0.0
    padding: Padding | None = None
    strays: int = 0
    slack: float = 0.0

    def keeps(self, max_error: float | None) -> bool:
        """Return whether no cell is further off than `max_error`, and padding is still that."""
        return not self.strays and (max_error is None or self.worst + self.slack <= max_error)


NOTHING_LOST = Loss(0.0, math.inf)


def frame_scales(instance: Instance, count: int) -> list[FrameScale]:
    """The scale of each frame; stored values stand for themselves where there is no linear rescale."""
    try:
        planes = instance.planes
        padding = instance.padding if instance.samples == 1 else None
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


def error_unit(instance: Instance) -> str:
    """The unit of errors of its values: HU, another unit that the header names, or grey levels."""
    header = instance.header
    try:
        rescale, kind = instance.planes[0].rescale, instance.planes[0].rescale_type
        unit = unit_of(kind, header.text("Modality"), header.text("SOPClassUID"))
    except (HounsfieldError, IndexError):
        return GREY_LEVELS
    if instance.samples > 1 or (rescale.slope, rescale.intercept, rescale.lut) == (1.0, 0.0, None):
        return HOUNSFIELD if unit.hounsfield and instance.samples == 1 else GREY_LEVELS
    return HOUNSFIELD if unit.hounsfield else GREY_LEVELS if unit.name == UNSPECIFIED else unit.name


def decoder_slack(syntax: TransferSyntax, form: FrameFormat) -> int:
    """Stored values by which decoders of a lossy codestream may differ, each of them right.

    Only JPEG-LS says what comes out, bit for bit. Inverse transforms are of real numbers, and a decoder may round them
    its way: OpenJPH and OpenJPEG differ by 1, libjpeg-turbo and libjpeg too, with 12 bits by 2; from YCbCr to RGB JPEG
    multiplies that.
    """
    if syntax.family == "jpeg-ls":
        return 0
    if syntax.family != "jpeg":
        return 1
    return _COLOUR_SLACK if form.samples_per_pixel > 1 else 1 if form.bits_stored <= 8 else 2


def measure(
    originals: Sequence[Pixels], decoded: Sequence[Pixels], scales: Sequence[FrameScale], slack: int = 0
) -> Loss:
    """Errors over all frames of stored values; `slack` is that of the decoder, in stored values."""
    sums = _Sums()
    for before, after, scale in zip(originals, decoded, scales, strict=True):
        sums.add(before, after, scale)
    padding, strays = _padding_afterwards(originals, decoded, scales, sums.worst_of_image, slack)
    steepest = max((abs(scale.slope) for scale in scales), default=1.0)
    return Loss(sums.worst_of_image, sums.psnr, sums.worst, padding, strays, slack * steepest)


@dataclass(slots=True)
class _Sums:
    """Errors so far: `worst` of all cells, the others without padding."""

    worst: float = 0.0
    worst_of_image: float = 0.0
    squares: float = 0.0
    voxels: int = 0
    low: float = math.inf
    high: float = -math.inf

    def add(self, before: Pixels, after: Pixels, scale: FrameScale) -> None:
        difference = np.abs(after.astype(np.int64) - before)
        slope = abs(scale.slope)
        self.worst = max(self.worst, float(difference.max(initial=0)) * slope)
        mask = scale.mask(before)
        kept = before if mask is None else before[~mask]
        if mask is not None:
            difference = difference[~mask]
        if kept.size == 0:
            return
        self.worst_of_image = max(self.worst_of_image, float(difference.max()) * slope)
        self.squares += float(np.square(difference, dtype=np.float64).sum()) * slope**2
        self.voxels += kept.size
        ends = sorted(float(end) * scale.slope + scale.intercept for end in (kept.min(), kept.max()))
        self.low, self.high = min(self.low, ends[0]), max(self.high, ends[1])

    @property
    def psnr(self) -> float:
        if self.squares == 0.0:
            return math.inf
        return 20.0 * math.log10(max(self.high - self.low, 1.0)) - 10.0 * math.log10(
            self.squares / self.voxels
        )


def _padding_afterwards(
    originals: Sequence[Pixels],
    decoded: Sequence[Pixels],
    scales: Sequence[FrameScale],
    error: float,
    slack: int,
) -> tuple[Padding | None, int]:
    """The range that declared padding has become, where no value of the image is in it; and how much went astray.

    On a CT padding may become a little more air instead. `error` is the largest of the image.
    """
    ends: list[int] = []
    strays = 0
    for before, after, scale in zip(originals, decoded, scales, strict=True):
        strays += scale.count_risen(before, after, error)
        declared = scale.declared(before)
        if declared is not None and declared.any():
            limits = np.iinfo(before.dtype)
            ends.append(max(int(limits.min), int(after[declared].min()) - slack))
            ends.append(min(int(limits.max), int(after[declared].max()) + slack))
    padding = scales[0].padding if scales else None
    if padding is None or not ends:
        return None, strays
    wider = Padding(min(*ends, padding.low), max(*ends, padding.high))
    found = _count_of_image(originals, decoded, scales, wider)
    if found and not all(scale.padding_is_air for scale in scales):
        strays += found
    is_enough = (wider.low, wider.high) == (padding.low, padding.high)
    return None if found or is_enough else wider, strays


def _count_of_image(
    originals: Sequence[Pixels], decoded: Sequence[Pixels], scales: Sequence[FrameScale], wider: Padding
) -> int:
    """Cells that are not padding, and would be by a range as wide."""
    count = 0
    for before, after, scale in zip(originals, decoded, scales, strict=True):
        declared = scale.declared(before)
        is_within = (after >= wider.low) & (after <= wider.high)
        count += int(np.count_nonzero(is_within if declared is None else is_within & ~declared))
    return count


def comparable(decoded: Pixels, syntax: TransferSyntax, form: FrameFormat) -> Pixels:
    """A decoded frame in the colour space of `form`: JPEG comes back as YBR where RGB went in."""
    if syntax.family != "jpeg" or form.photometric_interpretation != "RGB":
        return decoded
    return to_rgb(decoded, "YBR_FULL")
