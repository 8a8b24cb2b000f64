"""A DICOMweb server (PS3.18): an archive in a folder, or any location served read-only.

From top to bottom, each importing only what is below it:

- `supervisor` listens, in one process or several; `deployment` how a server was asked to run; `local_viewer` the
  server behind `hounsfield view`;
- `app` the ASGI application: requests in, `routes` run, responses out;
- `routes` one table of everything that can be requested, one module a theme; `state` what all of them share;
- `provider` the same archive for DIMSE peers;
- `ingest` validation and storage of instances, whichever protocol brought them; `rendering` frames, pictures and
  volumes; `ops` metrics, logs, repair and verification;
- `archive` stored instances: store, index, integrity; `auth` who may do what;
- `http` requests, responses, connections and their limits.
"""

from __future__ import annotations

from importlib.util import find_spec

from hounsfield.errors import UnsupportedError

NEEDED = ("starlette", "uvicorn", "prometheus_client", "sqlalchemy")
"""Packages of the extra `serve`."""

if missing := [package for package in NEEDED if find_spec(package) is None]:
    raise UnsupportedError(
        "the viewer and the archive are served by packages that are not installed",
        expected=", ".join(missing),
        remedy='pip install "hounsfield[serve]"',
    )
