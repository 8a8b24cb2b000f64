"""The client's methods: what they ask, what they make of good answers in every form that peers give them."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import parse_qs

import pytest
from stub_server import head, stub_server

from hounsfield.client import AsyncClient, Client, Limits, Prefixes, Retries, Transport
from hounsfield.dicomweb.multipart import encode
from hounsfield.errors import DicomwebError

MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'


def studies(count: int, start: int = 0) -> list[dict[str, Any]]:
    return [{"0020000D": {"vr": "UI", "Value": [f"1.{number}"]}} for number in range(start, start + count)]


def paged(total: int, cap: int, warn: bool = False) -> Any:
    """A server that gives at most `cap` a page."""

    def respond(exchange: Any) -> None:
        asked = parse_qs(exchange.query)
        offset = int(asked.get("offset", ["0"])[0])
        count = min(cap, int(asked.get("limit", [str(cap)])[0]), max(total - offset, 0))
        left = total - offset - count
        headers = (
            {"Warning": f'299 stub: "There are {left} additional results that can be requested"'}
            if warn
            else {}
        )
        exchange.json(studies(count, offset), status=206 if left else 200, **headers)

    return stub_server(respond)


@pytest.mark.parametrize("warn", [False, True])
@pytest.mark.parametrize(("total", "cap"), [(0, 10), (7, 10), (10, 10), (25, 10), (30, 10)])
def test_every_page_is_fetched_whatever_the_server_s_limit(total: int, cap: int, warn: bool) -> None:
    with paged(total, cap, warn) as stub, Client(stub.url) as client:
        found = client.search_for_studies()
    assert found == studies(total)
    assert "offset" not in stub.requests[0].query


@pytest.mark.parametrize("limit", [1, 10, 12, 25, 99])
def test_no_more_are_fetched_than_asked_for(limit: int) -> None:
    with paged(25, 10) as stub, Client(stub.url) as client:
        assert client.search_for_studies(limit=limit) == studies(min(limit, 25))
        assert client.search_for_studies(limit=limit, offset=20) == studies(min(limit, 5), 20)


def test_a_server_that_ignores_offset_is_noticed_and_remembered() -> None:
    with stub_server(lambda exchange: exchange.json(studies(5))) as stub, Client(stub.url) as client:
        assert client.search_for_studies() == studies(5)
        assert client.search_for_studies() == studies(5)
    assert len(stub.requests) == 3


def test_a_search_that_never_ends_is_an_error() -> None:
    with (
        stub_server(lambda exchange: exchange.json(studies(1, exchange.number))) as stub,
        Client(stub.url, limits=Limits(pages=20)) as client,
        pytest.raises(DicomwebError, match="without end"),
    ):
        client.search_for_studies()
    assert len(stub.requests) == 20


@pytest.mark.parametrize("status", [200, 204])
def test_nothing_found_is_an_empty_list_in_both_editions(status: int) -> None:
    def respond(exchange: Any) -> None:
        exchange.json([]) if status == 200 else exchange.raw(head(204, {}))

    with stub_server(respond) as stub, Client(stub.url) as client:
        assert client.search_for_studies() == []


def test_a_search_says_what_was_meant_and_what_the_server_thinks_of_it() -> None:
    def respond(exchange: Any) -> None:
        exchange.json(studies(1), Warning='299 stub: "The fuzzymatching parameter is not supported"')

    with stub_server(respond) as stub, Client(stub.url, prefixes=Prefixes(search="qido")) as client:
        found = client.search_for_instances(
            "1.2",
            "3.4",
            {"PatientName": "Müller*", "StudyDate": "20240101-", "StudyInstanceUID": ["1.2", "1.3"]},
            fields=["StudyDescription", "00080060"],
            fuzzymatching=True,
            limit=3,
        )
    assert stub.requests[0].path == "/qido/studies/1.2/series/3.4/instances"
    assert stub.requests[0].query == (
        "PatientName=M%C3%BCller*&StudyDate=20240101-&StudyInstanceUID=1.2,1.3"
        "&includefield=StudyDescription,Modality&fuzzymatching=true&limit=3"
    )
    assert [each.text for each in found.warnings] == ["The fuzzymatching parameter is not supported"]


def one_part(content: bytes = b"DICM", boundary: str = "b") -> bytes:
    return b"".join(encode([((("Content-Type", "application/dicom"),), content)], boundary))


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        (MULTIPART, one_part()),
        ("multipart/related; boundary=b; type=application/dicom", one_part()),
        ("Multipart/Related ; TYPE = 'application/dicom' ; start=<x> ; Boundary = 'b'", one_part()),
        ('multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"; boundary="b;c"',
         one_part(boundary="b;c")),
        ("multipart/related; type=application/dicom", one_part()),
        ("", one_part()),
        ("", bytes(128) + b"DICM"),
        ("application/dicom", b"DICM"),
        ("application/dicom; transfer-syntax=1.2.840.10008.1.2.4.80", b"DICM"),
        (MULTIPART, b"hello\r\n" + one_part() + b"bye"),
    ],
)  # fmt: skip
def test_an_instance_is_retrieved_in_whatever_wrapping(content_type: str, body: bytes) -> None:
    def respond(exchange: Any) -> None:
        headers = {"Content-Length": str(len(body))}
        exchange.raw(head(200, {**headers, "Content-Type": content_type} if content_type else headers) + body)

    with stub_server(respond) as stub, Client(stub.url) as client:
        found = client.retrieve_instance("1.2", "3.4", "5.6")
    assert found.content.endswith(b"DICM")
    assert found.open().read() == found.content
    assert stub.requests[0].headers["accept-encoding"] == "identity"


def test_parts_keep_their_headers() -> None:
    body = b"--b\r\nContent-Type: image/jls; transfer-syntax=1.2\r\nContent-Location: http://h/frames/2\r\n\r\nx\r\n--b--"
    with (
        stub_server(
            lambda exchange: exchange.answer(200, body, Content_Type="multipart/related; boundary=b")
        ) as stub,
        Client(stub.url) as client,
    ):
        [frame] = client.retrieve_instance_frames("1", "2", "3", [2], transfer_syntax="jpeg-ls")
    assert (str(frame.media_type), frame.location) == ("image/jls; transfer-syntax=1.2", "http://h/frames/2")
    assert stub.paths == ["/studies/1/series/2/instances/3/frames/2"]
    assert "1.2.840.10008.1.2.4.80" in stub.requests[0].headers["accept"]


def test_frames_that_do_not_come_are_missed() -> None:
    with (
        stub_server(lambda exchange: exchange.answer(200, one_part(), Content_Type=MULTIPART)) as stub,
        Client(stub.url) as client,
        pytest.raises(DicomwebError, match="1 frames came"),
    ):
        client.retrieve_instance_frames("1", "2", "3", [1, 2])


@pytest.mark.parametrize("body", [b"--b--", b"\r\n--b--\r\n"])
def test_no_parts_are_no_instances(body: bytes) -> None:
    with (
        stub_server(lambda exchange: exchange.answer(200, body, Content_Type=MULTIPART)) as stub,
        Client(stub.url) as client,
    ):
        assert client.retrieve_series("1", "2") == []


def test_the_accept_that_a_server_takes_is_found_once() -> None:
    def respond(exchange: Any) -> None:
        if '"' in exchange.headers["accept"] or "transfer-syntax" in exchange.headers["accept"]:
            exchange.answer(406)
        else:
            exchange.answer(200, one_part(), Content_Type=MULTIPART)

    with stub_server(respond) as stub, Client(stub.url) as client:
        client.retrieve_series("1", "2")
        tries = len(stub.requests)
        client.retrieve_series("1", "2")
    assert tries > 1
    assert len(stub.requests) == tries + 1
    assert stub.requests[-1].headers["accept"] == "multipart/related; type=application/dicom"


def test_a_server_that_takes_no_accept_says_so() -> None:
    with (
        stub_server(lambda exchange: exchange.answer(406, b"never")) as stub,
        Client(stub.url) as client,
        pytest.raises(DicomwebError, match="never"),
    ):
        client.retrieve_series("1", "2")
    assert len(stub.requests) == 6


def test_parts_that_nobody_takes_are_passed_over() -> None:
    body = b"".join(encode([((), bytes([number]) * 100_000) for number in range(4)], "b"))
    with (
        stub_server(lambda exchange: exchange.answer(200, body, Content_Type=MULTIPART)) as stub,
        Client(stub.url) as client,
    ):
        taken = [part.read().content[:1] for part in client.iter_series("1", "2") if part.index % 2]
    assert taken == [b"\1", b"\3"]


def test_a_connection_is_used_again_after_a_whole_answer() -> None:
    ports = set()

    def respond(exchange: Any) -> None:
        ports.add(exchange.handler.client_address[1])
        exchange.answer(200, one_part() + b"\r\n", Content_Type=MULTIPART)

    with stub_server(respond) as stub, Client(stub.url) as client:
        for _ in range(5):
            client.retrieve_series("1", "2")
    assert len(ports) == 1


@pytest.mark.parametrize(
    ("uri", "relative_to", "path"),
    [
        ("http://{host}/web/studies/1/bulk/2", None, "/web/studies/1/bulk/2"),
        ("bulk/2", "http://{host}/web/studies/1/metadata", "/web/studies/1/bulk/2"),
        ("../../bulkdata/7", "http://{host}/web/studies/1/metadata", "/web/bulkdata/7"),
        ("studies/1/bulkdata/7", None, "/web/studies/1/bulkdata/7"),
        ("http://internal:8042/pacs/studies/1/bulk/2?x=1", None, "/web/wado/studies/1/bulk/2"),
    ],
)
def test_bulk_data_is_found_by_relative_and_by_wrong_addresses(
    uri: str, relative_to: str | None, path: str
) -> None:
    def respond(exchange: Any) -> None:
        exchange.answer(200, b"value", Content_Type="application/octet-stream")

    with (
        stub_server(respond) as stub,
        Client(stub.url + "/web", prefixes=Prefixes(retrieve="wado")) as client,
    ):
        host = stub.url.removeprefix("http://")
        base = relative_to.format(host=host) if relative_to else None
        found = client.retrieve_bulkdata(uri.format(host=host), relative_to=base, byte_range=(0, 4))
    assert found.content == b"value"
    assert stub.paths == [path]
    assert stub.requests[0].headers["range"] == "bytes=0-4"


def test_bulk_data_that_is_not_on_the_web_is_refused() -> None:
    with Client("http://127.0.0.1:1") as client, pytest.raises(DicomwebError):
        client.retrieve_bulkdata("file:///etc/passwd")


def test_metadata_is_dicom_json_and_stays_that() -> None:
    models = [{"00100020": {"vr": "LO", "Value": ["7"]}}]
    with stub_server(lambda exchange: exchange.json(models)) as stub, Client(stub.url) as client:
        assert client.retrieve_series_metadata("1", "2") == models
        assert client.retrieve_study_metadata("1") == models
        assert client.retrieve_instance_metadata("1", "2", "3") == models[0]
    assert stub.paths == [
        "/studies/1/series/2/metadata",
        "/studies/1/metadata",
        "/studies/1/series/2/instances/3/metadata",
    ]


def test_pictures_are_asked_for_with_a_window() -> None:
    def respond(exchange: Any) -> None:
        exchange.answer(200, b"PNG", Content_Type="image/png")

    with stub_server(respond) as stub, Client(stub.url) as client:
        picture = client.retrieve_instance_rendered(
            "1", "2", "3", media_type="image/png", window="40,400,LINEAR"
        )
        assert (picture.content, str(picture.media_type)) == (b"PNG", "image/png")
        assert client.retrieve_thumbnail("1", "2", viewport="64,64").content == b"PNG"
        assert len(client.retrieve_instance_frames_rendered("1", "2", "3", [1])) == 1
        assert len(client.retrieve_series_rendered("1", "2")) == 1
    assert [f"{each.path}?{each.query}" for each in stub.requests] == [
        "/studies/1/series/2/instances/3/rendered?window=40,400,LINEAR",
        "/studies/1/series/2/thumbnail?viewport=64,64",
        "/studies/1/series/2/instances/3/frames/1/rendered?",
        "/studies/1/series/2/rendered?",
    ]


def test_deletes_name_what_goes() -> None:
    with stub_server(lambda exchange: exchange.raw(head(204, {}))) as stub, Client(stub.url) as client:
        client.delete_study("1")
        client.delete_series("1", "2")
        client.delete_instance("1", "2", "3")
    assert [(each.method, each.path) for each in stub.requests] == [
        ("DELETE", "/studies/1"),
        ("DELETE", "/studies/1/series/2"),
        ("DELETE", "/studies/1/series/2/instances/3"),
    ]


def test_capabilities_and_check() -> None:
    def respond(exchange: Any) -> None:
        if exchange.method == "OPTIONS":
            exchange.answer(
                200, b"<application/>", Allow="GET, post", Server="stub", Content_Type="application/xml"
            )
        else:
            exchange.answer(404)

    with stub_server(respond) as stub, Client(stub.url) as client:
        found = client.capabilities()
        assert (found.methods, found.software) == (("GET", "POST"), "stub")
        with pytest.raises(DicomwebError, match="no DICOMweb there"):
            client.check()


def test_a_deep_url_names_its_server() -> None:
    with Client("https://h/dicom-web/studies/1.2/series/3.4") as client:
        assert client.url == "https://h/dicom-web"
        assert repr(client) == "Client('https://h/dicom-web')"
    for url in ("ftp://h", "h/dicom-web", "http://", "http://[::1"):
        with pytest.raises(DicomwebError):
            Client(url)


def test_a_proxy_is_asked_and_told_who_we_are() -> None:
    def respond(exchange: Any) -> None:
        exchange.json([])

    with stub_server(respond) as proxy:
        transport = Transport(proxy=proxy.url.replace("http://", "http://me:pa55@"))
        assert "pa55" not in repr(transport)
        with Client(
            "http://pacs.example/dicom-web", transport=transport, retries=Retries(attempts=1)
        ) as client:
            assert client.search_for_studies() == []
    assert proxy.requests[0].handler.path == "http://pacs.example/dicom-web/studies"
    # JSON shrinks to a tenth; pixels asked for compressed would take ten times as long.
    assert proxy.requests[0].headers["accept-encoding"] == "gzip"
    assert proxy.requests[0].headers["proxy-authorization"] == "Basic bWU6cGE1NQ=="


def test_everything_works_from_asyncio() -> None:
    body = b"".join(encode([((), b"one"), ((), b"two")], "b"))

    def respond(exchange: Any) -> None:
        if exchange.path.endswith("/studies"):
            exchange.json(studies(2) if "offset" not in exchange.query else [])
        else:
            exchange.answer(200, body, Content_Type=MULTIPART)

    async def work(url: str) -> tuple[Any, list[Any], list[Any]]:
        async with AsyncClient(Client(url)) as client:
            found, series = await asyncio.gather(
                client.search_for_studies(), client.retrieve_series("1", "2")
            )
            streamed = [part.content async for part in client.iter_series("1", "2")]
            async for part in client.iter_series("1", "2"):
                assert part.content == b"one"
                break
            with pytest.raises(AttributeError):
                client.no_such_method  # noqa: B018
            return found, [part.content for part in series], streamed

    with stub_server(respond) as stub:
        found, series, streamed = asyncio.run(work(stub.url))
    assert json.loads(json.dumps(found)) == studies(2)
    assert series == streamed == [b"one", b"two"]
