"""One association over a blocking socket: time-outs, TLS, keep-alive. What is said on it is `association`'s.

A connection belongs to one thread.
"""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from hounsfield.dimse.association import Association, Buffer, CommandReceived, Context, DataReceived, Event
from hounsfield.dimse.commands import Command
from hounsfield.dimse.pdus import Abort
from hounsfield.dimse.statuses import abort_words
from hounsfield.errors import DimseError, LocationError
from hounsfield.language import say

READ_BYTES = 256 * 1024
"""Bytes that are read at once."""

SENT_BYTES = 256 * 1024
"""Bytes from which on a message is sent, though more of it is to come."""

MAX_IDENTIFIER = 32 * 1024 * 1024
"""Bytes of a data set that is held in memory: an identifier, a list of a hundred thousand failed instances."""

REST_SECONDS = 60.0
"""Time that the rest of a message may take of which the first bytes have come."""

PATIENCE = 120.0
SLOWEST = 1000
"""A data set that after so many seconds came slower than so many bytes a second is given up."""

_BUFFERS = 512
"""Buffers in one system call; Linux takes 1024."""

_IDLE_SECONDS, _PROBE_SECONDS, _PROBES = 30, 10, 6
"""Keep-alive: a peer whose machine is gone is noticed after a minute and a half, however long it may be silent."""


@dataclass(frozen=True, slots=True)
class Message:
    """A command and the whole data set that came with it."""

    context: Context
    command: Command
    data: bytes = b""


class Connection:
    """`association` over `sock`, whose `address` is shown in errors."""

    def __init__(self, sock: socket.socket, association: Association, address: str) -> None:
        self.association = association
        self.address = address
        self._socket = sock
        self._events: Iterator[Event] | None = None
        self._buffer = memoryview(bytearray(READ_BYTES))
        self.deadline: float | None = None
        """When (`time.monotonic`) the peer must have said all that is waited for, however it dribbles."""
        keep_alive(sock)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    @property
    def local_address(self) -> str:
        """The address of this machine that the peer sees, unless something translates it."""
        return str(self._socket.getsockname()[0])

    def send(self, data: bytes) -> None:
        """Send bytes of the upper layer."""
        self._send([data])

    def write(self, context: Context, command: Command, data: Iterable[Buffer] = ()) -> None:
        """Send a message, several PDUs with one system call where the peer takes only small ones."""
        held, size = list[Buffer](), 0
        for page in self.association.send(context, command, data):
            held += page
            size += sum(map(len, page))
            if size >= SENT_BYTES or len(held) >= _BUFFERS:
                self._send(held)
                held, size = [], 0
        if held:
            self._send(held)

    def write_all(self, messages: Iterable[tuple[Context, Command, Iterable[Buffer]]]) -> None:
        """Send small messages, many with one system call."""
        held = bytearray()
        for context, command, data in messages:
            for page in self.association.send(context, command, data):
                for buffer in page:
                    held += buffer
            if len(held) >= READ_BYTES:
                self._send([bytes(held)])
                held.clear()
        if held:
            self._send([bytes(held)])

    def poll(self) -> Event | None:
        """The next event if it has come already."""
        if self._events is not None and (event := self._following()) is not None:
            return event
        pending = isinstance(self._socket, ssl.SSLSocket) and self._socket.pending()
        if not pending and not select.select([self._socket], [], [], 0)[0]:
            return None
        return self.next(REST_SECONDS)

    def next(self, timeout: float) -> Event:
        """The next event; `DimseError` if none comes for `timeout` seconds, and for what ends an association.

        A `DataReceived` is to be used before the next call.
        """
        while True:
            if self._events is not None and (event := self._following()) is not None:
                return event
            self._events = self.association.receive(self._buffer[: self._read(timeout)])

    def _following(self) -> Event | None:
        """The next event of the bytes that were read last."""
        assert self._events is not None
        try:
            event = next(self._events, None)
        except DimseError as error:
            self._fail(error)
            error.at(self.address)
            raise
        if event is None:
            self._events = None
            return None
        return self._checked(event)

    def message(self, timeout: float) -> Message:
        """The next message, its data set in memory."""
        event = self.next(timeout)
        if not isinstance(event, CommandReceived):
            raise DimseError(f"a {type(event).__name__}", expected="a message", where=self.address)
        return Message(event.context, event.command, self.data(event.command, timeout))

    def data(self, command: Command, timeout: float) -> bytes:
        """The data set of a command that has just come; none where it has none."""
        pieces, size = list[bytes](), 0
        for content in self.pieces(command, timeout):
            size += len(content)
            if size > MAX_IDENTIFIER:
                self.abort()
                raise DimseError(
                    say(
                        "a data set of more than {max_identifier} bytes with a {name}",
                        max_identifier=MAX_IDENTIFIER,
                        name=command.name,
                    ),
                    where=self.address,
                )
            pieces.append(bytes(content))
        return b"".join(pieces)

    def pieces(self, command: Command, timeout: float) -> Iterator[memoryview]:
        """The data set of a command that has just come, piece by piece; each is valid until the next."""
        last = not command.has_data
        size, patient_until = 0, time.monotonic() + PATIENCE
        while not last:
            event = self.next(timeout)
            if not isinstance(event, DataReceived):
                raise DimseError(
                    say("a {name__} within a data set", name__=type(event).__name__), where=self.address
                )
            size += len(event.content)
            late = time.monotonic() - patient_until
            if late > 0 and size < SLOWEST * (late + PATIENCE):
                self.abort()
                raise DimseError(
                    say("sends less than {slowest} bytes a second", slowest=SLOWEST),
                    where=self.address,
                    silent=True,
                )
            yield event.content
            last = event.last

    def abort(self) -> None:
        """Break the association off."""
        with contextlib.suppress(OSError, DimseError):
            self._socket.settimeout(1)
            self._send([self.association.abort()])
        self.close()

    def close(self) -> None:
        self._socket.close()

    def _checked(self, event: Event) -> Event:
        if isinstance(event, Abort):
            self.close()
            raise DimseError(abort_words(event), where=self.address, aborted=True)
        return event

    def _read(self, timeout: float) -> int:
        if self.deadline is not None:
            timeout = max(min(timeout, self.deadline - time.monotonic()), 0.001)
        try:
            self._socket.settimeout(timeout)
            size = self._socket.recv_into(self._buffer)
        except TimeoutError as error:
            self.abort()
            raise DimseError(
                say("silent for {timeout} s", timeout=format(timeout, "g")), where=self.address, silent=True
            ) from error
        except OSError as error:
            self.close()
            raise DimseError(
                say("connection lost: {cause}", cause=_cause(error)), where=self.address, lost=True
            ) from error
        if not size:
            self.close()
            raise DimseError("closed the connection", where=self.address, lost=True)
        return size

    def _fail(self, error: DimseError) -> None:
        """Say in an A-ABORT what was wrong."""
        with contextlib.suppress(OSError):
            self._socket.settimeout(1)
            self._socket.sendall(self.association.failure(error))
        self.close()

    def _send(self, buffers: list[Buffer]) -> None:
        try:
            if isinstance(self._socket, ssl.SSLSocket):
                self._socket.sendall(b"".join(buffers))
                return
            for start in range(0, len(buffers), _BUFFERS):
                self._send_all(buffers[start : start + _BUFFERS])
        except OSError as error:
            self._why_broken()
            self.close()
            raise DimseError(
                say("connection lost: {cause}", cause=_cause(error)), where=self.address, lost=True
            ) from error

    def _send_all(self, buffers: list[Buffer]) -> None:
        sent = self._socket.sendmsg(buffers)
        for buffer in buffers:
            if sent >= len(buffer):
                sent -= len(buffer)
            else:
                self._socket.sendall(memoryview(buffer)[sent:])
                sent = 0

    def _why_broken(self) -> None:
        """Raise what the peer said before it closed the connection while we were sending, if it did."""
        with contextlib.suppress(OSError, StopIteration):
            self._socket.settimeout(1)
            size = self._socket.recv_into(self._buffer)
            for event in self.association.receive(self._buffer[:size]):
                self._checked(event)


def keep_alive(sock: socket.socket) -> None:
    """Notice a dead peer, and send at once what is to be sent."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (
        ("TCP_KEEPIDLE", _IDLE_SECONDS),
        ("TCP_KEEPINTVL", _PROBE_SECONDS),
        ("TCP_KEEPCNT", _PROBES),
    ):
        if hasattr(socket, option):
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


@dataclass(frozen=True, slots=True)
class Tls:
    """TLS by BCP 195 (PS3.15 B.9): whom we trust, and the certificate that we show. `verify=False`: anybody.

    `names=False` takes a certificate for another host name, as those of devices often are.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    key_password: str | None = None
    verify: bool = True
    names: bool = True

    def client(self) -> ssl.SSLContext:
        """For the side that connects."""
        context = ssl.create_default_context(ssl.Purpose.SERVER_AUTH)
        if self.ca is not None:
            # Only that authority, not those of browsers beside it.
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self.verify and self.names
        context.verify_mode = ssl.CERT_REQUIRED if self.verify else ssl.CERT_NONE
        return self._loaded(context)

    def server(self) -> ssl.SSLContext:
        """For the side that listens; with `ca`, clients must show a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if self.ca is not None and self.verify:
            context.verify_mode = ssl.CERT_REQUIRED
        return self._loaded(context)

    def _loaded(self, context: ssl.SSLContext) -> ssl.SSLContext:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            if self.ca is not None:
                context.load_verify_locations(self.ca)
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key, self.key_password)
        except (OSError, ValueError) as error:
            raise LocationError(
                say("a certificate or key that cannot be used: {cause}", cause=_cause(error)),
                where=str(self.certificate or self.ca),
                expected="PEM",
            ) from error
        return context


def connect(host: str, port: int, *, tls: ssl.SSLContext | None, timeout: float) -> socket.socket:
    """A connected socket; `DimseError` says why there is none."""
    where = f"{host}:{port}"
    try:
        sock = socket.create_connection((host, port), timeout)
        try:
            return sock if tls is None else tls.wrap_socket(sock, server_hostname=host)
        except BaseException:
            sock.close()
            raise
    except ssl.SSLCertVerificationError as error:
        raise DimseError(
            say("its certificate is not trusted: {verify_message}", verify_message=error.verify_message),
            where=where,
            remedy="give --ca",
        ) from error
    except (ssl.SSLError, ConnectionResetError) as error:
        what = f"no TLS: {_cause(error)}" if tls is not None else f"connection lost: {_cause(error)}"
        raise DimseError(
            what, where=where, remedy="does it speak TLS at this port?" if tls else None
        ) from error
    except ConnectionRefusedError as error:
        raise DimseError(
            "nothing listens there", where=where, remedy="check the host and the port"
        ) from error
    except TimeoutError as error:
        raise DimseError(
            say("no connection within {timeout} s", timeout=format(timeout, "g")),
            where=where,
            remedy="check the port and the firewall",
        ) from error
    except (OSError, UnicodeError) as error:
        raise DimseError(say("no connection: {cause}", cause=_cause(error)), where=where) from error


def _cause(error: Exception) -> str:
    return str(
        getattr(error, "reason", None) or getattr(error, "strerror", None) or error or type(error).__name__
    )
