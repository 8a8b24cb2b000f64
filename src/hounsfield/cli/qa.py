"""`hounsfield qa`: a phantom's scan, measured; judged only by limits that were named."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli import options
from hounsfield.cli.terminal import Column, echo, print_json, progress, table

if TYPE_CHECKING:
    from hounsfield.qa.trend import Alarm
    from hounsfield.verbs.qa import Analysed

REFUSED, BROKEN = 1, 3


@click.command(
    epilog=options.examples(
        "hounsfield qa scan/",
        "hounsfield qa scan/ qa/ --limits tg66",
        "hounsfield qa months/ qa/ --phantom catphan604 --lang zh",
        "hounsfield qa scan/ qa/ --curve ed --use-plastics",
    )
)
@options.location
@click.argument("out", metavar="[OUT]", required=False, type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--phantom",
    default="auto",
    show_default=True,
    metavar="NAME|FILE",
    help="auto, catphan503, catphan504, catphan600, catphan604, catphan700, acr464, water, or a .json description.",
)
@click.option(
    "--limits",
    metavar="NAME|FILE",
    help="Judge by ws519-acceptance, ws519-status, ws519-constancy, iec61223-3-5, acr, tg66, iaea, or a .json file; "
    "without it nothing is judged.",
)
@click.option(
    "--unconfirmed-limits",
    is_flag=True,
    help="Judge also by limits that were not checked against the text of their standard.",
)
@click.option(
    "--roll",
    type=options.FiniteRange(-360, 360),
    metavar="DEG",
    help="The phantom is turned by so many degrees, clockwise, whatever is found.",
)
@click.option(
    "--curve",
    type=click.Choice(["ed", "mass", "rsp", "mu"]),
    help="Write a calibration curve to OUT/curve.csv.",
)
@click.option("--use-plastics", is_flag=True, help="Knots of acrylic, Delrin and Teflon too.")
@click.option("--cone-beam", is_flag=True, help="A curve although the values are not HU.")
@click.option("--no-record", is_flag=True, help="Leave the ledger, and so the trend, as it is.")
@options.lang
@options.as_json
@click.pass_context
def qa(ctx: click.Context, /, location: str, out: Path | None, **asked: Any) -> None:
    """Find the phantom in LOCATION and measure it: CT numbers, noise, uniformity, slices, sharpness, geometry.

    Which model, how it is turned, mirrored or end for end is found by itself. OUT gets qa.json, qa.html and the ledger
    whose runs make the trend. Exit status 0: measured, 3: a named limit is broken, 1: no phantom, or refused.
    """
    from hounsfield.cli.loading import scanned
    from hounsfield.verbs.qa import Options, analyse_all

    if asked["curve"] and out is None:
        raise click.UsageError("--curve writes curve.csv into OUT: name a folder")
    asked_for = Options(asked["phantom"], asked["limits"], asked["unconfirmed_limits"], asked["roll"])
    _check(asked_for)
    scan = scanned(location)
    with progress("Measuring", total=len(scan.series)) as done:
        analysed = []
        for each in analyse_all(scan, asked_for):
            analysed.append(each)
            done()
    measured = [each for each in analysed if each.result is not None]
    found: list[Alarm] = []
    if out is not None and measured:
        found = _write(out, scan, analysed, asked)
    if asked["as_json"]:
        print_json(_as_json(analysed, found))
    else:
        _show(analysed, found, asked["lang"])
    if not measured:
        _explain(analysed)
        ctx.exit(REFUSED)
    if any(each.result is not None and each.result.is_broken for each in measured):
        ctx.exit(BROKEN)


def _check(asked_for: Any) -> None:
    """Refuse a phantom or limits that there are none of before anything is read."""
    from hounsfield.phantom.qa import model
    from hounsfield.qa import limits

    if asked_for.phantom != "auto":
        model(asked_for.phantom)
    if asked_for.limits is not None:
        limits.named(asked_for.limits, unconfirmed=asked_for.unconfirmed_limits)


def _write(out: Path, scan: Any, analysed: list[Analysed], asked: dict[str, Any]) -> list[Alarm]:
    from hounsfield.outputs import whole_file
    from hounsfield.qa.page import page
    from hounsfield.qa.trend import alarms
    from hounsfield.verbs.qa import drawn, record, runs_in

    measured = [each for each in analysed if each.result is not None]
    if asked["curve"]:
        curve = measured[-1].result.curve(  # type: ignore[union-attr]
            asked["curve"], use_plastics=asked["use_plastics"], cone_beam=asked["cone_beam"]
        )
    out.mkdir(parents=True, exist_ok=True)
    if asked["curve"]:
        with whole_file(out / "curve.csv", force=True) as temporary:
            temporary.write_text(curve.csv(), encoding="utf-8")
    ledger = out / "hounsfield.jsonl"
    runs = record(out, analysed) if not asked["no_record"] else runs_in(ledger) if ledger.exists() else []
    found = alarms(runs)
    sections = [(each.name, each.result, drawn(scan, each)) for each in measured if each.result is not None]
    left = [(each.name, each.reason) for each in analysed if each.result is None]
    with whole_file(out / "qa.html", force=True) as temporary:
        temporary.write_text(page(sections, left, runs, found, asked["lang"]), encoding="utf-8")
    with whole_file(out / "qa.json", force=True) as temporary:
        temporary.write_text(
            json.dumps(_as_json(analysed, found), indent=1, ensure_ascii=False), encoding="utf-8"
        )
    return found


def _as_json(analysed: list[Analysed], found: list[Alarm]) -> dict[str, Any]:
    return {
        "series": [each.to_json() for each in analysed if each.result is not None],
        "left_out": [each.to_json() for each in analysed if each.result is None],
        "trend": [alarm.to_json() for alarm in found],
    }


def _explain(analysed: list[Analysed]) -> None:
    for each in analysed:
        echo(f"{each.name}: {each.reason}", err=True)
    if not analysed:
        echo("no CT series found", err=True)


def _show(analysed: list[Analysed], found: list[Alarm], lang: str) -> None:
    from hounsfield.qa.words import WORDS, material

    words = WORDS[lang]
    for each in analysed:
        if each.result is None:
            continue
        result, details = each.result, each.result.details
        echo(f"{each.name}: {details['phantom']['title']}, {words['score']} {details['phantom']['score']:.3f}, "
             f"{words['roll']} {result.roll:.2f}°, {words['tilt']} {result.tilt:.2f}°")  # fmt: skip
        for warning in result.warnings:
            echo(f"  ! {warning}")
        rows = [
            {
                "insert": material(one["material"], lang),
                "nominal": "–" if one["nominal"] is None else f"{one['nominal']:.0f}",
                "measured": "–" if one["mean"] is None else f"{one['mean']:.1f} ± {one['se']:.2f}",
                "difference": "–" if one["difference"] is None else f"{one['difference']:+.1f}",
            }
            for one in details["inserts"]
        ]
        columns = [Column("insert", words["insert"])]
        columns += [Column(key, words[key], "right") for key in ("nominal", "measured", "difference")]
        table(rows, columns)
        _show_others(details, words)
        if result.missing:
            echo(f"{words['missing']}: {', '.join(result.missing)}")
        _show_verdicts(result, words)
    for alarm in found:
        echo(f"{words['trend']}: {alarm.quantity} {alarm.rule}, {alarm.since}")


def _show_others(details: Any, words: dict[str, str]) -> None:
    from hounsfield.qa.page import other_numbers

    for name, text in other_numbers(details, words):
        echo(f"{name}: {text}")


def _show_verdicts(result: Any, words: dict[str, str]) -> None:
    if not result.verdicts:
        echo(words["nothing judged"])
    for one in result.verdicts:
        says = "not measured" if one["within"] is None else "within" if one["within"] else "broken"
        bounds = " … ".join("" if one[key] is None else f"{one[key]:g}" for key in ("low", "high"))
        echo(f"{one['limits']} {one['quantity']} [{bounds}]: {one['value']} {words[says]} ({one['source']})")
