"""A server that listens: uvicorn around the application, in one process or several, stopped gracefully."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import uvicorn
from starlette.applications import Starlette

from hounsfield.codecs.isolation import require_isolation
from hounsfield.errors import LocationError, without_decoders
from hounsfield.language import say
from hounsfield.server.app import make_app
from hounsfield.server.deployment import VARIABLE, Deployment, of_environment
from hounsfield.server.http.connection import GuardedProtocol
from hounsfield.server.http.streams import BLOCK
from hounsfield.server.ingest.watched_folders import SECONDS
from hounsfield.server.ops.logs import JsonFormatter, PlainFormatter, ThrottledHandler
from hounsfield.server.ops.metrics import count_together
from hounsfield.server.ops.repair_loop import RepairLoop
from hounsfield.server.provider.endpoint import Endpoint
from hounsfield.server.provider.provider import Provider
from hounsfield.server.state import AppState
from hounsfield.viewer import page

BACKLOG = 1024
STOP_SECONDS = 20
"""Time that a stop waits for requests under way."""

DIMSE_STOP_SECONDS = 5.0
"""Time that a stop waits for open associations."""

WORKER_SECONDS = 30
"""Time that a worker process may be silent before another takes its place."""

MOST_WORKERS = 4
"""Processes of a server unless --workers says otherwise: more threads decode in each, and each takes memory."""

_PARENT_DEATH_SIGNAL = 1  # of prctl(2)
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENAS = -1, -3, -8  # of mallopt(3)


@dataclass(frozen=True, slots=True)
class Address:
    """The address to listen on. `port` 0: any free one. `certificate` and `key`: files for TLS."""

    host: str = "127.0.0.1"
    port: int = 8042
    certificate: str | None = None
    key: str | None = None

    def listen(self) -> socket.socket:
        """A bound socket. Raises `LocationError` where the address is taken or not ours."""
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((self.host, self.port))
            listening.listen(BACKLOG)
        except OSError as error:
            listening.close()
            raise LocationError(
                say("cannot listen: {strerror}", strerror=error.strerror or error),
                where=f"{self.host}:{self.port}",
                remedy="choose another --port (0 for any free one)",
            ) from error
        listening.set_inheritable(True)
        return listening

    def url(self, listening: socket.socket) -> str:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.certificate else 'http'}://{shown}:{port}"


def default_workers() -> int:
    """A process for each core that this one may use, up to `MOST_WORKERS`."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores, MOST_WORKERS)


def serve(
    deployment: Deployment,
    address: Address,
    *,
    workers: int = 1,
    watching: bool = False,
    on_ready: Callable[[str], None] = print,
    dimse: Endpoint | None = None,
) -> None:
    """Serve until a signal stops it; `on_ready` gets the URL once requests are accepted.

    `workers`: processes that answer HTTP. `watching`: follow adopted folders, too. `dimse`: where DIMSE peers may call;
    this process answers them, and `on_ready` gets that address before the URL.
    """
    keep_memory()
    deployment.access()
    shown = deployment.deidentified is not None
    archive = deployment.open_beside() if shown else deployment.open(first=True)
    watched, repair_loop = deployment.watched(archive), RepairLoop(archive)
    if not shown:  # a server of the archive itself may run beside it, and mends it
        repair_loop.start()
    try:
        with contextlib.ExitStack() as held:
            listening = held.enter_context(contextlib.closing(address.listen()))
            if workers > 1:
                count_together(held.enter_context(tempfile.TemporaryDirectory(prefix="hounsfield-metrics-")))
            state = deployment.state(archive)
            ready = partial(on_ready, address.url(listening) + deployment.prefix)
            if dimse is not None:
                provider = held.enter_context(answering(state, dimse))
                on_ready(provider.address)
            if watching:
                watched.watch(SECONDS)
            if workers == 1:
                run(make_app(state, pages=page()), address, listening, ready)
            else:
                _serve_by_workers(deployment, address, workers, listening, ready)
    finally:
        watched.stop()
        repair_loop.stop()
        deployment.close(archive)


@contextlib.contextmanager
def answering(state: AppState, endpoint: Endpoint) -> Iterator[Provider]:
    """Answer DIMSE peers at `endpoint` while the block runs."""
    require_isolation()
    provider = Provider(state, endpoint)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop(DIMSE_STOP_SECONDS)


def run(app: Starlette, address: Address, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Answer on `listening` in this process until a signal stops it; `ready` once requests are taken."""
    _Server(_configured(app, address), ready).run(sockets=[listening])


def _serve_by_workers(
    deployment: Deployment,
    address: Address,
    workers: int,
    listening: socket.socket,
    ready: Callable[[], None],
) -> None:
    from uvicorn.supervisors import Multiprocess

    class Workers(Multiprocess):
        """Processes that a Ctrl-C while they start, which all get, does not make complain: their parent ends them."""

        def init_processes(self) -> None:
            heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
            try:
                super().init_processes()
            finally:
                signal.signal(signal.SIGINT, heard)

    # What limits a server is shared among its processes.
    limits = deployment.limits
    limits = replace(limits, cache=limits.cache // workers, heavy=max(limits.heavy // workers, 2))
    os.environ[VARIABLE] = replace(deployment, limits=limits).to_json()
    config = _configured(
        "hounsfield.server.supervisor:worker_app",
        address,
        workers=workers,
        factory=True,
        timeout_worker_healthcheck=WORKER_SECONDS,
    )
    ready()
    Workers(config, sockets=[listening]).run()


def worker_app() -> Starlette:
    """The application of one worker process."""
    _die_with_parent()
    sys.unraisablehook = without_decoders(sys.unraisablehook)
    keep_memory()
    log_requests(as_json=os.environ.get("HOUNSFIELD_LOG") == "json")
    deployment = of_environment()
    return deployment.app(deployment.open(first=False))


def _die_with_parent() -> None:
    """Stop when the process that started this one is killed: nobody else could stop it, and it holds the archive."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PARENT_DEATH_SIGNAL, signal.SIGTERM)
    parent = multiprocessing.parent_process()
    if parent is not None and not parent.is_alive():
        raise SystemExit(1)


def keep_memory() -> None:
    """Let the memory of blocks be used again.

    glibc gives a large block back to the kernel when it is freed, which then has to clear it anew for the next one.
    """
    with contextlib.suppress(OSError, AttributeError):
        library = ctypes.CDLL(None)
        library.mallopt(_MMAP_THRESHOLD, 2 * BLOCK)
        library.mallopt(_TRIM_THRESHOLD, 16 * BLOCK)
        library.mallopt(_ARENAS, 2)


def log_requests(*, as_json: bool) -> None:
    """Log to stderr: warnings in plain words, or every request and event as a line of JSON."""
    handler = ThrottledHandler(sys.stderr)
    handler.setFormatter(JsonFormatter() if as_json else PlainFormatter())
    for name, level in (
        ("hounsfield", logging.INFO if as_json else logging.WARNING),
        ("uvicorn", logging.WARNING),
    ):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(level)
        logger.propagate = False
    os.environ["HOUNSFIELD_LOG"] = "json" if as_json else "text"


def _configured(app: object, address: Address, **more: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
        http=GuardedProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        proxy_headers=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        timeout_keep_alive=30,
        ssl_certfile=address.certificate,
        ssl_keyfile=address.key,
        **more,  # type: ignore[arg-type]
    )


class _Server(uvicorn.Server):
    """uvicorn that says when it is ready."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()
