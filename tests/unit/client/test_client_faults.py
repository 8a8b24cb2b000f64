"""The client against servers that misbehave: nothing lost, nothing called stored that is not, a clear error."""

from __future__ import annotations

import gzip
import logging
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from stub_server import head, stub_server

from hounsfield.client import Basic, Bearer, Client, ClientCredentials, Limits, Retries, Secret, Timeouts
from hounsfield.client.parts import Retrieved
from hounsfield.ct.instance import BytesSource
from hounsfield.ct.instance.reading import read_header
from hounsfield.dicomweb.dicom_json import encode_models
from hounsfield.dicomweb.multipart import encode
from hounsfield.dicomweb.store_results import StoredInstance, StoreResult, store_result_model
from hounsfield.errors import DicomwebError

CT = Path(get_testdata_file("CT_small.dcm")).read_bytes()  # type: ignore[arg-type]
CT_UID = read_header(BytesSource("ct", CT)).text("SOPInstanceUID")
PARTS = [((("Content-Type", "application/dicom"),), bytes([number]) * 50_000) for number in range(3)]
BODY = b"".join(encode(PARTS, "b"))
MULTIPART = 'multipart/related; type="application/dicom"; boundary=b'


class Waits(list[Any]):
    """Takes the place of sleeping, and remembers."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def client_of(url: str, **options: Any) -> Client:
    options.setdefault("retries", Retries(attempts=3, sleep=Waits()))
    return Client(url + "/dicom-web", **options)


def stored(*uids: str) -> bytes:
    return encode_models(
        [store_result_model(StoreResult(tuple(StoredInstance(uid, "stored") for uid in uids)))]
    )


def contents(parts: list[Retrieved]) -> list[bytes]:
    return [part.content for part in parts]


def test_a_repeated_store_sends_the_same_bytes_again() -> None:
    def respond(exchange: Any) -> None:
        if exchange.number < 3:
            exchange.answer(503 if exchange.number == 1 else 408, b"busy")
        else:
            exchange.answer(200, stored(CT_UID), Content_Type="application/dicom+json")

    big = CT + b"\xfc\xff\xfc\xff" + b"OB\0\0" + (2_000_000).to_bytes(4, "little") + bytes(2_000_000)
    with stub_server(respond) as stub, client_of(stub.url) as client:
        result = client.store_instances([big])
    assert result.complete
    bodies = [request.body for request in stub.requests]
    assert len(bodies) == 3
    assert bodies[0] == bodies[1] == bodies[2]
    assert big in bodies[2]
    assert all(int(request.headers["content-length"]) == len(request.body) for request in stub.requests)


def test_a_store_whose_connection_breaks_is_sent_again_whole() -> None:
    def respond(exchange: Any) -> None:
        if exchange.number == 1:
            exchange.reset()
        else:
            exchange.answer(200, stored(CT_UID))

    with stub_server(respond) as stub, client_of(stub.url) as client:
        assert client.store_instances([CT]).complete
    assert stub.requests[0].body == stub.requests[1].body


@pytest.mark.parametrize(
    ("status", "body"),
    [(200, b""), (200, stored("1.2.3")), (202, b"{}"), (409, b""), (204, b"")],
)
def test_what_the_answer_does_not_confirm_is_not_stored(status: int, body: bytes) -> None:
    with (
        stub_server(lambda exchange: exchange.answer(status, body)) as stub,
        client_of(stub.url) as client,
    ):
        result = client.store_instances([CT])
    assert [each.outcome for each in result.instances if each.sop_instance == CT_UID] == ["unconfirmed"]
    assert not result.complete


def test_a_409_tells_each_instance_and_its_reason() -> None:
    refusal = StoreResult((StoredInstance(CT_UID, "refused", "", 0xA700),))
    body = encode_models([store_result_model(refusal)])
    with (
        stub_server(
            lambda exchange: exchange.answer(409, body, Content_Type="application/dicom+json; charset=utf-8")
        ) as stub,
        client_of(stub.url) as client,
    ):
        [one] = client.store_instances([CT]).instances
    assert (one.outcome, one.reason) == ("refused", "out of resources")


@pytest.mark.parametrize("status", [400, 401, 403, 500])
def test_a_store_that_is_turned_away_raises_with_the_reason(status: int) -> None:
    with (
        stub_server(
            lambda exchange: exchange.answer(status, b'{"Message": "no", "Details": "such"}')
        ) as stub,
        client_of(stub.url) as client,
        pytest.raises(DicomwebError) as caught,
    ):
        client.store_instances([CT])
    assert caught.value.data["status"] == status
    assert caught.value.data["reason"] == "no: such"
    assert len(stub.requests) == 1


def test_a_body_too_large_for_the_server_is_sent_in_halves(tmp_path: Path) -> None:
    import io

    from pydicom import dcmread

    copies = []
    for number in range(5):
        dataset = dcmread(io.BytesIO(CT))
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = f"9.8.7.{number}"  # type: ignore[assignment]
        copies.append(dataset)

    def respond(exchange: Any) -> None:
        if exchange.body.count(b"DICM") > 2:
            exchange.answer(413)
        else:
            exchange.answer(
                200, stored(*(f"9.8.7.{n}" for n in range(5) if f"9.8.7.{n}".encode() in exchange.body))
            )

    with stub_server(respond) as stub, client_of(stub.url) as client:
        result = client.store_instances(copies)
    assert result.complete
    assert [each.sop_instance for each in result.instances] == [f"9.8.7.{number}" for number in range(5)]


def test_stores_go_in_batches_of_bytes_and_one_uid_is_never_twice_in_a_batch() -> None:
    with (
        stub_server(lambda exchange: exchange.answer(200, stored(CT_UID))) as stub,
        client_of(stub.url) as client,
    ):
        assert client.store_instances([CT, CT, CT], batch_bytes=10 * len(CT)).complete
    assert [request.body.count(CT) for request in stub.requests] == [1, 1, 1]


def test_memory_stays_small_whatever_the_size_of_a_part(tmp_path: Path) -> None:
    block, blocks = bytes(1 << 20), 150

    def respond(exchange: Any) -> None:
        exchange.raw(head(200, {"Content-Type": MULTIPART, "Connection": "close"}) + b"--b\r\n\r\n")
        for _ in range(blocks):
            exchange.raw(block)
        exchange.raw(b"\r\n--b--")
        exchange.end()

    with stub_server(respond) as stub, client_of(stub.url) as client:
        tracemalloc.start()
        [length] = [part.save(tmp_path / "part")[0] for part in client.iter_series("1.2", "3.4")]
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert length == blocks << 20
    assert peak < 16 << 20


def test_later_batches_that_fail_do_not_hide_what_was_stored() -> None:
    def respond(exchange: Any) -> None:
        if exchange.number == 1:
            exchange.answer(200, stored(CT_UID))
        else:
            exchange.answer(500, b"disk full")

    with stub_server(respond) as stub, client_of(stub.url) as client:
        result = client.store_instances([CT, CT])
    assert len(result.having("stored")) == 1
    assert not result.complete
    assert "disk full" in result.other_failures[0]


def test_what_is_no_dicom_is_reported_and_not_sent() -> None:
    with (
        stub_server(lambda exchange: exchange.answer(200, stored(CT_UID))) as stub,
        client_of(stub.url) as client,
    ):
        result = client.store_instances([b"no dicom", CT])
    assert [each.outcome for each in result.instances] == ["refused", "stored"]
    assert b"no dicom" not in stub.requests[0].body


CUTS = [len(BODY) - 5, len(BODY) - 60, 120_000, 50_100, 30, 3]


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("framing", ["length", "close", "chunked", "reset"])
def test_a_cut_retrieval_is_an_error_that_names_the_part(cut: Any, framing: str) -> None:
    def respond(exchange: Any) -> None:
        headers = {"Content-Type": MULTIPART}
        if framing == "length":
            exchange.raw(head(200, {**headers, "Content-Length": str(len(BODY))}) + BODY[:cut])
        elif framing == "chunked":
            exchange.raw(head(200, {**headers, "Transfer-Encoding": "chunked"}))
            exchange.raw(f"{len(BODY):x}\r\n".encode() + BODY[:cut])
        else:
            exchange.raw(head(200, {**headers, "Connection": "close"}) + BODY[:cut])
        exchange.reset() if framing == "reset" else exchange.end()

    with stub_server(respond) as stub, client_of(stub.url) as client, pytest.raises(DicomwebError) as caught:
        client.retrieve_series("1.2", "3.4")
    assert caught.value.data["truncated"]
    assert len(stub.requests) == 3
    if framing != "reset":  # a reset may overtake the bytes before it
        assert caught.value.data["part"] == (2 if cut > 120_000 else cut // 50_010)


def test_a_retrieval_that_was_cut_once_is_asked_for_again() -> None:
    def respond(exchange: Any) -> None:
        body = BODY[: -100 if exchange.number == 1 else None]
        exchange.raw(head(200, {"Content-Type": MULTIPART, "Connection": "close"}) + body)
        exchange.end()

    with stub_server(respond) as stub, client_of(stub.url) as client:
        assert contents(client.retrieve_series("1.2", "3.4")) == [content for _, content in PARTS]
    assert len(stub.requests) == 2


def test_streamed_parts_before_a_cut_are_whole() -> None:
    def respond(exchange: Any) -> None:
        exchange.raw(head(200, {"Content-Type": MULTIPART, "Connection": "close"}) + BODY[:120_000])
        exchange.end()

    got = []
    with stub_server(respond) as stub, client_of(stub.url) as client, pytest.raises(DicomwebError):
        for part in client.iter_series("1.2", "3.4"):
            got.append(part.read().content)
    assert got == [content for _, content in PARTS[:2]]


@pytest.mark.parametrize("declared", [1, 3, 5, 7, 200, 10**12])
def test_a_part_whose_length_is_a_lie_is_an_error(declared: int) -> None:
    body = b"--b\r\nContent-Length: %d\r\n\r\nDICM\r\n--b\r\n\r\nDICM\r\n--b--" % declared
    with (
        stub_server(lambda exchange: exchange.answer(200, body, Content_Type=MULTIPART)) as stub,
        client_of(stub.url) as client,
        pytest.raises(DicomwebError, match="part 1"),
    ):
        client.retrieve_series("1.2", "3.4")


def test_a_drip_is_given_up() -> None:
    def respond(exchange: Any) -> None:
        exchange.raw(head(200, {"Content-Type": MULTIPART, "Connection": "close"}))
        for _ in range(100):
            exchange.raw(b"-")
            time.sleep(0.02)
        exchange.end()

    timeouts = Timeouts(patience=0.2, slowest=100_000)
    retries = Retries(attempts=1)
    with (
        stub_server(respond) as stub,
        client_of(stub.url, timeouts=timeouts, retries=retries) as client,
        pytest.raises(DicomwebError, match="slower than"),
    ):
        client.retrieve_series("1.2", "3.4")


def test_silence_is_given_up() -> None:
    def respond(exchange: Any) -> None:
        exchange.raw(head(200, {"Content-Type": MULTIPART, "Content-Length": "100"}) + b"--b")
        time.sleep(1)

    with (
        stub_server(respond) as stub,
        client_of(stub.url, timeouts=Timeouts(read=0.1)) as client,
        pytest.raises(DicomwebError, match="silent"),
    ):
        client.retrieve_series("1.2", "3.4")


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_asks_to_wait_is_given_its_time(status: int) -> None:
    def respond(exchange: Any) -> None:
        if exchange.number == 1:
            exchange.answer(status, Retry_After="7")
        else:
            exchange.json([])

    waits = Waits()
    with stub_server(respond) as stub, client_of(stub.url, retries=Retries(sleep=waits)) as client:
        assert client.search_for_studies() == []
    assert waits == [7.0]


def test_a_wait_too_long_is_told_instead() -> None:
    with (
        stub_server(lambda exchange: exchange.answer(503, b"maintenance", Retry_After="86400")) as stub,
        client_of(stub.url) as client,
        pytest.raises(DicomwebError) as caught,
    ):
        client.search_for_studies()
    assert caught.value.data["retry_after"] == 86400
    assert "maintenance" in str(caught.value)
    assert len(stub.requests) == 1


def test_repeats_end_and_wait_longer_each_time() -> None:
    waits = Waits()
    retries = Retries(attempts=4, first=1.0, sleep=waits)
    with (
        stub_server(lambda exchange: exchange.answer(502)) as stub,
        client_of(stub.url, retries=retries) as client,
        pytest.raises(DicomwebError),
    ):
        client.search_for_studies()
    assert len(stub.requests) == 4
    assert 0.5 <= waits[0] <= 1 <= waits[1] <= 2 <= waits[2] <= 4


def test_a_delete_is_not_repeated_once_it_may_have_happened() -> None:
    for reply, requests in (("reset", 1), (503, 3), (504, 1)):

        def respond(exchange: Any, reply: str | int = reply) -> None:
            exchange.reset() if reply == "reset" else exchange.answer(reply)

        with stub_server(respond) as stub, client_of(stub.url) as client, pytest.raises(DicomwebError):
            client.delete_study("1.2")
        assert len(stub.requests) == requests


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("text/html; charset=utf-8", b"<html>Please log in</html>"),
        ("application/json", b"{nonsense"),
        ("", b"<x>"),
    ],
)
def test_a_page_where_dicom_belongs_is_a_clear_error(content_type: str, body: bytes) -> None:
    with (
        stub_server(lambda exchange: exchange.answer(200, body, Content_Type=content_type)) as stub,
        client_of(stub.url) as client,
    ):
        with pytest.raises(DicomwebError, match="answered with"):
            client.search_for_studies()
        with pytest.raises(DicomwebError, match="answered with"):
            client.retrieve_series("1.2", "3.4")


def test_an_error_page_is_told_in_words() -> None:
    page = (
        b"<html><head><style>p{}</style><title>Oops</title></head><p>The disk &amp; the tape are full</html>"
    )
    with (
        stub_server(lambda exchange: exchange.answer(500, page)) as stub,
        client_of(stub.url) as client,
        pytest.raises(DicomwebError) as caught,
    ):
        client.retrieve_study("1.2")
    assert caught.value.data["reason"] == "Oops The disk & the tape are full"


def test_redirects_in_a_circle_end() -> None:
    def respond(exchange: Any) -> None:
        exchange.answer(
            302, Location="/dicom-web/b" if exchange.path.endswith("studies") else "/dicom-web/studies"
        )

    with (
        stub_server(respond) as stub,
        client_of(stub.url) as client,
        pytest.raises(DicomwebError, match="redirect"),
    ):
        client.search_for_studies()
    assert len(stub.requests) == 2


def test_redirects_without_end_end() -> None:
    with (
        stub_server(lambda exchange: exchange.answer(302, Location=f"/n/{exchange.number}")) as stub,
        client_of(stub.url, limits=Limits(redirects=3)) as client,
        pytest.raises(DicomwebError, match="redirect"),
    ):
        client.search_for_studies()
    assert len(stub.requests) == 4


def test_credentials_and_headers_stay_at_their_server() -> None:
    with stub_server(lambda exchange: exchange.json([])) as other:

        def respond(exchange: Any) -> None:
            exchange.answer(307, Location=f"{other.url}/elsewhere")

        with (
            stub_server(respond) as stub,
            client_of(stub.url, auth=("user", "secret"), headers={"X-Api-Key": "secret"}) as client,
        ):
            assert client.search_for_studies() == []
        assert stub.requests[0].headers["authorization"].startswith("Basic ")
        assert stub.requests[0].headers["x-api-key"] == "secret"
        assert "authorization" not in other.requests[0].headers
        assert "x-api-key" not in other.requests[0].headers


def test_a_store_is_never_redirected_to_another_server() -> None:
    with stub_server(lambda exchange: exchange.answer(200)) as other:
        with (
            stub_server(lambda exchange: exchange.answer(308, Location=other.url)) as stub,
            client_of(stub.url) as client,
            pytest.raises(DicomwebError, match="another server"),
        ):
            client.store_instances([CT])
        assert other.requests == []


def test_a_store_redirected_within_its_server_arrives_whole() -> None:
    def respond(exchange: Any) -> None:
        if exchange.path.endswith("/studies"):
            exchange.answer(308, Location="/new/studies/")
        else:
            exchange.answer(200, stored(CT_UID))

    with stub_server(respond) as stub, client_of(stub.url) as client:
        assert client.store_instances([CT]).complete
    assert stub.requests[0].body == stub.requests[1].body


@pytest.mark.parametrize("headers", [{"X": "y" * 100_000}, {f"X-{number}": "y" for number in range(500)}])
def test_headers_without_measure_are_an_error(headers: dict[str, str]) -> None:
    with (
        stub_server(lambda exchange: exchange.raw(head(200, headers))) as stub,
        client_of(stub.url) as client,
        pytest.raises(DicomwebError),
    ):
        client.search_for_studies()


def test_a_bomb_of_gzip_stops_at_the_limit() -> None:
    bomb = gzip.compress(bytes(200_000_000), 9)
    with (
        stub_server(
            lambda exchange: exchange.answer(
                200, bomb, Content_Type="application/dicom+json", Content_Encoding="gzip"
            )
        ) as stub,
        client_of(stub.url, limits=Limits(text=10_000_000, instance=10_000_000)) as client,
        pytest.raises(DicomwebError, match="too long"),
    ):
        client.search_for_studies()


def test_compressed_answers_are_read() -> None:
    def respond(exchange: Any) -> None:
        content_type = MULTIPART if "series" in exchange.path else "application/dicom+json"
        body = gzip.compress(BODY if "series" in exchange.path else b"[]")
        exchange.answer(200, body, Content_Type=content_type, Content_Encoding="gzip")

    with stub_server(respond) as stub, client_of(stub.url) as client:
        assert client.search_for_studies() == []
        assert contents(client.retrieve_series("1.2", "3.4")) == [content for _, content in PARTS]


def token_server(lifetime: int = 3600) -> Any:
    def respond(exchange: Any) -> None:
        if exchange.headers.get("authorization") != "Basic aWQ6c2VjcmV0":
            exchange.answer(401, b'{"error": "invalid_client"}')
        else:
            exchange.json({"access_token": f"token{exchange.number}", "expires_in": lifetime})

    return stub_server(respond)


def test_a_token_that_ran_out_is_fetched_anew_once() -> None:
    with token_server() as tokens:

        def respond(exchange: Any) -> None:
            good = exchange.headers.get("authorization") == "Bearer token2"
            exchange.json([]) if good else exchange.answer(401, b"expired")

        auth = ClientCredentials(f"{tokens.url}/token", "id", Secret.of("secret"))
        with stub_server(respond) as stub, client_of(stub.url, auth=auth) as client:
            assert client.search_for_studies() == []
            assert client.search_for_studies() == []
        assert len(tokens.requests) == 2
        assert len(stub.requests) == 3
        assert b"grant_type=client_credentials" in tokens.requests[0].body


def test_a_token_that_is_never_good_enough_is_an_error() -> None:
    with token_server() as tokens:
        auth = ClientCredentials(f"{tokens.url}/token", "id", Secret.of("secret"))
        with (
            stub_server(lambda exchange: exchange.answer(401)) as stub,
            client_of(stub.url, auth=auth) as client,
            pytest.raises(DicomwebError) as caught,
        ):
            client.search_for_studies()
        assert caught.value.data["status"] == 401
        assert len(stub.requests) == 2


def test_a_token_server_that_refuses_is_told_without_the_secret() -> None:
    with token_server() as tokens:
        auth = ClientCredentials(f"{tokens.url}/token", "id", Secret.of("wrong-secret"))
        with (
            stub_server(lambda exchange: exchange.json([])) as stub,
            client_of(stub.url, auth=auth) as client,
            pytest.raises(DicomwebError, match="invalid_client") as caught,
        ):
            client.search_for_studies()
        assert "wrong-secret" not in str(caught.value)
        assert stub.requests == []


def test_secrets_show_nowhere(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    caplog.set_level(logging.DEBUG)
    # A server that ran in this process before may have taken our log for itself.
    caplog.set_level(logging.DEBUG, logger="hounsfield")
    monkeypatch.setattr(logging.getLogger("hounsfield"), "propagate", True)
    auths = [
        Basic("user", Secret.of("s3cret")),
        Bearer(Secret.of("s3cret")),
        ClientCredentials("http://h/token", "id", Secret.of("s3cret")),
    ]
    assert "s3cret" not in "".join(map(repr, auths)) + str(auths[0].password)  # type: ignore[attr-defined]
    with stub_server(lambda exchange: exchange.answer(403)) as stub:
        url = stub.url.replace("http://", "http://user:s3cret@")
        with Client(url, headers={"X-Key": "s3cret"}) as client:
            with pytest.raises(DicomwebError) as caught:
                client.search_for_studies({"PatientName": "DOE^JANE"})
            assert "s3cret" not in str(caught.value) + repr(caught.value) + repr(client) + repr(vars(client))
        assert stub.requests[0].headers["authorization"] == "Basic dXNlcjpzM2NyZXQ="
    ours = "".join(record.getMessage() for record in caplog.records if record.name.startswith("hounsfield"))
    assert "s3cret" not in caplog.text
    assert "DOE" not in ours
    assert "403" in ours


def test_secrets_come_from_where_they_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setenv("MY_TOKEN", "abc")
    assert Bearer(Secret.from_environment("MY_TOKEN")).authorization() == "Bearer abc"
    command = Secret.from_command([sys.executable, "-c", "print('def')"])
    assert Bearer(command).authorization() == "Bearer def"
    for bad in (
        Secret.from_environment("NOT_SET_ANYWHERE"),
        Secret.from_command([sys.executable, "-c", "raise SystemExit(3)"]),
        Secret.from_command(["/no/such/command"]),
        Secret.of("two\nlines"),
    ):
        with pytest.raises(DicomwebError):
            bad.reveal()


def test_a_command_for_a_token_runs_once_and_again_when_the_token_ran_out(tmp_path: Path) -> None:
    import sys

    count = tmp_path / "count"
    script = f"f = open({str(count)!r}, 'a+'); f.write('x'); f.seek(0); print('token' + f.read())"

    def respond(exchange: Any) -> None:
        good = exchange.headers["authorization"] == (
            "Bearer tokenx" if exchange.number < 4 else "Bearer tokenxx"
        )
        exchange.json([]) if good else exchange.answer(401)

    auth = Bearer(Secret.from_command([sys.executable, "-c", script]))
    with stub_server(respond) as stub, client_of(stub.url, auth=auth) as client:
        for _ in range(5):
            client.search_for_studies()
    assert count.read_text() == "xx"
    assert len(stub.requests) == 6


def test_nobody_listening_is_told_at_once() -> None:
    with stub_server(lambda exchange: exchange.json([])) as stub:
        url = stub.url
    waits = Waits()
    retries = Retries(attempts=2, sleep=waits)
    with client_of(url, retries=retries) as client, pytest.raises(DicomwebError, match="no connection"):
        client.search_for_studies()
    assert len(waits) == 1
