"""Hounsfield units that can be trusted, out of CT DICOM wherever it lies."""
