"""The ASGI application: requests in, endpoints run in threads, answers out. The only async code with a request.

Pure ASGI beneath Starlette's routes: no response class of Starlette touches pixels, and nothing is buffered.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hounsfield.errors import DicomwebError, HounsfieldError
from hounsfield.server.answers import Answer, as_json, compressed, header_lines, of_error, ranged
from hounsfield.server.archive import Archive
from hounsfield.server.ask import Ask
from hounsfield.server.endpoints.table import ENDPOINTS, Endpoint
from hounsfield.server.index.database import IndexUnavailable
from hounsfield.server.service import Service
from hounsfield.server.storing import store

log = logging.getLogger("hounsfield.server")

THREADS = 24
"""Threads that answer requests at once; the rest wait their turn."""


def make_app(service: Service) -> Starlette:
    """The application that serves `service` below its prefix."""
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, []).append(endpoint)
    routes = [
        Route(service.prefix + path, _Resource(service, tuple(endpoints)))
        for path, endpoints in by_path.items()
    ]
    return Starlette(routes=routes)


class _Resource:
    """Everything that can be asked at one path."""

    def __init__(self, service: Service, endpoints: tuple[Endpoint, ...]) -> None:
        self._service = service
        self._by_method = {endpoint.method: endpoint for endpoint in endpoints}
        self._threads = CapacityLimiter(THREADS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        ask = ask_of(request, self._service)
        try:
            answer = await self._answered(ask, request)
        except HounsfieldError as error:
            if isinstance(error, IndexUnavailable) and isinstance(self._service.library, Archive):
                self._service.library.recover(error)
            answer = of_error(error)
        except ClientDisconnect:
            return
        except Exception:
            log.exception("a request failed")
            answer = as_json({"status": 500, "error": "a fault of the server"}, status=500)
        await send_answer(ask, answer, send)

    async def _answered(self, ask: Ask, request: Request) -> Answer:
        method = "GET" if ask.method == "HEAD" else ask.method
        if (method == "POST" and ask.path.endswith("/studies")) or (
            method == "POST" and "study" in ask.names
        ):
            answer, _ = await store(self._service, ask, request.stream())
            return answer
        endpoint = self._by_method.get(method)
        if endpoint is None:
            raise DicomwebError("not here", status=405)
        return await to_thread.run_sync(_run, endpoint, self._service, ask, limiter=self._threads)


def _run(endpoint: Endpoint, service: Service, ask: Ask) -> Answer:
    return compressed(ask, ranged(ask, endpoint.function(service, ask)))


def ask_of(request: Request, service: Service) -> Ask:
    """The request as endpoints see it."""
    base = f"{_origin(request)}{service.prefix}"
    return Ask(
        method=request.method,
        path=request.url.path.removeprefix(service.prefix),
        base=base,
        names=dict(request.path_params),
        query_text=request.url.query,
        headers={name.lower(): value for name, value in request.headers.items()},
        client=request.client.host if request.client else "",
    )


def _origin(request: Request) -> str:
    """Scheme, host and port as the client wrote them."""
    host, scheme = request.headers.get("host", ""), request.url.scheme
    name, port = request.scope.get("server") or ("", None)
    if host == name and port not in {None, 80, 443}:
        # dicomweb-client sends Host without the port, and would then look for bulk data at port 80.
        host = f"{host}:{port}"
    return f"{scheme}://{host or f'{name}:{port}'}"


async def send_answer(ask: Ask, answer: Answer, send: Send) -> None:
    """Send head and body. The first block is made before the head is sent, so that its failure has a status."""
    content: Any = answer.content
    first: bytes | bytearray | None = None
    if not isinstance(content, (bytes, bytearray)) and ask.method != "HEAD":
        try:
            first = await to_thread.run_sync(next, content, None)
        except HounsfieldError as error:
            answer = of_error(error)
            content = answer.content
    head = {"type": "http.response.start", "status": answer.status, "headers": header_lines(ask, answer)}
    await send(head)
    if ask.method == "HEAD" or isinstance(content, (bytes, bytearray)):
        body = b"" if ask.method == "HEAD" else content
        await send({"type": "http.response.body", "body": body})
        return
    await _send_blocks(content, first, send)


async def _send_blocks(content: Any, block: bytes | bytearray | None, send: Send) -> None:
    try:
        while block is not None:
            await send({"type": "http.response.body", "body": block, "more_body": True})
            block = await to_thread.run_sync(next, content, None)
        await send({"type": "http.response.body", "body": b""})
    finally:
        close: Callable[[], Awaitable[None] | None] = getattr(content, "close", lambda: None)
        close()
