"""Servers for tests: in this process over ASGI, or a real one in a process of its own."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import pydicom
import uvicorn

from hounsfield.dicomweb.multipart import MultipartParser, PartBegins, PartData, encode
from hounsfield.phantom import PhantomSpec, datasets
from hounsfield.phantom.writer import serialise
from hounsfield.server.app import make_app
from hounsfield.server.archive import lock
from hounsfield.server.archive.archive import Archive
from hounsfield.server.deployment import Deployment
from hounsfield.server.http.connection import GuardedProtocol
from hounsfield.server.http.limits import Limits
from hounsfield.server.state import AppState

STOW = 'multipart/related; type="application/dicom"; boundary=b'
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def instances(**knobs: Any) -> list[bytes]:
    """A small phantom series as Part 10 files."""
    knobs = {"slices": 3, "rows": 32, "columns": 32} | knobs
    spec = PhantomSpec(**knobs)
    return [serialise(spec, dataset) for dataset in datasets(spec)]


def version(content: bytes, number: int) -> bytes:
    """The same instance with another patient, another rescale and other pixels, by which its versions can be told."""
    dataset = read(content)
    dataset.PatientName = f"VERSION^{number}"
    dataset.RescaleIntercept = -1000 - number
    dataset.PixelData = bytes([number % 256]) * len(dataset.PixelData)
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def body(parts: Sequence[bytes], *, media_type: str = "application/dicom") -> bytes:
    return b"".join(encode([({"Content-Type": media_type}, part) for part in parts], "b"))


def parts_of(answer: httpx2.Response) -> list[tuple[dict[str, str], bytes]]:
    """The parts of a multipart answer, read by the parser of the client."""
    from hounsfield.dicomweb.media_types import MediaType

    parser = MultipartParser(MediaType.parse(answer.headers["content-type"]).parameter("boundary"))
    found: list[tuple[dict[str, str], bytes]] = []
    for event in [*parser.feed(answer.content), *parser.close()]:
        if isinstance(event, PartBegins):
            found.append((dict(event.headers), b""))
        elif isinstance(event, PartData):
            found[-1] = (found[-1][0], found[-1][1] + bytes(event.content))
    return found


def read(content: bytes) -> pydicom.Dataset:
    return pydicom.dcmread(io.BytesIO(content))


def uids(content: bytes) -> tuple[str, str, str]:
    found = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    return str(found.StudyInstanceUID), str(found.SeriesInstanceUID), str(found.SOPInstanceUID)


def path_of(content: bytes, level: str = "instance") -> str:
    study, series, instance = uids(content)
    depth = {"study": 1, "series": 2, "instance": 3}[level]
    pairs = (("studies", study), ("series", series), ("instances", instance))[:depth]
    return "/" + "/".join(f"{name}/{uid}" for name, uid in pairs)


@dataclass
class Running:
    """A server in a thread of this process; `http` speaks to it below `/dicom-web`."""

    archive: Archive
    state: AppState
    url: str
    http: httpx2.Client

    def store(self, parts: Sequence[bytes], path: str = "/studies", **headers: str) -> httpx2.Response:
        return self.http.post(path, content=body(parts), headers={"Content-Type": STOW} | headers)

    def get(self, path: str, accept: str = "*/*", **headers: str) -> httpx2.Response:
        return self.http.get(path, headers={"Accept": accept} | headers)


@contextlib.contextmanager
def running(folder: Path, *, limits: Limits | None = None, **options: Any) -> Iterator[Running]:
    """A server over `folder` at a free port, in a thread."""
    deployment = Deployment(str(folder), limits=limits or Limits(), **options)
    archive = deployment.open(first=True)
    state = deployment.state(archive)
    try:
        with served(make_app(state)) as url, client(url + "/dicom-web") as http:
            yield Running(archive, state, url + "/dicom-web", http)
    finally:
        archive.close()
        lock.release(deployment.lock)


@contextlib.contextmanager
def served(app: Any) -> Iterator[str]:
    """An ASGI application on loopback; its URL."""
    server = uvicorn.Server(
        uvicorn.Config(
            app, port=0, log_config=None, lifespan="off", timeout_graceful_shutdown=2, http=GuardedProtocol
        )
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(10)


def client(base: str) -> httpx2.Client:
    # Reading the system's certificates takes longer than most tests; nothing here is TLS.
    return httpx2.Client(base_url=base, timeout=30, headers={"Accept-Encoding": "identity"}, verify=False)


def until(condition: Callable[[], object], seconds: float = 30.0) -> bool:
    """Whether it came to be in time; asked again and again."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


@dataclass
class Process:
    """A real server in a process of its own."""

    process: subprocess.Popen[str]
    url: str

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def start(*arguments: str) -> Process:
    """`hounsfield serve` with these arguments and a free port, once it says its URL."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hounsfield", "serve", *arguments, "--port", "0"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if "http" in line:
            return Process(process, line[line.index("http") :].split()[0])
    raise AssertionError(f"the server ended with status {process.wait(5)}")
