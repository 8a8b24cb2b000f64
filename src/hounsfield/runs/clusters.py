"""A Dask cluster as an engine: a client with a loop of its own, and what its workers do before their first task.

Slurm, Kubernetes and clouds come by Dask's own packages; here is only the address of a scheduler.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import functools
import importlib
import os
import pickle
import re
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any

from hounsfield.codecs.isolation import VARIABLE
from hounsfield.errors import LocationError, UnsupportedError
from hounsfield.language import say
from hounsfield.runs.engines import Engine

CLUSTER_TIMEOUT_SECONDS = 60.0
"""Time that a scheduler may be away, at the start or after a restart."""

CLOSING_SECONDS = 5.0
"""Time that a client may take to disconnect."""

COUNTED_EVERY_SECONDS = 5.0
"""Interval at which a cluster is asked for the number of its workers, which come and go."""

DASK_TRIM = "65536"
"""The `MALLOC_TRIM_THRESHOLD_` of Dask's nanny."""

# Of malloc.h; the values set are where glibc's own adjustment ends.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


def cluster(address: str) -> Engine:
    """A Dask cluster by its scheduler's address (`tcp://host:8786`); Slurm, Kubernetes and clouds come by Dask's own.

    Raises `UnsupportedError` where `distributed` is not installed, `LocationError` where no scheduler answers.
    """
    if not re.search(r":\d+/?$|^inproc:", address):
        raise LocationError(
            "no address of a Dask scheduler", expected="one such as tcp://host:8786", where=address
        )
    try:
        importlib.import_module("distributed")
    except ImportError as error:
        raise UnsupportedError(
            "a cluster needs Dask", where=address, remedy="pip install 'hounsfield[cluster]'"
        ) from error
    connections = _Connections(address)
    first = connections.open()
    try:
        workers = connections.present(first)
    finally:
        # Not kept for the run: where there is nothing to do, nobody would close it.
        connections.close(first)
    return Engine(
        name="cluster",
        workers=workers,
        open=connections.open,
        close=connections.close,
        deadly=frozenset({"KilledWorker"}),
        present=connections.present,
        submit=_submitted,
    )


class _Connections:
    """Clients of one scheduler, by the executors that they gave."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._open: dict[int, _Connection] = {}

    def open(self) -> Executor:
        connection = _Connection(self._address)
        self._open[id(connection.executor)] = connection
        return connection.executor

    def close(self, executor: Executor) -> None:
        connection = self._open.pop(id(executor), None)
        if connection is not None:
            connection.close()

    def present(self, executor: Executor) -> int:
        return self._open[id(executor)].workers()


class _Connection:
    """A client and the thread that its event loop runs in, which ends with it, whatever became of the scheduler."""

    def __init__(self, address: str) -> None:
        distributed: Any = importlib.import_module("distributed")
        self._counted, self._counted_at = 1, float("-inf")
        self._loop = _Loop()
        try:
            self._client = distributed.Client(
                address, loop=self._loop.io_loop, timeout=CLUSTER_TIMEOUT_SECONDS, set_as_default=False
            )
        except (OSError, ValueError) as error:
            self._loop.close()
            raise LocationError(
                say("no Dask scheduler answers: {error}", error=error),
                where=address,
                remedy="is it running, and the address right?",
            ) from error
        self.executor: Executor = self._client.get_executor(pure=False)

    def workers(self) -> int:
        """Threads of all workers, as of some seconds ago at most; 1 where there is none yet."""
        if time.monotonic() - self._counted_at > COUNTED_EVERY_SECONDS:
            with contextlib.suppress(Exception):  # a scheduler that is away tells nothing; tasks will say so
                self._counted = sum(self._client.nthreads().values()) or 1
            self._counted_at = time.monotonic()
        return self._counted

    def close(self) -> None:
        # A client that lost its scheduler complains while it closes; it is going anyway.
        with contextlib.suppress(Exception):
            self.executor.shutdown(wait=False)
        with contextlib.suppress(Exception):
            self._client.close(timeout=CLOSING_SECONDS)
        self._client.status = "closed"  # so that it does not try once more when it is collected
        self._loop.close()


class _Loop:
    """An event loop in a thread. Dask's own thread would outlive a client that fails, and look for its scheduler."""

    def __init__(self) -> None:
        self.io_loop: Any = None
        self._end: asyncio.Event | None = None
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="hounsfield cluster", daemon=True
        )
        self._thread.start()
        self._ready.wait()

    async def _run(self) -> None:
        self.io_loop = importlib.import_module("tornado.ioloop").IOLoop.current()
        self._end = asyncio.Event()
        self._ready.set()
        await self._end.wait()

    def close(self) -> None:
        """End the loop and what still runs in it."""
        if self._end is not None:
            self.io_loop.add_callback(self._end.set)
        self._thread.join(CLOSING_SECONDS)


def _submitted(executor: Executor, function: Callable[[Any], Any], item: Any) -> Future[Any]:
    # As bytes: the scheduler then need not unpack and pack again what it only passes on.
    packed = importlib.import_module("distributed").protocol.pickle.dumps((function, item))
    return executor.submit(_on_a_cluster, packed, os.environ.get(VARIABLE, ""))


def _on_a_cluster(packed: bytes, isolation: str) -> Any:
    _keep_memory()
    os.environ[VARIABLE] = isolation  # a worker's environment is its own, and this the user's choice
    function, item = pickle.loads(packed)  # noqa: S301 (from the client whose code this worker runs anyway)
    return function(item)


@functools.lru_cache(1)
def _keep_memory() -> None:
    """Let this worker keep what it frees of up to 32 MB for its next series, as any other process does.

    Dask starts workers with `MALLOC_TRIM_THRESHOLD_=65536`; each large array then goes back to the system and is
    faulted in again, page by page, which makes conversion half as slow again. A value of the user's own stays.
    """
    if sys.platform != "linux" or os.environ.get("MALLOC_TRIM_THRESHOLD_") != DASK_TRIM:
        return
    with contextlib.suppress(OSError, AttributeError):  # a C library without it needs no mending
        mallopt = ctypes.CDLL(None).mallopt
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 64 << 20)
