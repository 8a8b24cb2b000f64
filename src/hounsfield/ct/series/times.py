"""Acquisition times of several volumes, in seconds from the first, where the headers give them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from hounsfield.ct.series.phases import Phase
from hounsfield.ct.series.traits import value_of

# Keyword → seconds of one of its units. Dates and times (PS3.5 6.2) count from midnight.
_OFFSETS = {
    "TemporalPositionTimeOffset": 1.0,
    "NominalCardiacTriggerDelayTime": 1e-3,
    "ActualCardiacTriggerDelayTime": 1e-3,
    "NominalRespiratoryTriggerDelayTime": 1e-3,
    "TriggerTime": 1e-3,
}
_CLOCKS = (
    "FrameAcquisitionDateTime",
    "FrameReferenceDateTime",
    "AcquisitionDateTime",
    "AcquisitionTime",
    "ContentTime",
)
_TIME_DIGITS = 6


def phase_times(phases: Sequence[Phase]) -> tuple[float, ...] | None:
    """Seconds from the first volume to each, in their order; None where no attribute says, or says one for all.

    A volume's time is that of its earliest slice.
    """
    for keyword in (*_OFFSETS, *_CLOCKS):
        times = [_earliest(phase, keyword) for phase in phases]
        known = [time for time in times if time is not None]
        if len(known) == len(phases) and len(set(known)) > 1:
            return tuple(round(time - min(known), 6) for time in known)
    return None


def _earliest(phase: Phase, keyword: str) -> float | None:
    times = [_seconds(keyword, value_of(item, keyword)) for item in phase.slices]
    known = [time for time in times if time is not None]
    return min(known) if len(known) == len(times) else None


def _seconds(keyword: str, text: str) -> float | None:
    if keyword in _OFFSETS:
        try:
            number = float(text)
        except ValueError:
            return None
        return number * _OFFSETS[keyword] if np.isfinite(number) else None
    return _clock_seconds(text.replace(":", ""))


def _clock_seconds(text: str) -> float | None:
    """Seconds of a Time, or of a Date Time with its date; None for anything else. A time zone is the same for all."""
    whole, _, fraction = text.partition(".")
    fraction = fraction.partition("+")[0].partition("-")[0]
    whole = whole.partition("+")[0].partition("-")[0]
    date, time = whole[:-_TIME_DIGITS], whole[-_TIME_DIGITS:]
    try:
        moment = datetime.strptime((date or "19700101") + time, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
        part = float(f"0.{fraction}") if fraction else 0.0
    except ValueError:
        return None
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1) + part
