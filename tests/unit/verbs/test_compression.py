"""Many files at once: every core, one failure not the next one's, work resumed, originals untouched."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from test_transcode import image, phantom, saved

from hounsfield.ct.instance import BytesSource, FileSource, read_instance
from hounsfield.outputs.results import word_of
from hounsfield.runs import Result, existing, threads
from hounsfield.transcode import Target, target
from hounsfield.verbs.compress import Job, transcode_files


def folder_of(path: Path, count: int = 6) -> list[Job]:
    source, out = path / "in", path / "out"
    source.mkdir(exist_ok=True)
    jobs = []
    for index in range(count):
        file = source / f"{index}.dcm"
        file.write_bytes(saved(image(phantom() + index, SOPInstanceUID=f"1.2.3.{index}")))
        jobs.append(Job(FileSource(file), out / f"{index}.dcm"))
    return jobs


def run(jobs: list[Job], goal: Target, **options: Any) -> list[Result]:
    return sorted(transcode_files(jobs, goal, **options), key=lambda result: result.unit)


def statuses(outcomes: list[Result]) -> list[str]:
    return [word_of("compress", outcome.status, outcome.facts) for outcome in outcomes]


def test_a_tree_is_written_and_the_second_run_finds_it_done(tmp_path: Path) -> None:
    jobs = folder_of(tmp_path)
    assert statuses(run(jobs, target("jpeg-ls"))) == ["written"] * 6
    times = [job.out.stat().st_mtime_ns for job in jobs]
    assert statuses(run(jobs, target("jpeg-ls"))) == ["present"] * 6
    assert [job.out.stat().st_mtime_ns for job in jobs] == times


@pytest.mark.parametrize(
    "goal",
    [
        target("jpeg-ls-near", max_error=2),
        target("htj2k-lossy", ratio=6),
        target("auto"),
        target("explicit"),
        target("jpeg-xl-lossy", max_error=0),
    ],
    ids=["near", "ratio", "auto", "copied", "lossless after all"],
)
def test_work_is_resumed_whatever_the_goal(goal: Target, tmp_path: Path) -> None:
    jobs = folder_of(tmp_path, 3)
    first = statuses(run(jobs[:2], goal))
    assert set(first) <= {"written", "copied"}
    assert statuses(run(jobs, goal)) == ["present", "present", first[0]]


def test_another_goal_does_not_pass_for_done(tmp_path: Path) -> None:
    jobs = folder_of(tmp_path, 1)
    run(jobs, target("jpeg-ls-near", max_error=2))
    (refused,) = run(jobs, target("jpeg-ls-near", max_error=3))
    assert refused.status == "failed" and "exists already" in refused.reason
    assert statuses(run(jobs, target("jpeg-ls-near", max_error=3), force=True)) == ["written"]


def test_one_broken_file_does_not_stop_the_rest(tmp_path: Path) -> None:
    jobs = folder_of(tmp_path, 4)
    broken = jobs[1].source.path  # type: ignore[attr-defined]
    broken.write_bytes(broken.read_bytes()[:-500])
    jobs[2].source.path.write_bytes(b"holiday photographs " * 20)  # type: ignore[attr-defined]
    outcomes = run(jobs, target("rle"))
    assert statuses(outcomes) == ["written", "failed", "skipped", "written"]
    assert "frame 1" in outcomes[1].reason
    assert not jobs[1].out.exists() and not jobs[2].out.exists()
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"0.dcm", "3.dcm"}


def test_originals_are_never_replaced_not_even_by_force(tmp_path: Path) -> None:
    (job,) = folder_of(tmp_path, 1)
    before = job.source.path.read_bytes()  # type: ignore[attr-defined]
    (outcome,) = run([Job(job.source, job.source.path)], target("jpeg-ls"), force=True)  # type: ignore[attr-defined]
    assert outcome.status == "failed" and "original" in outcome.reason
    assert job.source.path.read_bytes() == before  # type: ignore[attr-defined]


def test_an_executor_of_processes_does_the_same(tmp_path: Path) -> None:
    jobs = folder_of(tmp_path, 3)
    with ProcessPoolExecutor(2) as pool:
        assert statuses(run(jobs, target("jpeg-ls"), engine=existing(pool))) == ["written"] * 3
    assert read_instance(FileSource(jobs[2].out)).syntax.keyword == "jpeg-ls"


def test_jobs_are_taken_only_as_they_are_worked_on(tmp_path: Path) -> None:
    content, taken = saved(image(phantom())), 0

    def endless() -> Iterator[Job]:
        nonlocal taken
        while True:
            taken += 1
            yield Job(BytesSource("", content), tmp_path / f"{taken}.dcm")

    outcomes = transcode_files(endless(), target("rle"), engine=threads(2))
    for _ in range(5):
        next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert taken <= 5 + 128 + 4  # what waits for the disk, and what two threads have


def test_nothing_is_left_behind_where_a_folder_cannot_be_written(tmp_path: Path) -> None:
    (job,) = folder_of(tmp_path, 1)
    (tmp_path / "out").write_bytes(b"a file where a folder should be")
    (outcome,) = run([job], target("rle"))
    assert outcome.status == "failed"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out"]
