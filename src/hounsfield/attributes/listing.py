"""The listing that a renderer gets: the rows of one instance, and of which series it speaks. Also the CSV renderer."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TextIO

from hounsfield.attributes.rows import Row
from hounsfield.dicom.dictionary import ITEM, Language

COLUMNS = (
    "source",
    "group",
    "path",
    "tag",
    "keyword",
    "vr",
    "name",
    "value",
    "explanation",
    "distinct",
    "creator",
)
"""The header of the CSV."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The rows of one instance.

    `source` is the file they were read from, `title` what the series is called, `instances` how many instances the
    series has (1 when each instance is listed by itself).
    """

    source: str
    title: str
    rows: tuple[Row, ...]
    instances: int = 1


def write_csv(listings: Iterable[Listing], out: TextIO, *, language: Language = "en") -> None:
    """One line for each element, values whole (binary ones by length and first bytes); items have no line."""
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(COLUMNS)
    for listing in listings:
        for row in listing.rows:
            if row.tag == ITEM:
                continue
            writer.writerow(
                (
                    listing.source,
                    row.group.value,
                    row.path,
                    row.number,
                    row.keyword,
                    row.vr,
                    row.name.say(language),
                    row.value,
                    row.explanation.say(language),
                    row.distinct,
                    row.creator or "",
                )
            )
