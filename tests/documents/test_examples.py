"""Every example runs as its own first lines say, and prints what it promises."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from hounsfield import phantom

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def run(name: str, *arguments: object) -> str:
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *map(str, arguments)]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_trust_before_use(tmp_path: Path) -> None:
    phantom.write(phantom.PhantomSpec(rows=32, columns=32, slices=4), tmp_path / "good")
    phantom.write(
        phantom.PhantomSpec(rows=32, columns=32, slices=4, seed=2, rescale_type="Z_EFF"), tmp_path / "map"
    )
    told = run("trust_before_use.py", tmp_path)
    assert "<Volume 4×32×32 int16 HU" in told
    assert "not used: Rescale Type is Z_EFF" in told


def test_lung_density(tmp_path: Path) -> None:
    phantom.write(phantom.PhantomSpec(rows=32, columns=32, slices=4), tmp_path)
    assert run("lung_density.py", tmp_path).endswith("ml between −950 and −700 HU\n")


def test_make_a_phantom(tmp_path: Path) -> None:
    told = run("make_a_phantom.py", tmp_path)
    assert "largest error against the truth: 0" in told


def test_every_example_is_tested() -> None:
    source = Path(__file__).read_text(encoding="utf-8")
    assert all(f'"{path.name}"' in source for path in EXAMPLES.glob("*.py"))
