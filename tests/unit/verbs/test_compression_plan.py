"""What a run would come to, told from samples by kinds of images: within 5 % of what the run then gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from stub_archive import stub_archive
from test_transcode import image, phantom, saved

from hounsfield.cli import main
from hounsfield.ct.instance import BytesSource
from hounsfield.locations import open_location
from hounsfield.transcode import target, transcode
from hounsfield.verbs.compress import make_plan

RECORDS = "hounsfield"


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compress", *map(str, arguments)])


def planned(*arguments: object) -> dict[str, Any]:
    done = typed(*arguments, "--plan", "--json")
    assert done.exit_code == 0, done.output
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def size(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file() and not p.name.startswith(RECORDS))


def noisy(level: int, seed: int, edge: int = 48) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, max(1, level), (edge, edge))
    return (np.add.outer(np.arange(edge), np.arange(edge)) * 8 + noise).astype("u2")


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """Kinds that compress very differently, one of them in few large files; what is no image, too."""
    tree = tmp_path / "tree"
    for number in range(260):
        array = noisy(4 << (number % 8), number)
        dataset = image(array, SOPInstanceUID=f"1.2.1.{number}", SeriesInstanceUID=f"1.3.{number % 8}")
        path = tree / "ct" / str(number % 8) / f"{number}.dcm"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(dataset))
    for number in range(3):
        array = np.stack([noisy(300, number + at, 96) for at in range(8)])
        (tree / f"large{number}.dcm").write_bytes(
            saved(image(array, Modality="MR", SOPInstanceUID=f"1.4.{number}"))
        )
    done = transcode(BytesSource("x", saved(image(phantom(), Modality="CR"))), target("jpeg2000"))
    (tree / "cr.dcm").write_bytes(done.content)
    report = image(phantom(), Modality="SR", SOPClassUID="1.2.840.10008.5.1.4.1.1.88.11")
    del report.PixelData, report.Rows, report.Columns
    (tree / "report.dcm").write_bytes(saved(report))
    (tree / "notes.txt").write_text("nothing of the kind, and long enough to be looked at " * 9)
    return tree


@pytest.mark.parametrize("options", [("--to", "auto"), ("--to", "htj2k")], ids=["auto", "htj2k"])
def test_a_plan_is_within_a_twentieth_of_what_the_run_then_gives(
    options: tuple[str, ...], mixed: Path, tmp_path: Path
) -> None:
    plan = planned(mixed, *options)
    assert typed(mixed, tmp_path / "out", *options).exit_code == 0
    assert plan["bytes"] == size(mixed) - (mixed / "notes.txt").stat().st_size
    assert plan["bytes_after"] == pytest.approx(size(tmp_path / "out"), rel=0.05)
    by_kind = {each["modality"]: each for each in plan["strata"]}
    assert by_kind["CT"]["bytes_after"] == pytest.approx(size(tmp_path / "out" / "ct"), rel=0.05)
    assert by_kind["CT"]["sampled"] < by_kind["CT"]["files"] == 260


def test_each_other_syntax_is_told_as_closely(mixed: Path, tmp_path: Path) -> None:
    told = next(each for each in planned(mixed)["strata"] if each["modality"] == "CT")["syntaxes"]
    for keyword in ("rle", "jpeg2000", "jpeg-xl"):
        assert typed(mixed / "ct", tmp_path / keyword, "--to", keyword).exit_code == 0
        assert told[keyword]["bytes_after"] == pytest.approx(size(tmp_path / keyword), rel=0.08)


def test_a_plan_of_real_scans_is_within_a_twentieth(real_data: Path, tmp_path: Path) -> None:
    for name in ("philips_phantom/S21570", "enhanced"):
        plan = planned(real_data / name)
        out = tmp_path / name.replace("/", "-")
        typed(real_data / name, out, "--to", "auto")
        done = json.loads(typed(real_data / name, out, "--to", "auto", "--json").stdout)
        failed = sum(
            Path(each["name"]).stat().st_size for each in done["files"] if each["status"] == "failed"
        )
        assert plan["bytes_after"] == pytest.approx(size(out) + failed, rel=0.05)


def test_kinds_are_told_apart_and_what_holds_each(mixed: Path) -> None:
    strata = {each["modality"]: each for each in planned(mixed)["strata"]}
    assert strata.keys() == {"CT", "MR", "CR", "SR"}
    assert strata["MR"]["frames"] == 24 and strata["MR"]["files"] == 3
    assert strata["CR"]["syntax"] == "jpeg2000" and strata["CT"]["pixels"] == "unsigned 16-bit MONOCHROME2"
    assert "jpeg" not in strata["CT"]["syntaxes"] and "jpeg-ls" in strata["CT"]["syntaxes"]
    assert strata["SR"]["syntaxes"] == {} and strata["SR"]["bytes_after"] == strata["SR"]["bytes"]


def test_the_sample_grows_with_what_is_uncertain(tmp_path: Path) -> None:
    for name, levels in (("alike", [60]), ("unlike", [1, 60000])):
        (tmp_path / name).mkdir()
        for number in range(200):
            array = noisy(levels[number % len(levels)], number)
            (tmp_path / name / f"{number}.dcm").write_bytes(
                saved(image(array, SOPInstanceUID=f"1.2.{number}"))
            )
    alike, unlike = (planned(tmp_path / name)["strata"][0]["sampled"] for name in ("alike", "unlike"))
    assert alike <= 14 < 60 < unlike


def test_the_same_tree_gives_the_same_plan(mixed: Path) -> None:
    one, other = (planned(mixed) for _ in range(2))
    assert [one[key] for key in ("bytes_after", "uncertainty")] == [
        other[key] for key in ("bytes_after", "uncertainty")
    ]


def test_hours_are_of_this_machine_and_of_as_many_cores_as_asked(mixed: Path) -> None:
    plan = planned(mixed, "--cores", 64)
    assert plan["hours"] > 0
    assert plan["hours_on"]["64"] == pytest.approx(plan["hours"] * plan["cores"] / 64)
    output = typed(mixed, "--plan", "--cores", 64).output
    assert "on 64" in output and "CT Image Storage" in output and "other files were left out" in output


def test_what_a_sample_says_of_damage_is_passed_on(tmp_path: Path) -> None:
    for number in range(3):
        content = saved(image(phantom(), SOPInstanceUID=f"1.2.{number}"))
        (tmp_path / f"{number}.dcm").write_bytes(content[: -100 if number == 1 else None])
    (stratum,) = planned(tmp_path)["strata"]
    assert sum(stratum["stays"].values()) == 1 and "ends within frame 1" in next(iter(stratum["stays"]))


def test_of_a_server_sizes_are_told_by_samples(tmp_path: Path) -> None:
    contents = [saved(image(noisy(40, number), SOPInstanceUID=f"1.2.{number}")) for number in range(12)]
    with stub_archive(contents) as server:
        plan = make_plan(open_location(server.url).sources(), target("jpeg-ls"))
    expected = sum(len(transcode(BytesSource("x", each), target("jpeg-ls")).content) for each in contents)
    assert plan.after == pytest.approx(expected, rel=0.05)


def test_a_policy_is_planned_too(mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text('[[rule]]\nmodality = "CT"\nto = "rle"\n', "utf-8")
    strata = {
        each["modality"]: each for each in planned(mixed, "--policy", tmp_path / "policy.toml")["strata"]
    }
    assert "rle" in strata["CT"]["to"] and list(strata["MR"]["to"]) == ["explicit"]
    assert "no rule of the policy is for it" in strata["MR"]["stays"]


@pytest.mark.parametrize(
    "option", [("--force",), ("--workers", "2"), ("--mirror",), ("--dry-run",), ("--max-mb-s", "1")]
)
def test_options_that_a_plan_would_ignore_are_refused(option: tuple[str, ...], mixed: Path) -> None:
    done = typed(mixed, "--plan", *option)
    assert done.exit_code == 2 and f"leave out {option[0]}" in done.output
    assert typed(mixed, mixed.parent / "out", "--to", "rle", "--cores", "4").exit_code == 2


def test_nothing_to_plan_is_an_error(tmp_path: Path) -> None:
    assert typed(tmp_path, "--plan").exit_code == 1
