"""Blocks of what goes out: their memory is used again, and never while anybody still holds it."""

from __future__ import annotations

import itertools
import random
import socket
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from server_support import AS_STORED, instances, parts_of, path_of, running

from hounsfield.ct.instance import BytesSource
from hounsfield.server.http import streams

DICE = random.Random(1)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "BLOCK", 1 << 16)


def pieces() -> tuple[list[streams.Piece], bytes]:
    """Texts and ranges of sources of all lengths, and what they are together."""
    found: list[streams.Piece] = []
    whole = b""
    for number in range(60):
        content = DICE.randbytes(DICE.randrange(1, 40_000))
        start = DICE.randrange(len(content))
        found.append(content if number % 2 else (BytesSource("x", content), start, len(content)))
        whole += content if number % 2 else content[start:]
    return found, whole


def test_blocks_that_are_held_stay_as_they_were() -> None:
    given, whole = pieces()
    assert b"".join(list(streams.blocks(given))) == whole


@pytest.mark.parametrize("held", [1, 2, 3, 5])
def test_blocks_are_used_again_once_nobody_holds_them(held: int) -> None:
    given, whole = pieces()
    buffers: dict[Any, Any] = {}
    views: list[Any] = []
    got = b""
    for view in streams.blocks(given):
        buffers[id(view.obj)] = view.obj
        views = [*views, view][-held:]
        if len(views) == held:
            got += views[0]
    del view
    got += b"".join(views[1:])
    assert got == whole
    assert len(buffers) < (8 if held < 3 else 60)


def test_a_client_that_takes_its_time_gets_every_byte(tmp_path: Path) -> None:
    contents = instances(slices=12, rows=256, columns=256)
    with running(tmp_path) as server:
        assert server.store(contents).status_code == 200
        wanted = parts_of(server.get(path_of(contents[0], "series"), AS_STORED))
        assert sorted(content for _, content in wanted) == sorted(contents)
        parts = urlsplit(server.url)
        with socket.socket() as link:
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.connect((parts.hostname, parts.port))
            path = f"{parts.path}{path_of(contents[0], 'series')}"
            link.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode())
            taken = []
            for number in itertools.count():
                taken.append(link.recv(1 << 14))
                if not taken[-1]:
                    break
                if number % 20 == 0:
                    time.sleep(0.005)
    answer = b"".join(taken)
    for content in contents:
        assert content in answer
