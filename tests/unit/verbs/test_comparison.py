"""Two places held against each other: what is equal is found equal in any form, and every difference is found."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
import zipfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner, Result
from dicom_frames import PYDICOM_FILES
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from test_transcode import image, phantom, readable, saved

from hounsfield.cli import main
from hounsfield.ct.instance import BytesSource, FileSource
from hounsfield.dicom.syntaxes import SYNTAXES
from hounsfield.errors import HounsfieldError
from hounsfield.locations import open_location
from hounsfield.outputs.results import word_of
from hounsfield.transcode import target, transcode
from hounsfield.transcode.proving import Proof, compare, frame_hash, frame_hashes, values_of
from hounsfield.verbs.verify import COLUMNS, compare_all, write_audit

LOSSLESS = [s.keyword for s in SYNTAXES.values() if s.writable and s.lossless]


def held(old: bytes, new: bytes) -> Proof:
    return compare(BytesSource("old", old), BytesSource("new", new))


def small(content: bytes, keyword: str, **goals: Any) -> bytes:
    return transcode(BytesSource("old", content), target(keyword, **goals)).content


@pytest.mark.parametrize("keyword", LOSSLESS)
def test_whatever_is_lossless_is_found_the_same(keyword: str) -> None:
    checked = 0
    for path in sorted(PYDICOM_FILES.glob("*.dcm")):
        if not readable(path):
            continue
        try:
            content = small(path.read_bytes(), keyword)
        except HounsfieldError:
            continue
        proof = compare(FileSource(path), BytesSource("new", content))
        assert proof.status == "same", (path.name, proof)
        assert all(frame.old == frame.new and not frame.max_error for frame in proof.frames)
        checked += bool(proof.frames)
    assert checked >= 5


@pytest.mark.parametrize("dtype", ["u1", "i1", "u2", "i2"])
def test_one_cell_that_is_off_is_found_in_its_frame_with_its_error(dtype: str) -> None:
    array = np.stack([phantom(100, dtype)] * 3)
    other = array.copy()
    other[1, 5, 6] += 7
    proof = held(saved(image(array, RescaleSlope="2")), small(saved(image(other, RescaleSlope="2")), "rle"))
    assert proof.status == "different" and "1 of 3 frames" in proof.reason
    assert [frame.max_error for frame in proof.frames] == [0, 14, 0]
    assert [frame.old == frame.new for frame in proof.frames] == [True, False, True]


def test_a_wrapped_sign_is_the_whole_range_off() -> None:
    array = np.full((8, 8), -32768, "i2")
    other = array.copy()
    other[0, 0] = 32767
    assert held(saved(image(array)), saved(image(other))).max_error == 65535


def test_values_are_bits_stored_with_their_sign_whatever_lies_around_them() -> None:
    array = np.array([[0x0FFF, 0xF7FF], [0xA800, 0x0000]], "u2")
    dataset = image(array, BitsStored=12, HighBit=11, PixelRepresentation=1)
    from hounsfield.ct.instance import read_instance
    from hounsfield.transcode.pixels import open_pixels

    content = saved(dataset)
    pixels = open_pixels(content, read_instance(BytesSource("x", content)).header)
    assert pixels is not None
    assert values_of(pixels.cells(0), pixels.decoded_format).tolist() == [[-1, 2047], [-2048, 0]]
    clean = image(np.array([[-1, 2047], [-2048, 0]], "i2"), BitsStored=12, HighBit=11)
    proof = held(content, saved(clean))
    assert proof.status == "same" and proof.frames[0].old == proof.frames[0].new


def test_a_hash_is_of_values_and_not_of_how_they_lie_in_memory() -> None:
    values = np.arange(12, dtype="<u2").reshape(3, 4)
    assert frame_hash(values) == frame_hash(values.astype(">u2")) == frame_hash(np.asfortranarray(values))
    assert frame_hash(values) != frame_hash(values.T)


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("PatientName", "Other^Name"), ("RescaleIntercept", "-1000"), ("RescaleSlope", None),
        ("SOPInstanceUID", "1.2.3.5"), ("WindowCenter", "40"), ("SmallestImagePixelValue", 0),
    ],
)  # fmt: skip
def test_an_attribute_that_differs_is_named(keyword: str, value: object) -> None:
    old, new = image(phantom()), image(phantom())
    if value is None:
        del new[keyword]
    else:
        setattr(new, keyword, value)
    proof = held(saved(old), small(saved(new), "jpeg-ls"))
    tag = pydicom.tag.Tag(keyword)
    assert proof.status == "different" and proof.attributes == (f"({tag.group:04X},{tag.element:04X})",)


def test_an_instance_without_pixels_is_compared_by_its_attributes() -> None:
    report = image(phantom(), Modality="SR")
    del report.PixelData
    old, new = saved(report), small(saved(image(phantom(), Modality="SR")), "deflated")
    deflated = pydicom.dcmread(io.BytesIO(new))
    del deflated.PixelData
    buffer = io.BytesIO()
    deflated.save_as(buffer)
    assert held(old, buffer.getvalue()).status == "same" and buffer.getvalue() != old
    assert frame_hashes(BytesSource("old", old)) == ()
    report.PatientID = "another"
    assert held(old, saved(report)).attributes == ("(0010,0020)",)
    assert "pixels are missing from the old file" in held(old, new).reason


def test_private_attributes_and_values_within_sequences_count() -> None:
    def made(private: bytes, text: str) -> bytes:
        dataset = image(phantom())
        dataset.private_block(0x0029, "HOUSE", create=True).add_new(1, "OB", private)
        item = Dataset()
        item.ReferencedSOPInstanceUID = text
        dataset.ReferencedImageSequence = Sequence([item])
        return saved(dataset)

    old = made(b"\1\2", "1.2")
    assert held(old, small(old, "htj2k")).status == "same"
    assert held(old, made(b"\1\0", "1.2")).attributes == ("(0029,1001)",)
    assert held(old, made(b"\1\2", "1.3")).attributes == ("(0008,1140)",)


def test_lengths_of_sequences_may_be_written_in_two_ways() -> None:
    dataset = image(phantom())
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2"
    dataset.ReferencedImageSequence = Sequence([item])
    old = saved(dataset)
    dataset["ReferencedImageSequence"].is_undefined_length = True
    new = saved(dataset)
    assert old != new and held(old, new).status == "same"


@pytest.mark.parametrize("keyword", ["jpeg-ls-near", "jpeg2000-lossy", "htj2k-lossy"])
def test_a_declared_loss_is_told_with_its_largest_error(keyword: str) -> None:
    content = saved(image(phantom()))
    result = transcode(BytesSource("old", content), target(keyword, max_error=4))
    proof = held(content, result.content)
    assert proof.status == "lossy" and proof.max_error == result.max_error and proof.unit == "HU"
    assert proof.uid == "1.2.3.4" and proof.new_uid != proof.uid and not proof.attributes


def test_a_loss_that_is_not_declared_is_a_difference() -> None:
    content = saved(image(phantom()))
    lossy = pydicom.dcmread(io.BytesIO(small(content, "jpeg-ls-near", max_error=2)))
    lossy.LossyImageCompression = "00"
    buffer = io.BytesIO()
    lossy.save_as(buffer)
    assert held(content, buffer.getvalue()).status == "different"


def test_a_declared_loss_hides_no_other_difference() -> None:
    content = saved(image(phantom()))
    lossy = pydicom.dcmread(io.BytesIO(small(content, "jpeg-ls-near", max_error=2)))
    lossy.PatientID = "another"
    buffer = io.BytesIO()
    lossy.save_as(buffer)
    proof = held(content, buffer.getvalue())
    assert proof.status == "different" and proof.attributes == ("(0010,0020)",)


@pytest.mark.parametrize(
    "other", [np.zeros((2, 8, 8), "u2"), np.zeros((8, 4), "u2")], ids=["frames", "columns"]
)
def test_another_shape_is_a_difference(other: np.ndarray) -> None:
    assert held(saved(image(np.zeros((8, 8), "u2"))), saved(image(other))).status == "different"


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    folder = tmp_path / "old"
    for index, name in enumerate(("a/1.dcm", "a/2.dcm", "3.dcm")):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(saved(image(phantom(), SOPInstanceUID=f"1.2.{index}")))
    (folder / "README.txt").write_text("not an image")
    return folder


def result(old: Path, new: Path) -> dict[str, str]:
    found = compare_all(open_location(str(old)), open_location(str(new)))
    return {each.unit: word_of("verify", each.status, each.facts) for each in found}


def copied(scan: Path, out: Path, **goals: Any) -> Path:
    keyword = "jpeg-ls-near" if goals else "jpeg-ls"
    for path in scan.rglob("*.dcm"):
        there = out / path.relative_to(scan)
        there.parent.mkdir(parents=True, exist_ok=True)
        there.write_bytes(small(path.read_bytes(), keyword, **goals))
    return out


def test_files_are_paired_by_name(scan: Path, tmp_path: Path) -> None:
    found = result(scan, copied(scan, tmp_path / "new"))
    assert found == {
        "a/1.dcm": "same", "a/2.dcm": "same", "3.dcm": "same", "README.txt": "left out",
    }  # fmt: skip


@pytest.mark.parametrize("goals", [{}, {"max_error": 2}], ids=["lossless", "lossy"])
def test_files_are_paired_by_uid_where_their_names_differ(
    goals: dict[str, Any], scan: Path, tmp_path: Path
) -> None:
    new = copied(scan, tmp_path / "new", **goals)
    for number, path in enumerate(sorted(new.rglob("*.dcm"))):
        path.rename(new / f"other{number}.dcm")
    statuses = Counter(result(scan, new).values())
    assert statuses == {"lossy" if goals else "same": 3, "left out": 1}


def test_what_is_missing_broken_or_more_is_told(scan: Path, tmp_path: Path) -> None:
    new = copied(scan, tmp_path / "new")
    (new / "a/1.dcm").unlink()
    cut = new / "a/2.dcm"
    cut.write_bytes(cut.read_bytes()[:-200])
    (new / "more.dcm").write_bytes(saved(image(phantom(), SOPInstanceUID="9.9")))
    (new / "hounsfield.jsonl").write_text("{}\n")  # what a run leaves of itself is no file of the copy
    found = result(scan, new)
    assert found.pop("a/2.dcm") in ("failed", "different")
    assert {Path(name).name: status for name, status in found.items()} == {
        "1.dcm": "missing", "3.dcm": "same", "README.txt": "left out", "more.dcm": "extra",
    }  # fmt: skip


def test_a_carried_file_must_be_the_same_bytes(scan: Path, tmp_path: Path) -> None:
    new = tmp_path / "new"
    shutil.copytree(scan, new)
    assert set(result(scan, new).values()) == {"same"}
    (new / "README.txt").write_text("not an Image")
    assert result(scan, new)["README.txt"] == "different"


def test_an_archive_is_held_against_a_folder(scan: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "old.zip", "w") as archive:
        for path in sorted(scan.rglob("*.dcm")):
            archive.write(path, path.relative_to(scan))
    new = copied(scan, tmp_path / "new")
    for pair in ((tmp_path / "old.zip", new), (new, tmp_path / "old.zip")):
        assert set(result(*pair).values()) == {"same"}


def test_the_audit_has_a_row_for_each_frame(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    content = saved(image(np.stack([phantom(), phantom() + 1])))
    (tmp_path / "old/x").write_bytes(content)
    (tmp_path / "new/x").write_bytes(small(content, "htj2k"))
    stream = io.StringIO()
    places = (open_location(str(tmp_path / name)) for name in ("old", "new"))
    assert len(list(write_audit(compare_all(*places), stream))) == 1
    rows = list(csv.DictReader(io.StringIO(stream.getvalue())))
    assert list(rows[0]) == list(COLUMNS)
    assert [(row["frame"], row["status"], row["max_error"]) for row in rows] == [
        ("1", "same", "0"),
        ("2", "same", "0"),
    ]
    assert rows[0]["old_sha256"] == rows[0]["new_sha256"] != rows[1]["old_sha256"]
    assert len(rows[0]["old_sha256"]) == 64 and rows[0]["sop_instance_uid"] == "1.2.3.4"


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["verify", *map(str, arguments)])


def test_the_verb_says_that_all_is_the_same_and_writes_the_audit(scan: Path, tmp_path: Path) -> None:
    new = copied(scan, tmp_path / "new")
    done = typed(scan, new, "--csv", tmp_path / "audit.csv")
    assert done.exit_code == 0, done.output
    assert "4 files, 3 frames: 3 same, 1 left out" in done.output
    assert len((tmp_path / "audit.csv").read_text("utf-8").splitlines()) == 5
    assert typed(scan, new, "--csv", tmp_path / "audit.csv").exit_code == 1  # exists already
    assert typed(scan, new, "--csv", tmp_path / "audit.csv", "--force").exit_code == 0


@pytest.mark.skipif(sys.platform != "linux", reason="names are bytes on Linux only")
def test_names_that_are_no_text_are_told_all_the_same(scan: Path, tmp_path: Path) -> None:
    (scan / "3.dcm").rename(scan / os.fsdecode(b"\xff\xe9.dcm"))
    done = typed(scan, copied(scan, tmp_path / "new"), "--csv", tmp_path / "audit.csv")
    assert done.exit_code == 0, done.output
    assert "\\udcff" in (tmp_path / "audit.csv").read_text("utf-8")


def test_any_difference_is_in_the_status_and_named(scan: Path, tmp_path: Path) -> None:
    new = copied(scan, tmp_path / "new")
    (new / "3.dcm").unlink()
    done = typed(scan, new)
    assert done.exit_code == 1 and "missing" in done.output and "3.dcm" in done.output
    told = json.loads(typed(scan, new, "--json").stdout)
    assert told["verified"] is False and [each["status"] for each in told["told"]] == ["missing"]


@pytest.mark.parametrize(("allowed", "status"), [(None, 1), (1.99, 1), (2, 0)])
def test_a_loss_is_a_difference_unless_it_is_allowed(
    allowed: float | None, status: int, scan: Path, tmp_path: Path
) -> None:
    new = copied(scan, tmp_path / "new", max_error=2)
    options = [] if allowed is None else ["--max-error", allowed]
    done = typed(scan, new, *options)
    assert done.exit_code == status and "3 lossy" in done.output and "largest error 2" in done.output
    assert typed(scan, new, *options, "--lang", "zh").stdout.count("有损") >= 1


def test_nothing_at_all_proves_nothing(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
    assert typed(tmp_path / "old", tmp_path / "new").exit_code == 1


@pytest.mark.parametrize("option", [("--rate", "5"), ("--restart",), ("--store", "x")])
def test_options_of_an_archive_are_refused_for_two_places(option: tuple[str, ...], scan: Path) -> None:
    assert typed(scan, scan, *option).exit_code == 2


@pytest.mark.parametrize("option", [("--csv", "x"), ("--max-error", "5"), ("--workers", "2"), ("--force",)])
def test_options_of_two_places_are_refused_for_an_archive(option: tuple[str, ...], scan: Path) -> None:
    done = typed(scan, *option)
    assert done.exit_code == 2 and "not for an archive alone" in done.output
