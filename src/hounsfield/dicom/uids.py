"""The UIDs that decide how the elements of a file are written (PS3.5 10, PS3.6 A). All others are in `syntaxes`."""

from __future__ import annotations

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"

GE_PRIVATE = "1.2.840.113619.5.2"
"""Implicit VR Little Endian but for Pixel Data, whose cells are big endian: of older scanners of General Electric."""

MEDIA_DIRECTORY = "1.2.840.10008.1.3.10"
"""The SOP class of a DICOMDIR."""
