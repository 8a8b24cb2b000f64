"""Sending of responses, block by block, to a client that may be slow or gone."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import islice
from typing import Any

from anyio import to_thread
from starlette.types import Scope, Send

from hounsfield.errors import HounsfieldError
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Block, Response, error_response, header_lines
from hounsfield.server.http.streams import WHOLE

log = logging.getLogger("hounsfield.server")


_readers = ThreadPoolExecutor(16, thread_name_prefix="reader")

AT_ONCE = 1 << 20
"""Bytes that a client must take within the time that it has for taking something."""

HANG_UP = "hounsfield.hang_up"
"""The extension of an ASGI scope by which a connection is dropped, unsent bytes and all."""


async def send_response(
    request: Request, response: Response, send: Send, seconds: float, scope: Scope | None = None
) -> tuple[Response, int]:
    """Send head and body; what was answered in the end, and how many bytes of body went out.

    A body of at most `WHOLE` bytes is made before the head is sent, of a longer one the first block, so that its
    failure has a status; where a later one fails, the connection is torn off, so that nobody takes what came for the
    whole. A client that takes nothing for `seconds` is given up.
    """
    content: Any = response.content
    made: list[Block] = []
    if not isinstance(content, (bytes, bytearray)) and request.method != "HEAD":
        try:
            made = await to_thread.run_sync(_begun, content, response.length)
        except HounsfieldError as error:
            response = error_response(error)
            content = response.content
    await send(
        {"type": "http.response.start", "status": response.status, "headers": header_lines(request, response)}
    )
    if request.method == "HEAD" or isinstance(content, (bytes, bytearray)):
        body = b"" if request.method == "HEAD" else content
        await send({"type": "http.response.body", "body": body})
        _close(content)
        return response, len(body)
    hang_up = (scope or {}).get("extensions", {}).get(HANG_UP)
    try:
        return response, await _send_blocks(content, made, send, seconds, hang_up)
    except HounsfieldError as error:
        if hang_up is None:
            raise
        log.error("aborted a response: %s", error.found)
        hang_up()
        # Once it knows that the connection is gone, uvicorn does not complain of an answer without an end.
        await asyncio.sleep(0)
        return replace(response, status=error_response(error).status), 0


def _begun(content: Iterator[Block], length: int | None) -> list[Block]:
    """Return the blocks to be made before the status is sent."""
    if length is not None and length <= WHOLE:
        return list(content)
    return list(islice(content, 1))


async def _send_blocks(
    content: Iterator[Block],
    made: list[Block],
    send: Send,
    seconds: float,
    hang_up: Callable[[], None] | None,
) -> int:
    loop, sent = asyncio.get_running_loop(), 0
    coming: asyncio.Future[Block | None] | None = None
    try:
        for each in made[:-1]:
            sent += await _send_block(each, send, seconds)
        block = made[-1] if made else None
        while block is not None:
            # The next block is read while this one goes out.
            coming = loop.run_in_executor(_readers, next, content, None)
            sent += await _send_block(block, send, seconds)
            block = await coming
        await send({"type": "http.response.body", "body": b""})
    except TimeoutError:
        log.info("dropped a client that read nothing for %g s", seconds)
        if hang_up is not None:
            hang_up()
    finally:
        if coming is not None and not coming.done():
            # Nobody may close what a thread still reads.
            with contextlib.suppress(Exception):
                await asyncio.shield(coming)
        _close(content)
    return sent


async def _send_block(block: Block, send: Send, seconds: float) -> int:
    for begin in range(0, len(block), AT_ONCE):
        piece = memoryview(block)[begin : begin + AT_ONCE]
        async with asyncio.timeout(seconds):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
    return len(block)


def _close(content: Any) -> None:
    close = getattr(content, "close", None)
    if close is not None:
        close()
