"""The review list before data are shared: every distinct text that was kept, and where something was taken out.

The texts are in the data as well, so they tell nothing that the data do not; what was taken out is never listed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from hounsfield.verbs.deidentify.needles import is_term


@dataclass
class Review:
    """`kept`: how often each (keyword, text) was kept; `taken_out`: how often something was, by keyword.

    `cleaned` are the texts that are left of one from which something was taken out: they deserve a look first.
    """

    kept: Counter[tuple[str, str]] = field(default_factory=Counter)
    taken_out: Counter[str] = field(default_factory=Counter)
    cleaned: set[tuple[str, str]] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.kept or self.taken_out)

    def note(self, keyword: str, text: str, *, cleaned: bool = False) -> None:
        """One text that stays."""
        if text.strip():
            self.kept[keyword, text] += 1
            if cleaned:
                self.cleaned.add((keyword, text))

    def add(self, other: Review) -> None:
        self.kept.update(other.kept)
        self.taken_out.update(other.taken_out)
        self.cleaned |= other.cleaned

    def to_json(self) -> dict[str, Any]:
        """As plain values: `kept_texts`, what was cleaned first, words of the trade last, and `taken_out`."""
        rows = [
            {"attribute": keyword, "text": text, "count": count, "cleaned": (keyword, text) in self.cleaned}
            for (keyword, text), count in self.kept.items()
        ]
        rows.sort(key=lambda row: (not row["cleaned"], is_term(row["text"]), row["attribute"], row["text"]))
        return {"kept_texts": rows, "taken_out": dict(sorted(self.taken_out.items()))}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Review:
        """Of `to_json`; what is not there counts for nothing."""
        found = cls()
        for row in record.get("kept_texts", ()):
            found.kept[row["attribute"], row["text"]] += row["count"]
            if row["cleaned"]:
                found.cleaned.add((row["attribute"], row["text"]))
        found.taken_out.update(record.get("taken_out", {}))
        return found
