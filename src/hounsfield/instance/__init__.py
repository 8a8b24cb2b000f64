"""One DICOM instance: its header now, its frames when asked for.

Not a data model: attributes beyond the ones that decide on pixels are pydicom's, by `Instance.dataset()`.
"""

from __future__ import annotations

from hounsfield.instance.header import Header
from hounsfield.instance.pixels import Instance, read_instance
from hounsfield.instance.planes import Plane
from hounsfield.instance.reading import HeaderReader
from hounsfield.instance.source import BytesSource, FileSource, MetadataSource, Skipped, Source

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
    "read_instance",
]
