"""`DICOMwebClient` with the signatures, return types and exceptions of the Python package `dicomweb-client`.

    from hounsfield.client.compat import DICOMwebClient  # instead of dicomweb_client

Data sets come as pydicom data sets, metadata and search results as lists of DICOM JSON, frames as bytes. Below it
are this package's own parser and rules: a body that is cut is an error, a repeated store sends its bytes again, and
`get_remaining` ends on servers that ignore `offset`. New code has more from `hounsfield.client.Client`.
"""

from __future__ import annotations

from hounsfield.client.compat.client import DICOMwebClient, _load_xml_dataset

__all__ = ["DICOMwebClient", "_load_xml_dataset"]
