"""Only `hounsfield.dicom` spells a table of VRs or takes the header of an element apart: `make lint` looks for others.

Run as a script it names each offending line and ends with 1; `--walkers` prints the modules that walk over elements.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from hounsfield.dicom.vr import KNOWN

SOURCES = Path(__file__).parents[2] / "src" / "hounsfield"
VRS = frozenset(vr.decode() for vr in KNOWN)
HEADER = re.compile(r"[<>=!@]?HH(2sHI?|I|L)")
"""What `struct` calls the header of an element or item (PS3.5 7.1.2, 7.1.3, 7.5)."""

STRUCT_CODES = frozenset("BbHhIiLlQqfd")
FEWEST = 4
"""VRs that make a table; two or three together are a rule of who asks."""

ALLOWED = {
    "dimse/commands.py": "command sets have no VRs and one group (PS3.7 6.3.1)",
}


def _text(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, bytes)):
        return node.value if isinstance(node.value, str) else node.value.decode("latin-1")
    return None


def _is_table(node: ast.AST) -> bool:
    """A collection of VR names alone, in a literal or a text that is split, or their codes of `struct`."""
    if isinstance(node, (ast.Set, ast.List, ast.Tuple)):
        names = [_text(each) for each in node.elts]
        return len(names) >= FEWEST and all(name in VRS for name in names)
    if isinstance(node, ast.Dict):
        keys = [_text(key) for key in node.keys if key is not None]
        values = [_text(value) for value in node.values]
        return len(keys) >= FEWEST and set(keys) <= VRS and all(value in STRUCT_CODES for value in values)
    words = (_text(node) or "").split()
    return len(words) >= FEWEST and set(words) <= VRS


def offences(path: Path) -> Iterator[str]:
    """Each line of a module that ought to ask `hounsfield.dicom`."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        text = _text(node)
        if text is not None and HEADER.fullmatch(text):
            yield f"{path}:{node.lineno}: takes the header of an element apart: use hounsfield.dicom"  # type: ignore[attr-defined]
        elif _is_table(node):
            yield f"{path}:{node.lineno}: a table of VRs: use hounsfield.dicom.vr"  # type: ignore[attr-defined]


def modules() -> Iterator[Path]:
    for path in sorted(SOURCES.rglob("*.py")):
        name = path.relative_to(SOURCES).as_posix()
        if not name.startswith("dicom/") and name not in ALLOWED:
            yield path


def walkers() -> list[str]:
    """The modules that step from element to element: those with a loop over headers of `struct`."""
    found = []
    for path in sorted(SOURCES.rglob("*.py")):
        if path.relative_to(SOURCES).as_posix() in ALLOWED:
            continue
        text = path.read_text("utf-8")
        if (
            any(HEADER.fullmatch(each) for each in re.findall(r'"([^"\n]*)"', text))
            and "while position" in text
        ):
            found.append(path.relative_to(SOURCES).as_posix())
    return found


def main(arguments: list[str]) -> int:
    if "--walkers" in arguments:
        print("\n".join(walkers()))
        return 0
    found = [offence for path in modules() for offence in offences(path)]
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
