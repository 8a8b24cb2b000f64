"""`hounsfield serve`: the DICOMweb archive, in one command."""

from __future__ import annotations

from pathlib import Path

import click

from hounsfield.cli.options import examples
from hounsfield.cli.terminal import echo


@click.command(
    epilog=examples(
        "hounsfield serve",
        "hounsfield serve archive/ --port 8080",
        "hounsfield serve archive/ --watch /data/incoming",
    )
)
@click.argument(
    "folder", metavar="[FOLDER]", type=click.Path(path_type=Path), default=Path("hounsfield-archive")
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8042, show_default=True, help="0 for any free one."
)
@click.option("--workers", type=click.IntRange(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--allow-delete", is_flag=True, help="Instances may be removed by request.")
@click.option("--replace", is_flag=True, help="Other bytes under a known UID replace the old ones.")
@click.option("--reindex", is_flag=True, help="Make the index anew from the files, then serve.")
def serve(
    folder: Path, host: str, port: int, workers: int, allow_delete: bool, replace: bool, reindex: bool
) -> None:
    """Run a DICOMweb archive that keeps its files in FOLDER (made if need be)."""
    from hounsfield.server.deployment import Deployment
    from hounsfield.server.running import Address
    from hounsfield.server.running import serve as run

    deployment = Deployment(str(folder.absolute()), deletes=allow_delete, replace=replace)
    if reindex:
        archive = deployment.open(first=True)
        for skipped in archive.reindex():
            echo(f"left out: {skipped.name}: {skipped.reason}", err=True)
        archive.close()
    run(deployment, Address(host, port), workers=workers, told=lambda url: echo(f"DICOMweb at {url}"))
