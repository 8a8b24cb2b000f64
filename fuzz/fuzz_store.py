"""Fuzz target: any body of a store, in any chunks, ends as instances stored whole or as one of our errors.

`python fuzz/fuzz_store.py -max_total_time=60` (needs the dependency group `fuzz`). What reaches new code is kept in
`.fuzz/store`, and what fails is written to `.fuzz`. The same function runs over seeds and their mutations in
`tests/test_server_fuzz.py`.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable
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
from hounsfield.server.archive.archive import Archive
from hounsfield.server.deployment import Deployment
from hounsfield.server.http.limits import Limits
from hounsfield.server.ingest.metadata_upload import MetadataUpload
from hounsfield.server.ingest.upload import Upload
from hounsfield.server.ingest.validation import FAILED

CONTENT_TYPES = (
    'multipart/related; type="application/dicom"; boundary=b',
    "multipart/related",
    "application/dicom",
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


def seeds() -> list[bytes]:
    """Bodies of every kind, each after its two bytes of choice."""
    files = [serialise(spec, each) for spec in SPECS for each in datasets(spec)]
    kind = {"Content-Type": "application/dicom"}
    found = [b"\x02\xff" + each for each in files]
    found.append(b"\x00\x20" + b"".join(encode([(kind, each) for each in files[:3]], "b")))
    found.append(b"\x01\x01" + b"".join(encode([({}, files[0]), (kind, b"DICM")], "b")))
    return found


class Target:
    """An archive in `folder` that takes whatever comes as one of `kinds`."""

    kinds: tuple[str, ...] = CONTENT_TYPES

    def __init__(self, folder: Path) -> None:
        self._deployment = Deployment(str(folder))
        self.archive: Archive = self._deployment.open(first=True)
        self._incoming = folder / ".hounsfield" / "incoming"

    def close(self) -> None:
        self._deployment.close(self.archive)

    def one_input(self, data: bytes) -> None:
        """Store `data`; raises only what is a bug."""
        kind = MediaType.parse(self.kinds[data[0] % len(self.kinds)] if data else self.kinds[0])
        step = 1 + 16 * (data[1] if len(data) > 1 else 0)
        body = data[2:]
        result = self.stored(kind, body, step)
        assert not list(self._incoming.iterdir())
        if result is not None:
            self.check(result, kind, body)
        if self.archive.index.totals()[2]:
            self.archive.remove(Resource(""))
            assert not list(self.archive.store.walk())

    def stored(self, kind: MediaType, body: bytes, step: int) -> StoreResult | None:
        """What became of a body that was fed in pieces of `step` bytes; None where it is refused whole."""
        try:
            upload = self.upload(kind)
        except HounsfieldError:
            return None
        try:
            for start in range(0, len(body), step):
                upload.feed([body[start : start + step]])
            return upload.finish()
        except HounsfieldError as error:
            upload.abandon()
            status = error.data.get("status", 400)
            assert isinstance(status, int), error
            assert status < 500, error
            return None

    def upload(self, kind: MediaType) -> Upload | MetadataUpload:
        return Upload(self.archive, kind, None, LIMITS)

    def check(self, result: StoreResult, kind: MediaType, body: bytes) -> None:
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
            assert kind.name != "application/dicom" or content == body
        assert len(list(self.archive.headers(Resource("")))) == len(entries)


def run_on_archive(name: str, seeds: Iterable[bytes], target: type[Target]) -> None:
    """`run` a target over an archive in memory, where there is a file system for that."""
    logging.disable(logging.WARNING)
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        run(name, seeds, target(Path(folder)).one_input)


def main() -> None:
    run_on_archive("store", seeds(), Target)


if __name__ == "__main__":
    main()
