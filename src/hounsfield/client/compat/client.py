"""The methods of `dicomweb_client.DICOMwebClient`, by their names, arguments and return types."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree.ElementTree import Element, tostring

from hounsfield.client.compat.accept import MediaTypes, accept_bulk, accept_dicom, accept_rendered
from hounsfield.client.compat.exchange import Pieces
from hounsfield.client.compat.requesting import JSON, Requesting, encoded, search_params
from hounsfield.client.options import Limits
from hounsfield.dicomweb.dicom_json import Model, parse_models, to_dataset
from hounsfield.dicomweb.media_types import DICOM, MediaType
from hounsfield.dicomweb.multipart import encode, new_boundary
from hounsfield.dicomweb.native_xml import parse_xml

if TYPE_CHECKING:
    from pydicom import Dataset

Params = dict[str, Any] | None


class DICOMwebClient(Requesting):
    """A DICOMweb server at `url`, for programs written for the package `dicomweb-client`.

    `session` is a `requests.Session` that all requests go through; without one they use our own connections.
    `additional_params` and `params` are query parameters, sequences as repeated keys.
    """

    def search_for_studies(
        self,
        fuzzymatching: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
        fields: Sequence[str] | None = None,
        search_filters: Params = None,
        get_remaining: bool = False,
        additional_params: Params = None,
    ) -> list[Model]:
        params = search_params(fuzzymatching, limit, offset, fields, search_filters, additional_params)
        return self._search(self._url(self.qido_url_prefix, "studies"), "studies", params, get_remaining)

    def search_for_series(
        self,
        study_instance_uid: str | None = None,
        fuzzymatching: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
        fields: Sequence[str] | None = None,
        search_filters: Params = None,
        get_remaining: bool = False,
        additional_params: Params = None,
    ) -> list[Model]:
        url = self._url(self.qido_url_prefix, "series", study=study_instance_uid)
        params = search_params(fuzzymatching, limit, offset, fields, search_filters, additional_params)
        return self._search(url, "series", params, get_remaining)

    def search_for_instances(
        self,
        study_instance_uid: str | None = None,
        series_instance_uid: str | None = None,
        fuzzymatching: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
        fields: Sequence[str] | None = None,
        search_filters: Params = None,
        get_remaining: bool = False,
        additional_params: Params = None,
    ) -> list[Model]:
        url = self._url(
            self.qido_url_prefix, "instances", study=study_instance_uid, series=series_instance_uid
        )
        params = search_params(fuzzymatching, limit, offset, fields, search_filters, additional_params)
        return self._search(url, "instances", params, get_remaining)

    def retrieve_study(
        self,
        study_instance_uid: str,
        media_types: MediaTypes | None = None,
        additional_params: Params = None,
    ) -> list[Dataset]:
        return list(self.iter_study(study_instance_uid, media_types, additional_params))

    def iter_study(
        self,
        study_instance_uid: str,
        media_types: MediaTypes | None = None,
        additional_params: Params = None,
    ) -> Generator[Dataset, None, None]:
        url = self._retrieve_url("", study=study_instance_uid)
        return self._instances(url, accept_dicom(media_types), additional_params)

    def retrieve_series(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        media_types: MediaTypes | None = None,
        additional_params: Params = None,
    ) -> list[Dataset]:
        return list(self.iter_series(study_instance_uid, series_instance_uid, media_types, additional_params))

    def iter_series(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        media_types: MediaTypes | None = None,
        additional_params: Params = None,
    ) -> Generator[Dataset, None, None]:
        url = self._retrieve_url("", study=study_instance_uid, series=series_instance_uid)
        return self._instances(url, accept_dicom(media_types), additional_params)

    def retrieve_instance(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        media_types: MediaTypes | None = None,
        additional_params: Params = None,
    ) -> Dataset:
        """The instance, as it is stored unless `media_types` names a transfer syntax."""
        url = self._instance_url(study_instance_uid, series_instance_uid, sop_instance_uid)
        accept = accept_dicom(media_types or ((DICOM, "*"),))
        found = list(self._instances(url, accept, additional_params))
        if len(found) != 1:
            raise ValueError(f"{len(found)} instances came (expected one)")
        return found[0]

    def retrieve_study_metadata(
        self, study_instance_uid: str, additional_params: Params = None
    ) -> list[Model]:
        return self._get_json(self._retrieve_url("metadata", study=study_instance_uid), additional_params)

    def retrieve_series_metadata(
        self, study_instance_uid: str, series_instance_uid: str, additional_params: Params = None
    ) -> list[Model]:
        url = self._retrieve_url("metadata", study=study_instance_uid, series=series_instance_uid)
        return self._get_json(url, additional_params)

    def retrieve_instance_metadata(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        additional_params: Params = None,
    ) -> Model:
        url = self._instance_url(study_instance_uid, series_instance_uid, sop_instance_uid, "metadata")
        found = self._get_json(url, additional_params)
        if not found:
            raise ValueError("no metadata came (expected those of one instance)")
        return found[0]

    def retrieve_series_rendered(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        media_types: MediaTypes | None = None,
        params: Params = None,
    ) -> bytes:
        accept = accept_rendered(media_types, ("image", "video", "text", "application"))
        url = self._retrieve_url("rendered", study=study_instance_uid, series=series_instance_uid)
        return self._get(url, accept, params)

    def retrieve_instance_rendered(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        media_types: MediaTypes | None = None,
        params: Params = None,
    ) -> bytes:
        accept = accept_rendered(media_types, ("image", "video", "text", "application"))
        url = self._instance_url(study_instance_uid, series_instance_uid, sop_instance_uid, "rendered")
        return self._get(url, accept, params)

    def retrieve_instance_frames(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        frame_numbers: Sequence[int],
        media_types: MediaTypes | None = None,
        additional_params: Params = None,
    ) -> list[bytes]:
        return list(
            self.iter_instance_frames(
                study_instance_uid, series_instance_uid, sop_instance_uid, frame_numbers, media_types,
                additional_params,
            )
        )  # fmt: skip

    def iter_instance_frames(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        frame_numbers: Sequence[int],
        media_types: MediaTypes | None = None,
        additional_params: Params = None,
    ) -> Generator[bytes, None, None]:
        """Frames, numbered from 1, in the order asked for."""
        numbers = ",".join(str(number) for number in frame_numbers)
        url = self._instance_url(
            study_instance_uid, series_instance_uid, sop_instance_uid, f"frames/{numbers}"
        )
        return self._parts(url, accept_bulk(media_types), additional_params)

    def retrieve_instance_frames_rendered(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        frame_numbers: Sequence[int],
        media_types: MediaTypes | None = None,
        params: Params = None,
    ) -> bytes:
        numbers = ",".join(str(number) for number in frame_numbers)
        accept = accept_rendered(media_types, ("image", "video"))
        url = self._instance_url(
            study_instance_uid, series_instance_uid, sop_instance_uid, f"frames/{numbers}/rendered"
        )
        return self._get(url, accept, params)

    def retrieve_bulkdata(
        self,
        url: str,
        media_types: MediaTypes | None = None,
        byte_range: tuple[int, int] | None = None,
        additional_params: Params = None,
    ) -> list[bytes]:
        return list(self.iter_bulkdata(url, media_types, byte_range, additional_params))

    def iter_bulkdata(
        self,
        url: str,
        media_types: MediaTypes | None = None,
        byte_range: tuple[int, int] | None = None,
        additional_params: Params = None,
    ) -> Generator[bytes, None, None]:
        """The value at a BulkDataURI of the metadata, in one part, or in one for each frame."""
        return self._parts(url, accept_bulk(media_types), additional_params, byte_range)

    def store_instances(
        self,
        datasets: Sequence[Dataset],
        study_instance_uid: str | None = None,
        additional_params: Params = None,
    ) -> Dataset:
        """Store data sets in one request; the result is the server's response module (PS3.18 I.2)."""
        url = self._url(
            self.stow_url_prefix, "" if study_instance_uid else "studies", study=study_instance_uid
        )
        boundary = new_boundary()
        parts = (({"Content-Type": DICOM}, content) for content in encoded(datasets))
        body = Pieces(list(encode(parts, boundary)))
        headers = {
            "Content-Type": f'multipart/related; type="{DICOM}"; boundary="{boundary}"',
            "Accept": JSON,
        }
        with self._request("POST", url, additional_params, headers, body) as answer:
            content = answer.read(Limits().text)
        return _response_dataset(content)

    def delete_study(self, study_instance_uid: str, additional_params: Params = None) -> None:
        self._delete(additional_params, study=study_instance_uid)

    def delete_series(
        self, study_instance_uid: str, series_instance_uid: str, additional_params: Params = None
    ) -> None:
        self._delete(additional_params, study=study_instance_uid, series=series_instance_uid)

    def delete_instance(
        self,
        study_instance_uid: str,
        series_instance_uid: str,
        sop_instance_uid: str,
        additional_params: Params = None,
    ) -> None:
        uids = {"study": study_instance_uid, "series": series_instance_uid, "instance": sop_instance_uid}
        self._delete(additional_params, **uids)

    @staticmethod
    def lookup_keyword(tag: Any) -> str:
        """Keyword of a tag: "0020000D", a number, or a pair of numbers; KeyError if there is none."""
        from pydicom.datadict import keyword_for_tag

        keyword = keyword_for_tag(tag)
        if not keyword:
            raise KeyError(f"no keyword for tag {tag}")
        return str(keyword)

    @staticmethod
    def lookup_tag(keyword: str) -> str:
        """Tag of a keyword, as eight hexadecimal digits; KeyError if there is none."""
        from pydicom.datadict import tag_for_keyword

        tag = tag_for_keyword(keyword)
        if tag is None:
            raise KeyError(f"no tag for keyword {keyword!r}")
        return f"{int(tag):08X}"

    def _retrieve_url(self, what: str, **uids: str) -> str:
        return self._below(self.wado_url_prefix, what, **uids)

    def _below(self, prefix: str | None, what: str, **uids: str) -> str:
        missing = [level for level, uid in uids.items() if uid is None]
        if missing:
            raise ValueError(f"no {missing[0]} UID (expected one for each level down to what is asked for)")
        return self._url(prefix, what, **uids)

    def _instance_url(self, study: str, series: str, instance: str, what: str = "") -> str:
        return self._retrieve_url(what, study=study, series=series, instance=instance)

    def _delete(self, params: Params, **uids: str) -> None:
        self._request("DELETE", self._below(self.delete_url_prefix, "", **uids), params).close()

    @staticmethod
    def _extract_part_content(part: bytes) -> bytes | None:
        """Content of one part of a multipart message, None for what stands between parts."""
        if part in {b"", b"--", b"\r\n"} or part.startswith(b"--\r\n"):
            return None
        _, blank, content = part.partition(b"\r\n\r\n")
        if not blank:
            raise ValueError("a part without the blank line after its headers")
        return content

    @staticmethod
    def _encode_multipart_message(content: Sequence[bytes], content_type: str) -> bytes:
        """A whole multipart message with the boundary and inner type that `content_type` names."""
        media_type = MediaType.parse(content_type)
        boundary, inner = media_type.parameter("boundary"), media_type.parameter("type")
        if not boundary or not inner:
            raise ValueError(
                f"no type or boundary in {content_type!r} (expected multipart/related with both)"
            )
        return b"".join(encode((({"Content-Type": inner}, each) for each in content), boundary))


def _response_dataset(content: bytes) -> Dataset:
    """Data set of a store's response, JSON or XML whatever its header says; empty for an empty one."""
    if content.lstrip()[:1] == b"<":
        return to_dataset(parse_xml(content))
    return to_dataset(next(iter(parse_models(content)), {}))


def _load_xml_dataset(dataset: Element) -> Dataset:
    """Data set of a NativeDicomModel element."""
    return to_dataset(parse_xml(tostring(dataset)))
