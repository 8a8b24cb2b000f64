"""Associations that others ask for: a listening socket, a thread for each association, limits on all of it.

What is accepted and what the services do is the caller's: of an archive, or of whoever waits for a C-MOVE.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from hounsfield.dimse.association import MAX_PDU, Association, CommandReceived
from hounsfield.dimse.connection import Connection
from hounsfield.dimse.pdus import AssociateAccept, AssociateReject, AssociateRequest, ReleaseRequest
from hounsfield.errors import DimseError
from hounsfield.language import say

log = logging.getLogger("hounsfield.dimse")

LIMIT_EXCEEDED = AssociateReject(2, 3, 2)
"""Rejected for now: local limit exceeded (PS3.8 table 9-21)."""

_REJECTING = 16
"""Threads beside those of associations, that do nothing but say that there is no room."""

_LOOK_SECONDS = 1.0
"""Interval at which a listener looks whether it is to stop."""

_CLOSE_SECONDS = 2.0
"""Time that a peer may take to close the connection after its release, or ours for it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a listener: `associations` at once, bytes of a PDU.

    `artim` is seconds until an association is asked for, `idle` between what is sent in it.
    """

    associations: int = 32
    artim: float = 30.0
    idle: float = 300.0
    max_pdu: int = MAX_PDU


@dataclass(frozen=True, slots=True)
class Accepted:
    """An association that we accepted: what was asked, from where, and the connection it is on."""

    request: AssociateRequest
    address: str
    connection: Connection
    limits: Limits


Decide = Callable[[AssociateRequest, str], AssociateAccept | AssociateReject]
"""The answer to a proposal from an address."""

Serve = Callable[[Accepted, CommandReceived], None]
"""Does what a request wants, its data set read and its responses sent."""


@dataclass(eq=False)
class Acceptor:
    """Takes associations at `listener` once `start` is called, until `stop`.

    `closed` is called with each association when it has ended, and with the error that ended it if one did.
    """

    listener: socket.socket
    decide: Decide
    serve: Serve
    limits: Limits = Limits()
    tls: ssl.SSLContext | None = None
    closed: Callable[[Accepted, DimseError | None], object] = lambda accepted, error: None
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _open: dict[threading.Thread, socket.socket] = field(default_factory=dict)
    _stopping: bool = False
    _thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._listen, name="dimse-listener", daemon=True)
        self._thread.start()

    def stop(self, grace: float = 0.0) -> None:
        """Take no more associations; those that are open may go on for `grace` seconds."""
        self._stopping = True
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        if self._thread is not None:
            self._thread.join()
        end = time.monotonic() + grace
        for thread in self._threads():
            thread.join(max(end - time.monotonic(), 0))
        with self._lock:
            for sock in self._open.values():
                with contextlib.suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads():
            thread.join()

    @property
    def associations(self) -> int:
        """Return how many connections are open."""
        return len(self._open)

    def _threads(self) -> list[threading.Thread]:
        with self._lock:
            return list(self._open)

    def _listen(self) -> None:
        # Not every system wakes who waits for a socket that is closed.
        self.listener.settimeout(_LOOK_SECONDS)
        while not self._stopping:
            try:
                sock, address = self.listener.accept()
            except TimeoutError:
                continue
            except OSError:
                if self._stopping:
                    return
                time.sleep(0.05)  # out of descriptors: others will close
                continue
            self._begin(sock, str(address[0]))

    def _begin(self, sock: socket.socket, address: str) -> None:
        thread = threading.Thread(target=self._run, args=(sock, address), name="dimse", daemon=True)
        with self._lock:
            room = len(self._open) < self.limits.associations + _REJECTING
            if room:
                self._open[thread] = sock
        if not room:
            sock.close()
            return
        thread.start()

    def _run(self, sock: socket.socket, address: str) -> None:
        try:
            self._association(sock, address)
        except DimseError as error:
            log.info("association from %s: %s", address, error)
        except OSError as error:
            log.info("connection from %s: %s", address, error.strerror or error)
        except Exception:
            log.exception("an association from %s broke off", address)
        finally:
            sock.close()
            with self._lock:
                self._open.pop(threading.current_thread(), None)

    def _association(self, sock: socket.socket, address: str) -> None:
        end = time.monotonic() + self.limits.artim
        if self.tls is not None:
            sock.settimeout(self.limits.artim)
            sock = self.tls.wrap_socket(sock, server_side=True)
            with self._lock:
                self._open[threading.current_thread()] = sock
        association = Association(max_pdu=self.limits.max_pdu)
        connection = Connection(sock, association, address)
        connection.deadline = end
        request = connection.next(self.limits.artim)
        connection.deadline = None
        assert isinstance(request, AssociateRequest)
        full = len(self._open) > self.limits.associations
        reply = LIMIT_EXCEEDED if full else self.decide(request, address)
        if isinstance(reply, AssociateReject):
            connection.send(association.reject(reply))
            _await_close(sock)
            connection.close()
            return
        connection.send(association.accept(reply))
        accepted = Accepted(request, address, connection, self.limits)
        failure: DimseError | None = None
        try:
            self._messages(accepted)
            _await_close(sock)
        except DimseError as error:
            failure = error
            raise
        except BaseException:
            connection.abort()
            raise
        finally:
            connection.close()
            self.closed(accepted, failure)

    def _messages(self, accepted: Accepted) -> None:
        connection = accepted.connection
        while True:
            event = connection.next(self.limits.idle)
            if isinstance(event, CommandReceived):
                self.serve(accepted, event)
            elif isinstance(event, ReleaseRequest):
                connection.send(connection.association.reply_release())
                return


def _await_close(sock: socket.socket) -> None:
    """Let the peer close first: what was sent last is lost where both do at once."""
    with contextlib.suppress(OSError):
        sock.settimeout(_CLOSE_SECONDS)
        sock.recv(1)


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens; `shared` by several processes. `DimseError` if the port is taken or not ours."""
    where = f"{host}:{port}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sock.bind(address)
            sock.listen(128)
        except BaseException:
            sock.close()
            raise
    except OSError as error:
        raise DimseError(
            say("cannot listen: {strerror}", strerror=error.strerror or error),
            where=where,
            remedy="choose another address or port",
        ) from error
    return sock
