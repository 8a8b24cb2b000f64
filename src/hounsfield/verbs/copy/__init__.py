"""Copies of instances between folders, archives and DICOMweb servers; resumable, each instance accounted for.

`origins` is where instances come from, `destinations` where they go, `moving` brings one series over, `copying` all
of them on any engine of `hounsfield.runs`, `summary` has the outcome of each. An instance counts when it is whole:
the transfer ended as it should, the header can be read, the UIDs are the ones asked for.
"""

from __future__ import annotations

from hounsfield.verbs.copy.copying import copy
from hounsfield.verbs.copy.summary import Summary

__all__ = ["Summary", "copy"]
