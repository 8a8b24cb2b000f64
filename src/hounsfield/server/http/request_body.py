"""The body of a request as it arrives: in pieces for an upload, whole and short for anything else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from hounsfield.errors import DicomwebError
from hounsfield.language import say
from hounsfield.server.http.inbox import Inbox
from hounsfield.server.http.limits import Limits

Body = AsyncIterator[list[bytes]]


async def receive_body(receive: Receive, limits: Limits, inbox: Inbox | None = None) -> Body:
    """Yield the pieces that have arrived.

    Raises `DicomwebError` 408 when too little comes for too long, `ClientDisconnect` when the client is gone.
    """
    if inbox is not None:
        inbox.claimed = True
    clock = asyncio.get_running_loop().time
    more, came, end = True, 0, clock() + limits.seconds
    while more:
        try:
            async with asyncio.timeout_at(end):
                message = await receive()
        except TimeoutError as error:
            raise DicomwebError(
                "timed out waiting for the body",
                expected=say(
                    "{pace} bytes in {seconds} s", pace=limits.pace, seconds=format(limits.seconds, "g")
                ),
                status=408,
            ) from error
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        more = message.get("more_body", False)
        pieces = [message["body"]] if message.get("body") else []
        # What came before the claim is in the message; only then comes what is in the inbox.
        pieces += inbox.take() if inbox is not None else []
        came += sum(map(len, pieces))
        given = clock()
        yield pieces
        # A client that drips must not hold a place for ever; the time that we took is not the client's.
        end += clock() - given
        if came >= limits.pace:
            came, end = 0, clock() + limits.seconds


async def read_body(body: Body, limits: Limits) -> bytes:
    """Return a short body whole. Raises `DicomwebError` 413 beyond `limits.form` bytes."""
    content = b""
    async for pieces in body:
        content = b"".join((content, *pieces))
        if len(content) > limits.form:
            raise DicomwebError(
                "the request body is too large",
                expected=say("at most {form} bytes", form=limits.form),
                status=413,
            )
    return content
