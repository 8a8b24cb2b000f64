"""One connection of the server: uvicorn's protocol, with bounds on what precedes a request and on what waits of it."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hounsfield.server.http.inbox import INBOX, Inbox
from hounsfield.server.http.sending import HANG_UP

HEAD_SECONDS = 20.0
"""Time that a client may take over the head of a request."""

HEAD_BYTES = 64 * 1024
"""Longest head of a request: line and header fields."""

AHEAD_BYTES = 2 << 20
"""Bytes of a body that may wait for whoever takes it in."""


class GuardedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with bounds on what precedes a request: a head that drips or never ends is hung up on."""

    _watch: asyncio.TimerHandle | None = None
    _head = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._watch is not None:
            self._head += len(data)
        super().data_received(data)
        # A body that came in the same packet is no part of the head, and the watch is off by then.
        if self._watch is not None and self._head > HEAD_BYTES:
            self._hang_up()

    def on_message_begin(self) -> None:
        if self._watch is None:
            self._await_head()
        super().on_message_begin()

    def on_body(self, body: bytes) -> None:
        inbox: Any = self.cycle.scope["extensions"].get(INBOX)
        if inbox is None or not inbox.claimed or self.cycle.response_complete:
            super().on_body(body)
            return
        # uvicorn would copy each piece twice, and stop reading at 64 KiB.
        inbox.put(body)
        if inbox.size > AHEAD_BYTES:
            self.flow.pause_reading()
        self.cycle.message_event.set()

    def on_headers_complete(self) -> None:
        self._stop_watch()
        super().on_headers_complete()
        if self.scope is not None:
            extensions: dict[str, Any] = self.scope.setdefault("extensions", {})
            extensions[HANG_UP] = self._hang_up
            extensions[INBOX] = Inbox()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_watch()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        self._head = 0
        self._watch = self.loop.call_later(HEAD_SECONDS, self._hang_up)

    def _stop_watch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None

    def _hang_up(self) -> None:
        self._stop_watch()
        if self.transport is not None and not self.transport.is_closing():
            self.transport.abort()
