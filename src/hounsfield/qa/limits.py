"""Limits by name: data with its source. Without a set that was named nothing is judged.

A row whose text was not at hand is `confirmed: false`: it judges only when that was asked for in as many words.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from hounsfield.errors import MalformedError, SelectionError
from hounsfield.language import say
from hounsfield.qa.result import Result

_LARGEST_FILE = 1 << 20


@dataclass(frozen=True)
class LimitSet:
    """Rows of {quantity, low, high, source, confirmed}; which rows judge was settled when it was read."""

    name: str
    title: str
    source: str
    rows: tuple[Mapping[str, Any], ...]

    def verdicts(self, result: Result) -> Iterator[dict[str, Any]]:
        """Yield each row with what was measured; `within` is None where nothing was."""
        for row in self.rows:
            value = quantity(result, str(row["quantity"]))
            low, high = row.get("low"), row.get("high")
            is_within = (
                None if value is None else (low is None or value >= low) and (high is None or value <= high)
            )
            yield {**row, "value": value, "within": is_within, "limits": self.name}


def names() -> tuple[str, ...]:
    """Return the built-in sets."""
    found = (Path(each.name) for each in (files(__package__) / "limit_sets").iterdir())
    return tuple(sorted(each.stem for each in found if each.suffix == ".json"))


def named(name: str | Path, *, unconfirmed: bool = False) -> LimitSet:
    """Return a set by name or from a JSON file; raises `SelectionError` and `MalformedError`."""
    text = str(name)
    if text in names():
        content = (files(__package__) / "limit_sets" / f"{text}.json").read_bytes()
    elif Path(text).suffix == ".json" and Path(text).is_file() and Path(text).stat().st_size <= _LARGEST_FILE:
        content = Path(text).read_bytes()
    else:
        raise SelectionError(
            say("limits {text}", text=repr(text)),
            expected=say("one of {listed} or a .json file", listed=", ".join(names())),
        )
    found = _parsed(content, text)
    if not unconfirmed and not all(row["confirmed"] for row in found.rows):
        kept = tuple(row for row in found.rows if row["confirmed"])
        if not kept:
            raise SelectionError(
                say("the numbers of {title} were not checked against its text", title=found.title),
                expected="limits whose source was read",
                where=text,
                remedy="compare them with your copy, then --unconfirmed-limits, or name a file of your own",
            )
        return LimitSet(found.name, found.title, found.source, kept)
    return found


def _parsed(content: bytes, where: str) -> LimitSet:
    try:
        data = json.loads(content)
        rows = tuple(_row(each) for each in data["limits"])
        found = LimitSet(
            str(data["name"]), str(data.get("title", data["name"])), str(data.get("source", "")), rows
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedError(
            say("not a set of limits: {error}", error=repr(error)),
            expected="JSON as docs/qa.md describes it",
            where=where,
        ) from error
    for row in found.rows:
        if not row["source"].strip() and not found.source.strip():
            raise MalformedError(
                say("the limit of {row} has no source", row=row["quantity"]),
                expected="where each number comes from",
                where=where,
            )
        if row["quantity"].partition(":")[0] not in _QUANTITIES:
            raise MalformedError(
                say("quantity {row}", row=repr(row["quantity"])),
                expected=say("one of {listed}", listed=", ".join(_QUANTITIES)),
                where=where,
            )
    return found


def _row(data: Mapping[str, Any]) -> dict[str, Any]:
    low, high = data.get("low"), data.get("high")
    if low is None and high is None:
        raise ValueError("a row without low and high")
    for bound in (low, high):
        if bound is not None and not math.isfinite(bound):
            raise ValueError("a bound that is not finite")
    return {
        "quantity": str(data["quantity"]),
        "low": low,
        "high": high,
        "source": str(data.get("source", "")),
        "confirmed": bool(data.get("confirmed", True)),
    }


_QUANTITIES = ("insert", "uniformity", "uniformity_signed", "noise_percent", "linearity", "node", "cnr")
"""`insert:NAME` is HU; `linearity` the largest |measured − nominal|; `node` the largest error of a distance, mm."""


def quantity(result: Result, name: str) -> float | None:
    """Return a measured quantity by its name in a set, or None where it was not measured."""
    kind, _, which = name.partition(":")
    details = result.details
    if kind == "insert":
        found = [each["mean"] for each in details["inserts"] if which in (each["name"], each["material"])]
        if (
            not found
            and which == "water"
            and details.get("uniformity")
            and result.model.name in ("acr464", "water")
        ):
            found = [details["uniformity"]["mean"]]
        return found[0] if found else None
    places = {
        "uniformity": ("uniformity", "acr"),
        "uniformity_signed": ("uniformity", "signed"),
        "noise_percent": ("noise", "percent"),
        "linearity": ("linearity", "largest_difference"),
        "node": ("geometry", "largest_difference"),
    }
    if kind == "cnr":
        discs = details.get("low_contrast") or []
        return discs[0]["cnr"] if discs else None
    group, key = places[kind]
    value = (details.get(group) or {}).get(key)
    return None if value is None else float(value)
