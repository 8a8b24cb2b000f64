"""The results of many files that were compressed: added up as they come, printed in the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hounsfield.cli.batches import row, show_skipped
from hounsfield.cli.terminal import Column, echo, print_json, table
from hounsfield.errors import LocationError
from hounsfield.outputs.results import word_of

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped
    from hounsfield.runs import Result

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

    def add(self, facts: Mapping[str, Any]) -> None:
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
    """Adds up results by the words of `compress`; one is held only where JSON lists it or it has to be named."""

    as_json: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    ways: dict[str, _Way] = field(default_factory=dict)
    listed: list[Result] = field(default_factory=list)
    notes: dict[str, _Note] = field(default_factory=dict)
    series: list[Result] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    def add(self, result: Result) -> None:
        word, facts = _word(result), result.facts
        self.counts[word] += 1
        if word == "written" and "after" in facts:
            self.ways.setdefault(f"{facts['before']} → {facts['after']}", _Way()).add(facts)
        if result.reason and word in ("written", "copied"):
            said = result.reason if word == "copied" else f"{facts.get('after', '')}: {result.reason}"
            self.notes.setdefault(f"{word} {said}", _Note(result.unit)).files += 1
        if self.as_json or word in ("failed", "skipped"):
            self.listed.append(result)

    def show(self, *, pages: Path | None = None, folder: str = "") -> None:
        """Print it; `pages` tell more, `folder` is where the outputs are."""
        from hounsfield.ct.instance import Skipped

        self.listed.sort(key=lambda result: result.unit)
        if self.as_json:
            print_json(self._told(folder))
            return
        if self.ways:
            table([way.row(name) for name, way in self.ways.items()], _COLUMNS)
        left_out = [*self.skipped]
        for result in self.listed:
            if not result.has_failed:
                left_out.append(Skipped(result.unit, result.reason))
            elif self.counts["failed"] > 1:  # a single one is the error in the end
                echo(f"{_word(result)}: {result.unit}: {result.reason}", err=True)
        if left_out:
            show_skipped(left_out)
        for said, note in sorted(self.notes.items()):
            status, _, reason = said.partition(" ")
            echo(f"{_SAID[status]} {reason}: {note}")
        line = ", ".join(f"{count} {status}" for status, count in self.counts.items() if status != "skipped")
        if line:
            echo(line + (f"; to look through: {pages}" if pages is not None and pages.is_file() else ""))

    def check(self, name: str, done: str = "compressed") -> None:
        """Raise `LocationError` where anything failed, or nothing was DICOM, at the location of this name."""
        failed = next((result for result in self.listed if result.has_failed), None)
        total = self.counts.total()
        if failed is not None:
            count = self.counts["failed"]
            said = f"{count} of {total} files were not {done}, the first: {failed.unit}"
            if count == 1:
                said = f"not {done}" if total == 1 else f"1 of {total} files was not {done}: {failed.unit}"
            raise LocationError(f"{said}: {failed.reason}", where=name)
        if total == self.counts["skipped"] and done == "compressed":
            raise LocationError("no DICOM file in it", where=name, remedy="check the location")

    def _told(self, folder: str) -> dict[str, Any]:
        files = [
            {
                "name": each.unit,
                "status": _word(each),
                "out": _shown(Path(each.output), folder),
                "reason": each.reason or None,
            }
            | {name: value for name, value in each.facts.items() if name not in ("name", "how")}
            for each in self.listed
        ]
        series = [_row(each, folder) for each in self.series]
        skipped = [{"name": item.name, "reason": item.reason} for item in self.skipped]
        return {"files": files, **({"series": series} if folder else {}), "skipped": skipped}


_SAID = {"written": "as", "copied": "copied as it is,"}


def _word(result: Result) -> str:
    return word_of("compress", result.status, result.facts)


def _shown(out: Path, folder: str) -> str:
    """As the folder was typed."""
    return str(Path(folder) / out.relative_to(Path(folder).absolute())) if folder else str(out)


def _row(result: Result, folder: str) -> dict[str, Any]:
    from hounsfield.runs.ledger import fields_of

    shown = row(result, folder=folder)
    shown["output"] = shown["output"] and str(Path(shown["output"]))
    others = fields_of({name: value for name, value in result.facts.items() if name != "kept"}).get(
        "facts", {}
    )
    facts = {"counts": result.facts["counts"], "bytes": result.bytes, **others}
    return {name: shown[name] for name in _OF_A_ROW} | facts


_OF_A_ROW = ("series", "SeriesInstanceUID", "status", "kept", "output", "warnings", "reason")
