"""`Client`: one DICOMweb server, by the method names that Python users know.

Searching, retrieving and storing have a module each; here is what holds them together.
"""

from __future__ import annotations

from dataclasses import dataclass

from hounsfield.client.retrieving import Retrieving
from hounsfield.client.storing import Storing
from hounsfield.client.wire import Request
from hounsfield.errors import DicomwebError


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The capabilities that a server states (PS3.18 8.9): methods it allows, its software, its own description."""

    methods: tuple[str, ...]
    software: str
    media_type: str
    description: bytes


class Client(Retrieving, Storing):
    """A DICOMweb server at `url`; safe to use from many threads at once.

    - `auth`: `("user", "password")`, or `Basic`, `Bearer`, `ClientCredentials` of `hounsfield.client`
    - `headers`: sent with every request, to this server only, like the credentials
    - `timeouts`, `retries`, `limits`, `transport`, `prefixes`: see `hounsfield.client.options`
    - `wado_uri`: where WADO-URI lies, for a server that retrieves nothing by WADO-RS; looked for where it is not said
    - `connections`: how many are kept open

    Every failure is a `DicomwebError`: `data["status"]` is the HTTP status, `data["reason"]` the server's words.
    """

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def capabilities(self) -> Capabilities:
        """Ask the server for its capabilities, by OPTIONS; raises `DicomwebError` where it knows nothing of that."""
        request = Request(
            "OPTIONS", self.service.url + "/", {"Accept": "application/vnd.sun.wadl+xml, */*;q=0.5"}
        )
        with self._wire.demand(request) as answer:
            allow = answer.headers.get("Allow", "")
            return Capabilities(
                tuple(method.strip().upper() for method in allow.split(",") if method.strip()),
                answer.headers.get("Server", ""),
                answer.media_type.name if answer.media_type else "",
                answer.read(self.limits.text),
            )

    def check(self) -> None:
        """Ask for one study; `DicomwebError` that says what is wrong if this is no DICOMweb server that answers us."""
        try:
            self.search_for_studies(limit=1)
        except DicomwebError as error:
            if error.data.get("status") == 404:
                error.remedy = "the server has no DICOMweb there; check the path"
            raise
