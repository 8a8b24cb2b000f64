"""Instances from one transfer syntax to another: one, a tree of them, or an estimate of what each syntax costs.

Lossless results are proved by decoding them; lossy ones meet a ratio or an error and say what was done to them.
"""

from __future__ import annotations

from hounsfield.transcode.compression import Transcoded, transcode
from hounsfield.transcode.estimating import Cost, Estimate, estimate
from hounsfield.transcode.plot import write_plot
from hounsfield.transcode.pydicom_plugin import register_pydicom
from hounsfield.transcode.target import AUTO, Target, target
from hounsfield.transcode.tree import Job, Outcome, transcode_file, transcode_files

__all__ = [
    "AUTO",
    "Cost",
    "Estimate",
    "Job",
    "Outcome",
    "Target",
    "Transcoded",
    "estimate",
    "register_pydicom",
    "target",
    "transcode",
    "transcode_file",
    "transcode_files",
    "write_plot",
]
