"""Rows as text: a table folded to the terminal's width, or whole lines in a pipe.

Text out of a file is data: control characters in it are shown, not obeyed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TextIO

from hounsfield.attributes.listing import Listing
from hounsfield.attributes.rows import Row
from hounsfield.dicom.dictionary import ITEM, Group, Language, Phrase

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

SHOWN_ITEMS = 3
"""Items of a sequence on a terminal; the rest is counted. `full` shows all."""

SHOWN_LINES = 3
"""Lines a value may take on a terminal; what is cut is counted. `full` shows all."""

_WIDE = 120  # columns from which keyword and name both fit
_HEADINGS = {
    "tag": Phrase("Tag", "标签"),
    "vr": Phrase("VR", "VR"),
    "keyword": Phrase("Keyword", "关键字"),
    "name": Phrase("Name", "名称"),
    "value": Phrase("Value", "值"),
}
_MORE_ITEMS = Phrase("… {} more items (--full shows them)", "…… 另有 {} 个条目（--full 全部显示）")
_CUT = Phrase(" … {} more characters", " …… 另有 {} 个字符")
_BROKEN = Phrase("not a valid value", "值无效")
_INSTANCES = Phrase(
    "{} instances; the first is shown, ≠ n marks an attribute with n values in the series",
    "{} 个实例；显示第一个，≠ n 表示该属性在序列内有 n 个不同值",
)


def print_table(
    listings: Iterable[Listing], console: Console, *, language: Language = "en", full: bool = False
) -> None:
    """Print on a terminal: groups under their titles, nested elements indented, long values folded and cut."""
    from rich.text import Text

    for number, listing in enumerate(listings):
        if number:
            console.print()
        console.print(Text(_plain(listing.title), "bold reverse"))
        console.print(Text(_plain(listing.source), "dim"))
        if listing.instances > 1:
            console.print(Text(_INSTANCES.say(language).format(listing.instances), "dim"))
        rows = listing.rows if full else tuple(_first_items(listing.rows, language))
        console.print(_table(rows, console.width, language, full))


def write_lines(listings: Iterable[Listing], out: TextIO, *, language: Language = "en") -> None:
    """One line for each element, in columns, nothing cut: what a pipe gets."""
    for number, listing in enumerate(listings):
        heads = [f"# {_plain(listing.title)}", f"# {_plain(listing.source)}"]
        if listing.instances > 1:
            heads.append(f"# {_INSTANCES.say(language).format(listing.instances)}")
        out.write("\n" * bool(number) + "\n".join(heads) + "\n")
        columns = zip(*(_columns(row, language) for row in listing.rows), strict=True)
        lines = zip(*map(_padded, columns), (_said(row, language) for row in listing.rows), strict=True)
        group: Group | None = None
        for row, line in zip(listing.rows, lines, strict=True):
            if row.group is not group:
                group = row.group
                out.write(f"\n{group.title.say(language)}\n")
            out.write("  ".join(line).rstrip() + "\n")


def _padded(column: Sequence[str]) -> list[str]:
    """Cells filled up with spaces to the width of the widest, in columns of a terminal."""
    if "".join(column).isascii():
        width = max(map(len, column))
        return [cell.ljust(width) for cell in column]
    from rich.cells import cell_len

    widths = [cell_len(cell) for cell in column]
    most = max(widths)
    return [cell + " " * (most - width) for cell, width in zip(column, widths, strict=True)]


def _columns(row: Row, language: Language) -> tuple[str, str, str, str]:
    indent = "  " * row.depth
    if row.tag == ITEM:
        return "", "", f"{indent}[{row.path.rpartition('[')[2]}", ""
    return row.number, row.vr, indent + (row.keyword or "-"), _name(row, language)


def _said(row: Row, language: Language) -> str:
    said = [row.value if row.value.isprintable() else _plain(row.value)] if row.value else []
    if explanation := row.explanation.say(language):
        said.append(f"| {explanation}")
    said.extend(f"| {note}" for note in _notes(row, language))
    return "  ".join(said)


def _notes(row: Row, language: Language) -> Iterator[str]:
    if row.distinct > 1:
        yield f"≠ {row.distinct}"
    if row.broken:
        yield "! " + _BROKEN.say(language)


def _name(row: Row, language: Language) -> str:
    name = row.name.say(language)
    return _plain(f"{name} [{row.creator}]" if row.creator else name)


def _table(rows: Sequence[Row], width: int, language: Language, full: bool) -> Table:
    from rich.table import Table
    from rich.text import Text

    both = width >= _WIDE
    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 0), expand=False)
    for key in ("tag", "vr"):
        table.add_column(_HEADINGS[key].say(language), no_wrap=True)
    for key in ("keyword", "name") if both else ("name",):
        table.add_column(
            _HEADINGS[key].say(language), overflow="fold", max_width=width // 4 if both else width // 3
        )
    table.add_column(_HEADINGS["value"].say(language), overflow="fold")
    room = None if full else SHOWN_LINES * max(20, width - 15 - (width // 2 if both else width // 3) - 4)
    group: Group | None = None
    for row in rows:
        if row.group is not group:
            group = row.group
            table.add_row(Text(group.title.say(language), "bold cyan"))
        table.add_row(*_cells(row, language, both, room))
    return table


def _cells(row: Row, language: Language, both: bool, room: int | None) -> Iterator[Text]:
    from rich.text import Text

    indent = "  " * row.depth
    if row.tag == ITEM:
        label = row.value or f"[{row.path.rpartition('[')[2]}"
        yield from (Text(), Text(), Text(indent + label, "dim"))
        return
    yield Text(row.number, "dim")
    yield Text(row.vr, "dim")
    if both:
        yield Text(indent + row.keyword)
        indent = ""
    yield Text(indent + _name(row, language))
    value = _plain(row.value)
    if room is not None and len(value) > room:
        value = value[:room] + _CUT.say(language).format(len(value) - room)
    cell = Text(value, "bold" if row.depth == 0 else "")
    if explanation := row.explanation.say(language):
        cell.append(("  " if value else "") + _plain(explanation), "not bold green")
    for note in _notes(row, language):
        cell.append("  " + note, "not bold yellow")
    yield cell


def _first_items(rows: Iterable[Row], language: Language) -> Iterator[Row]:
    """`rows` without what stands in items after the first few; a line counts the items left out."""
    skipping: int | None = None  # depth of the sequence whose later items are skipped
    pending: list[tuple[Row, int]] = []
    for row in rows:
        if skipping is not None and (row.depth > skipping or (row.tag == ITEM and row.depth == skipping)):
            if row.tag == ITEM and row.depth == skipping:
                pending[-1] = (row, pending[-1][1] + 1)
            continue
        if skipping is not None:
            yield _left_out(*pending.pop(), language)
            skipping = None
        if row.tag == ITEM and int(row.path.rpartition("[")[2].rstrip("]")) >= SHOWN_ITEMS:
            skipping = row.depth
            pending.append((row, 1))
            continue
        yield row
    if skipping is not None:
        yield _left_out(*pending.pop(), language)


def _left_out(last: Row, count: int, language: Language) -> Row:
    from dataclasses import replace

    return replace(last, value=_MORE_ITEMS.say(language).format(count))


def _plain(text: str) -> str:
    """`text` on one line, control characters made visible."""
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() or character in "\u3000\u00a0" else _escaped(character)
        for character in text.replace("\r\n", "\n")
    )


def _escaped(character: str) -> str:
    return {"\n": " ⏎ ", "\t": " "}.get(character) or character.encode("unicode_escape").decode("ascii")
