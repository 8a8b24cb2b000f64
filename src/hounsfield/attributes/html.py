"""Rows as one HTML page: nothing loaded from anywhere, light and dark, printable, both languages with a switch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from importlib import resources
from itertools import groupby
from typing import TextIO

from hounsfield.attributes.listing import Listing
from hounsfield.attributes.rows import Row
from hounsfield.dicom.dictionary import ITEM, Language, Phrase

CUT = 600
"""Characters of a value before the rest is counted only; JSON and CSV have it whole."""

_INSTANCES = Phrase(
    "{} instances; the first is shown, ≠ marks what differs", "{} 个实例；显示第一个，≠ 表示各实例不同"
)
_VARIES = Phrase("{} values in the series", "序列内有 {} 个不同值")
_BROKEN = Phrase("not a valid value", "值无效")
_TITLE = Phrase("DICOM tags", "DICOM 标签")
_HEADINGS = (
    Phrase("Tag", "标签"),
    Phrase("VR", "VR"),
    Phrase("Keyword", "关键字"),
    Phrase("Name", "名称"),
    Phrase("Value", "值"),
)


def write_html(listings: Iterable[Listing], out: TextIO, *, language: Language = "en") -> None:
    """Write the page; it opens in `language`. Everything that came out of a file is escaped."""
    page = resources.files(__package__)
    style, script = ((page / name).read_text("utf-8") for name in ("page.css", "page.js"))
    out.write(
        f'<!DOCTYPE html>\n<html lang="{"zh-Hans" if language == "zh" else "en"}" data-names="{language}">\n<head>\n'
        '<meta charset="utf-8">\n<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        # Nothing in the page may load or send anything, whatever a file's text manages to be.
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        "script-src 'unsafe-inline'\">\n"
        f"<title>{_TITLE.say(language)}</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f'<header><h1>{_both(_TITLE)}</h1><input id="search" type="search" aria-label="Search 搜索" '
        'placeholder="Search · 搜索"><button id="language" type="button">English · 中文</button></header>\n<main>\n'
    )
    for listing in listings:
        out.writelines(_section(listing))
    out.write(f"</main>\n<script>\n{script}</script>\n</body>\n</html>\n")


def _section(listing: Listing) -> Iterator[str]:
    yield f"<section>\n<h2>{escape(listing.title)}</h2>\n<p class=source>{escape(listing.source)}</p>\n"
    if listing.instances > 1:
        yield f"<p class=source>{_both(_filled(_INSTANCES, listing.instances))}</p>\n"
    for group, rows in groupby(listing.rows, key=lambda row: row.group):
        yield f"<details open><summary>{_both(group.title)}</summary>\n<table>\n<thead><tr>"
        yield "".join(f"<th scope=col>{_both(heading)}</th>" for heading in _HEADINGS)
        yield "</tr></thead>\n<tbody>\n"
        for row in rows:
            yield _row(row)
        yield "</tbody>\n</table>\n</details>\n"
    yield "</section>\n"


def _row(row: Row) -> str:
    depth = f' style="--depth:{row.depth}"' if row.depth else ""
    if row.tag == ITEM:
        number = escape(row.path.rpartition("[")[2])
        return f"<tr class=item{depth}><td></td><td></td><td>[{number}</td><td></td><td></td></tr>\n"
    value = row.value
    shown = escape(value[:CUT]) + (f" … (+{len(value) - CUT})" if len(value) > CUT else "")
    notes = f"<small>{_both(row.explanation)}</small>" if row.explanation.en else ""
    if row.distinct > 1:
        notes += f"<em>≠ {_both(_filled(_VARIES, row.distinct))}</em>"
    if row.broken:
        notes += f"<em>! {_both(_BROKEN)}</em>"
    creator = f" <i>{escape(row.creator)}</i>" if row.creator else ""
    return (
        f'<tr{depth}><td>{row.number}</td><td><abbr title="{escape(row.vr_name.en)} · {escape(row.vr_name.zh)}">'
        f"{escape(row.vr)}</abbr></td><td>{escape(row.keyword)}</td><td>{_both(row.name)}{creator}</td>"
        f"<td><span>{shown}</span>{notes}</td></tr>\n"
    )


def _both(phrase: Phrase) -> str:
    english, chinese = escape(phrase.en), escape(phrase.say("zh"))
    if english == chinese:
        return english
    return f"<span lang=en>{english}</span><span lang=zh>{chinese}</span>"


def _filled(phrase: Phrase, count: int) -> Phrase:
    return Phrase(phrase.en.format(count), phrase.zh.format(count))
