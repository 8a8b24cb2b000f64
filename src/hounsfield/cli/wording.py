"""Help pages and usage errors in the language that was chosen; click's own words among them.

click writes English and wraps by characters; a Chinese sign takes two columns of a terminal and a line of Chinese may
break between any two of them.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Iterator

import click

from hounsfield.language import chosen, say, translated

_TERMS = 30
"""Columns that the terms of a list take at most, as in click."""

_NEVER_FIRST = "，。；：、！？）”》…"
"""Signs that no line of Chinese begins with."""


class HelpFormatter(click.HelpFormatter):
    """A help page that looks up every sentence in the catalogue."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        usage = translated("Usage:")
        super().write_usage(prog, args, prefix or (f"{usage} " if chosen() == "en" else usage))

    def write_heading(self, heading: str) -> None:
        if chosen() == "en":
            super().write_heading(heading)
        else:
            self.write(f"{'':>{self.current_indent}}{translated(heading)}：\n")

    def write_text(self, text: str) -> None:
        if chosen() == "en":
            super().write_text(text)
            return
        indent = " " * self.current_indent
        made = [
            "\n".join(indent + line for line in _lines(paragraph, self.width - self.current_indent))
            for paragraph in text.split("\n\n")
        ]
        self.write("\n\n".join(made) + "\n")

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = _TERMS, col_spacing: int = 2) -> None:
        if chosen() == "en":
            super().write_dl(rows, col_max, col_spacing)
            return
        kept = list(rows)
        indent = " " * self.current_indent
        column = min(max((_cells(term) for term, _ in kept), default=0), col_max) + col_spacing
        for term, said in kept:
            lines = list(_lines(said, max(self.width - column - self.current_indent, 10)))
            if _cells(term) > column - col_spacing:
                lines = [term, *(" " * column + line for line in lines)]
            else:
                first = lines[0] if lines else ""
                padded = term + " " * (column - _cells(term)) + first
                lines = [padded.rstrip(), *(" " * column + line for line in lines[1:])]
            self.write("".join(f"{indent}{line}\n" for line in lines))


class Context(click.Context):
    """The context of every verb, whose help is in the language that was chosen."""

    formatter_class = HelpFormatter


def usage_error(error: click.ClickException) -> str:
    """Return what was wrong with a command line, in the language that was chosen."""
    if chosen() == "en":
        return error.format_message()
    if isinstance(error, click.MissingParameter):
        kind = error.param.param_type_name if error.param is not None else "parameter"
        named = error.param.get_error_hint(error.ctx) if error.param is not None else ""
        return translated(say("missing {kind} {named}", kind=say(kind), named=named))
    if isinstance(error, click.NoSuchOption):
        near = ", ".join(error.possibilities or ())
        wrong = say("there is no option {name}", name=error.option_name)
        return translated(say("{wrong}; near it: {near}", wrong=wrong, near=near) if near else wrong)
    if isinstance(error, click.BadParameter):
        hint = error.param.get_error_hint(error.ctx) if error.param is not None else error.param_hint
        said = _of_click(error.message)
        return f"{hint}：{said}" if hint else said
    return _of_click(error.message)


def _of_click(message: str) -> str:
    """click's sentences have lost their templates: what stands before the first quote or colon is looked up."""
    known = translated(message)
    if known != message:
        return known
    for start, chinese in _BEGINNINGS:
        if message.startswith(start):
            return chinese + message.removeprefix(start).strip().rstrip(".")
    return message


_BEGINNINGS = (
    ("No such command", "没有此命令："),
    ("Got unexpected extra argument", "多余的参数："),
)


def _lines(said: str, width: int) -> Iterator[str]:
    """The lines of a paragraph or of an entry: translated without what click adds in brackets behind two spaces."""
    if said.startswith("\b"):
        yield from (translated(line) for line in said.removeprefix("\b\n").split("\n"))
        return
    text, _, extra = " ".join(inspect.cleandoc(said).split("\n")).partition("  [")
    whole = translated(" ".join(text.split()))
    if extra:
        whole += f" [{'；'.join(_extra(each) for each in extra.removesuffix(']').split('; '))}]"
    yield from _folded(whole, width)


def _extra(said: str) -> str:
    """Return an entry of the brackets behind an option: its default, its range, that it is required."""
    name, _, value = said.partition(": ")
    if not value:
        return translated(said)
    inner = value.removeprefix("(").removesuffix(")")
    return f"{translated(name)}：{translated(inner)}"


def _folded(text: str, width: int) -> Iterator[str]:
    """Lines of at most so many columns, broken at spaces or between Chinese signs."""
    line = ""
    for piece in _pieces(text):
        if line and _cells(line + piece.rstrip()) > width and piece not in _NEVER_FIRST:
            yield line.rstrip()
            line = piece.lstrip()
        else:
            line += piece
    if line.strip():
        yield line.rstrip()


def _pieces(text: str) -> Iterator[str]:
    """Pieces that are not broken: a Chinese sign, or a word of others with its space."""
    word = ""
    for sign in text:
        if _cells(sign) == 2:
            if word:
                yield word
            word = ""
            yield sign
        elif sign == " ":
            yield word + sign
            word = ""
        else:
            word += sign
    if word:
        yield word


def _cells(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
