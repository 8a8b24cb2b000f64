"""One DIMSE request as the services see it, and its outcome."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hounsfield.dimse.acceptor import Accepted
from hounsfield.dimse.association import Context
from hounsfield.dimse.commands import Command
from hounsfield.dimse.connection import Connection
from hounsfield.server.provider.endpoint import Endpoint
from hounsfield.server.state import AppState


@dataclass(frozen=True, slots=True)
class Request:
    """A request with its data set, on the association `accepted`."""

    state: AppState
    endpoint: Endpoint
    accepted: Accepted
    context: Context
    command: Command
    content: bytes = field(default=b"", repr=False)

    @property
    def connection(self) -> Connection:
        return self.accepted.connection

    @property
    def caller(self) -> str:
        """The calling AE title."""
        return self.accepted.request.calling


@dataclass(frozen=True, slots=True)
class Outcome:
    """The status that was said last, and the studies that were touched."""

    status: int
    studies: Sequence[str] = ()
