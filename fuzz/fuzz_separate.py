"""Fuzz target: any store of metadata and bulk data apart ends as files that hold all of it, or as one of our errors.

`python fuzz/fuzz_separate.py -max_total_time=60` (needs the dependency group `fuzz`). What reaches new code is kept
in `.fuzz/separate`, and what fails is written to `.fuzz`. The same function runs over seeds and their mutations in
`tests/test_server_fuzz.py`. Bodies and chunks are those of `fuzz_store`, which has the archive, too.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pydicom
from fuzz_store import LIMITS, SMALL, Target, run_on_archive

from hounsfield.codecs import encode_frame
from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model, from_dataset
from hounsfield.dicomweb.media_types import DICOM_JSON, DICOM_XML, MediaType
from hounsfield.dicomweb.multipart import encode
from hounsfield.dicomweb.native_xml import encode_xml
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.store_results import StoreResult
from hounsfield.phantom import datasets
from hounsfield.phantom.writer import serialise
from hounsfield.server.ingest.metadata_upload import MetadataUpload

CONTENT_TYPES = (
    f'multipart/related; type="{DICOM_JSON}"; boundary=b',
    f'multipart/related; type="{DICOM_XML}"; boundary=b',
    DICOM_JSON,
    DICOM_XML,
)
"""The first byte of an input chooses one, the second how large the chunks are."""

CODINGS = {
    "jpeg-ls": "image/jls",
    "jpeg2000": "image/jp2",
    "htj2k": "image/jphc",
    "jpeg-lossless": "image/jpeg",
    "rle": "image/dicom-rle",
    "jpeg-xl": "image/jxl",
}
SILENT = frozenset({"rle", "jpeg-xl"})
"""Those that do not tell what they hold."""

Part = tuple[Mapping[str, str], bytes]


def seeds() -> list[bytes]:
    """A small instance as metadata and pixels, in each coding and form, each after its two bytes of choice."""
    (content,) = [serialise(SMALL, each) for each in datasets(SMALL)]
    dataset = pydicom.dcmread(io.BytesIO(content))
    model = from_dataset(dataset, bulk=lambda path, _: "pixels" if path == "7FE00010" else None)
    nested = {"vr": "SQ", "Value": [{"00091001": {"vr": "OB", "BulkDataURI": "nested"}}]}
    other = {**model, "00091001": {"vr": "UN", "BulkDataURI": "cid:other"}, "00400275": nested}
    native, bits = _part(dataset.PixelData), _part(b"\1\2\3", where="nested")
    found = [
        b"\0\x10" + _body([model], native),
        b"\0\xff" + _body([other], native, bits, _part(b"abc", where="<other>", named="Content-ID")),
        b"\0\x01" + _body([model | {"7FE00010": {"vr": "OW", "InlineBinary": "AAAA"}}]),
        b"\2\xff" + json.dumps([{tag: each for tag, each in model.items() if tag != "7FE00010"}]).encode(),
        b"\1\x20" + b"".join(encode([({"Content-Type": DICOM_XML}, encode_xml(model)), native], "b")),
        b"\3\xff" + encode_xml({tag: each for tag, each in model.items() if tag != "7FE00010"}),
    ]
    return found + [b"\0\xff" + each for each in _coded(content, model)]


def _coded(content: bytes, model: Model) -> Iterator[bytes]:
    """Frames in each coding: one alone; two that are numbered, described by themselves where they can be."""
    instance = read_instance(BytesSource("x", content))
    undescribed = {tag: each for tag, each in model.items() if not tag.startswith("0028")}
    for keyword, kind in CODINGS.items():
        frame = encode_frame(instance.cells(0), transfer_syntax(keyword), instance.frame_format)
        yield _body([model], _part(frame, kind))
        told = f"{kind}; transfer-syntax={transfer_syntax(keyword).uid}"
        two = (model if keyword in SILENT else undescribed) | {"00280008": {"vr": "IS", "Value": [2]}}
        yield _body([two], *(_part(frame, told, f"pixels/frames/{number}") for number in (1, 2)))


def _part(content: bytes, kind: str = "application/octet-stream", where: str = "pixels",
          named: str = "Content-Location") -> Part:  # fmt: skip
    return {"Content-Type": kind, named: where}, content


def _body(models: list[Model], *parts: Part) -> bytes:
    metadata: Part = ({"Content-Type": DICOM_JSON}, json.dumps(models).encode())
    return b"".join(encode([metadata, *parts], "b"))


def _kept(model: Model) -> set[str]:
    """Tags that a file has to have; not what tells of an encoding, nor lengths of groups."""
    tags = {tag.upper() for tag in model}
    return {tag for tag in tags - {"00083002"} if tag > "0008" and not tag.endswith("0000")}


class SeparateTarget(Target):
    """An archive that composes whatever comes."""

    kinds = CONTENT_TYPES

    made: MetadataUpload

    def upload(self, kind: MediaType) -> MetadataUpload:
        self.made = MetadataUpload(self.archive, kind, None, LIMITS, "http://here/studies")
        return self.made

    def check(self, result: StoreResult, kind: MediaType, body: bytes) -> None:
        """Also: no attribute is lost, and the same metadata and bulk data make the same files."""
        super().check(result, kind, body)
        paths = [each.url for each in result.instances if each.outcome == "stored"]
        if not paths:
            return
        if len(paths) == len(set(paths)):
            given = {first(model, "00080018"): _kept(model) for model in self.made._models()}
            for entry, text in self.archive.headers(Resource("")):
                told: dict[str, Any] = json.loads(text, strict=False)
                assert told["00080018"]["Value"] == [entry.instance]
                assert told["00080005"]["Value"] == ["ISO_IR 192"]
                assert told.keys() >= given[entry.instance], given[entry.instance] - told.keys()
            again = self.stored(kind, body, len(body))
            assert again == result, (again, result)


def main() -> None:
    run_on_archive("separate", seeds(), SeparateTarget)


if __name__ == "__main__":
    main()
