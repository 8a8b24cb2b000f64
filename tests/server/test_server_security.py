"""Attempts to break in, to blow up or to mislead a server: each was tried by hand once, and is refused ever since."""

from __future__ import annotations

import base64
import contextlib
import http.client
import io
import json
import logging
import os
import socket
import stat
import struct
import subprocess
import sys
import time
import urllib.parse
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pydicom
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from server_support import STOW, Running, body, client, instances, path_of, running, served, start, uids
from test_server_access import Provider, bearer, opened

from hounsfield.dicomweb.matching import glob
from hounsfield.server.auth.access import MAX_GUESSES
from hounsfield.server.auth.credentials import CredentialFile
from hounsfield.server.deployment import Deployment
from hounsfield.server.http.limits import Limits
from hounsfield.server.ingest import validation
from hounsfield.server.ops.logs import THROTTLE_SECONDS, PlainFormatter, ThrottledHandler

RLE = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.5'
LIAR = {"slices": 1, "rows": 8, "columns": 8}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


def raw(base: str, method: str, path: str) -> int:
    """The status of a request whose path goes as it is; clients tidy it up."""
    host, _, prefix = base.rstrip("/").removeprefix("http://").partition("/")
    with contextlib.closing(http.client.HTTPConnection(host, timeout=10)) as link:
        link.putrequest(method, f"/{prefix}{urllib.parse.quote(path, safe='/%;=')}")
        link.endheaders()
        return link.getresponse().status


def edited(content: bytes, **values: Any) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(content))
    for name, value in values.items():
        setattr(dataset, name, value)
    out = io.BytesIO()
    dataset.save_as(out)
    return out.getvalue()


def paths(server: Running, content: bytes) -> list[str]:
    """Everything that is made of an instance's pixels."""
    of_instance = ("", "/metadata", "/tags", "/frames/1", "/frames/2000000000", "/rendered", "/thumbnail",
                   "/bulkdata/7FE00010", "/frames/1/rendered")  # fmt: skip
    of_series = ("/info", "/slices/0", "/volume", "/rendered", "/thumbnail")
    return [path_of(content) + each for each in of_instance] + [
        path_of(content, "series") + each for each in of_series
    ]


@pytest.mark.parametrize("syntax", ["explicit", "jpeg-ls"])
@pytest.mark.parametrize(
    "lie",
    [{"NumberOfFrames": 2_000_000_000}, {"Rows": 65535, "Columns": 65535}, {"Rows": 0}, {"BitsAllocated": 64},
     {"SamplesPerPixel": 60000}, {"NumberOfFrames": 0}, {"BitsAllocated": 7}],
    ids=str,
)  # fmt: skip
def test_headers_that_promise_enormous_pixels_make_neither_a_5xx_nor_a_large_allocation(
    server: Running, syntax: str, lie: dict[str, int]
) -> None:
    import tracemalloc

    content = edited(instances(**LIAR, transfer_syntax=syntax)[0], **lie)
    answer = server.store([content])
    assert answer.status_code in {200, 409}
    tracemalloc.start()
    try:
        for path in paths(server, content):
            for accept in ("*/*", "image/png", 'multipart/related; type="image/jls"', "video/mp4", RLE):
                answer = server.get(path, accept)
                assert answer.status_code < 500, (path, accept, answer.text)
        assert tracemalloc.get_traced_memory()[1] < 200e6
    finally:
        tracemalloc.stop()


def test_a_deflated_bomb_is_refused(server: Running) -> None:
    header = pydicom.dcmread(io.BytesIO(instances(**LIAR)[0]), stop_before_pixels=True)
    header.file_meta.TransferSyntaxUID = pydicom.uid.UID("1.2.840.10008.1.2.1.99")
    out = io.BytesIO()
    pydicom.dcmwrite(out, header, enforce_file_format=True)
    start_of_data = 144 + struct.unpack_from("<I", out.getvalue(), 140)[0]
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    inflated = zlib.decompressobj(-15).decompress(out.getvalue()[start_of_data:])
    bomb = packer.compress(inflated + struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OW", 0, 600 << 20))
    bomb += b"".join(packer.compress(bytes(1 << 20)) for _ in range(600)) + packer.flush()
    assert len(bomb) < 4e6
    assert server.store([out.getvalue()[:start_of_data] + bomb]).status_code == 409
    assert server.get("/studies").json() == []


def test_an_instance_that_would_fill_the_memory_is_refused_unread(tmp_path: Path) -> None:
    with_pixels = pydicom.dcmread(io.BytesIO(instances(slices=1, rows=512, columns=512)[0]))
    document = pydicom.dcmread(io.BytesIO(instances(**LIAR, seed=4)[0]))
    del document.PixelData
    document.EncapsulatedDocument = bytes(300_000)
    contents = []
    for dataset in (with_pixels, document):
        out = io.BytesIO()
        dataset.save_as(out)
        contents.append(out.getvalue())
    with running(tmp_path, limits=Limits(document=200_000)) as server:
        assert server.store(contents[:1]).status_code == 200
        answer = server.store(contents[1:])
        assert answer.status_code == 409 and "beside Pixel Data" in answer.text
    with running(tmp_path, limits=Limits(document=400_000)) as server:
        assert server.store(contents[1:]).status_code == 200
        got = server.get(path_of(contents[1]) + "/bulkdata/00420011")
        assert got.content == bytes(300_000)


def with_private_elements(content: bytes, count: int, vr: bytes) -> bytes:
    """The instance with so many more elements of two bytes before its pixels; `vr` empty in Implicit VR."""
    head = struct.pack("<2sH", vr, 2) if vr else struct.pack("<I", 2)
    more = [struct.pack("<HH", 0x5601, 0x1000 + number) + head + b"x " for number in range(count)]
    at = content.rindex(b"\xe0\x7f\x10\0")
    return content[:at] + b"".join(more) + content[at:]


@pytest.mark.parametrize(("syntax", "vr"), [("explicit", b"SH"), ("explicit", b"ZZ"), ("implicit", b"")])
def test_instances_of_very_many_elements_are_refused_unread(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, syntax: str, vr: bytes
) -> None:
    content = instances(slices=1, transfer_syntax=syntax)[0]
    few, many = (with_private_elements(content, count, vr) for count in (800, 1001))
    with running(tmp_path, limits=Limits(elements=1000)) as server:
        assert server.store([few]).status_code == 200
        monkeypatch.setattr(validation, "read_header_text", None)
        answer = server.store([many])
        assert answer.status_code == 409 and "more than 1000 data elements" in answer.text


def test_pixels_in_millions_of_empty_fragments_are_refused(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = instances(**LIAR, transfer_syntax="jpeg-ls")[0]
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    assert content.endswith(end)
    monkeypatch.setattr(validation, "MAX_FRAGMENTS", 1000)
    many = content[: -len(end)] + b"\xfe\xff\0\xe0\0\0\0\0" * 1000 + end
    assert server.store([many]).status_code == 409
    assert server.store([content]).status_code == 200


def test_what_is_decoded_at_once_stays_below_a_limit(tmp_path: Path) -> None:
    content = instances(slices=1, rows=64, columns=64)[0]
    with running(tmp_path, limits=Limits(decoded=64 * 64 * 2 - 1)) as server:
        server.store([content])
        assert server.get(path_of(content), RLE).status_code == 413
        assert server.get(path_of(content, "series") + "/volume").status_code == 413
        assert server.get(path_of(content)).status_code == 200
    with running(tmp_path, limits=Limits(frame=100)) as server:
        assert server.get(path_of(content) + "/frames/1", "image/jls").status_code == 413
        assert server.get(path_of(content, "series") + "/slices/0").status_code == 413
        assert server.get(path_of(content) + "/frames/1").status_code == 200


def test_more_pictures_than_the_limit_are_not_begun(tmp_path: Path) -> None:
    contents = instances(slices=5, rows=8, columns=8)
    with running(tmp_path, limits=Limits(pictures=4)) as server:
        server.store(contents)
        path = path_of(contents[0], "series") + "/rendered"
        for accept in ("video/mp4", "image/gif", 'multipart/related; type="image/png"'):
            assert server.get(path, accept).status_code == 413
        assert server.get(path, "image/png").status_code == 200


@pytest.mark.parametrize(
    "query",
    ["ModalitiesInStudy=" + ",".join(["C"] * 20_000), "StudyDescription=" + "%5C".join(["C"] * 10_000),
     "StudyInstanceUID=" + ",".join(["1"] * 20_000), "&".join(["PatientName=a b c d e"] * 500) + "&fuzzymatching=true",
     "fuzzymatching=true&PatientName=" + "%20a" * 10_000, "&".join(["StudyDescription=a*"] * 900),
     "SeriesNumber=" + "1," * 20_000, "StudyDescription=" + "a" * 2000, f"limit={10**18}", "a" * 60_000],
    ids=lambda query: query[:20],
)  # fmt: skip
def test_searches_for_very_much_are_400_and_not_a_fault_of_the_index(server: Running, query: str) -> None:
    path = "/series" if query.startswith("SeriesNumber") else "/studies"
    assert server.get(f"{path}?{query}").status_code == 400


def test_the_longest_searches_that_are_let_through_are_answered(server: Running) -> None:
    server.store(instances(**LIAR))
    for query in ("ModalitiesInStudy=" + ",".join(["C*"] * 199), "StudyInstanceUID=" + ",".join(["1.2"] * 1900),
                  "fuzzymatching=true&PatientName=" + "%20a" * 190, "PatientName=" + "*a" * 500,
                  "&".join(["ModalitiesInStudy=CT"] * 190), "OtherPatientIDs=" + "*a?" * 300):  # fmt: skip
        assert server.get(f"/studies?{query}").status_code == 200, query[:30]


def test_no_wildcards_take_long() -> None:
    for pattern, text in (("*a" * 30_000 + "b", "a" * 200_000), ("*a?" * 300 + "b", "a" * 60_000),
                          ("?" * 1000 + "*" + "?" * 1000, "a" * 60_000), ("*" * 60_000, "a")):  # fmt: skip
        begun = time.process_time()
        glob(pattern, text)
        assert time.process_time() - begun < 5


@pytest.mark.parametrize("host", ['evil","x":"y', "a b", "<b>", "evil.example/x?", "a@b", "x\\"])
def test_a_host_that_is_none_never_gets_into_an_answer(tmp_path: Path, host: str) -> None:
    content = instances(**LIAR)
    with running(tmp_path) as server:
        server.store(content)
        assert server.get("/studies", Host=host).status_code == 400
        # From a proxy it is passed over.
        (model,) = server.get("/studies", **{"X-Forwarded-Host": host}).json()
        assert model["00081190"]["Value"][0].startswith(server.url)
        assert host not in server.get(path_of(content[0]) + "/metadata", Forwarded=f'host="{host}"').text


def test_the_address_in_the_audit_log_is_not_one_that_the_client_made_up(tmp_path: Path) -> None:
    content = instances(**LIAR)
    for number, headers in enumerate(
        ({"X-Forwarded-For": "6.6.6.6, 10.0.0.7"}, {"X-Forwarded-For": "6.6.6.6, 10.0.0.7, 127.0.0.1"},
         {"Forwarded": "for=6.6.6.6, for=10.0.0.7;proto=https"})
    ):  # fmt: skip
        with opened(tmp_path / str(number)) as http:
            http.post("/studies", content=body(content), headers={"Content-Type": STOW} | headers)
        (line,) = (tmp_path / str(number) / ".hounsfield" / "audit.log").read_text().splitlines()
        assert json.loads(line)["from"] == "10.0.0.7"


def test_wado_uri_is_in_the_audit_log_too(tmp_path: Path) -> None:
    content = instances(**LIAR)[0]
    study, series, instance = uids(content)
    with opened(tmp_path) as http:
        http.post("/studies", content=body([content]), headers={"Content-Type": STOW})
        query = f"requestType=WADO&studyUID={study}&seriesUID={series}&objectUID={instance}"
        assert http.get(f"/wado?{query}").status_code == 200
    *_, line = (tmp_path / ".hounsfield" / "audit.log").read_text().splitlines()
    assert json.loads(line)["to"] == [f"{study}/{series}/{instance}"]


def test_newlines_in_paths_and_names_make_no_further_log_lines(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    content = instances(**LIAR, patient_name='Evil^\n{"who":"admin"}')
    with caplog.at_level(logging.INFO), opened(tmp_path) as http:
        http.post("/studies", content=body(content), headers={"Content-Type": STOW})
        http.get("/studies/1%0A%7B%22who%22%3A%22admin%22%7D/series")
    lines = (tmp_path / ".hounsfield" / "audit.log").read_text().splitlines()
    assert len(lines) == 2 and [json.loads(line)["who"] for line in lines] == ["anonymous"] * 2
    try:
        raise ValueError("Secret^Name\nforged line")
    except ValueError as error:
        record = logging.LogRecord(
            "x", logging.ERROR, "", 0, "it\nfailed", (), (type(error), error, error.__traceback__)
        )
    told = PlainFormatter().format(record)
    assert len(told.splitlines()) == 1 and "Secret" not in told and "ValueError" in told


def basic(name: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_passwords_are_not_guessed_and_names_not_found_out(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / ".hounsfield" / "credentials.json")
    file.add_password("anna", "correct horse", ["read"])
    token = file.add_token("viewer", ["read"])
    times = {}
    for name in ("anna", "nobody"):
        file.password(name, "wrong")
        begun = time.process_time()
        file.password(name, "wrong again")
        times[name] = time.process_time() - begun
    # scrypt takes its time for either; without it a look-up takes microseconds.
    assert times["nobody"] > times["anna"] / 5
    with opened(tmp_path) as http:
        answers = [http.get("/studies", headers=basic("anna", f"guess {n}")) for n in range(MAX_GUESSES + 3)]
        assert [each.status_code for each in answers] == [401] * MAX_GUESSES + [429] * 3
        assert answers[-1].headers["retry-after"]
        # A token is none that one could guess: whoever has it is let in.
        assert http.get("/studies", headers=bearer(token)).status_code == 200


def test_wrong_tokens_and_other_peoples_guesses_lock_nobody_else_out(tmp_path: Path) -> None:
    """A worn-out token in one script, or one user's typing, is not everybody's at that address."""
    file = CredentialFile(tmp_path / ".hounsfield" / "credentials.json")
    for name in ("anna", "bert"):
        file.add_password(name, f"the password of {name}", ["read"])
    with opened(tmp_path) as http:
        for number in range(2 * MAX_GUESSES):
            assert http.get("/studies", headers=bearer(f"hu_expired_{number}")).status_code == 401
        assert http.get("/studies", headers=basic("anna", "the password of anna")).status_code == 200
        for number in range(MAX_GUESSES):
            assert http.get("/studies", headers=basic("bert", f"guess {number}")).status_code == 401
        assert http.get("/studies", headers=basic("bert", "the password of bert")).status_code == 429
        assert http.get("/studies", headers=basic("anna", "the password of anna")).status_code == 200
        # What is no name and password at all counts by itself, too.
        for text in ("?", "bm8gY29sb24="):
            assert http.get("/studies", headers={"Authorization": f"Basic {text}"}).status_code == 401
        # From elsewhere the name is open still.
        elsewhere = basic("bert", "the password of bert") | {"X-Forwarded-For": "192.0.2.7"}
        assert http.get("/studies", headers=elsewhere).status_code == 200


@pytest.mark.parametrize("path", ["/dicom-web/studies", "/dicom-web/health", "/", "/nothing"])
def test_two_hosts_are_400_everywhere(tmp_path: Path, path: str) -> None:
    with running(tmp_path) as server:
        parts = urllib.parse.urlsplit(server.url)
        for more, status in ((), {200, 404}), (("127.0.0.1",), {400}), (("other.example",), {400}):
            connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=10)  # type: ignore[arg-type]
            connection.putrequest("GET", path, skip_host=True)
            for host in ("127.0.0.1", *more):
                connection.putheader("Host", host)
            connection.endheaders()
            assert connection.getresponse().status in status
            connection.close()


def test_invalid_requests_are_logged_once_a_second_with_how_many_there_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timers = []

    class Timer:
        def __init__(self, seconds: Any, function: Any, arguments: Any) -> None:
            assert seconds == THROTTLE_SECONDS
            timers.append(lambda: function(*arguments))

        def start(self) -> None:
            pass

    monkeypatch.setattr("hounsfield.server.ops.logs.threading.Timer", Timer)
    written = io.StringIO()
    handler = ThrottledHandler(written)

    def log(
        text: str, *args: Any, level: int = logging.WARNING, name: str = "uvicorn.error", **more: Any
    ) -> None:
        record = logging.LogRecord(name, level, "", 0, text, args, None)
        record.__dict__.update(more)
        handler.handle(record)

    for _ in range(500):
        log("Invalid HTTP request received.")
    log("another %s", "kind")
    for number in range(3):
        log("%s: %s", "/studies", f"failed {number}", name="hounsfield.server", throttled=True)
        log("unreadable: %s", number, name="hounsfield.server")
        log("a fault", level=logging.ERROR)
    for tell in timers:
        tell()
    log("Invalid HTTP request received.")
    timers[-1]()
    lines = written.getvalue().splitlines()
    assert lines == [
        "Invalid HTTP request received.",
        "another kind",
        "/studies: failed 0",
        *[line for number in range(3) for line in (f"unreadable: {number}", "a fault")],
        "Invalid HTTP request received. (499 more suppressed)",
        "/studies: failed 0 (2 more suppressed)",
        "Invalid HTTP request received.",
    ]


def test_the_command_does_not_fill_the_log_with_invalid_requests(tmp_path: Path) -> None:
    arguments = ["serve", str(tmp_path / "archive"), "--port", "0", "--workers", "1", "--log", "json"]
    with (
        (tmp_path / "log").open("w") as logged,
        subprocess.Popen(
            [sys.executable, "-m", "hounsfield", *arguments], stdout=subprocess.PIPE, stderr=logged, text=True
        ) as process,
    ):
        try:
            url = next(line for line in process.stdout if "http" in line)
            parts = urllib.parse.urlsplit(url[url.index("http") :].strip())
            begun = time.monotonic()
            for _ in range(100):
                with socket.create_connection((parts.hostname, parts.port), 10) as link:
                    link.sendall(b"\x16\x03\x01 no HTTP at all\r\n\r\n")
                    assert b" 400 " in link.recv(1000)
            seconds = time.monotonic() - begun
        finally:
            process.terminate()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text("utf-8").splitlines()]
    # One at once and one for what was left out, in each second that begins.
    assert 1 <= sum("Invalid HTTP" in line["message"] for line in lines) <= 2 * (seconds + 2)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "DELETE", "PUT", "PATCH", "TRACE", "PROPFIND"])
def test_no_method_goes_round_the_credentials(tmp_path: Path, method: str) -> None:
    CredentialFile(tmp_path / ".hounsfield" / "credentials.json").add_token("x", ["read"])
    content = instances(**LIAR)[0]
    public = {"/openapi.json", "/health", "/ready"}
    with opened(tmp_path, deletes=True) as http:
        for path in ("/studies", path_of(content), path_of(content) + "/rendered", "/metrics", "/capabilities",
                     "/wado", "/studies/?accept=application/json", "/studies//", "/./studies"):  # fmt: skip
            answer = http.request(
                method, path, headers={"X-HTTP-Method-Override": "GET", "X-Original-URL": "/health"}
            )
            assert answer.status_code in {401, 404, 405, 307}, (method, path)
        for path in public if method == "GET" else ():
            assert http.get(path).status_code == 200


def test_options_tell_nothing_of_what_is_stored(tmp_path: Path) -> None:
    content = instances(**LIAR)[0]
    CredentialFile(tmp_path / ".hounsfield" / "credentials.json").add_token("x", ["read"])
    with opened(tmp_path) as http:
        there = http.options(path_of(content), headers={"Accept": "application/json"})
        absent = http.options("/studies/1.2/series/1.3/instances/1.4", headers={"Accept": "application/json"})
        assert there.content == absent.content


class Counting(Provider):
    """A provider that counts what it is asked, and may be down."""

    asked = 0
    down = False

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.asked += 1
        if self.down:
            await send({"type": "http.response.start", "status": 500, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await super().__call__(scope, receive, send)


def test_tokens_with_unknown_keys_do_not_make_the_server_ask_again_and_again(tmp_path: Path) -> None:
    provider, stranger = Counting(), rsa.generate_private_key(65537, 2048)
    with served(provider) as url:
        provider.url = url
        with opened(tmp_path, openid_issuer=url) as http:
            assert http.get("/studies", headers=bearer(provider.token())).status_code == 200
            before = provider.asked
            for number in range(20):
                headers = {
                    "kid": f"../../{number}",
                    "jku": "http://evil.example/keys",
                    "x5u": "file:///etc/passwd",
                }
                claims = {
                    "iss": url,
                    "aud": "hounsfield",
                    "sub": "x",
                    "exp": time.time() + 60,
                    "scope": "hounsfield.read",
                }
                forged = jwt.encode(claims, stranger, "RS256", headers=headers)
                assert http.get("/studies", headers=bearer(forged)).status_code == 401
            assert provider.asked - before <= 1
            assert http.get("/studies", headers=bearer(provider.token())).status_code == 200


def test_a_provider_that_is_down_is_503_and_left_alone_for_a_while(tmp_path: Path) -> None:
    provider = Counting()
    provider.down = True
    with served(provider) as url:
        provider.url = url
        with opened(tmp_path, openid_issuer=url) as http:
            for _ in range(10):
                assert http.get("/studies", headers=bearer(provider.token())).status_code == 503
            assert provider.asked <= 4
            assert http.get("/studies", headers=bearer("hu_wrong")).status_code == 401


def test_other_users_of_the_machine_may_not_read_the_archive(tmp_path: Path) -> None:
    folder = tmp_path / "archive"
    mask = os.umask(0o022)
    try:
        CredentialFile(folder / ".hounsfield" / "credentials.json").add_token("x", ["read"])
        with running(folder) as server:
            server.store(instances(**LIAR))
            for each in (folder, folder / ".hounsfield"):
                assert stat.S_IMODE(each.stat().st_mode) == 0o700
            for file in (path for path in folder.rglob("*.dcm")):
                assert not file.stat().st_mode & stat.S_IRWXO
            credentials = folder / ".hounsfield" / "credentials.json"
            assert stat.S_IMODE(credentials.stat().st_mode) == 0o600
    finally:
        os.umask(mask)


def test_links_in_a_folder_that_is_indexed_in_place_lead_nowhere_else(tmp_path: Path) -> None:
    content, secret = instances(**LIAR)[0], tmp_path / "secret"
    incoming = tmp_path / "incoming"
    incoming.mkdir()
    outside = tmp_path / "outside.dcm"
    outside.write_bytes(instances(**LIAR, seed=9)[0])
    secret.write_bytes(b"root:x:0:0" * 10_000)
    (incoming / "a.dcm").write_bytes(content)
    (incoming / "b.dcm").symlink_to(outside)
    deployment = Deployment(str(tmp_path / "archive"))
    archive = deployment.open(first=True)
    try:
        adopted = deployment.watched(archive)
        adopted.add([incoming])
        skipped = adopted.look(settled=True)
        assert any("link" in each.reason for each in skipped)
        with served(deployment.app(archive)) as url, client(url + "/dicom-web") as http:
            assert len(http.get("/instances").json()) == 1
            assert http.get(path_of(content)).status_code == 200
            # Between two looks whoever may write there puts a link where the file was.
            (incoming / "a.dcm").unlink()
            (incoming / "a.dcm").symlink_to(secret)
            answer = http.get(path_of(content))
            assert answer.status_code == 404 and b"root:" not in answer.content
    finally:
        deployment.close(archive)


@pytest.mark.parametrize("uid", ["..", "../..", "%2e%2e", "..%2f..%2fetc", "1.2/../..", "1.2%00", "1..2", ".1", "x",
                                 "1" * 65, "1.2;a=b", "%252e%252e", "１.２"])  # fmt: skip
def test_no_uid_in_a_path_is_a_way_through_folders(tmp_path: Path, uid: str) -> None:
    with opened(tmp_path, deletes=True) as http:
        for path in (
            f"/studies/{uid}",
            f"/studies/1.2/series/{uid}/metadata",
            f"/studies/1.2/series/1.3/instances/{uid}",
        ):
            for method in ("GET", "DELETE"):
                assert raw(str(http.base_url), method, path) in {400, 404, 405}, path
        stored = http.post(f"/studies/{uid}", content=b"--b--", headers={"Content-Type": STOW})
        assert stored.status_code in {400, 404, 405}


@pytest.mark.parametrize("reference", ["../../x", "%2e%2e%2f", "7FE00010/../..", "00100010.99999999999.00100010",
                                       "x" * 5000, "7FE00010." * 200, "-1", "00400275.-1.00400007"])  # fmt: skip
def test_no_bulk_data_reference_leads_anywhere_else(server: Running, reference: str) -> None:
    content = instances(**LIAR)[0]
    server.store([content])
    assert raw(server.url, "GET", f"{path_of(content)}/bulkdata/{reference}") in {400, 404, 422}


def test_encapsulated_documents_and_markup_never_come_as_a_page(server: Running) -> None:
    content = instances(**LIAR)[0]
    dataset = pydicom.dcmread(io.BytesIO(content))
    del dataset.PixelData
    script = b"<html><script>alert(1)</script>" * 100
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.104.2"  # type: ignore[assignment]
    dataset.MIMETypeOfEncapsulatedDocument = "text/html"
    dataset.EncapsulatedDocument = script
    dataset.PatientName = "<img onerror>^<script>alert(1)</script>"
    out = io.BytesIO()
    dataset.save_as(out)
    assert server.store([out.getvalue()]).status_code == 200
    for path in ("/studies?PatientName=*", path_of(content), path_of(content) + "/metadata", path_of(content) + "/tags",
                 path_of(content) + "/bulkdata/00420011", path_of(content) + "/rendered"):  # fmt: skip
        answer = server.get(path, "text/html, */*")
        kind = answer.headers["content-type"]
        assert not kind.startswith(("text/html", "image/svg", "text/xml")), path
        assert answer.headers["x-content-type-options"] == "nosniff"
        policy = answer.headers["content-security-policy"]
        assert "sandbox" in policy and "frame-ancestors 'none'" in policy


def test_a_page_elsewhere_gets_no_credentials_with_its_requests(tmp_path: Path) -> None:
    with opened(tmp_path, origins=("*",)) as http:
        answer = http.get("/studies", headers={"Origin": "https://evil.example", "Cookie": "a=b"})
        assert "access-control-allow-credentials" not in answer.headers
        assert answer.headers["vary"].endswith("Origin")
    with opened(tmp_path / "two", origins=("https://viewer.example",)) as http:
        for origin in (
            "null",
            "https://viewer.example.evil.org",
            "https://VIEWER.example",
            "http://viewer.example",
        ):
            assert (
                "access-control-allow-origin" not in http.get("/studies", headers={"Origin": origin}).headers
            )


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=b", ""]
)
def test_a_form_of_another_page_stores_nothing(server: Running, kind: str) -> None:
    answer = server.http.post("/studies", content=body(instances(**LIAR)), headers={"Content-Type": kind})
    assert answer.status_code in {400, 415}
    assert server.get("/studies").json() == []


SMUGGLED = [
    b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /dicom-web/studies HTTP/1.1\r\n\r\n",
    b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    b"Content-Length: +5\r\n\r\nhello",
    b"X: a\rTransfer-Encoding: chunked\r\n\r\n",
]


@pytest.mark.parametrize("rest", SMUGGLED)
def test_bodies_of_two_lengths_are_hung_up_on(server: Running, rest: Any) -> None:
    host, port = server.url.split("//")[1].split("/", maxsplit=1)[0].split(":")
    with socket.create_connection((host, int(port)), 10) as link:
        link.sendall(
            b"POST /dicom-web/studies HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/dicom\r\n"
            + rest
        )
        link.shutdown(socket.SHUT_WR)
        got = b""
        with contextlib.suppress(ConnectionError):
            while piece := link.recv(65536):
                got += piece
    # One answer at most, and none of them to a request within the body.
    assert got.count(b"HTTP/1.1 ") <= 1 and b"HTTP/1.1 2" not in got


def test_no_answer_tells_where_on_the_machine_something_lies(tmp_path: Path) -> None:
    content = instances(**LIAR)[0]
    with running(tmp_path / "very-secret-place" / "archive") as server:
        server.store([content, b"rubbish"])
        texts = [
            server.get(path).text for path in (*paths(server, content), "/capabilities", "/ready", "/metrics")
        ]
        (tmp_path / "very-secret-place" / "archive").joinpath(
            *uids(content)[:2], f"{uids(content)[2]}.dcm"
        ).unlink()
        texts += [server.get(path).text for path in paths(server, content)]
        assert not any("very-secret-place" in text for text in texts)


def test_the_command_logs_no_token_and_no_patient(tmp_path: Path) -> None:
    process = start(str(tmp_path), "--log", "json")
    process.kill()
    token = CredentialFile(tmp_path / ".hounsfield" / "credentials.json").add_token("x", ["read", "write"])
    running_one = subprocess.Popen(
        [sys.executable, "-m", "hounsfield", "serve", str(tmp_path), "--port", "0", "--log", "json"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert running_one.stdout is not None
        url = next(line for line in running_one.stdout if "http" in line)
        with client(url[url.index("http") :].split()[0]) as http:
            content = instances(**LIAR, patient_name="Secret^Name")
            http.post("/studies", content=body(content), headers={"Content-Type": STOW} | bearer(token))
            http.get("/studies?PatientName=Secret*", headers=bearer(token))
            http.get("/studies?access_token=hu_in_the_query", headers=bearer("hu_wrong_one"))
    finally:
        running_one.terminate()
        _, logged = running_one.communicate(timeout=30)
    assert '"route"' in logged
    assert not any(each in logged for each in (token, "Secret", "hu_wrong_one", "hu_in_the_query"))
