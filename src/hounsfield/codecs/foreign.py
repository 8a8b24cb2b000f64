"""The one seam to imagecodecs: what its functions raise becomes our errors, and each call uses one thread."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from hounsfield.codecs.isolation.choice import isolation_mode
from hounsfield.errors import HounsfieldError, MalformedError
from hounsfield.language import say

# imagecodecs' own errors derive from RuntimeError; the rest is what its argument checks raise.
_RAISED = (RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError, KeyError, OSError)


def call_decoder(name: str, decoder: Callable[..., Any], data: bytes, **options: Any) -> Any:
    """`decoder(data, …)` as an array; whatever it raises is a `MalformedError` naming the coding."""
    try:
        return np.asarray(decoder(data, **options))
    except _RAISED as error:
        raise MalformedError(
            say("{name} codestream does not decode: {error}", name=name, error=error), coding=name
        ) from error


def call_encoder(name: str, encoder: Callable[..., Any], array: Any, **options: Any) -> bytes:
    """`encoder(array, …)` as bytes; whatever it raises is a `MalformedError` naming the coding."""
    try:
        return bytes(encoder(array, **options))
    except _RAISED as error:
        raise HounsfieldError(
            say("{name} encoder failed: {error}", name=name, error=error), coding=name
        ) from error


class Unproven(Exception):
    """A codestream that this process must not decode, for want of trials: `decode_frame` gives it to a child."""


def refuse_unproven(what: str) -> None:
    """Raise `Unproven` for a codestream with `what`, unless this process decodes everything itself."""
    if isolation_mode() != "never":
        raise Unproven(what)


class _Decoding(threading.local):
    """A decoder's call in this thread: whether one is under way, and the error that it swallowed."""

    is_under_way = False
    swallowed: str | None = None


_decoding = _Decoding()


def raising_swallowed(decoder: Callable[..., Any]) -> Callable[..., Any]:
    """Return `decoder`, raising a RuntimeError for what it lets go by as "Exception ignored in …".

    imagecodecs' HTJ2K decoder does so on a damaged codestream, and returns an array that is not wholly written.
    An audit hook hears of it; the hooks of the program that we run in stay as they are.
    """

    def call(data: bytes, **options: Any) -> Any:
        _listen()
        _decoding.swallowed, _decoding.is_under_way = None, True
        try:
            decoded = decoder(data, **options)
        finally:
            _decoding.is_under_way = False
        if _decoding.swallowed is not None:
            raise RuntimeError(_decoding.swallowed)
        return decoded

    return call


@functools.cache
def _listen() -> None:
    """Add the audit hook, which stays: Python has no way to take one away."""
    sys.addaudithook(_hear)


def _hear(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "sys.unraisablehook" and _decoding.is_under_way:
        _decoding.swallowed = str(arguments[1].exc_value)
    elif event == "sys.excepthook" and _decoding.is_under_way:
        # Cython prints a traceback before; Python's way to keep it from the hook is to raise this.
        raise RuntimeError
