"""Series: which slices belong together, what they make, and the volume that they make.

Headers only until `Series.load`; which pixels are compared before, and when, is said in `phases`.
"""

from __future__ import annotations

from hounsfield.series.assembly import LoadOptions
from hounsfield.series.finding import find_series
from hounsfield.series.series import Series
from hounsfield.series.slices import Slice

__all__ = ["LoadOptions", "Series", "Slice", "find_series"]
