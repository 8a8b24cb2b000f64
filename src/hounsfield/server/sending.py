"""An answer onto the wire, block by block, to a client that may be slow or gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from anyio import to_thread
from starlette.types import Scope, Send

from hounsfield.errors import HounsfieldError
from hounsfield.server.answers import Answer, Block, header_lines, of_error
from hounsfield.server.ask import Ask

log = logging.getLogger("hounsfield.server")


_readers = ThreadPoolExecutor(16, thread_name_prefix="reader")

AT_ONCE = 1 << 20
"""Bytes that a client must take within the time that it has for taking something."""

HANG_UP = "hounsfield.hang_up"
"""The extension of an ASGI scope by which a connection is dropped, unsent bytes and all."""


async def send_answer(
    ask: Ask, answer: Answer, send: Send, seconds: float, scope: Scope | None = None
) -> tuple[Answer, int]:
    """Send head and body; what was answered in the end, and how many bytes of body went out.

    The first block is made before the head is sent, so that its failure has a status. A client that takes
    nothing for `seconds` is given up.
    """
    content: Any = answer.content
    block: Block | None = None
    if not isinstance(content, (bytes, bytearray)) and ask.method != "HEAD":
        try:
            block = await to_thread.run_sync(next, content, None)
        except HounsfieldError as error:
            failed = of_error(error)
            failed.headers |= {
                name: text for name, text in answer.headers.items() if name.startswith("Access-")
            }
            answer, content = failed, failed.content
    await send({"type": "http.response.start", "status": answer.status, "headers": header_lines(ask, answer)})
    if ask.method == "HEAD" or isinstance(content, (bytes, bytearray)):
        body = b"" if ask.method == "HEAD" else content
        await send({"type": "http.response.body", "body": body})
        _close(content)
        return answer, len(body)
    hang_up = (scope or {}).get("extensions", {}).get(HANG_UP, lambda: None)
    return answer, await _send_blocks(content, block, send, seconds, hang_up)


async def _send_blocks(
    content: Iterator[Block],
    block: Block | None,
    send: Send,
    seconds: float,
    hang_up: Callable[[], None],
) -> int:
    loop, sent = asyncio.get_running_loop(), 0
    coming: asyncio.Future[Block | None] | None = None
    try:
        while block is not None:
            # The next block is read while this one goes out.
            coming = loop.run_in_executor(_readers, next, content, None)
            for begin in range(0, len(block), AT_ONCE):
                piece = memoryview(block)[begin : begin + AT_ONCE]
                async with asyncio.timeout(seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
                sent += len(piece)
            block = await coming
        await send({"type": "http.response.body", "body": b""})
    except TimeoutError:
        log.info("a client took nothing for %g s and was given up", seconds)
        hang_up()
    finally:
        if coming is not None and not coming.done():
            # Nobody may close what a thread still reads.
            with contextlib.suppress(Exception):
                await asyncio.shield(coming)
        _close(content)
    return sent


def _close(content: Any) -> None:
    close = getattr(content, "close", None)
    if close is not None:
        close()
