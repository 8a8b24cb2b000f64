"""The recipe "Add a route to the server" of CONTRIBUTING, followed in a copy of the package: types, and an answer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).parents[2]

PROGRAM = """
from pathlib import Path

from server_support import instances, path_of, running

with running(Path({folder!r})) as server:
    contents = instances(slices=4, rows=8, columns=6)
    server.store(contents)
    path = path_of(contents[0], "series") + "/size"
    assert server.get(path).json() == {{"shape": [4, 8, 6]}}, server.get(path).text
    assert server.http.options(path).headers["allow"] == "GET, HEAD, OPTIONS"
    assert "/studies/{{study}}/series/{{series}}/size" in server.get("/openapi.json").json()["paths"]
    assert 'route="/studies/{{study}}/series/{{series}}/size",status="200"' in server.get("/metrics").text
"""


def test_a_route_is_a_function_and_a_row(tmp_path: Path) -> None:
    text = (PROJECT / "CONTRIBUTING.md").read_text("utf-8")
    recipe = text[text.index("## Add a route to the server") :]
    module, row = re.findall(r"```python\n(.*?)```", recipe, re.DOTALL)[:2]
    package = tmp_path / "src" / "hounsfield"
    shutil.copytree(
        PROJECT / "src" / "hounsfield", package, ignore=shutil.ignore_patterns("__pycache__", "page")
    )
    routes = package / "server" / "routes"
    (routes / "volume_size.py").write_text(module, "utf-8")
    table = (routes / "table.py").read_text("utf-8")
    with_row = table.replace("    viewer,\n", "    viewer,\n    volume_size,\n", 1)
    with_row = with_row.replace("_VOLUMES = (\n", f"_VOLUMES = (\n{row}", 1)
    assert with_row.count("volume_size") == 3
    (routes / "table.py").write_text(with_row, "utf-8")
    path = os.pathsep.join((str(tmp_path / "src"), *(each for each in sys.path if each)))
    environment = os.environ | {"PYTHONPATH": path}
    program = PROGRAM.format(folder=str(tmp_path / "archive"))
    for command in (
        ["-m", "mypy", "--config-file", str(PROJECT / "pyproject.toml"), "--follow-imports=silent",
         str(routes / "volume_size.py"), str(routes / "table.py")],
        ["-c", program],
    ):  # fmt: skip
        done = subprocess.run(
            [sys.executable, *command], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
