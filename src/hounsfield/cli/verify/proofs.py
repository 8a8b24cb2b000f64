"""`hounsfield verify OLD NEW`: the one place held against the other, shown as a table, as JSON and as CSV."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli.batches import show_skipped
from hounsfield.cli.terminal import Column, echo, print_json, progress, table
from hounsfield.outputs.results import word_of

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped
    from hounsfield.runs import Pace, Result

WORDS = {
    "en": {
        "same": "same",
        "lossy": "lossy",
        "different": "different",
        "missing": "missing",
        "failed": "failed",
        "extra": "extra",
        "left out": "left out",
        "file": "file",
        "status": "status",
        "error": "largest error",
        "reason": "reason",
        "sum": "{files:,} files, {frames:,} frames: {counts}",
        "more": "… and {count} more; --csv or --json lists all",
    },
    "zh": {
        "same": "一致",
        "lossy": "有损",
        "different": "不一致",
        "missing": "缺失",
        "failed": "失败",
        "extra": "多余",
        "left out": "未包含",
        "file": "文件",
        "status": "状态",
        "error": "最大误差",
        "reason": "原因",
        "sum": "{files:,} 个文件，{frames:,} 帧：{counts}",
        "more": "…… 另有 {count} 项；用 --csv 或 --json 查看全部",
    },
}
"""Printed texts, by language."""

_SHOWN = 20


def verify_copy(
    old: str,
    new: str,
    *,
    audit: Path | None,
    max_error: float | None,
    workers: int | None,
    pace: Pace | None,
    force: bool,
    lang: str,
    as_json: bool,
) -> None:
    """Compare every file of `old` with `new`; exit status 1 unless all are as they should be.

    `max_error`: an image that says it was compressed with loss, and is at most so far off, is as it should be.
    """
    from hounsfield import runs as batch
    from hounsfield.locations import open_location
    from hounsfield.runs.ledger import FILE_LEDGER_NAME
    from hounsfield.verbs.verify import compare_all, compare_recorded

    skipped: list[Skipped] = []
    place, engine = open_location(new), batch.threads(workers or batch.available_cores())
    if Path(old).name == FILE_LEDGER_NAME and Path(old).is_file():
        found = compare_recorded(Path(old), place, engine=engine, pace=pace, skipped=skipped)
    else:
        found = compare_all(open_location(old), place, engine=engine, pace=pace, skipped=skipped)
    account = _Account(max_error)
    with _audited(audit, force) as write, progress("Comparing") as done:
        for each in write(found):
            account.add(each)
            done()
    words = WORDS[lang]
    if as_json:
        print_json(account.to_json(skipped))
    else:
        account.show(words, skipped)
    if account.bad or not account.counts:
        raise click.exceptions.Exit(1)


@contextmanager
def _audited(path: Path | None, force: bool) -> Iterator[Any]:
    from hounsfield.outputs import whole_file
    from hounsfield.verbs.verify import write_audit

    if path is None:
        yield lambda results: results
        return
    with (
        whole_file(path, force=force) as temporary,
        # Names of files are bytes; what is no text in them is shown as what it is.
        temporary.open("w", newline="", encoding="utf-8", errors="backslashreplace") as file,
    ):
        yield lambda results: write_audit(results, file)


class _Account:
    """Adds up; held one by one is only what is not the same."""

    def __init__(self, max_error: float | None) -> None:
        self.max_error = max_error
        self.counts: Counter[str] = Counter()
        self.frames = 0
        self.bad = 0
        self.worst = 0.0
        self.listed: list[Result] = []

    def add(self, each: Result) -> None:
        word, proof = _word(each), each.facts["proof"]
        self.counts[word] += 1
        self.frames += len(proof.frames) if proof is not None else 0
        if word == "lossy" and proof is not None:
            self.worst = max(self.worst, proof.max_error)
            is_bad = self.max_error is None or proof.max_error > self.max_error
        else:
            is_bad = each.has_failed
        self.bad += is_bad
        if is_bad:
            self.listed.append(each)

    def show(self, words: dict[str, str], skipped: list[Skipped]) -> None:
        self.listed.sort(key=lambda each: each.unit)
        rows = [_row(each, words) for each in self.listed[:_SHOWN]]
        if rows:
            table(rows, [
                Column("status", words["status"]), Column("file", words["file"], folds=True),
                Column("error", words["error"], "right"), Column("reason", words["reason"], folds=True),
            ])  # fmt: skip
        if len(self.listed) > _SHOWN:
            echo(words["more"].format(count=len(self.listed) - _SHOWN))
        if skipped:
            show_skipped(skipped)
        counts = ", ".join(f"{count:,} {words[status]}" for status, count in self.counts.items()) or "0"
        if self.counts["lossy"]:
            counts += f" ({words['error']} {self.worst:g})"
        echo(words["sum"].format(files=self.counts.total(), frames=self.frames, counts=counts))

    def to_json(self, skipped: list[Skipped]) -> dict[str, Any]:
        return {
            "verified": not self.bad and bool(self.counts),
            "counts": dict(self.counts),
            "frames": self.frames,
            "max_error": self.worst,
            "told": [
                {
                    "name": each.unit,
                    "status": _word(each),
                    "max_error": None if (proof := each.facts["proof"]) is None else proof.max_error,
                    "attributes": [] if proof is None else list(proof.attributes),
                    "reason": each.reason,
                }
                for each in sorted(self.listed, key=lambda each: each.unit)
            ],
            "skipped": [{"name": item.name, "reason": item.reason} for item in skipped],
        }


def _row(each: Result, words: dict[str, str]) -> dict[str, Any]:
    proof = each.facts["proof"]
    error = "" if proof is None or not proof.max_error else f"{proof.max_error:g} {proof.unit}"
    return {"status": words[_word(each)], "file": each.unit, "error": error.strip(), "reason": each.reason}


def _word(each: Result) -> str:
    return word_of("verify", each.status, each.facts)
