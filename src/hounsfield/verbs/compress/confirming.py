"""Results that hold once the disk has confirmed their files: handed on in order, a bounded number of them waiting."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace

from hounsfield.errors import HounsfieldError
from hounsfield.runs import Result, Status

MOST_WAITING = 128
"""Files that may wait for the disk to confirm them while others are made."""


@dataclass(frozen=True, slots=True)
class Unconfirmed:
    """A result, and the future that the disk ends."""

    result: Result
    placed: Future[None] | None = None

    @property
    def is_confirmed(self) -> bool:
        return self.placed is None or self.placed.done()

    def confirmed(self) -> Result:
        """Wait for the disk; the result, or the failure that it reports."""
        try:
            if self.placed is not None:
                self.placed.result()
        except HounsfieldError as error:
            return failed(self.result, error)
        return self.result


def confirmed(made: Iterable[Unconfirmed], confirm: Callable[[], None]) -> Iterator[Result]:
    """The results, each once it holds. `confirm` has what still waits confirmed at once, in the end."""
    waiting: deque[Unconfirmed] = deque()
    for each in made:
        waiting.append(each)
        while waiting and (waiting[0].is_confirmed or len(waiting) > MOST_WAITING):
            yield waiting.popleft().confirmed()
    confirm()
    while waiting:
        yield waiting.popleft().confirmed()


def failed(result: Result, error: HounsfieldError | None) -> Result:
    """The same unit, failed; the reason does not repeat its name."""
    reason = "" if error is None else str(error).removeprefix(f"{result.unit}: ")
    return replace(result, status=Status.FAILED, reason=reason, facts={})
