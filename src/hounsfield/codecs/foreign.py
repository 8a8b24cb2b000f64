"""The one seam to imagecodecs: what its functions raise becomes our errors, and each call uses one thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from hounsfield.errors import HounsfieldError, MalformedError

# imagecodecs' own errors derive from RuntimeError; the rest is what its argument checks raise.
_RAISED = (RuntimeError, ValueError, TypeError, IndexError, OverflowError, MemoryError, KeyError, OSError)


def call_decoder(name: str, decoder: Callable[..., Any], data: bytes, **options: Any) -> Any:
    """`decoder(data, …)` as an array; whatever it raises is a `MalformedError` naming the coding."""
    try:
        return np.asarray(decoder(data, **options))
    except _RAISED as error:
        raise MalformedError(f"{name} codestream does not decode: {error}", coding=name) from error


def call_encoder(name: str, encoder: Callable[..., Any], array: Any, **options: Any) -> bytes:
    """`encoder(array, …)` as bytes; whatever it raises is a `MalformedError` naming the coding."""
    try:
        return bytes(encoder(array, **options))
    except _RAISED as error:
        raise HounsfieldError(f"{name} encoder failed: {error}", coding=name) from error
