"""The clock and the peak of memory of benchmarks."""

from __future__ import annotations

import contextlib
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from peak_memory import peak_kib, proportional_bytes


def median_seconds(function: Callable[[], Any], *, repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def peak_mb(process: int | str = "self") -> float:
    """Of this process alone, or another."""
    return peak_kib(process) / 1024


@contextlib.contextmanager
def peak_together(processes: Sequence[int], every: float = 0.01) -> Iterator[list[float]]:
    """The most MB that they hold at one time, pages they share counted once (Pss); in the list after the block."""
    peak, ended = [0.0], threading.Event()

    def look() -> None:
        while not ended.wait(every):
            peak[0] = max(peak[0], sum(map(proportional_bytes, processes)) / 2**20)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
