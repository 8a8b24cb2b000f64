"""The ASGI application: requests in, endpoints run in threads, responses out. The only async code with a request.

Pure ASGI beneath Starlette's routes: no response class of Starlette touches pixels, and nothing is buffered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from anyio import to_thread
from starlette import requests
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hounsfield.codecs.isolation import require_isolation
from hounsfield.errors import DicomwebError, HounsfieldError
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.index.database import IndexUnavailable
from hounsfield.server.http.deadline import Deadline, set_deadline
from hounsfield.server.http.inbox import INBOX
from hounsfield.server.http.proxy_headers import Seen, is_host, seen
from hounsfield.server.http.request import Request
from hounsfield.server.http.request_body import read_body, receive_body
from hounsfield.server.http.response import (
    Response,
    as_json,
    close_content,
    compressed,
    digested,
    error_response,
    ranged,
)
from hounsfield.server.http.sending import send_response
from hounsfield.server.ops.access_log import Entry
from hounsfield.server.routes.capabilities import capabilities, is_requested
from hounsfield.server.routes.endpoint import Endpoint
from hounsfield.server.routes.table import ENDPOINTS
from hounsfield.server.routes.viewer_files import ViewerFiles
from hounsfield.server.state import AppState

log = logging.getLogger("hounsfield.server")

_ALLOWED_HEADERS = ("Accept", "Authorization", "Content-Type", "If-None-Match", "Range", "Want-Repr-Digest")
_EXPOSED_HEADERS = (
    *("Content-Range", "ETag", "Repr-Digest", "Warning"),
    *("X-Counts", "X-CRC32", "X-Filter", "X-Shape", "X-Unit"),
)
_METHODS = frozenset({"GET", "HEAD", "POST", "DELETE", "OPTIONS"})


def make_app(
    state: AppState, *, pages: Path | None = None, endpoints: tuple[Endpoint, ...] = ENDPOINTS
) -> Starlette:
    """Return the application that serves `state` below its prefix, and the built viewer in `pages` at the root.

    `endpoints`: the table of routes.
    """
    require_isolation()
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        by_path.setdefault(endpoint.path, []).append(endpoint)
    routes = [_route(state, path, tuple(rows)) for path, rows in by_path.items()]
    root = replace(by_path["/openapi.json"][0], function=_root)
    routes.append(_route(state, "", (root,)))
    if state.prefix:
        routes.append(_route(state, "/", (root,)))
        routes.append(Route(state.prefix + "/{rest:path}", _Resource(state, "/…", ())))
        routes.append(Route("/{rest:path}", ViewerFiles(pages, state.access, state.prefix)))
    return Starlette(routes=routes)


def _route(state: AppState, path: str, endpoints: tuple[Endpoint, ...]) -> Route:
    resource = _Resource(state, path, endpoints)
    cors = Middleware(
        CORSMiddleware,
        allow_origins=state.access.origins,
        allow_methods=resource.methods,
        allow_headers=_ALLOWED_HEADERS,
        expose_headers=_EXPOSED_HEADERS,
    )
    return Route(state.prefix + path or "/", resource, middleware=[cors] if state.access.origins else None)


def _root(state: AppState, request: Request) -> Response:
    return capabilities(state, request, ENDPOINTS)


class _Resource:
    """Everything that can be requested at one path."""

    def __init__(self, state: AppState, path: str, endpoints: tuple[Endpoint, ...]) -> None:
        self._state, self._path = state, path
        self._by_method = {
            each.method: each for each in endpoints if each.is_offered(writable=state.writable)
        }
        self.methods = sorted({*self._by_method, "OPTIONS", *({"HEAD"} if "GET" in self._by_method else ())})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        received = requests.Request(scope, receive)
        begun = time.perf_counter()
        request = request_of(received, self._state)
        self._state.metrics.begin()
        response = Response(status=499)
        sent = 0
        held = contextlib.ExitStack()
        try:
            try:
                held.enter_context(self._state.requests.taken(request.client))
                self._state.access.check_host(received.headers.getlist("host"))
                if request.method == "OPTIONS":
                    response = await self._options(request)
                else:
                    endpoint = self._endpoint(request)
                    request = await self._admitted(request, endpoint)
                    response = await self._respond(endpoint, request, received)
            except ClientDisconnect:
                return
            except Exception as error:  # noqa: BLE001 (the edge: every failure is a response)
                response = self._failed(error)
            self._finish(request, response)
            seconds = self._state.limits.seconds
            response, sent = await send_response(request, response, send, seconds, scope)
        finally:
            held.close()
            self._state.metrics.end()
            self._log(request, response, time.perf_counter() - begun, sent)

    def _endpoint(self, request: Request) -> Endpoint:
        endpoint = self._by_method.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is None:
            status = 405 if self._by_method else 404
            found = "method not allowed" if status == 405 else "no such resource"
            raise DicomwebError(found, status=status)
        return endpoint

    async def _admitted(self, request: Request, endpoint: Endpoint) -> Request:
        authorization = request.headers.get("authorization")
        admit = self._state.access.admit
        principal = await to_thread.run_sync(admit, authorization, endpoint.scope, request.client)
        return replace(request, principal=principal.name) if principal is not None else request

    async def _respond(self, endpoint: Endpoint, request: Request, received: requests.Request) -> Response:
        state = self._state
        inbox = received.scope.get("extensions", {}).get(INBOX)
        if endpoint.upload is not None:
            with state.uploads.taken((request.client, request.principal)):
                body = receive_body(received.receive, state.limits, inbox)
                return await endpoint.upload(state, request, body)
        if request.method not in {"GET", "HEAD", "DELETE"}:
            body = receive_body(received.receive, state.limits, inbox)
            request = replace(request, body=await read_body(body, state.limits))
        if endpoint.heavy:
            return await self._in_time(endpoint, request, received)
        return await to_thread.run_sync(_run, endpoint, state, request, limiter=state.threads)

    async def _in_time(self, endpoint: Endpoint, request: Request, received: requests.Request) -> Response:
        """Return a response that is made of pixels, unless it takes too long or nobody waits for it any more."""
        limits = self._state.limits
        deadline = Deadline(limits.answer, cpu=limits.cpu)

        def run() -> Response:
            deadline.begin()
            deadline.check()
            return _run(endpoint, self._state, request)

        async def turn() -> Response:
            set_deadline(deadline)
            return await to_thread.run_sync(run, limiter=self._state.heavy)

        work, gone = asyncio.ensure_future(turn()), asyncio.ensure_future(_disconnected(received))
        try:
            await asyncio.wait({work, gone}, timeout=deadline.seconds, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            raise ClientDisconnect if gone.done() else deadline.error()
        finally:
            gone.cancel()
            if not work.done():
                deadline.stop()
                work.add_done_callback(_discard)
                if not deadline.begun:
                    work.cancel()

    async def _options(self, request: Request) -> Response:
        """Return what the service can do (PS3.18 8.9) to those who ask for it; preflights are the middleware's."""
        is_preflight = "access-control-request-method" in request.headers
        is_described = self._path in {"", "/"} or bool(self._by_method and is_requested(request))
        if is_preflight or not is_described:
            return Response(status=204)
        return await to_thread.run_sync(self._capabilities, request)

    def _capabilities(self, request: Request) -> Response:
        below = self._path.rstrip("/")
        return compressed(request, capabilities(self._state, request, ENDPOINTS, below=below))

    def _failed(self, error: Exception) -> Response:
        if isinstance(error, HounsfieldError):
            if isinstance(error, IndexUnavailable) and isinstance(self._state.library, Archive):
                self._state.library.recover(error)
            response = error_response(error)
            if response.status >= 500:
                log.warning("%s: %s", self._path, error.found, extra={"throttled": True})
            return response
        log.error("%s failed", self._path, exc_info=error)
        return as_json({"status": 500, "error": "internal server error"}, status=500)

    def _finish(self, request: Request, response: Response) -> None:
        """Add the header fields that every response has."""
        headers, access = response.headers, self._state.access
        headers.setdefault("Cache-Control", "private, no-cache")
        headers["X-Content-Type-Options"] = "nosniff"
        # A response is never a page: nothing in it may run, whoever stored it.
        headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Resource-Policy"] = "cross-origin" if access.origins else "same-origin"
        if request.method == "OPTIONS" or response.status == 405:
            headers["Allow"] = ", ".join(self.methods)
        if response.status == 401:
            headers["WWW-Authenticate"] = access.challenges()

    def _log(self, request: Request, response: Response, seconds: float, sent: int) -> None:
        length = request.headers.get("content-length", "")
        received = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0
        method = request.method if request.method in _METHODS else "other"
        client, principal = request.client, request.principal
        entry = Entry(method, self._path, response.status, seconds, sent, received, client, principal)
        self._state.metrics.count(entry)
        self._state.access_log.write(entry)
        endpoint = self._by_method.get("GET" if request.method == "HEAD" else request.method)
        if endpoint is not None and endpoint.scope != "none":
            named = "/".join(_named(request))
            resources = list(response.resources) or ([named] if named else [])
            self._state.access_log.write_audit(entry, f"{method} {self._path}", resources)


async def _disconnected(received: requests.Request) -> None:
    """Return when the client has disconnected."""
    while (await received.receive())["type"] != "http.disconnect":
        pass


def _discard(work: asyncio.Future[Response]) -> None:
    """Let go of a response for which nobody waits."""
    if not work.cancelled() and work.exception() is None:
        close_content(work.result())


def _run(endpoint: Endpoint, state: AppState, request: Request) -> Response:
    assert endpoint.function is not None
    return ranged(request, digested(request, compressed(request, endpoint.function(state, request))))


def _named(request: Request) -> Iterator[str]:
    """Yield the UIDs in the path, or in the query of WADO-URI."""
    for name, key in (("study", "studyuid"), ("series", "seriesuid"), ("instance", "objectuid")):
        uid = request.names.get(name)
        if uid is None and request.path == "/wado":
            with contextlib.suppress(DicomwebError):
                uid = request.parameter(key)
        if uid is not None:
            yield uid[:64]


def request_of(received: requests.Request, state: AppState) -> Request:
    """Return the request as endpoints see it."""
    headers = {name.lower(): value for name, value in received.headers.items()}
    peer = received.client.host if received.client else ""
    direct = Seen(received.url.scheme, _host(received), client=peer)
    proxies = state.access.proxies
    met = seen(direct, headers, proxies=proxies, trusted=peer in proxies or not peer)
    return Request(
        method=received.method,
        path=received.url.path.removeprefix(state.prefix),
        base=met.origin + state.prefix,
        names=dict(received.path_params),
        query_text=received.url.query,
        headers=headers,
        client=met.client,
    )


def _host(received: requests.Request) -> str:
    """Return host and port as the client wrote them."""
    host = received.headers.get("host", "")
    if not is_host(host):
        host = ""
    name, port = received.scope.get("server") or ("", None)
    if host == name and port not in {None, 80, 443}:
        # dicomweb-client sends Host without the port, and would then look for bulk data at port 80.
        return f"{host}:{port}"
    return host or f"{name}:{port}"
