"""Retrieval by WADO-URI (PS3.18 9), for servers that search by QIDO-RS and retrieve nothing by WADO-RS.

The standard does not say where that service lies beside a DICOMweb service: it is looked for once, unless it was named.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlencode, urlsplit

from hounsfield.client.answer import Answer
from hounsfield.client.parts import Part, parts_of
from hounsfield.client.searching import Searching
from hounsfield.client.wire import Request
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.media_types import DICOM, OCTETS
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import DicomwebError

NOT_RETRIEVED = frozenset({404, 405, 501})
"""Statuses with which servers say that they do not retrieve, or not this way."""


class ByUri(Searching):
    """The fallback of retrieval. `_uri`: where WADO-URI was found, "" before it was looked for."""

    _uri = ""

    def instances_by_uri(self, resource: Resource, transfer_syntax: str) -> Iterator[Part]:
        """The instances of `resource`, one by one. Raises `DicomwebError` where there is no WADO-URI."""
        for each in self._instances_below(resource):
            yield from parts_of(self._by_uri(each, transfer_syntax))

    def _instances_below(self, resource: Resource) -> Iterator[Resource]:
        if resource.instance is not None:
            yield resource
            return
        for model in self.search_for_instances(resource.study, resource.series):
            series = resource.series or first(model, "SeriesInstanceUID")
            yield self.resource(resource.study, series, first(model, "SOPInstanceUID"))

    def _by_uri(self, resource: Resource, transfer_syntax: str) -> Answer:
        query = {
            "requestType": "WADO",
            "studyUID": resource.study or "",
            "seriesUID": resource.series or "",
            "objectUID": resource.instance or "",
            "contentType": DICOM,
        }
        if transfer_syntax != "*":
            query["transferSyntax"] = transfer_syntax
        refused: DicomwebError | None = None
        for place in self._places():
            request = Request("GET", f"{place}?{urlencode(query)}", {"Accept": f"{DICOM}, */*;q=0.1"})
            try:
                answer = self._wire.demand(request)
            except DicomwebError as error:
                refused = refused or error
                continue
            kind = answer.media_type.name if answer.media_type else ""
            if kind in {DICOM, OCTETS}:
                self._uri = place
                return answer
            with answer:
                refused = DicomwebError("an answer that is no instance", expected=DICOM, where=place)
        raise refused or DicomwebError("no WADO-URI", where=self.url)

    def _places(self) -> tuple[str, ...]:
        """Addresses at which WADO-URI may lie: the one that was named or found, else those of usual servers."""
        if self._uri or self.wado_uri:
            return (self._uri or self.wado_uri,)
        base = self.service.base.rstrip("/")
        parts = urlsplit(base)
        above = base.rpartition("/")[0] if parts.path.strip("/") else base
        origin = f"{parts.scheme}://{parts.netloc}"
        return tuple(dict.fromkeys((f"{above}/wado", f"{base}/wado", base, f"{origin}/wado")))
