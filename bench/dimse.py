"""How fast DIMSE is, beside DCMTK and pynetdicom, CPU and wall clock, in one run on the loopback: `make bench`.

140 slices are received, sent, found; every contender runs in a process of its own, taking turns. Needs Debian's package
`dcmtk`. CPU is that of the process that is judged, user and system, children included; DCMTK's own programs are the
other end. The archives bring every instance to the disk and into their index before they acknowledge it; the bare
receivers only write files.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "support"))

from dimse_peers import await_port, free_port
from real_slices import add_data_option, copy_slices

ROUNDS = 3
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
TICKS = os.sysconf("SC_CLK_TCK")


# What runs in processes of its own: `python bench/dimse.py --role NAME ARGUMENTS`.


def receive_ours(port: str, folder: str) -> None:
    """Our receiver alone, as a C-MOVE has it: files, without syncs or index."""
    import itertools

    from hounsfield.dimse.acceptor import Acceptor, listen
    from hounsfield.dimse.negotiation import UNCOMPRESSED, Acceptance
    from hounsfield.dimse.receiving import FileSink, take_store
    from hounsfield.dimse.services import is_storage

    numbers = itertools.count()
    sink = FileSink(lambda: Path(folder, f"{next(numbers)}.dcm"), lambda _: None)
    acceptance = Acceptance(frozenset(), frozenset(), lambda _: UNCOMPRESSED, is_storage)

    def serve(accepted: Any, received: Any) -> None:
        take_store(accepted.connection, received, sink, 60)

    Acceptor(listen("127.0.0.1", int(port)), lambda request, _: acceptance.reply(request), serve).start()
    threading.Event().wait()


def receive_pynetdicom(port: str, folder: str) -> None:
    from pynetdicom import AE, AllStoragePresentationContexts, _config, evt

    _config.STORE_RECV_CHUNKED_DATASET = True

    def keep(event: Any) -> int:
        shutil.move(event.dataset_path, Path(folder, event.request.AffectedSOPInstanceUID))
        return 0

    ae = AE("PYNETDICOM")
    ae.maximum_pdu_size = 131072
    ae.supported_contexts = AllStoragePresentationContexts
    ae.start_server(("127.0.0.1", int(port)), evt_handlers=[(evt.EVT_C_STORE, keep)])


def archive(port: str, folder: str) -> None:
    """Our archive; its HTTP port is the next one."""
    from hounsfield.server.deployment import Deployment
    from hounsfield.server.provider.endpoint import endpoint
    from hounsfield.server.supervisor import Address, serve

    serve(
        Deployment(folder),
        Address(port=int(port) + 1),
        on_ready=lambda _: None,
        dimse=endpoint("HOUNSFIELD", "127.0.0.1", int(port)),
    )


def send_ours(port: str, title: str, *files: str) -> None:
    from hounsfield.ct.instance import FileSource
    from hounsfield.dimse.requestor import Peer
    from hounsfield.locations import Delivered
    from hounsfield.locations.dimse.transfers import store
    from hounsfield.locations.uids import written_uids

    sources = [FileSource(Path(each)) for each in files]
    delivered = [Delivered(*written_uids(source), source) for source in sources]
    outcomes = list(store(Peer("127.0.0.1", int(port), title), delivered))
    assert {each.status for each in outcomes} == {"stored"}, outcomes


def send_pynetdicom(port: str, title: str, *files: str) -> None:
    from pynetdicom import AE, _config
    from pynetdicom.sop_class import CTImageStorage

    _config.STORE_SEND_CHUNKED_DATASET = True
    ae = AE("ME")
    ae.add_requested_context(CTImageStorage, EXPLICIT)
    association = ae.associate("127.0.0.1", int(port), ae_title=title, max_pdu=131072)
    for each in files:
        assert association.send_c_store(Path(each)).Status == 0
    association.release()


def stow_ours(port: str, *files: str) -> None:
    from hounsfield.client import Client

    with Client(f"http://127.0.0.1:{int(port) + 1}/dicom-web") as client:
        result = client.store_instances([Path(each) for each in files])
    assert result.complete


def stow_singly_ours(port: str, *files: str) -> None:
    """A request for each instance, since C-STORE acknowledges each by itself."""
    from hounsfield.client import Client

    with Client(f"http://127.0.0.1:{int(port) + 1}/dicom-web") as client:
        assert all(client.store_instances([Path(each)]).complete for each in files)


def find_ours(port: str, title: str, times: str) -> None:
    from hounsfield.dimse.client import find_over
    from hounsfield.dimse.identifiers import encode_identifier, identifier
    from hounsfield.dimse.negotiation import UNCOMPRESSED
    from hounsfield.dimse.requestor import Peer, associate
    from hounsfield.dimse.services import STUDY_ROOT

    keys = {"StudyInstanceUID": "", "SeriesInstanceUID": "", "SOPInstanceUID": "", "InstanceNumber": ""}
    with associate(Peer("127.0.0.1", int(port), title), [(STUDY_ROOT.find, UNCOMPRESSED)]) as requestor:
        [study] = find_over(
            requestor,
            STUDY_ROOT.find,
            lambda syntax: encode_identifier(identifier("STUDY", {"StudyInstanceUID": ""}), syntax),
        )
        from hounsfield.dimse.identifiers import decode_identifier

        uid = str(decode_identifier(study.identifier, study.transfer_syntax).StudyInstanceUID)
        query = identifier("SERIES", {"StudyInstanceUID": uid, "SeriesInstanceUID": ""})
        [series] = find_over(requestor, STUDY_ROOT.find, lambda syntax: encode_identifier(query, syntax))
        keys |= {
            "StudyInstanceUID": uid,
            "SeriesInstanceUID": str(
                decode_identifier(series.identifier, series.transfer_syntax).SeriesInstanceUID
            ),
        }
        images = identifier("IMAGE", keys)
        count = 0
        for _ in range(int(times)):
            count += sum(
                1
                for _ in find_over(
                    requestor, STUDY_ROOT.find, lambda syntax: encode_identifier(images, syntax)
                )
            )
    print(count)


ROLES: dict[str, Callable[..., None]] = {
    each.__name__: each
    for each in (
        receive_ours, receive_pynetdicom, archive, send_ours, send_pynetdicom, stow_ours, stow_singly_ours, find_ours,
    )
}  # fmt: skip


# The measuring process.


def role(name: str, *arguments: object) -> list[str]:
    return [sys.executable, __file__, "--role", name, *map(str, arguments)]


def spent(process: int) -> float:
    """Seconds of CPU that a process and its children have used."""
    total = 0
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text().rpartition(")")[2].split()
            if process in {int(path.parent.name), int(fields[1])}:
                total += sum(map(int, fields[11:15]))
    return total / TICKS


@contextlib.contextmanager
def serving(command: Sequence[object], port: int, folder: Path) -> Iterator[int]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f"{folder.name}.log").open("wb") as log:
        process = subprocess.Popen([str(each) for each in command], stdout=log, stderr=log)
        try:
            await_port(port, process, folder.parent / f"{folder.name}.log")
            yield process.pid
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def timed(command: Sequence[object]) -> tuple[float, float]:
    """(CPU, wall) seconds of a command that ends."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(
        [str(each) for each in command], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, time.perf_counter() - start


def sent_by_dcmtk(port: int, title: str, files: Sequence[Path]) -> list[object]:
    return ["storescu", "-aec", title, "127.0.0.1", port, *files]


def receiving(work: Path, files: Sequence[Path], parallel: int) -> None:
    """What receivers cost, all slices sent over `parallel` associations at once."""
    contenders: dict[str, Callable[[int, Path], list[object]]] = {
        "DCMTK storescp": lambda port, folder: [
            "storescp", "-od", folder, "-aet", "X", *(["--fork"] if parallel > 1 else []), port,
        ],
        "pynetdicom": lambda port, folder: role("receive_pynetdicom", port, folder),
        "hounsfield, files": lambda port, folder: role("receive_ours", port, folder),
        "hounsfield, archive": lambda port, folder: role("archive", port, folder),
    }  # fmt: skip
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for number in range(ROUNDS):
        for name, command in contenders.items():
            port, folder = free_port(), work / f"{name}{parallel}-{number}".replace(" ", "")
            with serving(command(port, folder), port, folder) as process:
                title = "HOUNSFIELD" if "archive" in name else "X"
                # The first association pays for what is loaded only then.
                subprocess.run([str(each) for each in sent_by_dcmtk(port, title, files[:1])], check=True)
                before, start = spent(process), time.perf_counter()
                senders = [
                    subprocess.Popen(
                        [str(each) for each in sent_by_dcmtk(port, title, files[part::parallel])]
                    )
                    for part in range(parallel)
                ]
                assert not any(each.wait() for each in senders), name
                figures[name].append((spent(process) - before, time.perf_counter() - start))
            shutil.rmtree(folder)
    show(f"receiving from DCMTK storescu, {parallel} at once", figures)


def stowing(work: Path, files: Sequence[Path]) -> None:
    """An archive by C-STORE and by STOW, with the same durability, and the time that it takes."""
    commands = {
        "C-STORE": lambda port: role("send_ours", port, "HOUNSFIELD", *files),
        "STOW, each by itself": lambda port: role("stow_singly_ours", port, *files),
        "STOW, all at once": lambda port: role("stow_ours", port, *files),
    }
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for number in range(ROUNDS):
        for name, pairs in figures.items():
            port, folder = free_port(), work / f"durable-{number}-{len(name)}"
            with serving(role("archive", port, folder), port, folder) as process:
                start_up = timed(
                    [sys.executable, "-c", "import hounsfield.client, hounsfield.locations.dimse"]
                )[1]
                before = spent(process)
                _, wall = timed(commands[name](port))
                pairs.append((spent(process) - before, wall - start_up))
            shutil.rmtree(folder)
    show("our archive, everything on the disk and indexed before it is acknowledged", figures)


def sending(work: Path, files: Sequence[Path]) -> None:
    contenders = {
        "DCMTK storescu": lambda port: sent_by_dcmtk(port, "X", files),
        "pynetdicom": lambda port: role("send_pynetdicom", port, "X", *files),
        "hounsfield": lambda port: role("send_ours", port, "X", *files),
    }
    imports = {
        "pynetdicom": "import pynetdicom",
        "hounsfield": "import hounsfield.locations.dimse.transfers",
    }
    figures: dict[str, list[tuple[float, float]]] = {name: [] for name in contenders}
    for number in range(ROUNDS):
        for name, command in contenders.items():
            port, folder = free_port(), work / f"sent-{name}-{number}".replace(" ", "")
            with serving(["storescp", "-od", folder, "-aet", "X", port], port, folder):
                empty = timed([sys.executable, "-c", imports[name]]) if name in imports else (0.0, 0.0)
                try:
                    cpu, wall = timed(command(port))
                except subprocess.CalledProcessError:
                    print(f"  {name} failed in round {number + 1}")
                else:
                    figures[name].append((cpu - empty[0], wall - empty[1]))
            shutil.rmtree(folder)
    show("sending to DCMTK storescp, without what it takes to start Python and import", figures)


def finding(work: Path, files: Sequence[Path]) -> None:
    """Answers at the IMAGE level: the CPU of the provider, and the time for client and provider together."""
    times = 20
    port, folder = free_port(), work / "qr"
    folder.mkdir()
    (work / "qr.cfg").write_text(
        f"NetworkTCPPort = {port}\nMaxPDUSize = 131072\nMaxAssociations = 16\nHostTable BEGIN\nHostTable END\n"
        f"VendorTable BEGIN\nVendorTable END\nAETable BEGIN\nQR {folder} RW (500, 1024mb) ANY\nAETable END\n"
    )
    ours = free_port()
    contenders: dict[str, tuple[list[object], int, str]] = {
        "DCMTK dcmqrscp": (["dcmqrscp", "-c", work / "qr.cfg"], port, "QR"),
        "hounsfield, archive": (role("archive", ours, work / "found"), ours, "HOUNSFIELD"),
    }
    figures: dict[str, list[tuple[float, float]]] = {}
    for name, (command, at, title) in contenders.items():
        with serving(command, at, work / ("qr" if at == port else "found")) as process:
            subprocess.run([str(each) for each in sent_by_dcmtk(at, title, files)], check=True)
            figures[name] = []
            for _ in range(ROUNDS):
                one = timed(role("find_ours", at, title, 1))
                before = spent(process)
                many = timed(role("find_ours", at, title, 1 + times))
                answers = times * len(files) / 1000
                figures[name].append(((spent(process) - before) / answers, (many[1] - one[1]) / answers))
    show("C-FIND, an answer in ms (provider's CPU; wall with our client)", figures, unit="ms", digits=3)


def show(
    title: str, figures: dict[str, list[tuple[float, float]]], *, unit: str = "s", digits: int = 2
) -> None:
    print(f"\n{title}\n{'':24}{'CPU':>18}{'wall':>18}")
    for name, pairs in figures.items():
        if not pairs:
            print(f"  {name:22} failed in every round")
            continue
        cells = []
        for values in zip(*pairs, strict=True):
            cells.append(f"{statistics.median(values):.{digits}f} {unit} ({min(values):.{digits}f})")
        print(f"  {name:22}" + "".join(f"{cell:>18}" for cell in cells))


def main() -> None:
    if len(sys.argv) > 2 and sys.argv[1] == "--role":
        ROLES[sys.argv[2]](*sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__)
    add_data_option(parser)
    parser.add_argument("--only", choices=["receive", "store", "send", "find"], help="only this part")
    options = parser.parse_args()
    if shutil.which("storescp") is None:
        print("no DCMTK here: apt-get install dcmtk")
        return
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        copy_slices(options.data, work / "slices")
        files = sorted((work / "slices").iterdir())
        size = sum(path.stat().st_size for path in files)
        print(
            f"{len(files)} slices, {size / 1e6:.1f} MB; median of {ROUNDS} (least); load {os.getloadavg()[0]:.1f}"
        )
        if options.only in {None, "receive"}:
            receiving(work, files, 1)
            receiving(work, files, 4)
        parts = {"store": stowing, "send": sending, "find": finding}
        for name, part in parts.items():
            if options.only in {None, name}:
                part(work, files)


if __name__ == "__main__":
    main()
