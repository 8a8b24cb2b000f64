"""The result of transcoding one file: its bytes in the new syntax, and what was done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from hounsfield.codecs import Rate
from hounsfield.transcode.target import Target


@dataclass(frozen=True, slots=True)
class Transcoded:
    """A whole file in its new syntax, and what was done.

    `changed` is false where `content` is the source as it was: in the syntax already, without pixels, or of a kind
    that nothing `auto` may choose can hold. `why` says so, or why the syntax is not the one that was asked for first.
    `ratio` is native ÷ stored bytes of the pixels. `max_error` is in `unit` (HU, grey levels …), padding left out,
    `worst_error` of every cell; `psnr` in dB, infinite where nothing was lost. `rate` is what met the target, a hint
    for a neighbour.
    """

    name: str
    content: bytes
    changed: bool
    before: str
    after: str
    frames: int = 0
    native_bytes: int = 0
    stored_bytes: int = 0
    max_error: float = 0.0
    psnr: float = math.inf
    rate: Rate | None = None
    why: str = ""
    unit: str = ""
    worst_error: float = 0.0

    @property
    def ratio(self) -> float:
        return self.native_bytes / self.stored_bytes if self.stored_bytes else 1.0

    def to_json(self) -> dict[str, Any]:
        """The facts without the content."""
        facts = {
            name: getattr(self, name) for name in ("name", "changed", "before", "after", "frames", "why")
        }
        return facts | {
            "native_bytes": self.native_bytes,
            "stored_bytes": self.stored_bytes,
            "ratio": round(self.ratio, 4),
            "max_error": self.max_error,
            "worst_error": self.worst_error,
            "unit": self.unit,
            "psnr": self.psnr if math.isfinite(self.psnr) else None,
        }


def goal_of(target: Target) -> str:
    """Return what was asked for, in words; part of the derived UID."""
    if target.ratio is not None:
        return f"ratio {target.ratio:g}" + ("" if target.each else " over its series")
    if target.max_error is not None:
        return f"error at most {target.max_error:g}"
    return f"quality {target.quality:g}"
