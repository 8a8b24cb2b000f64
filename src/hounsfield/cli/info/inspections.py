"""An `Inspection` on a terminal: a block of lines, and a histogram drawn in eighths of a cell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from rich.cells import set_cell_size
from rich.text import Text

from hounsfield.cli.terminal import console, printable
from hounsfield.ct.geometry import TILT_FLAG_DEGREES, Verdict
from hounsfield.ct.histogram import Histogram
from hounsfield.ct.plausibility import Plausibility
from hounsfield.language import Sentence, chosen, listed, say, translated
from hounsfield.verbs.inspect import Inspection, Trust

if TYPE_CHECKING:
    from rich.console import Console

_EIGHTHS = " ▁▂▃▄▅▆▇█"
_HEIGHT = 6
_PHASES = 12  # named in the long form
_COLOURS = {Trust.GREEN: "green", Trust.AMBER: "yellow", Trust.RED: "red"}
_TRUST = {
    Trust.GREEN: "nothing to object to",
    Trust.AMBER: "usable; know this:",
    Trust.RED: "not a volume of Hounsfield units as it is:",
}
_LANDMARKS = ((-1000, "air"), (0, "water"), (1000, "bone"))


def summary(item: Inspection) -> dict[str, Any]:
    """One row of the short table."""
    return {
        "name": item.name,
        "verdict": say(str(item.verdict)),
        "slices": item.slices,
        "matrix": "×".join(map(str, item.matrix)),
        "spacing": " × ".join(f"{mm:.3g}" for mm in _spacing(item)),
        "unit": item.unit,
        "rescale": _formula(item),
        "syntax": ", ".join(item.syntaxes),
        "trust": say(str(item.trust)),
    }


def show(item: Inspection, columns: int) -> None:
    """Print one series."""
    screen = console()
    facts = item.facts
    scanner = " ".join(facts[key] for key in ("Manufacturer", "ManufacturerModelName") if key in facts)
    heading = " · ".join(
        part for part in (item.name, facts.get("Modality", ""), scanner, _date(facts)) if part
    )
    screen.print(Text(printable(heading), style="bold"))
    for label, value in _lines(item):
        _print_hanging(screen, Text(f"  {set_cell_size(translated(label), 9)}", style="dim"), value)
    _show_trust(item)
    if item.histogram is not None:
        screen.print()
        for line in histogram_lines(item.histogram, min(columns, 100) - 4, item.unit):
            screen.print(Text(f"  {line}"))


def _lines(item: Inspection) -> list[tuple[str, str]]:
    left_out = (
        [say("{count}: {reason}", count=len(item.left_out), reason=item.left_out[0][1])]
        if item.left_out
        else []
    )
    return [
        ("series", item.uid),
        ("volume", _geometry(item)),
        ("values", _values(item)),
        ("stored", _stored(item)),
        *([("smaller", _compressed(item))] if item.compressed else []),
        ("padding", _padding(item)),
        *([("range", _range(item))] if item.histogram is not None else []),
        *([("physics", _physics(item.plausibility))] if item.plausibility is not None else []),
        *(("left out", each) for each in left_out),
    ]


def _geometry(item: Inspection) -> str:
    rows, columns = item.matrix
    count = say("1 slice") if item.slices == 1 else say("{count} slices", count=item.slices)
    verdict = say(str(item.verdict))
    parts = [
        say(
            "{verdict}: {count} of {rows} × {columns}",
            verdict=verdict,
            count=count,
            rows=rows,
            columns=columns,
        )
    ]
    *apart, between_rows, between_columns = _spacing(item) or (0.0, 0.0)
    parts += [say("{mm} mm apart", mm=_length(step)) for step in apart]
    if item.spacing is not None:
        parts.append(
            say("pixels {rows} × {columns} mm", rows=f"{between_rows:.4g}", columns=f"{between_columns:.4g}")
        )
    if item.tilt_degrees > TILT_FLAG_DEGREES:
        parts.append(say("tilted {degrees}°", degrees=f"{item.tilt_degrees:.2f}"))
    if item.missing:
        parts.append(say("{count} missing", count=item.missing))
    if len(item.phases) > 1:
        parts.append(say("{count} phases: {names}", count=len(item.phases), names=_listed(item.phases)))
    return listed(parts, ", ")


def _listed(names: tuple[str, ...]) -> str:
    shown = "; ".join(names[:_PHASES])
    return f"{shown} …" if len(names) > _PHASES else shown


def _length(mm: float) -> str:
    """Three decimals, or as many as a micro-CT needs."""
    return f"{mm:.3f}" if mm >= 0.1 else f"{mm:.4g}"


def _spacing(item: Inspection) -> tuple[float, ...]:
    """(slice, row, column) mm, (row, column) where slices have no even step, () where there is none at all."""
    if item.spacing is None:
        return ()
    uneven = item.slices == 1 or item.verdict in (Verdict.IRREGULAR, Verdict.NOT_A_VOLUME)
    return item.spacing[1:] if uneven else item.spacing


def _values(item: Inspection) -> str:
    slope, intercept = item._half(0), item._half(1)
    pair = say(
        "Rescale Slope (0028,1053) {slope}, Intercept (0028,1052) {intercept}",
        slope=_number(slope),
        intercept=_number(intercept),
    )
    if None in item.rescale:
        return say("{unit} by Modality LUT Sequence (0028,3000)", unit=item.unit)
    if item.already_hounsfield:
        kind = say("already HU") if item.is_hounsfield else say("no rescale")
        return say("{kind} (slope 1, intercept 0): {pair}", kind=kind, pair=pair)
    return say("stored values → {unit}: {formula}; {pair}", unit=item.unit, formula=_formula(item), pair=pair)


def _formula(item: Inspection) -> Sentence:
    slope, intercept = item._half(0), item._half(1)
    if None in item.rescale:
        return say("Modality LUT")
    if isinstance(slope, list) or isinstance(intercept, list) or slope is None or intercept is None:
        return say("differs by slice")
    sign = "−" if intercept < 0 else "+"
    line = f"{slope:g} {sign} {abs(intercept):g}"
    return say("stored × {line}", line=line)


def _number(value: float | list[float] | None) -> str:
    if value is None:
        return say("none")
    return f"{value[0]:g} … {value[-1]:g}" if isinstance(value, list) else f"{value:g}"


def _stored(item: Inspection) -> str:
    parts: list[str] = []
    if item.bits is not None:
        allocated, stored, signed = item.bits
        sign = say("signed") if signed else say("unsigned")
        parts.append(
            say("{stored} of {allocated} bits, {sign}", stored=stored, allocated=allocated, sign=sign)
        )
    syntaxes = (name if len(item.syntaxes) == 1 else f"{name} × {n}" for name, n in item.syntaxes.items())
    parts.append(", ".join(syntaxes))
    if item.pixel_bytes:
        parts.append(say("{megabytes} MB of pixels", megabytes=f"{item.pixel_bytes / 1e6:.1f}"))
    if item.lossy:
        parts.append(say("lossy"))
    return listed(parts, " · ")


def _compressed(item: Inspection) -> str:
    """The short form of `compress --estimate`, without loss."""
    sizes = [
        say(
            "{megabytes} MB as {keyword} ({ratio}×)",
            megabytes=f"{size / 1e6:.1f}",
            keyword=keyword,
            ratio=f"{item.pixel_bytes / size:.1f}",
        )
        for keyword, size in item.compressed.items()
        if size
    ]
    return say("{sizes}, without loss", sizes=listed(sizes, ", "))


def _padding(item: Inspection) -> str:
    declared = item.padding_declared
    parts = [say("none declared")]
    if declared is not None:
        low, high = declared
        parts = [say("declared {value} (stored value)", value=str(low) if low == high else f"{low} … {high}")]
    if item.counts is not None and declared is not None:
        parts.append(say("{count} voxels held it and are now −1024", count=f"{item.counts.padded:,}"))
    if item.counts is not None and item.counts.clamped:
        parts.append(say("{count} voxels below −1024 were raised to it", count=f"{item.counts.clamped:,}"))
    return listed(parts)


def _range(item: Inspection) -> str:
    histogram = item.histogram
    assert histogram is not None
    low, high = histogram.range
    ends, median = f"{low:.6g} … {high:.6g} {item.unit}", f"{histogram.percentile(0.5):.6g}"
    return say("{ends}, median {median}", ends=ends, median=median)


def _physics(found: Plausibility) -> str:
    """Return what the numbers themselves say, with its evidence."""
    sentences = listed([Sentence(each) for each in found.sentences(chosen())])
    return say("{verdict}: {evidence}", verdict=say(str(found.verdict)), evidence=sentences)


def _show_trust(item: Inspection) -> None:
    screen, trust = console(), item.trust
    lead = Text(f"  {set_cell_size(translated('trust'), 9)}", style="dim")
    said = (translated(trust), f"bold {_COLOURS[trust]}")
    colon = ": " if chosen() == "en" else "："
    screen.print(Text.assemble(lead, said, f"{colon}{translated(_TRUST[trust])}"))
    for caution in item.cautions:
        _print_hanging(screen, Text("           – "), caution)


def _print_hanging(screen: Console, lead: Text, value: str) -> None:
    """`lead` and `value` on lines of the terminal's width, set under the first; on one line in a pipe."""
    lines = Text(printable(translated(value))).wrap(screen, max(20, screen.width - lead.cell_len))
    for number, line in enumerate(lines):
        line.rstrip()
        screen.print(Text.assemble(" " * lead.cell_len if number else lead, line), soft_wrap=True)


def _date(facts: dict[str, str]) -> str:
    date = facts.get("StudyDate", "")
    return f"{date[:4]}-{date[4:6]}-{date[6:8]}" if len(date) == 8 and date.isdigit() else date


def histogram_lines(histogram: Histogram, columns: int, unit: str) -> list[str]:
    """A histogram, counts to the square root so that tissue shows beside air, with marks for air, water and bone."""
    low, high = histogram.range
    columns = max(20, min(columns, len(histogram.counts)))
    edges, counts = histogram.rebinned(columns)
    heights = np.sqrt(counts / max(1, counts.max())) * _HEIGHT * 8
    lines = []
    for level in range(_HEIGHT - 1, -1, -1):
        cells = np.clip(np.ceil(heights) - level * 8, 0, 8).astype(int)
        lines.append("".join(_EIGHTHS[cell] for cell in cells))
    axis, labels = ["─"] * columns, [" "] * (columns + 12)
    marks = [(low, f"{low:.6g}"), (high, f"{high:.6g} {unit}")]
    if unit.startswith("HU"):
        marks += [(value, translated(name)) for value, name in _LANDMARKS if low < value < high]
    taken: list[range] = []
    for value, name in marks:
        place = min(int((value - edges[0]) / (edges[-1] - edges[0]) * columns), columns - 1)
        start = max(0, min(place - len(name) // 2, columns - len(name)))
        span = range(start - 1, start + len(name) + 1)
        axis[place] = "┴"
        if any(cell in other for other in taken for cell in span):
            continue
        taken.append(span)
        labels[start : start + len(name)] = name
    return [*lines, "".join(axis), "".join(labels).rstrip()]
