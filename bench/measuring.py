"""The clock and the peak of memory of benchmarks."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from peak_memory import peak_kib


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
