"""A server that listens: uvicorn around the application, in one process or several, stopped gracefully."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass

import uvicorn
from starlette.applications import Starlette

from hounsfield.errors import LocationError
from hounsfield.server.app import make_app
from hounsfield.server.deployment import VARIABLE, Deployment, of_environment

BACKLOG = 1024
STOP_SECONDS = 20
"""How long a stop waits for requests that are being answered."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen. `port` 0: any free one; `socket_path`: a Unix socket instead."""

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
                f"cannot listen: {error.strerror or error}",
                where=f"{self.host}:{self.port}",
                remedy="choose another --port (0 for any free one)",
            ) from error
        listening.set_inheritable(True)
        return listening

    def url(self, listening: socket.socket) -> str:
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host
        return f"{'https' if self.certificate else 'http'}://{shown}:{port}"


def serve(
    deployment: Deployment, address: Address, *, workers: int = 1, told: Callable[[str], None] = print
) -> None:
    """Serve until a signal stops it; `told` gets the URL once requests are taken."""
    archive = deployment.open(first=True)
    with contextlib.closing(address.listen()) as listening:
        url = address.url(listening) + deployment.prefix
        if workers == 1:
            config = _configured(make_app(deployment.service(archive)), address)
            _Server(config, lambda: told(url)).run(sockets=[listening])
            archive.close()
            return
        archive.close()
        os.environ[VARIABLE] = deployment.to_json()
        config = _configured("hounsfield.server.running:worker_app", address, workers=workers, factory=True)
        from uvicorn.supervisors import Multiprocess

        told(url)
        Multiprocess(config, sockets=[listening]).run()


def worker_app() -> Starlette:
    """The application of one worker process."""
    deployment = of_environment()
    return make_app(deployment.service(deployment.open(first=False)))


def _configured(app: object, address: Address, **more: object) -> uvicorn.Config:
    return uvicorn.Config(
        app,  # type: ignore[arg-type]
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
