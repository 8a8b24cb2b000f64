"""What became of many files that were compressed: added up as they come, printed in the end."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hounsfield.cli.batches import row, show_skipped
from hounsfield.cli.terminal import Column, echo, print_json, table
from hounsfield.errors import LocationError

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped
    from hounsfield.runs import Answer
    from hounsfield.verbs.compress import Outcome

_COLUMNS = (
    Column("way", "Syntax"),
    Column("files", "Files", "right"),
    Column("mb", "MB", "right"),
    Column("ratio", "Ratio", "right"),
    Column("max_error", "Error", "right"),
    Column("psnr", "PSNR, dB", "right"),
)


@dataclass(slots=True)
class _Way:
    """Images that went from one syntax to another; `psnr` is the lowest, None where nothing was lost."""

    files: int = 0
    native_bytes: int = 0
    stored_bytes: int = 0
    max_error: float = 0.0
    unit: str = ""
    psnr: float | None = None

    def add(self, facts: dict[str, Any]) -> None:
        self.files += 1
        self.native_bytes += facts["native_bytes"]
        self.stored_bytes += facts["stored_bytes"]
        if facts["max_error"] > self.max_error:
            self.max_error, self.unit = facts["max_error"], facts.get("unit", "")
        noises = [noise for noise in (self.psnr, facts["psnr"]) if noise is not None]
        self.psnr = min(noises, default=None)

    def row(self, way: str) -> dict[str, Any]:
        return {
            "way": way,
            "files": self.files,
            "mb": f"{self.native_bytes / 1e6:.1f} → {self.stored_bytes / 1e6:.1f}",
            "ratio": f"{self.native_bytes / max(1, self.stored_bytes):.2f}",
            "max_error": f"{self.max_error:g} {self.unit}".strip(),
            "psnr": "lossless" if self.psnr is None else f"{self.psnr:.1f}",
        }


@dataclass(slots=True)
class _Note:
    """Files that were made, but not as asked, for one reason; the first of them by name."""

    first: str
    files: int = 0

    def __str__(self) -> str:
        return self.first if self.files == 1 else f"{self.files} files, the first {self.first}"


@dataclass(slots=True)
class Account:
    """Adds up outcomes; each of them is held only where JSON is to list it, or where it needs to be told."""

    as_json: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    ways: dict[str, _Way] = field(default_factory=dict)
    listed: list[Outcome] = field(default_factory=list)
    notes: dict[str, _Note] = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        self.counts[outcome.status] += 1
        if outcome.facts is not None and outcome.status == "written":
            way = f"{outcome.facts['before']} → {outcome.facts['after']}"
            self.ways.setdefault(way, _Way()).add(outcome.facts)
        if outcome.reason and outcome.status in ("written", "copied"):
            said = outcome.reason if outcome.status == "copied" else f"{_syntax(outcome)}: {outcome.reason}"
            self.notes.setdefault(f"{outcome.status} {said}", _Note(outcome.name)).files += 1
        if self.as_json or outcome.status in ("failed", "skipped"):
            self.listed.append(outcome)

    def show(self, *, pages: Path | None = None, folder: str = "") -> None:
        """Print it; `pages` tell more, `folder` is where the outputs are."""
        from hounsfield.ct.instance import Skipped

        self.listed.sort(key=lambda outcome: outcome.name)
        if self.as_json:
            print_json(self._told(folder))
            return
        if self.ways:
            table([way.row(name) for name, way in self.ways.items()], _COLUMNS)
        left_out = [*self.skipped]
        for outcome in self.listed:
            if outcome.status == "skipped":
                left_out.append(Skipped(outcome.name, outcome.reason))
            elif self.counts["failed"] > 1:  # a single one is the error in the end
                echo(f"{outcome.status}: {outcome.name}: {outcome.reason}", err=True)
        if left_out:
            show_skipped(left_out)
        for said, note in sorted(self.notes.items()):
            status, _, reason = said.partition(" ")
            echo(f"{_SAID[status]} {reason}: {note}")
        told = ", ".join(f"{count} {status}" for status, count in self.counts.items() if status != "skipped")
        if told:
            echo(told + (f"; to look through: {pages}" if pages is not None and pages.is_file() else ""))

    def check(self, name: str, done: str = "compressed") -> None:
        """Raise `LocationError` where anything failed, or nothing was DICOM, at the location of this name."""
        failed = next((outcome for outcome in self.listed if outcome.status == "failed"), None)
        total = self.counts.total()
        if failed is not None:
            count = self.counts["failed"]
            said = f"{count} of {total} files were not {done}, the first: {failed.name}"
            if count == 1:
                said = f"not {done}" if total == 1 else f"1 of {total} files was not {done}: {failed.name}"
            raise LocationError(f"{said}: {failed.reason}", where=name)
        if total == self.counts["skipped"] and done == "compressed":
            raise LocationError("no DICOM file in it", where=name, remedy="check the location")

    def _told(self, folder: str) -> dict[str, Any]:
        files = [
            {
                "name": each.name,
                "status": each.status,
                "out": _shown(each.out, folder),
                "reason": each.reason or None,
            }
            | ({} if each.facts is None else {k: v for k, v in each.facts.items() if k != "name"})
            for each in self.listed
        ]
        series = [_row(answer, folder) for answer in self.answers]
        skipped = [{"name": item.name, "reason": item.reason} for item in self.skipped]
        return {"files": files, **({"series": series} if folder else {}), "skipped": skipped}


_SAID = {"written": "as", "copied": "copied as it is,"}


def _syntax(outcome: Outcome) -> str:
    return str((outcome.facts or {}).get("after", ""))


def _shown(out: Path, folder: str) -> str:
    """As the folder was typed."""
    return str(Path(folder) / out.relative_to(Path(folder).absolute())) if folder else str(out)


def _row(answer: Answer, folder: str) -> dict[str, Any]:
    told = row(answer.record, folder=folder, kept=answer.kept)
    told["output"] = told["output"] and str(Path(told["output"]))
    facts = {"counts": answer.record.counts, "bytes": answer.record.bytes, **answer.record.facts}
    return {name: told[name] for name in _OF_A_ROW} | facts


_OF_A_ROW = ("series", "SeriesInstanceUID", "status", "kept", "output", "warnings", "reason")
