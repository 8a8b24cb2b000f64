"""A DICOMweb server (PS3.18): an archive in a folder, or any location served read-only.

- `library` what is served, as a protocol; `archive` one that takes in, in files (`store`) with an `index`;
  `borrowed` one over a location, with nothing copied;
- `intake` a store request's body on its way into an archive;
- `app` the ASGI application: `endpoints` the table of what can be asked, `answers` how it is answered;
- `access` who may, `limits` how much.
"""

from __future__ import annotations
