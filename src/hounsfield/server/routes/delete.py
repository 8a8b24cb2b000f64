"""DELETE of a study, series or instance: irreversible, and off unless the server was started with it."""

from __future__ import annotations

from hounsfield.errors import DicomwebError
from hounsfield.server.http.request import Ask
from hounsfield.server.http.response import Answer
from hounsfield.server.routes.retrieve import absent
from hounsfield.server.state import Service


def remove(service: Service, ask: Ask) -> Answer:
    """204 once it is gone from index and disk."""
    ask.known()
    if not service.deletes:
        raise DicomwebError(
            "this server removes nothing", remedy="start it with --allow-delete if it should", status=403
        )
    if not service.archive.remove(ask.scope):
        raise absent(ask)
    return Answer(status=204)
