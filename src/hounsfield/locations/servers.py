"""The servers a user knows by name: a TOML file, and the client that each entry makes.

Secrets stay where they are kept (environment, keyring, command); an entry says where that is. One that was written
into the file all the same is read and never shown.

::

    [pacs]
    url = "https://pacs.example/dicom-web"
    ca = "~/hospital-ca.pem"
    auth = { kind = "basic", user = "me", password = { environment = "PACS_PASSWORD" } }

    [ct]
    url = "dicom://CT1@10.0.0.7:104"
    ae_title = "ME"
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hounsfield.client import (
    Auth,
    Basic,
    Bearer,
    Client,
    ClientCredentials,
    Prefixes,
    Secret,
    Timeouts,
    Transport,
)
from hounsfield.dicom.charsets import known_set
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.language import say
from hounsfield.locations.dimse_address import DimseAddress
from hounsfield.outputs import whole_file

FILE_VARIABLE = "HOUNSFIELD_SERVERS"
"""Environment variable that names another file."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]+", re.ASCII)
_KEYS = {
    "url", "auth", "headers", "search", "retrieve", "store", "ca", "certificate", "key", "key_password",
    "verify", "proxy", "timeouts", "ae_title", "charset", "receive_port", "tls", "wado_uri",
}  # fmt: skip
_SECRET_KINDS = ("environment", "command", "keyring")


@dataclass(frozen=True, slots=True)
class Server:
    """One entry: `settings` as they stand in the file, checked. Shows no secret."""

    name: str
    settings: Mapping[str, Any] = field(repr=False)

    @property
    def url(self) -> str:
        return str(self.settings["url"])

    @property
    def is_dimse(self) -> bool:
        """Return whether it speaks DIMSE rather than DICOMweb."""
        return self.url.lower().startswith("dicom://")

    @property
    def auth_kind(self) -> str:
        """Return how it is entered: "none", "basic", "bearer" or "oauth2", and where the secret is kept."""
        auth = self.settings.get("auth")
        if not auth:
            return "none"
        secret = next((auth[key] for key in ("password", "token", "client_secret") if key in auth), None)
        return f"{auth['kind']}, {_kept(secret)}"

    @property
    def charset(self) -> str:
        """The character set of texts that are not in the one they declare; "" where nothing is said."""
        return str(self.settings.get("charset", ""))

    def client(self, **options: Any) -> Client:
        """A client for it; `LocationError` names the entry where a setting makes no sense, or that speaks DIMSE."""
        settings = self.settings
        if self.is_dimse:
            raise LocationError(
                "speaks DIMSE, not DICOMweb", where=say("server {name}", name=repr(self.name))
            )
        try:
            return Client(
                self.url,
                auth=_auth(settings.get("auth")),
                headers={key: _revealed(value) for key, value in dict(settings.get("headers", {})).items()},
                wado_uri=str(settings.get("wado_uri", "")),
                prefixes=Prefixes(*(str(settings.get(each, "")) for each in ("search", "retrieve", "store"))),
                transport=_transport(settings),
                timeouts=_timeouts(settings.get("timeouts", {})),
                **options,
            )
        except HounsfieldError as error:
            error.at(say("server {name}", name=repr(self.name)))
            raise
        except (TypeError, ValueError, KeyError) as error:
            raise LocationError(
                say("a setting that makes no sense: {error}", error=error),
                where=say("server {name}", name=repr(self.name)),
                remedy=say("see {servers_file}", servers_file=servers_file()),
            ) from error


def servers_file() -> Path:
    """Return where the entries are kept."""
    if given := os.environ.get(FILE_VARIABLE):
        return Path(given)
    from platformdirs import user_config_path

    return user_config_path("hounsfield") / "servers.toml"


def read_servers(path: Path | None = None) -> dict[str, Server]:
    """Every entry by name; nothing where there is no file. A file that cannot be read is a `LocationError`."""
    path = path or servers_file()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeError, tomllib.TOMLDecodeError) as error:
        # A parser's message may repeat the line, and with it a secret: only its place is given.
        place = re.search(r"line \d+", str(error))
        raise LocationError(
            say("cannot be read{which}", which=f" at {place[0]}" if place else ""),
            expected="TOML",
            where=str(path),
        ) from None
    return {name: Server(name, _checked(name, settings, path)) for name, settings in found.items()}


def find_server(name: str) -> Server:
    """The entry `name`; `LocationError` that lists the names there are."""
    servers = read_servers()
    if name not in servers:
        known = ", ".join(sorted(servers))
        raise LocationError(
            say("no server is called {name}", name=repr(name)),
            expected=say("one of: {known}", known=known) if known else None,
            remedy=say("add it: hounsfield servers add {name} URL", name=name),
            known=tuple(servers),
        )
    return servers[name]


def server_of(address: str) -> Server | None:
    """The named server that a web address is below, if there is one."""
    for server in read_servers().values():
        base = server.url.rstrip("/")
        if address == base or address.startswith(base + "/"):
            return server
    return None


def client_of(address: str) -> Client:
    """A client for a web address: with the settings of the named server that it is below, or with none."""
    server = server_of(address)
    return Client(address) if server is None else server.client()


def add_server(name: str, settings: Mapping[str, Any], *, force: bool = False) -> Server:
    """Write an entry; one of the same name is only replaced with `force`."""
    if not _NAME.fullmatch(name):
        raise LocationError(
            say("{name} is no name for a server", name=repr(name)),
            expected="two or more letters, digits, - _ .",
        )
    server = Server(name, _checked(name, settings, servers_file()))
    if server.is_dimse:
        DimseAddress.parse(server.url)
    else:
        Resource.parse(server.url)
    servers = read_servers()
    if name in servers and not force:
        raise LocationError(
            say("there is a server {name} already", name=repr(name)),
            remedy="give another name, or --force to replace it",
        )
    _write({**servers, name: server})
    return server


def remove_server(name: str) -> None:
    """Take an entry out of the file."""
    find_server(name)
    servers = read_servers()
    del servers[name]
    _write(servers)


def _write(servers: Mapping[str, Server]) -> None:
    blocks = [
        f"[{_toml_key(name)}]\n"
        + "".join(f"{_toml_key(key)} = {_toml(value)}\n" for key, value in server.settings.items())
        for name, server in sorted(servers.items())
    ]
    path = servers_file()
    with whole_file(path, force=True) as temporary:
        # It may hold a header or proxy that is nobody else's business.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8") as out:
            out.write("\n".join(blocks))


def _toml_key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key, re.ASCII) else _toml(key)


def _toml(value: Any) -> str:
    """A value of an entry as TOML: text, truth, numbers, lists, tables inline."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, Mapping):
        return (
            "{ " + ", ".join(f"{_toml_key(str(key))} = {_toml(each)}" for key, each in value.items()) + " }"
        )
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_toml, value)) + "]"
    escaped = "".join(
        f"\\u{ord(each):04x}"
        if ord(each) < 32 or ord(each) == 127
        else {"\\": "\\\\", '"': '\\"'}.get(each, each)
        for each in str(value)
    )
    return f'"{escaped}"'


def _checked(name: str, settings: Any, path: Path) -> Mapping[str, Any]:
    where = f"{path}: [{name}]"
    if not isinstance(settings, Mapping) or not isinstance(settings.get("url"), str):
        raise LocationError("an entry without a url", where=where, expected='url = "https://host/dicom-web"')
    unknown = sorted(set(settings) - _KEYS)
    if unknown:
        raise LocationError(
            say("unknown setting {unknown}", unknown=repr(unknown[0])),
            where=where,
            expected=", ".join(sorted(_KEYS)),
        )
    if settings.get("charset"):
        try:
            known_set(str(settings["charset"]))
        except HounsfieldError as error:
            raise LocationError(error.found, where=where, expected=error.expected) from None
    auth = settings.get("auth")
    if auth is not None and (not isinstance(auth, Mapping) or auth.get("kind") not in _AUTHS):
        raise LocationError(
            "auth of no known kind", where=where, expected="kind = " + ", ".join(sorted(_AUTHS))
        )
    return settings


def _auth(settings: Mapping[str, Any] | None) -> Auth | None:
    return None if settings is None else _AUTHS[settings["kind"]](settings)


def _basic(settings: Mapping[str, Any]) -> Auth:
    user = str(settings["user"])
    return Basic(user, secret_of(settings["password"], user))


def _bearer(settings: Mapping[str, Any]) -> Auth:
    return Bearer(secret_of(settings["token"], "token"))


def _oauth2(settings: Mapping[str, Any]) -> Auth:
    client_id = str(settings["client_id"])
    return ClientCredentials(
        str(settings["token_url"]),
        client_id,
        secret_of(settings["client_secret"], client_id),
        str(settings.get("scope", "")),
        {str(key): str(value) for key, value in dict(settings.get("extra", {})).items()},
    )


_AUTHS = {"basic": _basic, "bearer": _bearer, "oauth2": _oauth2}


def secret_of(value: Any, user: str) -> Secret:
    """Return where a secret is to be had: text in the file itself, or a table that names its place."""
    if isinstance(value, str):
        return Secret.of(value)
    if isinstance(value, Mapping):
        if "environment" in value:
            return Secret.from_environment(str(value["environment"]))
        if "command" in value:
            command = value["command"]
            return Secret.from_command(
                command.split() if isinstance(command, str) else [str(each) for each in command]
            )
        if "keyring" in value:
            return Secret.from_keyring(str(value["keyring"]), str(value.get("user", user)))
    raise LocationError("a secret without a place", expected="environment, command or keyring")


def _revealed(value: Any) -> str:
    return value if isinstance(value, str) else secret_of(value, "").reveal()


def _kept(secret: Any) -> str:
    if isinstance(secret, Mapping):
        return next((f"from {kind}" for kind in _SECRET_KINDS if kind in secret), "from nowhere")
    return "in the file" if secret else "from nowhere"


def _timeouts(settings: Mapping[str, Any]) -> Timeouts:
    plain = Timeouts()
    unknown = sorted(set(settings) - {"connect", "read"})
    if unknown:
        raise ValueError(f"timeouts.{unknown[0]}, where connect and read are known")
    return Timeouts(float(settings.get("connect", plain.connect)), float(settings.get("read", plain.read)))


def _transport(settings: Mapping[str, Any]) -> Transport:
    def path(key: str) -> Path | None:
        return Path(str(settings[key])).expanduser() if key in settings else None

    return Transport(
        ca=path("ca"),
        certificate=path("certificate"),
        key=path("key"),
        key_password=secret_of(settings["key_password"], "key") if "key_password" in settings else None,
        verify=bool(settings.get("verify", True)),
        proxy=str(settings["proxy"]) if "proxy" in settings else None,
    )
