"""Every sentence that a person can be told, found in the source and in the commands, and those without Chinese.

    python tests/support/sentences.py        lists what chinese.tsv lacks

A sentence is the template of `say`, a constant in an error or a printed line, a reason, a heading of a table, the help
of an option or a paragraph of a command's help.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from hounsfield.cli import VERBS, main
from hounsfield.language.reasons import REASONS
from hounsfield.language.sentences import chinese

SOURCE = Path(__file__).parents[2] / "src/hounsfield"

SAID = {
    "say",
    "translated",
    "_refuse",
    "echo",
    "fail",
    "progress",
    "labelled",
    "Skipped",
    "Column",
    "UsageError",
    "BadParameter",
}
"""Calls whose constant arguments a person reads, beside those of errors."""

NAMED = {"expected", "remedy", "found", "where", "heading"}
"""Keyword arguments of such calls that are sentences."""

WORD = re.compile(r"[A-Za-z]{2,}")


def in_source(folder: Path = SOURCE) -> Iterator[tuple[str, str]]:
    """Sentences in calls: (template, file and line)."""
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                for text in _of_call(node):
                    yield text, f"{path.relative_to(folder)}:{node.lineno}"


def literals(folder: Path = SOURCE) -> set[str]:
    """Every string that stands in the source: what tables and variables may hold."""
    trees = (ast.parse(path.read_text("utf-8")) for path in folder.rglob("*.py"))
    nodes = (node for tree in trees for node in ast.walk(tree))
    return {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def _of_call(call: ast.Call) -> Iterator[str]:
    name = getattr(call.func, "id", getattr(call.func, "attr", ""))
    if not (name in SAID or name.endswith("Error")) or name == "TypeError" or name == "ValueError":
        return
    arguments = call.args[1:2] if name in ("Column", "_refuse", "Skipped") else call.args[:1]
    for argument in [*arguments, *(each.value for each in call.keywords if each.arg in NAMED)]:
        yield from _constants(argument)


def is_sentence(text: str) -> bool:
    """Return whether there are words in it, beside the names of its values and the parts of an address."""
    words = re.sub(r"\{\w+\}", "", text)
    return bool(WORD.search(words)) and (" " in text or "/" not in text)


def _constants(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        if is_sentence(node.value):
            yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _constants(node.body)
        yield from _constants(node.orelse)
    elif isinstance(node, ast.BoolOp):
        for value in node.values:
            yield from _constants(value)


def in_commands() -> Iterator[tuple[str, str]]:
    """Help of every command and option: (paragraph or sentence on one line, command)."""
    yield from ((line, "hounsfield --help") for line in VERBS.values())
    commands: list[tuple[str, click.Command]] = [("hounsfield", main)]
    for verb in VERBS:
        module = importlib.import_module(f"hounsfield.cli.{verb}")
        commands.append((verb, getattr(module, verb)))
    while commands:
        name, command = commands.pop(0)
        yield from ((text, name) for text in _of_command(command))
        if isinstance(command, click.Group) and command is not main:
            commands += [(f"{name} {part}", each) for part, each in command.commands.items()]


def _of_command(command: click.Command) -> Iterator[str]:
    for paragraph in inspect.cleandoc(command.help or "").partition("\f")[0].split("\n\n"):
        if paragraph and not paragraph.startswith("\b"):
            yield " ".join(paragraph.split())
    for option in command.params:
        if isinstance(option, click.Option) and option.help:
            yield " ".join(option.help.split())


def sentences() -> dict[str, str]:
    """Every sentence and where it is first found."""
    found: dict[str, str] = {}
    for text, where in [
        *in_source(),
        *((text, f"reasons: {key}") for key, text in REASONS.items()),
        *in_commands(),
    ]:
        found.setdefault(text, where)
    return found


def without_chinese() -> dict[str, str]:
    """Sentences that the catalogue lacks, and where they are."""
    return {text: where for text, where in sentences().items() if text not in chinese()}


if __name__ == "__main__":
    lacking = without_chinese()
    for text, where in lacking.items():
        print(f"{where}\t{text}")
    sys.exit(f"{len(lacking)} sentences without Chinese" if lacking else 0)
