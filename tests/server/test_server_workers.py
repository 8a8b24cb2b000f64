"""A server of several processes is one server: one lock, one count, and none that outlives it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from httpx2._models import Response
from prometheus_client.parser import text_string_to_metric_families
from server_support import STOW, Process, body, client, instances, path_of, running, start, until

from hounsfield.server.ops.metrics import FOLDER_VARIABLE, Metrics

REQUESTS = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Process]:
    found = start(str(tmp_path_factory.mktemp("archive")), "--workers", "2")
    yield found
    found.process.send_signal(signal.SIGTERM)
    assert found.process.wait(30) == 0
    found.kill()


def workers(server: Process) -> list[int]:
    """The processes that answer, the first one's children; multiprocessing's tracker is none."""
    told = subprocess.run(
        ["ps", "-ww", "-o", "pid=", "-o", "args=", "--ppid", str(server.process.pid)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # It also fails where there is none, as at the start.
    return [int(line.split()[0]) for line in told.stdout.splitlines() if "spawn_main" in line]


def ask(server: Process, path: str, accept: str = "*/*") -> Response:
    """On a connection of its own, so that any process may answer."""
    with client(server.url) as http:
        return http.get(path, headers={"Accept": accept})


def samples(server: Process, name: str, **labels: str) -> list[float]:
    """As Prometheus reads them."""
    families = text_string_to_metric_families(ask(server, "/metrics").text)
    found = [each for family in families for each in family.samples if each.name == name]
    return [each.value for each in found if labels.items() <= each.labels.items()]


def counted(server: Process, name: str, **labels: str) -> float:
    return sum(samples(server, name, **labels))


def test_any_process_tells_what_all_of_them_counted(server: Process) -> None:
    contents = instances()
    with client(server.url) as http:
        assert (
            http.post("/studies", content=body(contents), headers={"Content-Type": STOW}).status_code == 200
        )
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: ask(server, path_of(contents[0], "series") + "/instances"), range(REQUESTS))
        )
    assert all(len(answer.json()) == 3 for answer in answers)
    route = "/studies/{study}/series/{series}/instances"
    for _ in range(6):
        told = counted(server, "hounsfield_requests_total", method="GET", route=route, status="200")
        assert told == REQUESTS
        assert counted(server, "hounsfield_request_seconds_count", route=route) == REQUESTS
        assert counted(server, "hounsfield_active_requests") == 1  # the scrape itself
        assert counted(server, "hounsfield_instances") == 3
    assert counted(server, "hounsfield_received_bytes_total") >= len(body(contents))


def test_a_histogram_ends_with_all_that_it_counted(server: Process) -> None:
    ask(server, "/studies")
    name = "hounsfield_request_seconds"
    ups = samples(server, f"{name}_bucket", route="/studies", le="+Inf")
    assert ups == samples(server, f"{name}_count", route="/studies") and ups[0] > 0
    buckets = samples(server, f"{name}_bucket", route="/studies")
    assert buckets == sorted(buckets)


def test_a_process_that_dies_is_replaced_and_what_it_counted_stays(server: Process) -> None:
    before = counted(server, "hounsfield_requests_total")
    first, *_ = workers(server)
    os.kill(first, signal.SIGKILL)
    # Whether a process lives is asked of one after the other: one that only starts keeps the answer for a while.
    assert until(lambda: first not in workers(server) and len(workers(server)) == 2, 120)
    assert ask(server, "/studies").status_code == 200
    assert counted(server, "hounsfield_requests_total") > before


def test_processes_do_not_outlive_the_one_that_started_them(tmp_path: Path) -> None:
    server = start(str(tmp_path), "--workers", "2")
    assert until(lambda: len(workers(server)) == 2)
    assert ask(server, "/studies").status_code == 200
    left = workers(server)
    server.kill()
    assert until(lambda: not any(Path(f"/proc/{each}").exists() for each in left))
    with running(tmp_path):  # and the archive is free
        pass


def test_what_a_killed_process_had_in_progress_is_no_longer_counted(server: Process) -> None:
    """A request that is being taken in keeps a process busy; its gauge goes with the process."""
    parts = urlsplit(server.url)
    head = (
        f"POST /dicom-web/studies HTTP/1.1\r\nHost: {parts.netloc}\r\n"
        f"Content-Type: {STOW}\r\nContent-Length: 9999\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port)) as link:
        link.sendall(head.encode())
        assert until(lambda: counted(server, "hounsfield_active_requests") == 2)
        for each in workers(server):
            os.kill(each, signal.SIGKILL)
    assert until(lambda: len(workers(server)) == 2, 120)
    assert counted(server, "hounsfield_active_requests") == 1


@pytest.mark.skipif(sys.platform == "win32", reason="no process groups to interrupt")
def test_an_interrupt_while_workers_start_ends_them_without_complaint(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hounsfield",
        "serve",
        str(tmp_path / "a"),
        "--port",
        "0",
        "--workers",
        "2",
    ]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        time.sleep(0.5)  # now they import what they need
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all of them
        rest = process.stdout.read()
    assert line.startswith("DICOMweb at ") and "Traceback" not in rest


def test_metrics_are_had_while_a_process_only_makes_its_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    (tmp_path / "counter_1.db").touch()
    (tmp_path / "histogram_1.db").write_bytes(bytes(4096))

    assert b"hounsfield_studies 3.0" in Metrics().exposition({"studies": 3})
