"""The page of an analysis: one HTML file without scripts or addresses, English or Chinese.

Slices with the ROIs drawn as they were measured, tables, residuals, transfer, noise spectrum, a sparkline of each
number.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from hounsfield.ct.volume import Volume
from hounsfield.qa.result import Result
from hounsfield.qa.trend import Alarm, Run
from hounsfield.qa.words import WORDS, material

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:70rem;padding:0 1rem}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.25rem .7rem;border-bottom:1px solid #d8dee4;
text-align:right}
td:first-child,th:first-child{text-align:left}
.bad{color:#b3261e;font-weight:600}.good{color:#1a7f37}
.warn{background:#fff8e1;padding:.4rem .8rem;border-left:4px solid #f0b429;margin:.3rem 0}
.row{display:flex;flex-wrap:wrap;gap:1.2rem}figure{margin:0}figcaption{color:#57606a;font-size:13px}
footer{margin-top:2rem;color:#57606a;font-size:13px}img{max-width:100%}
"""


def page(
    results: Sequence[tuple[str, Result, Sequence[str]]],
    refused: Sequence[tuple[str, str]],
    runs: Sequence[Run],
    found: Sequence[Alarm],
    lang: str,
) -> str:
    """Return the HTML of analyses, each with its name and pictures (data addresses), in "en" or "zh"."""
    words = WORDS[lang]
    parts = [
        f'<!doctype html><html lang="{"zh-Hans" if lang == "zh" else "en"}"><head><meta charset="utf-8">',
        f"<title>{words['title']}</title><style>{_STYLE}</style></head><body><h1>{words['title']}</h1>",
    ]
    for name, result, pictures in results:
        parts += _section(name, result, pictures, words, lang)
    parts += _trend(runs, found, words)
    if refused:
        parts.append(f"<h2>{words['refused']}</h2>")
        parts.append(_table(("", ""), [(escape(name), escape(reason)) for name, reason in refused]))
    parts.append(f"<footer>{words['foot']}</footer></body></html>")
    return "\n".join(parts)


def pictures(volume: Volume, result: Result) -> list[str]:
    """Return the middle slice of each module as a PNG's data address, ROIs of the inserts drawn."""
    return [_picture(volume, each, result) for each in result.details["modules"]]


def _picture(volume: Volume, module: Mapping[str, Any], result: Result) -> str:
    number = module["slices"][len(module["slices"]) // 2]
    level, width = (100.0, 1600.0) if module["kind"] in ("inserts", "bars") else (50.0, 300.0)
    grey = np.clip((volume.array[number] - level) / width + 0.5, 0, 1) * 255
    image = Image.fromarray(grey.astype(np.uint8)).convert("RGB")
    draw = ImageDraw.Draw(image)
    if module["kind"] == "inserts":
        for each in result.details["inserts"]:
            place = np.array(each["place"], float)
            _, row, column = volume.index(place)
            size = each["radius"] / float(volume.spacing[1])
            draw.ellipse((column - size, row - size, column + size, row + size), outline=(255, 176, 0))
    image.thumbnail((420, 420))
    out = io.BytesIO()
    image.save(out, "PNG")
    return f"data:image/png;base64,{base64.b64encode(out.getvalue()).decode()}"


def _section(
    name: str, result: Result, drawn: Sequence[str], words: Mapping[str, str], lang: str
) -> Iterator[str]:
    details = result.details
    phantom = details["phantom"]
    yield f"<h2>{escape(name)}: {escape(phantom['title'])}</h2>"
    yield f"<p>{_placement(result, words)}</p>"
    for warning in result.warnings:
        yield f'<div class="warn">{escape(warning)}</div>'
    modules = zip(details["modules"], drawn, strict=False)
    yield (
        '<div class="row">'
        + "".join(
            f'<figure><img src="{address}" alt="{escape(each["name"])}">'
            f"<figcaption>{escape(each['name'])}, {words['slices']} {_span(each['slices'])}</figcaption></figure>"
            for each, address in modules
        )
        + "</div>"
    )
    head = [words[key] for key in ("insert", "nominal", "measured", "difference", "sd", "floor", "slices")]
    yield _table(head, [_insert(each, lang) for each in details["inserts"]])
    yield '<div class="row">'
    yield _bars(
        words["residuals"],
        [(e["name"], e["difference"]) for e in details["inserts"] if e["difference"] is not None],
    )
    edges = [(e["name"], e["ttf"]) for e in details["inserts"] if e["ttf"] is not None]
    yield _lines(words["ttf"], [(n, e["f"], e["ttf"]) for n, e in edges], "1/mm")
    if details.get("nps"):
        yield _lines(words["nps"], [("", details["nps"]["f"], details["nps"]["p"])], "1/mm")
    yield "</div>"
    yield _table(("", words["value"]), list(other_numbers(details, words)))
    missing = ", ".join(result.missing) or words["none"]
    yield f"<p>{words['missing']}: {escape(missing)}</p>"
    yield from _verdicts(result, words)


def _placement(result: Result, words: Mapping[str, str]) -> str:
    phantom = result.details["phantom"]
    following = f"{words['next']} {escape(phantom['next']['model'])} {phantom['next']['score']:.2f}"
    parts = [f"{words['score']} {phantom['score']:.3f} ({following})"]
    parts += [f"{words['roll']} {result.roll:.2f}°", f"{words['tilt']} {result.tilt:.2f}°"]
    for key, is_so in (("mirror", phantom["mirror"]), ("end", phantom["end"] == "reversed")):
        parts.append(f"{words[key]}: {words['yes' if is_so else 'no']}")
    return " · ".join(parts)


def _insert(each: Mapping[str, Any], lang: str) -> tuple[str, ...]:
    name = material(each["material"], lang)
    kv = "" if each["nominal_kv"] is None else f" ({each['nominal_kv']:g} kV)"
    measured = "–" if each["mean"] is None else f"{each['mean']:.1f} ± {each['se']:.2f}"
    nominal = "–" if each["nominal"] is None else f"{each['nominal']:.0f}{kv}"
    off = "–" if each["difference"] is None else f"{each['difference']:+.1f}"
    sd = "–" if each["sd"] is None else f"{each['sd']:.1f}"
    label = name if each["name"] == each["material"] else f"{name} ({each['name']})"
    return escape(label), nominal, measured, off, sd, f"{each['floor']:.1%}", _span(each["slices"])


def _span(numbers: Sequence[int]) -> str:
    return "–" if not numbers else f"{min(numbers)}–{max(numbers)}"


def other_numbers(details: Mapping[str, Any], words: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield name and text of what is measured beside the inserts."""
    line, uniform = details.get("linearity"), details.get("uniformity")
    if line:
        yield words["linearity"], f"{line['slope']:.4f} · x {line['offset']:+.1f} HU, r {line['r']:.5f}"
    if uniform and uniform["acr"] is not None:
        yield (
            words["uniformity"],
            f"{uniform['acr']:.2f} HU (IEC {uniform['iec']:.2f}, cup {uniform['cup']:.2f})",
        )
    if details.get("noise"):
        yield words["noise"], f"{details['noise']['sd']:.2f} HU, {details['noise']['percent']:.3f} %"
    thick = details.get("thickness")
    if thick and thick["fwhm"] is not None:
        yield (
            words["thickness"],
            f"{thick['fwhm']:.2f} mm ({thick['interval'][0]:.2f}–{thick['interval'][1]:.2f})",
        )
    nodes = details.get("geometry") or {}
    if nodes.get("distances"):
        yield words["geometry"], ", ".join(f"{each:.2f}" for each in nodes["distances"]) + " mm"
    for disc in details.get("low_contrast") or ():
        yield (
            f"{words['low contrast']} {escape(disc['name'])}",
            f"{disc['contrast']:.1f} HU, CNR {disc['cnr']}",
        )


def _verdicts(result: Result, words: Mapping[str, str]) -> Iterator[str]:
    if not result.verdicts:
        yield f"<p>{words['nothing judged']}</p>"
        return
    rows = []
    for each in result.verdicts:
        says = "not measured" if each["within"] is None else "within" if each["within"] else "broken"
        shade = {"within": "good", "broken": "bad"}.get(says, "")
        value = "–" if each["value"] is None else f"{each['value']:.2f}"
        bounds = " … ".join("" if each[key] is None else f"{each[key]:g}" for key in ("low", "high"))
        row = (
            escape(each["quantity"]),
            bounds,
            value,
            f'<span class="{shade}">{words[says]}</span>',
            escape(each["source"]),
        )
        rows.append(row)
    yield _table((words["limits"], "", words["value"], "", words["source"]), rows)


def _trend(runs: Sequence[Run], found: Sequence[Alarm], words: Mapping[str, str]) -> Iterator[str]:
    same = [run for run in runs if runs and run.key == runs[-1].key]
    if len(same) < 2:
        return
    yield f"<h2>{words['trend']}</h2>"
    rows = []
    for name in sorted({name for run in same for name in run.values}):
        values = [run.values[name] for run in same if name in run.values]
        said = ", ".join(f"{alarm.rule} ({alarm.since})" for alarm in found if alarm.quantity == name)
        shade = "bad" if any(a.quantity == name and a.rule != "1_2s" for a in found) else ""
        rows.append(
            (
                escape(name),
                _sparkline(values),
                f"{values[-1]:.2f}",
                f'<span class="{shade}">{escape(said)}</span>',
            )
        )
    yield _table(("", f"{same[0].date}–{same[-1].date}", words["value"], ""), rows)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f"<th>{each}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{each}</td>" for each in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _sparkline(values: Sequence[float]) -> str:
    low, high = min(values), max(values)
    scale = (high - low) or 1.0
    points = " ".join(
        f"{3 + 194 * index / max(len(values) - 1, 1):.1f},{27 - 24 * (value - low) / scale:.1f}"
        for index, value in enumerate(values)
    )
    return f'<svg width="200" height="30"><polyline points="{points}" fill="none" stroke="#0969da"/></svg>'


def _bars(title: str, values: Sequence[tuple[str, float]]) -> str:
    top = max((abs(value) for _, value in values), default=0.0) or 1.0
    rows = []
    for index, (name, value) in enumerate(values):
        y, size = 20 + 20 * index, 110 * abs(value) / top
        x = 230 if value >= 0 else 230 - size
        rows.append(f'<rect x="{x:.1f}" y="{y - 11}" width="{size:.1f}" height="14" fill="#0969da"/>')
        rows.append(f'<text x="2" y="{y}">{escape(name)}</text><text x="350" y="{y}">{value:+.1f}</text>')
    height = 30 + 20 * len(values)
    drawn = "".join(rows)
    svg = f'<svg width="400" height="{height}" font-size="12">{drawn}</svg>'
    return f"<figure>{svg}<figcaption>{title}, HU</figcaption></figure>"


def _lines(title: str, curves: Sequence[tuple[str, Sequence[float], Sequence[float]]], unit: str) -> str:
    if not curves:
        return ""
    right = max(max(x) for _, x, _ in curves) or 1.0
    top = max(max(y) for _, _, y in curves) or 1.0
    shades = ("#0969da", "#b3261e", "#1a7f37", "#8250df", "#9a6700", "#57606a", "#bf3989", "#0a7c8c")
    drawn = []
    for index, (name, x, y) in enumerate(curves):
        points = " ".join(
            f"{30 + 330 * a / right:.1f},{190 - 170 * b / top:.1f}" for a, b in zip(x, y, strict=True)
        )
        shade = shades[index % len(shades)]
        drawn.append(f'<polyline points="{points}" fill="none" stroke="{shade}"/>')
        drawn.append(f'<text x="270" y="{20 + 14 * index}" fill="{shade}">{escape(name)}</text>')
    axes = '<path d="M30 15V190H365" fill="none" stroke="#57606a"/>'
    ends = f'<text x="330" y="206">{right:.2g}</text><text x="2" y="24">{top:.3g}</text>'
    return (
        f'<figure><svg width="400" height="212" font-size="11">{axes}{ends}{"".join(drawn)}</svg>'
        f"<figcaption>{title}, {unit}</figcaption></figure>"
    )
