"""Clients that drip, vanish, send garbage or lie: they disturb nobody else, and no body or query makes a 5xx."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.schemas import APIOperation
from server_support import AS_STORED, STOW, Running, body, client, instances, path_of, running, until
from server_zygote import Zygote

from hounsfield.errors import DicomwebError
from hounsfield.server.http import connection
from hounsfield.server.http.deadline import Deadline
from hounsfield.server.http.fair_share import FairShare
from hounsfield.server.http.limits import Limits

CONTENTS = instances(rows=16, columns=16)
WHOLE = body(CONTENTS)
SETTINGS: dict[str, Any] = {
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("archive"), limits=Limits(seconds=2.0)) as found:
        assert found.store(CONTENTS).status_code == 200
        yield found


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server in a process of its own, with the guard on heads, that waits for nothing longer than a second."""
    patch = pytest.MonkeyPatch()
    patch.setenv("HOUNSFIELD_TEST_HEAD_SECONDS", "1")
    zygote = Zygote()
    _, url = zygote.start(tmp_path_factory.mktemp("guarded"))
    with client(url) as http:
        http.post("/studies", content=WHOLE, headers={"Content-Type": STOW})
    yield url
    zygote.close()
    patch.undo()


def connect(url: str) -> socket.socket:
    host, port = url.split("//")[1].split("/", maxsplit=1)[0].split(":")
    return socket.create_connection((host, int(port)), 10)


def post_head(url: str, length: int) -> bytes:
    lines = (
        "POST /dicom-web/studies HTTP/1.1",
        "Host: 127.0.0.1",
        f"Content-Type: {STOW}",
        f"Content-Length: {length}",
    )
    return "\r\n".join((*lines, "", "")).encode()


def incoming(server: Running) -> list[Any]:
    return list((server.archive.store.root / ".hounsfield" / "incoming").iterdir())  # type: ignore[attr-defined]


@pytest.mark.parametrize("cut", [10, 200, len(WHOLE) // 2, len(WHOLE) - 3])
def test_a_client_that_vanishes_leaves_nothing_behind(server: Running, cut: int) -> None:
    before = server.archive.index.totals()
    with connect(server.url) as link:
        link.sendall(post_head(server.url, len(WHOLE)) + WHOLE[:cut])
    assert until(lambda: not incoming(server))
    assert server.archive.index.totals() == before


def test_a_body_that_stops_coming_is_given_up(server: Running) -> None:
    with connect(server.url) as link:
        link.sendall(post_head(server.url, len(WHOLE)) + WHOLE[:300])
        answer = link.recv(4096)
    assert b" 408 " in answer.split(b"\r\n")[0]
    assert until(lambda: not incoming(server))


def test_clients_that_drip_do_not_disturb_the_others(server: Running) -> None:
    slow = [connect(server.url) for _ in range(40)]
    try:
        for link in slow[:20]:
            link.sendall(b"GET /dicom-web/studies HTT")
        for link in slow[20:]:
            link.sendall(post_head(server.url, len(WHOLE)) + WHOLE[:50])
        with ThreadPoolExecutor(4) as pool:
            answers = list(pool.map(lambda _: server.get(path_of(CONTENTS[0]), AS_STORED), range(20)))
        assert {answer.status_code for answer in answers} == {200}
        assert server.store(CONTENTS).status_code == 200
    finally:
        for link in slow:
            link.close()


def test_a_client_that_does_not_read_is_given_up(tmp_path: Path) -> None:
    big = instances(slices=8, rows=1024, columns=1024)
    with running(tmp_path, limits=Limits(seconds=0.5)) as server:
        server.store(big)
        link = socket.socket()
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.connect(("127.0.0.1", int(server.url.split(":")[2].split("/")[0])))
        path = f"/dicom-web{path_of(big[0], 'series')}"
        link.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {AS_STORED}\r\n\r\n".encode())
        assert until(lambda: _active(server) == 1)
        link.settimeout(10)
        got = 0
        while piece := _received(link):
            got += len(piece)
        assert got < sum(map(len, big))
        link.close()


def _active(server: Running) -> int:
    """Requests that are being answered, this question among them."""
    (line,) = [
        each for each in server.get("/metrics").text.splitlines() if each.startswith("hounsfield_active")
    ]
    return int(float(line.split()[1]))


def _received(link: socket.socket) -> bytes:
    try:
        return link.recv(65536)
    except ConnectionError:
        return b""


@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"\0" * 2000, b"GET / HTTP/9.9\r\n\r\n",
     b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
     b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
     b"POST /dicom-web/studies HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"],
)  # fmt: skip
def test_garbage_is_hung_up_on(guarded: str, garbage: bytes) -> None:
    with connect(guarded) as link:
        link.sendall(garbage)
        link.settimeout(10)
        link.shutdown(socket.SHUT_WR)
        answer = _received(link)
        # It may hang up at once, or say first why.
        assert not answer or answer.startswith(b"HTTP/1.1 4")
    with client(guarded) as http:
        assert http.get("/studies").status_code == 200


def test_a_head_that_never_ends_is_hung_up_on(guarded: str) -> None:
    with connect(guarded) as link:
        link.sendall(b"GET /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\n")
        sent = 0
        with pytest.raises(OSError):
            while sent < 50 * connection.HEAD_BYTES:
                link.sendall(b"X-Filler: " + b"x" * 1000 + b"\r\n")
                sent += 1012
                time.sleep(0.0005)
        assert sent < 40 * connection.HEAD_BYTES


def test_a_long_body_is_no_long_head(guarded: str) -> None:
    with client(guarded) as http:
        for _ in range(3):
            assert http.post("/studies", content=WHOLE * 1, headers={"Content-Type": STOW}).status_code == 200
            filler = WHOLE.replace(b"--b--", b"--b\r\n\r\n" + b"\0" * 300_000 + b"\r\n--b--")
            assert http.post("/studies", content=filler, headers={"Content-Type": STOW}).status_code == 202


@settings(max_examples=80, **SETTINGS)
@given(
    st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=6)), min_size=1, max_size=6
    ),
    st.integers(0, len(WHOLE)),
    st.sampled_from(
        [STOW, "multipart/related", 'multipart/related; type="application/dicom"', "application/dicom"]
    ),
)
def test_no_store_makes_a_5xx_and_nothing_unsound_gets_in(
    server: Running, changes: list[tuple[int, bytes]], cut: int, content_type: str
) -> None:
    data = bytearray(WHOLE)
    for position, change in changes:
        data[position : position + len(change)] = change
    answer = server.http.post(
        "/studies", content=bytes(data[: max(cut, 1)]), headers={"Content-Type": content_type}
    )
    assert answer.status_code < 500, answer.text
    assert not incoming(server)
    # What was let in must be servable, whatever it is.
    if answer.status_code in {200, 202}:
        for item in answer.json().get("00081199", {}).get("Value", ()):
            url = item["00081190"]["Value"][0]
            assert server.http.get(url, headers={"Accept": AS_STORED}).status_code == 200
            assert server.http.get(f"{url}/metadata").status_code == 200
            for kind in ("/rendered", "/frames/1", ""):
                assert server.http.get(url + kind).status_code < 500


@settings(max_examples=150, **SETTINGS)
@given(
    st.sampled_from(["/studies", "/series", "/instances"]),
    st.lists(
        st.tuples(
            st.one_of(
                st.sampled_from(["PatientName", "StudyDate", "StudyTime", "SeriesNumber", "limit", "offset",
                                 "includefield", "fuzzymatching", "ModalitiesInStudy", "SOPInstanceUID", "KVP",
                                 "RequestAttributesSequence.ScheduledProcedureStepID", "00100010", "ImageType"]),
                st.text(max_size=6),
            ),
            st.text(max_size=12),
        ),
        max_size=4,
    ),
)  # fmt: skip
def test_no_query_makes_a_5xx(server: Running, path: str, pairs: list[tuple[str, str]]) -> None:
    from urllib.parse import urlencode

    query = urlencode([(key, value) for key, value in pairs], errors="surrogatepass")
    answer = server.get(f"{path}?{query}")
    assert answer.status_code in {200, 400, 414}, answer.text


@settings(max_examples=120, **SETTINGS)
@given(
    st.sampled_from(["", "/metadata", "/rendered", "/thumbnail", "/frames/1", "/bulkdata/7FE00010"]),
    st.one_of(st.text(alphabet=st.characters(max_codepoint=126, min_codepoint=32), max_size=40),
              st.sampled_from(["*/*;q=0", "multipart/related; type=;;;", 'multipart/related; type="', "image/*;q=x",
                               "application/dicom; transfer-syntax=", "image/jls; transfer-syntax=1.2"])),
    st.text(alphabet=st.characters(max_codepoint=126, min_codepoint=33), max_size=20),
)  # fmt: skip
def test_no_header_makes_a_5xx(server: Running, rendition: str, accept: str, other: str) -> None:
    headers = {"Accept": accept.strip(), "Range": other, "If-None-Match": other, "Forwarded": other}
    answer = server.http.get(path_of(CONTENTS[0]) + rendition, headers=headers)
    assert answer.status_code < 500, answer.text


@schemathesis.serializer("multipart/related", "application/dicom")
def _as_bytes(_: Any, value: Any) -> bytes:
    """What schemathesis makes up goes as it is, or between delimiters of its own."""
    if isinstance(value, bytes):
        return value
    return str(value).encode("utf-8", "replace")


def test_the_openapi_document_is_true(tmp_path: Path) -> None:
    """schemathesis asks everything that the document offers, in and out of its schemas: never a 5xx."""
    with running(tmp_path, deletes=True) as server:
        server.store(CONTENTS)
        document = server.get("/openapi.json").json()
        schema = schemathesis.openapi.from_dict(document)
        seen = set()

        def asked(operation: APIOperation[Any, Any, Any, Any] | Any) -> None:
            @settings(max_examples=6, database=None, **SETTINGS)
            @given(case=operation.as_strategy())
            def ask(case: Any) -> None:
                answer = case.call(base_url=server.url)
                assert answer.status_code < 500, (case.method, case.path, answer.text)
                seen.add(case.path)

            ask()

        for result in schema.get_all_operations():
            asked(result.ok())
        assert seen == set(document["paths"])
        assert server.get("/studies").status_code == 200
        assert json.dumps(document)


def test_a_body_that_drips_is_given_up_and_leaves_its_place_to_others(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(seconds=0.6, stores=1)) as server, connect(server.url) as link:
        link.sendall(post_head(server.url, 10**6))
        for byte in WHOLE[:200]:
            try:
                link.sendall(bytes([byte]))
            except OSError:
                break
            time.sleep(0.02)
        link.settimeout(10)
        assert b" 408 " in _received(link).split(b"\r\n")[0]
        assert server.store(CONTENTS).status_code == 200


def test_a_client_takes_no_more_places_than_it_leaves_to_others() -> None:
    places, held = FairShare(32, "stores"), contextlib.ExitStack()

    def got(client: str) -> int:
        count = 0
        with contextlib.suppress(DicomwebError):
            while True:
                held.enter_context(places.taken(client))
                count += 1
        return count

    assert [got(client) for client in ("a", "b", "c", "d", "a")] == [22, 7, 2, 1, 0]
    with pytest.raises(DicomwebError, match="at once") as failed, places.taken("e"):
        pass
    assert failed.value.data["status"] == 503
    held.close()
    assert got("e") == 22
    held.close()
    with FairShare(1, "stores").taken("a"):
        pass


def test_bodies_that_drip_from_one_client_leave_places_to_the_stores_of_others(tmp_path: Path) -> None:
    """By their addresses, which a proxy tells here."""
    with running(tmp_path) as server:
        slow = [connect(server.url) for _ in range(64)]
        try:
            for link in slow:
                link.sendall(post_head(server.url, len(WHOLE)) + WHOLE[:50])
            limit = server.state.limits.stores
            assert until(lambda: 2 * limit // 3 < _active(server) < limit)
            for number in range(3):
                other = {"X-Forwarded-For": f"192.0.2.{number}"}
                assert server.store(CONTENTS, **other).status_code == 200
            refused = server.store(CONTENTS)
            assert refused.status_code == 503 and refused.headers["retry-after"]
            assert "one client" in refused.json()["error"]
        finally:
            for link in slow:
                link.close()
        assert until(lambda: server.store(CONTENTS).status_code == 200)


FILM = instances(slices=160, rows=256, columns=256)


def film(server: Running) -> str:
    server.store(FILM)
    return path_of(FILM[0], "series") + "/rendered"


def test_an_answer_that_takes_too_long_is_a_503_and_the_place_is_free_again(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(answer=0.1, heavy=1)) as server:
        path = film(server)
        answer = server.get(path, "video/mp4")
        assert answer.status_code == 503 and answer.headers["retry-after"]
        assert "timed out" in answer.json()["error"] and "0.1 s" in answer.json()["expected"]
        assert until(lambda: server.get(path_of(FILM[0]) + "/thumbnail").status_code == 200)


def test_whoever_waits_too_long_for_a_turn_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, begin = threading.Event(), Deadline.begin

    def noticed(deadline: Any) -> None:
        begin(deadline)
        begun.set()

    monkeypatch.setattr(Deadline, "begin", noticed)
    with running(tmp_path, limits=Limits(answer=60, heavy=1)) as server, ThreadPoolExecutor(1) as pool:
        path = film(server)
        first = pool.submit(server.get, path, "video/mp4")
        assert begun.wait(60)  # it has its own time limit by now
        object.__setattr__(server.state.limits, "answer", 0.05)
        answer = server.get(path_of(FILM[0]) + "/thumbnail")
        assert answer.status_code == 503 and "busy" in answer.json()["error"]
        assert first.result().status_code == 200


def test_a_client_that_vanishes_frees_the_place_that_its_picture_took(tmp_path: Path) -> None:
    with running(tmp_path, limits=Limits(heavy=1)) as server:
        path = film(server)
        for _ in range(8):  # that many films would take minutes
            with connect(server.url) as link:
                head = f"GET /dicom-web{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: video/mp4\r\n\r\n"
                link.sendall(head.encode())
                assert until(lambda: _active(server) == 2)
        assert until(lambda: _active(server) == 1)
        assert server.get(path_of(FILM[0]) + "/thumbnail").status_code == 200
