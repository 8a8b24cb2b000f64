"""Named servers: what the file says becomes a client, secrets are fetched where they are kept and shown nowhere."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import stat
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from stub_server import stub_server

from hounsfield.cli import main
from hounsfield.client import Client, Retries, Transport
from hounsfield.errors import DicomwebError, LocationError
from hounsfield.locations.servers import _toml, add_server, find_server, read_servers, remove_server


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "settings" / "servers.toml"
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(path))
    return path


def run(*arguments: str) -> str:
    found = CliRunner().invoke(main, ["servers", *arguments])
    assert found.exit_code == 0, found.output
    return found.output


def test_servers_come_and_go(file: Path) -> None:
    assert read_servers() == {}
    run("add", "pacs", "https://h/dicom-web")
    run("add", "other", "http://o")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(read_servers()) == ["other", "pacs"]
    with pytest.raises(LocationError):
        add_server("pacs", {"url": "http://new"})
    add_server("pacs", {"url": "http://new"}, force=True)
    assert find_server("pacs").url == "http://new"
    run("remove", "pacs")
    assert sorted(read_servers()) == ["other"]
    with pytest.raises(LocationError, match="one of: other"):
        remove_server("pacs")


values = st.recursive(
    st.one_of(st.booleans(), st.integers(-(2**62), 2**62), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)


@given(st.dictionaries(st.text(), values, max_size=3))
def test_what_is_written_is_read_back(settings: dict[str, Any | int | str]) -> None:
    try:
        text = f"x = {_toml(settings)}"
        text.encode()
    except UnicodeEncodeError:
        return  # lone surrogates are no text
    assert tomllib.loads(text) == {"x": settings}


PYTHON_PRINTS = f"{sys.executable} -c \"print('s3' + 'cret')\""
WAYS = [
    (["--user", "me", "--password-env", "PW"], "Basic bWU6czNjcmV0"),
    (["--bearer", "--password-env", "PW"], "Bearer s3cret"),
    (["--bearer", "--password-command", PYTHON_PRINTS], "Bearer s3cret"),
    ([], None),
]


@pytest.mark.parametrize(("options", "authorization"), WAYS)
def test_each_way_to_enter(
    file: Path, monkeypatch: pytest.MonkeyPatch, options: Any, authorization: Any
) -> None:
    monkeypatch.setenv("PW", "s3cret")
    with stub_server(lambda exchange: exchange.json([])) as stub:
        shown = run("add", "pacs", f"{stub.url}/web", "--header", "X-Kind=test", *options)
        shown += run("list") + run("list", "--json") + run("test", "pacs")
    assert "s3cret" not in shown + file.read_text() + repr(find_server("pacs")) + repr(
        find_server("pacs").client()
    )
    assert stub.requests[0].path == "/web/studies"
    assert stub.requests[0].headers.get("authorization") == authorization
    assert stub.requests[0].headers["x-kind"] == "test"


def test_oauth2_and_prefixes(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PW", "s3cret")

    def respond(exchange: Any) -> None:
        if exchange.path == "/token":
            exchange.json({"access_token": "t", "expires_in": 60})
        else:
            exchange.json([])

    with stub_server(respond) as stub:
        run(
            "add", "pacs", stub.url, "--oauth-token-url", f"{stub.url}/token", "--client-id", "id",
            "--password-env", "PW", "--scope", "read", "--search-prefix", "qido",
        )  # fmt: skip
        run("test", "pacs")
    assert stub.paths == ["/token", "/qido/studies"]
    assert b"scope=read" in stub.requests[0].body
    assert stub.requests[1].headers["authorization"] == "Bearer t"
    assert "oauth2, from environment" in run("list")


@pytest.mark.parametrize(
    "options",
    [["--user", "me"], ["--password-env", "PW"], ["--user", "me", "--bearer", "--password-env", "PW"],
     ["--oauth-token-url", "http://h", "--password-env", "PW"], ["--header", "nonsense"],
     ["--user", "me", "--password-env", "A", "--password-keyring", "B"]],
)  # fmt: skip
def test_options_that_do_not_go_together_are_wrong_usage(file: Path, options: list[str]) -> None:
    found = CliRunner().invoke(main, ["servers", "add", "pacs", "http://h", *options])
    assert found.exit_code == 2
    assert not file.exists()


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "password = 's3cret\n",
        "[pacs]\n",
        "[pacs]\nurl = 7\n",
        '[pacs]\nurl = "http://h"\nurll = 1\n',
        '[pacs]\nurl = "http://h"\nauth = { kind = "magic" }\n',
        "pacs = 1\n",
        '[pacs]\nurl = "ftp://h"\n',
        '[pacs]\nurl = "http://h"\nauth = { kind = "basic", password = "s3cret" }\n',
        '[pacs]\nurl = "http://h"\nauth = { kind = "bearer", token = { place = "s3cret" } }\n',
        '[pacs]\nurl = "http://h"\ntimeouts = { wait = 1 }\n',
    ],
)
def test_a_file_that_makes_no_sense_is_an_error_that_repeats_no_secret(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    with pytest.raises((LocationError, DicomwebError)) as caught:
        find_server("pacs").client()
    assert "s3cret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_told(file: Path) -> None:
    with stub_server(lambda exchange: exchange.answer(404)) as stub:
        run("add", "pacs", stub.url)
        found = CliRunner().invoke(main, ["servers", "test", "pacs"])
    assert found.exit_code == 1
    assert "no DICOMweb there" in found.output


def _signs(authority: bool) -> x509.KeyUsage:
    others = dict.fromkeys(
        (
            "content_commitment",
            "key_encipherment",
            "data_encipherment",
            "key_agreement",
            "crl_sign",
            "encipher_only",
            "decipher_only",
        ),
        False,
    )
    return x509.KeyUsage(digital_signature=not authority, key_cert_sign=authority, **others)


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A certificate authority, a server's and a client's certificate by it."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
    for name in ("ca", "server", "client"):
        own = authority_key if name == "ca" else ec.generate_private_key(ec.SECP256R1())
        subject = authority if name == "ca" else x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.now(datetime.UTC)
        address = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        certificate = (
            x509.CertificateBuilder(authority, subject, own.public_key(), x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=name == "ca", path_length=None), critical=True)
            .add_extension(address, critical=False)
            # Python 3.13 refuses certificates without them.
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(own.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False
            )
            .add_extension(_signs(name == "ca"), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        (tmp_path / f"{name}.key").write_bytes(
            own.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return tmp_path


def test_an_own_authority_and_a_client_certificate(certificates: Path) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "server.pem", certificates / "server.key")
    context.verify_mode = ssl.CERT_REQUIRED
    once = Retries(attempts=1)
    with stub_server(lambda exchange: exchange.json([]), context) as stub:
        ours = Transport(
            ca=certificates / "ca.pem",
            certificate=certificates / "client.pem",
            key=certificates / "client.key",
        )
        with Client(stub.url, transport=ours) as client:
            assert client.search_for_studies() == []
        with Client(stub.url, retries=once) as client, pytest.raises(DicomwebError, match="certificate"):
            client.search_for_studies()
        stranger = Transport(ca=certificates / "ca.pem")
        with Client(stub.url, transport=stranger, retries=once) as client, pytest.raises(DicomwebError):
            client.search_for_studies()
    assert len(stub.requests) == 1
