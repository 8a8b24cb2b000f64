"""HTTP as the server speaks it: requests, responses, connections, limits. Knows nothing of DICOM archives."""

from __future__ import annotations
