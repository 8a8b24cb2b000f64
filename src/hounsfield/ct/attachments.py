"""Attachments to a `Volume` from rooms above: conversions to other libraries, its look in a notebook.

`hounsfield/__init__` attaches them, by functions that import when they are first called; nothing here looks upwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_LOADERS: dict[str, Callable[[], Any]] = {}


def attach(name: str, loader: Callable[[], Any]) -> None:
    """Have `attached(name)` return what `loader` returns."""
    _LOADERS[name] = loader


def attached(name: str) -> Any:
    """Return what is attached under `name`, imported now if it was not before."""
    return _LOADERS[name]()
