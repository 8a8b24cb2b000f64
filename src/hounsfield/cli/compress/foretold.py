"""The result that each file would have, a line for each as it is known, and the sum of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hounsfield.cli.batches import show_skipped
from hounsfield.cli.terminal import echo, print_json
from hounsfield.language import say
from hounsfield.outputs.results import word_of

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped
    from hounsfield.runs import Result

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
    results: Iterable[Result], skipped: Iterable[Skipped] = (), *, as_json: bool = False
) -> None:
    """Print what `results` foretell. Names are the sources'."""
    if as_json:
        left_out = [{"name": item.name, "reason": item.reason} for item in skipped]
        print_json({"files": [_row(result) for result in results], "skipped": left_out})
        return
    counts: Counter[str] = Counter()
    for result in results:
        would = _would(result)
        counts[would] += 1
        echo(f"{would:9}  {result.unit}{_note(result)}")
    left_out_too = list(skipped)
    if left_out_too:
        show_skipped(left_out_too)
    line = ", ".join(f"{count} {would}" for would, count in counts.items())
    echo(say("{line}; nothing was written", line=line or "no file"))


def _would(result: Result) -> str:
    return _WOULD[word_of("compress", result.status, result.facts)]


def _note(result: Result) -> str:
    if "after" in result.facts:
        return f"  {result.facts['before']} → {result.facts['after']}"
    return f"  ({result.reason})" if result.reason else ""


def _row(result: Result) -> dict[str, Any]:
    return {
        "name": result.unit,
        "would": _would(result),
        "out": result.output,
        "reason": result.reason or None,
        **{name: value for name, value in result.facts.items() if name != "how"},
    }
