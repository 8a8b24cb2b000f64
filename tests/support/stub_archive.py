"""A small DICOMweb archive in memory behind the stub server, for tests of locations and copies, faults on request."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qs

from pydicom import dcmread
from stub_server import Exchange, Stub, stub_server

from hounsfield.dicomweb.dicom_json import Model, from_dataset
from hounsfield.dicomweb.media_types import MediaType
from hounsfield.dicomweb.multipart import MultipartParser, PartBegins, PartData, encode
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.store_results import StoredInstance, StoreResult, store_result_model

Fault = Callable[[Exchange], bool]
"""May answer a request itself, and then says True."""


@dataclass
class StubArchive:
    """Instances by (study, series, instance); `fault` may spoil any answer."""

    contents: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    models: dict[tuple[str, str, str], Model] = field(default_factory=dict)
    fault: Fault = lambda exchange: False
    url: str = ""
    stub: Stub | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, content: bytes) -> StoredInstance:
        dataset = dcmread(io.BytesIO(content))
        key = (str(dataset.StudyInstanceUID), str(dataset.SeriesInstanceUID), str(dataset.SOPInstanceUID))
        with self.lock:
            if self.contents.setdefault(key, content) != content:
                return StoredInstance(key[2], "refused", str(dataset.SOPClassUID), 0x0111)
            pixels = dataset.pop("PixelData", None)
            self.models[key] = from_dataset(dataset)
            if pixels is not None:
                uri = f"studies/{key[0]}/series/{key[1]}/instances/{key[2]}/bulk/7fe00010"
                self.models[key]["7FE00010"] = {"vr": "OW", "BulkDataURI": uri}
        return StoredInstance(key[2], "stored", str(dataset.SOPClassUID))

    def respond(self, exchange: Exchange) -> None:
        if self.fault(exchange):
            return
        resource = Resource.parse(f"http://h{exchange.path}")
        if exchange.method == "POST":
            self._store(exchange)
        elif resource.collection is not None:
            self._search(exchange, resource)
        elif resource.rendition == "metadata":
            exchange.json([self.models[key] for key in self._below(resource)])
        else:
            self._retrieve(exchange, resource)

    def _below(self, resource: Resource) -> list[tuple[str, str, str]]:
        asked = (resource.study, resource.series, resource.instance)
        with self.lock:
            keys = list(self.contents)
        return [key for key in keys if all(want in {None, has} for want, has in zip(asked, key, strict=True))]

    def _search(self, exchange: Exchange, resource: Resource) -> None:
        depth = ["studies", "series", "instances"].index(resource.collection or "") + 1
        asked = parse_qs(exchange.query)
        found = {key[:depth]: self.models[key] for key in self._below(resource)}
        tags = {
            "PatientID": "00100020",
            "StudyInstanceUID": "0020000D",
            "SeriesInstanceUID": "0020000E",
            "SOPInstanceUID": "00080018",
        }
        wanted = {name: asked[name][0] for name in asked if name in tags}
        models = [
            {tag: element for tag, element in model.items() if element["vr"] != "SQ" and tag != "7FE00010"}
            for model in found.values()
            if all(model.get(tags[name], {}).get("Value", [""])[0] == value for name, value in wanted.items())
        ]
        start = int(asked.get("offset", ["0"])[0])
        exchange.json(models[start : start + int(asked.get("limit", ["100000"])[0])])

    def _retrieve(self, exchange: Exchange, resource: Resource) -> None:
        keys = self._below(resource)
        if not keys:
            exchange.answer(404, b"no such thing")
            return
        body = b"".join(
            encode([((("Content-Type", "application/dicom"),), self.contents[key]) for key in keys], "b")
        )
        exchange.answer(200, body, Content_Type='multipart/related; type="application/dicom"; boundary=b')

    def _store(self, exchange: Exchange) -> None:
        results = [self.add(part) for part in parts_of_body(exchange)]
        result = StoreResult(tuple(results))
        exchange.json([store_result_model(result)], status=result.status())


def parts_of_body(exchange: Exchange) -> Iterator[bytes]:
    parser = MultipartParser(MediaType.parse(exchange.headers["content-type"]).parameter("boundary"))
    parts: list[list[bytes]] = []
    for event in (*parser.feed(exchange.body), *parser.close()):
        if isinstance(event, PartBegins):
            parts.append([])
        elif isinstance(event, PartData):
            parts[-1].append(bytes(event.content))
    return map(b"".join, parts)


@contextmanager
def stub_archive(
    contents: Iterable[bytes] = (), fault: Fault = lambda exchange: False
) -> Iterator[StubArchive]:
    archive = StubArchive(fault=fault)
    for content in contents:
        archive.add(content)
    with stub_server(archive.respond) as stub:
        archive.stub = stub
        archive.url = f"{stub.url}/dicom-web"
        yield archive
