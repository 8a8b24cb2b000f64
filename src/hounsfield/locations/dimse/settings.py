"""Settings of a call to a peer: those of the entry in `servers.toml` that names it, or none."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hounsfield.dimse.connection import Tls
from hounsfield.dimse.pdus import UserIdentity
from hounsfield.dimse.requestor import AE_TITLE, RECEIVE_PORT, Peer, Timeouts
from hounsfield.errors import DimseError, HounsfieldError, LocationError
from hounsfield.language import say
from hounsfield.locations.dimse_address import SCHEME, DimseAddress
from hounsfield.locations.servers import Server, find_server, read_servers, secret_of, servers_file


@dataclass(frozen=True, slots=True)
class Called:
    """A peer with its settings. `charset`: the Specific Character Set of its texts where it does not say."""

    address: DimseAddress
    peer: Peer = field(repr=False)
    charset: str = ""


def called(text: str) -> Called:
    """The peer that an address names, or a named server: `dicom://AET@host:104/studies/1.2`, `ct:/studies/1.2`."""
    if not text.strip().lower().startswith(SCHEME):
        name, _, path = text.strip().partition(":")
        server = find_server(name)
        return _of_server(server, DimseAddress.parse(server.url).below(path, text))
    address = DimseAddress.parse(text)
    for server in read_servers().values():
        if server.is_dimse and DimseAddress.parse(server.url).peer == address.peer:
            return _of_server(server, address)
    return Called(address, Peer(address.host, address.port, address.title))


def _of_server(server: Server, address: DimseAddress) -> Called:
    settings = server.settings
    try:
        peer = Peer(
            address.host,
            address.port,
            address.title,
            str(settings.get("ae_title", AE_TITLE)),
            _tls(settings).client() if settings.get("tls") else None,
            _identity(settings.get("auth")),
            _timeouts(settings.get("timeouts", {})),
            int(settings.get("receive_port", RECEIVE_PORT)),
        )
    except DimseError as error:
        raise LocationError(
            error.found, expected=error.expected, where=say("server {name}", name=repr(server.name))
        ) from error
    except HounsfieldError as error:
        error.at(say("server {name}", name=repr(server.name)))
        raise
    except (TypeError, ValueError, KeyError) as error:
        raise LocationError(
            say("a setting that makes no sense: {error}", error=error),
            where=say("server {name}", name=repr(server.name)),
            remedy=say("see {servers_file}", servers_file=servers_file()),
        ) from error
    return Called(address, peer, str(settings.get("charset", "")))


def _tls(settings: Mapping[str, Any]) -> Tls:
    def path(key: str) -> Path | None:
        return Path(str(settings[key])).expanduser() if key in settings else None

    password = secret_of(settings["key_password"], "key") if "key_password" in settings else None
    return Tls(
        path("ca"),
        path("certificate"),
        path("key"),
        password.reveal() if password is not None else None,
        bool(settings.get("verify", True)),
    )


def _identity(auth: Mapping[str, Any] | None) -> UserIdentity | None:
    """User identity negotiation (PS3.7 D.3.3.7) for a user with a passcode, or with a JSON web token."""
    if auth is None:
        return None
    if auth["kind"] == "basic":
        user = str(auth["user"])
        return UserIdentity(2, user.encode(), secret_of(auth["password"], user).reveal().encode())
    if auth["kind"] == "bearer":
        return UserIdentity(5, secret_of(auth["token"], "token").reveal().encode())
    raise ValueError(f"auth of kind {auth['kind']}, where DIMSE has basic and bearer")


def _timeouts(settings: Mapping[str, Any]) -> Timeouts:
    plain = Timeouts()
    return Timeouts(
        float(settings.get("connect", plain.connect)), float(settings.get("read", plain.response))
    )
