"""`hounsfield find`: the studies, series or instances that match, in a folder or on a server."""

from __future__ import annotations

import csv
import sys
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli import options
from hounsfield.cli.terminal import Column, echo, table
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped

_HEADINGS = {
    "PatientName": "patient",
    "PatientID": "ID",
    "StudyDate": "date",
    "ModalitiesInStudy": "modalities",
    "StudyDescription": "description",
    "AccessionNumber": "accession",
    "NumberOfStudyRelatedSeries": "series",
    "NumberOfStudyRelatedInstances": "instances",
    "Modality": "modality",
    "SeriesNumber": "number",
    "SeriesDescription": "description",
    "NumberOfSeriesRelatedInstances": "instances",
    "InstanceNumber": "number",
    "Rows": "rows",
    "Columns": "columns",
    "SOPClassUID": "SOP class",
}


@click.command(
    epilog=options.examples(
        "hounsfield find scans/",
        "hounsfield find pacs: --patient-name 'DOE*' --date 2024-01..2024-03",
        "hounsfield find https://host/dicom-web --modality CT --level series --csv",
        "hounsfield find pacs: BodyPartExamined=CHEST --fields KVP,SliceThickness --level series",
    )
)
@options.location
@click.argument("matches", metavar="[KEYWORD=VALUE]...", nargs=-1)
@click.option("--patient-id", metavar="ID")
@click.option(
    "--patient-name", metavar="NAME", help="With * and ? as wildcards; case and accents do not matter."
)
@click.option("--date", metavar="RANGE", help="2024-03, 2024-01..2024-03, 2024-01-05.., ..2023")
@click.option("--modality", metavar="CT", help="One or several, parted by commas.")
@click.option("--description", metavar="TEXT", help="Of the study, or of the series with --level series.")
@click.option("--accession", metavar="NUMBER")
@click.option(
    "--level",
    type=click.Choice(["study", "series", "instance"]),
    default="study",
    show_default=True,
    help="What to list.",
)
@click.option("--fuzzy", is_flag=True, help="Match names by the beginnings of words.")
@click.option("--fields", metavar="KEYWORDS", default="", help="More columns, parted by commas.")
@click.option("--limit", type=click.IntRange(min=1), help="At most this many.")
@options.as_json
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV instead of a table.")
def find(location: str, matches: tuple[str, ...], **chosen: Any) -> None:
    """List the studies, series or instances of LOCATION that match.

    KEYWORD=VALUE matches any attribute by its DICOM keyword or tag: single values, lists of UIDs, wildcards,
    ranges such as 20240101-20240331.
    """
    from hounsfield.verbs import find as search

    if chosen["as_csv"] and chosen["as_json"]:
        raise click.UsageError("--csv and --json are different forms; choose one")
    level = chosen["level"]
    more = [_attribute(name) for name in chosen["fields"].split(",") if name.strip()]
    filters = _filters(matches, chosen)
    skipped: list[Skipped] = []
    found = search.find(
        location,
        level=level,
        filters=filters,
        fields=more,
        fuzzy=chosen["fuzzy"] or None,
        limit=chosen["limit"],
        skipped=skipped,
        warn=lambda text: echo(say("the server says: {text}", text=text), err=True),
    )
    fields = [*search.FIELDS[level], *more]
    rows = [search.row(each, fields) for each in found]
    if chosen["as_csv"]:
        _print_csv(rows, [*dict.fromkeys(fields), "location"])
        return
    shown = [name for name in fields if not name.endswith("InstanceUID")]
    headings = _HEADINGS | ({"SeriesNumber": "series"} if level == "instance" else {})
    columns = [
        Column(name, headings.get(name, name), folds="Description" in name) for name in dict.fromkeys(shown)
    ]
    table(rows, [*columns, Column("location", "location", folds=True)], as_json=chosen["as_json"])
    if not chosen["as_json"]:
        _conclude(len(rows), level, skipped)


def _filters(matches: tuple[str, ...], chosen: dict[str, Any]) -> dict[str, object]:
    """Friendly options and KEYWORD=VALUE as one mapping of attributes."""
    from hounsfield.verbs.find import date_range

    described = "SeriesDescription" if chosen["level"] == "series" else "StudyDescription"
    named: dict[str, object] = {
        "PatientID": chosen["patient_id"],
        "PatientName": chosen["patient_name"],
        "StudyDate": None if chosen["date"] is None else date_range(chosen["date"]),
        "Modality": chosen["modality"],
        described: chosen["description"],
        "AccessionNumber": chosen["accession"],
    }
    filters = {name: value for name, value in named.items() if value is not None}
    for match in matches:
        name, mark, value = match.partition("=")
        if not mark or not name:
            raise click.UsageError(say("{match} is no KEYWORD=VALUE", match=repr(match)))
        filters[_attribute(name)] = value
    return filters


def _print_csv(rows: list[dict[str, Any]], fields: list[str]) -> None:
    writer = csv.DictWriter(sys.stdout, fields, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    # A cell that begins like a formula would be run by a spreadsheet.
    writer.writerows({key: _plain(value) for key, value in row.items()} for row in rows)


def _attribute(text: str) -> str:
    """The path of an attribute by keywords, from keywords or tags however they are written."""
    from pydicom.datadict import keyword_for_tag

    from hounsfield.dicom.dictionary import find_tag

    return ".".join(keyword_for_tag(tag) or f"{tag:08X}" for tag in map(find_tag, text.strip().split(".")))


def _plain(value: Any) -> str:
    text = str(value)
    return f"'{text}" if text[:1] in {"=", "+", "@", "\t"} else text


def _conclude(count: int, level: str, skipped: list[Skipped]) -> None:
    plural = {"study": "studies", "series": "series", "instance": "instances"}[level]
    if not count:
        echo(say("No {level} matches.", level=level), err=True)
    else:
        echo(f"{count} {level if count == 1 else plural}", err=True)
    if skipped:
        line = "1 file is no instance" if len(skipped) == 1 else f"{len(skipped)} files are no instances"
        echo(say("{line}; hounsfield info says why", line=line), err=True)
