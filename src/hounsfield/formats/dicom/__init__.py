"""Volumes → DICOM: a folder of CT Images, or one Enhanced CT (PS3.3 A.3, A.38), derived images of a new series.

Not a copier: `hounsfield.verbs.copy` moves files as they are. Here the volume is written, whatever was done to it, so
that a PACS takes it and every reader finds its values. UIDs follow from the content: the same volume has the same.
"""

from hounsfield.formats.dicom.classic import write_classic
from hounsfield.formats.dicom.enhanced import write_enhanced
from hounsfield.formats.dicom.scale import dicom_cautions

__all__ = ["dicom_cautions", "write_classic", "write_enhanced"]
