"""`hounsfield check`: is what I have really HU, and where its DICOM says?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli import options
from hounsfield.cli.batches import absolute, at_once, engine_for, recorded, rows_of, show
from hounsfield.cli.terminal import Column, echo, labelled, print_json, progress, table
from hounsfield.language import Sentence, chosen, listed, say, translated

if TYPE_CHECKING:
    from hounsfield.runs import Engine
    from hounsfield.verbs.check import Checked

_COLUMNS = (
    Column("volume", "volume", folds=True),
    Column("series", "series", folds=True),
    Column("right", "right"),
    Column("note", "values; place", folds=True),
)


@click.command(
    epilog=options.examples(
        "hounsfield check head.nii.gz",
        "hounsfield check head.nii.gz scan/",
        "hounsfield check head.nii.gz scan/ --fix right.nii.gz",
        "hounsfield check head.nii.gz scan/ --view",
        "hounsfield check volumes/ study/ --report checked/ --workers 8",
    )
)
@click.argument("volume", metavar="VOLUME", type=options.Place())
@click.argument("location", metavar="[LOCATION]", required=False, type=options.Place())
@options.series
@click.option(
    "--phase", type=int, metavar="N", help="Which of several volumes in one file or series, from 0."
)
@click.option(
    "--fix",
    "out",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Write it as it should be, from the DICOM.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="With a folder of volumes: results, ledger and pages go here.",
)
@click.option(
    "--view", "is_viewed", is_flag=True, help="Look at both in the browser, side by side and as a difference."
)
@options.isolate
@at_once
@recorded
@options.force
@options.as_json
def check(
    volume: str,
    location: str | None,
    series: str | None,
    phase: int | None,
    out: Path | None,
    report: Path | None,
    is_viewed: bool,
    workers: int | None,
    cluster: str | None,
    fail_fast: bool,
    ledger: Path | None,
    content: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Say whether VOLUME holds Hounsfield units, and whether it lies where the DICOM of LOCATION says.

    VOLUME is a .nii .nii.gz .nrrd .mha .npy .zarr, another location, or a folder of such files. Values are compared
    bit for bit and what was done to them is named; distances are in mm. Without LOCATION the numbers are judged by
    physics alone. Exit status 0: equal (or plausible), 1: not.
    """
    from hounsfield.verbs import check as verb

    volumes = verb.volumes_in(Path(volume)) if _is_folder(volume) else []
    if not volumes:
        _refuse(report is not None or ledger is not None, "--report and --ledger are for a folder of volumes")
        _refuse(out is not None and location is None, "--fix writes from DICOM: give its LOCATION")
        _refuse(is_viewed and location is None, "--view holds it against DICOM: give its LOCATION")
        _one(volume, location, series, phase, out, force, as_json, is_viewed)
        return
    _refuse(is_viewed, "--view is for one volume")
    _refuse(out is not None or phase is not None, "--fix and --phase are for one volume")
    _refuse(ledger is not None and report is None, "--ledger needs --report")
    where = None if location is None else absolute(location)
    found = verb.scan_volumes(Path(volume), volumes)
    engine = engine_for(workers, cluster, found)
    if report is None:
        _table(volumes, where, engine, series, fail_fast, as_json)
        return
    from hounsfield.runs.report import open_place

    with open_place(report, ledger=ledger, force=force, content=content) as place:
        answers = verb.check_recorded(found, where, place, engine, series=series, fail_fast=fail_fast)
        rows = rows_of(answers, found, "Checking", report)
    show(rows, found, name="volumes", as_json=as_json, pages=place.pages)
    if found.skipped or any(row["verdict"] != "right" for row in rows):
        raise click.exceptions.Exit(1)


def _is_folder(volume: str) -> bool:
    from hounsfield.locations.volume_files import is_volume

    return Path(volume).is_dir() and not is_volume(Path(volume), b"")


def _refuse(is_wrong: bool, why: str) -> None:
    if is_wrong:
        raise click.UsageError(why)


def _one(
    volume: str,
    location: str | None,
    series: str | None,
    phase: int | None,
    out: Path | None,
    force: bool,
    as_json: bool,
    is_viewed: bool,
) -> None:
    from hounsfield.outputs import refuse_existing
    from hounsfield.verbs import check as verb

    if out is not None:
        refuse_existing(out, force=force)
    with progress("Comparing"):
        found = verb.check(volume, location, series=series, phase=phase)
        written = () if out is None else verb.fix(found, out, force=force)
    if as_json:
        print_json({**found.to_json(), "fixed": [str(path) for path in written]})
    else:
        _show(found)
        for path in written:
            echo(say("  fixed     {path}", path=path))
    if is_viewed and location is not None and found.series is not None:
        from hounsfield.cli.showing import show as show_page
        from hounsfield.server.local_viewer import local_viewer

        with local_viewer(location, series=found.series.series.uid, held_against=volume) as shown:
            show_page(shown.app, shown.fragment, port=0, browser=True)
    if not found.is_right:
        raise click.exceptions.Exit(1)


def _show(found: Checked) -> None:
    physics = found.plausibility
    evidence = listed([Sentence(each) for each in physics.sentences(chosen())])
    lines: list[tuple[str, str]] = [
        ("physics", say("{verdict}: {evidence}", verdict=say(str(physics.verdict)), evidence=evidence))
    ]
    if found.series is not None:
        lines.append(("series", f"{found.series.name} ({found.series.series.uid})"))
    if found.values is not None:
        lines.append(("values", found.values.sentence))
    if found.alignment is not None and not found.alignment.is_plain:
        lines.append(("axes", found.alignment.sentence()))
    if found.geometry is not None:
        lines.append(("place", found.geometry.sentence))
    echo(f"{found.name} · {'×'.join(map(str, found.shape))}")
    for label, text in lines:
        labelled(label, text)
    if found.values is not None:
        labelled("so", say("what its DICOM says") if found.is_right else say("not what its DICOM says"))
    else:
        labelled("so", say("plausible as HU") if found.is_right else say("not plausible as HU"))


def _table(
    volumes: list[Path],
    location: str | None,
    engine: Engine,
    series: str | None,
    fail_fast: bool,
    as_json: bool,
) -> None:
    from hounsfield.verbs.check import check_all

    rows: dict[str, dict[str, Any]] = {}
    with progress("Checking", total=len(volumes)) as done:
        for finished in check_all(volumes, location, engine, series=series, fail_fast=fail_fast):
            if finished.value is not None:
                rows[finished.item] = finished.value.to_json()
            else:
                rows[finished.item] = {"volume": finished.item, "right": False, "error": str(finished.error)}
            done()
    ordered = [rows[str(path)] for path in volumes if str(path) in rows]
    if as_json:
        print_json({"volumes": ordered})
    else:
        table([_row(row) for row in ordered], _COLUMNS)
        echo(
            say(
                "\n{count} volumes: {sum} right", count=len(ordered), sum=sum(row["right"] for row in ordered)
            )
        )
    if not all(row["right"] for row in ordered):
        raise click.exceptions.Exit(1)


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """One line of the table."""
    sentence = "sentence_zh" if chosen() == "zh" else "sentence"
    said = [row[key][sentence] for key in ("values", "geometry") if row.get(key)]
    if "error" not in row and not said:
        physics = row["plausibility"]
        said = [translated(physics["verdict"]), *(each[sentence] for each in physics["evidence"])]
    return {
        "volume": Path(row["volume"]).name,
        "series": (row.get("series") or {}).get("name", ""),
        "right": bool(row["right"]),
        "note": row.get("error") or ("；" if chosen() == "zh" else "; ").join(said),
    }
