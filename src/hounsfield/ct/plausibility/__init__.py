"""Whether numbers can be HU at all: a physical verdict beside the header's, with its evidence."""

from __future__ import annotations

from hounsfield.ct.plausibility.evidence import Evidence, Physics, Plausibility
from hounsfield.ct.plausibility.rule import MOST_SLICES, Sample, judge, spread

__all__ = ["MOST_SLICES", "Evidence", "Physics", "Plausibility", "Sample", "judge", "spread"]
