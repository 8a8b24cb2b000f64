"""The contract of a store, held to by the folder and by the object store (over the real S3 protocol)."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from test_server_shared import bucket  # noqa: F401 (a fixture)

from hounsfield.ct.instance import BytesSource
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import LocationError
from hounsfield.phantom import PhantomSpec, write
from hounsfield.server.archive.integrity import BLOCK, Seal, digest_of
from hounsfield.server.archive.store.folder import FolderStore
from hounsfield.server.archive.store.incoming import LEAST_FREE_BYTES
from hounsfield.server.archive.store.objects import ObjectStore, open_objects
from hounsfield.server.archive.store.versions import earlier, key_of, parts_of, version_of
from hounsfield.server.deployment import Deployment

BYTES = b"an instance" * 1000
KEY = ("1.2.3", "1.2.4", "1.2.5")


def arrived(store: ObjectStore, content: bytes = BYTES) -> Any:
    """An arrival in pieces, synced."""
    arrival = store.arrival()
    for start in range(0, len(content), 4000):
        arrival.write([content[start : start + 1000], memoryview(content)[start + 1000 : start + 4000]])
    arrival.sync()
    return arrival


def content_of(store: ObjectStore, key: str) -> Any:
    with store.source(key).open() as stream:
        return stream.read()


def another_process(store: ObjectStore) -> subprocess.Popen[str]:
    """One that has an arrival of seven bytes under way, and does nothing more."""
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom hounsfield.server.archive.store.incoming import Incoming\n"
        "incoming = Incoming(Path(sys.argv[1]))\nincoming.name().write_bytes(b'7 bytes')\n"
        "print('there', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script, str(store.incoming.folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline() == "there\n"
    return process


class StoreContract:
    """What `hounsfield.server.archive.store` promises; a subclass gives the fixture `store`."""

    def test_an_arrival_is_seen_from_its_publication_on(self, store: ObjectStore) -> None:
        key = key_of(*KEY)
        assert store.owns(key)
        arrival = arrived(store)
        assert arrival.size == len(BYTES)
        assert store.size(key) is None and list(store.walk()) == []
        assert arrival.publish(key) == "stored"
        store.settle([key])
        arrival.confirm()
        assert content_of(store, key) == BYTES
        assert store.size(key) == len(BYTES) and list(store.walk()) == [key]
        assert list(store.leftovers(0.0)) == []

    def test_what_is_there_is_never_touched(self, store: ObjectStore) -> None:
        key = key_of(*KEY)
        arrived(store).publish(key)
        assert arrived(store).publish(key) == "present" and arrived(store).equals(key)
        other = arrived(store, BYTES + b"!")
        assert other.publish(key) == "other" and not other.equals(key)
        assert content_of(store, key) == BYTES

    def test_versions_lie_side_by_side(self, store: ObjectStore) -> None:
        keys = [key_of(*KEY, version) for version in (1, 2, 10)]
        for number, key in enumerate(keys):
            assert arrived(store, BYTES + bytes([number])).publish(key) == "stored"
        arrived(store).publish(key_of("1.2.3", "1.2.4", "1.2.50"))
        assert [content_of(store, key)[-1] for key in keys] == [0, 1, 2]
        assert set(store.walk()) == {*keys, "1.2.3/1.2.4/1.2.50.dcm"}
        assert set(store.versions(keys[:1])) == set(keys)
        store.remove(keys[:1])
        assert set(store.versions(keys[:1])) == set(keys[1:])
        assert not arrived(store).equals(keys[0])

    def test_several_who_publish_under_one_key_do_not_overwrite_each_other(self, store: ObjectStore) -> None:
        arrivals = [arrived(store, BYTES + bytes([number])) for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(lambda arrival: arrival.publish(key_of(*KEY)), arrivals))
        assert sorted(outcomes) == ["other"] * 7 + ["stored"]
        assert content_of(store, key_of(*KEY))[-1] == outcomes.index("stored")

    def test_a_source_can_be_read_from_anywhere(self, store: ObjectStore) -> None:
        key = key_of(*KEY)
        arrived(store).publish(key)
        with store.source(key).open() as stream:
            stream.seek(7000)
            assert stream.read(10) == BYTES[7000:7010]
            stream.seek(-5, 2)
            assert stream.read() == BYTES[-5:]

    def test_a_file_that_is_indexed_where_it_lies_is_read_where_it_lies(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        path = (tmp_path / "elsewhere").resolve()
        path.write_bytes(BYTES)
        assert not store.owns(str(path))
        assert (store.size(str(path)), content_of(store, str(path))) == (len(BYTES), BYTES)
        assert store.seal(str(path)) is None
        path.unlink()
        assert store.size(str(path)) is None
        with pytest.raises(LocationError):
            store.source(str(path)).open()

    def test_the_digest_lies_with_the_bytes(self, store: ObjectStore) -> None:
        key = key_of(*KEY)
        arrival = arrived(store)
        assert arrival.digest == digest_of(BytesSource("x", BYTES))[0]
        arrival.publish(key)
        first = zlib.crc32(BYTES[:BLOCK]).to_bytes(4, "big")
        assert store.seal(key) == Seal(hashlib.sha256(BYTES).digest(), first) == arrival.digest.seal
        assert store.seal(key_of("9.9", "9.8", "9.7")) is None

    def test_what_somebody_works_on_is_nothing_left_behind_however_old_it_is(
        self, store: ObjectStore, tmp_path: Path
    ) -> None:
        arrival = arrived(store)
        others = another_process(store)
        for path in store.incoming.folder.iterdir():
            os.utime(path, (0, 0))
        assert list(store.leftovers(60.0)) == []
        others.kill()
        others.wait(10)
        others.stdout.close()
        ((state, left),) = store.leftovers(60.0)
        assert state == "" and left.size == 7
        left.discard()
        assert list(store.leftovers(0.0)) == []
        assert arrival.publish(key_of(*KEY)) == "stored"

    def test_nothing_is_taken_in_when_the_disk_is_nearly_full(
        self, store: ObjectStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        statvfs = os.statvfs

        def with_free(count: int) -> None:
            found = list(statvfs("/"))
            found[1], found[4] = 1, count  # bytes in a unit, units free for us
            monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(found))

        with_free(LEAST_FREE_BYTES + 10)
        arrival = store.arrival()
        arrival.write([b"0123456789"])
        with pytest.raises(LocationError, match="the disk is full") as failed:
            arrival.write([b"0123456789", b"!"])
        assert failed.value.data["status"] == 507
        arrival.discard()

    def test_nothing_is_found_where_nothing_is(self, store: ObjectStore) -> None:
        key = key_of("9.9", "9.8", "9.7")
        assert store.size(key) is None
        with pytest.raises(LocationError):
            content_of(store, key)
        store.remove([key])

    def test_a_removal_is_complete(self, store: ObjectStore) -> None:
        keys = [key_of("1.2", "1.3", f"1.4.{number}") for number in range(3)]
        for key in keys:
            arrived(store).publish(key)
        store.remove(keys[:2])
        assert list(store.walk()) == keys[2:]

    def test_a_discarded_arrival_leaves_nothing_behind(self, store: ObjectStore) -> None:
        for content in (BYTES, b""):
            arrival = store.arrival()
            if content:
                arrival.write([content])
            arrival.discard()
            arrival.discard()
        assert list(store.leftovers(0.0)) == [] and list(store.walk()) == []

    def test_what_was_on_its_way_is_found_when_it_is_old_enough(self, store: ObjectStore) -> None:
        arrived(store)
        assert list(store.leftovers(60.0)) == []
        ((state, left),) = store.leftovers(0.0)
        assert state == "" and left.size == len(BYTES)
        left.discard()
        assert list(store.leftovers(0.0)) == []

    def test_it_says_whether_it_can_be_used(self, store: ObjectStore) -> None:
        store.check()


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> FolderStore:
        found = FolderStore(tmp_path / "archive")
        found.prepare()
        return found

    def test_a_publication_of_which_the_index_may_not_know_is_told_apart(self, store: ObjectStore) -> None:
        arrival = arrived(store)
        arrival.publish(key_of(*KEY))
        arrival.discard()
        del arrival  # nobody works on it any more
        ((state, left),) = store.leftovers(0.0)
        assert state == "published"
        left.discard()
        assert list(store.leftovers(0.0)) == []


class TestObjectStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, bucket: str) -> Iterator[ObjectStore]:  # noqa: F811
        found = open_objects(f"{bucket}-{tmp_path.name}", tmp_path / "spool")
        yield found
        found.remove(list(found.walk()))


@pytest.mark.parametrize("version", [1, 2, 9, 10, 123456789])
def test_a_key_tells_its_version(version: int) -> None:
    key = key_of(*KEY, version)
    assert parts_of(key) == (*KEY, version) and version_of(key) == version
    assert len(earlier(key_of(*KEY, 3))) == 2 and earlier(key_of(*KEY)) == []


@pytest.mark.parametrize(
    "key",
    ["1.2/1.3/1.4_v1.dcm", "1.2/1.3/1.4_v02.dcm", "1.2/1.3/1.4_v.dcm", "1.2/1.3/1.4", "1.2/1.4.dcm", "1.2/x/1.4.dcm",
     "../1.3/1.4.dcm", "1.2/1.3/.dcm", "1.2/1.3/1..4.dcm", "1.2/1.3/1.4_v2.dcm/5.dcm", "/1.2/1.3/1.4.dcm"],
)  # fmt: skip
def test_what_is_no_key_of_a_version_is_told_apart(key: str) -> None:
    assert parts_of(key) is None


def test_a_folder_is_imported_into_an_archive_whose_store_is_a_bucket(tmp_path: Path, bucket: str) -> None:  # noqa: F811
    write(PhantomSpec(rows=16, columns=16, slices=3), tmp_path / "old")
    deployment = Deployment(str(tmp_path / "archive"), store=f"{bucket}-imported")
    archive = deployment.open(first=True)
    try:
        adopted = deployment.watched(archive)
        adopted.add([tmp_path / "old"])
        assert adopted.look(settled=True) == []
        entries = archive.entries(Resource(""))
        assert len(entries) == 3
        contents = []
        for entry in entries:
            with archive.source(entry).open() as stream:
                contents.append(stream.read())
        assert sorted(contents) == sorted(path.read_bytes() for path in (tmp_path / "old").iterdir())
        assert list(archive.store.walk()) == []
        assert deployment.watched(archive).look(settled=True) == []
    finally:
        deployment.close(archive)
