"""Settings of a `DICOMwebClient`, and what its methods share: URLs, retries, reading of answers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from hounsfield.client.answer import Answer
from hounsfield.client.compat.exchange import (
    OwnSession,
    Pieces,
    http_error,
    retry_error,
    send_by_session,
    send_by_wire,
)
from hounsfield.client.options import Limits
from hounsfield.client.parts import parts_of
from hounsfield.client.searching import unseen
from hounsfield.client.wire import Wire
from hounsfield.dicomweb.dicom_json import Model, parse_models
from hounsfield.dicomweb.resources import Collection
from hounsfield.dicomweb.uids import MAX_LENGTH, UID

if TYPE_CHECKING:
    from pydicom import Dataset

JSON = "application/dicom+json, application/json"
_RETRIED = (
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
)
_LONGEST_PAUSE = 120.0
_PERMISSIVE_UID = re.compile(r"[^/@]+")


class Requesting:
    """Settings and requests of a `DICOMwebClient`; not used by itself."""

    def __init__(
        self,
        url: str,
        session: Any = None,
        qido_url_prefix: str | None = None,
        wado_url_prefix: str | None = None,
        stow_url_prefix: str | None = None,
        delete_url_prefix: str | None = None,
        proxies: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        callback: Callable[..., Any] | None = None,
        chunk_size: int = 10**6,
        permissive_uid: bool = False,
        timeout: float | tuple[float, float] = 20,
    ) -> None:
        self._set_url(url)
        prefixes = {
            "qido_url_prefix": qido_url_prefix, "wado_url_prefix": wado_url_prefix,
            "stow_url_prefix": stow_url_prefix, "delete_url_prefix": delete_url_prefix,
        }  # fmt: skip
        for name, prefix in prefixes.items():
            if prefix == "":
                raise ValueError(f"an empty {name} (expected a path segment, or None)")
        self.qido_url_prefix, self.wado_url_prefix = qido_url_prefix, wado_url_prefix
        self.stow_url_prefix, self.delete_url_prefix = stow_url_prefix, delete_url_prefix
        if session is None:
            session = _session_for(callback)
        session.headers.update(headers or {})
        if proxies is not None:
            session.proxies = proxies
        if callback is not None:
            session.hooks = {"response": [callback]}
        self._session = session
        self._wire: Wire | None = None
        self._timeout = timeout
        self._permissive_uid = permissive_uid
        self.set_chunk_size(chunk_size)
        self.set_http_retry_params()

    def set_chunk_size(self, chunk_size: int) -> None:
        """Accepted and kept; bodies travel in pieces of our own size, and a store always says its length."""
        self._chunk_size = chunk_size

    def set_http_retry_params(
        self,
        retry: bool = True,
        max_attempts: int = 5,
        wait_exponential_multiplier: int = 1000,
        retriable_error_codes: tuple[HTTPStatus, ...] = _RETRIED,
    ) -> None:
        """Statuses after which a request is sent again, how often, and milliseconds of the first wait's half."""
        self._http_retry = retry
        self._max_attempts = max_attempts if retry else 1
        self._wait_exponential_multiplier = wait_exponential_multiplier if retry else 1
        self._http_retrable_errors: tuple[int, ...] = tuple(retriable_error_codes) if retry else ()

    def _set_url(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"malformed URL: {url!r} (expected http://host/path or https://host/path)")
        self.base_url = url
        self.scheme = self.protocol = parts.scheme
        self.host = parts.hostname
        self.port = parts.port or {"http": 80, "https": 443}[parts.scheme]
        self.url_prefix = parts.path

    def _url(
        self,
        prefix: str | None,
        collection: str = "",
        *,
        study: str | None = None,
        series: str | None = None,
        instance: str | None = None,
    ) -> str:
        """URL of a resource: as deep as the UIDs go, then the collection below it, if one is named."""
        pieces = [self.base_url.rstrip("/"), *([prefix.strip("/")] if prefix else [])]
        levels = (("studies", study), ("series", series), ("instances", instance))
        for name, uid in levels:
            if uid is None:
                break
            pieces += [name, quote(self._uid(uid))]
        return "/".join([*pieces, *([collection] if collection else [])])

    def _uid(self, uid: str) -> str:
        if not isinstance(uid, str):
            raise TypeError(f"a UID that is no text: {uid!r}")
        pattern = _PERMISSIVE_UID if self._permissive_uid else UID
        if pattern.fullmatch(uid) is None or (len(uid) > MAX_LENGTH and not self._permissive_uid):
            raise ValueError(
                f"UID {uid!r} must match regex {pattern.pattern!r}, with at most {MAX_LENGTH} characters"
            )
        return uid

    def _request(
        self,
        method: str,
        url: str,
        params: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Pieces | None = None,
    ) -> Answer:
        """The answer to a request, sent again for the statuses that `set_http_retry_params` names."""
        if params:
            url += ("&" if "?" in url else "?") + urlencode(params, doseq=True)
        attempt = 1
        while True:
            answer, response = self._send(method, url, headers or {}, body)
            if answer.status < 400:
                return answer
            with answer:
                if answer.status not in self._http_retrable_errors:
                    raise http_error(answer, response)
                if attempt >= self._max_attempts:
                    raise retry_error(answer, response, attempt)
            time.sleep(min(self._wait_exponential_multiplier * 2.0**attempt / 1000, _LONGEST_PAUSE))
            attempt += 1

    def _send(
        self, method: str, url: str, headers: Mapping[str, str], body: Pieces | None
    ) -> tuple[Answer, Any]:
        if not isinstance(self._session, OwnSession):
            return send_by_session(self._session, method, url, headers, body, self._timeout)
        if self._wire is None:
            self._wire = self._session.wire(self.base_url, self._timeout)
        return send_by_wire(self._wire, method, url, headers, body)

    def _get(self, url: str, accept: str, params: Mapping[str, Any] | None = None) -> bytes:
        with self._request("GET", url, params, {"Accept": accept}) as answer:
            return answer.read(Limits().instance)

    def _get_json(self, url: str, params: Mapping[str, Any] | None = None) -> list[Model]:
        with self._request("GET", url, params, {"Accept": JSON}) as answer:
            return parse_models(answer.read(Limits().text))

    def _search(
        self, url: str, collection: Collection, params: dict[str, Any], get_remaining: bool
    ) -> list[Model]:
        if not get_remaining:
            return self._get_json(url, params)
        found: list[Model] = []
        seen: set[str] = set()
        offset = int(params.get("offset", 0))
        while models := self._get_json(url, {**params, "offset": offset}):
            new = unseen(models, collection, seen)
            # A server that ignores the offset gives the same again and again.
            if not new:
                break
            found += new
            offset += len(models)
        return found

    def _parts(
        self,
        url: str,
        accept: str,
        params: Mapping[str, Any] | None = None,
        byte_range: tuple[int, ...] | None = None,
    ) -> Generator[bytes, None, None]:
        """Ask now, and give the parts of the answer as they arrive."""
        headers = {"Accept": accept}
        if byte_range is not None:
            headers["Range"] = f"bytes={byte_range[0]}-{byte_range[1] if len(byte_range) > 1 else ''}"
        answer = self._request("GET", url, params, headers)
        return (part.read().content for part in parts_of(answer))

    def _instances(
        self, url: str, accept: str, params: Mapping[str, Any] | None
    ) -> Generator[Dataset, None, None]:
        answer = self._request("GET", url, params, {"Accept": accept})
        return (part.read().dataset() for part in parts_of(answer))


def search_params(
    fuzzymatching: bool | None,
    limit: int | None,
    offset: int | None,
    fields: Sequence[str] | None,
    search_filters: Mapping[str, Any] | None,
    additional_params: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Query parameters of a search, checked; sorted, the additional ones last."""
    params: dict[str, Any] = dict(search_filters or {})
    for name, number in (("limit", limit), ("offset", offset)):
        if number is None:
            continue
        if not isinstance(number, int):
            raise TypeError(f"{name} {number!r} (expected a whole number)")
        if number < 0:
            raise ValueError(f"{name} {number} (expected 0 or more)")
        params[name] = number
    if fuzzymatching is not None:
        if not isinstance(fuzzymatching, bool):
            raise TypeError(f"fuzzymatching {fuzzymatching!r} (expected True or False)")
        params["fuzzymatching"] = "true" if fuzzymatching else "false"
    if fields is not None:
        params["includefield"] = sorted(set(fields))
    if not all(isinstance(each, str) for each in [*params, *params.get("includefield", ())]):
        raise TypeError("keys and fields of a search are texts: keywords or tags")
    return {**dict(sorted(params.items())), **(additional_params or {})}


def encoded(datasets: Sequence[Any]) -> Iterator[bytes]:
    """The bytes of each data set as pydicom writes it."""
    import io

    import pydicom

    for dataset in datasets:
        with io.BytesIO() as stream:
            pydicom.dcmwrite(stream, dataset)
            yield stream.getvalue()


def _session_for(callback: Callable[..., Any] | None) -> Any:
    if callback is None:
        return OwnSession()
    try:
        import requests
    except ImportError as error:
        raise ValueError("a callback needs the package requests, whose responses it is given") from error
    return requests.Session()
