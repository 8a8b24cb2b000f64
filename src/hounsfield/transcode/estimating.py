"""Estimates of an exam's cost in each syntax: sizes, speeds on this machine, errors; measured on a sample of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from hounsfield.codecs import (
    FrameFormat,
    PixelKind,
    Pixels,
    Rate,
    decode_frame,
    encode_frame,
    holds,
    refuse_unheld,
    written_format,
)
from hounsfield.ct.hu import stored_values
from hounsfield.ct.instance import BytesSource, Source, has_metadata, read_instance
from hounsfield.dicom.syntaxes import TransferSyntax, transfer_syntax
from hounsfield.errors import HounsfieldError
from hounsfield.transcode.loss import FrameScale, Loss, comparable, error_unit, frame_scales, measure
from hounsfield.transcode.part10 import inflated
from hounsfield.transcode.pixels import open_pixels
from hounsfield.transcode.search import encode_lossy

LOSSLESS = (
    "rle",
    "deflated-frame",
    "jpeg-lossless",
    "jpeg-lossless-14",
    "jpeg-ls",
    "jpeg2000",
    "htj2k",
    "jpeg-xl",
)
"""Keywords of the lossless syntaxes an estimate tells of."""

LOSSY_RATES: dict[str, tuple[Rate, ...]] = {
    "jpeg-ls-near": tuple(Rate(near=near) for near in (1, 2, 4, 8, 16)),
    "jpeg": tuple(Rate(quality=quality) for quality in (98, 95, 85, 60)),
    "jpeg-extended": tuple(Rate(quality=quality) for quality in (98, 95, 85, 60)),
    "jpeg2000-lossy": tuple(Rate(quality=quality) for quality in (80, 70, 60, 50)),
    "htj2k-lossy": tuple(Rate(quality=quality) for quality in (80, 70, 60, 50)),
    "jpeg-xl-lossy": tuple(Rate(quality=quality) for quality in (90, 80, 70, 60)),
}
"""Rates at which each lossy syntax is measured: a curve of size against error."""

_SAMPLE = 8


@dataclass(frozen=True, slots=True)
class Cost:
    """One syntax at one rate: bytes of all pixels, ratio, MB/s of pixels on one core, errors in HU.

    `held` is how many of the samples it holds; ratio, speeds and errors are of those.
    """

    syntax: TransferSyntax
    stored_bytes: int
    ratio: float
    encode_speed: float
    decode_speed: float
    max_error: float
    psnr: float
    rate: Rate | None = None
    held: int = 0

    @property
    def setting(self) -> str:
        """The rate in words."""
        if self.rate is None:
            return "lossless"
        return f"near {self.rate.near}" if self.rate.near else f"quality {self.rate.quality:g}"

    def to_json(self) -> dict[str, Any]:
        return {
            "syntax": self.syntax.keyword,
            "uid": self.syntax.uid,
            "setting": self.setting,
            "bytes": self.stored_bytes,
            "ratio": round(self.ratio, 3),
            "encode_mb_s": round(self.encode_speed, 1),
            "decode_mb_s": round(self.decode_speed, 1),
            "max_error": self.max_error,
            "psnr": self.psnr if self.psnr != float("inf") else None,
            "held": self.held,
        }


@dataclass(frozen=True, slots=True)
class Estimate:
    """Costs of `images` images of `native_bytes` uncompressed, stored in `stored_bytes` now.

    `costs` are measured on `sampled` frames; syntaxes that cannot hold such pixels are in `impossible` with the
    reason. Errors are in `unit`, which is "" where samples are in several.
    """

    images: int
    native_bytes: int
    stored_bytes: int
    sampled: int
    costs: tuple[Cost, ...]
    impossible: dict[str, str]
    unit: str = ""


@dataclass(frozen=True, slots=True)
class _Sample:
    cells: Pixels
    form: FrameFormat
    scale: FrameScale
    stored_bytes: float  # of this frame, as it is now
    unit: str


def estimate(
    sources: Iterable[Source],
    *,
    lossy: bool = True,
    syntaxes: Sequence[str] | None = None,
    on_step: Callable[[float], None] | None = None,
) -> Estimate:
    """Measure each syntax on up to eight frames spread over `sources`, and scale the sizes up to all of them.

    Sources that are no image are left out. `syntaxes` restricts to these keywords. `on_step` is called with 1
    after each measurement. Raises `HounsfieldError` where no image is found.
    """
    samples, images, native, stored = _gather(list(sources))
    if not samples:
        raise HounsfieldError("no image to estimate by", remedy="check the location")
    sampled = sum(sample.cells.nbytes for sample in samples)
    costs: list[Cost] = []
    impossible: dict[str, str] = {}
    for keyword, rate in _plan(lossy, syntaxes):
        if keyword in impossible:
            continue
        try:
            costs.append(_cost_of_mixed(transfer_syntax(keyword), rate, samples, native / sampled))
        except HounsfieldError as error:
            impossible[keyword] = error.found
        if on_step is not None:
            on_step(1)
    units = {sample.unit for sample in samples}
    unit = units.pop() if len(units) == 1 else ""
    return Estimate(images, native, stored, len(samples), tuple(costs), impossible, unit)


def steps(*, lossy: bool = True, syntaxes: Sequence[str] | None = None) -> int:
    """Return how many measurements `estimate` makes at most."""
    return len(_plan(lossy, syntaxes))


def _plan(lossy: bool, syntaxes: Sequence[str] | None) -> list[tuple[str, Rate | None]]:
    plan: list[tuple[str, Rate | None]] = [(keyword, None) for keyword in LOSSLESS]
    if lossy:
        plan += [(keyword, rate) for keyword, rates in LOSSY_RATES.items() for rate in rates]
    return [step for step in plan if syntaxes is None or step[0] in syntaxes]


def _gather(sources: list[Source]) -> tuple[list[_Sample], int, int, int]:
    """Samples from the middle outwards in equal steps; counts and bytes of everything, by headers alone."""
    images, native, stored, elsewhere = 0, 0, 0.0, 0
    found: list[Source] = []
    for source in sources:
        try:
            header = read_instance(source).header
        except HounsfieldError:
            continue
        is_elsewhere = has_metadata(source) and "Rows" in header
        if not is_elsewhere and (header.pixels is None or header.pixels.keyword != "PixelData"):
            continue
        counts = [header.integer(k) or 1 for k in ("Rows", "Columns", "SamplesPerPixel")]
        size = counts[0] * counts[1] * counts[2] * max(1, (header.integer("BitsAllocated") or 16) // 8)
        images, native = images + 1, native + size * header.number_of_frames
        if header.pixels is not None:
            stored += _pixel_length(source, header.pixels.offset, header.pixels.length)
        else:
            elsewhere += size * header.number_of_frames
        found.append(source)
    step = max(1, len(found) / _SAMPLE)
    chosen = {int(step * (index + 0.5)) for index in range(_SAMPLE)} if found else set()
    samples = [sample for index in sorted(chosen) if index < len(found) for sample in _sample(found[index])]
    if elsewhere and samples:  # a server's headers do not tell how long the pixels are
        sampled = sum(sample.cells.nbytes for sample in samples)
        stored += elsewhere * sum(sample.stored_bytes for sample in samples) / sampled
    return samples, images, native, round(stored)


def _pixel_length(source: Source, offset: int, length: int | None) -> int:
    if length is not None:
        return length
    with source.open() as stream:
        return max(0, stream.seek(0, 2) - offset)


def _sample(source: Source) -> list[_Sample]:
    """The middle frame of one source, nothing where it cannot be read."""
    try:
        with source.open() as stream:
            held = BytesSource(source.name, stream.read())
        instance = read_instance(held)
        dataset = inflated(held, instance.header)
        pixels = open_pixels(held.content if dataset is None else dataset, instance.header)
        middle = pixels.count // 2
        scales = frame_scales(instance, pixels.count)
        stored = pixels.stored_bytes / pixels.count
        cells, form = pixels.cells(middle), pixels.decoded_format
        if form.bits_allocated > 1:  # what is above Bits Stored is no value
            values = instance.stored_format
            cells = stored_values(cells, values)
            form = replace(form, bits_stored=values.bits_stored, high_bit=values.bits_stored - 1)
        return [_Sample(cells, form, scales[middle], stored, error_unit(instance))]
    except HounsfieldError:
        return []


def _cost_of_mixed(syntax: TransferSyntax, rate: Rate | None, samples: list[_Sample], scale: float) -> Cost:
    """Measured on the samples that the syntax holds; the others count as they are now. Raises where it holds none."""
    held = [sample for sample in samples if holds(syntax, PixelKind.of(sample.form))]
    if not held:
        refuse_unheld(syntax, PixelKind.of(samples[0].form))
    rest = sum(sample.stored_bytes for sample in samples) - sum(sample.stored_bytes for sample in held)
    cost = _cost(syntax, rate, held, scale)
    return replace(cost, stored_bytes=cost.stored_bytes + round(rest * scale), held=len(held))


def _cost(syntax: TransferSyntax, rate: Rate | None, samples: list[_Sample], scale: float) -> Cost:
    forms = [written_format(syntax, sample.form) for sample in samples]
    decode_frame(_encoded(samples[0], syntax, rate), syntax, forms[0])
    started = time.perf_counter()  # the first use of a codec loads it
    streams = [_encoded(sample, syntax, rate) for sample in samples]
    encoded = time.perf_counter()
    decoded = [decode_frame(stream, syntax, form) for stream, form in zip(streams, forms, strict=True)]
    ended = time.perf_counter()
    native = sum(sample.cells.nbytes for sample in samples)
    size = sum(map(len, streams))
    loss = Loss(0.0, float("inf"))
    if rate is not None:
        like = [comparable(cells, syntax, s.form) for cells, s in zip(decoded, samples, strict=True)]
        loss = measure([s.cells for s in samples], like, [s.scale for s in samples])
    return Cost(
        syntax,
        round(size * scale),
        native / size,
        native / 1e6 / max(encoded - started, 1e-9),
        native / 1e6 / max(ended - encoded, 1e-9),
        loss.max_error,
        loss.psnr,
        rate,
    )


def _encoded(sample: _Sample, syntax: TransferSyntax, rate: Rate | None) -> bytes:
    if rate is None:
        return encode_frame(sample.cells, syntax, sample.form)
    return encode_lossy(sample.cells, syntax, sample.form, rate)
