"""`Request`: one request as endpoints see it: resource, parameters, headers, principal. No sockets."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from urllib.parse import parse_qsl

from hounsfield.dicomweb.media_types import Accepted, parse_accept
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.uids import require_uid
from hounsfield.errors import DicomwebError
from hounsfield.language import say

_LEVEL_NAMES = {
    "study": "Study Instance UID",
    "series": "Series Instance UID",
    "instance": "SOP Instance UID",
}
MAX_QUERY_BYTES = 64 * 1024


@dataclass(frozen=True)
class Request:
    """A request. `base` is the service's URL as the client sees it; `names` the parts of the path by name.

    `principal`: the name of whoever sent it; `body`: that of a request which is no upload.
    """

    method: str
    path: str
    base: str
    names: Mapping[str, str] = field(default_factory=dict)
    query_text: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    client: str = ""
    principal: str = ""
    body: bytes = b""

    @cached_property
    def scope(self) -> Resource:
        """The study, series or instance in the path. Raises `DicomwebError` 400 for what is no UID."""
        uids = {name: require_uid(self.names[name], what) for name, what in _LEVEL_NAMES.items()
                if name in self.names}  # fmt: skip
        return Resource(self.base, uids.get("study"), uids.get("series"), uids.get("instance"))

    @cached_property
    def parameters(self) -> list[tuple[str, str]]:
        """The query, decoded, in order."""
        if len(self.query_text) > MAX_QUERY_BYTES:
            raise DicomwebError(
                "the query is too long",
                expected=say("at most {max_query_bytes} bytes", max_query_bytes=MAX_QUERY_BYTES),
                status=414,
            )
        try:
            pairs = parse_qsl(
                self.query_text,
                keep_blank_values=True,
                max_num_fields=1000,
                encoding="utf-8",
                errors="strict",
            )
        except ValueError as error:
            raise DicomwebError(
                "malformed query", expected="UTF-8, percent-encoded key=value pairs", status=400
            ) from error
        if any("\0" in key or "\0" in value for key, value in pairs):
            raise DicomwebError("a NUL character in the query", status=400)
        return pairs

    def parameter(self, name: str) -> str | None:
        """The first value of a query parameter, its name in any case."""
        return next((value for key, value in self.parameters if key.lower() == name), None)

    def known(self, *names: str) -> None:
        """Refuse parameters that mean nothing here, rather than ignore them."""
        for key, _ in self.parameters:
            if key.lower() not in {*names, "accept"}:
                expected = ", ".join(names) or "none"
                raise DicomwebError(
                    say("the parameter {key} is not supported here", key=repr(key[:64])),
                    expected=expected,
                    status=400,
                )

    @cached_property
    def accept(self) -> tuple[Accepted, ...]:
        """Media types that the client accepts, best first: `?accept=` before the header (PS3.18 8.3.3.1)."""
        # A plus in a query is a space once decoded, and no media type has one there.
        asked = self.parameter("accept")
        if asked is not None:
            return parse_accept(asked.replace("dicom json", "dicom+json").replace("dicom xml", "dicom+xml"))
        return parse_accept(self.headers.get("accept", ""))

    @property
    def is_local(self) -> bool:
        """Whether the client is on this machine, where compressing costs more than it saves."""
        try:
            return ipaddress.ip_address(self.client).is_loopback
        except ValueError:
            return self.client in {"", "testclient"}

    def encodings(self) -> frozenset[str]:
        """Content codings that the client takes."""
        found = set()
        for part in self.headers.get("accept-encoding", "").lower().split(","):
            name, _, weight = part.partition(";")
            if weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}:
                found.add(name.strip())
        return frozenset(found)
