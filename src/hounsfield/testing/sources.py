"""The contract of a source: bytes under a name, that any number of threads may read at any place.

Not tests by themselves: pytest collects the subclasses only. Each asks for its fixtures by name.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

import pytest

from hounsfield.ct.instance.source import Source

THREADS = 8
"""Readers or writers at once."""


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
