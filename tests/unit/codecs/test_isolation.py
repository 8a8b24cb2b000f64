"""Decoding in child processes: whatever a codestream does to its decoder, the process that asked lives and goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import isolation_faults as faults
import numpy as np
import pytest
from test_codecs_bad_input import CODED, FORM, IMAGE, STREAMS

from hounsfield.codecs import FrameFormat, decode_frame, encode_frame, isolation
from hounsfield.codecs.isolation import pool as pools
from hounsfield.codecs.isolation.launch import Starting
from hounsfield.codecs.isolation.pool import Pool
from hounsfield.codecs.jpeg_xl import rebuild_jpeg, recompress_jpeg
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.errors import HounsfieldError, MalformedError, TruncatedError


@pytest.fixture
def pool(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """The pool of this process; everything goes there."""
    pool._guilty.clear()
    monkeypatch.setenv(isolation.VARIABLE, "always")
    return pool


def decode(data: bytes, keyword: str = "rle", **options: Any) -> np.ndarray:
    return decode_frame(data, transfer_syntax(keyword), FORM, **options)


def pids(pool: Pool) -> bytes | None:
    return pool.run({"operation": "pid"}, b"", lambda _: b"", room=0)


@pytest.mark.parametrize("keyword", CODED)
def test_children_give_the_same_pixels(pool: Pool, keyword: str) -> None:
    expected = decode_frame(STREAMS[keyword], transfer_syntax(keyword), FORM)
    out = np.empty_like(IMAGE)
    got = decode(STREAMS[keyword], keyword, out=out)
    assert np.array_equal(got, expected) and got.dtype == expected.dtype


def test_pixels_go_into_the_callers_memory(pool: Pool) -> None:
    out = np.zeros(IMAGE.shape, np.int16)
    got = decode(STREAMS["jpeg-ls"], "jpeg-ls", out=out)
    assert np.shares_memory(got, out) and np.array_equal(got, IMAGE)


def test_frames_larger_than_the_memory_shared_before(pool: Pool) -> None:
    for size in (16, 3000, 16, 2000):
        image = np.arange(size * size, dtype=np.uint32).reshape(size, size).astype(np.uint16)
        form = FrameFormat(size, size)
        stream = encode_frame(image, transfer_syntax("rle"), form)
        assert np.array_equal(decode_frame(stream, transfer_syntax("rle"), form), image)


@pytest.mark.parametrize("how", [faults.KILL, faults.SPIN, faults.EXIT])
def test_a_frame_that_ends_its_decoder_is_an_error_and_the_next_one_decodes(pool: Pool, how: bytes) -> None:
    with pytest.raises(MalformedError, match=r"the codestream (kills|ends|does not end)"):
        decode(STREAMS["rle"] + how)
    assert np.array_equal(decode(STREAMS["rle"]), IMAGE)


def test_a_signal_is_named(pool: Pool) -> None:
    with pytest.raises(MalformedError, match="SIGSEGV"):
        decode(STREAMS["rle"] + faults.KILL)


def test_a_frame_that_was_found_guilty_is_refused_without_a_child(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MalformedError) as first:
        decode(STREAMS["rle"] + faults.SPIN)
    monkeypatch.setattr(pool, "_attempt", None)
    with pytest.raises(MalformedError) as second:
        decode(STREAMS["rle"] + faults.SPIN)
    assert str(first.value) == str(second.value)


def test_a_frame_that_dies_of_what_was_before_it_is_tried_in_a_new_child(pool: Pool) -> None:
    decode(STREAMS["rle"])
    assert np.array_equal(decode(STREAMS["rle"] + faults.ONCE), IMAGE)


def test_more_memory_than_a_frame_may_take_is_refused(pool: Pool) -> None:
    with pytest.raises(HounsfieldError, match="MemoryError"):
        decode(STREAMS["rle"] + faults.HOG)


def test_a_child_that_waits_for_ever_ends_by_the_clock(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pools, "_WALL_FREE", 0.1)
    monkeypatch.setattr(pools, "_WALL_RATIO", 0)
    with pytest.raises(MalformedError, match="does not end within"):
        decode(STREAMS["rle"] + faults.SLEEP)


def test_errors_of_the_decoder_come_as_they_are(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    before = pids(pool)
    with pytest.raises(TruncatedError) as there:
        decode(STREAMS["jpeg2000"][:80], "jpeg2000")
    monkeypatch.setenv(isolation.VARIABLE, "never")
    with pytest.raises(TruncatedError) as here:
        decode(STREAMS["jpeg2000"][:80], "jpeg2000")
    assert str(there.value) == str(here.value) and there.value.data == here.value.data
    assert pids(pool) == before, "an error that is told is no reason for a new child"


def test_whoever_decodes_beside_it_is_not_disturbed(pool: Pool) -> None:
    """Sound frames from many threads, while others kill and stall their children."""
    bad = [STREAMS["rle"] + how + bytes([n]) for n in range(3) for how in (faults.KILL, faults.SPIN)]

    def one(data: bytes) -> bool:
        try:
            return np.array_equal(decode(data), IMAGE)
        except MalformedError:
            return False

    with ThreadPoolExecutor(8) as threads:
        sound = [STREAMS["rle"]] * 60
        results = list(threads.map(one, sound[:30] + bad + sound[30:]))
    assert results.count(False) == len(bad)
    assert not any(results[30 : 30 + len(bad)])


def test_never_more_children_than_told(pool: Pool) -> None:
    barrier = threading.Barrier(8)

    def one(_: int) -> bytes | None:
        barrier.wait()
        return pids(pool)

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(one, range(8)))) <= 2


def test_who_waits_no_more_leaves_the_child_to_others(pool: Pool) -> None:
    class GoneError(Exception):
        pass

    def gone() -> None:
        raise GoneError

    token = isolation.still_wanted.set(gone)
    try:
        with pytest.raises(GoneError):
            decode(STREAMS["rle"] + faults.SLEEP)
    finally:
        isolation.still_wanted.reset(token)
    assert np.array_equal(decode(STREAMS["rle"]), IMAGE)


def test_cpu_of_children_is_told(pool: Pool) -> None:
    spent: list[float] = []
    token = isolation.cpu_spent.set(spent.append)
    try:
        pool.run({"operation": "busy"}, b"", lambda _: b"", room=0)
    finally:
        isolation.cpu_spent.reset(token)
    assert len(spent) == 1 and 0.1 <= spent[0] < pools.FREE_SECONDS


def test_children_do_not_have_the_environments_secrets(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    told = pool.run({"operation": "environment"}, b"", lambda _: b"", room=0)
    assert told is not None and b"secret" not in told and b"HOUNSFIELD_ISOLATE" in told


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit there")
def test_children_open_no_file_and_no_connection(pool: Pool) -> None:
    with pytest.raises(HounsfieldError, match="Too many open files"):
        pool.run({"operation": "open"}, __file__.encode(), lambda _: b"", room=0)


def test_children_are_gone_when_the_pool_is_closed(pool: Pool) -> None:
    pid = int(pids(pool) or b"0")
    os.kill(pid, 0)
    pool.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert np.array_equal(decode(STREAMS["rle"]), IMAGE), "a pool that was closed begins anew"


def test_what_makes_children_may_be_killed(pool: Pool) -> None:
    decode(STREAMS["rle"])
    if hasattr(pool._launcher, "_program"):
        pool._launcher._program.kill()
        pool._launcher._program.wait()
    with pytest.raises(MalformedError):
        decode(STREAMS["rle"] + faults.KILL)
    assert np.array_equal(decode(STREAMS["rle"]), IMAGE)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_process_has_children_of_its_own(pool: Pool) -> None:
    decode(STREAMS["rle"])
    pid = os.fork()
    if pid == 0:
        try:
            sound = np.array_equal(decode(STREAMS["rle"]), IMAGE)
            isolation._close()
            os._exit(0 if sound else 1)
        finally:
            os._exit(2)
    assert os.waitpid(pid, 0)[1] == 0
    assert np.array_equal(decode(STREAMS["rle"]), IMAGE)


def test_children_that_are_programs_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """As systems without a safe fork have them."""
    monkeypatch.setattr(pools, "launcher", Starting)
    made = Pool(1, "isolation_faults")
    monkeypatch.setattr(isolation._Shared, "pool", made)
    monkeypatch.setenv(isolation.VARIABLE, "always")
    try:
        assert np.array_equal(decode(STREAMS["rle"]), IMAGE)
        with pytest.raises(MalformedError):
            decode(STREAMS["rle"] + faults.KILL)
        assert np.array_equal(decode(STREAMS["rle"]), IMAGE)
    finally:
        made.close()


def test_a_jpeg_is_recompressed_and_rebuilt_in_a_child(pool: Pool) -> None:
    form = FrameFormat(64, 48, 1, 8, 8, 7)
    original = encode_frame(np.arange(64 * 48, dtype=np.uint8).reshape(64, 48), transfer_syntax("jpeg"), form)
    before = pool._count
    assert rebuild_jpeg(recompress_jpeg(original)) == original
    assert pool._count == max(before, 1)
    with pytest.raises(MalformedError):
        rebuild_jpeg(b"no JPEG XL")


def test_a_mode_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(isolation.VARIABLE, "sometimes")
    with pytest.raises(HounsfieldError, match="auto or always or never"):
        decode(STREAMS["rle"])


def test_what_was_not_tried_is_isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default: a version of imagecodecs that is not in the table; never numpy's own."""
    from hounsfield.codecs.isolation import choice

    monkeypatch.delenv(isolation.VARIABLE, raising=False)
    monkeypatch.setattr(choice, "imagecodecs_version", lambda: "2026.3.6")
    assert not any(map(isolation.is_isolated, isolation.TRIALS))
    assert not isolation.is_isolated("jpeg2000", 1 << 26) and isolation.is_isolated("jpeg2000", (1 << 26) + 1)
    monkeypatch.setattr(choice, "imagecodecs_version", lambda: "2029.1.1")
    isolated = {family for family in isolation.TRIALS if isolation.is_isolated(family)}
    assert isolated == set(isolation.TRIALS) - {"uncompressed", "deflated-frame"}
    monkeypatch.setenv(isolation.VARIABLE, "never")
    assert not any(map(isolation.is_isolated, isolation.TRIALS))


def test_the_table_in_the_documents_is_that_of_the_trials() -> None:
    text = (Path(__file__).parents[3] / "docs" / "isolation.md").read_text("utf-8")
    told = [
        line.split("|")[2:6] for line in text.splitlines() if "imagecodecs 2026" in line and line[0] == "|"
    ]
    for (library, mutants, versions, share), trial in zip(
        told, [trial for trial in isolation.TRIALS.values() if trial.share], strict=True
    ):
        assert library.strip() == trial.library
        assert [int(number.replace(" ", "")) for number in mutants.split(";")] == list(trial.mutants.values())
        assert versions.replace("imagecodecs", "").replace(" ", "").split(";") == list(trial.mutants)
        assert share.strip() == f"{trial.share:.0%}".replace("%", " %")
    seconds = pools.FREE_SECONDS, 1e6 / pools.BYTES_A_SECOND
    assert "{:g} s and {:g} s for each megabyte".format(*seconds) in text


def test_time_is_in_proportion_to_the_frame() -> None:
    assert pools.FREE_SECONDS + 512 * 512 * 2 / pools.BYTES_A_SECOND < 1


def test_waiting_for_a_child_ends_when_one_is_free(pool: Pool) -> None:
    with ThreadPoolExecutor(3) as threads:
        begun = time.monotonic()
        futures = [threads.submit(decode, STREAMS["rle"] + faults.SPIN + bytes([n])) for n in range(2)]
        assert np.array_equal(threads.submit(decode, STREAMS["rle"]).result(), IMAGE)
        assert all(isinstance(future.exception(), MalformedError) for future in futures)
        assert time.monotonic() - begun < 60


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
@pytest.mark.parametrize("how", [b"=SPIN=", b"=SLEEP="])
def test_nothing_is_left_of_a_process_that_is_killed_while_its_child_is_at_work(how: bytes) -> None:
    program = (
        "import os, sys; import test_isolation as t; from hounsfield.codecs import isolation;"
        "isolation._Shared.pool = t.Pool(1, 'isolation_faults'); t.pools.FREE_SECONDS = 60;"
        "print(isolation._Shared.pool.run({'operation': 'pid'}, b'', lambda _: b'', room=0).decode(), flush=True);"
        f"t.decode(t.STREAMS['rle'] + {how!r})"
    )
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(sys.path),
        isolation.VARIABLE: "always",
    }
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as parent:
        assert parent.stdout is not None
        child = Path("/proc", parent.stdout.readline().decode().strip())
        forker = Path("/proc", child.joinpath("stat").read_text().rpartition(")")[2].split()[1])
        assert child.exists() and forker.exists()
        time.sleep(0.2)
        parent.kill()
    end = time.monotonic() + 20
    while time.monotonic() < end and (_is_alive(child) or _is_alive(forker)):
        time.sleep(0.05)
    assert not _is_alive(child) and not _is_alive(forker)


def _is_alive(process: Path) -> bool:
    """Not one that only waits to be reaped, either."""
    try:
        return process.joinpath("stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
