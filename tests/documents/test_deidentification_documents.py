"""What docs/deidentify.md promises has a test each; both languages tell the same options."""

from __future__ import annotations

import re
from pathlib import Path

from hounsfield.cli.deidentify import deidentify

DOCS = Path(__file__).parents[2] / "docs"
ENGLISH, CHINESE = ((DOCS / name).read_text("utf-8") for name in ("deidentify.md", "deidentify-zh.md"))


def test_every_line_of_the_page_names_a_test_that_there_is() -> None:
    there = {
        name
        for path in Path(__file__).parents[1].rglob("test_deidentification*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", ENGLISH))
    assert len(named) > 35 and named - there == set()
    rows = [line for line in ENGLISH.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert len(rows) > 35 and all("`test_" in row for row in rows)


def test_the_options_of_the_pages_are_offered_and_told_in_both_languages() -> None:
    offered = {name for option in deidentify.params for name in option.opts}
    (keep,) = (option for option in deidentify.params if option.name == "keep")
    for text in (ENGLISH, CHINESE):
        assert set(re.findall(r"--[a-z][a-z-]+", text)) <= offered
        assert all(f"--keep {name}" in text for name in keep.type.choices)  # type: ignore[attr-defined]
        assert {"--include", "--key", "--dates"} <= set(re.findall(r"--[a-z][a-z-]+", text))
