"""The ASGI application: requests in, endpoints run in threads, answers out. The only async code with a request.

Pure ASGI beneath Starlette's routes: no response class of Starlette touches pixels, and nothing is buffered.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from anyio import CapacityLimiter, to_thread
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from hounsfield.codecs.isolation import require_isolation
from hounsfield.dicomweb.store_results import StoreResult
from hounsfield.errors import DicomwebError, HounsfieldError
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.index.database import IndexUnavailable
from hounsfield.server.auth.access import Access
from hounsfield.server.auth.principals import Principal
from hounsfield.server.http.deadline import Deadline, set_deadline
from hounsfield.server.http.fair_share import Places
from hounsfield.server.http.inbox import INBOX
from hounsfield.server.http.proxy_headers import Seen, is_host, seen
from hounsfield.server.http.request import Ask
from hounsfield.server.http.response import (
    Answer,
    as_json,
    close_content,
    compressed,
    digested,
    of_error,
    ranged,
)
from hounsfield.server.http.sending import send_answer
from hounsfield.server.ops.access_log import Journal, Line
from hounsfield.server.routes.capabilities import capabilities, is_asked_for
from hounsfield.server.routes.endpoint import Endpoint
from hounsfield.server.routes.stow import store
from hounsfield.server.routes.table import ENDPOINTS
from hounsfield.server.routes.viewer_files import Pages
from hounsfield.server.state import Service

log = logging.getLogger("hounsfield.server")

THREADS = 24
"""Threads that answer requests at once; the rest wait their turn."""

_ALLOWED_HEADERS = "Accept, Authorization, Content-Type, If-None-Match, Range, Want-Repr-Digest"
_EXPOSED_HEADERS = "Content-Range, ETag, Repr-Digest, Warning, X-Counts, X-CRC32, X-Filter, X-Shape, X-Unit"


@dataclass
class Desk:
    """What all resources share: the service, who may, what is told of it, how many at once."""

    service: Service
    access: Access = field(default_factory=Access)
    journal: Journal = field(default_factory=Journal)

    def __post_init__(self) -> None:
        self.requests = Places(self.service.limits.requests, "requests")
        self.stores = Places(self.service.limits.stores, "stores")
        self.threads = CapacityLimiter(THREADS)
        self.heavy = CapacityLimiter(self.service.limits.heavy)


def make_app(
    service: Service,
    *,
    access: Access | None = None,
    journal: Journal | None = None,
    pages: Path | None = None,
) -> Starlette:
    """The application that serves `service` below its prefix, and the built viewer in `pages` at the root."""
    require_isolation()
    desk = Desk(service, access or Access(), journal or Journal())
    if isinstance(service.library, Archive):
        service.library.on_damage = desk.journal.metrics.damage
    by_path: dict[str, list[Endpoint]] = {}
    for endpoint in ENDPOINTS:
        by_path.setdefault(endpoint.path, []).append(endpoint)
    routes = [
        Route(service.prefix + path, _Resource(desk, path, tuple(endpoints)))
        for path, endpoints in by_path.items()
    ]
    root = replace(by_path["/openapi.json"][0], function=_root)
    routes.append(Route(service.prefix or "/", _Resource(desk, "", (root,))))
    if service.prefix:
        routes.append(Route(service.prefix + "/", _Resource(desk, "/", (root,))))
        routes.append(Route(service.prefix + "/{rest:path}", _Resource(desk, "/…", ())))
        routes.append(Route("/{rest:path}", Pages(pages, desk.access, service.prefix)))
    return Starlette(routes=routes)


def _root(service: Service, ask: Ask) -> Answer:
    return capabilities(service, ask, ENDPOINTS)


class _Resource:
    """Everything that can be asked at one path."""

    def __init__(self, desk: Desk, path: str, endpoints: tuple[Endpoint, ...]) -> None:
        self._desk, self._path = desk, path
        writable = desk.service.writable
        self._by_method = {each.method: each for each in endpoints if writable or each.method == "GET"}
        methods = [*self._by_method, *(["HEAD"] if "GET" in self._by_method else []), "OPTIONS"]
        self._allow = ", ".join(sorted(methods))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        begun = time.perf_counter()
        ask = ask_of(request, self._desk)
        self._desk.journal.metrics.begin()
        told: list[str] = []
        principal: Principal | None = None
        answer = Answer(status=499)
        sent = 0
        held = contextlib.ExitStack()
        try:
            try:
                held.enter_context(self._desk.requests.taken(ask.client))
                principal, answer = await self._answered(ask, request, told)
            except ClientDisconnect:
                return
            except Exception as error:  # noqa: BLE001 (the edge: every failure is an answer)
                answer = self._failed(error)
            self._finish(ask, answer)
            answer, sent = await send_answer(ask, answer, send, self._desk.service.limits.seconds, scope)
        finally:
            held.close()
            self._desk.journal.metrics.end()
            self._tell(ask, answer, principal, told, time.perf_counter() - begun, sent)

    async def _answered(self, ask: Ask, request: Request, told: list[str]) -> tuple[Principal | None, Answer]:
        self._desk.access.check_host(request.headers.getlist("host"))
        if ask.method == "OPTIONS":
            return None, await self._options(ask)
        method = "GET" if ask.method == "HEAD" else ask.method
        endpoint = self._by_method.get(method)
        if endpoint is None:
            status = 405 if self._by_method else 404
            raise DicomwebError("not here" if status == 405 else "no such resource", status=status)
        authorization = ask.headers.get("authorization")
        principal = await to_thread.run_sync(
            self._desk.access.admit, authorization, endpoint.scope, ask.client
        )
        if method == "POST":
            return principal, await self._stored(ask, request, principal, told)
        if endpoint.heavy:
            return principal, await self._in_time(endpoint, ask, request)
        return principal, await to_thread.run_sync(
            _run, endpoint, self._desk, ask, limiter=self._desk.threads
        )

    async def _in_time(self, endpoint: Endpoint, ask: Ask, request: Request) -> Answer:
        """An answer that is made of pixels, unless it takes too long or nobody waits for it any more."""
        limits = self._desk.service.limits
        deadline = Deadline(limits.answer, cpu=limits.cpu)

        def run() -> Answer:
            deadline.begin()
            deadline.check()
            return _run(endpoint, self._desk, ask)

        async def turn() -> Answer:
            set_deadline(deadline)
            return await to_thread.run_sync(run, limiter=self._desk.heavy)

        work, gone = asyncio.ensure_future(turn()), asyncio.ensure_future(_gone(request))
        try:
            await asyncio.wait({work, gone}, timeout=deadline.seconds, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                return work.result()
            raise ClientDisconnect if gone.done() else deadline.error()
        finally:
            gone.cancel()
            if not work.done():
                deadline.stop()
                work.add_done_callback(_drop)
                if not deadline.begun:
                    work.cancel()

    async def _stored(
        self, ask: Ask, request: Request, principal: Principal | None, told: list[str]
    ) -> Answer:
        with self._desk.stores.taken((ask.client, principal)):
            inbox = request.scope.get("extensions", {}).get(INBOX)
            answer, result = await store(self._desk.service, ask, request.receive, inbox)
        told += _studies_of(result)
        return answer

    async def _options(self, ask: Ask) -> Answer:
        """A browser's question before it asks; or what the service can do (PS3.18 8.9)."""
        if "access-control-request-method" in ask.headers:
            return Answer(status=204)
        if self._path not in {"", "/"} and not (self._by_method and is_asked_for(ask)):
            return Answer(status=204)
        return await to_thread.run_sync(self._capabilities, ask)

    def _capabilities(self, ask: Ask) -> Answer:
        return compressed(ask, capabilities(self._desk.service, ask, ENDPOINTS, below=self._path.rstrip("/")))

    def _failed(self, error: Exception) -> Answer:
        if isinstance(error, HounsfieldError):
            if isinstance(error, IndexUnavailable) and isinstance(self._desk.service.library, Archive):
                self._desk.service.library.recover(error)
            answer = of_error(error)
            if answer.status >= 500:
                log.warning("%s: %s", self._path, error.found, extra={"seldom": True})
            return answer
        log.error("%s failed", self._path, exc_info=error)
        return as_json({"status": 500, "error": "a fault of the server"}, status=500)

    def _finish(self, ask: Ask, answer: Answer) -> None:
        """What every answer says beside its content."""
        headers = answer.headers
        headers.setdefault("Cache-Control", "private, no-cache")
        headers["X-Content-Type-Options"] = "nosniff"
        # An answer is never a page: nothing in it may run, whoever stored it.
        headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox"
        headers["Referrer-Policy"] = "no-referrer"
        headers["Cross-Origin-Resource-Policy"] = (
            "cross-origin" if self._desk.access.origins else "same-origin"
        )
        if ask.method == "OPTIONS" or answer.status == 405:
            headers["Allow"] = self._allow
        if answer.status == 401:
            headers["WWW-Authenticate"] = self._desk.access.challenges()
        origin = self._desk.access.origin(ask.headers.get("origin"))
        if origin is not None:
            headers["Access-Control-Allow-Origin"] = origin
            headers["Access-Control-Expose-Headers"] = _EXPOSED_HEADERS
            headers["Vary"] = "Accept, Accept-Encoding, Authorization, Origin"
            if ask.method == "OPTIONS":
                headers["Access-Control-Allow-Methods"] = self._allow
                headers["Access-Control-Allow-Headers"] = _ALLOWED_HEADERS
                headers["Access-Control-Max-Age"] = "600"

    def _tell(
        self,
        ask: Ask,
        answer: Answer,
        principal: Principal | None,
        told: list[str],
        seconds: float,
        sent: int,
    ) -> None:
        length = ask.headers.get("content-length", "")
        received = int(length) if length.isascii() and length.isdigit() and len(length) < 16 else 0
        name = principal.name if principal is not None else ""
        method = ask.method if ask.method in {"GET", "HEAD", "POST", "DELETE", "OPTIONS"} else "other"
        line = Line(method, self._path, answer.status, seconds, sent, received, ask.client, name)
        self._desk.journal.request(line)
        endpoint = self._by_method.get("GET" if ask.method == "HEAD" else ask.method)
        if endpoint is not None and endpoint.scope != "none":
            named = "/".join(_named(ask))
            resources = told or ([named] if named else [])
            self._desk.journal.touched(line, f"{line.method} {self._path}", resources)


async def _gone(request: Request) -> None:
    """Return when the client hung up."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _drop(work: asyncio.Future[Answer]) -> None:
    """Let go of an answer for which nobody waits."""
    if not work.cancelled() and work.exception() is None:
        close_content(work.result())


def _run(endpoint: Endpoint, desk: Desk, ask: Ask) -> Answer:
    if endpoint.path == "/metrics":
        archive = desk.service.library
        totals = archive.index.totals() if isinstance(archive, Archive) else None
        text = desk.journal.metrics.exposed(totals, desk.service.last_check())
        return Answer(text.encode(), "text/plain; version=0.0.4")
    return ranged(ask, digested(ask, compressed(ask, endpoint.function(desk.service, ask))))


def _named(ask: Ask) -> Iterator[str]:
    """The UIDs in the path, or in the query of WADO-URI."""
    for name, key in (("study", "studyuid"), ("series", "seriesuid"), ("instance", "objectuid")):
        uid = ask.names.get(name)
        if uid is None and ask.path == "/wado":
            with contextlib.suppress(DicomwebError):
                uid = ask.parameter(key)
        if uid is not None:
            yield uid[:64]


def _studies_of(result: StoreResult) -> list[str]:
    """The studies of what was stored, from the paths of the instances."""
    paths = (each.url.removeprefix("studies/") for each in result.instances if each.url)
    return sorted({path.partition("/")[0] for path in paths})


def ask_of(request: Request, desk: Desk) -> Ask:
    """The request as endpoints see it."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    peer = request.client.host if request.client else ""
    direct = Seen(request.url.scheme, _host(request), client=peer)
    met = seen(direct, headers, proxies=desk.access.proxies, trusted=peer in desk.access.proxies or not peer)
    prefix = desk.service.prefix
    return Ask(
        method=request.method,
        path=request.url.path.removeprefix(prefix),
        base=met.origin + prefix,
        names=dict(request.path_params),
        query_text=request.url.query,
        headers=headers,
        client=met.client,
    )


def _host(request: Request) -> str:
    """Host and port as the client wrote them."""
    host = request.headers.get("host", "")
    if not is_host(host):
        host = ""
    name, port = request.scope.get("server") or ("", None)
    if host == name and port not in {None, 80, 443}:
        # dicomweb-client sends Host without the port, and would then look for bulk data at port 80.
        return f"{host}:{port}"
    return host or f"{name}:{port}"
