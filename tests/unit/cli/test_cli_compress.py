"""`hounsfield compress` as it is typed."""

from __future__ import annotations

import json
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from test_transcode import float_map, image, phantom, saved, segmentation, video

from hounsfield.cli import main
from hounsfield.ct.instance import FileSource, read_instance


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compress", *map(str, arguments)])


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    folder = tmp_path / "scan"
    for index, name in enumerate(("a/1.dcm", "a/b/2.dcm", "3.dcm")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(image(phantom(), SOPInstanceUID=f"1.2.{index}")))
    (folder / "README.txt").write_text("not an image")
    return folder


def test_a_folder_keeps_its_shape(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "small"
    result = typed(scan, out, "--to", "jpeg-ls")
    assert result.exit_code == 0, result.output
    assert "explicit → jpeg-ls" in result.output and "3 written" in result.output
    made = sorted(str(path.relative_to(out)) for path in out.rglob("*.dcm"))
    assert made == ["3.dcm", "a/1.dcm", "a/b/2.dcm"]
    assert read_instance(FileSource(out / "a/b/2.dcm")).syntax.keyword == "jpeg-ls"
    assert "3 present" in typed(scan, out, "--to", "jpeg-ls").output


def test_a_file_becomes_a_file_by_uid_too(scan: Path, tmp_path: Path) -> None:
    assert typed(scan / "3.dcm", tmp_path / "x.dcm", "--to", "1.2.840.10008.1.2.4.201").exit_code == 0
    assert read_instance(FileSource(tmp_path / "x.dcm")).syntax.keyword == "htj2k"


def test_a_zip_becomes_a_folder(scan: Path, tmp_path: Path) -> None:
    archive = tmp_path / "scan.zip"
    with zipfile.ZipFile(archive, "w") as writer:
        for path in sorted(scan.rglob("*.dcm")):
            writer.write(path, path.relative_to(scan))
    result = typed(archive, tmp_path / "out", "--to", "rle")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "out" / "a" / "b" / "2.dcm").is_file()


def test_a_dicomdir_gives_what_it_names_in_the_same_shape(real_data: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    (folder / "S21570").parent.mkdir()
    shutil.copytree(real_data / "philips_phantom" / "S21570" / "S1000", folder / "S21570" / "S1000")
    shutil.copy(real_data / "philips_phantom" / "DICOMDIR", folder / "DICOMDIR")
    result = typed(folder / "DICOMDIR", tmp_path / "out", "--to", "jpeg-ls")
    assert result.exit_code == 0, result.output
    made = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("I*")}
    assert made == {str(path.relative_to(folder)) for path in folder.rglob("I*") if path.is_file()}


def test_lossy_is_told_in_units(scan: Path, tmp_path: Path) -> None:
    result = typed(scan, tmp_path / "out", "--to", "jpeg-ls-near", "--max-error", "2", "--json")
    assert result.exit_code == 0, result.output
    files = json.loads(result.output)["files"]
    assert [file["max_error"] for file in files if file["status"] == "written"] == [2.0] * 3
    assert all(file["psnr"] > 30 for file in files if file["status"] == "written")


def test_outputs_are_named_as_the_folder_was_typed(
    scan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    told = json.loads(typed("scan", "small", "--to", "rle", "--json").output)
    made = [file["out"] for file in told["files"] if file["status"] == "written"]
    assert made == [str(Path("small", name)) for name in ("3.dcm", "a/1.dcm", "a/b/2.dcm")]
    assert [series["output"] for series in told["series"]] == ["small"]


def test_a_failure_is_named_and_in_the_status_and_the_rest_is_done(scan: Path, tmp_path: Path) -> None:
    cut = scan / "a" / "1.dcm"
    cut.write_bytes(cut.read_bytes()[:-100])
    result = typed(scan, tmp_path / "out", "--to", "htj2k")
    assert result.exit_code == 1
    assert "1.dcm" in result.output and "frame 1" in result.output
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 2


def test_auto_table_is_overridable(scan: Path, tmp_path: Path) -> None:
    assert typed(scan, tmp_path / "out", "--to", "auto", "--auto", "CT=htj2k").exit_code == 0
    assert read_instance(FileSource(tmp_path / "out" / "3.dcm")).syntax.keyword == "htj2k"
    assert typed(scan, tmp_path / "out2", "--to", "auto", "--auto", "CT").exit_code == 2


@pytest.mark.parametrize("suffix", [".svg", ".png"])
def test_an_estimate_names_every_syntax_and_draws_itself(suffix: str, scan: Path, tmp_path: Path) -> None:
    plot = tmp_path / f"costs{suffix}"
    result = typed(scan, "--estimate", "--plot", plot)
    assert result.exit_code == 0, result.output
    for keyword in ("jpeg-ls", "htj2k", "jpeg-xl", "rle", "jpeg-ls-near", "3 images"):
        assert keyword in result.output
    assert "not jpeg-extended" in result.output  # 16 bits stored
    head = plot.read_bytes()[:8]
    assert head.startswith(b"<svg") if suffix == ".svg" else head == b"\x89PNG\r\n\x1a\n"
    assert f"size against error: {plot}" in result.output
    assert typed(scan, "--estimate", "--plot", plot).exit_code == 1


def test_a_plot_in_no_known_format_is_refused_before_anything_is_measured(scan: Path, tmp_path: Path) -> None:
    result = typed(tmp_path, "--estimate", "--plot", tmp_path / "costs.gif")  # nothing there to measure
    assert result.exit_code == 1
    assert "no plot by the suffix '.gif'" in result.output


def test_an_estimate_is_data_too(scan: Path) -> None:
    told = json.loads(typed(scan, "--estimate", "--json").output)
    near = [cost for cost in told["costs"] if cost["syntax"] == "jpeg-ls-near"]
    assert told["images"] == 3 and told["native_bytes"] == 3 * 96 * 96 * 2
    assert [cost["max_error"] for cost in near] == [1, 2, 4, 8, 16]
    assert near[0]["bytes"] > near[-1]["bytes"]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("OUT",),
        ("OUT", "--to", "jpeg-ls", "--plot", "x.svg"),
        ("OUT", "--to", "jpeg-ls", "--effort", "12"),
        ("OUT", "--to", "jpeg-ls", "--effort", "3"),
        ("OUT", "--estimate"),
        ("--estimate", "--to", "jpeg-ls"),
    ],
)
def test_wrong_usage_is_told_as_such(arguments: tuple[str, ...], scan: Path, tmp_path: Path) -> None:
    given = [tmp_path / "out" if argument == "OUT" else argument for argument in arguments]
    assert typed(scan, *given).exit_code == 2


@pytest.mark.parametrize("options", [("jpeg-ls-near",), ("jpeg-ls", "--ratio", "3"), ("no-such",)])
def test_goals_that_cannot_be_are_one_line(options: tuple[str, ...], scan: Path, tmp_path: Path) -> None:
    result = typed(scan, tmp_path / "out", "--to", *options)
    assert result.exit_code == 1 and result.output.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_is_not_compressed_into_itself(scan: Path) -> None:
    result = typed(scan, scan / "small", "--to", "rle")
    assert result.exit_code == 1 and "within" in result.output


@pytest.mark.parametrize("mirror", [(), ("--mirror",)])
def test_nor_by_a_link_that_leads_into_it(mirror: tuple[str, ...], scan: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(scan)
    for source, out in ((scan, tmp_path / "link" / "out"), (tmp_path / "link", scan / "out")):
        result = typed(source, out, "--to", "auto", *mirror)
        assert result.exit_code == 1 and "lies within" in result.output
    assert not (scan / "out").exists()


@pytest.mark.parametrize(
    "goal",
    [
        ("--max-error", "nan"),
        ("--max-error", "inf"),
        ("--ratio", "nan"),
        ("--ratio", "inf"),
        ("--ratio", "1"),
        ("--quality", "nan"),
        ("--quality", "100.5"),
    ],
)
def test_a_goal_is_a_number_that_can_be_met(goal: tuple[str, str], scan: Path, tmp_path: Path) -> None:
    result = typed(scan, tmp_path / "out", "--to", "jpeg2000-lossy", *goal)
    assert result.exit_code == 1 and "a goal of" in result.output and "bug" not in result.output
    assert not list((tmp_path / "out").rglob("*.dcm"))
    assert typed(scan, tmp_path / "out", "--to", "jpeg2000-lossy", "--quality", "100").exit_code == 0


def test_a_pace_is_a_finite_number(scan: Path, tmp_path: Path) -> None:
    for value in ("nan", "inf", "0"):
        assert typed(scan, tmp_path / "out", "--to", "rle", "--max-mb-s", value).exit_code == 2


def test_a_location_without_dicom_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(9):
        (tmp_path / "in" / f"{number}.bin").write_bytes(b"nothing of the kind")
    result = typed(tmp_path / "in", tmp_path / "out", "--to", "rle")
    assert result.exit_code == 1
    assert "9 × not DICOM" in result.output and result.output.count("\n") == 3


@pytest.mark.skipif(sys.platform == "win32", reason="no locks that tell of other writers")
def test_a_second_run_removes_what_a_killed_one_left_and_goes_on(scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert typed(scan, out, "--to", "rle").exit_code == 0
    (first, *_) = sorted(path for path in out.rglob("*") if path.is_file())
    left = first.with_name(f".0123456789ab.partial.{first.name}")
    first.rename(left)
    result = typed(scan, out, "--to", "rle")
    assert result.exit_code == 0 and "present" in result.output
    assert first.exists() and not left.exists()


def test_a_second_run_of_which_nothing_is_left_to_do_shows_no_empty_table(scan: Path, tmp_path: Path) -> None:
    assert "Syntax" in typed(scan, tmp_path / "out", "--to", "rle").output
    assert "Syntax" not in typed(scan, tmp_path / "out", "--to", "rle").output


def test_a_file_goes_into_a_folder_that_is_to_be_made_where_a_slash_says_so(
    scan: Path, tmp_path: Path
) -> None:
    file = next(path for path in scan.rglob("*.dcm"))
    assert typed(file, f"{tmp_path}/new/", "--to", "rle").exit_code == 0
    assert (tmp_path / "new" / file.name).is_file()


def test_files_of_a_zip_that_would_have_one_name_do_not_replace_each_other(
    scan: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for name, file in (("1.dcm", "a/1.dcm"), ("../1.dcm", "a/b/2.dcm")):
            archive.write(scan / file, name)
    result = typed(tmp_path / "scan.zip", tmp_path / "out", "--to", "rle", "--force")
    assert result.exit_code == 0
    found = {
        read_instance(FileSource(path)).header.text("SOPInstanceUID")
        for path in (tmp_path / "out").glob("1*")
    }
    assert found == {"1.2.0", "1.2.1"}


def test_errors_are_told_in_what_the_values_are(tmp_path: Path) -> None:
    source = tmp_path / "ct"
    source.mkdir()
    (source / "1.dcm").write_bytes(saved(image(phantom())))
    told = typed(source, tmp_path / "out", "--to", "jpeg-ls-near", "--max-error", "2")
    assert "2 HU" in told.output
    colour = image(phantom(200, "u1"), SamplesPerPixel=3, PhotometricInterpretation="RGB", Modality="US")
    colour.PlanarConfiguration, colour.PixelData = (
        0,
        np.repeat(phantom(200, "u1")[..., None], 3, axis=-1).tobytes(),
    )
    (source / "1.dcm").write_bytes(saved(colour))
    told = typed(source, tmp_path / "colour", "--to", "jpeg", "--quality", "80")
    assert "grey levels" in told.output and "HU" not in told.output
    assert "grey levels" in (tmp_path / "colour" / "hounsfield.html").read_text("utf-8")


def slices(folder: Path, keyword: str = "CT") -> list[int]:
    """A series whose slices are hard and easy to compress, and their native sizes."""
    folder.mkdir()
    noise = np.random.default_rng(2)
    for number in range(6):
        array = phantom() if number % 2 else np.full((96, 96), 40, "u2")
        array = array + noise.integers(0, 2 + 60 * number, array.shape).astype("u2")
        (folder / f"{number}.dcm").write_bytes(
            saved(image(array, SOPInstanceUID=f"1.2.3.{number}", InstanceNumber=number, Modality=keyword))
        )
    return [96 * 96 * 2] * 6


@pytest.mark.parametrize("keyword", ["jpeg-ls-near", "htj2k-lossy"])
def test_a_ratio_is_that_of_the_series_at_one_rate(keyword: str, tmp_path: Path) -> None:
    native = slices(tmp_path / "scan")
    result = typed(tmp_path / "scan", tmp_path / "out", "--to", keyword, "--ratio", "5", "--json")
    assert result.exit_code == 0, result.output
    files = json.loads(result.stdout)["files"]
    assert [each["status"] for each in files] == ["written"] * 6
    total = sum(native) / sum(each["stored_bytes"] for each in files)
    assert abs(total / 5 - 1) <= 0.10
    ratios = [each["ratio"] for each in files]
    assert max(ratios) > 1.5 * min(ratios)  # no slice is pressed to it by itself
    if keyword == "jpeg-ls-near":
        errors = [each["max_error"] for each in files]
        assert max(errors) <= 1.5 * min(errors)  # one bound, which not every slice reaches
    assert typed(tmp_path / "scan", tmp_path / "out", "--to", keyword, "--ratio", "5").output.startswith(
        "6 present"
    )
    alone = typed(tmp_path / "scan", tmp_path / "each", "--to", keyword, "--ratio", "5", "--each", "--json")
    for each in json.loads(alone.stdout)["files"]:
        assert each["status"] == "failed" or abs(each["ratio"] / 5 - 1) <= 0.10


def test_a_ratio_that_a_series_cannot_have_is_told_of_each_file(tmp_path: Path) -> None:
    slices(tmp_path / "scan")
    result = typed(tmp_path / "scan", tmp_path / "out", "--to", "jpeg-ls-near", "--ratio", "900")
    assert result.exit_code == 1 and "over this series" in result.output
    assert not list((tmp_path / "out").glob("*.dcm"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("s3://bucket/scan", "--to", "jpeg-ls"), "copy"),
        (("OUT", "--to", "jpeg-ls", "--each"), "--ratio"),
        (("OUT", "--to", "auto", "--auto", "CT=htj2k-lossy"), "htj2k-lossy loses something"),
    ],
)
def test_what_would_be_ignored_or_misplaced_is_refused(
    arguments: tuple[str, ...], told: str, scan: Path, tmp_path: Path
) -> None:
    result = typed(scan, *(tmp_path / each if each in ("OUT", "B") else each for each in arguments))
    assert result.exit_code in (1, 2) and told in result.output
    assert not Path("s3:").exists()


def test_auto_takes_a_lossy_syntax_with_its_goal(scan: Path, tmp_path: Path) -> None:
    options = ("--to", "auto", "--auto", "CT=jpeg-ls-near", "--max-error", "3")
    assert typed(scan, tmp_path / "out", *options).exit_code == 0
    assert read_instance(FileSource(tmp_path / "out" / "3.dcm")).syntax.keyword == "jpeg-ls-near"


def test_a_mixed_tree_through_auto_has_no_holes(tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    tree.mkdir()
    contents = {"seg": segmentation(), "map": float_map(), "film": video(), "ct": saved(image(phantom()))}
    contents["dose"] = saved(image(np.arange(96 * 96, dtype="u4").reshape(96, 96) * 7, Modality="RTDOSE"))
    for name, content in contents.items():
        (tree / f"{name}.dcm").write_bytes(content)
    result = typed(tree, tmp_path / "out", "--to", "auto")
    assert result.exit_code == 0, result.output
    assert {path.stem for path in (tmp_path / "out").glob("*.dcm")} == set(contents)
    for name in ("seg", "map", "film"):
        assert (tmp_path / "out" / f"{name}.dcm").read_bytes() == contents[name]
        assert f"{name}.dcm" in result.output
    assert "as rle: jpeg-ls does not hold unsigned 32-bit" in result.output


def test_an_estimate_of_a_mixed_folder_is_not_judged_by_one_frame(tmp_path: Path) -> None:
    for number, dtype in enumerate(("u2", "u4", "u2", "u4")):
        dataset = image(phantom(dtype=dtype), SOPInstanceUID=f"1.2.{number}")
        (tmp_path / f"{number}.dcm").write_bytes(saved(dataset))
    told = json.loads(typed(tmp_path, "--estimate", "--json").output)
    costs = {cost["syntax"]: cost for cost in told["costs"]}
    assert (costs["jpeg-ls"]["held"], costs["rle"]["held"], told["sampled"]) == (2, 4, 4)
    deep = 2 * 96 * 96 * 4  # bytes that stay as they are
    assert deep < costs["jpeg-ls"]["bytes"] < told["stored_bytes"]
    assert "jpeg-ls holds 2 of the 4 samples" in typed(tmp_path, "--estimate").output
