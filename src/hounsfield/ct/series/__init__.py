"""Series: which slices belong together, what they make, and the volume that they make.

Headers only until `Series.load`; which pixels are compared before, and when, is said in `phases`.
"""

from __future__ import annotations

from hounsfield.ct.series.assembly import LoadOptions
from hounsfield.ct.series.finding import find_series
from hounsfield.ct.series.series import Series
from hounsfield.ct.series.slices import Slice

__all__ = ["LoadOptions", "Series", "Slice", "find_series"]
