"""`hounsfield serve`: the DICOMweb archive, in one command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from hounsfield.cli.deidentify import profile_of, profile_options, secret_of
from hounsfield.cli.options import OutPlace, examples
from hounsfield.cli.terminal import echo
from hounsfield.language import say

DEFAULT_FOLDER = Path("hounsfield-archive")


@click.command(
    epilog=examples(
        "hounsfield serve",
        "hounsfield serve archive/ --port 8080",
        "hounsfield serve archive/ --dicom-port 11112 --dicom-peer CT1@10.0.0.7:104 --host 10.0.0.2",
        "hounsfield serve archive/ --import /data/old --watch /data/incoming",
        "hounsfield serve --database postgresql://db/pacs --store s3://bucket/pacs --host 0.0.0.0",
    )
)
@click.argument("folder", metavar="[FOLDER]", type=OutPlace(only_paths=True), default=DEFAULT_FOLDER)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8042, show_default=True, help="0 for any free one."
)
@click.option("--workers", type=click.IntRange(1, 256), help="Processes; by default one a core, at most 4.")
@click.option("--import", "imports", multiple=True, metavar="DIR", help="Index the DICOM in DIR in place.")
@click.option("--watch", "watches", multiple=True, metavar="DIR", help="The same, and what comes later.")
@click.option("--database", metavar="URL", help="postgresql://…: the index of several servers.")
@click.option("--store", metavar="PLACE", help="A shared folder or s3://bucket/prefix for the files.")
@click.option("--allow-delete", "deletes", is_flag=True, help="Instances may be removed by request.")
@click.option("--replace", is_flag=True, help="Other bytes under a known UID replace the old ones.")
@click.option("--reindex", is_flag=True, help="Make the index anew from the files, then serve.")
@click.option("--credentials", metavar="FILE", help="Tokens and passwords, made by `hounsfield tokens`.")
@click.option("--openid-issuer", metavar="URL", help="Take tokens of this OpenID provider.")
@click.option("--openid-audience", default="hounsfield", show_default=True, help="For whom they must be.")
@click.option(
    "--openid-claim", default="scope", show_default=True, help="Claim with hounsfield.read and so on."
)
@click.option("--openid-readers", is_flag=True, help="Whoever has a valid token may read.")
@click.option("--insecure", is_flag=True, help="Ask nobody who they are, at any address.")
@click.option(
    "--origin", "origins", multiple=True, metavar="URL", help="Pages of this origin may use it (CORS)."
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="Believe Forwarded headers from there (address or network).",
)
@click.option("--tls-cert", metavar="FILE", help="Certificate chain, PEM.")
@click.option("--tls-key", metavar="FILE", help="Its key, PEM.")
@click.option(
    "--dicom-port", type=click.IntRange(0, 65535), help="Speak DIMSE at this port, too (C-STORE …)."
)
@click.option("--ae-title", default="HOUNSFIELD", show_default=True, help="What DIMSE peers must call it.")
@click.option(
    "--dicom-peer",
    "dicom_peers",
    multiple=True,
    metavar="AE@HOST:PORT",
    help="A peer that may call, and that C-MOVE may send to.",
)
@click.option(
    "--dicom-associations",
    type=click.IntRange(1, 1000),
    default=32,
    show_default=True,
    help="Associations at once; more are rejected for now.",
)
@click.option(
    "--dicom-pdu",
    type=click.IntRange(4096, 16 << 20),
    default=1 << 20,
    show_default=True,
    help="Bytes of a PDU that peers may send.",
)
@click.option(
    "--dicom-idle",
    type=click.FloatRange(1, 86400),
    default=300,
    show_default=True,
    help="Seconds of silence after which an association is aborted.",
)
@click.option("--dicom-tls", is_flag=True, help="DIMSE over TLS, with --tls-cert and --tls-key.")
@click.option("--dicom-ca", metavar="FILE", help="DIMSE peers must show a certificate of this authority.")
@click.option(
    "--deidentified",
    is_flag=True,
    help="Show the archive through `hounsfield deidentify` alone, read-only; beside a server of it, too.",
)
@click.option("--key", metavar="FILE", help="Key of the pseudonyms; by default one that is kept in FOLDER.")
@profile_options
@click.option("--audit", metavar="FILE", help="Audit log; by default in FOLDER.")
@click.option(
    "--log", type=click.Choice(["text", "json"]), default="text", show_default=True, help="On stderr."
)
def serve(folder: Path, **options: Any) -> None:
    """Run a DICOMweb archive that keeps its files in FOLDER (made if need be).

    It listens on this machine alone; at another address it asks for credentials, and DIMSE is for named peers.
    """
    from hounsfield.server.supervisor import Address, default_workers, log_requests
    from hounsfield.server.supervisor import serve as run

    if (options["tls_cert"] is None) != (options["tls_key"] is None):
        raise click.UsageError("--tls-cert and --tls-key belong together")
    log_requests(as_json=options["log"] == "json")
    deployment = _deployment(folder, options)
    if options["deidentified"]:
        deployment = _deidentified(deployment, options)
    elif options["key"] or options["keep"] or options["include"] or options["dates"] != "remove":
        raise click.UsageError("--key, --dates, --keep and --include need --deidentified")
    _prepare(deployment, options)
    address = Address(options["host"], options["port"], options["tls_cert"], options["tls_key"])
    run(
        deployment,
        address,
        # What is made anonymous is indexed by one process.
        workers=1 if options["deidentified"] else options["workers"] or default_workers(),
        watching=bool(options["watches"]),
        on_ready=lambda url: echo(
            say("{which} at {url}", which="DIMSE" if url.startswith("dicom:") else "DICOMweb", url=url)
        ),
        dimse=_dimse_endpoint(options),
    )


_NOT_DEIDENTIFIED = ("dicom_port", "deletes", "replace", "reindex", "imports", "watches")
"""Options of an archive that takes in, or of DIMSE, which gives what is stored."""


def _deidentified(deployment: Any, options: dict[str, Any]) -> Any:
    from hounsfield.server.private_folder import make_private

    for name in _NOT_DEIDENTIFIED:
        # Port 0 is given, too.
        if options[name] is not None and options[name] is not False and options[name] != ():
            shown = {"deletes": "allow-delete", "imports": "import", "watches": "watch"}.get(
                name, name.replace("_", "-")
            )
            raise click.UsageError(
                say(
                    "--{option} does not go with --deidentified, which only shows the archive",
                    option=shown,
                )
            )
    make_private(deployment.private)
    key = Path(options["key"]) if options["key"] else deployment.private / "deidentified.key"
    secret_of(key)
    profile_of(options["dates"], options["keep"], options["include"])
    keep = tuple(each.replace("-", "_") for each in options["keep"])
    return replace(
        deployment,
        deidentified=str(key.absolute()),
        dates=options["dates"],
        keep=keep,
        include=options["include"],
    )


def _dimse_endpoint(options: dict[str, Any]) -> Any:
    """Return where DIMSE peers may call; None for nowhere."""
    if options["dicom_port"] is None:
        if options["dicom_peers"] or options["dicom_tls"] or options["dicom_ca"]:
            raise click.UsageError("--dicom-peer, --dicom-tls and --dicom-ca need --dicom-port")
        return None
    from hounsfield.dimse.acceptor import Limits
    from hounsfield.server.provider.endpoint import endpoint

    if options["dicom_tls"] and options["tls_cert"] is None:
        raise click.UsageError("--dicom-tls needs --tls-cert and --tls-key")
    if options["dicom_ca"] and not options["dicom_tls"]:
        raise click.UsageError("--dicom-ca needs --dicom-tls")
    certificate = (options["tls_cert"], options["tls_key"]) if options["dicom_tls"] else None
    return endpoint(
        options["ae_title"],
        options["host"],
        options["dicom_port"],
        peers=options["dicom_peers"],
        insecure=options["insecure"],
        certificate=certificate,
        ca=options["dicom_ca"],
        limits=Limits(
            associations=options["dicom_associations"],
            idle=options["dicom_idle"],
            max_pdu=options["dicom_pdu"],
        ),
    )


def _deployment(folder: Path, options: dict[str, Any]) -> Any:
    from hounsfield.server.deployment import Deployment

    names = ("database", "store", "deletes", "replace", "host", "insecure", "credentials", "audit")
    openid = ("openid_issuer", "openid_audience", "openid_claim", "openid_readers")
    settings = {name: options[name] for name in (*names, *openid)}
    if options["proxies"]:
        settings["proxies"] = tuple(options["proxies"])
    return Deployment(str(folder.absolute()), origins=tuple(options["origins"]), **settings)


def _prepare(deployment: Any, options: dict[str, Any]) -> None:
    """Index what is to be indexed before the server runs."""
    folders = [Path(each) for each in (*options["imports"], *options["watches"])]
    if not (options["reindex"] or folders):
        return
    archive = deployment.open(first=True)
    skipped = []
    if options["reindex"]:
        skipped += archive.reindex()
    watched = deployment.watched(archive)
    if folders:
        watched.add(folders)
    skipped += watched.look(settled=True)
    for each in skipped:
        echo(say("left out: {name}: {reason}", name=each.name, reason=each.reason), err=True)
    studies, series, instances = archive.index.totals()
    echo(
        say(
            "indexed: {studies} studies, {series} series, {instances} instances",
            studies=studies,
            series=series,
            instances=instances,
        ),
        err=True,
    )
    archive.index.optimise()
    deployment.close(archive)
