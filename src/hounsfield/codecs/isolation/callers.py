"""The caller's side of a child's work: still wanted or not, and what it cost."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar

still_wanted: ContextVar[Callable[[], None]] = ContextVar("still_wanted", default=lambda: None)
"""Called while a thread waits for a child; what it raises ends the waiting, and the child's work."""

cpu_spent: ContextVar[Callable[[float], None]] = ContextVar("cpu_spent", default=lambda seconds: None)
"""Told of the CPU seconds that a child took for this thread."""
