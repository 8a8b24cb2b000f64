"""Combinations of options that go together: one that would be ignored is refused, so that nobody relies on it."""

from __future__ import annotations

from collections.abc import Mapping

import click
from click.core import ParameterSource

from hounsfield.language import say

_ALWAYS = frozenset({"location", "as_json"})
_GOALS = frozenset({"to", "policy", "ratio", "max_error", "quality", "effort", "table", "extended_offsets"})
_RUN = frozenset(
    {"out", "each", "workers", "cluster", "fail_fast", "ledger", "content", "force", "mirror", "hashes"}
)
_PACE = frozenset({"max_mb_s", "between"})

MODES: Mapping[str, tuple[str, frozenset[str]]] = {
    "estimating": ("measures every syntax and writes nothing", frozenset({"plot", "force"})),
    "planning": ("plans and writes nothing", _GOALS | {"cores"}),
    "discard_backup": ("removes originals", frozenset({"in_place", "backup"}) | _PACE),
    "in_place": (
        "replaces files where they are",
        _GOALS | _PACE | {"backup", "each", "workers", "fail_fast", "dry_run"},
    ),
    "dry_run": ("writes nothing", _GOALS | (_RUN - {"workers", "cluster", "fail_fast", "hashes"})),
    "": ("", _GOALS | _RUN | _PACE),
}
"""The option that makes the mode → what it does, and what goes with it; the first that is given decides."""


def refuse_odd_combinations(context: click.Context) -> None:
    """Raise `click.UsageError` for an option of `compress` that would be ignored beside the others."""
    given = [parameter for parameter in _given(context) if parameter.name not in _ALWAYS]
    names = {parameter.name for parameter in given}
    mode = next(mode for mode in MODES if mode in names or not mode)
    does, allowed = MODES[mode]
    for parameter in given:
        if parameter.name not in allowed | {mode}:
            raise click.UsageError(_refusal(context, parameter, mode, does))


def refuse_odd_options(context: click.Context, taken: tuple[str, frozenset[str]]) -> None:
    """Raise `click.UsageError` for an option that is not among those `taken`, which are of what the first says."""
    for parameter in _given(context):
        if parameter.name not in taken[1]:
            raise click.UsageError(say("{shown} is not for {taken}", shown=_shown(parameter), taken=taken[0]))


def _given(context: click.Context) -> list[click.Parameter]:
    return [
        parameter
        for parameter in context.command.params
        if parameter.expose_value
        and context.get_parameter_source(parameter.name or "") is ParameterSource.COMMANDLINE
    ]


def _refusal(context: click.Context, parameter: click.Parameter, mode: str, does: str) -> str:
    shown = _shown(parameter)
    if not mode:
        needed = next((key for key, (_, takes) in MODES.items() if key and parameter.name in takes), "")
        return f"{shown} goes with {_of(context, needed)}"
    return f"{_of(context, mode)} {does}; leave out {shown}"


def _of(context: click.Context, name: str) -> str:
    return next(_shown(parameter) for parameter in context.command.params if parameter.name == name)


def _shown(parameter: click.Parameter) -> str:
    return parameter.opts[-1] if isinstance(parameter, click.Option) else "OUT"
