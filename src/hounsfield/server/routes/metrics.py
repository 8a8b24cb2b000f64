"""Metrics for Prometheus."""

from __future__ import annotations

from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response
from hounsfield.server.state import AppState


def metrics(state: AppState, request: Request) -> Response:
    """Return the metrics of all processes of this server, in the text exposition format."""
    return Response(state.metrics.exposition(state.gauges()), "text/plain; version=0.0.4")
