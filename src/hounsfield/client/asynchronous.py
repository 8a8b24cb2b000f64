"""The client from asyncio: the same methods, run in threads; no second implementation.

`await AsyncClient(client).search_for_studies(…)`; `async for part in AsyncClient(client).iter_series(…)`.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, TypeVar

from hounsfield.client.client import Client
from hounsfield.client.parts import Part, Retrieved

Value = TypeVar("Value")
_END: Any = object()


class AsyncClient:
    """Every method of a `Client`, awaitable; those called `iter_…` and `pages` are asynchronous iterators.

    Iterated parts come whole (`Retrieved`), one at a time, so that no thread waits for a slow consumer.
    """

    def __init__(self, client: Client) -> None:
        self._client = client

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._client, name)
        if name.startswith("_") or not callable(method):
            raise AttributeError(name)
        if name.startswith("iter_") or name == "pages":
            return functools.partial(_iterate, method)
        return functools.partial(asyncio.to_thread, method)

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._client.close)


async def iterate(values: Iterator[Value]) -> AsyncIterator[Value]:
    """An iterator whose every step runs in a thread; closed when the loop is left early."""
    try:
        while (value := await asyncio.to_thread(next, values, _END)) is not _END:
            yield value
    finally:
        close = getattr(values, "close", None)
        if close is not None:
            await asyncio.to_thread(close)


async def _iterate(
    method: Callable[..., Iterator[Any]], *arguments: Any, **options: Any
) -> AsyncIterator[Any]:
    async for value in iterate(_whole(method(*arguments, **options))):
        yield value


def _whole(values: Iterator[Any]) -> Iterator[Any | Retrieved]:
    for value in values:
        yield value.read() if isinstance(value, Part) else value
