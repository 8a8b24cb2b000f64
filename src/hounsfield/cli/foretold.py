"""What would become of each file, a line for each as it is known, and the sum of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hounsfield.cli.batches import show_skipped
from hounsfield.cli.terminal import echo, print_json

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped
    from hounsfield.verbs.compress import Outcome

_WOULD = {
    "written": "compress",
    "copied": "copy",
    "kept": "keep",
    "present": "is there",
    "skipped": "leave out",
    "failed": "fail",
}
"""Status → what the run would do."""


def show_foretold(
    outcomes: Iterable[Outcome], skipped: Iterable[Skipped] = (), *, as_json: bool = False
) -> None:
    """Print what `outcomes` foretell. Names are the sources'."""
    if as_json:
        left_out = [{"name": item.name, "reason": item.reason} for item in skipped]
        print_json({"files": [_row(outcome) for outcome in outcomes], "skipped": left_out})
        return
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        counts[outcome.status] += 1
        echo(f"{_WOULD[outcome.status]:9}  {outcome.name}{_note(outcome)}")
    left_out_too = list(skipped)
    if left_out_too:
        show_skipped(left_out_too)
    told = ", ".join(f"{count} {_WOULD[status]}" for status, count in counts.items())
    echo(f"{told or 'no file'}; nothing was written")


def _note(outcome: Outcome) -> str:
    if outcome.facts is not None:
        return f"  {outcome.facts['before']} → {outcome.facts['after']}"
    return f"  ({outcome.reason})" if outcome.reason else ""


def _row(outcome: Outcome) -> dict[str, Any]:
    return {
        "name": outcome.name,
        "would": _WOULD[outcome.status],
        "out": str(outcome.out),
        "reason": outcome.reason or None,
        **(outcome.facts or {}),
    }
