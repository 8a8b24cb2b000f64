"""The peer that every method of a client needs: the wire, where services lie below the base, what it has accepted.

Servers differ in the Accept they understand and in whether they page; what was learnt from one answer is kept for
the next request.
"""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from hounsfield.client.answer import Answer
from hounsfield.client.credentials import Auth, Basic, Secret
from hounsfield.client.options import Limits, Prefixes, Retries, Timeouts, Transport
from hounsfield.client.wire import Request, Wire, failure, is_loopback
from hounsfield.dicomweb.dicom_json import Model, parse_models
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DicomwebError
from hounsfield.language import say

JSON = "application/dicom+json, application/json;q=0.9"
_OTHER_RUNG = frozenset({400, 406, 415, 501})
"""Statuses with which servers answer an Accept that they do not understand."""


class Peer:
    """One DICOMweb server; not used by itself, `Client` is."""

    def __init__(
        self,
        url: str,
        *,
        auth: Auth | tuple[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeouts: Timeouts | None = None,
        retries: Retries | None = None,
        limits: Limits | None = None,
        transport: Transport | None = None,
        prefixes: Prefixes | None = None,
        wado_uri: str = "",
        connections: int = 8,
    ) -> None:
        plain, inline = _split_credentials(url)
        self.service = Resource(Resource.parse(plain).base)
        self.limits = limits or Limits()
        self.retries = retries or Retries()
        self._prefixes = prefixes or Prefixes()
        self.wado_uri = wado_uri
        self._wire = Wire(
            self.service.base,
            auth=Basic(auth[0], Secret.of(auth[1])) if isinstance(auth, tuple) else auth or inline,
            headers=headers or {},
            timeouts=timeouts or Timeouts(),
            retries=self.retries,
            limits=self.limits,
            transport=transport or Transport(),
            connections=connections,
        )
        self._rungs: dict[tuple[str, ...], int] = {}
        self._ignores_offset = False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.service.url!r})"

    def close(self) -> None:
        """Close idle connections; the client may be used again."""
        self._wire.close()

    @property
    def url(self) -> str:
        return self.service.url

    def resource(
        self, study: str | None = None, series: str | None = None, instance: str | None = None
    ) -> Resource:
        return self.service.at(study, series, instance)

    def resource_of(self, url: str) -> Resource:
        """Return the resource on this server that `url`, perhaps with credentials in it, names."""
        return Resource.parse(_split_credentials(url)[0])

    def _url(self, resource: Resource, prefix: str, query: str = "") -> str:
        between = f"{prefix.strip('/')}/" if prefix.strip("/") else ""
        return f"{self.service.base}/{between}{resource.path}".rstrip("/") + (f"?{query}" if query else "")

    def _retrieve_url(self, resource: Resource, query: str = "") -> str:
        return self._url(resource, self._prefixes.retrieve, query)

    def _json(self, url: str) -> tuple[list[Model], Answer]:
        """The data sets at `url`, and the answer they came with, read to its end."""
        # Compressing costs more than it saves on the way to the same machine.
        encoding = "identity" if is_loopback(url) else "gzip"
        answer = self._wire.demand(Request("GET", url, {"Accept": JSON, "Accept-Encoding": encoding}))
        with answer:
            body = answer.read(self.limits.text)
            if answer.status == 204:
                return [], answer
            try:
                return parse_models(body), answer
            except DicomwebError as error:
                name = answer.media_type.name if answer.media_type else "something without a type"
                raise DicomwebError(
                    say("answered with {name} that is not DICOM JSON", name=name),
                    where=answer.url,
                    status=answer.status,
                ) from error

    def _climb(self, url: str, ladder: tuple[str, ...]) -> Answer:
        """GET `url` with the Accept that this server takes, found once by going down `ladder`."""
        known = self._rungs.get(ladder)
        order = [known, *range(len(ladder))] if known is not None else list(range(len(ladder)))
        refusal: DicomwebError | None = None
        for rung in order:
            answer = self._wire.send(Request("GET", url, {"Accept": ladder[rung]}))
            if answer.status < 400:
                self._rungs[ladder] = rung
                return answer
            with answer:
                refused = failure(answer)
            if answer.status not in _OTHER_RUNG:
                raise refused
            refusal = refusal or refused
        raise refusal or DicomwebError("nothing to ask for", where=url)


def _split_credentials(url: str) -> tuple[str, Basic | None]:
    """A URL without `user:password@`, and those as credentials."""
    try:
        parts = urlsplit(url.strip())
        userinfo, mark, host = parts.netloc.rpartition("@")
        if not mark:
            return url.strip(), None
        user, password = parts.username or "", parts.password or ""
    except ValueError as error:
        raise DicomwebError("not a DICOMweb URL", expected="https://host/path") from error
    return parts._replace(netloc=host).geturl(), Basic(user, Secret.of(password)) if userinfo else None
