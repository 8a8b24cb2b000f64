"""The results of a copy, counted."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from hounsfield.ct.instance import Skipped
from hounsfield.outputs.results import WORDS, Status, word_of
from hounsfield.runs import Result


@dataclass(slots=True)
class Summary:
    """Of a copy: `counts` of instances moved, present, refused, failed, and the `size` in bytes of what was moved.

    `seconds` is wall clock; `told` has the instances with something to know, `skipped` what was no instance at all,
    `series` a result for each.
    """

    source: str
    target: str
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(WORDS["copy"], 0))
    size: int = 0
    seconds: float = 0.0
    told: list[Result] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    series: list[Result] = field(default_factory=list)

    def add(self, results: Iterable[Result]) -> None:
        for result in results:
            self.counts[word_of("copy", result.status)] += 1
            if result.status == Status.DONE:
                self.size += result.bytes
            if result.reason:
                self.told.append(result)

    @property
    def complete(self) -> bool:
        """Return whether everything of the source is at the target now."""
        return not self.counts["refused"] and not self.counts["failed"]

    def to_json(self) -> dict[str, Any]:
        rate = self.size / self.seconds if self.seconds else None
        return {
            "source": self.source,
            "target": self.target,
            "complete": self.complete,
            **self.counts,
            "bytes": self.size,
            "seconds": round(self.seconds, 3),
            "bytes_per_second": None if rate is None else round(rate),
            "series": [
                {
                    "SeriesInstanceUID": each.facts["uid"],
                    "status": word_of("series", Status.DONE if each.is_there else each.status),
                    "kept": each.facts["kept"],
                    "output": each.output,
                    "reason": each.reason,
                }
                for each in self.series
            ],
            "told": [
                {"name": each.unit, "status": word_of("copy", each.status), "reason": each.reason}
                for each in self.told
            ],
            "skipped": [{"name": item.name, "reason": item.reason} for item in self.skipped],
        }
