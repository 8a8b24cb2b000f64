"""Arguments and options that several verbs share, so that a name means one thing everywhere.

Each is a decorator for a click command::

    @click.command(epilog=examples("hounsfield info scan/"))
    @location
    @series
    @as_json
    def info(location: str, series: str | None, as_json: bool) -> None: ...

`--verbose` is given to every verb by the root command; a verb need not name it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from hounsfield.language import Language, choose, chosen, say


class FiniteRange(click.FloatRange):
    """A number of the range: neither infinite nor NaN, which is on neither side of any limit."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(say("{value} is not a finite number.", value=value), param, ctx)
        return number


Command = TypeVar("Command", bound="Callable[..., Any] | click.Command")

_VERBOSE = "hounsfield.verbose"
_EMPTY = "it is empty; is a variable not set? (for the current folder give ./)"


class Place(click.ParamType[str]):
    """A location, as text; never empty: an empty word is a variable that is not set, not the current folder."""

    name = "LOCATION"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        if not str(value).strip():
            self.fail(_EMPTY, param, ctx)
        return str(value)


def location(command: Command) -> Command:
    """`location: str`: where to read; the help of `hounsfield` says what it may be."""
    return click.argument("location", metavar="LOCATION", type=Place())(command)


def out(command: Command) -> Command:
    """`out: Path`: the file or folder to write."""
    return click.argument("out", metavar="OUT", type=OutPlace(only_paths=True))(command)


def out_or_address(command: Command) -> Command:
    """`out: Path | str`: the same, or an address in a bucket (`s3://…`), which stays text."""
    return click.argument("out", metavar="OUT", type=OutPlace())(command)


def series(command: Command) -> Command:
    """`series: str | None`: which series, for a location that holds several."""
    return click.option(
        "--series", metavar="SERIES", help="Which series: its number, or its UID or the beginning of it."
    )(command)


def unit(command: Command) -> Command:
    """`unit: str | None`: what the values are by the user's word."""
    return click.option(
        "--unit",
        type=click.Choice(["HU"]),
        help="The values are Hounsfield units, whatever Rescale Type says; the report keeps what it said.",
    )(command)


def split_by(command: Command) -> Command:
    """`split_by: str | None`: what parts a series into volumes, by the user's word."""
    return click.option(
        "--split-by",
        metavar="KEYWORD[,KEYWORD]",
        help="Part a series into volumes by these attributes, or by `gaps` into the slabs between its gaps "
        "(default: by what is found to part it).",
    )(command)


def as_json(command: Command) -> Command:
    """`as_json: bool`: print JSON where a table would be."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")(command)


def force(command: Command) -> Command:
    """`force: bool`: replace an output that is there already."""
    return click.option("--force", is_flag=True, help="Replace the output if it exists.")(command)


def lang(command: Command) -> Command:
    """`lang: str`: "en" or "zh", the language of what a person reads, for verbs that write more than messages in it."""
    return _language(command, takes=True)


def language(command: Command) -> Command:
    """`--lang`, before or after the verb; no parameter: `hounsfield.language.chosen()` says."""
    return _language(command, takes=False)


def _language(command: Command, *, takes: bool) -> Command:
    return click.option(
        "--lang",
        type=click.Choice(["en", "zh"]),
        show_default="by HOUNSFIELD_LANG, or the locale",
        is_eager=True,
        expose_value=takes,
        callback=_choose_language,
        help="Language of names, messages and help: English or Chinese.",
    )(command)


def _choose_language(_: click.Context, __: click.Parameter, value: Language | None) -> Language:
    if value is not None:
        choose(value)
    return chosen()


def isolate(command: Command) -> Command:
    """`--isolate`, for verbs that decode; no parameter: it holds for the process and those that it starts."""
    return click.option(
        "--isolate",
        type=click.Choice(["auto", "always", "never"]),
        show_default="auto",
        expose_value=False,
        callback=_set_isolation,
        help="Decode in child processes: codecs that were not tried, all, or none.",
    )(command)


def _set_isolation(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from hounsfield.codecs.isolation import VARIABLE

    _set_variable(ctx, VARIABLE, value)


def _set_variable(ctx: click.Context, name: str, value: str) -> None:
    """Set a variable of the environment until the command is over, for the processes that it starts as well."""
    before = os.environ.get(name)
    os.environ[name] = value

    @ctx.call_on_close
    def _restore() -> None:
        if before is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = before


def charset(command: Command) -> Command:
    """`--charset`, for verbs that read; no parameter: it holds for the process and those that it starts."""
    return click.option(
        "--charset",
        metavar="NAME",
        expose_value=False,
        callback=_set_charset,
        help="Characters of texts that are not in the set they declare: GB18030, Big5, EUC-KR …",
    )(command)


def _set_charset(ctx: click.Context, _: click.Parameter, value: str | None) -> None:
    if value is None:
        return
    from hounsfield.dicom.charsets import known_set
    from hounsfield.dicom.decided_texts import VARIABLE

    _set_variable(ctx, VARIABLE, known_set(value))


def verbose(command: Command) -> Command:
    """`--verbose`, before or after the verb; no parameter: `wants_verbose(ctx)` tells."""
    return click.option(
        "-v",
        "--verbose",
        is_flag=True,
        expose_value=False,
        is_eager=True,
        callback=_remember_verbose,
        help="With an error, print the traceback too.",
    )(command)


def wants_verbose(ctx: click.Context) -> bool:
    """Return whether `--verbose` was given anywhere on the command line."""
    return bool(ctx.meta.get(_VERBOSE))


def examples(*lines: str) -> str:
    """The epilog of a command: "Examples:", then `lines` as they are, not rewrapped."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


class OutPlace(click.ParamType[Any]):
    """A path, or text where it is an address (a path of one would lose a slash, and make a folder `s3:`)."""

    name = "OUT"

    def __init__(self, *, only_paths: bool = False) -> None:
        self.only_paths = only_paths

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail(_EMPTY, param, ctx)
        if str(value) == "-":
            self.fail("standard output; name a file or a folder (./- for one of that name)", param, ctx)
        if "://" not in str(value):
            return Path(value)
        if self.only_paths:
            self.fail("an address; this verb writes to a path on this machine", param, ctx)
        return value


def _remember_verbose(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    # `meta` is one dictionary for the whole chain of contexts; a flag not given must not undo one that was.
    if value:
        ctx.meta[_VERBOSE] = True
