"""`hounsfield compress`: another transfer syntax for a file or a tree of them, verified; or what each would cost."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli import options
from hounsfield.cli.batches import absolute, engine_of_cluster, paced, recorded
from hounsfield.cli.combinations import refuse_odd_combinations
from hounsfield.cli.compress.estimates import show_estimate
from hounsfield.cli.compress.foretold import show_foretold
from hounsfield.cli.compress.in_place import rewrite_in_place
from hounsfield.cli.compress.outcomes import Account
from hounsfield.cli.compress.plans import show_plan
from hounsfield.cli.goals import each_image, goals, target_of
from hounsfield.language import say
from hounsfield.outputs import refuse_inside

if TYPE_CHECKING:
    from hounsfield.ct.instance import Skipped, Source
    from hounsfield.locations import Location
    from hounsfield.runs import Engine
    from hounsfield.transcode import Target
    from hounsfield.verbs.compress import Files, Job


@click.command(
    epilog=options.examples(
        "hounsfield compress scan/ small/ --to jpeg-ls",
        "hounsfield compress scan/ small/ --to auto",
        "hounsfield compress scan/ tiny/ --to jpeg-ls-near --max-error 2",
        "hounsfield compress scan/ tiny/ --to htj2k-lossy --ratio 10",
        "hounsfield compress scan/ --estimate --plot costs.svg",
        "hounsfield compress archive/ --plan --cores 16",
        "hounsfield compress archive/ new/ --to auto --mirror --between 20:00-06:00",
        "hounsfield compress archive/ --in-place --backup originals/ --to auto",
    )
)
@options.location
@click.argument("out", metavar="[OUT]", required=False, type=options.Place())
@goals
@each_image
@click.option(
    "--workers",
    type=click.IntRange(1),
    metavar="N",
    show_default="one a core",
    help="Files at once.",
)
@click.option("--cluster", metavar="tcp://HOST:8786", help="Work on the Dask cluster of this scheduler.")
@click.option("--fail-fast", is_flag=True, help="Begin nothing more after the first failure.")
@click.option(
    "--estimate", "estimating", is_flag=True, help="Write nothing; say what each syntax would cost."
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --estimate: size against error, .svg or .png.",
)
@click.option(
    "--plan",
    "planning",
    is_flag=True,
    help="Write nothing; say what auto (or --to, or --policy) and each syntax would come to, by kinds of images.",
)
@click.option("--cores", type=click.IntRange(1), metavar="N", help="With --plan: hours on so many cores too.")
@click.option(
    "--mirror",
    is_flag=True,
    help="Bring the whole folder: other files, links, DICOMDIRs made anew, times and modes.",
)
@click.option(
    "--hashes", is_flag=True, help="Note the SHA-256 of each frame in hounsfield-files.jsonl, for verify."
)
@click.option("--dry-run", is_flag=True, help="Write nothing; say what would become of each file.")
@click.option(
    "--in-place", is_flag=True, help="Replace the files of LOCATION itself; needs --backup, takes no OUT."
)
@click.option(
    "--backup",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="With --in-place: keep the originals in this folder.",
)
@click.option(
    "--discard-backup", is_flag=True, help="With --in-place: remove the originals, each checked once more."
)
@paced
@recorded
@options.isolate
@options.force
@options.as_json
def compress(location: str, out: str | None, as_json: bool, force: bool, **asked: Any) -> None:
    """Rewrite LOCATION in another transfer syntax, to OUT.

    A file becomes a file, anything else a folder of the same shape. Lossless results are decoded and compared
    before they are kept; lossy ones say what was done to them. The ledger in the folder, hounsfield.jsonl, has the
    outcome of each series. Run again: only what is missing, changed or failed is done.
    """
    from hounsfield.ct.instance import FileSource
    from hounsfield.locations import Rewritable, open_location
    from hounsfield.verbs.compress import Job, foretold_file

    refuse_odd_combinations(click.get_current_context())
    place = open_location(absolute(location) if asked["cluster"] else location)
    if asked["estimating"]:
        show_estimate(place, asked["plot"], force=force, as_json=as_json)
        return
    if asked["planning"]:
        goal = target_of(asked if asked["to"] or asked["policy"] else asked | {"to": "auto"})
        show_plan(place, goal, cores=asked["cores"], as_json=as_json)
        return
    asked |= {"force": force, "as_json": as_json}
    if asked["discard_backup"]:
        rewrite_in_place(place, None, asked)
        return
    if out is None and not asked["in_place"]:
        raise click.UsageError("Missing argument 'OUT'.")
    if asked["to"] is None and asked["policy"] is None:
        raise click.UsageError("Missing option '--to' or '--policy'.")
    _refuse_odd_place(location, out, asked)
    if out is None:
        goal, overall = target_of(asked), replace(target_of(asked), each=asked["each"])
        # `each` means nothing without a ratio, and the ledgers of earlier backups do not have it.
        rewrite_in_place(place, overall if overall.is_over_series else goal, asked)
        return
    output = _output(place, out)
    if asked["cluster"]:  # its workers are in other folders
        output = output.absolute()
    goal, engine = target_of(asked), _engine(asked["workers"], asked["cluster"])
    if not (isinstance(place, Rewritable) and place.is_one_file):
        tree = _Tree(place, output, replace(goal, each=asked["each"]), asked)
        tree.foretell() if asked["dry_run"] else tree.compress(engine)
        return
    for name in ("ledger", "content", "mirror", "hashes"):
        if asked[name]:
            raise click.UsageError(
                say("--{name} is for a folder; {location} is a file", name=name, location=location)
            )
    job = Job(FileSource(place.root), output)
    if asked["dry_run"]:
        show_foretold([foretold_file(job, goal, force=force)], as_json=as_json)
        return
    _compress_one(place.root, job, goal, engine, asked)


def _refuse_odd_place(location: str, out: str | None, asked: dict[str, Any]) -> None:
    """Refuse what needs a folder without one, and `--each` where there is no ratio."""
    if asked["each"] and asked["ratio"] is None and asked["policy"] is None:
        raise click.UsageError("--each says of what a ratio is; it goes with --ratio")
    if out is not None and "://" in out:
        raise click.UsageError(
            say(
                "{out} is no folder; use: hounsfield copy {location} {out} --to …", out=out, location=location
            )
        )


def _output(place: Location, out: str) -> Path:
    """`out` as a path; the file in it where a file is to go into a folder, which is there or ends with a slash."""
    from hounsfield.locations import Rewritable

    path = Path(out)
    goes_into = path.is_dir() or out.endswith(("/", os.sep))
    if goes_into and isinstance(place, Rewritable) and place.is_one_file:
        return path / place.root.name
    return path


def _compress_one(
    source: Path, job: Job, target: Target, engine: Engine | None, asked: dict[str, Any]
) -> None:
    """A file to a file; nothing is recorded of it."""
    from hounsfield.outputs import writing_below
    from hounsfield.verbs.compress import transcode_files

    account = Account(as_json=asked["as_json"])
    with writing_below(job.out.absolute().parent, [job.out.absolute()]):
        for result in transcode_files([job], target, force=asked["force"], engine=engine, pace=asked["pace"]):
            account.add(result)
    account.show()
    account.check(str(source))


@dataclass(frozen=True)
class _Tree:
    """Anything but one file, to a folder of the same shape."""

    place: Location
    output: Path
    target: Target
    asked: dict[str, Any]

    def compress(self, engine: Engine | None) -> None:
        """Write it, with its ledger."""
        from hounsfield.cli.terminal import progress
        from hounsfield.runs.report import open_place
        from hounsfield.verbs.compress import compress_all

        asked = self.asked
        account = Account(as_json=asked["as_json"])
        files = self._files(account.skipped)
        with (
            open_place(
                self.output, ledger=asked["ledger"], force=asked["force"], content=asked["content"]
            ) as kept,
            progress("Compressing", total=files.count) as done,
        ):
            for result in compress_all(
                files,
                kept,
                self.target,
                engine=engine,
                fail_fast=asked["fail_fast"],
                pace=asked["pace"],
                hashes=asked["hashes"],
                on_series=account.series.append,
            ):
                account.add(result)
                done()
        account.show(pages=kept.pages, folder=str(self.output))
        account.check(self.place.name)

    def foretell(self) -> None:
        """Say what would become of each file."""
        from hounsfield.verbs.compress import foreseen_place, foretell_all

        asked = self.asked
        skipped: list[Skipped] = []
        files = self._files(skipped)
        kept = foreseen_place(
            self.output, ledger=asked["ledger"], force=asked["force"], content=asked["content"]
        )
        show_foretold(foretell_all(files, kept, self.target), skipped, as_json=asked["as_json"])

    def _files(self, skipped: list[Skipped]) -> Files:
        from hounsfield.cli.terminal import progress
        from hounsfield.locations import Rewritable
        from hounsfield.verbs.compress import find_files

        refuse_inside(self.place.name, self.output, what="what is to be compressed")
        mirror, place = self.asked["mirror"], self.place
        root = place.root if isinstance(place, Rewritable) and not place.is_one_file else None
        if mirror and root is None:
            raise click.UsageError(say("--mirror is for a folder; {name} is none", name=place.name))
        root = root if mirror else None
        with progress("Reading headers") as seen:
            return find_files(
                _placed(place, root, skipped), content=self.asked["content"], root=root, seen=seen
            )


def _engine(workers: int | None, cluster: str | None) -> Engine | None:
    """Return what the options ask for; None for what is best on this machine."""
    from hounsfield import runs as batch

    if cluster is not None:
        return engine_of_cluster(cluster, workers)
    return None if workers is None else batch.threads(workers)


def _placed(place: Location, root: Path | None, skipped: list[Skipped]) -> Iterator[tuple[Source, Path]]:
    """Each source under the name that it has below the location; all files where that is a `root` to mirror."""
    from hounsfield.ct.instance import Skipped
    from hounsfield.locations.naming import relative_name
    from hounsfield.locations.tree import tree_sources

    for source in place.sources() if root is None else tree_sources(root):
        if isinstance(source, Skipped):
            skipped.append(source)
        else:
            yield source, relative_name(source, place)
