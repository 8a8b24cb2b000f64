"""Copies in another transfer syntax, in one pass, between folders, archives, servers and buckets."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner, Result
from pydicom.encaps import generate_frames
from stub_archive import stub_archive
from test_export_buckets import bucket, endpoint

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.ct.instance import FileSource, read_instance
from hounsfield.locations import open_location
from hounsfield.outputs.results import word_of
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.verify import compare_all

__all__ = ["bucket", "endpoint"]  # fixtures

LOSSY = ("--to", "jpeg-ls-near", "--max-error", "2")


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["copy", *map(str, arguments)])


def told(*arguments: object) -> dict[str, Any]:
    done = typed(*arguments, "--json")
    assert done.stdout, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def statuses(old: object, new: object) -> set[str]:
    found = compare_all(open_location(str(old)), open_location(str(new)))
    return {word_of("verify", each.status, each.facts) for each in found} - {"left out"}


def syntaxes(folder: Path) -> set[str]:
    return {read_instance(FileSource(path)).syntax.keyword for path in folder.rglob("*.dcm")}


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    for seed in range(2):
        phantom.write(
            PhantomSpec(rows=24, columns=24, slices=3, seed=seed, series_number=seed),
            tmp_path / "scan" / str(seed),
        )
    return tmp_path / "scan"


@pytest.mark.parametrize(
    "options", [("--to", "jpeg-ls"), LOSSY, ("--to", "auto")], ids=["lossless", "lossy", "auto"]
)
def test_a_folder_to_a_folder(options: tuple[str, ...], scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = told(scan, out, *options)
    assert first["complete"] and first["moved"] == 6
    assert syntaxes(out) == {"jpeg-ls-near" if options == LOSSY else "jpeg-ls"}
    assert statuses(scan, out) == {"lossy" if options == LOSSY else "same"}
    before = {path: path.stat().st_ino for path in out.rglob("*.dcm")}
    again = told(scan, out, *options)
    assert again["complete"] and (again["moved"], again["present"]) == (0, 6)
    assert all(series["kept"] for series in again["series"])
    assert {path: path.stat().st_ino for path in out.rglob("*.dcm")} == before


def test_a_ratio_is_that_of_the_series_unless_each_image_is_asked(tmp_path: Path) -> None:
    spec = PhantomSpec(rows=96, columns=96, slices=8, noise=12.0)
    phantom.write(spec, tmp_path / "scan")
    ratio = ("--to", "htj2k-lossy", "--ratio", "6")
    out, each = tmp_path / "series", tmp_path / "each"
    assert told(tmp_path / "scan", out, *ratio)["complete"]
    assert told(tmp_path / "scan", each, *ratio, "--each")["complete"]
    native = 96 * 96 * 2
    sizes = {folder: [len(pixels(path)) for path in sorted(folder.rglob("*.dcm"))] for folder in (out, each)}
    assert 8 * native / sum(sizes[out]) == pytest.approx(6, rel=0.1)
    assert all(native / size == pytest.approx(6, rel=0.1) for size in sizes[each])
    again = told(tmp_path / "scan", out, *ratio)
    assert (again["moved"], again["present"]) == (0, 8)
    made, _ = (typed(tmp_path / "scan", tmp_path / name, "--to", "rle", "--each") for name in "ab")
    assert made.exit_code == 2 and "goes with --ratio" in made.output


def pixels(path: Path) -> bytes:
    return next(iter(generate_frames(pydicom.dcmread(path).PixelData, number_of_frames=1)))


@pytest.mark.parametrize("options", [("--to", "htj2k"), LOSSY], ids=["lossless", "lossy"])
def test_only_what_is_missing_moves(options: tuple[str, ...], scan: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    told(scan, out, *options)
    gone = sorted(out.rglob("*.dcm"))[0]
    gone.unlink()
    again = told(scan, out, *options)
    assert again["complete"] and (again["moved"], again["present"]) == (1, 5)
    assert gone.is_file()


def test_an_archive_file_to_a_folder(scan: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "scan.zip", "w") as archive:
        for path in sorted(scan.rglob("*.dcm")):
            archive.write(path, path.relative_to(scan))
    assert told(tmp_path / "scan.zip", tmp_path / "out", "--to", "rle")["moved"] == 6
    assert syntaxes(tmp_path / "out") == {"rle"} and statuses(scan, tmp_path / "out") == {"same"}


@pytest.mark.parametrize("options", [("--to", "jpeg-ls"), LOSSY], ids=["lossless", "lossy"])
def test_a_server_to_a_folder(options: tuple[str, ...], scan: Path, tmp_path: Path) -> None:
    with stub_archive([path.read_bytes() for path in sorted(scan.rglob("*.dcm"))]) as server:
        assert told(server.url, tmp_path / "out", *options)["moved"] == 6
        again = told(server.url, tmp_path / "out", *options)
        assert (again["moved"], again["present"]) == (0, 6)
    assert statuses(scan, tmp_path / "out") == {"lossy" if options == LOSSY else "same"}
    assert not list((tmp_path / "out").rglob(".*partial*"))


@pytest.mark.parametrize("options", [("--to", "jpeg-ls"), LOSSY], ids=["lossless", "lossy"])
def test_a_folder_to_a_server(options: tuple[str, ...], scan: Path, tmp_path: Path) -> None:
    with stub_archive([]) as server:
        assert told(scan, server.url, *options)["moved"] == 6
        assert told(scan, server.url, *options)["present"] == 6
        told(server.url, tmp_path / "back")
    assert statuses(scan, tmp_path / "back") == {"lossy" if options == LOSSY else "same"}
    assert syntaxes(tmp_path / "back") == {"jpeg-ls-near" if options == LOSSY else "jpeg-ls"}


@pytest.mark.parametrize("options", [("--to", "jpeg-ls"), LOSSY], ids=["lossless", "lossy"])
def test_into_a_bucket_and_out_of_it(
    options: tuple[str, ...], bucket: str, scan: Path, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    address = f"{bucket}/{request.node.name}"
    first = told(scan, address, *options)
    assert first["complete"] and first["moved"] == 6, first
    assert told(scan, address, *options)["present"] == 6
    assert statuses(scan, address) == {"lossy" if options == LOSSY else "same"}
    assert told(address, tmp_path / "out", "--to", "explicit")["moved"] == 6
    assert statuses(address, tmp_path / "out") == {"same"}


def test_a_bucket_is_a_location_of_every_verb(bucket: str, scan: Path, tmp_path: Path) -> None:
    address = f"{bucket}/every-verb"
    assert told(scan, address)["moved"] == 6
    for command in (
        ["info", address],
        ["compress", address, "--plan"],
        ["compress", address, str(tmp_path / "out"), "--to", "rle"],
    ):
        done = CliRunner().invoke(main, command)
        assert done.exit_code == 0, done.output
    assert statuses(scan, tmp_path / "out") == {"same"}


def test_a_ledger_stands_for_a_bucket_too(bucket: str, scan: Path, tmp_path: Path) -> None:
    options = (f"{bucket}/ledger", "--to", "rle", "--ledger", tmp_path / "run" / "hounsfield.jsonl")
    told(scan, *options)
    assert all(series["kept"] for series in told(scan, *options)["series"])
    other = (f"{bucket}/ledger", "--to", "jpeg-ls", "--ledger", tmp_path / "run" / "hounsfield.jsonl")
    assert not any(series["kept"] for series in told(scan, *other)["series"])


def test_a_bucket_that_is_not_there_is_one_line(bucket: str, scan: Path) -> None:
    for command in ((scan, "s3://no-such-bucket/x", "--to", "rle"), ("s3://no-such-bucket/x", scan / "out")):
        done = typed(*command)
        assert done.exit_code == 1 and "bucket" in done.output and "Traceback" not in done.output


def test_what_cannot_be_recoded_is_named_and_the_rest_goes_on(scan: Path, tmp_path: Path) -> None:
    cut = sorted(scan.rglob("*.dcm"))[0]
    cut.write_bytes(cut.read_bytes()[:-40])
    found = told(scan, tmp_path / "out", "--to", "htj2k")
    assert (found["moved"], found["failed"]) == (5, 1) and not found["complete"]
    assert any("not recoded" in each["reason"] for each in found["told"])


def test_a_policy_decides_on_the_way_too(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "policy.toml").write_text(
        '[[rule]]\nmodality = "CT"\nto = "jpeg-ls-near"\nmax_error = 1\n', "utf-8"
    )
    for moved, present in ((6, 0), (0, 6)):
        found = told(scan, tmp_path / "out", "--policy", tmp_path / "policy.toml")
        assert (found["moved"], found["present"]) == (moved, present)
    assert syntaxes(tmp_path / "out") == {"jpeg-ls-near"}


@pytest.mark.parametrize(
    "options",
    [
        ("--ratio", "3"), ("--to", "jpeg-ls-near"), ("--to", "rle", "--verify"), ("--to", "rle", "--effort", "3"),
        ("--to", "rle", "--cluster", "tcp://127.0.0.1:1"), ("--to", "rle", "--auto", "CT=rle"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(options: tuple[str, ...], scan: Path, tmp_path: Path) -> None:
    assert typed(scan, tmp_path / "out", *options).exit_code in (1, 2)
    assert not (tmp_path / "out").exists()
