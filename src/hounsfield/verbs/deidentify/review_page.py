"""The review as files beside the data: a page for a person, a table for a spreadsheet, JSON for programs.

The page stands alone, fetches nothing, needs no script; text out of DICOM files is escaped.
"""

from __future__ import annotations

import csv
import html
import json
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import Any

from hounsfield.dicom.dictionary import chinese_names
from hounsfield.outputs import whole_file
from hounsfield.verbs.deidentify.profile import Profile
from hounsfield.verbs.deidentify.wording import in_language, risks_of, said

JSON_NAME, TABLE_NAME, PAGE_NAME = "deidentification.json", "deidentification.csv", "deidentification.html"
_FORMULAS = ("=", "+", "-", "@", "\t")
_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, "PingFang SC", "Microsoft YaHei", sans-serif; margin: 0 auto; max-width: 70rem;
 padding: 1.25rem }
h1 { font-size: 1.35rem } h2 { font-size: 1.05rem; margin: 1.6rem 0 .4rem } .dim { opacity: .7 }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; vertical-align: top; padding: .2rem .8rem .2rem 0; border-bottom: 1px solid #8884 }
td:last-child, th:last-child { text-align: right; padding-right: 0 }
td.text { overflow-wrap: anywhere; white-space: pre-wrap } tr.cleaned td { font-weight: 600 }
"""


def write_review(summary: Mapping[str, Any], profile: Profile, folder: Path, lang: str) -> Path:
    """Write what `Summary.to_json` gives as JSON, its kept texts as CSV, and the page; its path."""
    with whole_file(folder / JSON_NAME, force=True) as temporary:
        temporary.write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n", "utf-8")
    with (
        whole_file(folder / TABLE_NAME, force=True) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as stream,
    ):
        writer = csv.DictWriter(stream, ("attribute", "text", "count", "cleaned"))
        writer.writeheader()
        writer.writerows({**row, "text": _cell(row["text"])} for row in summary["kept_texts"])
    with whole_file(folder / PAGE_NAME, force=True) as temporary:
        temporary.write_text(_page(summary, profile, lang), "utf-8")
    return folder / PAGE_NAME


def _cell(text: str) -> str:
    """Text out of a DICOM file, which a spreadsheet must not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _page(summary: Mapping[str, Any], profile: Profile, lang: str) -> str:
    title = html.escape(said("title", lang))
    sections = (
        _section(said("risks", lang), [(f"{name}: {risk}", "") for name, risk in risks_of(profile, lang)]),
        _kept(summary["kept_texts"], lang),
        _section(
            said("taken_out", lang),
            [(_called(keyword, lang), count) for keyword, count in summary["taken_out"].items()],
            said("taken_out_note", lang),
        ),
        _section(
            said("left_out", lang),
            [(in_language(reason, lang), count) for reason, count in summary["left_out"].items()],
        ),
        _section(said("not_done", lang), [(said("faces", lang), "")]),
    )
    return (
        f'<!doctype html><html lang="{"zh-Hans" if lang == "zh" else "en"}"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title><style>{_STYLE}</style></head>'
        f"<body><h1>{title}</h1><p>{html.escape(said('intro', lang))}</p>{''.join(sections)}</body></html>\n"
    )


def _called(keyword: str, lang: str) -> str:
    """A keyword, and what it is called in Chinese."""
    name = chinese_names().get(keyword) if lang == "zh" else None
    return f"{name} {keyword}" if name else keyword


def _section(title: str, rows: Any, note: str = "") -> str:
    lines = "".join(
        f'<tr><td class="text">{html.escape(str(name))}</td><td>{count}</td></tr>' for name, count in rows
    )
    said_of_it = f'<p class="dim">{html.escape(note)}</p>' if note else ""
    return f"<h2>{html.escape(title)}</h2>{said_of_it}<table>{lines}</table>" if lines else ""


def _kept(rows: list[dict[str, Any]], lang: str) -> str:
    """One line a text, the attribute's name once for all of its."""
    heads = "".join(f"<th>{html.escape(said(key, lang))}</th>" for key in ("attribute", "text", "count"))
    lines = []
    for attribute, group in groupby(rows, key=lambda row: row["attribute"]):
        name = html.escape(_called(attribute, lang))
        for row in group:
            kind = f' class="cleaned" title="{html.escape(said("part", lang))}"' if row["cleaned"] else ""
            text = html.escape(row["text"])
            lines.append(
                f'<tr{kind}><td>{name}</td><td class="text">{text}</td><td>{row["count"]:,}</td></tr>'
            )
            name = ""
    return f"<h2>{html.escape(said('title', lang))}</h2><table><tr>{heads}</tr>{''.join(lines)}</table>"
