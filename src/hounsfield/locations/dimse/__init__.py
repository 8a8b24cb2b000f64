"""A DIMSE peer (a PACS), or a study, series or instance on it, as a location: read, searched and written to."""

from __future__ import annotations

from hounsfield.locations.dimse.location import DimseArchive, DimseLocation, open_dimse

__all__ = ["DimseArchive", "DimseLocation", "open_dimse"]
