"""The choice of which codec runs where: a table, with what was tried, and how the user may decide otherwise.

A decoder that dies takes its process with it, and one that never ends keeps a core. So what was not tried is decoded
in a child process, and in a server everything is.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, get_args

from hounsfield.codecs.rows import Trial
from hounsfield.codecs.table import CODECS, codec_of
from hounsfield.errors import HounsfieldError
from hounsfield.language import say

IsolationMode = Literal["auto", "always", "never"]
"""Decode in a child process what was not tried; everything; nothing."""

VARIABLE = "HOUNSFIELD_ISOLATE"
"""The environment variable that says so; processes that are started from here inherit it."""

_LARGEST_TRIED = 1 << 26
"""Bytes of a decoded frame; decoders take several times as much, and where memory ends a child should."""


TRIALS: Mapping[str, Trial] = MappingProxyType({each.family: each.trial for each in CODECS})
"""By family of transfer syntaxes, of the codecs of this package (`codecs.table`)."""


class _Required:
    """A flag: whether this process must outlive every codestream, whatever the environment says."""

    always = False


def require_isolation() -> None:
    """Decode everything in children from now on, in this process: a server does."""
    _Required.always = True


def isolation_mode() -> IsolationMode:
    """Return the mode that holds now. Raises `HounsfieldError` for a value of the variable that means nothing."""
    if _Required.always:
        return "always"
    value = os.environ.get(VARIABLE, "") or "auto"
    if value not in get_args(IsolationMode):
        raise HounsfieldError(
            say("{variable} is {value}", variable=VARIABLE, value=repr(value[:32])),
            expected=" or ".join(get_args(IsolationMode)),
        )
    return value  # type: ignore[return-value]


def is_isolated(family: str, decoded_bytes: int = 0) -> bool:
    """Return whether frames of `family` and of this size are decoded in a child, whatever is in the codestream."""
    codec, mode = codec_of(family), isolation_mode()
    trial = Trial("") if codec is None else codec.trial
    if trial.share == 0.0 or mode == "never":
        return False
    return mode == "always" or decoded_bytes > _LARGEST_TRIED or imagecodecs_version() not in trial.mutants


@functools.cache
def imagecodecs_version() -> str:
    """The version that is installed."""
    return importlib.metadata.version("imagecodecs")
