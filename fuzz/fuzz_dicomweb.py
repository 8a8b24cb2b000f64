"""Fuzz target: any bytes given to the DICOMweb readers make a value or one of our errors, whatever the chunking.

`python fuzz/fuzz_dicomweb.py -max_total_time=60` (needs the dependency group `fuzz`). The same function runs
over seeds and random bytes in `tests/test_dicomweb_fuzz.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from running import run

from hounsfield.dicomweb.attributes import values
from hounsfield.dicomweb.dicom_json import bulk_uris, from_dataset, parse_models, to_dataset
from hounsfield.dicomweb.matching import matches
from hounsfield.dicomweb.media_types import MediaType, negotiate, parse_accept
from hounsfield.dicomweb.multipart import MultipartParser, PartData
from hounsfield.dicomweb.native_xml import parse_xml
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.store_results import parse_store_result
from hounsfield.dicomweb.warnings299 import parse_warnings
from hounsfield.errors import HounsfieldError


def one_input(data: bytes) -> None:
    """Every reader over `data`; raises only what is a bug."""
    text = data.decode("latin-1")
    for trust_lengths in (False, True):
        whole = _multipart(data, [len(data)], trust_lengths)
        assert whole == _multipart(data, [1 + byte % 7 for byte in data[:64]], trust_lengths)
    for of_text in (_resource, _query, _media_type, parse_warnings):
        _tolerate(of_text, text)
    for of_bytes in (_json, parse_xml, _store_result):
        _tolerate(of_bytes, data)


def _tolerate(reader: Callable[..., object], given: str | bytes) -> None:
    try:
        reader(given)
    except HounsfieldError as error:
        assert len(str(error)) < 2000


def _multipart(data: bytes, sizes: list[int], trust_lengths: bool) -> object:
    boundary = None if data[:1] == b"?" else "b"
    parser = MultipartParser(boundary, trust_lengths=trust_lengths)
    content: list[bytes] = []
    position = 0
    try:
        for size in [*sizes, len(data)]:
            for event in parser.feed(data[position : position + size]):
                content.append(
                    bytes(event.content) if isinstance(event, PartData) else type(event).__name__.encode()
                )
            position += size
        list(parser.close())
    except HounsfieldError as error:
        return str(error)
    return b"|".join(content).replace(b"|", b"")


def _resource(text: str) -> None:
    found = Resource.parse(text)
    assert Resource.parse(found.url) == found


def _query(text: str) -> None:
    query = Query.parse(text)
    assert Query.parse(query.encode()) == query
    matches(query, {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "A^B"}]}})


def _media_type(text: str) -> None:
    accept = parse_accept(text)
    negotiate(accept, [MediaType("application/dicom+json")])
    media_type = MediaType.parse(text)
    assert MediaType.parse(str(media_type)) == media_type


def _json(data: bytes) -> None:
    for model in parse_models(data):
        values(model, "PatientName")
        bulk_uris(model)
        from_dataset(to_dataset(model, bulk=lambda path, uri: b"ab"))


def _store_result(data: bytes) -> None:
    parse_store_result(200, "", data, ["1.2"])


def main() -> None:
    run("dicomweb", (), one_input)


if __name__ == "__main__":
    main()
