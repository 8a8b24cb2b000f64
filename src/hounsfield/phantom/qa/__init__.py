"""The phantoms of the field as scans whose truth is known: the ground truth of `hounsfield qa`.

`Scan` says what to make, `make` gives it as a volume, `write` as DICOM with `truth.json` beside. Solids are analytic
and come from the JSON that the analysis reads as well; edges are sampled 8 × 8 times a pixel. Not a simulator of a
scanner: no rays, no reconstruction.
"""

from __future__ import annotations

from hounsfield.phantom.qa.description import Model, Module, Rod, model, names
from hounsfield.phantom.qa.making import make, truth, write
from hounsfield.phantom.qa.scan import Scan, rotation

__all__ = ["Model", "Module", "Rod", "Scan", "make", "model", "names", "rotation", "truth", "write"]
