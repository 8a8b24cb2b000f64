"""`hounsfield image`, from files of DICOM to files of pictures."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from click.testing import CliRunner, Result
from PIL import Image

from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec, write

SMALL = PhantomSpec(rows=48, columns=48, slices=6)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("one")
    write(SMALL, folder)
    return folder


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("two")
    for number, missing in ((1, ()), (2, (2,))):
        spec = replace(SMALL, series_number=number, series_description="Head / 头", missing=missing)
        write(replace(spec, character_set="ISO_IR 192"), folder / str(number))
    return folder


def run(*arguments: Any) -> Result:
    return CliRunner().invoke(main, ["image", *map(str, arguments)])


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("--window", "肺窗"),
        ("--window", "40/80", "--invert"),
        ("--slice", "2"),
        ("--slice", "middle", "--plain"),
        ("--slice=-1.25mm",),
        ("--plane", "coronal", "--size", "300"),
        ("--montage", "2x3"),
        ("--planes",),
        ("--mip",),
        ("--minip", "--plane", "axial", "--slab", "5"),
    ],
)
def test_every_kind_of_picture(one: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    result = run(one, tmp_path / "a.png", *options)
    assert result.exit_code == 0
    assert "6×48×48" in result.output
    assert str(tmp_path / "a.png") in result.output
    with Image.open(tmp_path / "a.png") as image:
        assert np.asarray(image).std() > 5
        assert image.text["Unit"] == "HU"  # type: ignore[attr-defined]


def test_a_tilted_or_truncated_series_is_drawn_with_the_options_of_volume(tmp_path: Path) -> None:
    paths = write(replace(SMALL, tilt=12.0), tmp_path / "in")
    paths[-1].write_bytes(paths[-1].read_bytes()[:-100])
    assert run(tmp_path / "in", tmp_path / "a.png").exit_code == 1
    options = ("--truncated", "fill", "--rectify", "--json")
    result = run(tmp_path / "in", tmp_path / "a.png", *options)
    assert result.exit_code == 0
    (row,) = json.loads(result.output)["pictures"]
    assert any("truncated" in warning for warning in row["warnings"])


def pictures(folder: Path) -> list[Any]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("hounsfield"))


def test_pictures_are_drawn_once(two: Path, tmp_path: Path) -> None:
    for kept in (False, True):
        result = run(two, tmp_path / "out", "--json", "--workers", "2")
        assert [row["kept"] for row in json.loads(result.output)["pictures"]] == [kept, False]
    changed = run(two, tmp_path / "out", "--json", "--window", "bone")
    assert [row["kept"] for row in json.loads(changed.output)["pictures"]] == [False, False]
    assert pictures(tmp_path / "out") == ["1-Head-头.png"]


def test_the_slice_asked_for_is_the_slice_shown(one: Path, tmp_path: Path) -> None:
    for name, text in (("number", "5"), ("place", "3.75mm"), ("middle", "middle")):
        assert run(one, tmp_path / f"{name}.png", "--slice", text).exit_code == 0
    shown = {path.stem: Image.open(path).text["Position"] for path in tmp_path.iterdir()}  # type: ignore[attr-defined]
    assert shown == {"number": "H 3.8 mm", "place": "H 3.8 mm", "middle": "H 1.2 mm"}


def test_a_film_by_suffix_or_by_option(one: Path, tmp_path: Path) -> None:
    assert run(one, tmp_path / "a.mp4").exit_code == 0
    assert run(one, tmp_path / "b.mp4", "--mp4", "25").exit_code == 0
    for name, rate in (("a", 12), ("b", 25)):
        with av.open(str(tmp_path / f"{name}.mp4")) as container:
            assert container.streams.video[0].average_rate == rate
            assert len(list(container.decode(video=0))) == 6


@pytest.mark.parametrize(
    ("name", "more"), [("a.mp4", ()), ("out", ("--mp4", "5")), ("out", ("--format", "mp4"))]
)
def test_a_film_without_the_extra_is_an_error_before_anything_is_read(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, more: tuple[str, ...]
) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr("hounsfield.cli.loading.scanned", lambda *_, **__: pytest.fail("it was read"))
    result = run(two, tmp_path / name, *more)
    assert result.exit_code == 1 and 'pip install "hounsfield[film]"' in result.output
    assert not (tmp_path / name).exists()


def test_a_folder_gets_a_picture_of_each_series_and_a_reason_for_each_other(
    two: Path, tmp_path: Path
) -> None:
    result = run(two, tmp_path / "out", "--json", "--format", "jpg")
    assert result.exit_code == 1
    made, not_made = json.loads(result.output)["pictures"]
    assert made["output"] == str(tmp_path / "out" / "1-Head-头.jpg")
    assert made["reason"] == ""
    assert not_made["status"] == "failed"
    assert "--gaps" in not_made["reason"]
    assert pictures(tmp_path / "out") == ["1-Head-头.jpg"]


def test_missing_slices_are_bridged_on_request(two: Path, tmp_path: Path) -> None:
    result = run(two, tmp_path / "out", "--gaps", "interpolate", "--mp4", "5")
    assert result.exit_code == 0
    assert pictures(tmp_path / "out") == ["1-Head-头.mp4", "2-Head-头.mp4"]


def test_series_of_the_same_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for seed in (1, 2):
        write(replace(SMALL, seed=seed), tmp_path / "in" / str(seed))
    assert run(tmp_path / "in", tmp_path / "out").exit_code == 0
    assert pictures(tmp_path / "out") == ["1-Phantom-2.png", "1-Phantom.png"]


def test_several_series_and_one_file_is_a_choice_to_make(two: Path, tmp_path: Path) -> None:
    result = run(two, tmp_path / "a.png")
    assert result.exit_code == 1
    assert "2 series" in result.stderr
    assert "--series" in result.stderr
    assert run(two, tmp_path / "a.png", "--series", "1").exit_code == 0


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.gif", (), ".png, .jpg, .jpeg, .mp4"),
        ("a.png", ("--mp4", "5"), "no film by the suffix '.png'"),
        ("a.png", ("--slice", "7"), "no slice 7 (expected 1 … 6)"),
        ("a.png", ("--slice", "900mm"), "no plane at 900 mm"),
        ("a.png", ("--window", "lumg"), "no window 'lumg'"),
        ("a.png", ("--window", "40/0"), "width at least 1"),
        ("a.png", ("--size", "0"), "a size of 0 pixels"),
        ("a.png", ("--mip", "--slab", "0"), "a slab of 0 mm"),
    ],
)
def test_errors_are_one_line_and_leave_nothing(
    one: Path, tmp_path: Path, name: str, options: tuple[str, ...], message: str
) -> None:
    result = run(one, tmp_path / name, *options)
    assert result.exit_code == 1
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "options",
    [
        ("--montage", "4"),
        ("--montage", "4x"),
        ("--slice", "0"),
        ("--slice", "last"),
        ("--plane", "oblique"),
        ("--mip", "--planes"),
        ("--montage", "2x2", "--mp4", "5"),
        ("--montage", "2x2", "--mp4", "0"),
        ("--format", "png", "--mp4", "5"),
        ("--format", "mp4", "--planes"),
        ("--slab", "5"),
        ("--quality", "0"),
    ],
)
def test_wrong_usage_is_status_2(one: Path, tmp_path: Path, options: tuple[str, ...]) -> None:
    assert run(one, tmp_path / "a.png", *options).exit_code == 2


def test_a_film_of_no_pictures_a_second_is_no_picture_either(one: Path, tmp_path: Path) -> None:
    result = run(one, tmp_path / "out", "--mp4", "0")
    assert result.exit_code == 1
    assert "0 pictures a second" in result.output
    assert pictures(tmp_path / "out") == []


def test_an_existing_picture_is_kept_without_force(one: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_text("mine")
    result = run(one, tmp_path / "a.png")
    assert result.exit_code == 1
    assert "--force" in result.stderr
    assert (tmp_path / "a.png").read_text() == "mine"
    assert run(one, tmp_path / "a.png", "--force").exit_code == 0


def test_real_series_become_pictures_and_localizers_do_not(real_data: Path, tmp_path: Path) -> None:
    result = run(real_data / "philips_phantom", tmp_path / "out", "--json")
    assert result.exit_code == 0
    rows = json.loads(result.output)["pictures"]
    made = [row for row in rows if row["status"] == "made"]
    assert sorted(row["shape"][0] for row in made) == [28, 54, 140]
    assert any("localizer" in row["reason"] for row in rows if row["status"] == "left out")
    for row in made:
        with Image.open(row["output"]) as image:
            assert image.text["Window"] == "center 40, width 80, LINEAR"  # type: ignore[attr-defined]
