"""Who may do what: tokens, passwords, OpenID, scopes; hosts, origins, proxies; limits and the audit log."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jwt
import pytest
from click.testing import CliRunner, Result
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from httpx2._client import Client
from server_support import STOW, body, client, instances, path_of, served

from hounsfield.cli import main
from hounsfield.errors import HounsfieldError
from hounsfield.server.auth.credentials import CredentialFile
from hounsfield.server.auth.openid import OpenId
from hounsfield.server.deployment import Deployment
from hounsfield.server.http.limits import Limits


@contextlib.contextmanager
def opened(folder: Path, **options: Any) -> Iterator[Client]:
    deployment = Deployment(str(folder), **options)
    archive = deployment.open(first=True)
    try:
        with served(deployment.app(archive)) as url, client(url + "/dicom-web") as http:
            yield http
    finally:
        deployment.close(archive)


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_tokens_have_scopes_and_are_kept_hashed(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / ".hounsfield" / "credentials.json")
    reader, writer = file.add_token("reader", ["read"]), file.add_token("writer", ["read", "write"])
    assert reader not in file.path.read_text() and file.path.stat().st_mode & 0o777 == 0o600
    contents = instances()
    with opened(tmp_path, deletes=True) as http:
        assert http.get("/studies").status_code == 401
        assert "Bearer" in http.get("/studies").headers["www-authenticate"]
        assert http.get("/studies", headers=bearer("hu_wrong")).status_code == 401
        assert http.get("/studies", headers=bearer(reader)).status_code == 200
        store: dict[str, Any] = {"content": body(contents), "headers": {"Content-Type": STOW}}
        assert http.post("/studies", **store).status_code == 401
        store["headers"] |= bearer(reader)
        assert http.post("/studies", **store).status_code == 403
        store["headers"] |= bearer(writer)
        assert http.post("/studies", **store).status_code == 200
        assert http.delete(path_of(contents[0]), headers=bearer(writer)).status_code == 403
        file.revoke("reader")
        assert http.get("/studies", headers=bearer(reader)).status_code == 401
        assert http.get("/health").status_code == 200
        assert http.get("/openapi.json").status_code == 200


def test_a_token_expires(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / "c.json")
    token = file.add_token("short", ["read"], days=1e-9)
    time.sleep(0.01)
    assert file.token(token) is None


def test_passwords_by_basic_authentication(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / ".hounsfield" / "credentials.json")
    file.add_password("anna", "correct horse", ["read"])
    assert "correct" not in file.path.read_text()

    def basic(text: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    with opened(tmp_path) as http:
        assert http.get("/studies", headers=basic("anna:correct horse")).status_code == 200
        assert http.get("/studies", headers=basic("anna:correct horse")).status_code == 200
        for wrong in ("anna:wrong", "otto:correct horse", "anna", ":"):
            assert http.get("/studies", headers=basic(wrong)).status_code == 401
        assert http.get("/studies", headers={"Authorization": "Basic §".encode("latin-1")}).status_code == 401  # type: ignore[arg-type]


def test_the_command_makes_lists_and_revokes_tokens(tmp_path: Path) -> None:
    runner = CliRunner()

    def run(*arguments: Any) -> Result:
        return runner.invoke(main, ["tokens", *arguments, "--archive", str(tmp_path)], standalone_mode=False)

    token = run("add", "viewer").stdout.strip()
    file = CredentialFile(tmp_path / ".hounsfield" / "credentials.json")
    assert file.token(token).scopes == {"read"}
    assert json.loads(run("list", "--json").stdout)[0]["name"] == "viewer"
    run("revoke", "viewer")
    assert file.token(token) is None


class Provider:
    """An OpenID provider: publishes its configuration and keys."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(65537, 2048)
        self.url = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        jwk = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key())) | {
            "kid": "1",
            "use": "sig",
        }
        answers = {
            "/.well-known/openid-configuration": {"jwks_uri": f"{self.url}/keys"},
            "/keys": {"keys": [jwk]},
        }
        content = json.dumps(answers[scope["path"]]).encode()
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(content)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    def token(self, *, key: None = None, algorithm: str = "RS256", **claims: Any) -> str:
        told = {
            "iss": self.url,
            "aud": "hounsfield",
            "sub": "anna",
            "exp": time.time() + 60,
            "scope": "hounsfield.read",
        }
        return jwt.encode(told | claims, key or self.key, algorithm=algorithm, headers={"kid": "1"})


def test_openid_tokens_are_held_against_the_providers_keys(tmp_path: Path) -> None:
    provider = Provider()
    with served(provider) as url:
        provider.url = url
        with opened(tmp_path, openid_issuer=url) as http:
            assert http.get("/studies", headers=bearer(provider.token())).status_code == 200
            assert http.post("/studies", headers=bearer(provider.token())).status_code == 403
            stranger = rsa.generate_private_key(65537, 2048)
            bad = {
                "expired": provider.token(exp=time.time() - 3600),
                "for another": provider.token(aud="else"),
                "by another": provider.token(iss="https://else"),
                "forged": provider.token(key=stranger),  # type: ignore[arg-type]
                "no scope": provider.token(scope="openid"),
                "unsigned": jwt.encode(
                    {"iss": url, "aud": "hounsfield", "sub": "x", "exp": time.time() + 60},
                    None,  # type: ignore[arg-type]
                    "none",
                ),
                "shared secret": provider.token(key="x" * 32, algorithm="HS256"),  # type: ignore[arg-type]
                "other curve": provider.token(key=ec.generate_private_key(ec.SECP256R1()), algorithm="ES256"),  # type: ignore[arg-type]
                "nonsense": "a.b.c",
            }
            for what, token in bad.items():
                assert http.get("/studies", headers=bearer(token)).status_code == 401, what


def test_openid_scopes_may_come_as_roles_in_another_claim() -> None:
    verifier = OpenId("https://i", "a", claim="realm_access.roles")
    assert verifier._granted({"realm_access": {"roles": ["hounsfield:write", "x"]}}) == {"write"}
    assert verifier._granted({}) == frozenset()


def test_another_address_than_loopback_needs_credentials(tmp_path: Path) -> None:
    with pytest.raises(HounsfieldError, match="insecure"):
        Deployment(str(tmp_path), host="0.0.0.0").access()
    Deployment(str(tmp_path), host="0.0.0.0", insecure=True).access()
    CredentialFile(tmp_path / ".hounsfield" / "credentials.json").add_token("one", ["read"])
    assert Deployment(str(tmp_path), host="0.0.0.0").access().authenticators


def test_a_server_without_credentials_answers_to_its_own_names_only(tmp_path: Path) -> None:
    with opened(tmp_path) as http:
        assert http.get("/studies").status_code == 200
        assert http.get("/studies", headers={"Host": "localhost:1"}).status_code == 200
        assert http.get("/studies", headers={"Host": "rebound.example.org"}).status_code == 421
        assert (
            http.get(
                str(http.base_url).replace("dicom-web/", ""), headers={"Host": "evil.example"}
            ).status_code
            == 421
        )


def test_pages_of_other_origins_may_not_unless_told(tmp_path: Path) -> None:
    preflight = {"Origin": "https://viewer.example", "Access-Control-Request-Method": "GET"}
    with opened(tmp_path / "one") as http:
        assert "access-control-allow-origin" not in http.options("/studies", headers=preflight).headers
    with opened(tmp_path / "two", origins=("https://viewer.example",)) as http:
        answer = http.options("/studies", headers=preflight)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
        assert "GET" in answer.headers["access-control-allow-methods"]
        got = http.get("/studies", headers={"Origin": "https://viewer.example"})
        assert "Warning" in got.headers["access-control-expose-headers"]
        other = http.get("/studies", headers={"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"Forwarded": 'for=1.2.3.4;proto=https;host="pacs.example"'}, "https://pacs.example/dicom-web/"),
        ({"X-Forwarded-Proto": "https", "X-Forwarded-Host": "h:8"}, "https://h:8/dicom-web/"),
        ({"X-Forwarded-Prefix": "/pacs", "X-Forwarded-Host": "h"}, "http://h/pacs/dicom-web/"),
    ],
)
def test_urls_are_those_that_the_client_sees_through_a_proxy(
    tmp_path: Path, headers: dict[str, str], expected: str
) -> None:
    contents = instances()
    with opened(tmp_path) as http:
        http.post("/studies", content=body(contents), headers={"Content-Type": STOW})
        (model,) = http.get("/studies", headers=headers).json()
        assert model["00081190"]["Value"][0].startswith(expected)
    with opened(tmp_path / "untrusting", proxies=()) as http:
        http.post("/studies", content=body(contents), headers={"Content-Type": STOW})
        (model,) = http.get("/studies", headers=headers).json()
        assert not model["00081190"]["Value"][0].startswith(expected)


def test_the_audit_log_says_who_touched_which_study_and_nothing_of_the_patient(tmp_path: Path) -> None:
    file = CredentialFile(tmp_path / ".hounsfield" / "credentials.json")
    token = file.add_token("anna", ["read", "write"])
    contents = instances(patient_name="Secret^Name")
    with opened(tmp_path) as http:
        http.post("/studies", content=body(contents), headers={"Content-Type": STOW} | bearer(token))
        http.get(path_of(contents[0]), headers=bearer(token))
        http.get("/studies?PatientName=Secret*", headers=bearer(token))
        http.get(path_of(contents[0]))
    lines = [json.loads(line) for line in (tmp_path / ".hounsfield" / "audit.log").read_text().splitlines()]
    study = path_of(contents[0], "study").rpartition("/")[2]
    assert [(line["who"], line["did"].split()[0], line["status"]) for line in lines] == [
        ("anna", "POST", 200), ("anna", "GET", 200), ("anna", "GET", 200), ("", "GET", 401)
    ]  # fmt: skip
    assert lines[0]["to"] == [study] and study in lines[1]["to"][0]
    assert "Secret" not in json.dumps(lines)


def test_every_answer_says_that_nothing_in_it_may_run(tmp_path: Path) -> None:
    with opened(tmp_path) as http:
        for path in ("/studies", "/studies/1.2/metadata", "/openapi.json"):
            answer = http.get(path)
            assert "default-src 'none'" in answer.headers["content-security-policy"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        page = http.get(str(http.base_url).replace("dicom-web/", ""))
        assert "script-src 'self'" in page.headers["content-security-policy"]
        assert "unsafe" not in page.headers["content-security-policy"]


@pytest.mark.parametrize(
    "path", ["/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc/passwd", "/assets/../../../x", "/a%00b"]
)
def test_pages_come_from_their_folder_only(tmp_path: Path, path: str) -> None:
    with opened(tmp_path) as http:
        root = str(http.base_url).replace("/dicom-web/", "")
        assert http.get(root + path).status_code in {400, 404}


def test_methods_that_are_not_there_are_405_with_allow(tmp_path: Path) -> None:
    with opened(tmp_path) as http:
        answer = http.put("/studies", content=b"")
        assert (
            answer.status_code == 405
            and "GET" in answer.headers["allow"]
            and "POST" in answer.headers["allow"]
        )
        assert http.options("/studies").headers["allow"] == "GET, HEAD, OPTIONS, POST"


def test_capabilities_are_told_as_openapi_and_as_wadl_of_the_same_resources(tmp_path: Path) -> None:
    from xml.etree import ElementTree

    name = "{http://wadl.dev.java.net/2009/02}"
    wadl = {"Accept": "application/vnd.sun.wadl+xml"}
    with opened(tmp_path) as http:
        described = http.options("/").json()["paths"]
        answer = http.options("/", headers=wadl)
        assert answer.headers["content-type"] == wadl["Accept"]
        root = ElementTree.fromstring(answer.content)
        assert root[0].attrib["base"] == str(http.base_url)
        told = {
            (f"/{each.attrib['path']}", method.attrib["name"].lower())
            for each in root.iter(f"{name}resource")
            for method in each.iter(f"{name}method")
        }
        assert told == {(path, method) for path, methods in described.items() for method in methods}
        assert http.get("/", headers=wadl).content == answer.content
        # What a resource can do is told of it and of what is below it.
        below = ElementTree.fromstring(http.options("/studies/1.2/series/1.3", headers=wadl).content)
        paths = {each.attrib["path"] for each in below.iter(f"{name}resource")}
        assert "studies/{study}/series/{series}/metadata" in paths
        assert all(path.startswith("studies/{study}/series/{series}") for path in paths)
        kinds = {each.attrib["mediaType"] for each in root.iter(f"{name}representation")}
        assert {"application/dicom+json", 'multipart/related; type="application/dicom+json"'} <= kinds
        assert http.options("/", headers={"Accept": "text/html"}).status_code == 406
        assert http.options("/studies").status_code == 204


def test_too_many_at_once_are_told_to_come_back(tmp_path: Path) -> None:
    with opened(tmp_path, limits=Limits(requests=0)) as http:
        answer = http.get("/studies")
        assert answer.status_code == 503 and answer.headers["retry-after"]


def test_metrics_and_health_and_readiness(tmp_path: Path) -> None:
    contents = instances()
    with opened(tmp_path) as http:
        http.post("/studies", content=body(contents), headers={"Content-Type": STOW})
        assert http.get("/ready").json() == {"ready": True}
        text = http.get("/metrics").text
        assert "hounsfield_instances 3" in text
        assert 'method="POST",route="/studies",status="200"' in text
        assert path_of(contents[0], "study").rpartition("/")[2] not in text


def test_log_lines_are_json_without_patient_data(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import logging

    from hounsfield.server.ops.logs import JsonFormatter

    contents = instances(patient_name="Secret^Name")
    with caplog.at_level(logging.INFO, "hounsfield.requests"), opened(tmp_path) as http:
        http.post("/studies", content=body(contents), headers={"Content-Type": STOW})
        http.get("/studies?PatientName=Secret*")
    lines = [json.loads(JsonFormatter().format(record)) for record in caplog.records]
    assert {line["route"] for line in lines} == {"/studies"} and "Secret" not in json.dumps(lines)
