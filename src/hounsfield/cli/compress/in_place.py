"""`hounsfield compress TREE --in-place --backup DIR`, and the backup discarded."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hounsfield.cli.compress.foretold import show_foretold
from hounsfield.cli.compress.outcomes import Account
from hounsfield.cli.terminal import echo, progress
from hounsfield.language import say

if TYPE_CHECKING:
    from hounsfield.locations import Location
    from hounsfield.transcode import Target


def rewrite_in_place(place: Location, target: Target | None, asked: dict[str, Any]) -> None:
    """Compress the tree or file at `place` where it lies, or, without `target`, discard what was kept of it."""
    from hounsfield.locations import Rewritable

    if not isinstance(place, Rewritable):
        raise click.UsageError(
            say("--in-place is for a folder or a file; {name} is neither", name=place.name)
        )
    backup = asked["backup"]
    if target is None:
        _discard(place.root, backup, asked)
    elif asked["dry_run"]:
        from hounsfield.verbs.compress import foretell_tree

        show_foretold(foretell_tree(place.root, target), as_json=asked["as_json"])
    elif backup is None:
        raise click.UsageError("--in-place needs --backup DIR, where the originals are kept")
    else:
        _compress(place.root, backup, target, asked)


def _compress(root: Path, backup: Path, target: Target, asked: dict[str, Any]) -> None:
    from hounsfield import runs as batch
    from hounsfield.verbs.compress import compress_in_place, open_backup

    account = Account(as_json=asked["as_json"])
    engine = None if asked["workers"] is None else batch.threads(asked["workers"])
    with open_backup(backup, root, target.to_json()) as ledger, progress("Compressing") as done:
        for result in compress_in_place(
            root, ledger, target, engine=engine, pace=asked["pace"], fail_fast=asked["fail_fast"]
        ):
            account.add(result)
            done()
    account.show()
    if not asked["as_json"] and account.counts["written"]:
        echo(say("the originals are in {backup} until: hounsfield compress {root} --in-place "
"--backup {backup} --discard-backup", backup=backup, root=root))  # fmt: skip
    account.check(str(root))


def _discard(root: Path, backup: Path | None, asked: dict[str, Any]) -> None:
    from hounsfield.errors import LocationError
    from hounsfield.runs.ledger import FILE_LEDGER_NAME
    from hounsfield.verbs.compress import discard_backup, open_backup

    if backup is None:
        raise click.UsageError("--discard-backup needs --backup DIR, the folder to discard")
    if not (backup / FILE_LEDGER_NAME).is_file():
        raise LocationError("is no backup of files that were compressed in place", where=str(backup))
    account = Account(as_json=asked["as_json"])
    with open_backup(backup, root, None) as ledger, progress("Discarding") as done:
        for result in discard_backup(root, ledger, pace=asked["pace"]):
            account.add(result)
            done()
    account.show()
    account.check(str(backup), "discarded")
