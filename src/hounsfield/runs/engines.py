"""Engines that run the work: threads, processes of this machine, or any executor that a program has already.

No engine of our own: each is a `concurrent.futures.Executor`, opened here, with one thing added that executors do not
agree on: which of their errors mean that a worker died over a task, and which that the whole engine went away. A Dask
cluster is another such engine, in `clusters`.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from dataclasses import dataclass, field
from enum import Enum
from multiprocessing.context import BaseContext
from typing import Any

from hounsfield.errors import LocationError, without_decoders

PRELOADED = ("hounsfield.runs", "hounsfield.ct.series", "hounsfield.formats", "hounsfield.pictures")
"""Rooms that each worker needs, imported once by the server that workers are forked from."""


class Ending(Enum):
    """The reach of an error beyond its task: its worker died; all the pool broke, over any of the
    tasks; it went away.
    """

    WORKER_DIED = "worker died"
    BROKEN = "broken"
    LOST = "lost"


@dataclass(frozen=True)
class Engine:
    """`open()` gives a fresh executor of `workers` workers; `ending` reads what its errors mean.

    `cores`: threads that a task may use itself, so that workers together use the machine once. `deadly`: names of
    errors that mean a dead worker. `present` tells how many workers there are now, where that changes. `submit` hands
    over a task where that is not the executor's own way.
    """

    name: str
    workers: int
    open: Callable[[], Executor]
    close: Callable[[Executor], None]
    cores: int = 1
    deadly: frozenset[str] = field(default_factory=frozenset)
    present: Callable[[Executor], int] | None = None
    submit: Callable[[Executor, Callable[[Any], Any], Any], Future[Any]] = lambda executor, function, item: (
        executor.submit(function, item)
    )

    def ending(self, error: BaseException) -> Ending | None:
        """None for an error of the task itself."""
        if isinstance(error, CancelledError):
            return Ending.LOST
        if isinstance(error, BrokenExecutor):
            return Ending.BROKEN
        return Ending.WORKER_DIED if type(error).__name__ in self.deadly else None


def threads(workers: int = 1) -> Engine:
    """Threads of this process: for work that waits (a network), or for one task at a time."""
    return Engine("threads", workers, lambda: ThreadPoolExecutor(workers), _shut_down, _share(workers))


def processes(workers: int | None = None) -> Engine:
    """Processes of this machine: each computes by itself, and one that dies takes only its task with it.

    Workers are forked from a clean server (spawned where there is no fork), so tasks must pickle, and a script that
    calls this guards its own start by `if __name__ == "__main__":`.
    """
    count = workers or available_cores()

    def opened() -> Executor:
        executor = ProcessPoolExecutor(
            count, mp_context=_context(), initializer=_begin_worker, initargs=(dict(os.environ),)
        )
        try:
            executor.submit(os.getpid).result()
        except BrokenExecutor as error:
            raise LocationError(
                "worker processes do not start",
                remedy='a script that uses them guards its start by `if __name__ == "__main__":`',
            ) from error
        return executor

    return Engine("processes", count, opened, _shut_down, _share(count))


def existing(executor: Executor, workers: int = 2) -> Engine:
    """An executor that the caller made and will shut down."""
    return Engine("executor", workers, lambda: executor, lambda _: None)


def available_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _share(workers: int) -> int:
    return max(1, available_cores() // workers)


def _shut_down(executor: Executor) -> None:
    executor.shutdown(wait=True, cancel_futures=True)


def _context() -> BaseContext:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    return context


def _begin_worker(environment: dict[str, str]) -> None:
    """In each worker process: the parent's environment as it is now (the server that forks has that of its start);
    leave Ctrl-C to the parent, end with it, and be the one that dies when memory ends.
    """
    os.environ.clear()
    os.environ.update(environment)
    sys.unraisablehook = without_decoders(sys.unraisablehook)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    if sys.platform == "linux":
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as adjustment:
            adjustment.write("500")


def _end_with(parent: Any) -> None:
    parent.join()
    os._exit(1)
