"""Is a volume really HU, and where its DICOM says? One (`volume`), or every one of a folder (`folders`)."""

from __future__ import annotations

from hounsfield.verbs.check.folders import check_all, check_recorded, scan_volumes, volumes_in
from hounsfield.verbs.check.volume import Checked, check, fix

__all__ = ["Checked", "check", "check_all", "check_recorded", "fix", "scan_volumes", "volumes_in"]
