"""Changed copies that keep every other byte: `hounsfield.attributes.write_edited` and `hounsfield tags --set`."""

from __future__ import annotations

import io
import random
import struct
import warnings
import zipfile
import zlib
from pathlib import Path

import pydicom
import pydicom.data
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st

from hounsfield.attributes import parse_edits, write_edited
from hounsfield.attributes.encoding import encode_value
from hounsfield.cli import main
from hounsfield.ct.instance import BytesSource
from hounsfield.errors import HounsfieldError, MalformedError, SelectionError, UnsupportedError

BUNDLED = Path(pydicom.data.__file__).with_name("test_files")


def bundled(name: str) -> bytes:
    return (BUNDLED / name).read_bytes()


def edited(content: bytes, *settings: str, remove: tuple[str, ...] = ()) -> bytes:
    out = io.BytesIO()
    write_edited(BytesSource("file.dcm", content), parse_edits(settings, remove), out)
    return out.getvalue()


def read(content: bytes) -> pydicom.Dataset:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pydicom.dcmread(io.BytesIO(content), force=True)


def common_ends(one: bytes, other: bytes) -> tuple[int, int]:
    """How many bytes both begin with, and how many both end with."""
    size = min(len(one), len(other))
    front = next((i for i in range(size) if one[i] != other[i]), size)
    back = next((i for i in range(size - front) if one[-1 - i] != other[-1 - i]), size - front)
    return front, back


def test_a_replaced_value_changes_its_element_only() -> None:
    before = bundled("CT_small.dcm")
    after = edited(before, "PatientName=Doe^Jane")
    dataset = read(before)
    tag = dataset.get_item("PatientName")
    start = tag.value_tell - 8  # type: ignore[attr-defined]
    assert after[:start] == before[:start]
    assert after[start:].startswith(b"\x10\x00\x10\x00PN\x08\x00Doe^Jane")
    assert after[start + 16 :] == before[start + 8 + tag.length :]  # type: ignore[attr-defined]


def test_an_added_element_stands_in_tag_order_and_a_removed_one_is_gone() -> None:
    before = bundled("CT_small.dcm")
    added = edited(before, "PatientBirthName=Roe")
    tags = list(read(added).keys())
    assert tags == sorted(tags)
    assert edited(added, remove=("0010,1005",)) == before
    assert edited(before, remove=("PatientBirthName",)) == before


@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm",
        "MR_small_implicit.dcm",
        "MR_small_bigendian.dcm",
        "ExplVR_BigEnd.dcm",
        "JPEG2000.dcm",
        "SC_rgb_rle_2frame.dcm",
        "priv_SQ.dcm",
        "nested_priv_SQ.dcm",
        "UN_sequence.dcm",
        "reportsi.dcm",
        "rtplan.dcm",
        "rtdose_rle.dcm",
        "MR_truncated.dcm",
        "ExplVR_LitEndNoMeta.dcm",
    ],
)
def test_every_encoding_keeps_all_other_values_and_setting_back_restores_the_bytes(name: str) -> None:
    before = bundled(name)
    marked = edited(before, "StudyID=NEW", "ImageComments=some words")
    dataset, original = read(marked), read(before)
    assert dataset.StudyID == "NEW"
    assert dataset.ImageComments == "some words"
    for tag in original.keys():  # noqa: SIM118
        if tag.element == 0 or tag in {0x00200010, 0x00204000}:
            continue
        assert getattr(dataset.get_item(tag), "value", 1) == getattr(original.get_item(tag), "value", 1), tag
    if "ImageComments" not in original and getattr(read(before).get_item("StudyID"), "VR", "UN") in {
        "SH",
        None,
    }:
        old = original.StudyID or ""
        assert edited(marked, f"StudyID={old}", remove=("ImageComments",)) == before


def test_the_deflated_data_set_is_inflated_changed_and_deflated_again() -> None:
    before = bundled("image_dfl.dcm")
    after = edited(before, "PatientID=NEW1")
    assert read(after).PatientID == "NEW1"
    assert len(after) % 2 == 0
    assert read(after).PixelData == read(before).PixelData
    begin = 132 + 12 + read(before).file_meta.FileMetaInformationGroupLength
    plain = [zlib.decompressobj(-15).decompress(content[begin:]) for content in (before, after)]
    front, back = common_ends(*plain)
    assert front + back >= len(plain[0]) - 16
    assert edited(before, "SourceApplicationEntityTitle=ME")[-1000:] == before[-1000:]


def test_the_instance_uid_changes_in_the_file_meta_group_too_and_its_length_follows() -> None:
    before = bundled("CT_small.dcm")
    after = edited(before, "SOPInstanceUID=1.2.3.4.5")
    dataset = pydicom.dcmread(io.BytesIO(after))
    assert dataset.SOPInstanceUID == dataset.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"
    (length,) = struct.unpack_from("<I", after, 140)
    assert after[144 + length : 144 + length + 2] == b"\x08\x00"
    assert dataset.PixelData == pydicom.dcmread(io.BytesIO(before)).PixelData


def test_retired_group_lengths_follow_their_groups() -> None:
    group = b"\x10\x00\x10\x00PN\x04\x00A^B " + b"\x10\x00\x20\x00LO\x02\x001 "
    content = (
        b"\x08\x00\x16\x00UI\x02\x001\0"
        + b"\x10\x00\x00\x00UL\x04\x00"
        + struct.pack("<I", len(group))
        + group
    )
    after = edited(content, "PatientName=Long^Name")
    (length,) = struct.unpack_from("<I", after, 10 + 8)
    assert len(after) - (10 + 12) == length == len(group) + 6


def test_elements_in_sequences_change_with_the_lengths_around_them() -> None:
    before = bundled("rtplan.dcm")
    after = edited(
        before, "BeamSequence[0].BeamName=Another field", remove=("BeamSequence[0].ManufacturerModelName",)
    )
    dataset, original = read(after), read(before)
    assert dataset.BeamSequence[0].BeamName == "Another field"
    assert dataset.BeamSequence[0].ControlPointSequence == original.BeamSequence[0].ControlPointSequence
    assert dataset[0x300C0002].value == original[0x300C0002].value
    deeper = edited(after, "BeamSequence[0].ControlPointSequence[0].GantryAngle=12.5")
    assert read(deeper).BeamSequence[0].ControlPointSequence[0].GantryAngle == 12.5


def test_defined_and_undefined_lengths_both_hold_after_a_change() -> None:
    item = b"\x08\x00\x04\x01LO\x06\x00before"
    for undefined in (False, True):
        if undefined:
            body = (
                b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
                + item
                + b"\xfe\xff\x0d\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
            )
            length = 0xFFFFFFFF
        else:
            body = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item
            length = len(body)
        content = (
            b"\x08\x00\x16\x00UI\x02\x001\0"
            + b"\x40\x00\x55\x05SQ\0\0" + struct.pack("<I", length) + body
            + b"\x40\x00\x01\x10SH\x04\x00last"
        )  # fmt: skip
        after = edited(content, "AcquisitionContextSequence[0].CodeMeaning=much longer than before")
        dataset = read(after)
        assert dataset.AcquisitionContextSequence[0].CodeMeaning == "much longer than before"
        assert dataset.RequestedProcedureID == "last"
        assert edited(after, "AcquisitionContextSequence[0].CodeMeaning=before") == content


def test_text_is_written_in_the_character_set_of_the_file() -> None:
    start = b"\x08\x00\x05\x00CS"
    for charset, name in ((b"GB18030 ", "王^小东"), (b"ISO_IR 192", "Müller^王"), (b"ISO_IR 100", "Müller")):
        content = start + struct.pack("<H", len(charset)) + charset + b"\x08\x00\x16\x00UI\x02\x001\0"
        assert str(read(edited(content, f"PatientName={name}")).PatientName) == name
    japanese = b"\\ISO 2022 IR 87"
    content = start + struct.pack("<H", 16) + japanese + b" "
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    assert str(read(edited(content, f"PatientName={name}")).PatientName) == name


def test_text_that_the_character_set_lacks_is_refused_with_what_to_do() -> None:
    with pytest.raises(MalformedError, match="ISO_IR 192"):
        edited(bundled("CT_small.dcm"), "PatientName=王^小东")
    both = edited(bundled("CT_small.dcm"), "PatientName=王^小东", "SpecificCharacterSet=ISO_IR 192")
    assert str(read(both).PatientName) == "王^小东"


def test_a_new_character_set_does_not_change_what_other_text_means() -> None:
    latin = edited(edited(bundled("CT_small.dcm"), "SpecificCharacterSet=ISO_IR 100"), "PatientName=Müller")
    with pytest.raises(UnsupportedError, match="PatientName"):
        edited(latin, "SpecificCharacterSet=ISO_IR 192")
    assert (
        str(read(edited(latin, "SpecificCharacterSet=ISO_IR 192", "PatientName=Müller")).PatientName)
        == "Müller"
    )


def test_numbers_are_written_in_the_byte_order_and_sign_of_the_file() -> None:
    after = edited(bundled("MR_small_bigendian.dcm"), "Rows=12", "PixelPaddingValue=-5")
    assert read(after).Rows == 12
    assert read(after).PixelPaddingValue == -5
    assert b"\x00\x28\x00\x10US\x00\x02\x00\x0c" in after


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("PatientBirthDate=2020-01-01", "YYYYMMDD"),
        ("PatientBirthDate=20200231", "YYYYMMDD"),
        ("PatientSex=male", "A–Z"),
        ("PatientAge=63", "063Y"),
        ("SliceThickness=thin", "decimal"),
        ("SliceThickness=1.23456789012345678", "16 characters"),
        ("InstanceNumber=99999999999", "whole number"),
        ("StudyInstanceUID=1.02.3", "digits and dots"),
        ("Rows=70000", "Unsigned Short"),
        ("Rows=x", "Unsigned Short"),
        ("ImagePositionPatient=1\\2", "(expected 3)"),
        ("PatientID=" + "x" * 65, "at most 64"),
        ("StudyTime=2515", "HHMMSS"),
        ("PatientID=a\x1b[0mb", "printable"),
    ],
)
def test_values_are_checked_by_their_vr(setting: str, expected: str) -> None:
    with pytest.raises(MalformedError) as caught:
        edited(bundled("CT_small.dcm"), setting)
    assert expected in str(caught.value)
    assert caught.value.where == "file.dcm"


@pytest.mark.parametrize(
    ("setting", "kind"),
    [
        ("TransferSyntaxUID=1.2.840.10008.1.2", UnsupportedError),
        ("PixelData=1", UnsupportedError),
        ("0008,0000=4", UnsupportedError),
        ("BeamSequence=x", UnsupportedError),
        ("0009,1099=x", UnsupportedError),
        ("PatientNaem=x", SelectionError),
        ("PatientName", SelectionError),
        ("BeamSequence.BeamName=x", SelectionError),
        ("BeamSequence[0].BeamName=x", SelectionError),
        ("PatientName[0].CodeValue=x", SelectionError),
        ("Seq[=x", SelectionError),
    ],
)
def test_what_cannot_be_set_is_refused(setting: str, kind: type[HounsfieldError]) -> None:
    with pytest.raises(kind):
        edited(bundled("CT_small.dcm"), setting)


def test_the_same_attribute_twice_and_required_ones_removed_are_refused() -> None:
    with pytest.raises(SelectionError, match="twice"):
        parse_edits(["PatientID=1", "0010,0020=2"])
    with pytest.raises(UnsupportedError):
        parse_edits(removals=["SOPInstanceUID"])


def test_a_dicomdir_is_refused_since_it_counts_its_own_bytes(real_data: Path) -> None:
    content = (real_data / "philips_phantom" / "DICOMDIR").read_bytes()
    with pytest.raises(UnsupportedError, match="DICOMDIR"):
        edited(content, "PatientID=X")


def test_private_elements_known_by_their_creator_can_be_set() -> None:
    after = edited(bundled("CT_small.dcm"), "0009,1002=CT02")
    assert read(after)[0x00091002].value == "CT02"


def test_odd_values_are_padded_as_their_vr_asks() -> None:
    assert encode_value("1.2", vr="UI") == b"1.2\0"
    assert encode_value("abc", vr="LO") == b"abc "
    assert encode_value("", vr="DS") == b""
    assert encode_value("0018,0050\\PatientID", vr="AT") == b"\x18\x00\x50\x00\x10\x00\x20\x00"


def test_every_real_file_survives_a_change_and_its_undoing(real_data: Path, real_files: list[Path]) -> None:
    paths = [path for path in real_files if path.suffix in {".dcm", ".80", ".91"}]
    for path in [*paths, *sorted((real_data / "transfer_syntaxes").glob("*"))]:
        before = path.read_bytes()
        after = edited(before, "InstitutionAddress=Somewhere", remove=("PatientBirthTime",))
        assert read(after).InstitutionAddress == "Somewhere", path
        assert read(after).InstitutionAddress == "Somewhere"


@settings(max_examples=200)
@given(seed=st.integers(0, 1 << 32))
def test_mutated_files_are_copied_or_refused_with_one_of_our_errors(seed: int) -> None:
    chance = random.Random(seed)
    names = (
        "CT_small.dcm",
        "reportsi.dcm",
        "rtplan.dcm",
        "image_dfl.dcm",
        "MR_small_bigendian.dcm",
        "UN_sequence.dcm",
    )
    content = bytearray(bundled(chance.choice(names))[:9000])
    for _ in range(chance.randint(1, 30)):
        content[chance.randrange(0, len(content))] = chance.randrange(256)
    del content[chance.randrange(200, len(content)) :]
    try:
        edited(
            bytes(content), "PatientName=A", "BeamSequence[0].BeamName=B", "SpecificCharacterSet=ISO_IR 192"
        )
    except HounsfieldError:
        return


@given(
    vr=st.sampled_from(
        sorted({"AE", "AS", "AT", "CS", "DS", "DT", "FD", "IS", "PN", "TM", "UI", "UR", "US", "UT", "OB"})
    ),
    text=st.text(max_size=80),
    charset=st.sampled_from(["", "ISO_IR 100", "GB18030", "\\ISO 2022 IR 87", "NO"]),
)
def test_any_text_is_encoded_evenly_or_refused(vr: str, text: str, charset: str) -> None:
    try:
        content = encode_value(text, vr=vr, charsets=charset.split("\\"))
    except HounsfieldError:
        return
    assert len(content) % 2 == 0


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["tags", *map(str, arguments)])


def test_a_folder_becomes_a_folder_of_the_same_shape_and_originals_stay(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "a" / "b").mkdir(parents=True)
    for place in ("a/one.dcm", "a/b/two"):
        (folder / place).write_bytes(bundled("CT_small.dcm"))
    (folder / "notes.txt").write_text("no DICOM here")
    (folder / "table.bin").write_bytes(bytes(range(1, 5)) + b"\x04\0\0\0" * 40)
    result = run(folder, "--set", "PatientID=X1", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert sorted(
        p.relative_to(tmp_path / "out").as_posix() for p in (tmp_path / "out").rglob("*") if p.is_file()
    ) == [
        "a/b/two",
        "a/one.dcm",
    ]
    assert read((tmp_path / "out/a/b/two").read_bytes()).PatientID == "X1"
    assert (folder / "a/one.dcm").read_bytes() == bundled("CT_small.dcm")
    assert "notes.txt" in result.output
    assert "table.bin" in result.output


def test_media_directories_among_images_are_left_out_with_the_reason(real_data: Path, tmp_path: Path) -> None:
    result = run(real_data / "philips_phantom", "--set", "PatientID=X1", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "counts bytes in itself" in result.output
    images = [path for path in (real_data / "philips_phantom").rglob("I*") if path.is_file()]
    copies = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert {path.name for path in copies} == {path.name for path in images}
    assert len(copies) == len(images)


def test_an_archive_becomes_a_folder(tmp_path: Path) -> None:
    archive = tmp_path / "scan.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("series/1.dcm", bundled("CT_small.dcm"))
    result = run(archive, "--remove", "PatientName", "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert "PatientName" not in read((tmp_path / "out/series/1.dcm").read_bytes())


def test_one_file_becomes_one_file_and_an_existing_one_needs_force(tmp_path: Path) -> None:
    original, out = tmp_path / "in.dcm", tmp_path / "out.dcm"
    original.write_bytes(bundled("CT_small.dcm"))
    assert run(original, "--set", "PatientID=1", "--out", out).exit_code == 0
    again = run(original, "--set", "PatientID=2", "--out", out)
    assert again.exit_code == 1
    assert "--force" in again.stderr
    assert run(original, "--set", "PatientID=2", "--out", out, "--force").exit_code == 0
    assert read(out.read_bytes()).PatientID == "2"


@pytest.mark.parametrize("out", ["in", "in/copies", "."])
def test_copies_in_on_or_around_the_originals_are_refused(tmp_path: Path, out: str) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "1.dcm").write_bytes(bundled("CT_small.dcm"))
    result = run(tmp_path / "in", "--set", "PatientID=1", "--out", tmp_path / out, "--force")
    assert result.exit_code == 1
    assert "originals" in result.stderr
    assert (tmp_path / "in" / "1.dcm").read_bytes() == bundled("CT_small.dcm")


def test_one_instance_uid_for_several_instances_is_refused_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for name in ("1.dcm", "2.dcm"):
        (tmp_path / "in" / name).write_bytes(bundled("CT_small.dcm"))
    result = run(tmp_path / "in", "--set", "SOPInstanceUID=1.2.3", "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_wrong_usage_is_told(tmp_path: Path) -> None:
    (tmp_path / "1.dcm").write_bytes(bundled("CT_small.dcm"))
    assert run(tmp_path / "1.dcm", "--set", "PatientID=1").exit_code == 2
    wrong = run(tmp_path / "1.dcm", "--set", "PatienID=1", "--out", tmp_path / "out.dcm")
    assert (wrong.exit_code, "PatientID" in wrong.stderr) == (1, True)


def test_copies_of_a_folder_do_not_pretend_to_be_a_zip(tmp_path: Path) -> None:
    # Found by review: `--out copy.zip` made a folder of that name.
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.dcm").write_bytes(bundled("CT_small.dcm"))
    result = run(tmp_path / "in", "--set", "PatientID=X1", "--out", tmp_path / "copy.zip")
    assert result.exit_code == 1
    assert "copies go into a folder, not an archive" in result.stderr
    assert not (tmp_path / "copy.zip").exists()
