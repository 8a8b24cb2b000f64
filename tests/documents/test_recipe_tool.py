"""The recipe "Add a tool to the viewer" of CONTRIBUTING, followed in a copy of the viewer: types and its tests pass."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
VIEWER = PROJECT / "viewer"


@pytest.mark.skipif(not (VIEWER / "node_modules" / "vitest").is_dir(), reason="needs Node: make setup")
def test_a_tool_is_a_file_and_a_row(tmp_path: Path) -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    recipe = text[text.index("## Add a tool to the viewer") :]
    code = re.search(r"```ts\n(.*?)```", recipe, re.DOTALL)
    assert code is not None
    copy = tmp_path / "viewer"
    shutil.copytree(VIEWER, copy, ignore=shutil.ignore_patterns("node_modules"))
    (copy / "node_modules").symlink_to(VIEWER / "node_modules")
    (copy / "src" / "tools" / "kinds" / "arrow.ts").write_text(code[1], "utf-8")
    registry = copy / "src" / "tools" / "registry.ts"
    before = registry.read_text("utf-8")
    after = before.replace("const MEASURING = [", "const MEASURING = [arrow, ")
    assert after != before
    registry.write_text(f'import {{ arrow }} from "./kinds/arrow";\n{after}', "utf-8")
    for command in (["npx", "tsc", "--noEmit"], ["npx", "vitest", "run", "test/tools.test.ts"]):
        done = subprocess.run(command, cwd=copy, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
