"""Real DIMSE peers for tests and benchmarks: DCMTK's programs and Orthanc, on free ports, always stopped.

Needs Debian's packages `dcmtk` and `orthanc`.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from orthanc import running_orthanc

START_SECONDS = 30


def skip_without_dcmtk() -> None:
    import pytest

    if shutil.which("dcmqrscp") is None:
        pytest.skip("no DCMTK here: apt-get install dcmtk")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def dcmtk(*command: object, check: bool = True) -> str:
    """Run one of DCMTK's programs to its end; what it wrote."""
    done = subprocess.run(
        [str(each) for each in command],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        errors="replace",
    )
    if check and done.returncode:
        raise AssertionError(f"{command[0]}: {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


@contextmanager
def running(command: Sequence[object], port: int, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A server while the block runs; it listens at `port` when the block begins."""
    with log.open("wb") as out:
        process = subprocess.Popen([str(each) for each in command], stdout=out, stderr=subprocess.STDOUT)
        try:
            await_port(port, process, log)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def await_port(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise RuntimeError(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")


@contextmanager
def running_storescp(folder: Path, *options: object, title: str = "STORESCP") -> Iterator[int]:
    """DCMTK's storescp, which writes into `folder`; its port."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = ["storescp", "-od", folder, "-aet", title, "--fork", *options, port]
    with running(command, port, folder.parent / f"{folder.name}.log"):
        yield port


@dataclass(frozen=True)
class Archive:
    """A peer with an archive: its AE title, its port, and the port at which it thinks that ME listens."""

    title: str
    port: int
    our_port: int


@contextmanager
def running_dcmqrscp(folder: Path, *options: object, our_title: str = "ME") -> Iterator[Archive]:
    """DCMTK's dcmqrscp with an empty archive called QR."""
    storage = folder / "storage"
    storage.mkdir(parents=True, exist_ok=True)
    port, our_port = free_port(), free_port()
    settings = folder / "dcmqrscp.cfg"
    settings.write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 32\n"
        f"HostTable BEGIN\nme = ({our_title}, 127.0.0.1, {our_port})\nHostTable END\n"
        "VendorTable BEGIN\nVendorTable END\n"
        f"AETable BEGIN\nQR {storage} RW (500, 1024mb) ANY\nAETable END\n"
    )
    with running(["dcmqrscp", "-c", settings, *options], port, folder / "dcmqrscp.log"):
        yield Archive("QR", port, our_port)


@contextmanager
def running_orthanc_dimse(folder: Path, **options: Any) -> Iterator[Archive]:
    """Orthanc, called ORTHANC, that knows ME."""
    port, our_port = free_port(), free_port()
    settings: dict[str, Any] = {
        "DicomServerEnabled": True,
        "DicomPort": port,
        "DicomAet": "ORTHANC",
        "DicomCheckCalledAet": True,
        "DicomModalities": {"me": ["ME", "127.0.0.1", our_port]},
        **options,
    }
    with running_orthanc(folder, **settings):
        yield Archive("ORTHANC", port, our_port)


def store_with_dcmtk(port: int, title: str, files: Sequence[Path], *options: object) -> str:
    return dcmtk("storescu", "-aec", title, *options, "127.0.0.1", port, *files)


def certificate(folder: Path, name: str = "127.0.0.1") -> tuple[Path, Path]:
    """A certificate that vouches for itself, for an address, and its key."""
    folder.mkdir(parents=True, exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
               "-addext", f"subjectAltName=IP:{name}", "-keyout", str(key), "-out", str(cert)]  # fmt: skip
    subprocess.run(command, check=True, capture_output=True)
    return cert, key
