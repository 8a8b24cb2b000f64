"""The contract of a store, held to by the folder and by the object store (over the real S3 protocol)."""

from __future__ import annotations

import pytest

from hounsfield.errors import LocationError
from hounsfield.server.store.folder import FolderStore
from hounsfield.server.store.objects import open_objects
from test_server_shared import bucket  # noqa: F401 (a fixture)

BYTES = b"an instance" * 1000
KEY = ("1.2.3", "1.2.4", "1.2.5")


def arrived(store, content=BYTES):
    """An arrival in pieces, synced."""
    arrival = store.arrival()
    for start in range(0, len(content), 4000):
        arrival.write([content[start : start + 1000], memoryview(content)[start + 1000 : start + 4000]])
    arrival.sync()
    return arrival


def content_of(store, key):
    with store.source(key).open() as stream:
        return stream.read()


class StoreContract:
    """What `hounsfield.server.store` promises; a subclass gives the fixture `store`."""

    def test_an_arrival_is_seen_from_its_publication_on(self, store):
        key = store.key_of(*KEY)
        assert key == store.key_of(*KEY) and store.owns(key)
        arrival = arrived(store)
        assert arrival.size == len(BYTES)
        assert store.size(key) is None and list(store.walk()) == []
        assert arrival.publish(key) == "stored"
        store.settle([key])
        arrival.discard()
        assert content_of(store, key) == BYTES
        assert store.size(key) == len(BYTES) and list(store.walk()) == [key]
        assert list(store.leftovers(0.0)) == []

    def test_what_is_there_is_never_touched_unless_it_is_to_be_replaced(self, store):
        key = store.key_of(*KEY)
        arrived(store).publish(key)
        assert arrived(store).publish(key) == "present"
        other = arrived(store, BYTES + b"!")
        assert other.publish(key) == "other"
        assert content_of(store, key) == BYTES
        assert arrived(store, BYTES + b"?").publish(key, replace=True) == "replaced"
        assert content_of(store, key) == BYTES + b"?"

    def test_a_source_can_be_read_from_anywhere(self, store):
        key = store.key_of(*KEY)
        arrived(store).publish(key)
        with store.source(key).open() as stream:
            stream.seek(7000)
            assert stream.read(10) == BYTES[7000:7010]
            stream.seek(-5, 2)
            assert stream.read() == BYTES[-5:]

    def test_nothing_is_found_where_nothing_is(self, store):
        key = store.key_of("9.9", "9.8", "9.7")
        assert store.size(key) is None
        with pytest.raises(LocationError):
            content_of(store, key)
        store.remove([key])

    def test_a_removal_is_complete(self, store):
        keys = [store.key_of("1.2", "1.3", f"1.4.{number}") for number in range(3)]
        for key in keys:
            arrived(store).publish(key)
        store.remove(keys[:2])
        assert list(store.walk()) == keys[2:]

    def test_a_discarded_arrival_leaves_nothing_behind(self, store):
        for content in (BYTES, b""):
            arrival = store.arrival()
            if content:
                arrival.write([content])
            arrival.discard()
            arrival.discard()
        assert list(store.leftovers(0.0)) == [] and list(store.walk()) == []

    def test_what_was_on_its_way_is_found_when_it_is_old_enough(self, store):
        arrived(store)
        assert list(store.leftovers(60.0)) == []
        ((state, left),) = store.leftovers(0.0)
        assert state == "" and left.size == len(BYTES)
        left.discard()
        assert list(store.leftovers(0.0)) == []

    def test_it_says_whether_it_can_be_used(self, store):
        store.check()


class TestFolderStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        found = FolderStore(tmp_path / "archive")
        found.prepare()
        return found

    def test_a_publication_of_which_the_index_may_not_know_is_told_apart(self, store):
        arrived(store).publish(store.key_of(*KEY))
        ((state, _),) = store.leftovers(0.0)
        assert state == "published"


class TestObjectStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path, bucket):  # noqa: F811
        found = open_objects(f"{bucket}-{tmp_path.name}", tmp_path / "spool")
        yield found
        found.remove(list(found.walk()))
