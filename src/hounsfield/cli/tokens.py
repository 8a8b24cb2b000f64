"""`hounsfield tokens`: who may use an archive, and what for."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import click

from hounsfield.cli.options import FiniteRange, as_json, examples
from hounsfield.cli.serve import DEFAULT_FOLDER
from hounsfield.cli.terminal import Column, echo, table

_folder = click.option(
    "--archive", "folder", type=click.Path(path_type=Path), default=DEFAULT_FOLDER, show_default=True,
    metavar="FOLDER", help="The archive's folder.",
)  # fmt: skip
_file = click.option("--credentials", metavar="FILE", help="Another file than the archive's own.")
_scopes = click.option(
    "--scope", "scopes", multiple=True, default=("read",), show_default=True,
    type=click.Choice(["read", "write", "delete"]), help="May be given several times.",
)  # fmt: skip


@click.group(
    epilog=examples("hounsfield tokens add viewer", "hounsfield tokens add scanner --scope write --days 365")
)
def tokens() -> None:
    """Make, list and revoke tokens and passwords for `hounsfield serve`."""


@tokens.command()
@click.argument("name")
@_scopes
@click.option(
    "--days", type=FiniteRange(min=0, min_open=True), help="Valid for so long; by default for ever."
)
@_folder
@_file
def add(
    name: str, scopes: tuple[str, ...], days: float | None, folder: Path, credentials: str | None
) -> None:
    """Make a token called NAME and print it: this once, it is kept nowhere."""
    echo(_opened(folder, credentials).add_token(name, scopes, days=days))


@tokens.command()
@click.argument("name")
@_scopes
@_folder
@_file
def password(name: str, scopes: tuple[str, ...], folder: Path, credentials: str | None) -> None:
    """Let the user NAME in by a password, which is asked for."""
    password = click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True)
    _opened(folder, credentials).add_password(name, password, scopes)


@tokens.command("list")
@as_json
@_folder
@_file
def list_(as_json: bool, folder: Path, credentials: str | None) -> None:
    """List who may do what."""
    rows = [
        {
            "name": each.name,
            "kind": each.kind,
            "scopes": " ".join(each.scopes),
            "expires": time.strftime("%Y-%m-%d", time.gmtime(each.expires)) if each.expires else "never",
        }
        for each in _opened(folder, credentials).credentials()
    ]
    columns = (
        Column("name", "name"),
        Column("kind", "kind"),
        Column("scopes", "may"),
        Column("expires", "expires"),
    )
    if not rows and not as_json:
        echo("Nobody has a token or password; make one: hounsfield tokens add NAME", err=True)
        return
    table(rows, columns, as_json=as_json)


@tokens.command()
@click.argument("name")
@_folder
@_file
def revoke(name: str, folder: Path, credentials: str | None) -> None:
    """Revoke what is called NAME; a running server refuses it at once."""
    _opened(folder, credentials).revoke(name)


def _opened(folder: Path, credentials: str | None) -> Any:
    from hounsfield.server.deployment import Deployment

    return Deployment(str(folder.absolute()), credentials=credentials).credential_file
