"""Consoles, tables, JSON and progress bars for all verbs.

Colours and bars appear on a terminal only; in a pipe a table is plain, its lines whole at any width, and the
bar is silent. Text out of a DICOM file is data: it is never read as markup, and control characters in it are
shown rather than obeyed.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import click

from hounsfield.language import Sentence, translated

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

PIPE_WIDTH = 4096
"""Columns of a table in a pipe: enough that no cell is cut or folded, since the next program reads lines."""

_FOLDED = 12
"""Characters that a folding column keeps at least; where they are not to be had, rows become paragraphs."""

_LINES = 3
"""Lines that a row of a table may fold into before rows become paragraphs."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a table: the key of its value in each row, the heading, the side it is set to.

    A `folds` column may wrap on a narrow terminal; the others keep to one line while they can.
    """

    key: str
    heading: str
    align: Literal["left", "right"] = "left"
    folds: bool = False


class Progress(Protocol):
    """A running progress bar: call it with how much got done; `expect` sets the total once it is known."""

    def __call__(self, count: float = 1) -> None: ...

    def expect(self, total: float) -> None: ...


def console(*, err: bool = False) -> Console:
    """A rich console on the present stdout (`err`: stderr): colours on a terminal only, no markup."""
    from rich.console import Console

    stream = sys.stderr if err else sys.stdout
    return Console(
        stderr=err,
        width=None if stream.isatty() else PIPE_WIDTH,
        force_terminal=None if stream.isatty() else False,
        markup=False,
        emoji=False,
        highlight=False,
    )


def width() -> int:
    """Columns there are to draw in: the terminal's, or 100 in a pipe (a histogram must end somewhere)."""
    found = int(console().width)
    return 100 if found == PIPE_WIDTH else found


def echo(text: str = "", *, err: bool = False) -> None:
    """Print one plain line in the language that was chosen, its control characters shown."""
    click.echo(printable(translated(text)), err=err)


def labelled(label: str, text: str) -> None:
    """Print a line of facts: its label in a column of nine cells, then the text, both in the language chosen."""
    from rich.cells import set_cell_size

    echo(f"  {set_cell_size(translated(label), 9)} {translated(text)}")


def table(
    rows: Iterable[Mapping[str, Any]],
    columns: Sequence[Column],
    *,
    as_json: bool = False,
) -> None:
    """Print `rows` as a table of `columns`, or with `as_json` as a JSON array of the whole rows.

    A row may hold more keys than there are columns; they are for JSON only. `None` is an empty cell. On a terminal
    too narrow for the columns each row is a paragraph, so that nothing is cut.
    """
    rows = list(rows)
    if as_json:
        print_json(rows)
        return
    columns = [replace(column, heading=translated(column.heading)) for column in columns]
    screen = console()
    cells = [[_cell(row.get(column.key)) for column in columns] for row in rows]
    if not screen.is_terminal:
        click.echo("\n".join(_lines(cells, columns)))
    elif cells and not _fit(cells, columns, int(screen.width)):
        _print_paragraphs(screen, cells, columns)
    else:
        screen.print(_drawn(cells, columns))


def _lines(cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> Iterator[str]:
    """The table in a pipe, where nothing need be cut or coloured: a row a line, at a tenth of what drawing costs."""
    from rich.cells import cell_len

    rows = [[column.heading for column in columns], *cells]
    lengths = [[cell_len(cell) for cell in row] for row in rows]
    widths = [max(column) for column in zip(*lengths, strict=True)]
    to_the_right = [column.align == "right" for column in columns]
    for row, taken in zip(rows, lengths, strict=True):
        padded = zip(row, taken, widths, to_the_right, strict=True)
        yield "  ".join(
            " " * (width - length) + cell if right else cell + " " * (width - length)
            for cell, length, width, right in padded
        ).rstrip()


def _fit(cells: Sequence[Sequence[str]], columns: Sequence[Column], room: int) -> bool:
    """Return whether the cells stand side by side in a terminal so many characters wide, and are readable there."""
    from rich.cells import cell_len

    widths = [
        max(cell_len(column.heading), *(cell_len(row[at]) for row in cells))
        for at, column in enumerate(columns)
    ]
    if sum(widths) + 2 * (len(columns) - 1) <= room:
        return True
    folding = [at for at, column in enumerate(columns) if column.folds]
    whole = sum(width for at, width in enumerate(widths) if at not in folding)
    left = room - 2 * (len(columns) - 1) - whole
    if left < sum(min(_FOLDED, widths[at]) for at in folding):
        return False
    return all(sum(cell_len(row[at]) for at in folding) <= _LINES * left for row in cells)


def _print_paragraphs(screen: Console, cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> None:
    """Each row: its first cell, below it the short ones on as few lines as they need, the long ones on their own."""
    from rich.padding import Padding
    from rich.text import Text

    for first, *others in cells:
        named = [(column, cell) for column, cell in zip(columns[1:], others, strict=True) if cell]
        short = [f"{column.heading} {cell}" for column, cell in named if not column.folds]
        long = [f"{column.heading}  {cell}" for column, cell in named if column.folds]
        screen.print(Text(first, style="bold", overflow="fold"))
        for line in [*_filled(short, int(screen.width) - 2), *long]:
            screen.print(Padding(Text(line, overflow="fold"), (0, 0, 0, 2)))


def _filled(parts: Sequence[str], room: int) -> list[str]:
    """The parts on lines of at most so many characters, as many on each as it holds."""
    from rich.cells import cell_len

    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]} · {part}" if lines else ""
        if longer and cell_len(longer) <= room:
            lines[-1] = longer
        else:
            lines.append(part)
    return lines


def _drawn(cells: Sequence[Sequence[str]], columns: Sequence[Column]) -> Table:
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        drawn.add_column(
            column.heading,
            justify=column.align,
            no_wrap=not column.folds,
            overflow="fold" if column.folds else "ellipsis",
        )
    for row in cells:
        drawn.add_row(*(Text(cell) for cell in row))
    return drawn


def bytes_text(count: float) -> str:
    """A number of bytes as people read it: 950 B, 31.6 MB, 1.25 GB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.4g} TB"


def print_json(value: Any) -> None:
    """Print `value` as JSON: indented, in UTF-8, NaN and infinities as null, paths and UIDs as text."""
    click.echo(json.dumps(_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def printable(text: str) -> str:
    """`text` with control characters (an escape sequence would be obeyed by the terminal) made visible."""
    return "".join(
        character if character.isprintable() or character in "\n\t\u3000\u00a0" else _escaped(character)
        for character in text
    )


@contextmanager
def progress(description: str, total: float | None = None) -> Iterator[Progress]:
    """A bar on stderr while the block runs, if stderr is a terminal; nothing otherwise.

    ::

        with progress("Reading", total=len(files)) as done:
            for file in files:
                ...
                done()
    """
    screen = console(err=True)
    if not screen.is_terminal:
        yield _Silent()
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bars

    parts = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Bars(*parts, console=screen, transient=True) as bars:
        task = bars.add_task(printable(translated(description)), total=total)
        yield _Bar(
            lambda count: bars.advance(task, count),
            lambda expected: bars.update(task, total=expected),
        )


@dataclass(frozen=True, slots=True)
class _Bar:
    advance: Callable[[float], None]
    set_total: Callable[[float], None]

    def __call__(self, count: float = 1) -> None:
        self.advance(count)

    def expect(self, total: float) -> None:
        self.set_total(total)


class _Silent:
    def __call__(self, count: float = 1) -> None:
        return

    def expect(self, total: float) -> None:
        return


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return translated("yes" if value else "no")
    if isinstance(value, Sentence):
        value = translated(value)
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(_cell(item) for item in value)
    return " ".join(printable(str(value)).split("\n"))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _plain(value: Any) -> Any:
    """`value` in JSON's own types."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (int, str)):
        return value
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    method = getattr(value, "to_json", None) or getattr(value, "tolist", None)
    if callable(method):
        return _plain(method())
    if isinstance(value, Iterable) and not isinstance(value, Path):
        return [_plain(item) for item in value]
    return str(value)
