"""The summary of a ledger as pages for the browser: a card for each series, those first that need a look.

Each page stands alone: pictures, histograms and style are inside it, nothing is fetched, no script is needed. Text
out of DICOM files is escaped. Light or dark as the reader's system is.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hounsfield.outputs import whole_file
from hounsfield.runs import STARTED, Record, Status
from hounsfield.runs.report.preview import DATA_URL
from hounsfield.runs.report.table import INTERRUPTED, before_of

PAGE_NAME = "hounsfield.html"
CARDS = 100
"""Series on one page: half a megabyte of thumbnails."""

Preview = Callable[[str], Mapping[str, Any]]

_SECTIONS = {
    "failed": "failed",
    "started": "not finished",
    "warned": "made, with warnings",
    "made": "made",
    "left-out": "left out",
}
"""Kinds of card in their order: those first that need a look."""

_KINDS = {Status.FAILED: "failed", STARTED: "started", Status.DONE: "made", Status.SKIPPED: "left-out"}
_COUNTED = {"copy": "instance", "compress": "file", "deidentify": "object"}
"""The unit of a verb's counts, where it is not voxels."""

_SHORT = 40
"""Characters of a fact that stays on one line."""

_BY_FILE = ("compress", "deidentify")
_OF_A_VOLUME = "Thumbnail: the middle slice. Histogram: a sample of the voxels"
_OF_A_FILE = "Thumbnail: the middle one of the files written. Histogram: a sample of its pixels"
_LEGEND = """, to the square root of their number so that tissue shows beside air; the dashed line is 0 HU, water."""

_STYLE = """
:root { color-scheme: light dark; --line: #d8dce2; --dim: #667085; --card: #fff; --page: #f5f6f8; --link: #175cd3;
 --failed: #b42318; --started: #b42318; --warned: #a15c07; --made: #067647; --left-out: #667085 }
@media (prefers-color-scheme: dark) { :root { --line: #343a43; --dim: #98a2b3; --card: #1b1f24; --page: #111417;
 --link: #84adff; --failed: #fda29b; --started: #fda29b; --warned: #fdb022; --made: #47cd89; --left-out: #98a2b3 } }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 78rem; padding: 1.25rem;
 background: var(--page) }
a { color: var(--link) } p { margin: .25rem 0 } .dim { color: var(--dim) } small, .uid { font-size: .8rem }
h1 { font-size: 1.35rem; margin: 0 } h2 { font-size: 1.05rem; margin: 1.6rem 0 .6rem; scroll-margin-top: 1rem }
h2 span { color: var(--dim); font-weight: normal } h3 { font-size: 1rem; margin: 0 }
nav { display: flex; gap: .5rem; margin: .9rem 0 0; flex-wrap: wrap; align-items: center }
nav a, nav span { border: 1px solid var(--line); border-radius: 1rem; padding: .15rem .75rem; background: var(--card);
 text-decoration: none; color: inherit }
nav b { color: var(--kind) } nav .here { color: var(--dim); border-style: dashed }
section { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(23rem, 100%), 1fr)); gap: .8rem }
article { border: 1px solid var(--line); border-left: 4px solid var(--kind); border-radius: 8px; padding: .8rem;
 min-width: 0; background: var(--card); overflow-wrap: anywhere }
article, nav a { --kind: var(--dim) } .failed { --kind: var(--failed) } .started { --kind: var(--started) }
.warned { --kind: var(--warned) } .made { --kind: var(--made) } .left-out { --kind: var(--left-out) }
.facts span { white-space: nowrap } .facts span:not(:last-child)::after { content: " ·"; color: var(--dim) }
.facts .long { white-space: normal }
.look { display: flex; gap: .8rem; margin: .6rem 0; align-items: flex-end }
.look img { background: #000; border-radius: 4px; width: 8rem; height: 8rem; object-fit: contain }
.look figure { margin: 0; flex: 1; min-width: 0 } .look svg { width: 100%; height: 6rem; display: block }
.look line { stroke: var(--link); stroke-dasharray: 2 2; vector-effect: non-scaling-stroke }
figcaption { font-size: .75rem; color: var(--dim); display: flex; justify-content: space-between }
ul { margin: .3rem 0; padding-left: 1.1rem } .reason, .warnings { color: var(--kind) }
footer { margin-top: 1.5rem }
"""


def write_pages(records: Sequence[Record], preview: Preview, folder: Path) -> list[Path]:
    """Write `hounsfield.html`, and `hounsfield-2.html` … where there are many; the paths. `preview` is by key."""
    ordered = sorted(records, key=lambda record: list(_SECTIONS).index(_kind(record)))
    count = max(1, -(-len(ordered) // CARDS))
    head, paths = _head(ordered), []
    for number in range(1, count + 1):
        path = folder / _page_name(number)
        page = _page(ordered[(number - 1) * CARDS : number * CARDS], preview, number, count, head)
        with whole_file(path, force=True) as temporary:
            temporary.write_text(page, "utf-8")
        paths.append(path)
    _remove_surplus(folder, count)
    return paths


def _kind(record: Record) -> str:
    if record.status == Status.DONE and record.warnings:
        return "warned"
    return _KINDS.get(record.status, "failed")


def _page_name(number: int) -> str:
    return PAGE_NAME if number == 1 else f"hounsfield-{number}.html"


def _remove_surplus(folder: Path, count: int) -> None:
    """Pages of an earlier, longer summary."""
    number = count + 1
    while (folder / _page_name(number)).exists():
        (folder / _page_name(number)).unlink()
        number += 1


def _head(ordered: Sequence[Record]) -> str:
    """Return what the run was, how many of each kind there are, and where these begin."""
    counted = Counter(map(_kind, ordered))
    begins: dict[str, int] = {}
    for place, record in enumerate(ordered):
        begins.setdefault(_kind(record), place // CARDS + 1)
    links = "".join(
        f'<a class="{kind}" href="{_page_name(begins[kind])}#{kind}"><b>{counted[kind]}</b> {_SECTIONS[kind]}</a>'
        for kind in _SECTIONS
        if kind in begins
    )
    verbs = " and ".join(sorted({record.verb for record in ordered if record.verb}))
    last = max((record.time for record in ordered), default="")
    lines = [f"{len(ordered)} series", f"last change {last[:16].replace('T', ' ')} UTC" if last else ""]
    lines += [_total(ordered)]
    versions = sorted({str(record.versions.get("hounsfield", "")) for record in ordered} - {""})
    lines += [f"version {', '.join(versions)}"] if versions else []
    return (
        f"<h1>{html.escape(f'hounsfield {verbs}'.strip())}</h1>"
        f'<p class="dim">{html.escape(" · ".join(filter(None, lines)))}</p><nav>{links}</nav>'
    )


def _total(records: Sequence[Record]) -> str:
    """Return what all series were and are, where both are known."""
    both = [(before_of(record), record.bytes) for record in records if before_of(record) and record.bytes]
    before, after = (sum(each) for each in zip(*both, strict=True)) if both else (0, 0)
    return f"{_size(before)} → {_size(after)}, {before / after:.2f} ×" if both else ""


def _page(records: Sequence[Record], preview: Preview, number: int, count: int, head: str) -> str:
    here = " on this page" if count > 1 else ""
    looks = {
        record.key: _look(preview(record.key), record.unit)
        for record in records
        if record.status == Status.DONE
    }
    sections = "\n".join(_section(kind, list(group), looks, here) for kind, group in groupby(records, _kind))
    pages = _pages(number, count)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>hounsfield: page {number} of {count}</title><style>{_STYLE}</style></head><body>
<header>{head}{pages}</header>
<main>
{sections}
</main>
<footer>{pages}<p class="dim">Made from the ledger, hounsfield.jsonl, which alone is the truth; hounsfield.csv is the
same as a table.{_legend(record.verb for record in records if looks.get(record.key))}</p></footer>
</body></html>
"""


def _legend(verbs: Iterable[str]) -> str:
    """Return what the pictures are, of those that are there."""
    lines = dict.fromkeys(_OF_A_FILE if verb in _BY_FILE else _OF_A_VOLUME for verb in sorted(verbs))
    return f" {'. '.join(lines)}{_LEGEND}" if lines else ""


def _section(kind: str, records: Sequence[Record], looks: Mapping[str, str], here: str) -> str:
    cards = "\n".join(_card(record, looks.get(record.key, "")) for record in records)
    title = _SECTIONS[kind].capitalize()
    return f'<h2 id="{kind}">{title} <span>{len(records)}{here}</span></h2>\n<section>\n{cards}\n</section>'


def _pages(number: int, count: int) -> str:
    if count == 1:
        return ""
    parts = []
    for label, other in (("first", 1), ("previous", number - 1), ("next", number + 1), ("last", count)):
        if 1 <= other <= count and other != number:
            parts.append(f'<a href="{_page_name(other)}">{label}</a>')
    return f'<nav><span class="here">page {number} of {count}</span>{"".join(parts)}</nav>'


def _card(record: Record, look: str) -> str:
    shape = " × ".join(map(str, record.shape))
    verdict = "" if record.reason.startswith(record.verdict) else record.verdict
    size = " → ".join(filter(None, (_size(before_of(record)), _size(record.bytes)))) + _ratio(record)
    facts = [
        fact for fact in (shape, record.unit, verdict, size, *_compressed(record), *_physics(record)) if fact
    ]
    counts = ", ".join(f"{count:,} {name}" for name, count in record.counts.items() if count)
    reason = INTERRUPTED if record.status == STARTED else record.reason
    warnings = "".join(f"<li>{html.escape(text)}</li>" for text in record.warnings)
    counted = _COUNTED.get(record.verb, "voxel") + ("" if sum(record.counts.values()) == 1 else "s")
    names = [name for name in (record.uid if record.series != record.uid else "", record.source) if name]
    return "".join(
        (
            f'<article class="{_kind(record)}"><h3>{_link(record)}</h3>',
            _facts(facts),
            look,
            f'<p class="reason">{html.escape(reason)}</p>' if reason else "",
            f'<ul class="warnings">{warnings}</ul>' if warnings else "",
            f'<p class="dim"><small>{counted}: {html.escape(counts)}</small></p>' if counts else "",
            f'<p class="dim uid">{"<br>".join(map(html.escape, names))}</p></article>',
        )
    )


def _physics(record: Record) -> list[str]:
    """The verdict of physics on a volume's numbers, where the verb asked for it."""
    found = record.facts.get("plausibility")
    return [f"physics: {found}"] if found else []


def _compressed(record: Record) -> list[str]:
    """Return what a verb over files tells of a series: how many, the syntaxes, what was won and what was lost."""
    facts = record.facts
    several = "" if facts.get("files") == 1 else "s"
    lines = [f"{facts['files']} file{several}", *_ways(facts.get("ways", ()))] if "files" in facts else []
    if facts.get("max_error"):
        some = "" if facts["measured"] == facts["files"] else f" in {facts['measured']} of them"
        lines.append(f"largest error {facts['max_error']:g} {facts.get('unit', '')}".rstrip() + some)
    if facts.get("psnr"):
        lines.append(f"PSNR {facts['psnr']:.1f} dB")
    return lines


def _ratio(record: Record) -> str:
    before = before_of(record) if record.verb == "compress" else 0
    return f", {before / record.bytes:.2f} ×" if before and record.bytes else ""


def _ways(ways: Iterable[str]) -> list[str]:
    """`rle → jpeg-ls` and `explicit → jpeg-ls` as one."""
    after: dict[str, list[str]] = {}
    for way in ways:
        one, arrow, other = way.partition(" → ")
        after.setdefault(f"{arrow}{other}", []).append(one)
    return [", ".join(ones) + other for other, ones in after.items()]


def _facts(facts: Sequence[str]) -> str:
    spans = (
        f'<span class="{"long" if len(fact) > _SHORT else "short"}">{html.escape(fact)}</span>'
        for fact in facts
    )
    return f'<p class="facts">{" ".join(spans)}</p>' if facts else ""


def _link(record: Record) -> str:
    name = html.escape(record.series or record.uid or record.key)
    if record.phase_name or record.phase:
        name += f" ({html.escape(record.phase_name or f'phase {record.phase}')})"
    if record.status != Status.DONE or not record.output or "://" in record.output:
        return name
    return f'<a href="{html.escape(quote(record.output))}">{name}</a>'


def _look(shown: Mapping[str, Any], unit: str) -> str:
    unit = str(shown.get("unit", unit))
    thumbnail, histogram = str(shown.get("thumbnail", "")), shown.get("histogram")
    if not thumbnail.startswith(DATA_URL) or not isinstance(histogram, Mapping):
        return ""
    window = html.escape(str(shown.get("window", "")))
    picture = (
        f'<img alt="middle slice, window {window}" title="window {window}" src="{html.escape(thumbnail)}">'
    )
    return f'<div class="look">{picture}{_histogram(histogram, unit)}</div>'


def _histogram(histogram: Mapping[str, Any], unit: str) -> str:
    """Bars to the square root of the count, so that tissue shows beside air; where units are HU, a line at water."""
    heights = [float(count) ** 0.5 for count in histogram["counts"]]
    top = max(heights) or 1.0
    bars = "".join(
        f"M{place} 60V{60 - 60 * height / top:.1f}h1V60z" for place, height in enumerate(heights) if height
    )
    least, most = float(histogram["low"]), float(histogram["high"])
    low, high = f"{least:g}".replace("-", "−"), f"{most:g}"
    water = ""
    if unit == "HU" and least < 0 < most:
        place = -least / (most - least) * len(heights)
        water = f'<line x1="{place:.1f}" x2="{place:.1f}" y1="0" y2="60"/>'
    return (
        f'<figure><svg viewBox="0 0 {len(heights)} 60" preserveAspectRatio="none" role="img" '
        f'aria-label="histogram from {low} to {high}"><path fill="currentColor" d="{bars}"/>{water}</svg>'
        f"<figcaption><span>{low}</span><span>{html.escape(unit)}</span><span>{high}</span></figcaption></figure>"
    )


def _size(size: int) -> str:
    return "" if not size else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
