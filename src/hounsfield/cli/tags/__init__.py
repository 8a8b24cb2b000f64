"""`hounsfield tags`: the attributes of what is at a location, shown, explained, or changed in copies."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import click

from hounsfield.cli import options, terminal
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.attributes import Listing
    from hounsfield.ct.instance import Skipped
    from hounsfield.dicom.dictionary import Language
    from hounsfield.errors import SelectionError

GROUPS = ("patient", "study", "series", "image", "file", "other", "private")


@click.command(
    "tags",
    epilog=options.examples(
        "hounsfield tags scan/",
        "hounsfield tags scan/ --lang zh --group image --search 窗",
        "hounsfield tags scan.zip --format html --out tags.html",
        "hounsfield tags scan/ --set PatientName=Doe^Jane --remove PatientBirthDate --out copy/",
        "hounsfield tags scan/ --recode GB18030 --out copy/",
    ),
)
@options.location
@options.lang
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv", "html"]),
    default="text",
    show_default=True,
    help="How to show them; JSON is the DICOM JSON model.",
)
@options.as_json
@click.option(
    "--group",
    "groups",
    type=click.Choice(GROUPS),
    multiple=True,
    help="Only this group of attributes; may be given several times.",
)
@click.option("--search", metavar="TEXT", help="Only attributes whose tag, name or value contains TEXT.")
@click.option("--all-instances", is_flag=True, help="Every instance, not the first of each series.")
@click.option("--full", is_flag=True, help="On a terminal, cut no value and show every item.")
@click.option("--set", "settings", metavar="KEYWORD=VALUE", multiple=True, help="Change or add an attribute.")
@click.option(
    "--recode",
    metavar="NAME",
    help="Change the label of the character set to the one that texts are in; their bytes stay.",
)
@click.option("--remove", "removals", metavar="KEYWORD", multiple=True, help="Remove an attribute.")
@click.option(
    "--out",
    metavar="OUT",
    type=click.Path(path_type=Path),
    help="Where the changed copies, or the listing, go.",
)
@options.force
def tags(
    location: str,
    lang: Language,
    form: str,
    as_json: bool,
    groups: tuple[str, ...],
    search: str | None,
    all_instances: bool,
    full: bool,
    settings: tuple[str, ...],
    recode: str | None,
    removals: tuple[str, ...],
    out: Path | None,
    force: bool,
) -> None:
    """Show the attributes at LOCATION, grouped and explained; or write copies with some of them changed.

    Without --all-instances the first instance of each series is shown, and what differs within the series is
    marked. A copy keeps every byte that is not part of a change.

    KEYWORD is a DICOM keyword (PatientName), a tag (0010,0010), or a path into sequences
    (RequestAttributesSequence[0].ScheduledProcedureStepID).
    """
    if as_json and form in ("csv", "html"):
        raise click.UsageError(say("--json and --format {form} are different forms; choose one", form=form))
    if settings or removals or recode is not None:
        _change(location, settings, removals, recode, out, force=force)
        return
    from hounsfield.attributes import print_table
    from hounsfield.cli.tags.listings import instances_by_series, listings, models, write_models
    from hounsfield.dicom.dictionary import Group

    skipped: list[Skipped] = []
    series = instances_by_series(location, skipped)
    if not series:
        raise _nothing(location, skipped)
    chosen = tuple(Group(name) for name in groups)
    if as_json or form == "json":
        found = models(series, groups=chosen, search=search, all_instances=all_instances, tell=_tell)
        _deliver(lambda file: write_models(found, file), out, force=force)
        return
    rows = listings(
        series, language=lang, groups=chosen, search=search, all_instances=all_instances, tell=_tell
    )
    if chosen or search is not None:
        rows = _unless_empty(rows)
    if form == "text" and out is None and sys.stdout.isatty():
        print_table(rows, terminal.console(), language=lang, full=full)
    else:
        _deliver(_writer(form, rows, lang), out, force=force)


def _unless_empty(rows: Iterator[Listing]) -> Iterator[Listing]:
    """The same; where no attribute was found in any of them, a line on stderr says so."""
    some = False
    for listing in rows:
        some = some or bool(listing.rows)
        yield listing
    if not some:
        terminal.echo("No attribute matches.", err=True)


def _tell(line: str) -> None:
    terminal.echo(line, err=True)


def _nothing(location: str, skipped: list[Skipped]) -> SelectionError:
    from hounsfield.errors import SelectionError

    why = f": {skipped[0].name}: {skipped[0].reason}" if skipped else ""
    return SelectionError(
        say("no DICOM instance in it{why}", why=why), where=location, remedy="check the location"
    )


def _writer(form: str, rows: Iterator[Listing], lang: Language) -> Callable[[TextIO], None]:
    from hounsfield.attributes import write_csv, write_html, write_lines

    write = {"text": write_lines, "csv": write_csv, "html": write_html}[form]
    return lambda file: write(rows, file, language=lang)


def _deliver(write: Callable[[TextIO], None], out: Path | None, *, force: bool) -> None:
    """Let `write` fill stdout, or the file `out`, whole or not at all."""
    if out is None:
        write(sys.stdout)
        return
    from hounsfield.outputs import whole_file

    with whole_file(out, force=force) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        write(file)


def _change(
    location: str,
    settings: tuple[str, ...],
    removals: tuple[str, ...],
    recode: str | None,
    out: Path | None,
    *,
    force: bool,
) -> None:
    from hounsfield.attributes import parse_edits, relabelling
    from hounsfield.cli.batches import show_skipped
    from hounsfield.cli.tags.copies import write_copies

    if out is None:
        raise click.UsageError("--set, --remove and --recode write changed copies; say where with --out OUT")
    edits = parse_edits(settings, removals)
    if recode is not None:
        label = relabelling(recode)
        if any(edit.path == label.path for edit in edits):
            raise click.UsageError("--recode sets SpecificCharacterSet; do not set or remove it too")
        edits = (*edits, label)
    count, skipped = write_copies(location, edits, out, force=force)
    terminal.echo(
        say("{count} {which} in {out}", count=count, which="copy" if count == 1 else "copies", out=out)
    )
    if skipped:
        show_skipped(skipped)
    if any(
        getattr(item.reason, "key", "") for item in skipped
    ):  # of a damaged one, which a person must hear of
        raise click.exceptions.Exit(1)
