"""kill -9 at any moment of parallel stores: what was acknowledged is there, whole and searchable; nothing is torn.

With `replace`, too: of every instance there is one version, the last acknowledged or one that was sent later, and what
the index says of it is true.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from server_postgres import postgres
from server_support import AS_STORED, STOW, body, client, instances, parts_of, path_of, uids
from server_zygote import Zygote

THREADS = 4


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    found = Zygote()
    yield found
    found.close()


class Round:
    """Stores of one server's life, and what it acknowledged."""

    def __init__(self, url: str, requests: list[list[bytes]]) -> None:
        self.url, self.requests = url, requests
        self.acknowledged: list[bytes] = []
        self.answers = 0
        self._lock = threading.Lock()

    def wait_for(self, count: int) -> None:
        """Until so many stores were acknowledged, or there is nothing left to store."""
        deadline = time.monotonic() + 20
        while self.answers < count and self.requests and time.monotonic() < deadline:
            time.sleep(0.001)

    def run(self) -> None:
        with client(self.url) as http, contextlib.suppress(httpx2.TransportError):
            while True:
                with self._lock:
                    if not self.requests:
                        return
                    contents = self.requests.pop()
                if (
                    http.post("/studies", content=body(contents), headers={"Content-Type": STOW}).status_code
                    == 200
                ):
                    with self._lock:
                        self.acknowledged += contents
                        self.answers += 1


(TEMPLATE,) = instances(slices=1, rows=8, columns=8)


def _instance(study: int, number: int) -> bytes:
    """The template under other UIDs, which is quicker than making another one."""
    old_study, _, old_instance = (uid.encode() for uid in uids(TEMPLATE))
    new_study = old_study[:-6] + f"{100000 + study}".encode()
    new_instance = old_instance[:-9] + f"{100000000 + number}".encode()
    return TEMPLATE.replace(old_study, new_study).replace(old_instance, new_instance)


def _requests(seed: int) -> list[list[bytes]]:
    """Stores of one to four instances of several studies."""
    contents = [_instance((seed + number) % 7, seed * 100 + number) for number in range(24)]
    found = []
    for size in (1, 2, 3, 4, 1, 4, 2, 3, 1, 3):
        found.append(contents[:size])
        del contents[:size]
    return found


def _check(url: str, folder: Path, known: dict[str, bytes], acknowledged: list[bytes]) -> None:
    """Everything acknowledged is found and whole; whatever else is there is whole, too."""
    with client(url) as http:
        found = {model["00080018"]["Value"][0] for model in http.get("/instances?limit=5000").json()}
        missing = [content for content in acknowledged if uids(content)[2] not in found]
        assert not missing, f"{len(missing)} acknowledged instances are lost"
        for study in {path_of(content, "study") for content in acknowledged}:
            for _, content in parts_of(http.get(study, headers={"Accept": AS_STORED})):
                assert content == known[uids(content)[2]]
    stored = list(folder.rglob("*.dcm"))
    assert {path.stem for path in stored} == found, "files and index differ"
    for path in stored:
        assert path.read_bytes() == known[path.stem]
    assert not list((folder / ".hounsfield" / "incoming").iterdir())


def _kill_again_and_again(zygote: Zygote, folder: Path, rounds: int, seed: int, **options: Any) -> int:
    dice = random.Random(seed)
    known: dict[str, bytes] = {}
    acknowledged: list[bytes] = []
    for number in range(rounds):
        process, url = zygote.start(folder, **options)
        requests = _requests(seed + number)
        known |= {uids(content)[2]: content for each in requests for content in each}
        this = Round(url, requests)
        threads = [threading.Thread(target=this.run) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        # A random moment, told in acknowledgements rather than seconds: machines differ, and so does their load.
        this.wait_for(dice.randrange(7))
        time.sleep(dice.uniform(0, 0.03))
        zygote.kill(process)
        for thread in threads:
            thread.join()
        acknowledged += this.acknowledged
        if number % 10 == 9 or number == rounds - 1:
            process, url = zygote.start(folder, **options)
            _check(url, folder, known, acknowledged)
            zygote.kill(process)
    return len(acknowledged)


class Replacing:
    """One client's versions of its own two instances, sent one after another; the last acknowledged of each."""

    def __init__(self, number: int) -> None:
        self.sent: dict[str, list[bytes]] = {}
        self.last: dict[str, int] = {}
        self.answers = 0
        self._first = [_instance(number % 2, 10 * number + each) for each in range(2)]

    def run(self, url: str) -> None:
        with client(url) as http, contextlib.suppress(httpx2.TransportError):
            while True:
                for size in (1, 2):
                    contents = [self._version(content) for content in self._first[:size]]
                    answer = http.post("/studies", content=body(contents), headers={"Content-Type": STOW})
                    if answer.status_code == 200:
                        self.answers += 1
                        for content in contents:
                            uid = uids(content)[2]
                            self.last[uid] = len(self.sent[uid]) - 1

    def _version(self, content: bytes) -> bytes:
        """The instance with another patient and other pixels."""
        sent = self.sent.setdefault(uids(content)[2], [])
        number = b"%06d" % len(sent)
        sent.append(content.replace(b"PHANTOM", b"P" + number)[:-6] + number)
        return sent[-1]

    def check(self, http: httpx2.Client) -> None:
        for uid, sent in self.sent.items():
            path = path_of(sent[0])
            answer = http.get(path, headers={"Accept": AS_STORED})
            if answer.status_code == 404:
                assert uid not in self.last, "an acknowledged instance is lost"
                continue
            ((_, content),) = parts_of(answer)
            assert content in sent[self.last.get(uid, 0) :], "a version that was replaced is back"
            (model,) = http.get(f"{path}/metadata").json()
            name = model["00100010"]["Value"][0]["Alphabetic"]
            assert name.encode() in content, "metadata of one version, pixels of another"
            assert len(http.get(f"/instances?SOPInstanceUID={uid}").json()) == 1


def _kill_replacing(zygote: Zygote, folder: Path, rounds: int, seed: int, **options: Any) -> int:
    dice = random.Random(seed)
    clients = [Replacing(number) for number in range(THREADS)]
    for number in range(rounds):
        process, url = zygote.start(folder, replace=True, **options)
        threads = [threading.Thread(target=each.run, args=(url,)) for each in clients]
        before = sum(each.answers for each in clients)
        for thread in threads:
            thread.start()
        wanted, deadline = before + dice.randrange(7), time.monotonic() + 20
        while sum(each.answers for each in clients) < wanted and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(dice.uniform(0, 0.03))
        zygote.kill(process)
        for thread in threads:
            thread.join()
        if number % 5 == 4 or number == rounds - 1:
            process, url = zygote.start(folder, replace=True, **options)
            with client(url) as http:
                for each in clients:
                    each.check(http)
                found = len(http.get("/instances?limit=5000").json())
            assert len(list(folder.rglob("*.dcm"))) == found, "files and index differ"
            assert not list((folder / ".hounsfield" / "incoming").iterdir())
            zygote.kill(process)
    return sum(each.answers for each in clients)


@pytest.mark.timeout(240)
def test_a_replaced_instance_survives_thirty_kills_in_one_version(zygote: Zygote, tmp_path: Path) -> None:
    assert _kill_replacing(zygote, tmp_path, 30, seed=3) > 30


@pytest.mark.timeout(240)
def test_a_replaced_instance_survives_kills_of_a_server_over_postgresql(
    zygote: Zygote, tmp_path: Path
) -> None:
    with postgres() as database:
        assert _kill_replacing(zygote, tmp_path / "files", 10, seed=4, database=database.url) > 10


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(30000, 35000, 1000))
def test_a_replaced_instance_survives_many_more_kills(zygote: Zygote, tmp_path: Path, seed: Any) -> None:
    _kill_replacing(zygote, tmp_path, 100, seed)


@pytest.mark.timeout(240)
def test_an_acknowledged_instance_survives_fifty_kills(zygote: Zygote, tmp_path: Path) -> None:
    acknowledged = _kill_again_and_again(zygote, tmp_path, 50, seed=1)
    assert acknowledged > 50  # else the kills came too early to say anything


@pytest.mark.timeout(240)
def test_an_acknowledged_instance_survives_kills_of_a_server_over_postgresql(
    zygote: Zygote, tmp_path: Path
) -> None:
    with postgres() as database:
        acknowledged = _kill_again_and_again(zygote, tmp_path / "files", 10, seed=2, database=database.url)
    assert acknowledged > 10


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(1000, 11000, 1000))
def test_an_acknowledged_instance_survives_many_more_kills(zygote: Zygote, tmp_path: Path, seed: Any) -> None:
    _kill_again_and_again(zygote, tmp_path, 100, seed)


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(20000, 25000, 1000))
def test_an_acknowledged_instance_survives_many_more_kills_over_postgresql(
    zygote: Zygote, tmp_path: Path, seed: Any
) -> None:
    with postgres() as database:
        _kill_again_and_again(zygote, tmp_path / "files", 100, seed, database=database.url)
