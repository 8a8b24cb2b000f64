"""`hounsfield demo` as a command of its own process: where it shows the phantom, and where it just ends."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from viewer_browser import need_page

_SMALL = """
import sys
from dataclasses import replace
from hounsfield.cli import demo, main
spec = replace(demo.demo_spec(), rows=96, columns=96, slices=10, slice_step=6.0)
demo.demo_spec = lambda: spec
sys.exit(main(["demo", *sys.argv[1:]]))
"""


def _environment(**more: Any) -> dict[str, str]:
    desktop = {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"}
    return {name: value for name, value in os.environ.items() if name not in desktop} | more


@contextmanager
def _demo(*arguments: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-c", _SMALL, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_environment(**more),
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def _address(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return next(line.strip() for line in process.stdout if line.startswith("http://"))


def test_demo_with_view_serves_the_phantom_until_interrupted(tmp_path: Path) -> None:
    with _demo("--out", str(tmp_path / "out"), "--view", "--lang", "zh") as process:
        root, _, fragment = _address(process).partition("#")
        assert "series=" in fragment and fragment.endswith("lang=zh")
        with urllib.request.urlopen(f"{root}dicom-web/studies") as answer:
            assert len(json.load(answer)) == 1
        with urllib.request.urlopen(f"{root}dicom-web/capabilities") as answer:
            assert json.load(answer)["store"] is True
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_demo_in_a_pipe_ends_by_itself_even_on_a_desktop(tmp_path: Path) -> None:
    with _demo("--out", str(tmp_path / "out"), BROWSER=f"touch {tmp_path}/opened; true %s") as process:
        out, _ = process.communicate(timeout=120)
        assert process.returncode == 0
        assert "All 8 inserts agree" in out and "http://" not in out
    assert not (tmp_path / "opened").exists()


def _on_a_terminal(folder: Path, **more: Any) -> tuple[subprocess.Popen[bytes], int]:
    """The demonstration, and the other end of its terminal."""
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", _SMALL, "--out", str(folder)]
    environment = _environment(TERM="dumb", **more)
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    return process, ours


def _said(terminal: int) -> str:
    """All that was printed, once the other end is closed."""
    pieces: list[Any] = []
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:
            piece = b""
        if not piece:
            return b"".join(pieces).decode()
        pieces.append(piece)


def test_demo_on_a_terminal_without_a_desktop_ends_by_itself(tmp_path: Path) -> None:
    process, terminal = _on_a_terminal(tmp_path / "out")
    said = _said(terminal)
    assert process.wait(30) == 0
    os.close(terminal)
    assert "All 8 inserts agree" in said and "http://" not in said


def test_demo_on_a_desktop_opens_the_browser(tmp_path: Path) -> None:
    need_page()
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    process, terminal = _on_a_terminal(tmp_path / "out", BROWSER=f"{browser} %s")
    opened, until = tmp_path / "opened", time.monotonic() + 120
    while not (opened.exists() and opened.read_text().endswith("\n")) and time.monotonic() < until:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = _said(terminal)
    assert process.wait(30) == 0
    os.close(terminal)
    assert opened.read_text().strip() in said and "series=" in opened.read_text()
