"""Plausibility of numbers as HU: a physical verdict beside the header's, with its evidence."""

from __future__ import annotations

from hounsfield.ct.plausibility.evidence import Evidence, Physics, Plausibility
from hounsfield.ct.plausibility.headers import ATTRIBUTES, UNCALIBRATED, header_evidence
from hounsfield.ct.plausibility.measured import MOST_SLICES, Sample, spread
from hounsfield.ct.plausibility.rule import judge, judge_array
from hounsfield.ct.plausibility.stacks import SliceLevel, level_of, looks_interleaved

__all__ = [
    "ATTRIBUTES",
    "MOST_SLICES",
    "UNCALIBRATED",
    "Evidence",
    "Physics",
    "Plausibility",
    "Sample",
    "SliceLevel",
    "header_evidence",
    "judge",
    "judge_array",
    "level_of",
    "looks_interleaved",
    "spread",
]
