"""Cycles among imports, in the Python package and in the viewer's TypeScript; run as a program, prints and counts them.

Sees every import statement, those within functions and for type checking, too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Set
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
_IMPORTED = re.compile(r"""(?:from|import)\s*\(?\s*["'](\.[^"']+)["']""")


def python_imports() -> dict[str, Set[str]]:
    """Return module → modules it imports, of the package."""
    graph = grimp.build_graph("hounsfield", cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def viewer_imports(source: Path = ROOT / "viewer" / "src") -> dict[str, Set[str]]:
    """Return file → files it imports, of the viewer."""
    imports: dict[str, Set[str]] = {}
    for path in source.rglob("*.ts*"):
        named = ((path.parent / name).resolve() for name in _IMPORTED.findall(path.read_text("utf-8")))
        candidates = ((base.with_name(base.name + end) for end in ("", ".ts", ".tsx")) for base in named)
        found = (next((each for each in some if each.is_file()), None) for some in candidates)
        imports[_name(path)] = {_name(each) for each in found if each is not None}
    return imports


def cycles(imports: Mapping[str, Set[str]]) -> list[list[str]]:
    """Return cycles, each as a path that ends where it begins; one for each import that would have to go."""
    left, found = {module: set(others) for module, others in imports.items()}, list[list[str]]()
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            cycle = list(reversed(error.args[1]))
            found.append(cycle)
            left[cycle[0]].discard(cycle[1])
        else:
            return found


def _name(path: Path) -> str:
    return path.resolve().relative_to(ROOT).as_posix()


if __name__ == "__main__":
    all_cycles = cycles(python_imports()) + cycles(viewer_imports())
    for each in all_cycles:
        print(" → ".join(each))
    print(f"{len(all_cycles)} import cycles")
    sys.exit(bool(all_cycles))
