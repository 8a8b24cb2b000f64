"""Retrieval (PS3.18 10.4): instances, frames, bulk data, metadata, renderings.

`iter_…` methods stream: a part at a time, nothing whole in memory, a cut body an error. `retrieve_…` methods give
whole parts and ask again when a transfer was cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar
from urllib.parse import urlencode, urljoin, urlsplit

from hounsfield.client.by_uri import NOT_RETRIEVED, ByUri
from hounsfield.client.parts import Part, Retrieved, parts_of
from hounsfield.client.wire import Request, origin
from hounsfield.dicomweb.dicom_json import Model
from hounsfield.dicomweb.media_types import DICOM, OCTETS, accept_ladder
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DicomwebError
from hounsfield.language import say

_PICTURES = "image/jpeg, image/png;q=0.9, image/gif;q=0.8, */*;q=0.1"
_SYNTAX_FREE = (1, 3, 5)
"""Rungs of the ladder that name no transfer syntax: no use when one was asked for."""

Value = TypeVar("Value")


class Retrieving(ByUri):
    """The retrieval methods of a client. `transfer_syntax` is a UID, a keyword such as "jpeg-ls", or "*": as stored."""

    _retrieves = False  # it gave an instance by WADO-RS once

    def iter_study(self, study_instance_uid: str, *, transfer_syntax: str = "*") -> Iterator[Part]:
        return self.iter_parts(self.resource(study_instance_uid), transfer_syntax=transfer_syntax)

    def iter_series(
        self, study_instance_uid: str, series_instance_uid: str, *, transfer_syntax: str = "*"
    ) -> Iterator[Part]:
        resource = self.resource(study_instance_uid, series_instance_uid)
        return self.iter_parts(resource, transfer_syntax=transfer_syntax)

    def retrieve_study(self, study_instance_uid: str, *, transfer_syntax: str = "*") -> list[Retrieved]:
        return self._whole(lambda: self.iter_study(study_instance_uid, transfer_syntax=transfer_syntax))

    def retrieve_series(
        self, study_instance_uid: str, series_instance_uid: str, *, transfer_syntax: str = "*"
    ) -> list[Retrieved]:
        resource = self.resource(study_instance_uid, series_instance_uid)
        return self._whole(lambda: self.iter_parts(resource, transfer_syntax=transfer_syntax))

    def retrieve_instance(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        *,
        transfer_syntax: str = "*",
    ) -> Retrieved:
        resource = self.resource(study_instance_uid, series_instance_uid, sop_instance_uid)
        return self._only(resource, lambda: self.iter_parts(resource, transfer_syntax=transfer_syntax))

    def iter_parts(
        self, resource: Resource, *, transfer_syntax: str = "*", inner: str = DICOM
    ) -> Iterator[Part]:
        """The parts of any resource as they arrive; the request is sent when the first is asked for.

        Instances of a server that retrieves nothing this way are asked for by WADO-URI.
        """
        ladder = _ladder(inner, transfer_syntax)
        try:
            answer = self._climb(self._retrieve_url(resource), ladder)
        except DicomwebError as error:
            is_other = inner != DICOM or resource.frames or self._retrieves
            if is_other or error.data.get("status") not in NOT_RETRIEVED:
                raise
            found = self.instances_by_uri(resource, transfer_syntax)
            try:
                part = next(found)
            except (DicomwebError, StopIteration):
                raise error from None
            yield part
            yield from found
            return
        self._retrieves = self._retrieves or inner == DICOM
        yield from parts_of(answer)

    def retrieve_study_metadata(self, study_instance_uid: str) -> list[Model]:
        """DICOM JSON of every instance, without bulk data."""
        return self.retrieve_metadata(self.resource(study_instance_uid))

    def retrieve_series_metadata(self, study_instance_uid: str, series_instance_uid: str) -> list[Model]:
        return self.retrieve_metadata(self.resource(study_instance_uid, series_instance_uid))

    def retrieve_instance_metadata(
        self, study_instance_uid: str, series_instance_uid: str, sop_instance_uid: str
    ) -> Model:
        resource = self.resource(study_instance_uid, series_instance_uid, sop_instance_uid)
        models = self.retrieve_metadata(resource)
        if len(models) != 1:
            raise DicomwebError(
                say("{count} data sets", count=len(models)),
                expected="the metadata of one instance",
                where=resource.url,
            )
        return models[0]

    def retrieve_metadata(self, resource: Resource) -> list[Model]:
        return self._json(self._retrieve_url(resource.as_("metadata")))[0]

    def iter_instance_frames(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        frame_numbers: Sequence[int],
        *,
        transfer_syntax: str = "*",
        media_type: str = OCTETS,
    ) -> Iterator[Part]:
        """Frames, numbered from 1, in the order asked: native bytes or codestreams, as the part's type says."""
        instance = self.resource(study_instance_uid, series_instance_uid, sop_instance_uid)
        resource = instance.at(frames=frame_numbers)
        return self.iter_parts(resource, transfer_syntax=transfer_syntax, inner=media_type)

    def retrieve_instance_frames(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        frame_numbers: Sequence[int],
        *,
        transfer_syntax: str = "*",
        media_type: str = OCTETS,
    ) -> list[Retrieved]:
        instance = self.resource(study_instance_uid, series_instance_uid, sop_instance_uid)
        resource = instance.at(frames=frame_numbers)
        frames = self._whole(
            lambda: self.iter_parts(resource, transfer_syntax=transfer_syntax, inner=media_type)
        )
        if len(frames) != len(frame_numbers):
            raise DicomwebError(
                say("{count} frames came", count=len(frames)),
                expected=f"{len(frame_numbers)}",
                where=resource.url,
            )
        return frames

    def retrieve_bulkdata(
        self, uri: str, *, relative_to: str | None = None, byte_range: tuple[int, int] | None = None
    ) -> Retrieved:
        """The value that a BulkDataURI of the metadata points to; a relative one counts from `relative_to`.

        `byte_range` is (first, last), both included. A URI on another host that names a study is asked of this
        server: proxies make servers write hosts that nobody can reach.
        """
        url = self.bulkdata_url(uri, relative_to=relative_to)
        headers = {
            "Accept": f'multipart/related; type="{OCTETS}"; transfer-syntax=*, {OCTETS};q=0.9, */*;q=0.1'
        }
        if byte_range is not None:
            headers["Range"] = f"bytes={byte_range[0]}-{byte_range[1]}"

        def parts() -> Iterator[Part]:
            return parts_of(self._wire.demand(Request("GET", url, headers)))

        found = self._whole(parts)
        if not found:
            raise DicomwebError("no bulk data", where=url)
        # Encapsulated pixel data comes as a part for each frame.
        return Retrieved(found[0].name, found[0].headers, b"".join(each.content for each in found))

    def bulkdata_url(self, uri: str, *, relative_to: str | None = None) -> str:
        url = urljoin((relative_to or self.service.url) + ("" if relative_to else "/"), uri)
        path = urlsplit(url).path
        if urlsplit(url).scheme not in {"http", "https"}:
            raise DicomwebError("bulk data that is not on the web", expected="an http URL", where=uri[:200])
        if origin(url) != self._wire.origin and "/studies/" in path:
            between = self._prefixes.retrieve.strip("/")
            below = path[path.index("/studies/") + 1 :]
            return "/".join(each for each in (self.service.base, between, below) if each)
        return url

    def retrieve_series_rendered(
        self, study_instance_uid: str, series_instance_uid: str, *, media_type: str = "", **options: object
    ) -> list[Retrieved]:
        """Pictures of a series. `options` are window="40,400,LINEAR", quality=90, viewport="512,512", annotation=…"""
        resource = self.resource(study_instance_uid, series_instance_uid).as_("rendered")
        return self._pictures(resource, media_type, options)

    def retrieve_instance_rendered(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        *,
        media_type: str = "",
        **options: object,
    ) -> Retrieved:
        resource = self.resource(study_instance_uid, series_instance_uid, sop_instance_uid).as_("rendered")
        return _one(resource, self._pictures(resource, media_type, options))

    def retrieve_instance_frames_rendered(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        frame_numbers: Sequence[int],
        *,
        media_type: str = "",
        **options: object,
    ) -> list[Retrieved]:
        instance = self.resource(study_instance_uid, series_instance_uid, sop_instance_uid)
        return self._pictures(instance.at(frames=frame_numbers).as_("rendered"), media_type, options)

    def retrieve_thumbnail(
        self,
        study_instance_uid: str,
        series_instance_uid: str | None = None,
        sop_instance_uid: str | None = None,
        *,
        viewport: str = "",
    ) -> Retrieved:
        """A small picture that stands for a study, series or instance."""
        resource = self.resource(study_instance_uid, series_instance_uid, sop_instance_uid).as_("thumbnail")
        return _one(resource, self._pictures(resource, "", {"viewport": viewport} if viewport else {}))

    def _pictures(
        self, resource: Resource, media_type: str, options: Mapping[str, object]
    ) -> list[Retrieved]:
        url = self._retrieve_url(
            resource, urlencode({key: str(value) for key, value in options.items()}, safe=",")
        )
        request = Request("GET", url, {"Accept": media_type or _PICTURES})
        return self._whole(lambda: parts_of(self._wire.demand(request)))

    def _only(self, resource: Resource, parts: Callable[[], Iterator[Part]]) -> Retrieved:
        return _one(resource, self._whole(parts))

    def _whole(self, parts: Callable[[], Iterator[Part]]) -> list[Retrieved]:
        """Every part in memory; begun again when the transfer was cut, as often as `retries` allows."""
        for attempt in range(1, self.retries.attempts + 1):
            try:
                return [part.read(self.limits.instance) for part in parts()]
            except DicomwebError as error:
                if not error.data.get("truncated") or attempt == self.retries.attempts:
                    raise
                self.retries.sleep(self.retries.pause(attempt))
        raise AssertionError("no attempt was made")


def _one(resource: Resource, found: list[Retrieved]) -> Retrieved:
    if len(found) != 1:
        raise DicomwebError(say("{count} parts came", count=len(found)), expected="one", where=resource.url)
    return found[0]


def _ladder(inner: str, transfer_syntax: str) -> tuple[str, ...]:
    if transfer_syntax == "*":
        return accept_ladder(inner)
    from hounsfield.dicom.syntaxes import transfer_syntax as known

    uid = transfer_syntax if transfer_syntax[:1].isdigit() else known(transfer_syntax).uid
    ladder = accept_ladder(inner, uid)
    return tuple(rung for place, rung in enumerate(ladder) if place not in _SYNTAX_FREE)
