"""The receiving side of C-STORE: data sets pass from the connection to whoever keeps them, never whole in memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

from hounsfield.dimse.association import CommandReceived, Context
from hounsfield.dimse.commands import Command
from hounsfield.dimse.connection import Connection
from hounsfield.dimse.negotiation import IMPLICIT
from hounsfield.dimse.part10 import file_start, stray_bytes
from hounsfield.dimse.statuses import NOT_UNDERSTOOD, OUT_OF_RESOURCES, SUCCESS

_BIG_ENDIAN, _DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
_UNREADABLE_STARTS = frozenset({_BIG_ENDIAN, _DEFLATED})
_START_BYTES = 4096
"""Bytes of a data set that are looked at before anything is written."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The status of a C-STORE response, and its Error Comment."""

    status: int
    comment: str | None = None


class Incoming(Protocol):
    """One data set on its way in. Either `finish` or `abandon` is called, once."""

    def write(self, content: bytes | memoryview) -> None:
        """Take the next bytes, which are valid during the call."""

    def finish(self) -> Verdict:
        """The data set is whole; what is said of it."""

    def abandon(self) -> None:
        """It will never be whole."""


class StoreSink(Protocol):
    """Whoever keeps what is stored."""

    def begin(self, context: Context, command: Command) -> Incoming: ...


def take_store(connection: Connection, received: CommandReceived, sink: StoreSink, timeout: float) -> Verdict:
    """Read the data set of a C-STORE request into `sink` and send the response."""
    context, command = received.context, received.command
    incoming = sink.begin(context, command)
    try:
        for piece in connection.pieces(command, timeout):
            incoming.write(piece)
        verdict = incoming.finish()
    except BaseException:
        incoming.abandon()
        raise
    connection.write(context, command.response(verdict.status, comment=verdict.comment))
    return verdict


@dataclass(slots=True)
class FileStart:
    """The start of a data set, until it is known what of it belongs to the file; then `write` passes all on."""

    context: Context
    command: Command
    write: Callable[[bytes | memoryview], object]
    _start: bytearray | None = field(default_factory=bytearray)

    def feed(self, content: bytes | memoryview) -> None:
        if self._start is None:
            self.write(content)
            return
        self._start += content
        if len(self._start) >= _START_BYTES:
            self.close()

    def close(self) -> None:
        """Write what is held back."""
        if self._start is None:
            return
        start, self._start = bytes(self._start), None
        stray = 0
        if self.context.transfer_syntax not in _UNREADABLE_STARTS:
            stray = stray_bytes(start, implicit=self.context.transfer_syntax == IMPLICIT)
        sop_class = self.command.sop_class or self.context.sop_class
        head = file_start(sop_class, self.command.sop_instance or "", self.context.transfer_syntax)
        self.write(head + start[stray:])


@dataclass(frozen=True, slots=True)
class ReceivedFile:
    """An instance that came, as a file; the UID is that of the command, not of the data set."""

    sop_instance: str
    sop_class: str
    transfer_syntax: str
    path: Path
    size: int


@dataclass(frozen=True, slots=True)
class FileSink:
    """Instances as files at the paths that `new_path` gives; each is passed to `received` once it is whole."""

    new_path: Callable[[], Path]
    received: Callable[[ReceivedFile], object]

    def begin(self, context: Context, command: Command) -> Incoming:
        return _IncomingFile(context, command, self)


class _IncomingFile:
    """A file that is being written; one that cannot be is read to its end and refused."""

    def __init__(self, context: Context, command: Command, sink: FileSink) -> None:
        self._context, self._command, self._sink = context, command, sink
        self._path = sink.new_path()
        self._error: OSError | None = None
        self._out: BinaryIO | None = None
        self._start = FileStart(context, command, self._written)
        with self._noted():
            self._out = self._path.open("wb", buffering=0)

    def write(self, content: bytes | memoryview) -> None:
        if self._error is None:
            with self._noted():
                self._start.feed(content)

    def finish(self) -> Verdict:
        size = 0
        with self._noted():
            if self._out is not None and self._error is None:
                self._start.close()
                size = self._out.tell()
                self._out.close()
        if self._error is not None:
            self.abandon()
            return Verdict(OUT_OF_RESOURCES, self._error.strerror)
        if not self._command.sop_instance:
            self.abandon()
            return Verdict(NOT_UNDERSTOOD, "no Affected SOP Instance UID")
        command, context = self._command, self._context
        self._sink.received(
            ReceivedFile(
                command.sop_instance or "",
                command.sop_class or context.sop_class,
                context.transfer_syntax,
                self._path,
                size,
            )
        )
        return Verdict(SUCCESS)

    def abandon(self) -> None:
        if self._out is not None:
            self._out.close()
        self._path.unlink(missing_ok=True)

    def _written(self, content: bytes | memoryview) -> None:
        assert self._out is not None
        view = memoryview(content)
        while view:
            view = view[self._out.write(view) :]

    @contextlib.contextmanager
    def _noted(self) -> Iterator[None]:
        """Keep what goes wrong with the file for the verdict."""
        try:
            yield
        except OSError as error:
            self._error = self._error or error
