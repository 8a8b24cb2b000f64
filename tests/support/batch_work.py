"""What workers do in the tests of batch: importable by processes and cluster workers."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def double(number: int) -> int:
    return 2 * number


def slow_double(number: int) -> int:
    time.sleep(0.02)
    return 2 * number


def die_at_seven(number: int) -> int:
    if number == 7:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def die_once(work: tuple[int, str]) -> int:
    number, folder = work
    marker = Path(folder, f"died-{number}")
    if number % 5 == 2 and not marker.exists():
        marker.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number


def take_all_memory(number: int) -> int:
    if number == 3:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (1 << 31, 1 << 31))
        return len(bytearray(1 << 33))
    return 2 * number


def fail_at_three(number: int) -> int:
    if number == 3:
        raise ZeroDivisionError("three")
    return 2 * number


def wait_for_word(work: tuple[int, str]) -> int:
    """Says that it began, then works until the word comes; later calls need not wait."""
    number, folder = work
    Path(folder, f"began-{number}").touch()
    while not Path(folder, "go").exists():
        time.sleep(0.01)
    return 2 * number


def environment(name: str) -> str:
    return os.environ.get(name, "")


def swallow_memory(number: int) -> int:
    """Takes more than its worker may have, page by page, and holds on to it until somebody ends it."""
    held = []
    while number == 3:
        held.append(b"x" * (32 << 20))
        time.sleep(0.02)
        assert len(held) < 64, "nobody ended it"
    return 2 * number
