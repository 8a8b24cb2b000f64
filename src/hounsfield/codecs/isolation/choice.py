"""The choice of which codec runs where: a table, with what was tried, and how the user may decide otherwise.

A decoder that dies takes its process with it, and one that never ends keeps a core. So what was not tried is decoded
in a child process, and in a server everything is.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, get_args

from hounsfield.errors import HounsfieldError

IsolationMode = Literal["auto", "always", "never"]
"""Decode in a child process what was not tried; everything; nothing."""

VARIABLE = "HOUNSFIELD_ISOLATE"
"""The environment variable that says so; processes that are started from here inherit it."""

_LARGEST_TRIED = 1 << 26
"""Bytes of a decoded frame; decoders take several times as much, and where memory ends a child should."""

_OLDER, _NEWER = (
    "2026.3.6",
    "2026.10.10",
)  # of imagecodecs: the newest for Python 3.11, and that for later ones


@dataclass(frozen=True, slots=True)
class Trial:
    """The trials that a family's decoder went through.

    `library` does the work; `mutants`: how many damaged codestreams it was given, by version of imagecodecs,
    without a death of the process that asked; `share`: throughput of frames of 512 × 512 in children, of that in
    process (0: never in children, it is Python's own or numpy's).
    """

    library: str
    mutants: Mapping[str, int] = field(default_factory=dict)
    share: float = 1.0


TRIALS: Mapping[str, Trial] = MappingProxyType(
    {
        "uncompressed": Trial("numpy", share=0.0),
        "deflated-frame": Trial("zlib", share=0.0),
        "rle": Trial("imagecodecs", {_OLDER: 66_799}, 0.43),
        "jpeg": Trial("libjpeg-turbo", {_OLDER: 57_895}, 0.55),
        "jpeg-lossless": Trial("libjpeg-turbo, jpegsof3", {_OLDER: 134_357}, 0.85),
        "jpeg-ls": Trial("CharLS", {_OLDER: 134_046}, 0.9),
        "jpeg2000": Trial("OpenJPEG", {_OLDER: 134_570}, 0.97),
        "htj2k": Trial("OpenJPH", {_OLDER: 200_699, _NEWER: 3_500_000}, 0.75),
        "jpeg-xl": Trial("libjxl", {_OLDER: 134_123}, 0.88),
    }
)
"""By family of transfer syntaxes. `make fuzz` makes the figures; a version that is not here has none."""


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
        raise HounsfieldError(f"{VARIABLE} is {value[:32]!r}", expected=" or ".join(get_args(IsolationMode)))
    return value  # type: ignore[return-value]


def is_isolated(family: str, decoded_bytes: int = 0) -> bool:
    """Return whether frames of `family` and of this size are decoded in a child, whatever is in the codestream."""
    trial, mode = TRIALS[family], isolation_mode()
    if trial.share == 0.0 or mode == "never":
        return False
    return mode == "always" or decoded_bytes > _LARGEST_TRIED or imagecodecs_version() not in trial.mutants


@functools.cache
def imagecodecs_version() -> str:
    """The version that is installed."""
    return importlib.metadata.version("imagecodecs")
