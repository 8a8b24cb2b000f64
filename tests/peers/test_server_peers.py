"""Others' programs against the server: this project's client, Orthanc as client, Node's dicomweb-client, TLS."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import ssl
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from orthanc import running_orthanc, skip_without_orthanc
from server_support import AS_STORED, instances, parts_of, path_of, running, start, uids

import hounsfield
from hounsfield.client import Client
from hounsfield.phantom import PhantomSpec, write


def test_this_projects_client_stores_searches_retrieves_and_loads(tmp_path: Path) -> None:
    paths = write(PhantomSpec(slices=5, rows=32, columns=32), tmp_path / "phantom")
    with running(tmp_path / "archive") as server, Client(server.url) as client:
        result = client.store_instances(paths)
        assert result.complete and len(result.instances) == 5
        study, series, _ = uids(paths[0].read_bytes())
        found = client.search_for_instances(study, series)
        assert len(list(found)) == 5
        assert sorted(part.content for part in client.retrieve_series(study, series)) == sorted(
            path.read_bytes() for path in paths
        )
        volume = hounsfield.load(f"{server.url}/studies/{study}/series/{series}")
        assert np.array_equal(volume.array, hounsfield.load(tmp_path / "phantom").array)


def _orthanc(url: str, path: str, told: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{url}/{path}", json.dumps(told).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")


def test_orthanc_stores_to_the_server_and_retrieves_from_it(tmp_path: Path) -> None:
    skip_without_orthanc()
    contents = instances(slices=4)
    study = path_of(contents[0], "study").rpartition("/")[2]
    with running(tmp_path / "archive", deletes=True) as server:
        options = {"Enable": True, "Root": "/dicom-web/", "Servers": {"us": [server.url + "/"]}}
        with running_orthanc(tmp_path / "orthanc", DicomWeb=options) as url:
            server.store(contents)
            _orthanc(url, "servers/us/retrieve", {"Resources": [{"Study": study}]})
            with urllib.request.urlopen(f"{url}/studies/{study}/instances") as answer:
                assert len(json.load(answer)) == 4
            assert server.http.delete(path_of(contents[0], "study")).status_code == 204
            root = url.removesuffix("/dicom-web")
            with urllib.request.urlopen(f"{root}/instances") as answer:
                there = json.load(answer)
            _orthanc(url, "servers/us/stow", {"Resources": there, "Synchronous": True})
            got = parts_of(server.get(path_of(contents[0], "study"), AS_STORED))
            assert sorted(content for _, content in got) == sorted(contents)


SCRIPT = """
const { api } = await import(process.argv[3]).then((m) => m.default ?? m);
const client = new api.DICOMwebClient({ url: process.argv[2] });
const [study] = await client.searchForStudies();
const uid = study["0020000D"].Value[0];
const [series] = await client.searchForSeries({ studyInstanceUID: uid });
const of = { studyInstanceUID: uid, seriesInstanceUID: series["0020000E"].Value[0] };
const metadata = await client.retrieveSeriesMetadata(of);
const all = await client.retrieveSeries(of);
const one = { ...of, sopInstanceUID: metadata[0]["00080018"].Value[0] };
const frames = await client.retrieveInstanceFrames({ ...one, frameNumbers: [1] });
const rendered = await client.retrieveInstanceRendered(one);
await client.storeInstances({ datasets: all });
console.log(JSON.stringify({ metadata: metadata.length, all: all.map((b) => b.byteLength),
  frame: frames[0].byteLength, rendered: [rendered].flat()[0].byteLength }));
"""


def _node_module() -> Path | None:
    """npm's dicomweb-client, where NODE_PATH or this project's own node_modules have it."""
    places = [
        *os.environ.get("NODE_PATH", "").split(":"),
        str(Path(__file__).parents[2] / "viewer" / "node_modules"),
    ]
    for place in filter(None, places):
        package = Path(place) / "dicomweb-client" / "package.json"
        if package.is_file():
            return package.parent / json.loads(package.read_text())["main"]
    return None


def test_nodes_dicomweb_client_is_served(tmp_path: Path) -> None:
    module = _node_module()
    if module is None or shutil.which("node") is None:
        pytest.skip("npm's dicomweb-client is not here; npm install dicomweb-client, and NODE_PATH to it")
    contents = instances(slices=3)
    # It was written for a browser.
    shim = tmp_path / "run.mjs"
    shim.write_text(_BROWSER + SCRIPT)
    with running(tmp_path / "archive") as server:
        server.store(contents)
        done = subprocess.run(
            ["node", str(shim), server.url, str(module)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert told["metadata"] == 3 and sorted(told["all"]) == sorted(map(len, contents))
        assert told["frame"] == 32 * 32 * 2 and told["rendered"] > 100


_BROWSER = """
globalThis.XMLHttpRequest = class {
  open(method, url) { this.method = method; this.url = url; this.headers = {}; }
  setRequestHeader(name, value) { this.headers[name] = value; }
  getResponseHeader(name) { return this.answer.headers.get(name); }
  getAllResponseHeaders() { return [...this.answer.headers].map(([k, v]) => `${k}: ${v}`).join("\\r\\n"); }
  async send(body) {
    this.answer = await fetch(this.url, { method: this.method, headers: this.headers, body });
    this.status = this.answer.status;
    this.statusText = this.answer.statusText;
    const content = await this.answer.arrayBuffer();
    const text = new TextDecoder().decode(content);
    this.response = { arraybuffer: () => content, json: () => JSON.parse(text) }[this.responseType]?.() ?? text;
    this.responseText = text;
    for (const state of [2, 3, 4]) { this.readyState = state; this.onreadystatechange?.(); }
    this.onload?.(); this.onloadend?.();
  }
};
"""


def _certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    alternatives = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now).not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(alternatives, critical=False).sign(key, hashes.SHA256())
    )  # fmt: skip
    certificate, private = folder / "cert.pem", folder / "key.pem"
    certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return certificate, private


def test_the_command_speaks_tls(tmp_path: Path) -> None:
    certificate, key = _certificate(tmp_path)
    server = start(str(tmp_path / "archive"), "--tls-cert", str(certificate), "--tls-key", str(key))
    try:
        assert server.url.startswith("https://127.0.0.1")
        trusting = ssl.create_default_context(cafile=str(certificate))
        with urllib.request.urlopen(f"{server.url}/studies", context=trusting) as answer:
            assert json.load(answer) == []
        with urllib.request.urlopen(f"{server.url}/openapi.json", context=trusting) as answer:
            assert json.load(answer)["servers"][0]["url"] == server.url
    finally:
        server.kill()
