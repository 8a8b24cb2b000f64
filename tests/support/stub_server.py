"""A web server that does exactly what a test tells it, down to cut connections; on the loopback, always stopped."""

from __future__ import annotations

import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Exchange:
    """One request, and the ways to answer it. `number` counts requests from 1."""

    handler: BaseHTTPRequestHandler
    number: int
    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    def answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """A well-made answer; underscores in header names become dashes."""
        told = {name.replace("_", "-"): value for name, value in headers.items()}
        self.raw(
            head(status, {"Content-Length": str(len(body)), **told})
            + (b"" if self.method == "HEAD" else body)
        )

    def json(self, models: object, status: int = 200, **headers: str) -> None:
        self.answer(status, json.dumps(models).encode(), Content_Type="application/dicom+json", **headers)

    def raw(self, content: bytes) -> None:
        """These bytes and no others."""
        with suppress(OSError):
            self.handler.wfile.write(content)
            self.handler.wfile.flush()

    def end(self) -> None:
        """Close the connection in good order after this."""
        self.handler.close_connection = True

    def reset(self) -> None:
        """Cut the connection so that the other side sees a reset."""
        connection = self.handler.connection
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.handler.wfile.flush()
        self.end()


@dataclass
class Stub:
    """A running stub: its `url`, every request so far."""

    url: str
    requests: list[Exchange] = field(default_factory=list)

    @property
    def paths(self) -> list[str]:
        return [each.path for each in self.requests]


def head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Stub", *(f"{name}: {value}" for name, value in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


@contextmanager
def stub_server(respond: Callable[[Exchange], None], tls: ssl.SSLContext | None = None) -> Iterator[Stub]:
    """Serve until the block ends; `respond` is called in a thread for each connection."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _any(self) -> None:
            parts = urlsplit(self.path)
            body = self._body()
            with lock:
                exchange = Exchange(
                    self,
                    len(stub.requests) + 1,
                    self.command,
                    parts.path,
                    parts.query,
                    {name.lower(): value for name, value in self.headers.items()},
                    body,
                )
                stub.requests.append(exchange)
            respond(exchange)

        do_GET = do_POST = do_DELETE = do_OPTIONS = do_HEAD = _any  # noqa: N815

        def _body(self) -> bytes:
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                content = b""
                while size := int(self.rfile.readline().split(b";")[0], 16):
                    content += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return content
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def log_message(self, *_: object) -> None:
            return

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 64

        def handle_error(self, *_: object) -> None:
            return

    server = Server(("127.0.0.1", 0), Handler)
    if tls is not None:
        # The handshake happens in the connection's own thread, at its first read.
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    stub = Stub(f"http{'s' if tls else ''}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
