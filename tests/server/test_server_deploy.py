"""What `deploy/` says is started for real where it can be: nginx before two servers, the unit; compose is read."""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from ssl import SSLContext

import httpx2
import pytest
import yaml
from httpx2._client import Client
from server_postgres import postgres
from server_support import AS_STORED, STOW, Process, body, instances, parts_of, path_of, start
from test_server_peers import _certificate

from hounsfield.cli.serve import serve
from hounsfield.cli.tokens import tokens
from hounsfield.errors import UnsupportedError
from hounsfield.server.http.proxy_headers import TrustedProxies

DEPLOY = Path(__file__).parents[2] / "deploy"
NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def token(file: Path, name: str, *scopes: str) -> str:
    from click.testing import CliRunner

    asked = [option for scope in scopes for option in ("--scope", scope)]
    done = CliRunner().invoke(tokens, ["add", name, *asked, "--credentials", str(file)])
    assert done.exit_code == 0, done.output
    return done.output.split()[-1]


@contextlib.contextmanager
def nginx(folder: Path, port: int, ports: list[int]) -> Iterator[SSLContext]:
    """nginx with the documented configuration; only where it listens and whom it asks are others'."""
    certificate, key = _certificate(folder)
    text = (DEPLOY / "nginx.conf").read_text("utf-8")
    for said, meant in (
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("server server:8042;", " ".join(f"server 127.0.0.1:{each};" for each in ports)),
        ("/etc/nginx/certificate.pem", str(certificate)),
        ("/etc/nginx/key.pem", str(key)),
    ):
        assert text.count(said) == 1
        text = text.replace(said, meant)
    places = " ".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root; " if os.geteuid() == 0 else ""
    (folder / "nginx.conf").write_text(
        f"{user}pid {folder}/pid; error_log {folder}/error.log; daemon off; events {{}}\n"
        f"http {{ access_log {folder}/access.log; {places}\n{text}\n}}\n"
    )
    process = subprocess.Popen(
        [str(NGINX), "-c", str(folder / "nginx.conf"), "-e", str(folder / "error.log")]
    )
    try:
        yield ssl.create_default_context(cafile=str(certificate))
    finally:
        process.terminate()
        process.wait(20)


@contextlib.contextmanager
def deployed(folder: Path, database: str, credentials: Path) -> Iterator[tuple[Client, list[Process]]]:
    """Two servers, each in a folder of its own, over one PostgreSQL and one folder of files, behind nginx."""
    shared = ("--database", database, "--store", str(folder / "files"), "--credentials", str(credentials))
    servers = [start(str(folder / name), *shared, "--workers", "1") for name in ("one", "two")]
    ports = [int(each.url.split(":")[2].split("/")[0]) for each in servers]
    port = free_port()
    try:
        with nginx(folder, port, ports) as trusting:
            url = f"https://127.0.0.1:{port}/dicom-web"
            with httpx2.Client(base_url=url, verify=trusting, timeout=60) as http:
                _wait_for(http)
                yield http, servers
    finally:
        for each in servers:
            each.process.send_signal(signal.SIGTERM)
            each.process.wait(30)
            each.kill()


def _wait_for(http: httpx2.Client) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(httpx2.TransportError):
            if http.get("/ready").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError("nginx or the servers do not answer")


@pytest.mark.skipif(NGINX is None, reason="apt-get install nginx-light")
@pytest.mark.timeout(180)
def test_two_servers_behind_the_documented_nginx_are_one_archive(tmp_path: Path) -> None:
    with postgres() as database:
        credentials = tmp_path / "credentials.json"
        may = {"Authorization": f"Bearer {token(credentials, 'scanner', 'read', 'write')}"}
        with deployed(tmp_path, database.url, credentials) as (http, servers):
            _stores_and_retrieves(http, may)
            _refuses(http, may)
            _survives_one(http, may, servers)


def _stores_and_retrieves(http: httpx2.Client, may: dict[str, str]) -> None:
    parts = [instances(series_number=number, slices=3, rows=256, columns=256) for number in range(6)]

    def store(contents: list[bytes]) -> httpx2.Response:
        return http.post("/studies", content=body(contents), headers={"Content-Type": STOW} | may)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(store, parts))
    assert [answer.status_code for answer in answers] == [200] * 6
    # Where it is told to be retrieved from is where the client is, not where a server listens.
    told = answers[0].json()["00081199"]["Value"][0]["00081190"]["Value"][0]
    assert told.startswith(str(http.base_url).rstrip("/"))
    for contents in parts:
        found = http.get(path_of(contents[0], "series"), headers={"Accept": AS_STORED} | may)
        assert sorted(content for _, content in parts_of(found)) == sorted(contents)
    (study,) = http.get("/studies", headers=may).json()
    assert study["00201208"]["Value"] == [18]


def _refuses(http: httpx2.Client, may: dict[str, str]) -> None:
    assert http.get("/studies").status_code == 401
    assert http.get("/metrics", headers=may).status_code == 403


def _survives_one(http: httpx2.Client, may: dict[str, str], servers: list[Process]) -> None:
    servers[0].kill()
    for _ in range(6):
        assert len(http.get("/studies", headers=may).json()) == 1
    contents = instances(seed=5)
    answers = [
        http.post("/studies", content=body(contents), headers={"Content-Type": STOW} | may).status_code
        for _ in range(3)
    ]
    assert answers[-1] == 200


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="apt-get install systemd")
def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    text = (DEPLOY / "hounsfield.service").read_text("utf-8")
    program = "/opt/hounsfield/bin/hounsfield"
    assert text.count(f"ExecStart={program} ") == 1
    unit = tmp_path / "hounsfield.service"
    unit.write_text(text.replace(f"ExecStart={program}", f"ExecStart={shutil.which('true')}"))
    checked = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0 and checked.stderr == ""
    (command,) = re.findall(r"^ExecStart=\S+ serve (.*)$", text, re.MULTILINE)
    assert serve.make_context("serve", shlex.split(command)).params["folder"] == Path("/var/lib/hounsfield")


def test_the_compose_file_hangs_together() -> None:
    """Docker's own check needs its daemon; what is named is there, and the command is one that serve takes."""
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    services, volumes = told["services"], told["volumes"]
    assert set(told) == {"services", "networks", "volumes"}
    for service in services.values():
        assert "image" in service
        assert set(service.get("depends_on", ())) <= set(services)
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            assert source in volumes or source == "./nginx.conf" or source.endswith(".pem")
    assert "healthcheck" in services["database"]  # `service_healthy` waits for it
    command = services["server"]["command"].replace("$$", "$")
    served = command.partition("exec hounsfield serve ")[2].rstrip().rstrip('"')
    options = serve.make_context("serve", shlex.split(served)).params
    assert options["database"].endswith("@database/hounsfield") and "database" in services
    network = told["networks"]["default"]["ipam"]["config"][0]["subnet"]
    assert options["proxies"] == (network,)
    assert f"server server:{options['port']};" in (DEPLOY / "nginx.conf").read_text("utf-8")
    folders = {place.partition(":")[2] for place in services["server"]["volumes"]} | set(
        services["server"]["tmpfs"]
    )
    # What is on tmpfs is gone with the container; who read what must not be.
    assert f"{Path(options['audit']).parent}" in {
        place.partition(":")[2]
        for place in services["server"]["volumes"]
        if place.partition(":")[0] in volumes
    }
    assert str(options["folder"]) in folders and str(Path(options["credentials"]).parent) in folders


def test_proxies_are_addresses_and_networks_and_never_names() -> None:
    proxies = TrustedProxies(("10.1.2.3", "172.30.42.0/24", "fd00::/8"))
    for inside in ("10.1.2.3", "172.30.42.7", "::ffff:172.30.42.7", "fd12::1"):
        assert inside in proxies
    for outside in ("10.1.2.4", "172.30.43.1", "proxy", "", "unknown", None):
        assert outside not in proxies
    for wrong in ("proxy", "10.0.0.0/40", ""):
        with pytest.raises(UnsupportedError, match="proxy"):
            TrustedProxies((wrong,))
