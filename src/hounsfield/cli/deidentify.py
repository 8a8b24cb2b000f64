"""`hounsfield deidentify`: copies of objects that no longer say whose they are, by PS3.15 Annex E."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli import options
from hounsfield.cli.batches import absolute, engine_of_cluster, recorded
from hounsfield.cli.terminal import Column, echo, print_json, progress, table
from hounsfield.errors import LocationError
from hounsfield.language import say
from hounsfield.outputs import refuse_inside
from hounsfield.outputs.results import word_of

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped, Source
    from hounsfield.locations import Location
    from hounsfield.runs import Result
    from hounsfield.verbs.deidentify import Profile, Summary

_KEEP = ("descriptions", "device", "institution", "patient", "uids", "safe-private")
_NEW_KEY_BYTES = 32


_PROFILE_OPTIONS = (
    click.option(
        "--dates",
        type=click.Choice(["remove", "shift", "keep"]),
        default="remove",
        show_default=True,
        help="shift: by a number of days, one for each patient.",
    ),
    click.option(
        "--keep",
        type=click.Choice(_KEEP),
        multiple=True,
        help="What else may stay, any number of times: descriptions (may name what no attribute tells), device (leads "
        "to the place), institution (tells it), patient (what is rare identifies), uids (join with the originals), "
        "safe-private (safe by the standard's list).",
    ),
    click.option(
        "--include",
        metavar="NAME",
        multiple=True,
        help="Let in what is left out: a SOP class, modality, Image Type or Conversion Type; any number of times.",
    ),
)


def profile_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that choose a profile."""
    for option in reversed(_PROFILE_OPTIONS):
        command = option(command)
    return command


@click.command(
    epilog=options.examples(
        "hounsfield deidentify scan/ deidentified/ --key project.key",
        "hounsfield deidentify scan.zip deidentified/ --key project.key --dates shift --keep patient",
    )
)
@options.location
@options.out
@click.option(
    "--key",
    type=click.Path(path_type=Path, dir_okay=False),
    help="File of the secret that new UIDs come from; made if it is not there. Without it, another each time.",
)
@profile_options
@click.option(
    "--workers", type=click.IntRange(min=1), metavar="N", show_default="one a core", help="Processes."
)
@click.option("--cluster", metavar="tcp://HOST:8786", help="Work on the Dask cluster of this scheduler.")
@click.option("--fail-fast", is_flag=True, help="Begin nothing more after the first failure.")
@recorded
@options.isolate
@options.force
@options.lang
@options.as_json
def deidentify(
    location: str,
    out: Path,
    key: Path | None,
    dates: Any,
    keep: tuple[str, ...],
    include: tuple[str, ...],
    **asked: Any,
) -> None:
    """Copy LOCATION to OUT without what identifies the patient, by the basic profile of DICOM PS3.15.

    UIDs are replaced, the same everywhere. Objects whose pixels may hold text (screenshots, dose pages, ultrasound) are
    left out, each with its reason. Text that is kept is searched for names, numbers and dates of the object: read
    deidentification.html in OUT, which lists all of it, before you share the data. Faces that a head's surface shows
    stay. The ledger, hounsfield.jsonl, names nobody. Run again with the same key: only what is missing, changed or
    failed is made.
    """
    from hounsfield.locations import open_location
    from hounsfield.runs.report import open_place
    from hounsfield.verbs import deidentify as deidentification
    from hounsfield.verbs.load import is_remote

    place = open_location(absolute(location))
    refuse_inside(place.name, out, what="what is de-identified")
    profile = profile_of(dates, keep, include)
    engine = _engine(asked["workers"], asked["cluster"], waits=is_remote(location))
    secret = os.urandom(_NEW_KEY_BYTES) if key is None else secret_of(key)
    if key is None:
        _warn_of_earlier_run(out, asked["ledger"])
    skipped: list[Skipped] = []
    outcome, listed, review = deidentification.Summary(profile), [], None
    kept = {name: asked[name] for name in ("ledger", "force", "content")}
    how = {"key": secret, "profile": profile, "engine": engine, "fail_fast": asked["fail_fast"]}
    with open_place(out, **kept) as records, progress("De-identifying") as done:
        for each in deidentification.deidentify(_sources(place, skipped), out, place=records, **how):
            outcome.add(each)
            if asked["as_json"] or each.has_failed:
                listed.append(each)
            done()
        if not _is_nothing(outcome):
            review = deidentification.write_review(outcome.to_json(), profile, out, asked["lang"])
    if _is_nothing(outcome) and not asked["as_json"]:
        raise LocationError("no DICOM object in it", where=location, remedy="check the location")
    if asked["as_json"]:
        _print_json(listed, skipped, outcome)
    else:
        _show(listed, outcome, lang=asked["lang"], pages=(records.pages, review))
    _warn_of_folder(outcome, asked["lang"])
    if outcome.statuses["failed"]:
        raise click.exceptions.Exit(1)


def profile_of(dates: Any, keep: tuple[str, ...], include: tuple[str, ...]) -> Profile:
    from hounsfield.verbs.deidentify import Profile

    kept: dict[str, Any] = {name.replace("-", "_"): True for name in keep}
    return Profile(dates=dates, include=tuple(sorted(set(include))), **kept)


def _warn_of_earlier_run(out: Path, ledger: Path | None) -> None:
    from hounsfield.runs import LEDGER_NAME

    if (ledger or out / LEDGER_NAME).exists():
        echo(
            say(
                "without --key nothing of the earlier run in {out} is known again: it stays beside this one",
                out=out,
            ),
            err=True,
        )


def _warn_of_folder(outcome: Summary, lang: str) -> None:
    from hounsfield.verbs.deidentify.wording import said

    if outcome.is_told:
        echo(said("told", lang), err=True)


def _engine(workers: int | None, cluster: str | None, *, waits: bool) -> Any:
    from hounsfield import runs as batch

    if cluster is not None:
        return engine_of_cluster(cluster, workers)
    count = workers or batch.available_cores()
    # Off a server, threads share one answer for a whole series.
    return batch.threads(count) if waits or count == 1 else batch.processes(count)


def _is_nothing(outcome: Summary) -> bool:
    """Return whether there was not one DICOM object, nor one that could not be read."""
    return all(reason.startswith("not DICOM") for reason in outcome.reasons) and not (
        outcome.statuses.keys() - {"left out"}
    )


def secret_of(path: Path) -> bytes:
    """The key in the file; a new one, readable by its owner alone, where there is no file."""
    from hounsfield.verbs.deidentify.running import SHORTEST_KEY

    try:
        if not path.exists():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as stream:
                stream.write(os.urandom(_NEW_KEY_BYTES).hex().encode() + b"\n")
        secret = path.read_bytes().strip()
    except OSError as error:
        raise LocationError(
            say("the key cannot be read or made: {strerror}", strerror=error.strerror),
            where=str(path),
            remedy="check the path and its permissions",
        ) from error
    if len(secret) < SHORTEST_KEY:
        raise LocationError(
            say("a key of {count} bytes", count=len(secret)),
            expected=say("at least {shortest_key}", shortest_key=SHORTEST_KEY),
            where=str(path),
            remedy="give another file, or a name that is free: the key is made there",
        )
    return secret


def _sources(place: Location, skipped: list[Skipped]) -> Iterator[Source]:
    from hounsfield.ct.instance import Skipped

    for source in place.sources():
        if isinstance(source, Skipped):
            skipped.append(source)
        else:
            yield source


def _print_json(results: list[Result], skipped: list[Skipped], outcome: Summary) -> None:
    objects = [
        {
            "name": each.unit,
            "status": word_of("deidentify", each.status),
            "output": each.output,
            "reason": each.reason,
        }
        for each in results
    ]
    names = [{"name": item.name, "reason": item.reason} for item in skipped]
    print_json({**outcome.to_json(), "sources": objects, "skipped": names})


def _show(
    failed: list[Result], summary: Summary, *, lang: str, pages: tuple[Path | None, Path | None]
) -> None:
    """The results of the objects, what the options risk, and where to look."""
    from hounsfield.verbs.deidentify.wording import in_language, risks_of, said

    facts, rows = summary.to_json(), []
    for status, count in facts["objects"].items():
        rows.append({"what": f"{said('objects', lang)} {said(status, lang)}", "count": count})
        if status == "left out":
            rows += [
                {"what": f"  {in_language(reason, lang)}", "count": each}
                for reason, each in facts["left_out"].items()
            ]
    rows += [
        {"what": f"{said('attributes', lang)}: {how}", "count": each}
        for how, each in facts["attributes"].items()
    ]
    table(
        rows, (Column("what", said("what", lang), folds=True), Column("count", said("count", lang), "right"))
    )
    for each in failed:
        echo(f"{said('failed', lang)}: {each.unit}: {each.reason}", err=True)
    for item in facts["profile"]:
        echo(f"{item['code']} {item['meaning']}")
    for name, risk in risks_of(summary.profile, lang):
        echo(f"{name}: {risk}")
    for path, words in zip(pages, ("to look through", "review"), strict=True):
        if path is not None and path.is_file():
            echo(f"{said(words, lang)}: {path}")
