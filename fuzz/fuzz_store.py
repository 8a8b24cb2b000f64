"""Fuzz target: any body of a store, in any chunks, ends as instances stored whole or as one of our errors.

`python fuzz/fuzz_store.py -max_total_time=60` (needs the dependency group `fuzz`). What reaches new code is kept in
`.fuzz/store`, and what fails is written to `.fuzz`. The same function runs over seeds and their mutations in
`tests/test_server_fuzz.py`.
"""

from __future__ import annotations

import logging
import tempfile
from dataclasses import replace
from pathlib import Path

from running import encodings, run

from hounsfield.dicomweb.media_types import MediaType
from hounsfield.dicomweb.multipart import encode
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.store_results import StoreResult
from hounsfield.errors import HounsfieldError
from hounsfield.phantom import PhantomSpec, datasets
from hounsfield.phantom.writer import serialise
from hounsfield.server.archive import Archive
from hounsfield.server.deployment import Deployment
from hounsfield.server.intake import Intake
from hounsfield.server.judging import FAILED
from hounsfield.server.limits import Limits
from hounsfield.server.separate import SeparateIntake, is_separate

CONTENT_TYPES = (
    'multipart/related; type="application/dicom"; boundary=b',
    "multipart/related",
    "application/dicom",
    'multipart/related; type="application/dicom+json"; boundary=b',
    'multipart/related; type="application/dicom+xml"; boundary=b',
    "application/dicom+json",
)
"""The first byte of an input chooses one, the second how large the chunks are."""

LIMITS = Limits(body=1 << 20, parts=50, instance=1 << 19, header=1 << 16, metadata=1 << 16)
SMALL = PhantomSpec(rows=8, columns=8, slices=1)
SPECS = (
    *encodings(SMALL),
    replace(SMALL, transfer_syntax="jpeg-ls", character_set=("", "ISO 2022 IR 87")),
    replace(
        SMALL, multiframe="enhanced", slices=3, transfer_syntax="jpeg-ls", fragments=2, offset_table="empty"
    ),
)
METADATA = (
    b'[{"00080016":{"vr":"UI","Value":["1.2.840.10008.5.1.4.1.1.2"]},"00080018":{"vr":"UI","Value":["1.2.3"]},'
    b'"0020000D":{"vr":"UI","Value":["1.2.4"]},"0020000E":{"vr":"UI","Value":["1.2.5"]},'
    b'"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"}]},"00280010":{"vr":"US","Value":[1]},'
    b'"7FE00010":{"vr":"OW","BulkDataURI":"pixels"}}]'
)


def seeds() -> list[bytes]:
    """Bodies of every kind, each after its two bytes of choice."""
    files = [serialise(spec, each) for spec in SPECS for each in datasets(spec)]
    kind = {"Content-Type": "application/dicom"}
    found = [b"\x02\xff" + each for each in files]
    found.append(b"\x00\x20" + b"".join(encode([(kind, each) for each in files[:3]], "b")))
    found.append(b"\x01\x01" + b"".join(encode([({}, files[0]), (kind, b"DICM")], "b")))
    parts = [
        ({"Content-Type": "application/dicom+json"}, METADATA),
        ({"Content-Type": "application/octet-stream", "Content-Location": "pixels"}, b"\1\2"),
    ]
    found.append(b"\x03\x10" + b"".join(encode(parts, "b")))
    found.append(b"\x05\xff" + METADATA)
    return found


class Target:
    """An archive in `folder` that takes whatever comes."""

    def __init__(self, folder: Path) -> None:
        self._deployment = Deployment(str(folder))
        self.archive: Archive = self._deployment.open(first=True)
        self._incoming = folder / ".hounsfield" / "incoming"

    def close(self) -> None:
        self._deployment.close(self.archive)

    def one_input(self, data: bytes) -> None:
        """Store `data`; raises only what is a bug."""
        kind = MediaType.parse(CONTENT_TYPES[data[0] % len(CONTENT_TYPES)] if data else CONTENT_TYPES[0])
        step = 1 + 16 * (data[1] if len(data) > 1 else 0)
        body = data[2:]
        result: StoreResult | None = None
        try:
            intake = self._intake(kind)
        except HounsfieldError:
            return
        try:
            for start in range(0, len(body), step):
                intake.feed([body[start : start + step]])
            result = intake.finish()
        except HounsfieldError as error:
            intake.abandon()
            status = error.data.get("status", 400)
            assert isinstance(status, int), error
            assert status < 500, error
        assert not list(self._incoming.iterdir())
        if result is not None:
            self._check(result, body, whole=kind.name == "application/dicom")
        if self.archive.index.totals()[2]:
            self.archive.remove(Resource(""))
            assert not list(self.archive.store.walk())

    def _intake(self, kind: MediaType) -> Intake | SeparateIntake:
        if is_separate(kind):
            return SeparateIntake(self.archive, kind, None, LIMITS, "http://here/studies")
        return Intake(self.archive, kind, None, LIMITS)

    def _check(self, result: StoreResult, body: bytes, *, whole: bool) -> None:
        """What is told to be stored is there and can be served; nothing failed by a fault of ours."""
        assert not any("fault of the server" in each for each in result.other_failures)
        stored = [each for each in result.instances if each.outcome == "stored"]
        assert all(each.code != FAILED for each in result.instances)
        entries = {entry.path: entry for entry in self.archive.entries(Resource(""))}
        assert {each.url for each in stored} == set(entries)
        for entry in entries.values():
            with self.archive.source(entry).open() as stream:
                content = stream.read()
            assert len(content) == entry.size
            assert not whole or content == body
        assert len(list(self.archive.headers(Resource("")))) == len(entries)


def main() -> None:
    logging.disable(logging.WARNING)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        run("store", seeds(), Target(Path(folder)).one_input)


if __name__ == "__main__":
    main()
