"""The summary of a ledger as one CSV table: a row for each series as it stands, for spreadsheets and data frames."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

from hounsfield.outputs import whole_file
from hounsfield.outputs.results import word_of
from hounsfield.runs import STARTED, Record

TABLE_NAME = "hounsfield.csv"
COLUMNS = (
    "series",
    "SeriesInstanceUID",
    "phase",
    "phase name",
    "status",
    "output",
    "verdict",
    "shape",
    "unit",
    "padded",
    "clamped",
    "saturated",
    "rounded",
    "files",
    "bytes before",
    "ratio",
    "syntaxes",
    "largest error",
    "unit of errors",
    "warnings",
    "reason",
    "source",
    "bytes",
    "seconds",
    "time",
)
INTERRUPTED = "begun and not finished; run again"
_FORMULAS = ("=", "+", "-", "@", "\t")


def write_table(records: Iterable[Record], path: Path) -> None:
    """Write one row a record. The file appears whole or not at all."""
    with (
        whole_file(path, force=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, COLUMNS)
        writer.writeheader()
        for record in records:
            writer.writerow(_row(record))


def _row(record: Record) -> dict[str, object]:
    return {
        "series": _text(record.series),
        "SeriesInstanceUID": record.uid,
        "phase": record.phase,
        "phase name": _text(record.phase_name),
        "status": word_of("series", record.status),
        "output": record.output,
        "verdict": record.verdict,
        "shape": "×".join(map(str, record.shape)),
        "unit": record.unit,
        **{name: record.counts.get(name, "") for name in ("padded", "clamped", "saturated", "rounded")},
        **_of_files(record),
        "warnings": _text("; ".join(record.warnings)),
        "reason": INTERRUPTED if record.status == STARTED else _text(record.reason),
        "source": record.source,
        "bytes": record.bytes or "",
        "seconds": record.seconds or "",
        "time": record.time,
    }


def _of_files(record: Record) -> dict[str, object]:
    """Return what a verb over files tells of a series; nothing of any other."""
    before, facts = before_of(record), record.facts
    return {
        "files": facts.get("files", ""),
        "bytes before": before or "",
        "ratio": f"{before / record.bytes:.4g}" if before and record.bytes else "",
        "syntaxes": "; ".join(facts.get("ways", ())),
        "largest error": f"{facts['max_error']:g}" if facts.get("max_error") else "",
        "unit of errors": facts.get("unit", ""),
    }


def before_of(record: Record) -> int:
    """Bytes of the files that a series had before; 0 where that is not known."""
    return int(record.facts.get("bytes_before", 0))


def _text(text: str) -> str:
    """Text out of a DICOM file, which a spreadsheet must not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text
