"""Targets of compression: a syntax and how much may be lost, or a table that chooses by modality."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Protocol

from hounsfield.codecs import PixelKind, best_lossless, holds
from hounsfield.ct.instance import Header, Source
from hounsfield.dicom.syntaxes import TransferSyntax, transfer_syntax
from hounsfield.errors import HounsfieldError, SelectionError, UnsupportedError
from hounsfield.language import say
from hounsfield.transcode.pixels import decoded_format, open_pixels

FINEST_QUALITY = 100

AUTO: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("CT", "MR", "PT", "NM", "CR", "DX", "MG", "XA", "RF", "PX", "IO"), "jpeg-ls"),
        **dict.fromkeys(("US", "IVUS", "ES", "XC", "GM", "OP", "SM", "DMS"), "jpeg"),
        "": "jpeg-ls",
    }
)
"""Modality (0008,0060) → keyword of a syntax; "" is any other. Photographs and ultrasound bear loss, numbers do not."""

_LOSSLESS = "jpeg-ls"  # of what the table does not name, and of what must not lose anything

AUTO_QUALITY = 90.0
"""JPEG quality where `auto` chooses a lossy syntax."""


class PolicyRule(Protocol):
    """A rule of a policy; `target` is None where it keeps images as they are."""

    @property
    def target(self) -> Target | None: ...


class Policy(Protocol):
    """Rules that choose a target by an image's header (`hounsfield.transcode.policy` reads them from a file)."""

    @property
    def rules(self) -> Sequence[PolicyRule]:
        """The rules, in their order."""

    @property
    def rows(self) -> Sequence[Mapping[str, Any]]:
        """The file's content, for a ledger."""

    def choice_for(self, header: Header, *, lossy_before: bool = False) -> Choice:
        """Return the choice for an image; as of `Target.chosen_for`."""


@dataclass(frozen=True, slots=True)
class Target:
    """A syntax, and for a lossy one how much may be lost: exactly one of `ratio`, `max_error`, `quality`.

    `ratio` is native bytes ÷ compressed bytes, met within 10 %. `max_error` is in HU (rescaled units), never
    exceeded. `quality` is the coder's (`hounsfield.codecs.Rate`). `effort` is JPEG XL's. `extended_offsets` forces
    an Extended Offset Table. `auto` is the table a syntax was, or is to be, chosen by; of its lossy entries those
    that are not in `AUTO` need the same one goal. `policy` chooses by its rules instead. `each`: a ratio is that of
    each image; otherwise it is met over each series in total, by whoever has the series.
    """

    syntax: TransferSyntax | None
    ratio: float | None = None
    max_error: float | None = None
    quality: float | None = None
    effort: int = 1
    extended_offsets: bool | None = None
    auto: Mapping[str, str] | None = None
    policy: Policy | None = None
    each: bool = True

    def __post_init__(self) -> None:
        goals = self._goals
        if self.syntax is None:
            self._check_table(len(goals))
        elif not self.syntax.writable:
            raise UnsupportedError(
                say(
                    "{name} ({uid}) cannot be written: {note}",
                    name=self.syntax.name,
                    uid=self.syntax.uid,
                    note=self.syntax.note,
                )
            )
        elif not self.lossy:
            if goals:
                raise SelectionError(
                    say("{keyword} loses nothing", keyword=self.syntax.keyword),
                    remedy="leave out ratio, max_error and quality",
                )
        elif len(goals) != 1:
            raise _undecided(self.syntax.keyword, len(goals))
        # NaN is on neither side of a limit.
        is_sound = all(math.isfinite(goal) and goal >= 0 for goal in goals)
        if (
            not is_sound
            or (self.ratio is not None and self.ratio <= 1)
            or (self.quality or 0) > FINEST_QUALITY
        ):
            raise SelectionError(
                say("a goal of {goals}", goals=format(goals[0], "g")),
                expected=say(
                    "a ratio above 1, an error of 0 or more, a quality of 0 to {finest_quality}",
                    finest_quality=FINEST_QUALITY,
                ),
            )

    @property
    def _goals(self) -> list[float]:
        return [goal for goal in (self.ratio, self.max_error, self.quality) if goal is not None]

    @property
    def lossy(self) -> bool:
        return self.syntax is not None and _loses(self.syntax)

    def _check_table(self, goals: int) -> None:
        """A lossy entry that `AUTO` does not have says nothing of how much may be lost; the goal does."""
        table = AUTO if self.auto is None else self.auto
        asked = [keyword for modality, keyword in table.items() if AUTO.get(modality) != keyword]
        for keyword in asked:
            Target(
                transfer_syntax(keyword), quality=AUTO_QUALITY if _loses(transfer_syntax(keyword)) else None
            )
        lossy = [keyword for keyword in asked if _loses(transfer_syntax(keyword))]
        if lossy and goals != 1:
            raise _undecided(lossy[0], goals)
        if goals and not lossy:
            raise SelectionError(
                "auto chooses how much is lost by itself",
                remedy="name a lossy syntax, by --to or in the table",
            )

    @property
    def is_over_series(self) -> bool:
        """Return whether a ratio is asked of any image, and of its series in total."""
        if self.each:
            return False
        if self.policy is None:
            return self.ratio is not None
        return any(rule.target is not None and rule.target.ratio is not None for rule in self.policy.rules)

    def to_json(self) -> dict[str, Any]:
        """All that decides what becomes of an image, as plain JSON values."""
        return {
            "to": self.syntax.keyword if self.syntax else "auto" if self.policy is None else "policy",
            "ratio": self.ratio,
            "max_error": self.max_error,
            "quality": self.quality,
            "effort": self.effort,
            "extended_offsets": self.extended_offsets,
            "auto": None if self.auto is None else dict(sorted(self.auto.items())),
            **({} if self.policy is None else {"policy": list(self.policy.rows)}),
            **({} if self.each else {"each": False}),
        }

    def chosen_for(self, header: Header, *, lossy_before: bool = False) -> Choice:
        """Itself, or what `auto` chooses for such an image; `lossy_before` where its codestream tells of a loss."""
        if self.policy is not None:
            choice = self.policy.choice_for(header, lossy_before=lossy_before)
            return (
                choice
                if choice.target is None
                else replace(choice, target=replace(choice.target, each=self.each))
            )
        return Choice(self) if self.syntax is not None else self._by_table(header, lossy_before)

    def _by_table(self, header: Header, lossy_before: bool) -> Choice:
        if header.pixels is not None and header.pixels.keyword != "PixelData":
            return Choice(
                None, f"{header.pixels.keyword} in place of Pixel Data: no compressed syntax holds it"
            )
        before = transfer_syntax(header.transfer_syntax)
        if not before.readable:
            return Choice(None, f"{before.name} cannot be decoded here: {before.note}")
        kind = PixelKind.of(decoded_format(header))
        recompressed = transfer_syntax("jpeg-xl-jpeg")
        if self._recompresses(header) and holds(recompressed, kind):
            return Choice(self._without_goal(recompressed))
        wanted = self._wanted(header, lossy=not (lossy_before or is_lossy(header)))
        assert wanted.syntax is not None
        if holds(wanted.syntax, kind):
            return Choice(wanted)
        found = best_lossless(kind)
        if found is None:
            return Choice(None, f"no common compressed syntax holds {kind} pixels")
        return Choice(self._without_goal(found), f"{wanted.syntax.keyword} does not hold {kind} pixels")

    def _recompresses(self, header: Header) -> bool:
        """Return whether it is a baseline JPEG of which nobody said what it is to be: JPEG XL holds it in fewer bytes,
        and gives it back bit for bit (PS3.5 A.4.13).
        """
        modality = header.text("Modality")
        named = modality != "" and modality in AUTO
        unsaid = self.auto is None or (named and self.auto.get(modality) == AUTO[modality])
        encapsulated = header.pixels is not None and header.pixels.length is None
        return unsaid and encapsulated and transfer_syntax(header.transfer_syntax).keyword == "jpeg"

    def _wanted(self, header: Header, *, lossy: bool) -> Target:
        """Return what the table says of such a modality; without `lossy` only what loses nothing: once is enough."""
        table = AUTO if self.auto is None else self.auto
        modality = header.text("Modality")
        modality = modality if modality in table else ""
        syntax = transfer_syntax(table.get(modality, _LOSSLESS))
        if not _loses(syntax):
            return self._without_goal(syntax)
        if not lossy:
            return self._without_goal(transfer_syntax(_LOSSLESS))
        if AUTO.get(modality) == syntax.keyword:
            return self._without_goal(syntax, quality=AUTO_QUALITY)
        return replace(self, syntax=syntax, auto=table)

    def _without_goal(self, syntax: TransferSyntax, *, quality: float | None = None) -> Target:
        table = AUTO if self.auto is None else self.auto
        return replace(self, syntax=syntax, ratio=None, max_error=None, quality=quality, auto=table)


@dataclass(frozen=True, slots=True)
class Choice:
    """The choice for one image: `target`, which has a syntax, or None where it stays as it is.

    `why`: what `target` is not what was asked for first, or why there is none; "" where there is nothing to tell.
    """

    target: Target | None
    why: str = ""


def choose(source: Source, header: Header, target: Target) -> Choice:
    """`target.chosen_for` the image in `source`, with what its codestreams tell of losses that its header does not."""
    is_silent = header.pixels is not None and header.pixels.length is None and not is_lossy(header)
    lossy_before = False
    if target.syntax is None and is_silent:
        with contextlib.suppress(HounsfieldError):  # whoever decodes it says what is wrong
            with source.open() as stream:
                content = stream.read()
            lossy_before = bool(open_pixels(content, header).lossy_method())
    return target.chosen_for(header, lossy_before=lossy_before)


def _undecided(keyword: str, goals: int) -> SelectionError:
    return SelectionError(
        say("{keyword} loses something; how much was said {goals} times", keyword=keyword, goals=goals),
        expected="one of ratio, max_error (HU) and quality",
        remedy="give --ratio, --max-error or --quality",
    )


def _loses(syntax: TransferSyntax) -> bool:
    return not syntax.lossless and syntax.keyword != "jpeg-xl-jpeg"


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
