"""Endpoints of the server, one module a theme; `table` has them all.

An endpoint is a plain function `(AppState, Request) -> Response`, run in a thread. It may take its time and may raise
any error of `hounsfield.errors`; `http.response.STATUS` gives the HTTP status.
"""

from __future__ import annotations
