"""Headers of studies of any size: written while they go out, the same text as if they were made at once."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
from isal import isal_zlib
from peak_memory import forget_peak, peak_kib
from server_support import Running, instances, parts_of, path_of, running, uids

from hounsfield.attributes.header_text import read_header_text
from hounsfield.ct.instance import BytesSource
from hounsfield.dicomweb.resources import Resource
from hounsfield.server.archive.index import Record, index, record_of
from hounsfield.server.http import streams

XML = 'multipart/related; type="application/dicom+xml"'


@pytest.fixture
def series() -> list[bytes]:
    return instances(slices=5)


@pytest.fixture
def server(tmp_path: Path, series: list[bytes]) -> Iterator[Running]:
    with running(tmp_path) as found:
        assert found.store(series).status_code == 200
        yield found


def test_what_is_written_as_it_goes_out_is_what_is_made_at_once(
    server: Running, series: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(series[0], "study") + "/metadata"
    whole = server.get(path)
    assert int(whole.headers["content-length"]) == len(whole.content)
    documents = parts_of(server.get(path, XML))
    monkeypatch.setattr(streams, "WHOLE", 0)
    monkeypatch.setattr(index, "LOT_BYTES", 1)
    streamed = server.get(path)
    assert "content-length" not in streamed.headers
    assert streamed.headers["etag"] == whole.headers["etag"]
    assert streamed.content == whole.content
    assert [model["00080018"]["Value"][0] for model in streamed.json()] == [uids(each)[2] for each in series]
    assert parts_of(server.get(path, XML)) == documents
    assert server.get(path, **{"If-None-Match": whole.headers["etag"]}).status_code == 304


def test_what_is_written_as_it_goes_out_is_compressed_for_who_asks(
    server: Running, series: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = path_of(series[0], "study") + "/metadata"
    whole = server.get(path)
    monkeypatch.setattr(streams, "WHOLE", 0)
    with server.http.stream("GET", path, headers={"Accept-Encoding": "gzip"}) as answer:
        assert answer.headers["content-encoding"] == "gzip"
        packed = b"".join(answer.iter_raw())
    assert len(packed) < len(whole.content) / 4
    assert gzip.decompress(packed) == whole.content


def test_head_of_what_is_written_as_it_goes_out_has_no_body(
    server: Running, series: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "WHOLE", 0)
    answer = server.http.head(path_of(series[0], "study") + "/metadata")
    assert (answer.status_code, answer.content) == (200, b"")
    assert server.http.head("/studies/1.2/metadata").status_code == 404


def test_what_is_removed_meanwhile_is_left_out(
    server: Running, series: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "LOT_BYTES", 1)
    names = [uids(each) for each in series]
    coming = server.archive.headers(Resource("", names[0][0]))
    assert next(coming)[0].instance == names[0][2]
    for number in (1, 2, 4):
        server.archive.remove(Resource("", *names[number]))
    assert [entry.instance for entry, _ in coming] == [names[3][2]]


def test_headers_of_a_huge_study_take_a_bounded_piece_of_memory(tmp_path: Path) -> None:
    """20 000 instances of one series: 190 MB of text."""
    count = 20_000
    with running(tmp_path) as server:
        server.archive.index.add(list(many(count)))
        (study, *_) = {entry.study for entry in server.archive.entries(Resource(""))}
        path = f"/studies/{study}/metadata"
        server.get("/studies/1.2/metadata")
        forget_peak()
        before = peak_kib()
        size, found, tail = 0, 0, b""
        with server.http.stream("GET", path) as answer:
            assert answer.status_code == 200
            for block in answer.iter_bytes(1 << 16):
                size += len(block)
                found += (tail + block).count(b'"00080018"')
                tail = block[-9:]
        assert found == count
        assert size > 150 << 20
        assert peak_kib() - before < 40 << 10


def many(count: int) -> Iterator[Record]:
    """Records of one series, each with ten kilobytes of header."""
    record = record_of(read_header_text(BytesSource("x", instances(slices=1)[0])), key="", size=1)
    model = json.loads(isal_zlib.decompress(record.header), strict=False)
    model["00204000"] = {"vr": "LT", "Value": ["a long comment, " * 500]}
    for number in range(count):
        uid = f"1.2.3.{number}"
        model["00080018"]["Value"] = [uid]
        header = isal_zlib.compress(json.dumps(model).encode(), 1)
        yield replace(record, instance=uid, key=uid, header=header)


def test_an_answer_that_breaks_off_is_not_taken_for_a_whole_one(tmp_path: Path) -> None:
    with running(tmp_path) as server:
        server.archive.index.add(list(many(4000)))
        (study, *_) = {entry.study for entry in server.archive.entries(Resource(""))}
        with server.http.stream("GET", f"/studies/{study}/metadata") as answer:
            assert answer.status_code == 200
            coming = answer.iter_bytes(1 << 16)
            next(coming)
            server.archive.index.file.unlink()
            with pytest.raises(httpx2.RemoteProtocolError):
                list(coming)
