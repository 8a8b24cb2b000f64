"""kill -9 at any moment of parallel C-STOREs: what got status 0000 is there, whole and searchable; nothing is torn."""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dimse_peers import free_port
from dimse_server import data_set, never, sendable
from server_support import AS_STORED, client, parts_of, path_of, uids
from server_zygote import Zygote
from test_server_kills import _instance

from hounsfield.dimse.client import store
from hounsfield.dimse.requestor import Peer, Timeouts
from hounsfield.errors import DimseError

THREADS = 4


@pytest.fixture(scope="module")
def zygote() -> Iterator[Zygote]:
    found = Zygote()
    yield found
    found.close()


class Round:
    """C-STOREs of one server's life over several associations, and what was acknowledged."""

    def __init__(self, port: int, contents: list[bytes]) -> None:
        self.peer = Peer("127.0.0.1", port, "HOUNSFIELD", timeouts=Timeouts(connect=2, response=5, store=10))
        self.contents = contents
        self.acknowledged: list[bytes] = []
        self._lock = threading.Lock()

    def run(self) -> None:
        with contextlib.suppress(DimseError):
            while True:
                with self._lock:
                    if not self.contents:
                        return
                    batch, self.contents[:3] = self.contents[:3], []
                for content, stored in zip(
                    batch, store(self.peer, map(sendable, batch), never), strict=False
                ):
                    if stored.status == 0:
                        with self._lock:
                            self.acknowledged.append(content)
                    elif stored.kind is None:
                        return

    def wait_for(self, count: int) -> None:
        deadline = time.monotonic() + 20
        while len(self.acknowledged) < count and self.contents and time.monotonic() < deadline:
            time.sleep(0.001)


def _check(url: str, folder: Path, known: dict[str, bytes], acknowledged: list[bytes]) -> None:
    with client(url) as http:
        found = {model["00080018"]["Value"][0] for model in http.get("/instances?limit=5000").json()}
        missing = [content for content in acknowledged if uids(content)[2] not in found]
        assert not missing, f"{len(missing)} acknowledged instances are lost"
        for study in {path_of(content, "study") for content in acknowledged}:
            for _, content in parts_of(http.get(study, headers={"Accept": AS_STORED})):
                assert data_set(content) == data_set(known[uids(content)[2]])
    stored = list(folder.rglob("*.dcm"))
    assert {path.stem for path in stored} == found, "files and index differ"
    assert not list((folder / ".hounsfield" / "incoming").iterdir())


def _kill_again_and_again(zygote: Zygote, folder: Path, rounds: int, seed: int) -> int:
    dice = random.Random(seed)
    known: dict[str, bytes] = {}
    acknowledged: list[bytes] = []
    for number in range(rounds):
        port = free_port()
        process, url = zygote.start(folder, dicom_port=port)
        contents = [_instance((seed + each) % 5, (seed + number) * 100 + each) for each in range(24)]
        known |= {uids(content)[2]: content for content in contents}
        this = Round(port, contents)
        threads = [threading.Thread(target=this.run) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        this.wait_for(dice.randrange(12))
        time.sleep(dice.uniform(0, 0.02))
        zygote.kill(process)
        for thread in threads:
            thread.join()
        acknowledged += this.acknowledged
        if number % 10 == 9 or number == rounds - 1:
            process, url = zygote.start(folder)
            _check(url, folder, known, acknowledged)
            zygote.kill(process)
    return len(acknowledged)


@pytest.mark.timeout(300)
def test_an_acknowledged_c_store_survives_sixty_kills(zygote: Zygote, tmp_path: Path) -> None:
    acknowledged = _kill_again_and_again(zygote, tmp_path, 60, seed=1)
    assert acknowledged > 60  # else the kills came too early to say anything


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(1000, 6000, 1000))
def test_an_acknowledged_c_store_survives_many_more_kills(zygote: Zygote, tmp_path: Path, seed: Any) -> None:
    _kill_again_and_again(zygote, tmp_path, 100, seed)
