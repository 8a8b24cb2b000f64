"""The summary of a ledger as pages for the browser: a card for each series, those first that need a look.

Each page stands alone: pictures, histograms and style are inside it, nothing is fetched, no script is needed. Text
out of DICOM files is escaped. Light or dark as the reader's system is.
"""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hounsfield.batch import FAILED, LEFT_OUT, MADE, STARTED, Record
from hounsfield.outputs import whole_file
from hounsfield.report.preview import DATA_URL
from hounsfield.report.table import INTERRUPTED

PAGE_NAME = "hounsfield.html"
CARDS = 100
"""Series on one page: half a megabyte of thumbnails."""

Preview = Callable[[str], Mapping[str, Any]]

_ORDER = (FAILED, STARTED, MADE, LEFT_OUT)
_COUNTED = {"copy": "instances"}
"""What the counts of a verb are of, where not voxels."""

_SHOWN = {STARTED: "not finished"}
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --dim: #6b7280; --bad: #b91c1c; --warn: #a16207; --good: #15803d }
@media (prefers-color-scheme: dark) { :root { --dim: #9ca3af; --bad: #f87171; --warn: #facc15; --good: #4ade80 } }
* { box-sizing: border-box }
body { font: 15px/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 76rem; padding: 1rem }
h1 { font-size: 1.3rem; margin: 0 0 .2rem } h2 { font-size: 1rem; margin: 0; overflow-wrap: anywhere }
p { margin: .2rem 0 } .dim { color: var(--dim) } .uid { font-size: .8rem; overflow-wrap: anywhere }
nav { display: flex; gap: 1rem; margin: .8rem 0; flex-wrap: wrap }
main { display: grid; grid-template-columns: repeat(auto-fill, minmax(23rem, 1fr)); gap: .8rem }
@media (max-width: 25rem) { main { grid-template-columns: 1fr } }
article { border: 1px solid var(--line); border-left: 4px solid var(--dim); border-radius: 6px }
article { padding: .7rem; min-width: 0 }
article.failed, article.started { border-left-color: var(--bad) } article.warned { border-left-color: var(--warn) }
article.made { border-left-color: var(--good) }
.look { display: flex; gap: .7rem; margin: .5rem 0; align-items: flex-end }
.look img { background: #000; border-radius: 4px; width: 8rem; height: 8rem; object-fit: contain }
.look svg { flex: 1; min-width: 0; height: 6rem } .look figure { margin: 0; flex: 1; min-width: 0 }
figcaption { font-size: .75rem; color: var(--dim); display: flex; justify-content: space-between }
ul { margin: .3rem 0; padding-left: 1.1rem } .reason { color: var(--bad) } .warnings { color: var(--warn) }
.left-out .reason { color: var(--dim) }
"""


def write_pages(records: Sequence[Record], preview: Preview, folder: Path) -> list[Path]:
    """Write `hounsfield.html`, and `hounsfield-2.html` … where there are many; the paths. `preview` is by key."""
    ordered = sorted(records, key=_urgency)
    count = max(1, -(-len(ordered) // CARDS))
    totals, paths = _totals(records), []
    for number in range(1, count + 1):
        path = folder / _page_name(number)
        page = _page(ordered[(number - 1) * CARDS : number * CARDS], preview, number, count, totals)
        with whole_file(path, force=True) as temporary:
            temporary.write_text(page, "utf-8")
        paths.append(path)
    _remove_surplus(folder, count)
    return paths


def _urgency(record: Record) -> tuple[int, bool]:
    known = record.status in _ORDER
    return _ORDER.index(record.status) if known else 0, not record.warnings


def _page_name(number: int) -> str:
    return PAGE_NAME if number == 1 else f"hounsfield-{number}.html"


def _remove_surplus(folder: Path, count: int) -> None:
    """Pages of an earlier, longer summary."""
    number = count + 1
    while (folder / _page_name(number)).exists():
        (folder / _page_name(number)).unlink()
        number += 1


def _totals(records: Sequence[Record]) -> str:
    counted = Counter(record.status for record in records)
    parts = [f"{counted[status]} {_SHOWN.get(status, status)}" for status in _ORDER if counted[status]]
    warned = sum(record.status == MADE and bool(record.warnings) for record in records)
    return f"{len(records)} series: {', '.join(parts)}" + (f"; {warned} with warnings" if warned else "")


def _page(records: Sequence[Record], preview: Preview, number: int, count: int, totals: str) -> str:
    cards = "\n".join(_card(record, preview(record.key)) for record in records)
    pages = _pages(number, count)
    return f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>hounsfield: {html.escape(totals)}</title><style>{_STYLE}</style></head><body>
<header><h1>hounsfield</h1><p>{html.escape(totals)}</p>{pages}</header>
<main>
{cards}
</main>
<footer>{pages}<p class="dim">Made from the ledger, which is the truth: hounsfield.jsonl</p></footer>
</body></html>
"""


def _pages(number: int, count: int) -> str:
    if count == 1:
        return ""
    parts = [f"<span>page {number} of {count}</span>"]
    for label, other in (("first", 1), ("previous", number - 1), ("next", number + 1), ("last", count)):
        if 1 <= other <= count and other != number:
            parts.append(f'<a href="{_page_name(other)}">{label}</a>')
    return f"<nav>{' '.join(parts)}</nav>"


def _card(record: Record, shown: Mapping[str, Any]) -> str:
    kind = "warned" if record.status == MADE and record.warnings else record.status.replace(" ", "-")
    shape = " × ".join(map(str, record.shape))
    facts = " · ".join(part for part in (shape, record.unit, record.verdict, _size(record.bytes)) if part)
    counts = ", ".join(f"{count:,} {name}" for name, count in record.counts.items() if count)
    reason = INTERRUPTED if record.status == STARTED else record.reason
    warnings = "".join(f"<li>{html.escape(text)}</li>" for text in record.warnings)
    return "".join(
        (
            f'<article class="{html.escape(kind)}"><h2>{_link(record)}</h2>',
            f"<p><b>{html.escape(_SHOWN.get(record.status, record.status))}</b> {html.escape(facts)}</p>",
            _look(shown) if record.status == MADE else "",
            f'<p class="reason">{html.escape(reason)}</p>' if reason else "",
            f'<ul class="warnings">{warnings}</ul>' if warnings else "",
            f'<p class="dim">{_COUNTED.get(record.verb, "voxels")}: {html.escape(counts)}</p>'
            if counts
            else "",
            f'<p class="dim uid">{html.escape(record.uid)}<br>{html.escape(record.source)}</p></article>',
        )
    )


def _link(record: Record) -> str:
    name = html.escape(record.series or record.uid or record.key)
    if record.phase:
        name += f" (phase {record.phase})"
    if record.status != MADE or not record.output or "://" in record.output:
        return name
    return f'<a href="{html.escape(quote(record.output))}">{name}</a>'


def _look(shown: Mapping[str, Any]) -> str:
    thumbnail, histogram = str(shown.get("thumbnail", "")), shown.get("histogram")
    if not thumbnail.startswith(DATA_URL) or not isinstance(histogram, Mapping):
        return ""
    window = html.escape(str(shown.get("window", "")))
    picture = (
        f'<img alt="middle slice, window {window}" title="window {window}" src="{html.escape(thumbnail)}">'
    )
    return f'<div class="look">{picture}{_histogram(histogram)}</div>'


def _histogram(histogram: Mapping[str, Any]) -> str:
    """Bars to the square root of the count, so that tissue shows beside air."""
    heights = [float(count) ** 0.5 for count in histogram["counts"]]
    top = max(heights) or 1.0
    bars = "".join(
        f"M{place} 60V{60 - 60 * height / top:.1f}h1V60z" for place, height in enumerate(heights) if height
    )
    low, high = f"{histogram['low']:g}", f"{histogram['high']:g}"
    return (
        f'<figure><svg viewBox="0 0 {len(heights)} 60" preserveAspectRatio="none" role="img" '
        f'aria-label="histogram from {low} to {high}"><path fill="currentColor" d="{bars}"/></svg>'
        f"<figcaption><span>{low}</span><span>√ of counts</span><span>{high}</span></figcaption></figure>"
    )


def _size(size: int) -> str:
    return "" if not size else f"{size / 1e6:.1f} MB" if size >= 1e5 else f"{size / 1e3:.1f} kB"
