"""What to compress to: a syntax and how much may be lost, or a table that chooses by modality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from hounsfield.errors import SelectionError, UnsupportedError
from hounsfield.instance import Header
from hounsfield.syntaxes import TransferSyntax, transfer_syntax

AUTO: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("CT", "MR", "PT", "NM", "CR", "DX", "MG", "XA", "RF", "PX", "IO"), "jpeg-ls"),
        **dict.fromkeys(("US", "IVUS", "ES", "XC", "GM", "OP", "SM", "DMS"), "jpeg"),
        "": "jpeg-ls",
    }
)
"""Modality (0008,0060) → keyword of a syntax; "" is any other. Photographs and ultrasound bear loss, numbers do not."""

AUTO_QUALITY = 90.0
"""JPEG quality where `auto` chooses a lossy syntax."""


@dataclass(frozen=True, slots=True)
class Target:
    """A syntax, and for a lossy one how much may be lost: exactly one of `ratio`, `max_error`, `quality`.

    `ratio` is native bytes ÷ compressed bytes, met within 10 %. `max_error` is in HU (rescaled units), never
    exceeded. `quality` is the coder's (`hounsfield.codecs.Rate`). `effort` is JPEG XL's. `extended_offsets` forces
    an Extended Offset Table. `auto` is the table a syntax was, or is to be, chosen by.
    """

    syntax: TransferSyntax | None
    ratio: float | None = None
    max_error: float | None = None
    quality: float | None = None
    effort: int = 1
    extended_offsets: bool | None = None
    auto: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        goals = [goal for goal in (self.ratio, self.max_error, self.quality) if goal is not None]
        if self.syntax is None:
            if goals:
                raise SelectionError("auto chooses how much is lost by itself", remedy="name a lossy syntax")
            return
        if not self.syntax.writable:
            raise UnsupportedError(
                f"{self.syntax.name} ({self.syntax.uid}) cannot be written: {self.syntax.note}"
            )
        if self.syntax.lossless or self.syntax.keyword == "jpeg-xl-jpeg":
            if goals:
                raise SelectionError(
                    f"{self.syntax.keyword} loses nothing", remedy="leave out ratio, max_error and quality"
                )
        elif len(goals) != 1:
            raise SelectionError(
                f"{self.syntax.keyword} loses something; how much was said {len(goals)} times",
                expected="one of ratio, max_error (HU) and quality",
                remedy="give --ratio, --max-error or --quality",
            )
        if any(goal < 0 for goal in goals) or (self.ratio is not None and self.ratio <= 1):
            raise SelectionError(f"a goal of {goals[0]:g}", expected="a ratio above 1, no negative numbers")

    @property
    def lossy(self) -> bool:
        return self.syntax is not None and not (self.syntax.lossless or self.syntax.keyword == "jpeg-xl-jpeg")

    def chosen_for(self, header: Header) -> Target:
        """Itself, or what `auto` chooses for such an image."""
        if self.syntax is not None:
            return self
        table = self.auto if self.auto is not None else AUTO
        keyword = table.get(header.text("Modality"), table.get("", "jpeg-ls"))
        syntax = transfer_syntax(keyword)
        if not syntax.lossless and (is_lossy(header) or header.integer("BitsAllocated") != 8):
            syntax = transfer_syntax("jpeg-ls")  # once is enough; and JPEG here is for 8 bits
        quality = None if syntax.lossless else AUTO_QUALITY
        return replace(self, syntax=syntax, quality=quality, auto=table)


def target(
    keyword: str,
    *,
    ratio: float | None = None,
    max_error: float | None = None,
    quality: float | None = None,
    effort: int = 1,
    extended_offsets: bool | None = None,
    auto: Mapping[str, str] | None = None,
) -> Target:
    """A `Target` by keyword or UID, or "auto". Raises `SelectionError`, `UnsupportedError`."""
    syntax = None if keyword == "auto" else transfer_syntax(keyword)
    return Target(syntax, ratio, max_error, quality, effort, extended_offsets, auto)


def is_lossy(header: Header) -> bool:
    """The image has been through lossy compression: it says so, or its syntax does (PS3.3 C.7.6.1.1.5)."""
    if header.text("LossyImageCompression") == "01":
        return True
    try:
        syntax = transfer_syntax(header.transfer_syntax)
    except UnsupportedError:
        return False
    return not syntax.lossless and syntax.family == "jpeg"
