"""The one seam to imagecodecs: what its functions raise becomes our errors, and each call uses one thread."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from hounsfield.codecs.isolation.choice import isolation_mode
from hounsfield.errors import HounsfieldError, MalformedError

# imagecodecs' own errors derive from RuntimeError; the rest is what its argument checks raise.
_RAISED = (RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError, KeyError, OSError)


def call_decoder(name: str, decoder: Callable[..., Any], data: bytes, **options: Any) -> Any:
    """`decoder(data, …)` as an array; whatever it raises, or swallows, is a `MalformedError` naming the coding."""
    try:
        with _swallowed_errors_raised():
            return np.asarray(decoder(data, **options))
    except _RAISED as error:
        raise MalformedError(f"{name} codestream does not decode: {error}", coding=name) from error


def call_encoder(name: str, encoder: Callable[..., Any], array: Any, **options: Any) -> bytes:
    """`encoder(array, …)` as bytes; whatever it raises is a `MalformedError` naming the coding."""
    try:
        return bytes(encoder(array, **options))
    except _RAISED as error:
        raise HounsfieldError(f"{name} encoder failed: {error}", coding=name) from error


class Unproven(Exception):
    """A codestream that this process must not decode, for want of trials: `decode_frame` gives it to a child."""


def refuse_unproven(what: str) -> None:
    """Raise `Unproven` for a codestream with `what`, unless this process decodes everything itself."""
    if isolation_mode() != "never":
        raise Unproven(what)


class _Ears:
    """Listeners to the interpreter's hooks now: installed by the first listener, taken away by the last."""

    lock = threading.Lock()
    listeners = 0
    hooks: tuple[Callable[..., Any], Callable[..., Any]] = sys.excepthook, sys.unraisablehook
    mine = threading.local()


@contextmanager
def _swallowed_errors_raised() -> Iterator[None]:
    """Raise what the code within lets go by as "Exception ignored in …", in this thread.

    imagecodecs' HTJ2K decoder does so on a damaged codestream, and returns an array that is not wholly written.
    """
    with _Ears.lock:
        if _Ears.listeners == 0:
            _Ears.hooks = sys.excepthook, sys.unraisablehook
            sys.excepthook, sys.unraisablehook = _told, _hear
        _Ears.listeners += 1
    _Ears.mine.heard, _Ears.mine.listening = None, True
    try:
        yield
    finally:
        _Ears.mine.listening = False
        with _Ears.lock:
            _Ears.listeners -= 1
            if _Ears.listeners == 0:
                sys.excepthook, sys.unraisablehook = _Ears.hooks
    if _Ears.mine.heard is not None:
        raise RuntimeError(_Ears.mine.heard)


def _told(*error: Any) -> None:
    """Cython prints the traceback by `sys.excepthook` before it tells `sys.unraisablehook`."""
    if not getattr(_Ears.mine, "listening", False):
        _Ears.hooks[0](*error)


def _hear(unraisable: Any) -> None:
    if getattr(_Ears.mine, "listening", False):
        _Ears.mine.heard = str(unraisable.exc_value)
    else:
        _Ears.hooks[1](unraisable)
