"""A real Dask cluster of processes: the same volumes, though workers are killed and the scheduler restarts."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from batch_work import die_at_seven, slow_double, swallow_memory, wait_for_word
from click.testing import CliRunner
from stub_archive import stub_archive

from hounsfield import load, phantom
from hounsfield import runs as batch
from hounsfield.cli import main
from hounsfield.errors import LocationError
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import LEDGER_NAME, clusters, read_ledger

distributed = pytest.importorskip(
    "distributed", reason="distributed is not installed: pip install 'hounsfield[cluster]'"
)
pytestmark = [
    pytest.mark.xdist_group("cluster"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs signals"),
    # Dask's own warnings, about connections that it loses here on purpose.
    pytest.mark.filterwarnings("ignore"),
]


def clusters_children() -> bool:
    """In a worker: whether it decoded in children of its own, as daemon."""
    from hounsfield.codecs import isolation

    return isolation._Shared.pool is not None and isolation._Shared.pool._count > 0


PLAIN = PhantomSpec(rows=40, columns=48, slices=6)


class Cluster:
    """A scheduler and two workers, each a process of its own."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.processes: list[subprocess.Popen[bytes]] = []
        self.scheduler = self.start_scheduler()
        self.workers = [self.start_worker() for _ in range(2)]

    def start_scheduler(self) -> subprocess.Popen[bytes]:
        arguments = ["--host", "127.0.0.1", "--port", str(self.port), "--no-dashboard", "--no-show"]
        return self._start("distributed.cli.dask_scheduler", *arguments)

    def start_worker(self) -> subprocess.Popen[bytes]:
        arguments = ["--nthreads", "1", "--no-nanny", "--no-dashboard", "--death-timeout", "60"]
        return self._start("distributed.cli.dask_worker", self.address, *arguments)

    def mend(self) -> None:
        """Start what a test killed, and wait until two workers are there."""
        if self.scheduler.poll() is not None:
            self.scheduler = self.start_scheduler()
        self.workers = [worker for worker in self.workers if worker.poll() is None]
        self.workers += [self.start_worker() for _ in range(2 - len(self.workers))]
        client = distributed.Client(self.address, timeout=60, set_as_default=False)
        client.wait_for_workers(2, timeout=60)
        client.close()

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONWARNINGS": "ignore",
        }
        environment["DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES"] = "0"
        process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.processes.append(process)
        return process

    @contextlib.contextmanager
    def apart(self) -> Iterator[str]:
        """A second scheduler with one worker of 400 MB under a nanny; its address."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        options = ["--host", "127.0.0.1", "--port", str(port), "--no-dashboard", "--no-show"]
        address = f"tcp://127.0.0.1:{port}"
        scheduler = self._start("distributed.cli.dask_scheduler", *options)
        limits = ["--nthreads", "1", "--memory-limit", "400MB", "--no-dashboard", "--death-timeout", "60"]
        nanny = self._start("distributed.cli.dask_worker", address, *limits)
        try:
            client = distributed.Client(address, timeout=60, set_as_default=False)
            client.wait_for_workers(1, timeout=60)
            client.close()
            yield address
        finally:
            nanny.terminate()
            nanny.wait(30)
            self.kill(scheduler)

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.send_signal(signal.SIGKILL)
        process.wait()

    def close(self) -> None:
        for process in self.processes:
            self.kill(process)


@pytest.fixture(scope="module")
def one_cluster() -> Iterator[Cluster]:
    made = Cluster()
    yield made
    made.close()


@pytest.fixture
def cluster(one_cluster: Cluster) -> Cluster:
    one_cluster.mend()
    return one_cluster


@pytest.fixture(autouse=True)
def no_thread_survives() -> Iterator[None]:
    """A client that is not closed looks for its scheduler for a minute, in a thread of its own."""
    yield
    assert [each.name for each in threading.enumerate() if each.name in LOOPS] == []


LOOPS = ("IO loop", "hounsfield cluster")


def _until(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        time.sleep(0.05)
    raise AssertionError("it never came")


def run(*arguments: object) -> tuple[int, list[dict[str, object]]]:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    return done.exit_code, json.loads(done.stdout)["volumes"]


def test_a_cluster_makes_the_volumes_that_one_process_makes(cluster: Cluster, tmp_path: Path) -> None:
    for seed in range(5):
        phantom.write(replace(PLAIN, seed=seed, series_number=seed), tmp_path / "in" / str(seed))
    command = ["volume", tmp_path / "in", "--format", ".nii", "--json"]
    assert run(*command, tmp_path / "one", "--workers", "1")[0] == 0
    status, rows = run(*command, tmp_path / "many", "--cluster", cluster.address)
    assert status == 0 and len(rows) == 5
    for path in (tmp_path / "one").glob("*.nii"):
        assert (tmp_path / "many" / path.name).read_bytes() == path.read_bytes()
    assert all(row["kept"] for row in run(*command, tmp_path / "many", "--cluster", cluster.address)[1])


def test_files_are_compressed_on_a_cluster_whose_workers_are_in_other_folders(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    phantom.write(PLAIN, tmp_path / "scan")
    monkeypatch.chdir(tmp_path)
    arguments = ["compress", "scan", "small", "--to", "jpeg-ls", "--cluster", cluster.address]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert len(list(Path("small").rglob("*.dcm"))) == len(list(Path("scan").rglob("*.dcm"))) > 0
    assert {record.status for record in read_ledger(Path("small", LEDGER_NAME))} == {"started", "done"}


def test_files_are_compressed_and_deidentified_on_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    for command in (["compress", "--to", "jpeg-ls"], ["deidentify", "--key", str(tmp_path / "key")]):
        out = tmp_path / command[0]
        arguments = [*command, str(tmp_path / "in"), str(out), "--cluster", cluster.address]
        done = CliRunner().invoke(main, arguments)
        assert done.exit_code == 0, done.output
        assert (load(out).array == load(tmp_path / "in").array).all()
        (edited,) = sorted((tmp_path / "in").rglob("*.dcm"))[:1]
        edited.write_bytes(edited.read_bytes()[:-2] + bytes([len(command), 0]))
        before = {path: path.stat().st_ino for path in out.rglob("*.dcm")}
        assert CliRunner().invoke(main, arguments).exit_code == 0
        assert sum(before[path] != path.stat().st_ino for path in out.rglob("*.dcm")) == 1
        assert (load(out).array == load(tmp_path / "in").array).all()


def test_workers_under_a_nanny_decode_in_children(cluster: Cluster, tmp_path: Path) -> None:
    """Such workers are daemons, which may have no children of `multiprocessing`; and the option reaches them."""
    phantom.write(replace(PLAIN, transfer_syntax="jpeg-ls"), tmp_path / "in")
    with cluster.apart() as address:
        arguments = ["volume", str(tmp_path / "in"), str(tmp_path / "out"), "--cluster", address]
        result = CliRunner().invoke(main, [*arguments, "--isolate", "always"])
        assert result.exit_code == 0, result.output
        client = distributed.Client(address, timeout=60, set_as_default=False)
        try:
            (has_children,) = client.run(clusters_children).values()
        finally:
            client.close()
    assert has_children
    assert len(list((tmp_path / "out").glob("*.nii.gz"))) == 1


def test_series_are_looked_at_and_pictured_on_a_cluster(cluster: Cluster, tmp_path: Path) -> None:
    for seed in range(3):
        phantom.write(replace(PLAIN, seed=seed, series_number=seed), tmp_path / "in" / str(seed))
    for command in (["info", tmp_path / "in"], ["image", tmp_path / "in", tmp_path / "out"]):
        arguments = [*map(str, command), "--json"]
        done = CliRunner().invoke(main, [*arguments, "--cluster", cluster.address])
        assert done.exit_code == 0, done.output
        if command[0] == "info":
            assert json.loads(done.stdout) == json.loads(CliRunner().invoke(main, arguments).stdout)
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    assert {record.status for record in read_ledger(tmp_path / "out" / LEDGER_NAME)} == {"started", "done"}


def test_series_are_copied_on_a_cluster_between_folders_and_servers(cluster: Cluster, tmp_path: Path) -> None:
    for seed in range(3):
        phantom.write(replace(PLAIN, seed=seed, series_number=seed), tmp_path / "in" / str(seed))

    def copied(*arguments: object) -> dict[str, object]:
        command = ["copy", *map(str, arguments), "--cluster", cluster.address, "--json"]
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
        return dict(json.loads(done.stdout))

    with stub_archive() as archive:
        assert copied(tmp_path / "in", archive.url)["moved"] == 18
        assert copied(archive.url, tmp_path / "out", "--verify")["moved"] == 18
        assert copied(archive.url, tmp_path / "out")["present"] == 18
    assert [record.status for record in read_ledger(tmp_path / "out" / LEDGER_NAME)].count("done") == 3
    original = sorted(path.read_bytes() for path in (tmp_path / "in").rglob("*.dcm"))
    assert sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm")) == original


def test_an_item_that_kills_every_worker_it_meets_fails_alone(cluster: Cluster) -> None:
    stop = threading.Event()

    def replace_the_dead() -> None:
        while not stop.wait(0.05):
            for worker in [worker for worker in cluster.workers if worker.poll() is not None]:
                cluster.workers.remove(worker)
                cluster.workers.append(cluster.start_worker())

    keeper = threading.Thread(target=replace_the_dead)
    keeper.start()
    try:
        finished = list(batch.run_each(die_at_seven, range(14), batch.cluster(cluster.address)))
    finally:
        stop.set()
        keeper.join()
    assert [each.item for each in finished if each.error is not None] == [7]
    assert sorted(each.value for each in finished if each.value is not None) == [
        2 * number for number in range(14) if number != 7
    ]


def test_a_worker_killed_in_the_middle_costs_no_item(cluster: Cluster, tmp_path: Path) -> None:
    results: list[batch.Finished[tuple[int, str], int]] = []
    work = [(number, str(tmp_path)) for number in range(10)]
    engine = batch.cluster(cluster.address)
    running = threading.Thread(target=lambda: results.extend(batch.run_each(wait_for_word, work, engine)))
    running.start()
    _until(lambda: len(list(tmp_path.glob("began-*"))) >= 2)
    cluster.kill(cluster.workers[0])
    (tmp_path / "go").touch()
    running.join(60)
    assert [str(each.error) for each in results if each.error is not None] == []
    assert sorted(each.value or 0 for each in results) == list(range(0, 20, 2))


def test_a_run_whose_worker_and_scheduler_die_in_its_middle_makes_every_volume(
    cluster: Cluster, tmp_path: Path
) -> None:
    spec = replace(PLAIN, rows=128, columns=128, slices=20)
    for seed in range(16):
        phantom.write(replace(spec, seed=seed, series_number=seed), tmp_path / "in" / str(seed))
    arguments = [
        "volume",
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        "--cluster",
        cluster.address,
        "--json",
    ]
    ledger = tmp_path / "out" / LEDGER_NAME
    command = [sys.executable, "-m", "hounsfield", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:

        def made(count: int) -> bool:
            done = ledger.exists() and sum(record.status == "done" for record in read_ledger(ledger)) >= count
            return done or process.poll() is not None

        _until(lambda: made(2))
        cluster.kill(cluster.workers[0])
        _until(lambda: made(5))
        cluster.kill(cluster.scheduler)
        for worker in cluster.workers:
            cluster.kill(worker)
        cluster.mend()
        told, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert [row["status"] for row in json.loads(told)["volumes"]] == ["made"] * 16
    for record in {record.key: record for record in read_ledger(ledger)}.values():
        assert record.status == "done"
        assert (tmp_path / "out" / record.output).stat().st_size == record.bytes
    assert all(row["kept"] for row in run(*arguments)[1])


def test_an_item_that_swallows_its_worker_s_memory_fails_and_the_rest_goes_on(
    one_cluster: Cluster, tmp_path: Path
) -> None:
    """A worker under Dask's nanny, which ends it at its limit and starts another."""
    with one_cluster.apart() as address:
        finished = list(batch.run_each(swallow_memory, range(8), batch.cluster(address)))
    (failed,) = [each for each in finished if each.error is not None]
    assert failed.item == 3
    assert "memory is the likely reason" in str(failed.error)
    assert sorted(each.value for each in finished if each.value is not None) == [0, 2, 4, 8, 10, 12, 14]


def test_a_scheduler_that_restarts_costs_no_item(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clusters, "CLUSTER_TIMEOUT_SECONDS", 30.0)
    results: list[batch.Finished[tuple[int, str], int]] = []
    work = [(number, str(tmp_path)) for number in range(10)]
    engine = batch.cluster(cluster.address)
    running = threading.Thread(target=lambda: results.extend(batch.run_each(wait_for_word, work, engine)))
    running.start()
    _until(lambda: len(list(tmp_path.glob("began-*"))) >= 2)
    cluster.kill(cluster.scheduler)
    cluster.scheduler = cluster.start_scheduler()
    for worker in cluster.workers:
        cluster.kill(worker)
    cluster.workers = [cluster.start_worker() for _ in range(2)]
    (tmp_path / "go").touch()
    running.join(90)
    assert not running.is_alive()
    assert sorted(each.value or 0 for each in results) == list(range(0, 20, 2))


@pytest.mark.parametrize("begun", [False, True])
def test_a_client_whose_scheduler_died_is_closed_with_its_thread(cluster: Cluster, begun: bool) -> None:
    engine = batch.cluster(cluster.address)
    executor = engine.open()
    if begun:
        assert engine.submit(executor, slow_double, 4).result() == 8
    for process in [cluster.scheduler, *cluster.workers]:
        cluster.kill(process)
    engine.close(executor)


@pytest.mark.parametrize("address", ["nowhere", "tcp://nowhere", "tcp://nowhere:port"])
def test_what_is_no_address_of_a_scheduler_is_refused_before_anybody_is_asked(address: str) -> None:
    with pytest.raises(LocationError, match="no address of a Dask scheduler"):
        batch.cluster(address)


def test_where_no_scheduler_answers_no_thread_goes_on_asking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clusters, "CLUSTER_TIMEOUT_SECONDS", 1.0)
    with pytest.raises(LocationError, match="no Dask scheduler"):
        batch.cluster("tcp://127.0.0.1:9")


def test_a_cluster_that_goes_away_for_good_stops_the_run_and_the_ledger_knows_what_is_done(
    cluster: Cluster, tmp_path: Path
) -> None:
    for seed in range(30):
        phantom.write(replace(PLAIN, seed=seed, series_number=seed), tmp_path / "in" / str(seed))
    program = (
        "import sys\n"
        "from hounsfield.runs import clusters\n"
        "from hounsfield.cli import main\n"
        "clusters.CLUSTER_TIMEOUT_SECONDS = 3.0\n"
        "main(sys.argv[1:])\n"
    )
    command = [
        "volume",
        str(tmp_path / "in"),
        str(tmp_path / "out"),
        "--format",
        ".nii",
        "--cluster",
        cluster.address,
    ]
    with subprocess.Popen(
        [sys.executable, "-c", program, *command], stderr=subprocess.PIPE, text=True
    ) as process:
        ledger = tmp_path / "out" / LEDGER_NAME
        _until(
            lambda: ledger.exists() and sum(record.status == "done" for record in read_ledger(ledger)) >= 3
        )
        for each in list(cluster.processes):
            cluster.kill(each)
        _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert told.count("hounsfield: error") == 1
    latest = {record.key: record for record in read_ledger(ledger)}
    done = [record for record in latest.values() if record.status == "done"]
    assert len(done) >= 3
    assert all((tmp_path / "out" / record.output).is_file() for record in done)
    status, rows = run("volume", tmp_path / "in", tmp_path / "out", "--format", ".nii", "--json")
    assert status == 0
    assert sum(bool(row["kept"]) for row in rows) == len(done)
