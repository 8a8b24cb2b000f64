"""Goals of compression as options of the verbs that compress: a syntax and its goal, `auto` and its table, or a
policy.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

import click

from hounsfield.errors import HounsfieldError
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.transcode import Target

Command = TypeVar("Command", bound="Callable[..., Any] | click.Command")

NAMES = ("to", "policy", "ratio", "max_error", "quality", "effort", "table", "extended_offsets")
"""The parameters of `goals`; None, or False, where they were not given."""


def _auto_table(_: click.Context, __: click.Parameter, entries: tuple[str, ...]) -> dict[str, str] | None:
    """`--auto CT=htj2k`, given any number of times, over the built-in table."""
    if not entries:
        return None
    from hounsfield.dicom.syntaxes import transfer_syntax
    from hounsfield.transcode import AUTO

    table = dict(AUTO)
    for entry in entries:
        modality, equals, keyword = entry.partition("=")
        if not equals:
            raise click.BadParameter(say("{entry} is not MODALITY=SYNTAX", entry=repr(entry)))
        try:
            table[modality.strip().upper().replace("*", "")] = transfer_syntax(keyword).keyword
        except HounsfieldError as error:
            raise click.BadParameter(str(error)) from error
    return table


def each_image(command: Command) -> Command:
    """`each: bool`: what a ratio is of."""
    return click.option(
        "--each", is_flag=True, help="With --ratio: of each image by itself, not of its series in total."
    )(command)


def goals(command: Command) -> Command:
    """The parameters `NAMES`; `target_of` makes a target of them."""
    for option in (
        click.option("--extended-offsets", is_flag=True, help="Write Extended Offset Tables."),
        click.option(
            "--auto",
            "table",
            multiple=True,
            metavar="MODALITY=SYNTAX",
            callback=_auto_table,
            help="Change what auto chooses; *=SYNTAX for the rest.",
        ),
        click.option(
            "--effort", type=click.IntRange(1, 9), metavar="1…9", show_default="1", help="Of JPEG XL."
        ),
        click.option(
            "--quality", type=float, metavar="Q", help="Lossy: the coder's own quality, 100 the finest."
        ),
        click.option(
            "--max-error", type=float, metavar="HU", help="Lossy: the largest error, never exceeded."
        ),
        click.option(
            "--ratio",
            type=float,
            metavar="N",
            help="Lossy: native to compressed size, met within 10 %.",
        ),
        click.option(
            "--policy",
            metavar="FILE",
            help="Instead of --to: rules in TOML by modality, body part, SOP class, age; or a shipped policy.",
        ),
        click.option(
            "--to", metavar="SYNTAX", help="jpeg-ls, htj2k, jpeg-xl, rle, explicit … , a UID, or auto."
        ),
    ):
        command = option(command)
    return command


def target_of(asked: Mapping[str, Any]) -> Target:
    """The target that the options ask for. Raises `click.UsageError` for options that would be ignored."""
    from hounsfield.dicom.syntaxes import transfer_syntax
    from hounsfield.transcode import policy_target, target

    offsets = True if asked["extended_offsets"] else None
    if asked["policy"] is not None:
        for name in ("to", "ratio", "max_error", "quality", "effort", "table"):
            if asked[name] is not None:
                raise click.UsageError(say("a policy says all that; leave out {shown}", shown=_shown(name)))
        return policy_target(asked["policy"], extended_offsets=offsets)
    table = asked["table"]
    if asked["to"] != "auto" and table is not None:
        raise click.UsageError("--auto changes what --to auto chooses; leave it out")
    chosen = [
        transfer_syntax(each) for each in ((table or {}).values() if asked["to"] == "auto" else [asked["to"]])
    ]
    if asked["effort"] is not None and not any(syntax.keyword.startswith("jpeg-xl") for syntax in chosen):
        raise click.UsageError("--effort is of JPEG XL; leave it out, or choose --to jpeg-xl")
    if offsets and asked["to"] != "auto" and not chosen[0].encapsulated:
        raise click.UsageError(
            say("--extended-offsets are of compressed pixels; {keyword} has none", keyword=chosen[0].keyword)
        )
    return target(
        asked["to"],
        ratio=asked["ratio"],
        max_error=asked["max_error"],
        quality=asked["quality"],
        effort=asked["effort"] or 1,
        extended_offsets=offsets,
        auto=table,
    )


def _shown(name: str) -> str:
    return "--auto" if name == "table" else f"--{name.replace('_', '-')}"
