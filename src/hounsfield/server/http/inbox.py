"""`Inbox`: the body of a request as it comes off the connection, without uvicorn's copies."""

from __future__ import annotations

INBOX = "hounsfield.inbox"
"""The extension of an ASGI scope with the `Inbox` of its request, where the server has one."""


class Inbox:
    """A body as it came off the connection, piece by piece, for who claims it before asking for more."""

    def __init__(self) -> None:
        self.claimed, self.size = False, 0
        self._pieces: list[bytes] = []

    def put(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self.size += len(piece)

    def take(self) -> list[bytes]:
        """All that came since it was last asked."""
        pieces, self._pieces, self.size = self._pieces, [], 0
        return pieces
