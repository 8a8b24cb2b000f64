"""What the page on DIMSE says is so: named tests exist, every line has one, options and limits are the code's."""

from __future__ import annotations

import re
from pathlib import Path

from hounsfield.cli import main
from hounsfield.cli.serve import serve
from hounsfield.dimse.acceptor import Limits
from hounsfield.dimse.association import MAX_ASSOCIATE, MAX_PDU
from hounsfield.dimse.commands import MAX_COMMAND
from hounsfield.dimse.connection import PATIENCE, SLOWEST

PROJECT = Path(__file__).parents[2]
TEXT = (PROJECT / "docs" / "dimse.md").read_text("utf-8")


def test_every_line_of_the_statement_names_a_test_that_there_is() -> None:
    there = {
        name
        for path in (PROJECT / "tests").rglob("test_dimse_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }
    statement = TEXT.partition("## Conformance statement")[2]
    rows = [line for line in statement.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert len(rows) > 35
    assert all("`test_" in row for row in rows)
    assert set(re.findall(r"`(test_\w+)`", statement)) - there == set()


def test_the_options_and_limits_are_those_of_the_code() -> None:
    options = {name for each in serve.params for name in each.opts}
    add = main.get_command(None, "servers").get_command(None, "add")  # type: ignore[arg-type]
    options |= {name for each in add.params for name in each.opts}
    told = set(re.findall(r"(--[a-z][a-z-]+[a-z])", TEXT)) - {"--patient-id", "--verify", "--password"}
    assert told - options == set()
    assert (MAX_PDU, MAX_ASSOCIATE, MAX_COMMAND) == (1 << 20, 512 << 10, 64 << 10)
    assert (Limits().associations, Limits().artim, Limits().idle) == (32, 30, 300)
    assert (PATIENCE, SLOWEST) == (120, 1000)
