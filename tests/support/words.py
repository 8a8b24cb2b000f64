"""Plain words in src: how docstrings begin, names that say nothing, phrases of our own; `make lint` runs it.

Run as a script it names each offending line, counts what has a limit, and ends with 1 if anything is wrong.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "src" / "hounsfield"
MOST_TOLD = 20
"""Lines with the word `told`, which stood for report, response, log and notice alike."""

MOST_ROOMS = 24
"""Names at the root of the package, so that its map stays one that a reader keeps in mind."""

QUESTIONS = re.compile(r"(What|Where|How|Who)\b")
EMPTY_NAMES = frozenset(
    ("utils", "util", "common", "core", "config", "helpers", "helper", "manager", "managers")
)
PHRASES = re.compile(r"who are you|half done|are not any more|(?:what|where|who) became of", re.IGNORECASE)

_WORDS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_NAMED = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
_DOCUMENTED = (ast.Module, *_NAMED)


def offences(path: Path) -> Iterator[str]:
    """Yield each line of a module with a docstring, name or phrase that is not allowed."""
    text = path.read_text("utf-8")
    if path.stem in EMPTY_NAMES or path.parent.name in EMPTY_NAMES:
        yield f"{path}:1: a module called {path.stem}: say what is in it"
    for number, line in enumerate(text.splitlines(), 1):
        if found := PHRASES.search(line):
            yield f'{path}:{number}: "{found[0]}": use the word of the trade (outcome, incomplete, authentication …)'
    tree = ast.parse(text)
    for node in ast.walk(tree):
        if isinstance(node, _NAMED) and _last_word(node.name) in EMPTY_NAMES:
            yield f"{path}:{node.lineno}: {node.name}: say what it is or does"
    for begin, docstring in _docstrings(tree):
        if QUESTIONS.match(docstring):
            yield f"{path}:{begin}: a docstring that begins like a question: begin with a verb or a noun"


def _last_word(name: str) -> str:
    words = _WORDS.findall(name)
    return words[-1].lower() if words else ""


def _docstrings(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yield the docstrings of modules, classes and functions, and those that follow an assignment."""
    for node in ast.walk(tree):
        body: list[ast.stmt] = getattr(node, "body", []) if isinstance(node, _DOCUMENTED) else []
        for before, statement in zip([node, *body], body, strict=False):
            is_place = isinstance(before, (*_DOCUMENTED, ast.Assign, ast.AnnAssign)) or before is node
            if is_place and isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
                value = statement.value.value
                if isinstance(value, str):
                    yield statement.lineno, value.lstrip()


def modules() -> list[Path]:
    """Return every module of the package."""
    return sorted(SOURCES.rglob("*.py"))


def lines_with_told(paths: Iterable[Path]) -> int:
    """Return on how many lines of these modules the word stands."""
    word = re.compile(r"\btold\b")
    return sum(bool(word.search(line)) for path in paths for line in path.read_text("utf-8").splitlines())


def rooms() -> list[str]:
    """Return the names at the root of the package: rooms and modules."""
    found = (path for path in SOURCES.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file())
    return sorted(path.stem for path in found if not path.stem.startswith("_"))


def main() -> int:
    """Print offences and counts; return the exit status."""
    found = [offence for path in modules() for offence in offences(path)]
    told, names = lines_with_told(modules()), rooms()
    print(*found, sep="\n", end="\n" if found else "")
    print(
        f"{told} lines with `told` (at most {MOST_TOLD}), {len(names)} rooms at the root (at most {MOST_ROOMS})"
    )
    return int(bool(found) or told > MOST_TOLD or len(names) > MOST_ROOMS)


if __name__ == "__main__":
    sys.exit(main())
