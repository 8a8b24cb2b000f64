"""DELETE of a study, series or instance: irreversible, and off unless the server was started with it."""

from __future__ import annotations

from hounsfield.errors import DicomwebError
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response
from hounsfield.server.routes.retrieve import absent
from hounsfield.server.state import AppState


def remove(state: AppState, request: Request) -> Response:
    """204 once it is gone from index and disk."""
    request.known()
    if not state.deletes:
        raise DicomwebError(
            "removal is disabled on this server",
            remedy="start it with --allow-delete to enable it",
            status=403,
        )
    if not state.archive.remove(request.scope):
        raise absent(request)
    return Response(status=204)
