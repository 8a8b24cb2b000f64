"""How fast the server is, beside Orthanc and nginx serving the same bytes, in one run: `make bench`.

140 slices of 512×512 (real ones where HOUNSFIELD_TEST_DATA is, the phantom's otherwise). Orthanc is Debian's
`orthanc orthanc-dicomweb`, nginx Debian's `nginx-light`; what is not installed is left out and named. Contenders
take turns, round by round; the median of rounds is told. The client is the same bare HTTP for all. Then an index
of --instances generated instances in 2 000 studies, on SQLite and (where it is) PostgreSQL.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from measuring import peak_mb, peak_together
from orthanc import OrthancMissing, running_orthanc
from real_slices import data_folder, slices
from server_postgres import postgres, programs

from hounsfield.attributes.header_text import read_header_text
from hounsfield.ct.instance import BytesSource
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.phantom import PhantomSpec, datasets
from hounsfield.phantom.writer import serialise
from hounsfield.server.archive.index import Index, Record, record_of

BOUNDARY = "bench-0b6c7f1e-5f0f-4c39-9d0e-2f2c8d1a7e55"
"""As long as clients make them."""

STOW = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
STUDIES = 2000
HEADER_BYTES = 1000
"""Of each generated instance, incompressible: what is kept of a real header is one to four kilobytes."""


def series() -> list[bytes]:
    real = slices(data_folder())
    if real:
        return [path.read_bytes() for path in real]
    spec = PhantomSpec(slices=140, rows=512, columns=512)
    return [serialise(spec, dataset) for dataset in datasets(spec)]


def renamed(contents: list[bytes], number: int) -> list[bytes]:
    """The same series under other UIDs of the same length."""
    found = []
    for content in contents:
        header = read_header_text(BytesSource("x", content))
        other = content
        for tag in (0x0020000D, 0x0020000E, 0x00080018):
            uid = header.first(tag).encode()
            other = other.replace(uid, uid[:-4] + f"{1000 + number}".encode())
        found.append(other)
    return found


def body_of(contents: list[bytes]) -> bytes:
    line = b"--" + BOUNDARY.encode()
    parts = (line + b"\r\nContent-Type: application/dicom\r\n\r\n" + each + b"\r\n" for each in contents)
    return b"".join(parts) + line + b"--\r\n"


def path_of(content: bytes) -> str:
    header = read_header_text(BytesSource("x", content))
    return f"/studies/{header.first(0x0020000D)}/series/{header.first(0x0020000E)}"


def ask(url: str, path: str, *, accept: str = "*/*", body: bytes | None = None) -> tuple[float, int, int]:
    """(seconds, status, bytes received) on a connection of its own, which is made before the clock starts."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=300)
    connection.connect()
    headers = {"Accept": accept, **({"Content-Type": STOW} if body is not None else {})}
    begun = time.perf_counter()
    connection.request("GET" if body is None else "POST", parts.path + path, body=body, headers=headers)
    answer = connection.getresponse()
    buffer, got = bytearray(1 << 20), 0
    while count := answer.readinto(buffer):
        got += count
    seconds = time.perf_counter() - begun
    connection.close()
    return seconds, answer.status, got


@contextlib.contextmanager
def ours(folder: Path, *, workers: int = 1) -> Iterator[tuple[str, int]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "hounsfield", "serve", str(folder), "--port", "0", "--workers", str(workers)],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    url = next(line for line in process.stdout if "http" in line).split()[-1]
    for _ in range(200):
        with contextlib.suppress(OSError):
            ask(url, "/studies")
            break
        time.sleep(0.05)
    try:
        yield url, process.pid
    finally:
        process.terminate()
        process.wait(30)


@contextlib.contextmanager
def nginx(folder: Path, content: bytes) -> Iterator[str | None]:
    """nginx with one file that holds the bytes of the whole answer; None where there is no nginx."""
    binary = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if binary is None:
        print("nginx is not here: apt-get install nginx-light")
        yield None
        return
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    folder.mkdir()
    folder.chmod(0o755)
    (folder / "series").write_bytes(content)
    (folder / "nginx.conf").write_text(
        f"user root; daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes auto;\n"
        "events {}\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {folder}/b;"
        f" proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u;"
        f" scgi_temp_path {folder}/s; server {{ listen 127.0.0.1:{port}; root {folder}; }} }}\n"
    )
    process = subprocess.Popen([binary, "-c", str(folder / "nginx.conf")])
    time.sleep(0.5)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(10)


def rounds(contenders: dict[str, Callable[[int], float]], count: int) -> dict[str, float]:
    """Median seconds of each; they take turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(count + 1):
        for name, run in contenders.items():
            seconds = run(number)
            if number:
                times[name].append(seconds)
    return {name: statistics.median(each) for name, each in times.items()}


def told(what: str, medians: dict[str, float], unit: float = 1000.0) -> None:
    print(f"{what:<34}" + "".join(f"{name} {seconds * unit:9.1f} ms   " for name, seconds in medians.items()))


def get(url: str, path: str, accept: str) -> Callable[[int], float]:
    def run(_: int) -> float:
        seconds, status, got = ask(url, path, accept=accept)
        assert status == 200 and got > 1000, (url, path, status, got)
        return seconds

    return run


def put(url: str, contents: list[bytes]) -> Callable[[int], float]:
    def run(number: int) -> float:
        # Other UIDs each time: what is there already costs a server nothing.
        body = body_of(renamed(contents, number))
        seconds, status, _ = ask(url, "/studies", accept="application/dicom+json", body=body)
        assert status == 200, (url, status)
        return seconds

    return run


def over_http(folder: Path, count: int) -> None:
    contents = series()
    size = sum(map(len, contents))
    print(f"{len(contents)} instances, {size / 1e6:.1f} MB")
    path = path_of(renamed(contents, 0)[0])
    with contextlib.ExitStack() as stack:
        peers = {"hounsfield": stack.enter_context(ours(folder / "ours"))[0]}
        try:
            peers["orthanc"] = stack.enter_context(running_orthanc(folder / "orthanc"))
        except OrthancMissing as error:
            print(error)
        static = stack.enter_context(nginx(folder / "nginx", body_of(contents)))
        told("store 140 (files synced by us)", rounds({n: put(u, contents) for n, u in peers.items()}, count))
        gets = {name: get(url, path, AS_STORED) for name, url in peers.items()}
        if static:
            gets["nginx"] = get(static, "/series", "*/*")
        told("retrieve the series", rounds(gets, 3 * count))
        for what, resource in (("search its instances", "instances"), ("its metadata", "metadata")):
            asked = {n: get(u, f"{path}/{resource}", "application/dicom+json") for n, u in peers.items()}
            told(what, rounds(asked, 2 * count))
    in_parallel(folder / "ours", path, 64)


def in_parallel(folder: Path, path: str, clients: int) -> None:
    """Peak memory of the server under parallel retrieves, and what all cores send together."""
    for workers in dict.fromkeys((1, os.cpu_count() or 1)):
        with ours(folder, workers=workers) as (url, pid):
            ask(url, path, accept=AS_STORED)
            begun = time.perf_counter()
            with peak_together([pid, *children(pid)]) as peak, ThreadPoolExecutor(clients) as pool:
                got = list(pool.map(lambda _: ask(url, path, accept=AS_STORED), range(clients)))
            seconds = time.perf_counter() - begun
            sent = sum(each[2] for each in got)
            assert all(each[1] == 200 for each in got)
            print(
                f"{clients} retrieves at once, {workers} worker(s)"
                f"   {sent / seconds / 1e6:.0f} MB/s   peak memory {peak[0]:.0f} MB (by process {peaks(pid)})"
            )


def peaks(pid: int) -> str:
    """VmHWM of a process and its children, in MB; what they share is in each."""
    found = []
    for process in [pid, *children(pid)]:
        with contextlib.suppress(OSError, StopIteration):
            found.append(int(peak_mb(process)))
    return " + ".join(map(str, found))


def children(pid: int) -> list[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(each) for each in found.stdout.split()]


def generated(count: int) -> Iterator[list[Record]]:
    """Records of `count` instances in 2 000 studies of one to three series, made of one real header."""
    dice = random.Random(1)
    (content,) = [
        serialise(spec, each)
        for spec in [PhantomSpec(slices=1, rows=8, columns=8)]
        for each in datasets(spec)
    ]
    model = record_of(read_header_text(BytesSource("x", content)), key="", size=1)
    noise = [dice.randbytes(HEADER_BYTES) for _ in range(64)]
    each = count // STUDIES
    for study in range(STUDIES):
        name = f"{dice.choice('abcdefghijklmnopqrstuvwxyz')}name{study % 1500}^given{study % 40}"
        date = f"{dice.randrange(2005, 2026)}{dice.randrange(1, 13):02d}{dice.randrange(1, 29):02d}"
        values = {
            "study": {**model.values["study"], "PatientID": f"P{study % 1800:06d}", "PatientName": name,
                      "PatientName_1": name, "PatientName_words": f" {name.replace('^', ' ')}", "StudyDate": date,
                      "AccessionNumber": f"A{study:07d}"},
            "series": {**model.values["series"], "Modality": dice.choice(["CT", "CT", "CT", "MR", "PT"])},
        }  # fmt: skip
        records = []
        for number in range(each):
            part = number * (1 + study % 3) // each
            uid = f"1.2.826.0.1.{dice.randrange(10**9, 10**10)}.{study}.{part}.{number}"
            instance = {**model.values["instance"], "InstanceNumber": number}
            records.append(Record(
                f"1.2.826.0.2.{study}", f"1.2.826.0.2.{study}.{part}", uid, model.sop_class, model.syntax, 1,
                f"{study}/{part}/{uid}.dcm", 525000, {**values, "instance": instance}, model.headers, model.brief,
                noise[number % 64],
            ))  # fmt: skip
        yield records


def indexed(name: str, url: str, count: int) -> None:
    index = Index(url)
    index.prepare()
    index.clear()
    rates: list[float] = []
    done, begun = 0, time.perf_counter()
    for records in generated(count):
        for start in range(0, len(records), 140):
            index.add(records[start : start + 140])
        done += len(records)
        if done % (count // 10) < len(records):
            rates.append(count // 10 / (time.perf_counter() - begun))
            begun = time.perf_counter()
    print(
        f"{name}: {done} instances; ingest, instances a second by tenths: "
        + " ".join(f"{r:.0f}" for r in rates)
    )
    index.optimise()
    dice = random.Random(2)
    kinds: dict[str, Callable[[], dict[str, str]]] = {
        "by patient": lambda: {"PatientID": f"P{dice.randrange(1800):06d}"},
        "by name": lambda: {"PatientName": f"{dice.choice('abcdefghij')}name{dice.randrange(150)}*"},
        "by date range": lambda: {"StudyDate": f"{(y := dice.randrange(2005, 2025))}0101-{y}0630"},
        "by modality": lambda: {"ModalitiesInStudy": dice.choice(["CT", "MR", "PT"])},
    }
    for kind, make in kinds.items():
        times = []
        for _ in range(200):
            query = Query.build(make(), limit=100)
            started = time.perf_counter()
            index.search("study", Resource(""), query)
            times.append(time.perf_counter() - started)
        times.sort()
        print(f"  studies {kind:<14} median {times[100] * 1e3:6.2f} ms   p95 {times[190] * 1e3:6.2f} ms")
    index.close()


def main() -> None:
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--instances", type=int, default=1_000_000)
    arguments: Any = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="hounsfield-bench-") as name:
        folder = Path(name)
        if arguments.rounds:
            over_http(folder, arguments.rounds)
        if arguments.instances:
            indexed("SQLite", f"sqlite:///{folder / 'index.sqlite'}", arguments.instances)
            if programs() is None:
                print("PostgreSQL is not here: apt-get install postgresql")
                return
            with postgres() as server:
                indexed("PostgreSQL", server.url, arguments.instances)


if __name__ == "__main__":
    main()
