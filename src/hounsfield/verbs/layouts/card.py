"""The data card of a data set: what is in it, from which scanners, how well it was judged, and what was left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hounsfield.language import say, translated
from hounsfield.verbs.layouts.cases import Case

_COUNTED = {
    "Manufacturer": say("Makers"),
    "ManufacturerModelName": say("Models"),
    "ConvolutionKernel": say("Kernels"),
    "KVP": say("Tube voltage (kV)"),
    "unit": say("Unit"),
    "verdict": say("Geometry"),
    "plausibility": say("Plausibility of the numbers"),
}


def card(
    cases: Sequence[Case],
    labels: Mapping[str, int],
    folds: Sequence[Sequence[str]],
    left_out: Sequence[tuple[str, str]],
) -> dict[str, Any]:
    """The card as JSON values; `left_out`: (name, reason)."""
    spacings = np.array([case.facts["spacing"] for case in cases], np.float64).reshape(-1, 3)
    same: dict[str, list[str]] = {}
    for case in cases:
        same.setdefault(case.digest, []).append(case.id)
    return {
        "cases": len(cases),
        "labelled": sum(bool(case.label) for case in cases),
        "patients": len({case.patient for case in cases}),
        "labels": dict(labels),
        "folds": [list(fold) for fold in folds],
        "spacing": {
            name: {
                "least": float(part.min()),
                "median": float(np.median(part)),
                "greatest": float(part.max()),
            }
            for name, part in zip(("slice", "row", "column"), spacings.T, strict=True)
        }
        if len(cases)
        else {},
        **{
            keyword: dict(Counter(str(case.facts[keyword]) for case in cases).most_common())
            for keyword in _COUNTED
        },
        "duplicates": [names for names in same.values() if len(names) > 1],
        "implausible": [case.id for case in cases if case.facts["implausible"]],
        "warnings": {case.id: case.facts["warnings"] for case in cases if case.facts["warnings"]},
        "left_out": [{"name": name, "reason": reason} for name, reason in left_out],
    }


def card_text(made: Mapping[str, Any], name: str) -> str:
    """The card as Markdown, in the language that was chosen."""
    lines = [f"# {name}", ""]
    counted = say(
        "{cases} cases of {patients} patients, {labelled} with labels",
        cases=made["cases"],
        patients=made["patients"],
        labelled=made["labelled"],
    )
    lines += [translated(counted), ""]
    for keyword, heading in _COUNTED.items():
        shown = ", ".join(f"{value} × {count}" for value, count in made[keyword].items())
        lines.append(f"- {translated(heading)}: {shown}")
    if made["spacing"]:
        shown = " · ".join(
            f"{each['least']:g} … {each['median']:g} … {each['greatest']:g}"
            for each in made["spacing"].values()
        )
        lines.append(f"- {translated('Spacing (slice · row · column, mm)')}: {shown}")
    labels = ", ".join(f"{number} {label}" for label, number in made["labels"].items())
    lines.append(f"- {translated('Labels')}: {labels or '–'}")
    for heading, rows in (
        (say("Same values under two names"), [" = ".join(names) for names in made["duplicates"]]),
        (say("Numbers that cannot be HU"), made["implausible"]),
        (say("Warnings"), [f"{case}: {'; '.join(texts)}" for case, texts in made["warnings"].items()]),
        (say("Left out"), [f"{each['name']}: {each['reason']}" for each in made["left_out"]]),
    ):
        lines += ["", f"## {translated(heading)}", "", *([f"- {row}" for row in rows] or ["–"])]
    return "\n".join(lines) + "\n"
