"""The DICOMweb client: searches, retrieval and stores over urllib3, streamed with bounded memory.

    with Client("https://host/dicom-web", auth=("user", "password")) as client:
        for study in client.search_for_studies({"PatientName": "DOE*"}):
            ...

Protocol without I/O is `hounsfield.dicomweb`; folders and servers alike are `hounsfield.locations`.
"""

from __future__ import annotations

from hounsfield.client.asynchronous import AsyncClient
from hounsfield.client.client import Capabilities, Client
from hounsfield.client.credentials import Auth, Basic, Bearer, ClientCredentials, Secret
from hounsfield.client.options import Limits, Prefixes, Retries, Timeouts, Transport
from hounsfield.client.parts import Part, Retrieved
from hounsfield.client.searching import Results

__all__ = [
    "AsyncClient",
    "Auth",
    "Basic",
    "Bearer",
    "Capabilities",
    "Client",
    "ClientCredentials",
    "Limits",
    "Part",
    "Prefixes",
    "Results",
    "Retries",
    "Retrieved",
    "Secret",
    "Timeouts",
    "Transport",
]
