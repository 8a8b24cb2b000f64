"""The receiving side of C-STORE: data sets pass from the connection to whoever keeps them, never whole in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

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


Keep = Callable[[Context, Command, Iterator[memoryview]], Verdict]
"""A sink of stored instances: takes the pieces of a data set, each valid until the next, and returns the outcome.

What it does not read of them is read past. A `DimseError` out of the pieces means that the rest will never come.
"""


def take_store(connection: Connection, received: CommandReceived, keep: Keep, timeout: float) -> Verdict:
    """Read the data set of a C-STORE request for `keep`, and send the response."""
    context, command = received.context, received.command
    pieces = connection.pieces(command, timeout)
    verdict = keep(context, command, pieces)
    for _ in pieces:
        pass
    connection.write(context, command.response(verdict.status, comment=verdict.comment))
    return verdict


def file_pieces(
    context: Context, command: Command, pieces: Iterator[memoryview], start: bytes | None = None
) -> Iterator[bytes | memoryview]:
    """A data set as the pieces of a file (PS3.10); what does not belong into a data set is left out.

    `start`: preamble and meta group, where they are not to be made.
    """
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= _START_BYTES:
            break
    begin, stray = bytes(held), 0
    if context.transfer_syntax not in _UNREADABLE_STARTS:
        stray = stray_bytes(begin, implicit=context.transfer_syntax == IMPLICIT)
    if start is None:
        sop_class = command.sop_class or context.sop_class
        start = file_start(sop_class, command.sop_instance or "", context.transfer_syntax)
    yield start + begin[stray:]
    yield from pieces


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
    """Keeps instances as files at the paths that `new_path` gives; each is passed to `received` once it is whole."""

    new_path: Callable[[], Path]
    received: Callable[[ReceivedFile], object]

    def __call__(self, context: Context, command: Command, pieces: Iterator[memoryview]) -> Verdict:
        if not command.sop_instance:
            return Verdict(NOT_UNDERSTOOD, "no Affected SOP Instance UID")
        path = self.new_path()
        try:
            size = self._written(path, file_pieces(context, command, pieces))
        except OSError as error:
            path.unlink(missing_ok=True)
            return Verdict(OUT_OF_RESOURCES, error.strerror)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        sop_class = command.sop_class or context.sop_class
        self.received(ReceivedFile(command.sop_instance, sop_class, context.transfer_syntax, path, size))
        return Verdict(SUCCESS)

    @staticmethod
    def _written(path: Path, pieces: Iterator[bytes | memoryview]) -> int:
        size = 0
        with path.open("wb", buffering=0) as out:
            for piece in pieces:
                view = memoryview(piece)
                size += len(view)
                while view:
                    view = view[out.write(view) :]
        return size
