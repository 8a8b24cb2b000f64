"""An instance from one transfer syntax to another, or an estimate of what each syntax costs.

Lossless results are proved by decoding them; lossy ones meet a ratio or an error and say what was done to them.
"""

from __future__ import annotations

from hounsfield.transcode.common_rate import common_rate
from hounsfield.transcode.compression import Transcoder, transcode
from hounsfield.transcode.derivation import derived_uid
from hounsfield.transcode.estimating import Cost, Estimate, estimate
from hounsfield.transcode.pixels import decoded_format
from hounsfield.transcode.plot import write_plot
from hounsfield.transcode.policy import Policy, policy_target
from hounsfield.transcode.pydicom_plugin import register_pydicom
from hounsfield.transcode.reencoding import reencoded
from hounsfield.transcode.search import CommonRate
from hounsfield.transcode.target import AUTO, Choice, Target, choose, target
from hounsfield.transcode.transcoded import Transcoded, goal_of

__all__ = [
    "AUTO",
    "Choice",
    "CommonRate",
    "Cost",
    "Estimate",
    "Policy",
    "Target",
    "Transcoded",
    "Transcoder",
    "choose",
    "common_rate",
    "decoded_format",
    "derived_uid",
    "estimate",
    "goal_of",
    "policy_target",
    "reencoded",
    "register_pydicom",
    "target",
    "transcode",
    "write_plot",
]
