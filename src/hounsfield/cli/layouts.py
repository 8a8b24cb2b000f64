"""`hounsfield volume --layout`: a data set for nnU-Net, MONAI or BIDS, and what the command says of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli.batches import absolute
from hounsfield.cli.terminal import Column, echo, print_json, progress, table
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.ct.series import LoadOptions
    from hounsfield.verbs.layouts.writing import Layout
    from hounsfield.verbs.load import Scan

_COLUMNS = (
    Column("id", "case", folds=True),
    Column("image", "image", folds=True),
    Column("label", "labels", folds=True),
)
_NOT_FOR_LAYOUTS = ("phase", "format", "name", "sidecar", "identity", "join_phases", "workers", "cluster")
_NOT_EITHER = ("fail_fast", "ledger", "content")


def write_data_set(
    found: Scan,
    out: Path | str,
    layout: Layout,
    masks: tuple[str, ...],
    nearest: bool | None,
    loading: LoadOptions,
    *,
    force: bool,
    as_json: bool,
) -> None:
    """Write the data set and show its cases and what was left out."""
    from hounsfield.verbs.layouts import write_layout

    _refuse_others()
    if not isinstance(out, Path):
        raise click.UsageError("--layout writes a folder on a disk")
    with progress("Converting", total=sum(max(len(each.phases), 1) for each in found.series)) as done:
        made = write_layout(
            found,
            out,
            layout,
            masks=[absolute(place) for place in masks],
            nearest=nearest,
            options=loading,
            force=force,
            done=done,
        )
    rows: list[dict[str, Any]] = [
        {"id": case.id, "series": case.series, "image": case.image, "label": case.label}
        for case in made.cases
    ]
    left_out = [{"name": name, "reason": reason} for name, reason in made.left_out]
    if as_json:
        print_json({"folder": str(made.folder), "cases": rows, "labels": made.labels, "left_out": left_out})
        return
    table(rows, _COLUMNS)
    echo()
    echo(
        say(
            "{folder}: {cases} cases, {count} left out; why: {card}",
            folder=made.folder,
            cases=len(rows),
            count=len(left_out),
            card="data_card.md",
        )
    )


def _refuse_others() -> None:
    """An error for an option of `volume` that a data set would ignore."""
    context = click.get_current_context()
    for parameter in context.command.params:
        name = parameter.name or ""
        if name in (*_NOT_FOR_LAYOUTS, *_NOT_EITHER) and context.get_parameter_source(name) is not None:
            source = context.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise click.UsageError(say("{option} is not for --layout", option=parameter.opts[0]))
