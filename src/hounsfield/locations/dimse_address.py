"""Addresses of DIMSE peers and of what they hold: `dicom://AET@host:port/studies/…/series/…/instances/…`, as values."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import quote, unquote

from hounsfield.dicomweb.uids import is_uid
from hounsfield.dimse.pdus import ae_title
from hounsfield.errors import DimseError, LocationError
from hounsfield.language import say

SCHEME = "dicom://"
DEFAULT_PORT = 104
"""The well-known port of DICOM (PS3.8 9.1.1)."""

_PEER = re.compile(r"(?P<title>[^@/]+)@(?P<host>\[[^\]]+\]|[^:/\[\]]+)(:(?P<port>\d{1,5}))?", re.ASCII)
_LEVELS = ("studies", "series", "instances")


@dataclass(frozen=True, slots=True)
class DimseAddress:
    """A peer by its AE title, host and port, and what is meant on it; None from where on everything is."""

    title: str
    host: str
    port: int = DEFAULT_PORT
    study: str | None = None
    series: str | None = None
    instance: str | None = None

    @classmethod
    def parse(cls, text: str) -> DimseAddress:
        """The address that `text` is; `LocationError` for one that is none."""
        rest = text.strip()[len(SCHEME) :] if text.strip().lower().startswith(SCHEME) else ""
        peer, _, path = rest.partition("/")
        match = _PEER.fullmatch(peer)
        port = int(match["port"] or DEFAULT_PORT) if match else 0
        if match is None or not 0 < port < 65536:
            raise _no_address(text)
        try:
            ae_title(unquote(match["title"]))
        except DimseError as error:
            raise LocationError(error.found, expected=error.expected, where=text) from error
        found = cls(unquote(match["title"]), match["host"].strip("[]"), port)
        return found.below(path, text)

    def below(self, path: str, text: str) -> DimseAddress:
        """Return what `path`, as `studies/…/series/…`, names on this peer; `text` is what a person wrote."""
        words = [word for word in path.split("/") if word]
        names, uids = tuple(words[::2]), words[1::2]
        if names != _LEVELS[: len(uids)] or len(names) != len(uids) or not all(map(is_uid, uids)):
            raise _no_address(text)
        study, series, instance = (*uids, None, None, None)[:3]
        return replace(self, study=study, series=series, instance=instance)

    def at(
        self, study: str | None = None, series: str | None = None, instance: str | None = None
    ) -> DimseAddress:
        """The same peer, at these UIDs."""
        return replace(self, study=study, series=series, instance=instance)

    @property
    def peer(self) -> str:
        """The address of the peer alone."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{SCHEME}{quote(self.title, safe='')}@{host}:{self.port}"

    @property
    def path(self) -> str:
        """`/studies/…` and so on; "" for the whole peer."""
        uids = [uid for uid in (self.study, self.series, self.instance) if uid is not None]
        return "".join(f"/{name}/{uid}" for name, uid in zip(_LEVELS, uids, strict=False))

    def __str__(self) -> str:
        return self.peer + self.path


def _no_address(text: str) -> LocationError:
    return LocationError(
        say("{text} is no address of a DIMSE peer", text=repr(text[:100])),
        expected="dicom://AETITLE@host:port, perhaps with /studies/UID/series/UID/instances/UID",
    )
