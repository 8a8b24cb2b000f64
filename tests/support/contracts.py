"""Contracts as classes: a test class that subclasses one and gives its fixtures is held to it.

Not tests by themselves: pytest collects the subclasses only.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO, ClassVar

import pytest

from hounsfield.ct.instance.source import BytesSource, Skipped, Source
from hounsfield.locations import Location, Sink

THREADS = 8


class SourceContract:
    """`hounsfield.ct.instance.source.Source`. Give `source` and `content`, the bytes that it must yield."""

    @pytest.fixture
    def source(self) -> Source:
        raise NotImplementedError

    @pytest.fixture
    def content(self) -> bytes:
        raise NotImplementedError

    def test_the_name_is_stable_and_not_empty(self, source: Source) -> None:
        assert source.name
        assert source.name == source.name

    def test_a_stream_begins_at_0_and_yields_the_bytes(self, source: Source, content: bytes) -> None:
        with source.open() as stream:
            assert stream.tell() == 0
            assert stream.read() == content
            assert stream.read(1) == b""

    def test_a_stream_can_be_sought_from_all_three_places(self, source: Source, content: bytes) -> None:
        middle = len(content) // 2
        with source.open() as stream:
            assert stream.seekable()
            assert stream.seek(0, io.SEEK_END) == len(content)
            assert stream.seek(-1, io.SEEK_END) == len(content) - 1
            assert stream.read(5) == content[-1:]
            assert stream.seek(middle) == middle
            assert stream.seek(1, io.SEEK_CUR) == middle + 1
            assert stream.read(3) == content[middle + 1 : middle + 4]
            assert stream.seek(len(content) + 10) == len(content) + 10
            assert stream.read(4) == b""

    def test_a_stream_fills_a_buffer_given_to_it(self, source: Source, content: bytes) -> None:
        buffer = bytearray(len(content) + 7)
        with source.open() as stream:
            done = 0
            while got := stream.readinto(memoryview(buffer)[done:]):  # type: ignore[attr-defined]
                done += got
        assert (done, bytes(buffer[:done])) == (len(content), content)

    def test_streams_do_not_know_of_each_other(self, source: Source, content: bytes) -> None:
        with source.open() as one, source.open() as other:
            one.seek(len(content))
            assert other.read(4) == content[:4]

    def test_a_stream_may_be_closed_twice_and_is_then_closed(self, source: Source) -> None:
        stream = source.open()
        stream.close()
        stream.close()
        assert stream.closed
        with pytest.raises(ValueError):
            stream.read(1)

    def test_many_threads_may_read_at_once(self, source: Source, content: bytes) -> None:
        def read_backwards(_: int) -> bytes:
            with source.open() as stream:
                return b"".join(reversed(list(_blocks_from_the_end(stream, len(content)))))

        with ThreadPoolExecutor(THREADS) as pool:
            assert set(pool.map(read_backwards, range(4 * THREADS))) == {content}


def _blocks_from_the_end(stream: BinaryIO, size: int, block: int = 4001) -> Iterator[bytes]:
    for end in range(size, 0, -block):
        stream.seek(max(end - block, 0))
        yield stream.read(end - max(end - block, 0))


class LocationContract:
    """`hounsfield.locations.Location`. Give `location` and `expected`: the bytes by the last part of each name.

    An expected value of None stands for something that is `Skipped`.
    """

    @pytest.fixture
    def location(self) -> Location:
        raise NotImplementedError

    @pytest.fixture
    def expected(self) -> Mapping[str, bytes | None]:
        raise NotImplementedError

    def test_the_location_has_a_name(self, location: Location) -> None:
        assert location.name

    def test_everything_is_a_source_or_skipped_with_a_reason_in_order(
        self, location: Location, expected: Mapping[str, bytes | None]
    ) -> None:
        found: dict[str, bytes | None] = {}
        for item in location.sources():
            last = item.name.replace("\\", "/").rsplit("/", 1)[-1]
            if isinstance(item, Skipped):
                assert item.reason
                found[last] = None
            else:
                with item.open() as stream:
                    found[last] = stream.read()
        assert list(found.items()) == list(expected.items())

    def test_names_are_unique_and_the_order_is_the_same_each_time(self, location: Location) -> None:
        names = [item.name for item in location.sources()]
        assert len(set(names)) == len(names)
        assert [item.name for item in location.sources()] == names

    def test_sources_come_one_by_one(self, location: Location) -> None:
        items = location.sources()
        assert iter(items) is items
        first = next(items)
        assert [first.name, *(item.name for item in items)] == [item.name for item in location.sources()]

    def test_sources_outlive_the_iteration_and_the_location_s_other_sources(self, location: Location) -> None:
        last = [item for item in location.sources() if not isinstance(item, Skipped)][-1]
        del location
        with last.open() as stream:
            assert stream.read(1)

    def test_many_threads_may_open_sources_at_once(
        self, location: Location, expected: Mapping[str, bytes | None]
    ) -> None:
        def read(source: Source) -> bytes:
            with source.open() as stream:
                return stream.read()

        sources = [item for item in location.sources() if not isinstance(item, Skipped)]
        with ThreadPoolExecutor(THREADS) as pool:
            contents = list(pool.map(read, sources * THREADS))
        assert contents == [content for content in expected.values() if content is not None] * THREADS


class SinkContract:
    """`hounsfield.locations.Sink`. Give `sink`, empty, and `stored`, which reads an instance back (or None)."""

    UIDS: ClassVar[Mapping[str, str]] = {"study": "1.2.3", "series": "1.2.3.4", "instance": "1.2.3.4.5"}

    @pytest.fixture
    def sink(self) -> Sink:
        raise NotImplementedError

    def stored(self, sink: Sink, study: str, series: str, instance: str) -> bytes | None:
        raise NotImplementedError

    def test_what_is_written_is_stored_byte_for_byte(self, sink: Sink) -> None:
        content = bytes(range(256)) * 9000
        outcome = sink.write(BytesSource("here", content), **self.UIDS)
        assert (outcome.name, outcome.status, outcome.reason) == ("here", "stored", None)
        assert self.stored(sink, **self.UIDS) == content

    def test_the_same_bytes_again_are_present(self, sink: Sink) -> None:
        sink.write(b"the bytes", **self.UIDS)
        assert sink.write(b"the bytes", **self.UIDS).status == "present"

    @pytest.mark.parametrize("other", [b"the bytez", b"the byte", b"the bytes!", b""])
    def test_other_bytes_under_the_same_uid_are_refused_and_change_nothing(
        self, sink: Sink, other: bytes
    ) -> None:
        sink.write(b"the bytes", **self.UIDS)
        outcome = sink.write(other, **self.UIDS)
        assert outcome.status == "refused"
        assert outcome.reason
        assert self.stored(sink, **self.UIDS) == b"the bytes"

    @pytest.mark.parametrize(
        "uid", ["", ".", "..", "1..2", "1.2.", "../../etc", "/etc", "1.2\0", "1.2/3", "a.b", "1." * 40 + "1"]
    )
    @pytest.mark.parametrize("level", ["study", "series", "instance"])
    def test_what_is_no_uid_is_refused(self, sink: Sink, level: str, uid: str) -> None:
        outcome = sink.write(b"bytes", **{**self.UIDS, level: uid})
        assert outcome.status == "refused"
        assert outcome.reason

    def test_a_source_that_cannot_be_read_fails_and_leaves_nothing(self, sink: Sink, tmp_path: Path) -> None:
        from hounsfield.ct.instance.source import FileSource

        outcome = sink.write(FileSource(tmp_path / "nowhere"), **self.UIDS)
        assert outcome.status == "failed"
        assert outcome.reason
        assert self.stored(sink, **self.UIDS) is None
        assert sink.write(b"bytes", **self.UIDS).status == "stored"

    def test_writers_of_one_instance_at_once_agree_on_what_was_stored(self, sink: Sink) -> None:
        contents = [bytes([number]) * 100_000 for number in range(THREADS)]
        with ThreadPoolExecutor(THREADS) as pool:
            outcomes = list(pool.map(lambda content: sink.write(content, **self.UIDS), contents))
        assert sorted(outcome.status for outcome in outcomes) == ["refused"] * (THREADS - 1) + ["stored"]
        winner = next(number for number, outcome in enumerate(outcomes) if outcome.status == "stored")
        assert self.stored(sink, **self.UIDS) == contents[winner]
