"""Pixels that kill or stall their decoder: the server lives, says which, and draws for everybody else."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import isolation_faults as faults
import pydicom
import pytest
from pydicom.encaps import encapsulate, generate_frames
from pydicom.uid import generate_uid
from server_support import Running, instances, path_of, running, until
from test_server_hostile import connect

from hounsfield.codecs import isolation
from hounsfield.codecs.isolation import pool as pools
from hounsfield.codecs.isolation.pool import Pool
from hounsfield.server.http.limits import Limits

SOUND = instances(slices=1, transfer_syntax="rle")[0]


def hurtful(how: bytes) -> bytes:
    """An instance of its own whose codestream does `how` to its decoder."""
    dataset = pydicom.dcmread(io.BytesIO(SOUND))
    (frame,) = generate_frames(dataset.PixelData)
    dataset.PixelData = encapsulate([frame + how + bytes(len(how) % 2)])
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    written = io.BytesIO()
    dataset.save_as(written)
    return written.getvalue()


def rendered(server: Running, content: bytes) -> int:
    return int(server.get(path_of(content) + "/rendered").status_code)


@pytest.mark.parametrize("how", [faults.KILL, faults.SPIN], ids=["kill", "spin"])
def test_one_bad_picture_is_an_error_and_the_next_is_drawn(tmp_path: Path, pool: Pool, how: bytes) -> None:
    bad = hurtful(how)
    with running(tmp_path) as server:
        server.store([SOUND, bad])
        answer = server.get(path_of(bad) + "/rendered")
        assert answer.status_code == 422
        assert "codestream" in answer.json()["error"]
        assert rendered(server, SOUND) == 200
        assert rendered(server, bad) == 422, "and again, without a child"
        assert server.get(path_of(bad)).status_code == 200, "as it is stored it can still be had"


def test_frames_without_end_leave_the_others_to_be_drawn(
    tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad = [hurtful(faults.SPIN + bytes([number])) for number in range(6)]
    monkeypatch.setattr(pools, "FREE_SECONDS", 0.1)
    with running(tmp_path) as server, ThreadPoolExecutor(12) as clients:
        server.store([SOUND, *bad])
        waiting = [clients.submit(rendered, server, each) for each in bad]
        assert [rendered(server, SOUND) for _ in range(5)] == [200] * 5
        assert {each.result() for each in waiting} == {422}


def test_a_client_that_left_frees_its_decoder(tmp_path: Path, pool: Pool) -> None:
    bad = hurtful(faults.SLEEP)
    with running(tmp_path, limits=Limits(heavy=2)) as server:
        server.store([SOUND, bad])
        for _ in range(4):
            with connect(server.url) as link:
                link.sendall(
                    f"GET /dicom-web{path_of(bad)}/rendered HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
                )
                time.sleep(0.2)
        assert until(lambda: rendered(server, SOUND) == 200, 20)


def test_an_answer_costs_so_much_computing_and_no_more(tmp_path: Path, pool: Pool) -> None:
    film = instances(slices=40, rows=128, columns=128, transfer_syntax="jpeg2000")
    with running(tmp_path, limits=Limits(cpu=0.05)) as server:
        server.store(film)
        answer = server.get(path_of(film[0], "series") + "/rendered", "video/mp4")
        assert answer.status_code == 503 and "CPU time" in answer.json()["error"]
    with running(tmp_path / "more", limits=Limits(cpu=60)) as server:
        server.store(film)
        assert server.get(path_of(film[0], "series") + "/rendered", "video/mp4").status_code == 200


def test_a_server_decodes_in_children_whatever_the_environment_says(
    tmp_path: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(isolation.VARIABLE, "never")
    with running(tmp_path) as server:
        server.store([SOUND, hurtful(faults.KILL)])
        assert isolation.isolation_mode() == "always"
        assert rendered(server, SOUND) == 200
        assert pool._count > 0
