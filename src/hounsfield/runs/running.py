"""A function over many items on any engine: bounded, in spite of workers that die, every item answered for once.

Knows neither series nor files. Never more items are under way than keep the workers busy; when a worker dies, the
items that were under way are each tried once more, alone, so that the one that kills is distinguished from those
beside it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, Executor, Future, wait
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.language import say
from hounsfield.runs.engines import Ending, Engine

Item = TypeVar("Item")
Value = TypeVar("Value")

AHEAD = 2
"""Items under way for each worker: one that it works at, one that it finds when done."""

LOSSES_IN_A_ROW = 3
"""Number of times that an engine may go away with nothing done in between before the run gives up."""

DRAIN_SECONDS = 10.0
"""Time that work under way may take to say how it ended, once the engine is known to be gone."""


@dataclass(frozen=True)
class Finished(Generic[Item, Value]):
    """An item that is done: `value`, or `error` where the function raised or its worker died."""

    item: Item
    value: Value | None = None
    error: HounsfieldError | None = None


def run_each(
    function: Callable[[Item], Value],
    items: Iterable[Item],
    engine: Engine,
    *,
    fail_fast: bool = False,
    fails: Callable[[Value], object] | None = None,
) -> Generator[Finished[Item, Value], None, None]:
    """`function(item)` for each item on `engine`; yields each as it is finished, in no order.

    `items` is drawn from as workers get free. `function` and items must pickle unless the engine is threads. With
    `fail_fast` nothing is begun after the first failure (an error, or a value that `fails`); what is under way is
    finished. Raises `LocationError` when
    the engine goes away for good.
    """
    run: _Run[Item, Value] = _Run(function, engine, iter(items))
    try:
        for finished in run.all():
            yield finished
            failed = finished.error is not None
            if finished.value is not None and fails is not None:
                failed = bool(fails(finished.value))
            if failed and fail_fast:
                run.stop_feeding()
    finally:
        run.close()


@dataclass
class _Run(Generic[Item, Value]):
    function: Callable[[Item], Value]
    engine: Engine
    items: Iterator[Item]
    again: deque[Item] = field(default_factory=deque)
    suspects: deque[Item] = field(default_factory=deque)
    flying: dict[Future[Value], Item] = field(default_factory=dict)
    executor: Executor | None = None
    losses: int = 0
    stopped: bool = False

    def all(self) -> Iterator[Finished[Item, Value]]:
        while True:
            self._fill()
            if self.flying:
                yield from self._landed()
            elif self.stopped or not self.again:
                break
        while self.suspects and not self.stopped:
            yield from self._alone(self.suspects.popleft())

    def stop_feeding(self) -> None:
        self.stopped = True
        # What a pool has not begun can still be called off.
        for future in [future for future in self.flying if future.cancel()]:
            del self.flying[future]

    def close(self) -> None:
        for future in self.flying:
            future.cancel()
        if self.executor is not None:
            self.engine.close(self.executor)
            self.executor = None

    def _fill(self) -> None:
        """Submit until enough is under way."""
        while not self.stopped and len(self.flying) < AHEAD * self._workers():
            try:
                item = self.again.popleft() if self.again else next(self.items)
            except StopIteration:
                return
            if not self._submit(item):
                self.again.appendleft(item)
                if not self.flying:
                    self._renew()
                return

    def _workers(self) -> int:
        if self.engine.present is None or self.executor is None:
            return self.engine.workers
        return self.engine.present(self.executor)

    def _submit(self, item: Item) -> bool:
        """False where the engine is broken: what is under way will say so, this item was never begun."""
        if self.executor is None:
            self.executor = self.engine.open()
        try:
            self.flying[self.engine.submit(self.executor, self.function, item)] = item
        except BrokenExecutor:
            return False
        return True

    def _landed(self) -> Iterator[Finished[Item, Value]]:
        done, _ = wait(self.flying, return_when=FIRST_COMPLETED)
        gone = False
        for future in done:
            ending, finished = self._judged(future)
            gone |= ending in (Ending.BROKEN, Ending.LOST)
            if finished is not None:
                yield finished
        if gone and not self.stopped:
            wait(self.flying, timeout=DRAIN_SECONDS)
            for future in list(self.flying):
                future.cancel()
                _, finished = self._judged(future)
                if finished is not None:
                    yield finished
            self._renew()

    def _judged(self, future: Future[Value]) -> tuple[Ending | None, Finished[Item, Value] | None]:
        """Return what a future that is over, or given up, says of its item and of the engine."""
        item = self.flying.pop(future)
        if future.cancelled() or not future.done():
            self.again.append(item)
            return Ending.LOST, None
        error = future.exception()
        ending = None if error is None else self.engine.ending(error)
        if ending is Ending.LOST:
            self.again.append(item)
        elif ending is not None:
            self.losses = 0
            self.suspects.append(item)
        elif error is not None:
            self.losses = 0
            return None, Finished(item, error=as_hounsfield_error(error))
        else:
            self.losses = 0
            return None, Finished(item, value=future.result())
        return ending, None

    def _renew(self) -> None:
        """Let go of an engine that is gone; the next item opens it anew."""
        self.losses += 1
        if self.losses > LOSSES_IN_A_ROW:
            raise LocationError(
                say(
                    "the {name} broke or went away {losses} times with nothing done in between",
                    name=self.engine.name,
                    losses=self.losses,
                ),
                remedy="look at its own log; what is done is kept: run again for the rest",
            )
        if self.executor is not None:
            self.engine.close(self.executor)
            self.executor = None

    def _alone(self, item: Item) -> Iterator[Finished[Item, Value]]:
        """One item with nothing beside it: if its worker dies again, it was this item."""
        if not self._submit(item):
            self._renew()
            self.suspects.appendleft(item)
            return
        (future,) = self.flying
        wait([future])
        ending, finished = self._judged(future)
        if finished is not None:
            yield finished
            return
        if ending is Ending.LOST:
            self._renew()
            self.suspects.appendleft(self.again.pop())
            return
        if ending is Ending.BROKEN:
            self._renew()
        yield Finished(self.suspects.pop(), error=_killed())


def as_hounsfield_error(error: BaseException) -> HounsfieldError:
    """Any exception of a task as one of ours, in one line."""
    if isinstance(error, HounsfieldError):
        return error
    if isinstance(error, MemoryError):
        return HounsfieldError(
            "there is not enough memory for it", remedy="use fewer --workers, or write .zarr, which streams"
        )
    if isinstance(error, OSError) and error.strerror:
        where = str(error.filename) if error.filename else None
        return LocationError(error.strerror, where=where, remedy="check the place and its free space")
    said = " ".join(str(error).split())
    return HounsfieldError(f"{type(error).__name__}: {said}", remedy="a bug of hounsfield; please report it")


def _killed() -> HounsfieldError:
    return HounsfieldError(
        "its worker was killed twice, the second time alone with it",
        remedy="memory is the likely reason: use a larger worker, or write .zarr, which streams",
    )
