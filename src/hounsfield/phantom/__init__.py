"""A CT phantom with rods of known HU, written as real DICOM with every fault that real files have.

For who wants to see what a reader makes of tilt, padding, gaps or a broken header; the builder of this project's
own tests. `PhantomSpec` says what to write; `truth` and `affine` say what a right reader finds; `measure` looks
the rods up in any volume by their place in the patient. Reads nothing: it is the oracle of what does.
"""

from __future__ import annotations

from hounsfield.phantom.body import Insert, ideal, inserts
from hounsfield.phantom.headers import series_uid
from hounsfield.phantom.measure import InsertMeasurement, measure
from hounsfield.phantom.placement import affine, positions
from hounsfield.phantom.spec import PhantomSpec
from hounsfield.phantom.values import truth
from hounsfield.phantom.writer import datasets, write

__all__ = [
    "Insert",
    "InsertMeasurement",
    "PhantomSpec",
    "affine",
    "datasets",
    "ideal",
    "inserts",
    "measure",
    "positions",
    "series_uid",
    "truth",
    "write",
]
