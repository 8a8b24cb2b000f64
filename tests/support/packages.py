"""Small packages of other people, installed by pip into a folder of their own: what an entry point is worth."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path

PROJECT = Path(__file__).parents[2]


def install(site: Path, name: str, modules: Mapping[str, str], project: str) -> None:
    """Install a package with these modules (name → text) and the entry points of its `pyproject.toml` into `site`."""
    wheel = site.parent / f"{name}-1.0-py3-none-any.whl"
    info = f"{name}-1.0.dist-info"
    groups = tomllib.loads(project)["project"]["entry-points"]
    lines = [
        line
        for group, points in groups.items()
        for line in (f"[{group}]", *(f"{key} = {value}" for key, value in points.items()))
    ]
    with zipfile.ZipFile(wheel, "w") as archive:
        for module, text in modules.items():
            archive.writestr(f"{module}.py", text)
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        archive.writestr(
            f"{info}/WHEEL",
            "Wheel-Version: 1.0\nGenerator: a test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        )
        archive.writestr(f"{info}/entry_points.txt", "\n".join(lines) + "\n")
        archive.writestr(f"{info}/RECORD", "")
    options = ("--quiet", "--disable-pip-version-check", "--no-deps", "--no-index", "--target", str(site))
    subprocess.run([sys.executable, "-m", "pip", "install", *options, str(wheel)], check=True)


def blocks(title: str) -> list[str]:
    """The blocks of code of one recipe, in order."""
    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    recipe = text[text.index(f"## {title}") :].partition("\n## ")[0]
    return re.findall(r"```\w+\n(.*?)```", recipe, re.DOTALL)


def environment(site: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(site)}


def verb(site: Path, *arguments: object) -> str:
    command = [sys.executable, "-m", "hounsfield", *map(str, arguments)]
    done = subprocess.run(
        command, env=environment(site), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def contract_tests(site: Path) -> int:
    """Run the package's own tests, `test_it.py`, and return how many passed; none may fail."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        site,
        site / "test_it.py",
    ]
    done = subprocess.run(
        [*map(str, command)],
        env=environment(site),
        cwd=site,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return int(re.findall(r"(\d+) passed", done.stdout)[0])
