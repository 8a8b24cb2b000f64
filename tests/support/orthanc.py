"""A real Orthanc for tests and benchmarks: on a free port of the loopback, in a folder of its own, always stopped.

Needs Debian's packages `orthanc` and `orthanc-dicomweb`. Only the DICOMweb plugin is loaded: the GDCM one crashes.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PACKAGES = "orthanc orthanc-dicomweb"
PLUGINS = (Path("/usr/share/orthanc/plugins"), Path("/usr/lib/orthanc"))
START_SECONDS = 60


class OrthancMissing(Exception):
    """No Orthanc on this machine; the message names the packages."""


def find_orthanc() -> tuple[str, Path]:
    """The binary and its DICOMweb plugin."""
    binary = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin:/usr/local/sbin")
    plugin = next(
        (found for folder in PLUGINS for found in sorted(folder.glob("libOrthancDicomWeb.so*"))), None
    )
    if binary is None or plugin is None:
        raise OrthancMissing(f"no Orthanc here: apt-get install {PACKAGES}")
    return binary, plugin


def skip_without_orthanc() -> None:
    """Skip the test that calls this where there is none; what is told names the packages."""
    import pytest

    try:
        find_orthanc()
    except OrthancMissing as missing:
        pytest.skip(str(missing))


@contextmanager
def running_orthanc(folder: Path, *, user: str = "", password: str = "", **options: Any) -> Iterator[str]:
    """Start one in `folder` and yield the URL of its DICOMweb service."""
    binary, plugin = find_orthanc()
    folder.mkdir(parents=True, exist_ok=True)
    port = _free_port()
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "HttpPort": port,
        "HttpBindAddresses": ["127.0.0.1"],
        "RemoteAccessAllowed": False,
        "DicomServerEnabled": False,
        "AuthenticationEnabled": bool(user),
        "RegisteredUsers": {user: password} if user else {},
        "Plugins": [str(plugin)],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/", "EnableWado": False},
        **options,
    }
    path = folder / "orthanc.json"
    path.write_text(json.dumps(settings), encoding="utf-8")
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([binary, str(path)], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            _await(port, process, folder / "orthanc.log")
            yield f"http://127.0.0.1:{port}/dicom-web"
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def _await(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if process.poll() is not None:
            break
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
        except urllib.error.HTTPError:
            return
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("Orthanc did not start: " + log.read_text(errors="replace")[-2000:])
