"""Regions of interest: which voxels they hold, and the numbers of those; the viewer measures the same way.

A region lies on a slice (`Roi`) or on a plane across slices (`PlaneRoi`). A voxel or sample belongs to it when its
centre lies in it. Pure numbers over a `Volume`: nothing is drawn, HU stay as they are.
"""

from __future__ import annotations

from hounsfield.ct.roi.files import FORMAT, VERSION, read_rois, write_csv, write_json
from hounsfield.ct.roi.measuring import Measured, Statistics, measure
from hounsfield.ct.roi.planes import Plane, PlaneRoi
from hounsfield.ct.roi.regions import MAX_POINTS, Kind, Roi

__all__ = [
    "FORMAT",
    "MAX_POINTS",
    "VERSION",
    "Kind",
    "Measured",
    "Plane",
    "PlaneRoi",
    "Roi",
    "Statistics",
    "measure",
    "read_rois",
    "write_csv",
    "write_json",
]
