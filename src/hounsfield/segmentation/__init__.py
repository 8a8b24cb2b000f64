"""Segmentations and structures on the grid of a CT, and the values inside them.

Readers give `Masks`: DICOM Segmentation, RT Structure Set, label maps, what was drawn in the viewer. Nothing here
opens a location, and nothing segments by networks.
"""

from __future__ import annotations

from hounsfield.segmentation.labelmaps import read_drawn, read_labels
from hounsfield.segmentation.layers import joined
from hounsfield.segmentation.masks import Code, Masks, Reference, Segment
from hounsfield.segmentation.measuring import Measured, measure
from hounsfield.segmentation.recipes import RECIPES, Recipe, recipe
from hounsfield.segmentation.report import to_sr
from hounsfield.segmentation.rtstruct import read_rtstruct
from hounsfield.segmentation.seg import read_seg
from hounsfield.segmentation.tissues import tissues
from hounsfield.segmentation.writing import to_rtstruct, to_seg

__all__ = [
    "RECIPES",
    "Code",
    "Masks",
    "Measured",
    "Recipe",
    "Reference",
    "Segment",
    "joined",
    "measure",
    "read_drawn",
    "read_labels",
    "read_rtstruct",
    "read_seg",
    "recipe",
    "tissues",
    "to_rtstruct",
    "to_seg",
    "to_sr",
]
