"""What became of each instance of a copy, and of the whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

from hounsfield.ct.instance import Skipped
from hounsfield.outputs.results import Status as Outcome
from hounsfield.outputs.results import word_of
from hounsfield.runs import Result

Status = Literal["moved", "present", "refused", "failed"]
STATUSES: tuple[Status, ...] = ("moved", "present", "refused", "failed")


@dataclass(frozen=True, slots=True)
class Item:
    """One instance: `name` says where it came from, `size` its bytes, `reason` why it is not there or what was said.

    `present`: it was there already. `refused`: the destination will not have it. `failed`: trying again may help.
    """

    name: str
    status: Status
    size: int = 0
    reason: str = ""


@dataclass(slots=True)
class Summary:
    """A copy's account. `seconds` is wall clock, `skipped` what was no instance at all, `series` a result for each."""

    source: str
    target: str
    counts: dict[Status, int] = field(default_factory=lambda: dict.fromkeys(STATUSES, 0))
    size: int = 0
    seconds: float = 0.0
    told: list[Item] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    series: list[Result] = field(default_factory=list)

    def add(self, items: Iterable[Item]) -> None:
        for item in items:
            self.counts[item.status] += 1
            if item.status == "moved":
                self.size += item.size
            if item.reason:
                self.told.append(item)

    @property
    def complete(self) -> bool:
        """Whether everything of the source is at the target now."""
        return not self.counts["refused"] and not self.counts["failed"]

    def to_json(self) -> dict[str, Any]:
        rate = self.size / self.seconds if self.seconds else None
        found: dict[str, Any] = dict(self.counts.items())
        return {
            "source": self.source,
            "target": self.target,
            "complete": self.complete,
            **found,
            "bytes": self.size,
            "seconds": round(self.seconds, 3),
            "bytes_per_second": None if rate is None else round(rate),
            "series": [
                {
                    "SeriesInstanceUID": each.facts["uid"],
                    "status": word_of("series", Outcome.DONE if each.is_there else each.status),
                    "kept": each.facts["kept"],
                    "output": each.output,
                    "reason": each.reason,
                }
                for each in self.series
            ],
            "told": [{"name": each.name, "status": each.status, "reason": each.reason} for each in self.told],
            "skipped": [{"name": each.name, "reason": each.reason} for each in self.skipped],
        }
