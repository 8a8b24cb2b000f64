"""A DICOMweb server, or a study, series or instance on it, as a location: read, searched and written to."""

from __future__ import annotations

from hounsfield.locations.dicomweb.location import DicomwebArchive, DicomwebLocation, open_dicomweb

__all__ = ["DicomwebArchive", "DicomwebLocation", "open_dicomweb"]
