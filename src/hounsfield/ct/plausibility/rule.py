"""The rule by which numbers can be HU, by physics alone: where air and tissue lie, and what no body and no phantom can
show.

Judged before the clamp, since what lies below −1024 is evidence. Nothing is changed, and what cannot be known is
`unknown`: a field without air, lungs alone, a cone beam. Each rule says what is impossible; `plausible` needs two
anchors. The thresholds were set on real scans of eight makers; docs/trust.md has their margins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hounsfield.ct.plausibility.blocks import Array
from hounsfield.ct.plausibility.evidence import Evidence, Physics, Plausibility
from hounsfield.ct.plausibility.findings import RULES
from hounsfield.ct.plausibility.measured import MOST_SLICES, SHARP_NOISE, Measured, Sample, spread

TRUSTED_AIR = (-1012.0, -940.0)
"""HU of the air plateau of a calibrated scanner; scatter and a narrow rim raise it, nothing lowers it."""

TRUSTED_TISSUE = (-140.0, 180.0)
"""HU of the tissue plateau: fat knees −107, contrast in the heart 143."""

COARSE_STEP = 2.0
"""HU between neighbouring values from which on they are coarse: a slope of 2 has been seen after lossy coding."""


def judge(samples: Sequence[Sample], *, field_mm: float | None = None) -> Plausibility:
    """Judge slices of one volume. `field_mm`: the shorter side of a slice, in mm; unknown counts as large.

    Evidence comes most telling first. An empty list, or nothing but padding, is `unknown`.
    """
    measured = Measured.of(samples, field_mm)
    if measured.blocks.count == 0:
        return Plausibility(Physics.UNKNOWN, (Evidence("nothing-measured"),))
    for rule in RULES:
        found = rule(measured)
        if found is not None:
            key, evidence = found
            return Plausibility(Physics.IMPLAUSIBLE, (evidence, *_anchors(measured), *_steps(measured)), key)
    verdict = Physics.PLAUSIBLE if _has_two_anchors(measured) else Physics.UNKNOWN
    return Plausibility(verdict, (*_anchors(measured), *_steps(measured)))


def judge_array(array: Array, spacing: Sequence[float] | None = None) -> Plausibility:
    """Judge a volume by itself, (slices, rows, columns), `spacing` the same in mm: at most twelve of its slices."""
    samples = [_sample(np.ascontiguousarray(array[index])) for index in spread(len(array), MOST_SLICES)]
    rows, columns = array.shape[1:]
    return judge(samples, field_mm=None if spacing is None else min(rows * spacing[1], columns * spacing[2]))


def _sample(values: Array) -> Sample:
    """A slice of an array; what is no number was not measured."""
    if values.dtype.kind != "f" or np.isfinite(values).all():
        return Sample(values)
    padded = ~np.isfinite(values)
    return Sample(np.where(padded, values.dtype.type(0), values), padded)


def _anchors(measured: Measured) -> tuple[Evidence, ...]:
    """Return where air and tissue lie, or that they are not there."""
    air = Evidence("no-air") if measured.air is None else Evidence("air", round(measured.air, 1))
    tissue = (
        Evidence("no-tissue") if measured.tissue is None else Evidence("tissue", round(measured.tissue, 1))
    )
    return air, tissue


def _steps(measured: Measured) -> tuple[Evidence, ...]:
    """Whole HU and finer are what scanners write; only levels far apart are worth a word."""
    return (Evidence("coarse-steps", measured.step),) if measured.step >= COARSE_STEP else ()


def _has_two_anchors(measured: Measured) -> bool:
    """Air and tissue where scanners put them, or fat and muscle the right way apart where there is no air."""
    tissue = measured.tissue
    if measured.air is not None:
        lowest = TRUSTED_AIR[0] - 0.45 * max(0.0, measured.air_noise - SHARP_NOISE)
        if tissue is None or not lowest <= measured.air <= TRUSTED_AIR[1]:
            return False
        raised = measured.air > -965.0 and tissue > 75.0
        return TRUSTED_TISSUE[0] <= tissue <= TRUSTED_TISSUE[1] and not raised
    return _fat_and_muscle(measured)


def _fat_and_muscle(measured: Measured) -> bool:
    fat, muscle = measured.plateau(-140.0, -60.0), measured.plateau(5.0, 120.0)
    if fat is None or muscle is None or not (-125.0 <= fat <= -70.0 and 15.0 <= muscle <= 85.0):
        return False
    if not 100.0 <= muscle - fat <= 190.0:
        return False
    shares = [measured.flat_share(centre - 15.0, centre + 15.0) for centre in (fat, muscle)]
    middle = (fat + muscle) / 2
    valley = measured.flat_share(middle - 15.0, middle + 15.0)
    return min(shares) >= 0.005 and valley < 0.5 * min(shares)
