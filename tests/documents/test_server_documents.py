"""What the documents of the server say is so: named tests exist, offered options are told, files are sound."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import pytest
from server_support import instances, path_of, running

from hounsfield.cli.serve import serve
from hounsfield.server.http.limits import Limits

PROJECT = Path(__file__).parents[2]


def there_are() -> set[str]:
    """The names of the tests of the server, of the protocol, and of decoding."""
    return {
        name
        for pattern in ("test_server_*.py", "test_dicomweb_*.py", "test_codecs_*.py", "test_isolation.py")
        for path in (PROJECT / "tests").rglob(pattern)
        for name in re.findall(r"^def (test_\w+)", path.read_text("utf-8"), re.MULTILINE)
    }


@pytest.mark.parametrize(("document", "least"), [("conformance.md", 60), ("security.md", 30)])
def test_every_line_of_the_statements_names_a_test_that_there_is(document: str, least: int) -> None:
    text = (PROJECT / "docs" / document).read_text("utf-8").partition("\n## Limits")[0]
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > least
    assert named - there_are() == set()
    rows = [line for line in text.splitlines() if line.startswith("| ") and "shown by" not in line]
    assert all("`test_" in row for row in rows)


def test_the_servers_page_names_tests_that_there_are() -> None:
    named = set(re.findall(r"`(test_\w+)`", (PROJECT / "docs" / "server.md").read_text("utf-8")))
    assert named and named - there_are() == set()


def test_the_table_of_limits_is_that_of_the_server() -> None:
    text = (PROJECT / "docs" / "security.md").read_text("utf-8").partition("## Limits")[2]
    told = {
        name: value.replace(" ", "")
        for name, value in re.findall(r"^\| `(\w+)` \| ([^|]*) \|", text, re.MULTILINE)
    }
    units = {"GiB": 1 << 30, "MiB": 1 << 20, "KiB": 1 << 10, "s": 1}
    for name, value in asdict(Limits()).items():
        number, unit = re.fullmatch(r"(\d+)([A-Za-z]*)", told.pop(name)).groups()
        assert int(number) * units.get(unit, 1) == value, name
    assert told == {}


def test_every_resource_of_the_wire_document_is_answered(tmp_path: Path) -> None:
    contents = instances()
    text = (PROJECT / "docs" / "wire.md").read_text("utf-8")
    with running(tmp_path) as server:
        server.store(contents)
        info = server.get(path_of(contents[0], "series") + "/info").json()
        assert {key for key in info if f"`{key}`" not in text} == set()
        assert {key for key in info["slices"][0] if f"`{key}`" not in text} == set()
        headers = server.get(path_of(contents[0], "series") + "/slices/0?filter=delta").headers
        for name in ("X-CRC32", "X-Shape", "X-Counts", "X-Filter"):
            assert name in headers and name in text


def test_every_option_that_the_documents_use_is_offered() -> None:
    offered = {name for option in serve.params for name in option.opts}
    for name in ("docs/server.md", "deploy/compose.yaml", "deploy/hounsfield.service"):
        text = (PROJECT / name).read_text("utf-8")
        commands = re.findall(r"hounsfield serve[^\n]*(?:\n {4,}[^\n]*)*", text)
        assert commands
        used = {option for command in commands for option in re.findall(r"--[a-z-]+", command)}
        assert used - offered == set(), name
