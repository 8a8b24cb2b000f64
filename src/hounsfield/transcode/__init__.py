"""Instances from one transfer syntax to another: one, a tree of them, or an estimate of what each syntax costs.

Lossless results are proved by decoding them; lossy ones meet a ratio or an error and say what was done to them.
"""

from __future__ import annotations

from hounsfield.transcode.compression import Transcoded, transcode
from hounsfield.transcode.target import AUTO, Target, target

__all__ = ["AUTO", "Target", "Transcoded", "target", "transcode"]
