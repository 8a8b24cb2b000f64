"""One DICOM instance: its header now, its frames when asked for.

Not a data model: attributes beyond the ones that decide on pixels are pydicom's, by `Instance.dataset()`.
"""

from __future__ import annotations

from hounsfield.ct.instance.header import Header
from hounsfield.ct.instance.pixels import Instance, read_instance
from hounsfield.ct.instance.planes import Plane
from hounsfield.ct.instance.reading import HeaderReader
from hounsfield.ct.instance.source import (
    BytesSource,
    FileSource,
    MetadataSource,
    Skipped,
    Source,
    has_metadata,
)

__all__ = [
    "BytesSource",
    "FileSource",
    "Header",
    "HeaderReader",
    "Instance",
    "MetadataSource",
    "Plane",
    "Skipped",
    "Source",
    "has_metadata",
    "read_instance",
]
