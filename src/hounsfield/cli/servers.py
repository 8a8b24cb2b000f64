"""`hounsfield servers`: name the DICOMweb servers and DIMSE peers you use, once; secrets stay where they are kept."""

from __future__ import annotations

import shlex
from typing import Any

import click

from hounsfield.cli import options
from hounsfield.cli.terminal import Column, echo, table
from hounsfield.language import say


@click.group(
    epilog=options.examples(
        "hounsfield servers add pacs https://pacs.example/dicom-web --user me --password-env PACS_PASSWORD",
        "hounsfield servers add ct dicom://CT1@10.0.0.7:104 --ae-title ME",
        "hounsfield servers test ct",
        "hounsfield find pacs: --patient-id 123",
    )
)
def servers() -> None:
    """Name the servers you use: then `pacs:` and `pacs:/studies/…` are locations."""


@servers.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """List them, and how each is entered; never a secret."""
    from hounsfield.locations.servers import read_servers, servers_file

    found = read_servers()
    rows = [{"name": each.name, "url": each.url, "auth": each.auth_kind} for each in found.values()]
    if not rows and not as_json:
        echo(
            say(
                "No servers in {servers_file}; name one: hounsfield servers add NAME URL",
                servers_file=servers_file(),
            ),
            err=True,
        )
        return
    table(
        rows,
        [Column("name", "name"), Column("url", "URL", folds=True), Column("auth", "auth")],
        as_json=as_json,
    )


@servers.command()
@click.argument("name")
@click.argument("url")
@click.option("--user", metavar="USER", help="For basic authentication; say where the password is, too.")
@click.option(
    "--password-env", metavar="VARIABLE", help="The password, client secret or token is in this variable …"
)
@click.option("--password-command", metavar="COMMAND", help="… or printed by this command …")
@click.option("--password-keyring", metavar="SERVICE", help="… or kept in the keyring under this name.")
@click.option("--bearer", is_flag=True, help="The secret is a bearer token.")
@click.option("--oauth-token-url", metavar="URL", help="OAuth2 client credentials: where tokens are had.")
@click.option("--client-id", metavar="ID", help="OAuth2 client.")
@click.option("--scope", metavar="SCOPE", help="OAuth2 scope.")
@click.option("--header", "headers", metavar="NAME=VALUE", multiple=True, help="Sent with every request.")
@click.option("--ca", metavar="FILE", help="The certificate authority to trust.")
@click.option("--certificate", metavar="FILE", help="Client certificate.")
@click.option("--key", metavar="FILE", help="Its key, if that is in another file.")
@click.option("--insecure", is_flag=True, help="Trust any certificate. For laboratories.")
@click.option("--proxy", metavar="URL", help="'' for none; else as the environment says.")
@click.option("--search-prefix", metavar="PATH", help="Between URL and searches.")
@click.option("--retrieve-prefix", metavar="PATH", help="Between URL and retrieval.")
@click.option("--store-prefix", metavar="PATH", help="Between URL and stores.")
@click.option("--wado-uri", metavar="URL", help="WADO-URI of a server that retrieves nothing by WADO-RS.")
@click.option("--ae-title", metavar="TITLE", help="DIMSE: what we call ourselves there; else HOUNSFIELD.")
@click.option(
    "--receive-port", type=click.IntRange(1, 65535), help="DIMSE: where a C-MOVE sends to; else 11112."
)
@click.option(
    "--charset", metavar="NAME", help="Characters of texts that are not in the set they declare: GB18030 …"
)
@click.option("--tls", is_flag=True, help="DIMSE over TLS; with --ca, --certificate and --key.")
@click.option("--timeout", type=options.FiniteRange(min=0.1), help="Seconds of silence before giving up.")
@options.force
def add(name: str, url: str, force: bool, **given: Any) -> None:
    """Add the server NAME at URL."""
    from hounsfield.locations.servers import add_server, servers_file

    add_server(name, _settings(url, given), force=force)
    echo(
        say(
            "{name} is in {servers_file}; try: hounsfield servers test {name}",
            name=name,
            servers_file=servers_file(),
        )
    )


@servers.command()
@click.argument("name")
def remove(name: str) -> None:
    """Forget the server NAME."""
    from hounsfield.locations.servers import remove_server

    remove_server(name)
    echo(say("{name} is forgotten", name=name))


@servers.command()
@click.argument("name")
def test(name: str) -> None:
    """Ask the server NAME for a study, or a DIMSE peer for an echo; say what is wrong if it does not answer."""
    from hounsfield.locations.servers import find_server

    server = find_server(name)
    if server.is_dimse:
        _test_peer(name)
        return
    with server.client() as client:
        client.check()
    echo(say("{name} answers at {url}", name=name, url=server.url))


def _test_peer(name: str) -> None:
    """C-ECHO, and what else the peer offers us."""
    from hounsfield.dimse.client import echo as c_echo
    from hounsfield.dimse.client import offered
    from hounsfield.dimse.requestor import administrators_line
    from hounsfield.locations.dimse.settings import called

    peer = called(f"{name}:").peer
    c_echo(peer)
    services, local = offered(peer)
    echo(
        say(
            "{name} answers at {address}, and offers {listed}",
            name=name,
            address=peer.address,
            listed=", ".join(services) or "nothing else",
        )
    )
    if "C-MOVE" in services and "C-GET" not in services:
        line = administrators_line(peer, local)
        echo(say("retrieval is by C-MOVE: its administrator must know {line}", line=line))


def _settings(url: str, given: dict[str, Any]) -> dict[str, Any]:
    """The entry that the options describe."""
    settings: dict[str, Any] = {"url": url}
    auth = _auth(given)
    if auth:
        settings["auth"] = auth
    headers = {}
    for header in given["headers"]:
        key, mark, value = header.partition("=")
        if not mark or not key:
            raise click.UsageError(say("{header} is no NAME=VALUE", header=repr(header)))
        headers[key] = value
    if headers:
        settings["headers"] = headers
    for key in ("ca", "certificate", "key", "proxy", "wado_uri"):
        if given[key] is not None:
            settings[key] = given[key]
    for key in ("search", "retrieve", "store"):
        if given[f"{key}_prefix"]:
            settings[key] = given[f"{key}_prefix"]
    if given["insecure"]:
        settings["verify"] = False
    dimse = {key: given[key] for key in ("ae_title", "receive_port", "tls") if given[key]}
    if dimse and not url.lower().startswith("dicom://"):
        raise click.UsageError("--ae-title, --receive-port and --tls are for dicom:// addresses")
    if given["charset"]:
        settings["charset"] = given["charset"]
    settings |= dimse
    if given["timeout"]:
        settings["timeouts"] = {"read": given["timeout"]}
    return settings


def _auth(given: dict[str, Any]) -> dict[str, Any]:
    places = {
        "environment": given["password_env"],
        "command": shlex.split(given["password_command"]) if given["password_command"] else None,
        "keyring": given["password_keyring"],
    }
    secret = {kind: place for kind, place in places.items() if place}
    kinds = [bool(given["user"]), given["bearer"], bool(given["oauth_token_url"])]
    if sum(kinds) > 1 or len(secret) > 1:
        raise click.UsageError(
            "give one of --user, --bearer, --oauth-token-url, and one place for the secret"
        )
    if bool(secret) != any(kinds):
        raise click.UsageError(
            "a secret needs --user, --bearer or --oauth-token-url, and each of these needs a secret"
        )
    if given["user"]:
        return {"kind": "basic", "user": given["user"], "password": secret}
    if given["bearer"]:
        return {"kind": "bearer", "token": secret}
    if not given["oauth_token_url"]:
        return {}
    if not given["client_id"]:
        raise click.UsageError("--oauth-token-url needs --client-id")
    scope = {"scope": given["scope"]} if given["scope"] else {}
    return {
        "kind": "oauth2", "token_url": given["oauth_token_url"], "client_id": given["client_id"],
        "client_secret": secret, **scope,
    }  # fmt: skip
