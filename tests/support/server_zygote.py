"""A process that has imported the server and forks one for each line it reads: servers that start in no time.

Run as a program; `Zygote` speaks to it. A line is what to serve, in JSON; the answer is the child's process number
and URL.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any


class Zygote:
    """Starts servers over folders; kills what is left at the end."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._children: set[int] = set()

    def start(self, folder: Path, *, user: int | None = None, **options: Any) -> tuple[int, str]:
        """(process, URL) of a new server over `folder`, run by another user if root asks for it.

        `options` are those of a `Deployment`; with `dicom_port` it answers DIMSE peers there, too.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        told = {"folder": str(folder), "user": user, "options": options}
        self._process.stdin.write(json.dumps(told) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline().split()
        if len(line) != 2:
            raise AssertionError(f"the server said {line}")
        self._children.add(int(line[0]))
        return int(line[0]), line[1]

    def kill(self, process: int) -> None:
        """kill -9, and wait until it is dead."""
        os.kill(process, signal.SIGKILL)
        self._children.discard(process)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps({"wait": process}) + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().strip() == "dead"

    def close(self) -> None:
        for process in self._children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(10)


def main() -> None:
    import pydicom
    import uvloop

    import hounsfield.codecs
    import hounsfield.server.supervisor

    assert hounsfield and pydicom and uvloop
    for line in sys.stdin:
        told = json.loads(line)
        if "wait" in told:
            os.waitpid(told["wait"], 0)
            print("dead", flush=True)
            continue
        if os.fork() == 0:
            if told["user"]:
                os.setuid(told["user"])
            serve(told["folder"], told["options"])


def warm_up() -> None:
    """Everything a server loads when it is first used; no thread outlives this, since none survives a fork."""
    import tempfile

    import uvicorn
    from server_support import instances

    from hounsfield.ct.instance import BytesSource
    from hounsfield.server.archive.archive import Archive
    from hounsfield.server.deployment import Deployment

    with tempfile.TemporaryDirectory() as folder:
        deployment = Deployment(folder)
        archive: Archive = deployment.open(first=True)
        deployment.app(archive)
        archive.index.add(
            [archive.record(BytesSource("x", content), size=1) for content in instances(slices=1)]
        )
        archive.index.totals()
        deployment.close(archive)
    uvicorn.Config(lambda: None, log_config=None, lifespan="off").load()


def serve(folder: str, options: dict[str, Any]) -> None:
    from hounsfield.errors import HounsfieldError
    from hounsfield.server import deployment
    from hounsfield.server.deployment import Deployment
    from hounsfield.server.http import connection
    from hounsfield.server.provider.endpoint import endpoint
    from hounsfield.server.supervisor import Address
    from hounsfield.server.supervisor import serve as run

    seconds = os.environ.get("HOUNSFIELD_TEST_HEAD_SECONDS")
    if seconds:
        connection.HEAD_SECONDS = float(seconds)
    # Whatever an earlier one left behind is stale: no other server is there.
    deployment.STALE_SECONDS = 0.0
    dicom_port = options.pop("dicom_port", None)
    try:
        run(
            Deployment(folder, **options),
            Address(port=0),
            on_ready=lambda url: url.startswith("http") and print(os.getpid(), url, flush=True),  # type: ignore[arg-type]
            dimse=endpoint("HOUNSFIELD", "127.0.0.1", dicom_port) if dicom_port else None,
        )
    except HounsfieldError as error:
        print("failed:", error, flush=True)
    finally:
        os._exit(0)


if __name__ == "__main__":
    main()
