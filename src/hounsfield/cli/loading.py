"""The part that all verbs that load share: the scan with its bar, and the options of how slices become a volume."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

from hounsfield.cli import options
from hounsfield.cli.terminal import progress
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.ct.grid import Grid
    from hounsfield.verbs.load import Scan

Function = TypeVar("Function", bound=Callable[..., Any])


class Spacing(click.ParamType[tuple[float, ...]]):
    """Three lengths in mm, as `2.5,0.7,0.7`: slice, row, column."""

    name = "SLICE,ROW,COLUMN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            parts = tuple(float(part) for part in str(value).split(","))
        except ValueError:
            parts = ()
        if len(parts) != 3 or not all(0 < part < float("inf") for part in parts):
            self.fail(
                say("{value} is not three lengths in mm, such as 2.5,0.7,0.7", value=repr(value)), param, ctx
            )
        return parts


def one_of(name: str, *values: str, help: str) -> Callable[[Function], Function]:
    """An option of several words, the first of which is the default."""
    return click.option(name, type=click.Choice(values), default=values[0], show_default=True, help=help)


def _values(command: Function) -> Function:
    """`dtype`, `clamp`: what a voxel of a written volume holds."""
    clamp = click.option(
        "--clamp/--no-clamp", default=True, show_default=True, help="Raise what lies below −1024 HU to it."
    )
    dtype = click.option(
        "--dtype",
        type=click.Choice(["int16", "float32"]),
        show_default="int16 for HU, float32 for any other unit",
        help="float32 keeps fractions.",
    )
    plausible = click.option(
        "--require-plausible", is_flag=True, help="Refuse numbers that physics rules out as HU."
    )
    return dtype(clamp(plausible(command)))


def _slices(command: Function) -> Function:
    """`gaps`, `step`, `rectify`, `truncated`, `spacing`, `unit`: which slices, and what of those that do not fit."""
    for option in (
        options.unit,
        click.option(
            "--spacing", type=Spacing(), help="In mm, for frames that have no place in the patient."
        ),
        one_of("--truncated", "error", "fill", help="What to do about files that end early."),
        click.option("--rectify", is_flag=True, help="Make a tilted series upright."),
        click.option(
            "--step",
            type=options.FiniteRange(min=0, min_open=True),
            metavar="MM",
            help="Resample to this slice step.",
        ),
        one_of("--gaps", "error", "fill", "interpolate", help="What to do about missing slices."),
    ):
        command = option(command)
    return command


class Voxel(Spacing):
    """One length in mm for all three axes, or three as `Spacing`."""

    name = "MM|SLICE,ROW,COLUMN"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = str(value)
        return super().convert(text if "," in text else ",".join([text] * 3), param, ctx)


class Part(click.ParamType[tuple[Any, ...]]):
    """A box in voxels, as `10:50,,100:400`: slices, rows, columns, from 0, each stop excluded, empty for all."""

    name = "SLICES,ROWS,COLUMNS"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        sides = [re.fullmatch(r"(\d*):(\d*)|", side.strip()) for side in str(value).split(",")]
        if len(sides) != 3 or not all(sides):
            self.fail(
                say("{value} is not three ranges, such as 10:50,,100:400", value=repr(value)), param, ctx
            )
        return tuple(tuple(int(end) if end else None for end in side.groups()) for side in sides if side)


def _grid(command: Function) -> Function:
    """`voxel`, `like`, `interpolation`, `box`, `orientation`: the grid of a written volume."""
    for option in (
        click.option(
            "--orientation",
            metavar="RAS|LPS|…",
            help="Array axes: where columns, rows and slices rise to (R/L, A/P, S/I).",
        ),
        click.option(
            "--crop", "box", type=Part(), help="A box of voxels, such as 10:50,,100:400; empty for all."
        ),
        one_of("--interpolation", "linear", "nearest", "cubic", help="How to resample to --voxel or --like."),
        click.option(
            "--like",
            metavar="LOCATION",
            help="Resample to the grid of another volume or series. A volume file written as DICOM keeps its grid, "
            "and takes patient and study from there.",
        ),
        click.option("--voxel", type=Voxel(), help="Resample to voxels of so many mm: 1, or 3,0.8,0.8."),
    ):
        command = option(command)
    return command


def grid_of(location: str | None) -> Grid | None:
    """The grid of the one volume that `--like` names, its values left unread where they can be."""
    if location is None:
        return None
    from hounsfield.ct.grid import Grid
    from hounsfield.ct.series.streaming import Stream
    from hounsfield.verbs.load import scan

    return Grid.of(Stream(scan(location).choose()).outline)


def loading(*, values: bool) -> Callable[[Function], Callable[..., Any]]:
    """`loading: LoadOptions`, `phase: int | None` and `split_by: str | None` for the command.

    `values`: what voxels hold is asked too, and `like: str | None`, `interpolation: str`.
    """

    def decorated(command: Function) -> Callable[..., Any]:
        @functools.wraps(command)
        def with_options(*args: Any, **asked: Any) -> Any:
            from hounsfield.ct.series import LoadOptions

            names = LoadOptions.__dataclass_fields__.keys() & asked.keys()
            # What `like` names is a grid or a patient, by what LOCATION turns out to be.
            chosen = {name: asked.pop(name) for name in names - {"workers", "like", "interpolation"}}
            return command(*args, loading=LoadOptions(**chosen), **asked)

        phase = click.option(
            "--phase", type=int, metavar="N", help="Which of several volumes in one series, from 0."
        )
        slices = _slices(with_options)
        return options.split_by(phase(_values(_grid(slices)) if values else slices))

    return decorated


def scanned(location: str | Path, *, unit: Literal["HU"] | None = None, split_by: str | None = None) -> Scan:
    """Return what `location` holds, in `unit` and parted as `scan` takes it; a count of the headers read so far shows
    on a terminal.
    """
    from hounsfield.verbs.load import scan

    with progress("Reading headers") as seen:
        return scan(location, unit=unit, split_by=split_by, seen=seen)
