"""What `http.connection` relies on in uvicorn's private protocol class; pyproject bounds its version."""

from __future__ import annotations

import asyncio
import importlib.metadata
import inspect
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from packaging.requirements import Requirement
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from hounsfield.server.http.connection import AHEAD_BYTES, GuardedProtocol
from hounsfield.server.http.inbox import INBOX, Inbox
from hounsfield.server.http.sending import HANG_UP

PROJECT = Path(__file__).parents[2]
HEAD = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 9000000\r\n\r\n"


class Transport(asyncio.Transport):
    """One end of a connection, with what was done to it."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2), "sslcontext": None})
        self.paused = self.aborted = False

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        pass

    def is_closing(self) -> bool:
        return self.aborted

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True


def connected(do: Callable[[GuardedProtocol, Transport, dict[str, Any]], None]) -> None:
    """Call `do` with a protocol that has read the head of a request, its transport, and the application's scope."""
    scopes: list[dict[str, Any]] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        await asyncio.sleep(3600)

    async def run() -> None:
        config = uvicorn.Config(app, http=GuardedProtocol, lifespan="off", log_config=None)
        config.load()
        state = uvicorn.server.ServerState()
        protocol, transport = GuardedProtocol(config, state, {}), Transport()
        protocol.connection_made(transport)
        protocol.data_received(HEAD)
        await asyncio.sleep(0)
        try:
            do(protocol, transport, scopes[0])
        finally:
            protocol.connection_lost(None)
            for task in list(state.tasks):
                task.cancel()
            await asyncio.gather(*state.tasks, return_exceptions=True)

    asyncio.run(run())


def test_the_version_is_bounded_above() -> None:
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["project"]
    (wanted,) = (
        each for each in map(Requirement, project["optional-dependencies"]["serve"]) if each.name == "uvicorn"
    )

    assert "<" in {each.operator for each in wanted.specifier}
    assert importlib.metadata.version("uvicorn") in wanted.specifier


@pytest.mark.parametrize(
    "name",
    [
        "connection_made",
        "data_received",
        "on_message_begin",
        "on_body",
        "on_headers_complete",
        "connection_lost",
    ],
)
def test_each_overridden_method_is_one_of_uvicorn(name: str) -> None:
    """A method that uvicorn renames would no longer be called, and its bound silently be gone."""
    theirs = inspect.signature(getattr(HttpToolsProtocol, name))

    assert list(theirs.parameters) == list(inspect.signature(getattr(GuardedProtocol, name)).parameters)


def test_nothing_else_of_uvicorn_is_overridden() -> None:
    own = {name for name in vars(GuardedProtocol) if not name.startswith("__")}

    assert own & set(dir(HttpToolsProtocol)) == {
        *("connection_made", "data_received", "on_message_begin", "on_body", "on_headers_complete"),
        "connection_lost",
    }


def test_the_application_gets_an_inbox_and_a_way_to_hang_up() -> None:
    def look(protocol: GuardedProtocol, transport: Transport, scope: dict[str, Any]) -> None:
        assert isinstance(scope["extensions"][INBOX], Inbox)
        scope["extensions"][HANG_UP]()
        assert transport.aborted

    connected(look)


def test_a_claimed_body_goes_to_the_inbox_and_stops_at_its_bound() -> None:
    def look(protocol: GuardedProtocol, transport: Transport, scope: dict[str, Any]) -> None:
        inbox = scope["extensions"][INBOX]
        inbox.claimed = True
        protocol.data_received(b"x" * AHEAD_BYTES)
        assert inbox.size == AHEAD_BYTES and not transport.paused
        assert protocol.cycle.message_event.is_set() and protocol.cycle.body == b""
        protocol.data_received(b"x")
        assert transport.paused

    connected(look)


def test_a_body_that_nobody_claims_is_left_to_uvicorn() -> None:
    def look(protocol: GuardedProtocol, transport: Transport, scope: dict[str, Any]) -> None:
        protocol.data_received(b"abc")
        assert scope["extensions"][INBOX].size == 0 and bytes(protocol.cycle.body) == b"abc"

    connected(look)
