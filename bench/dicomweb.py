"""How fast the DICOMweb client is, against a real Orthanc, beside `dicomweb-client` and bare HTTP: `make bench`.

140 real slices on an Orthanc of its own (Debian's packages `orthanc orthanc-dicomweb`). Every contender runs in
fresh processes, taking turns; each warms up once, then is timed. Peak memory is the process's own. The floor speaks
HTTP with the standard library and makes nothing of the bytes but files of the same number and size.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from measuring import peak_mb
from orthanc import OrthancMissing, running_orthanc
from real_slices import add_data_option, copy_slices, write_big_exam

ROUNDS = 3
REPEATS = 3
BIG = 600
ACCEPT = {"Accept": 'multipart/related; type="application/dicom"; transfer-syntax=*'}
BLOCK = 256 * 1024

Task = dict[str, str]
"""url (of the service), study, series, folder (of the files), out (a folder to fill), count, size."""


def get(task: Task, path: str) -> http.client.HTTPResponse:
    parts = urlsplit(task["url"])
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    connection.request("GET", f"{parts.path}/{path}", headers=ACCEPT)
    return connection.getresponse()


def series_path(task: Task) -> str:
    return f"studies/{task['study']}/series/{task['series']}"


def disk_floor(task: Task) -> None:
    """The body into as many files, cut anywhere."""
    response = get(task, series_path(task))
    view = memoryview(bytearray(BLOCK))
    each, left = int(task["size"]) // int(task["count"]), 0
    out: Any = None
    index = 0
    while got := response.readinto(view[: min(BLOCK, left or each)]):
        if left <= 0:
            if out is not None:
                out.close()
            out = open(Path(task["out"], f"{index}.dcm"), "wb", buffering=0)  # noqa: SIM115
            index, left = index + 1, each
        out.write(view[:got])
        left -= got
    out.close()


def disk_hounsfield(task: Task) -> None:
    from hounsfield.verbs.copy import copy

    summary = copy(f"{task['url']}/{series_path(task)}", task["out"])
    assert summary.counts["moved"] == int(task["count"]), summary


def disk_dicomweb_client(task: Task) -> None:
    """As its own command line does."""
    client = peer(task)
    for dataset in client.iter_series(task["study"], task["series"]):
        dataset.save_as(Path(task["out"], f"{dataset.SOPInstanceUID}.dcm"))


def memory_floor(task: Task) -> None:
    response = get(task, series_path(task))
    view = memoryview(bytearray(BLOCK))
    while response.readinto(view):
        pass


def memory_hounsfield(task: Task) -> None:
    from hounsfield.client import Client

    with Client(task["url"]) as client:
        assert len(client.retrieve_series(task["study"], task["series"])) == int(task["count"])


def memory_dicomweb_client(task: Task) -> None:
    assert len(peer(task).retrieve_series(task["study"], task["series"])) == int(task["count"])


def volume_hounsfield(task: Task) -> None:
    import hounsfield

    assert len(hounsfield.load(f"{task['url']}/{series_path(task)}").array) == int(task["count"])


def volume_floor(task: Task) -> None:
    """Retrieve into memory, then load the same from a folder."""
    import hounsfield

    memory_hounsfield(task)
    assert len(hounsfield.load(task["folder"]).array) == int(task["count"])


_BODIES: dict[str, tuple[bytes, str]] = {}


def store_floor(task: Task) -> None:
    """One POST of a body that is in memory already."""
    from hounsfield.dicomweb.multipart import encode

    if task["folder"] not in _BODIES:
        files = sorted(Path(task["folder"]).iterdir())
        parts = [((("Content-Type", "application/dicom"),), path.read_bytes()) for path in files]
        _BODIES[task["folder"]] = (
            b"".join(encode(parts, "b")),
            'multipart/related; type="application/dicom"; boundary=b',
        )
    body, content_type = _BODIES[task["folder"]]
    parts = urlsplit(task["url"])
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port)
    headers = {"Content-Type": content_type, "Accept": "application/dicom+json"}
    connection.request("POST", f"{parts.path}/studies", body, headers)
    assert connection.getresponse().read()


def store_hounsfield(task: Task) -> None:
    from hounsfield.client import Client

    with Client(task["url"]) as client:
        assert client.store_instances(sorted(Path(task["folder"]).iterdir())).complete


def store_dicomweb_client(task: Task) -> None:
    from pydicom import dcmread

    peer(task).store_instances([dcmread(path) for path in sorted(Path(task["folder"]).iterdir())])


def peer(task: Task) -> Any:
    from dicomweb_client.api import DICOMwebClient

    return DICOMwebClient(task["url"])


CONTENDERS: dict[str, dict[str, Callable[[Task], None]]] = {
    "series to disk": {
        "bare HTTP": disk_floor,
        "hounsfield": disk_hounsfield,
        "dicomweb-client": disk_dicomweb_client,
    },
    "series to memory": {
        "bare HTTP": memory_floor,
        "hounsfield": memory_hounsfield,
        "dicomweb-client": memory_dicomweb_client,
    },
    "series to HU volume": {"retrieve + load": volume_floor, "hounsfield": volume_hounsfield},
    "store": {
        "bare HTTP": store_floor,
        "hounsfield": store_hounsfield,
        "dicomweb-client": store_dicomweb_client,
    },
}
"""The first of each is what the others are compared with."""


def measure(work: str, name: str, task: Task) -> dict[str, Any]:
    """In this process: warm up, then time."""
    function = CONTENDERS[work][name]
    times = []
    for repeat in range(REPEATS + 1):
        out = Path(task["out"])
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        if work == "store":
            forget(task)
        start = time.perf_counter()
        function(task)
        if repeat:
            times.append(time.perf_counter() - start)
    return {"times": times, "peak_mb": peak_mb()}


def forget(task: Task) -> None:
    """Delete the study by Orthanc's own interface, for its DICOMweb has no DELETE."""
    root = task["url"].removesuffix("/dicom-web")
    body = json.dumps({"Level": "Study", "Query": {"StudyInstanceUID": task["study"]}}).encode()
    with urllib.request.urlopen(f"{root}/tools/find", body) as answer:
        for identifier in json.load(answer):
            request = urllib.request.Request(f"{root}/studies/{identifier}", method="DELETE")
            urllib.request.urlopen(request).close()


def prepare(url: str, folder: Path, out: Path) -> Task:
    """Store a folder's files, and say where they are now."""
    from pydicom import dcmread

    files = sorted(folder.iterdir())
    header = dcmread(files[0], stop_before_pixels=True)
    size = sum(path.stat().st_size for path in files)
    task = {
        "url": url, "study": str(header.StudyInstanceUID), "series": str(header.SeriesInstanceUID),
        "folder": str(folder), "out": str(out), "count": str(len(files)), "size": str(size),
    }  # fmt: skip
    store_hounsfield(task)
    return task


def run_all(data: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as temporary:
        here = Path(temporary)
        real, big = here / "real", here / "big"
        copy_slices(data, real)
        write_big_exam(data, big, BIG)
        with running_orthanc(here / "orthanc") as url:
            task = prepare(url, real, here / "out")
            for work, contenders in CONTENDERS.items():
                rows += contest(work, list(contenders), task)
        with running_orthanc(here / "another") as url:
            task = prepare(url, big, here / "out")
            rows += contest("series to disk", ["bare HTTP", "hounsfield"], task)
    return rows


def contest(work: str, names: list[str], task: Task) -> list[dict[str, Any]]:
    """The contenders of one work, taking turns."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            command = [sys.executable, __file__, "--one", work, name, json.dumps(task)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            found[name].append(json.loads(done.stdout))
    rows = []
    for name, runs in found.items():
        times = [each for run in runs for each in run["times"]]
        rows.append(
            {
                "work": f"{work}, {task['count']} slices",
                "name": name,
                "median": statistics.median(times),
                "least": min(times),
                "peak_mb": max(run["peak_mb"] for run in runs),
            }
        )
    return rows


def show(rows: list[dict[str, Any]]) -> None:
    print(
        f"\nDICOMweb against Orthanc on loopback, warm, median and least of {ROUNDS * REPEATS}; "
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    )
    print(
        f"{'work':34} {'who':16} {'median s':>9} {'least s':>9} {'× median':>9} {'× least':>8} {'peak MB':>8}"
    )
    first: dict[str, dict[str, Any]] = {}
    for row in rows:
        base = first.setdefault(row["work"], row)
        print(
            f"{row['work']:34} {row['name']:16} {row['median']:>9.3f} {row['least']:>9.3f} "
            f"{row['median'] / base['median']:>9.2f} {row['least'] / base['least']:>8.2f} {row['peak_mb']:>8.0f}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", nargs=3, metavar=("WORK", "WHO", "TASK"))
    parser.add_argument("--json", type=Path)
    add_data_option(parser)
    arguments = parser.parse_args()
    if arguments.one:
        work, name, task = arguments.one
        print(json.dumps(measure(work, name, json.loads(task))))
        return
    try:
        rows = run_all(arguments.data)
    except OrthancMissing as missing:
        print(f"skipped: {missing}")
        return
    show(rows)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
