"""The viewer without a browser: its own tests, what it weighs, what it asks for, and the fixtures it shares with us."""

from __future__ import annotations

import gzip
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import wire_fixtures
from viewer_browser import need_page

PROJECT = Path(__file__).resolve().parents[2]
VIEWER = PROJECT / "viewer"
HEAVIEST = 150_000
LONGEST = 400
"""Lines of one file of the page."""


def test_the_wire_fixtures_are_what_the_server_sends_today() -> None:
    for name, content in wire_fixtures.made().items():
        kept = (wire_fixtures.FOLDER / name).read_bytes()
        same = kept == content if name.endswith(".i16") else _alike(json.loads(kept), json.loads(content))
        assert same, f"{name}: run python tests/wire_fixtures.py"


def _alike(kept: Any, made: Any) -> bool:
    """Equal but for the last digits of real numbers, in which processors and libraries differ."""
    if isinstance(kept, dict) and isinstance(made, dict):
        return kept.keys() == made.keys() and all(_alike(kept[key], made[key]) for key in kept)
    if isinstance(kept, list) and isinstance(made, list):
        return len(kept) == len(made) and all(map(_alike, kept, made))
    if isinstance(kept, float) or isinstance(made, float):
        return bool(made == pytest.approx(kept, rel=1e-9, abs=1e-9))
    return bool(kept == made)


def test_the_page_passes_its_own_tests() -> None:
    npm = shutil.which("npm")
    if npm is None or not (VIEWER / "node_modules").is_dir():
        pytest.skip("Node is not installed (Debian: nodejs npm; then: make viewer)")
    for script in ("check", "test"):
        done = subprocess.run(
            [npm, "run", "--silent", script],
            cwd=VIEWER,
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_weighs_little() -> None:
    weight = sum(
        len(gzip.compress(path.read_bytes(), 9)) for path in need_page().rglob("*") if path.is_file()
    )
    assert weight <= HEAVIEST


def test_the_page_has_no_inline_script_or_style_and_names_no_other_host() -> None:
    folder = need_page()
    html = (folder / "index.html").read_text()
    assert re.findall(r"<script(?![^>]* src=)", html) == []
    assert re.findall(r"<style|\sstyle=|\son\w+=", html) == []
    for path in folder.rglob("*"):
        if path.is_file():
            hosts = set(re.findall(rb"https?://([\w.-]+)", path.read_bytes()))
            assert hosts <= {b"www.w3.org", b"localhost"}, path.name


def test_the_lock_names_no_registry() -> None:
    assert '"resolved"' not in (VIEWER / "package-lock.json").read_text()


def test_files_of_the_page_are_short_and_only_ui_knows_the_framework() -> None:
    for path in [*(VIEWER / "src").rglob("*.ts*"), *(VIEWER / "src").rglob("*.css")]:
        text = path.read_text()
        assert text.count("\n") <= LONGEST, path.name
        assert text.startswith(("//", "/*")), f"{path.name} says in its first line what it is"
        folder = path.relative_to(VIEWER / "src").parts[0]
        if folder in {"wire", "volume", "render", "tools"}:
            assert "preact" not in text, path.name
            assert '"../ui/' not in text, path.name
        if folder == "volume":
            assert not re.search(r'"\.\./(wire|render|tools)/', text), path.name
