"""Attributes as rows: values, explanations, nesting, what varies: `hounsfield.attributes`."""

from __future__ import annotations

import csv
import io
import json
import random
import struct
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from rich.cells import cell_len
from rich.console import Console

from hounsfield.attributes import (
    Listing,
    Row,
    attribute_rows,
    header_rows,
    print_table,
    select_rows,
    write_csv,
    write_html,
    write_lines,
)
from hounsfield.attributes.explain import explain
from hounsfield.cli import main
from hounsfield.ct.instance import BytesSource, Instance, read_instance
from hounsfield.dicom.dictionary import ITEM, Group
from hounsfield.errors import HounsfieldError
from hounsfield.phantom import PhantomSpec
from hounsfield.phantom import write as write_phantom
from hounsfield.verbs.load import instances as hounsfield_instances

BUNDLED = Path(pydicom.data.__file__).with_name("test_files")


def instances_of(*folders: Path) -> list[Instance]:
    return [instance for folder in folders for instance in hounsfield_instances(folder, skipped=[])]


def assert_rows_agree(found: list[Instance]) -> None:
    """The quick rows are those of pydicom's data set, in whatever order instances come."""
    assert found
    for instance in (*found, *reversed(found)):
        assert header_rows(instance) == attribute_rows(instance.dataset()), instance.name


def test_quick_rows_are_those_of_pydicom_on_pydicoms_files() -> None:
    assert_rows_agree(instances_of(BUNDLED))


def test_quick_rows_are_those_of_pydicom_on_phantoms(tmp_path: Path) -> None:
    for number, change in enumerate(
        (
            {"private_tags": True},
            {"transfer_syntax": "implicit", "private_tags": True},
            {"transfer_syntax": "explicit-big-endian"},
            {"character_set": "ISO_IR 192", "patient_name": "体模^亨氏", "series_description": "薄层"},
            {"multiframe": "enhanced"},
            {"modality_lut": True, "slope_tag": "1,0", "intercept_tag": "abc"},
            {"tags": {"ImageType": ["DERIVED ", "PRIMARY"], "KVP": "", "SeriesNumber": "1.5"}},
            {"preamble": False},
        )
    ):
        write_phantom(PhantomSpec(rows=8, columns=8, slices=3, **change), tmp_path / str(number))  # type: ignore[arg-type]
    assert_rows_agree(instances_of(tmp_path))


def test_quick_rows_are_those_of_pydicom_on_real_ct(real_data: Path) -> None:
    assert_rows_agree(
        instances_of(real_data / "odd", real_data / "transfer_syntaxes", real_data / "enhanced")
    )


def test_all_instances_are_told_as_by_themselves(tmp_path: Path) -> None:
    write_phantom(PhantomSpec(rows=8, columns=8, slices=3, private_tags=True), tmp_path / "ct")
    for form in ("json", "csv", "text"):
        arguments = ["--all-instances", "--format", form]
        together = CliRunner().invoke(main, ["tags", str(tmp_path / "ct"), *arguments]).stdout
        for path in sorted((tmp_path / "ct").iterdir()):
            alone = CliRunner().invoke(main, ["tags", str(path), *arguments]).stdout
            told = alone.strip("[]\n") if form == "json" else alone.partition("\n")[2]
            assert told.strip() in together


def test_one_damaged_file_ends_neither_find_nor_tags(tmp_path: Path) -> None:
    """A stray item tag before the pixels (fo-dicom's FreezePattern.dcm) ended both for the whole folder."""
    write_phantom(PhantomSpec(rows=8, columns=8, slices=3), tmp_path)
    path = sorted(tmp_path.iterdir())[1]
    content = path.read_bytes()
    at = content.index(b"\xe0\x7f\x10\x00")
    path.write_bytes(content[:at] + b"\xfe\xff\x00\xe0\0\0\0\0" + content[at:])
    for verb in (["tags", "--json"], ["tags", "--json", "--all-instances"], ["tags", "--all-instances"]):
        shown = CliRunner().invoke(main, [verb[0], str(tmp_path), *verb[1:]])
        assert shown.exit_code == 0, shown.output
    told = CliRunner().invoke(main, ["tags", str(tmp_path), "--json", "--all-instances"])
    assert len(json.loads(told.stdout)) == 3
    assert not told.stderr  # it is passed over
    found = CliRunner().invoke(main, ["find", str(tmp_path), "--level", "instance", "--json"])
    assert len(json.loads(found.stdout)) == 3


def small_ct() -> Dataset:
    return read_instance(BytesSource("CT_small.dcm", (BUNDLED / "CT_small.dcm").read_bytes())).dataset()


def explicit(*elements: tuple[int, bytes, bytes]) -> bytes:
    """A bare data set in Explicit VR Little Endian from (tag, VR, value)."""
    out = b""
    for tag, vr, unpadded in elements:
        value = unpadded + b" " * (len(unpadded) % 2)
        long = vr in {b"OB", b"OW", b"SQ", b"UN", b"UT"}
        length = struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))
        out += struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr) + length + value
    return out


def rows_of(*elements: tuple[int, bytes, bytes]) -> dict[str, Row]:
    content = explicit((0x00080016, b"UI", b"1.2.840.10008.5.1.4.1.1.2"), *elements)
    return {row.path: row for row in attribute_rows(read_instance(BytesSource("made", content)).dataset())}


def test_rows_come_by_group_and_within_a_group_by_tag() -> None:
    rows = attribute_rows(small_ct())
    order = list(Group)
    places = [order.index(row.group) for row in rows]
    assert places == sorted(places)
    top = [(row.group, row.tag) for row in rows if row.depth == 0 and row.tag != ITEM]
    assert [tag for group, tag in top if group is Group.IMAGE] == sorted(
        tag for group, tag in top if group is Group.IMAGE
    )
    assert {"PatientName", "TransferSyntaxUID", "KVP"} <= {row.keyword for row in rows}


def test_private_attributes_carry_their_creator_and_its_name_for_them() -> None:
    rows = {row.tag: row for row in attribute_rows(small_ct())}
    assert rows[0x00091002].creator == "GEMS_IDEN_01"
    assert rows[0x00091002].name.en == "Suite id"
    assert rows[0x00091002].group is Group.PRIVATE


def test_nested_elements_have_depth_paths_and_the_group_of_their_sequence() -> None:
    dataset = Dataset()
    inner = Dataset()
    inner.CodeMeaning = "Brain"
    outer = Dataset()
    outer.AnatomicRegionSequence = [inner]
    dataset.FrameAnatomySequence = [outer, Dataset()]
    rows = {row.path: row for row in attribute_rows(dataset)}
    meaning = rows["FrameAnatomySequence[0].AnatomicRegionSequence[0].CodeMeaning"]
    assert (meaning.depth, meaning.value, meaning.group) == (2, "Brain", Group.IMAGE)
    assert rows["FrameAnatomySequence"].explanation == ("2 items", "2 个条目")
    assert rows["FrameAnatomySequence[1]"].tag == ITEM


def test_what_differs_within_a_series_is_counted(real_data: Path) -> None:
    paths = sorted((real_data / "philips_phantom" / "S21570" / "S2010").glob("I*"))
    datasets = [read_instance(BytesSource(path.name, path.read_bytes())).dataset() for path in paths]
    rows = {row.path: row for row in attribute_rows(datasets[0], datasets[1:])}
    assert rows["SOPInstanceUID"].distinct == rows["ImagePositionPatient"].distinct == 28
    assert rows["XRayTubeCurrent"].distinct == 15
    assert rows["SeriesInstanceUID"].distinct == rows["Rows"].distinct == 1


def test_an_attribute_absent_from_some_instances_differs() -> None:
    one, other = Dataset(), Dataset()
    one.KVP = "120"
    assert attribute_rows(one, [other])[0].distinct == 2


def test_what_differs_inside_a_sequence_marks_the_sequence() -> None:
    datasets = []
    for uid in ("1.2.3", "1.2.4", "1.2.4"):
        item, dataset = Dataset(), Dataset()
        item.ReferencedSOPInstanceUID = uid
        dataset.SourceImageSequence = [item]
        datasets.append(dataset)
    assert attribute_rows(datasets[0], datasets[1:])[0].distinct == 2


@pytest.mark.parametrize(
    ("keyword", "vr", "value", "english", "chinese"),
    [
        ("SOPClassUID", "UI", "1.2.840.10008.5.1.4.1.1.2", "CT Image Storage", "CT图像存储"),
        ("TransferSyntaxUID", "UI", "1.2.840.10008.1.2.4.80", "JPEG-LS Lossless", "JPEG-LS无损"),
        ("StudyDate", "DA", "20150206", "6 February 2015", "2015年2月6日"),
        ("StudyTime", "TM", "092815.672", "09:28:15.672", "09:28:15.672"),
        ("StudyTime", "TM", "0928", "09:28", "09:28"),
        (
            "AcquisitionDateTime",
            "DT",
            "20150206092921+0800",
            "6 February 2015 09:29:21 UTC+08:00",
            "UTC+08:00",
        ),
        ("PatientAge", "AS", "063Y", "63 years", "63岁"),
        ("PatientAge", "AS", "001M", "1 month", "1个月"),
        ("PatientPosition", "CS", "FFP", "feet first, prone", "足先进，俯卧"),
        ("PixelRepresentation", "US", "1", "signed integers", "有符号整数"),
        ("ImageType", "CS", "ORIGINAL\\PRIMARY\\AXIAL", "original; primary; axial slice", "轴位断层"),
        ("KVP", "DS", "120", "kV", "kV"),
        (
            "PixelSpacing",
            "DS",
            "0.5\\0.25",
            "rows 0.5 mm apart, columns 0.25 mm apart",
            "行距 0.5 mm，列距 0.25 mm",
        ),
        ("DimensionIndexPointer", "AT", "(0020,0032)", "Image Position (Patient)", "图像位置"),
        ("RescaleType", "CS", "Z_EFF", "effective atomic number, not HU", "非HU"),
    ],
)
def test_values_are_explained_in_both_languages(
    keyword: str, vr: str, value: str, english: str, chinese: str
) -> None:
    said = explain(keyword, vr, value)
    assert english in said.en
    assert chinese in said.zh


@pytest.mark.parametrize(
    ("cosines", "english"),
    [
        (
            "1\\0\\0\\0\\1\\0",
            "axial; left to right of the picture: to the patient's left; top to bottom: back",
        ),
        (
            "-1\\0\\0\\0\\1\\0",
            "axial; left to right of the picture: to the patient's right; top to bottom: back",
        ),
        (
            "1\\0\\0\\0\\0\\-1",
            "coronal; left to right of the picture: to the patient's left; top to bottom: feet",
        ),
        (
            "0\\1\\0\\0\\0\\-1",
            "sagittal; left to right of the picture: to the patient's back; top to bottom: feet",
        ),
        ("1\\0\\0\\0\\0.8\\-0.6", "oblique, nearly axial"),
    ],
)
def test_orientation_is_told_by_plane_and_directions(cosines: str, english: str) -> None:
    assert explain("ImageOrientationPatient", "DS", cosines).en.startswith(english)


def test_rescale_is_told_as_the_sentence_it_is() -> None:
    values = {"RescaleSlope": "1", "RescaleIntercept": "-1024", "RescaleType": "HU"}
    assert explain("RescaleSlope", "DS", "1", lambda k: values.get(k, "")).en == "HU = stored × 1 − 1024"
    values["RescaleIntercept"] = "0"
    assert "nothing to rescale" in explain("RescaleSlope", "DS", "1", lambda k: values.get(k, "")).en


def test_trap_26_padding_of_63536_over_signed_pixels_is_explained_as_minus_2000() -> None:
    values = {"PixelRepresentation": "1", "RescaleSlope": "1", "RescaleIntercept": "-1024"}
    said = explain("PixelPaddingValue", "US", "63536", lambda keyword: values.get(keyword, ""))
    assert said.en.endswith("−3024")


@given(
    st.sampled_from(
        ["PixelSpacing", "StudyDate", "PatientAge", "BitsStored", "WindowCenter", "RescaleSlope"]
    ),
    st.sampled_from(["DS", "DA", "TM", "DT", "AS", "UI", "AT", "US"]),
    st.text(max_size=40),
)
def test_an_explanation_is_never_an_error(keyword: str, vr: str, value: str) -> None:
    explain(keyword, vr, value, lambda _: value)


@pytest.mark.parametrize(
    ("charset", "name", "shown"),
    [
        (b"GB18030", "王^小东".encode("gb18030"), "王^小东"),
        (b"ISO_IR 192", "王^小东".encode(), "王^小东"),
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
        (b"ISO_IR 100", b"M\xfcller", "Müller"),
    ],
)
def test_trap_55_character_sets_are_decoded(charset: bytes, name: bytes, shown: str) -> None:
    rows = rows_of((0x00080005, b"CS", charset), (0x00100010, b"PN", name))
    assert rows["PatientName"].value == shown


@pytest.mark.parametrize(
    "charset", [b"NONSENSE", b"ISO_IR 192", b"\\ISO 2022 IR 87", b"ISO 2022 IR 999\\??", b""]
)
def test_trap_55_what_a_character_set_does_not_know_is_replaced_not_refused(charset: bytes) -> None:
    name = b"Abc\xff\xfe\x1b$Bz^\x80"
    rows = rows_of((0x00080005, b"CS", charset), (0x00100010, b"PN", name), (0x00100020, b"LO", b"P1"))
    assert rows["PatientName"].value.startswith("Abc")
    assert rows["PatientID"].value == "P1"


def test_a_broken_element_is_shown_as_its_bytes_and_breaks_nothing_else() -> None:
    rows = rows_of(
        (0x00180050, b"DS", b"five"),
        (0x00091001, b"FL", b"\0\0\0\0\0\0"),
        (0x00280011, b"US", b"\x00\x02"),
    )
    assert rows["SliceThickness"].value == "five"
    assert rows["Columns"].value == "512"
    assert rows["(0009,1001)"].broken


def test_binary_values_are_summarised_and_readable_ones_shown() -> None:
    rows = rows_of((0x00091001, b"OB", bytes(range(256)) * 2), (0x00091002, b"UN", b"TEXT IN UN"))
    assert rows["(0009,1001)"].value == "<512 bytes: 00 01 02 03 04 05 06 07 …>"
    assert rows["(0009,1001)"].length == 512
    assert rows["(0009,1002)"].value == "TEXT IN UN"


def test_a_search_keeps_the_sequences_around_what_it_finds(real_data: Path) -> None:
    content = (real_data / "enhanced" / "CT0012.explicit_little_endian.dcm").read_bytes()
    rows = attribute_rows(read_instance(BytesSource("enhanced", content)).dataset())
    found = select_rows(rows, search="Iodine")
    assert [row.path for row in found] == [
        "ContrastBolusAgentSequence",
        "ContrastBolusAgentSequence[0]",
        "ContrastBolusAgentSequence[0].ContrastBolusIngredientCodeSequence",
        "ContrastBolusAgentSequence[0].ContrastBolusIngredientCodeSequence[0]",
        "ContrastBolusAgentSequence[0].ContrastBolusIngredientCodeSequence[0].CodeMeaning",
    ]
    assert {row.keyword for row in select_rows(rows, search="患者姓名")} == {"PatientName"}
    assert {row.keyword for row in select_rows(rows, search="00100020")} == {"PatientID"}
    assert {row.group for row in select_rows(rows, groups=[Group.STUDY])} == {Group.STUDY}


def listing(**elements: Any) -> Listing:
    dataset = Dataset()
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return Listing("a.dcm", "Series 1", attribute_rows(dataset))


def test_lines_are_aligned_with_wide_characters_and_cut_nothing() -> None:
    out = io.StringIO()
    write_lines([listing(PatientName="王^小东", OtherPatientNames="X" * 60)], out, language="zh")
    lines = [line for line in out.getvalue().splitlines() if line.startswith("(0010")]
    starts = {cell_len(line[: line.index("王")]) for line in lines[:1]}
    starts |= {cell_len(line[: line.index("XXX")]) for line in lines[1:]}
    assert len(lines) == 2
    assert len(starts) == 1
    assert "X" * 60 in out.getvalue()


@pytest.mark.parametrize("width", [60, 80, 200])
def test_a_table_fits_the_terminal_and_counts_what_it_cuts(width: int) -> None:
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=True, color_system=None)
    print_table([listing(PatientComments="word " * 400, PatientName="A\x1b[31mB\nC")], console)
    assert all(cell_len(line) <= width for line in out.getvalue().splitlines())
    assert "more" in out.getvalue()
    assert "\x1b[31m" not in out.getvalue()


def test_later_items_of_a_long_sequence_are_counted_on_a_terminal() -> None:
    dataset = Dataset()
    dataset.SourceImageSequence = [Dataset() for _ in range(20)]
    for number, item in enumerate(dataset.SourceImageSequence):
        item.ReferencedSOPInstanceUID = f"1.2.{number}"
    shown = Listing("a", "t", attribute_rows(dataset))
    for full, expected in ((False, 3), (True, 20)):
        out = io.StringIO()
        print_table([shown], Console(file=out, width=100), full=full)
        assert out.getvalue().count("1.2.") == expected
        assert ("17 more items" in out.getvalue()) is not full


def test_csv_holds_every_element_with_its_whole_value() -> None:
    out = io.StringIO()
    write_csv([listing(PatientComments='a,"b"\n' * 500, PatientSex="F")], out, language="zh")
    rows = list(csv.DictReader(io.StringIO(out.getvalue())))
    comments = next(row for row in rows if row["keyword"] == "PatientComments")
    assert comments["value"] == 'a,"b"\n' * 500
    assert next(row for row in rows if row["keyword"] == "PatientSex")["explanation"] == "女"


class Page(HTMLParser):
    """Collects tags and text, and what could load anything."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.loads: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loads += [pair for pair in attrs if pair[0] in {"src", "href", "onerror", "onclick"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_escapes_what_files_hold_loads_nothing_and_speaks_both_languages() -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'&"
    out = io.StringIO()
    write_html([listing(PatientName=evil, PatientSex="F")], out, language="zh")
    page = Page()
    page.feed(out.getvalue())
    assert page.loads == []
    assert page.tags.count("script") == 1
    assert "img" not in page.tags
    assert evil in page.text
    assert "患者姓名" in page.text
    assert "Patient's Name" in page.text
    assert "http" not in out.getvalue().replace("http-equiv", "")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(main, ["tags", *arguments])
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_verb_shows_the_first_of_each_series_or_every_instance(real_data: Path) -> None:
    place = str(real_data / "odd" / "ge_ct_3slice")
    assert run(place).count(" SOPInstanceUID ") == 1
    assert run(place, "--all-instances", "--group", "image").count(" SOPInstanceUID ") == 3
    assert "| ≠ 3" in run(place)


def test_the_verb_prints_the_dicom_json_model(real_data: Path) -> None:
    models = json.loads(run(str(real_data / "odd" / "ge_ct_3slice"), "--json", "--all-instances"))
    assert len(models) == 3
    assert models[0]["00080060"] == {"vr": "CS", "Value": ["CT"]}
    only = json.loads(run(str(real_data / "odd" / "ge_ct_3slice"), "--json", "--search", "RescaleSlope"))
    assert set(only[0]) == {"00281053"}


def test_the_verb_reads_every_bundled_file_in_every_format() -> None:
    for path in sorted(BUNDLED.glob("*.dcm")):
        try:
            dataset = read_instance(BytesSource(path.name, path.read_bytes())).dataset()
        except HounsfieldError:
            continue
        shown = Listing(path.name, path.name, attribute_rows(dataset))
        for write in (write_lines, write_csv, write_html):
            out = io.StringIO()
            write([shown], out)
            assert path.name in out.getvalue() or not shown.rows


@settings(max_examples=150)
@given(seed=st.integers(0, 1 << 32))
def test_mutated_files_give_rows_or_one_of_our_errors(seed: int) -> None:
    chance = random.Random(seed)
    content = bytearray(
        (BUNDLED / chance.choice(("CT_small.dcm", "reportsi.dcm", "rtplan.dcm"))).read_bytes()[:8000]
    )
    for _ in range(chance.randint(1, 30)):
        content[chance.randrange(400, len(content))] = chance.randrange(256)
    try:
        dataset = read_instance(BytesSource("mutated", bytes(content))).dataset()
    except HounsfieldError:
        return
    rows = attribute_rows(dataset)
    write_html([Listing("mutated", "", rows)], io.StringIO())
    write_lines([Listing("mutated", "", rows)], io.StringIO())


def test_a_search_that_finds_nothing_says_so_and_two_forms_at_once_are_refused(tmp_path: Path) -> None:
    write_phantom(PhantomSpec(rows=8, columns=8, slices=1), tmp_path)
    done = CliRunner().invoke(main, ["tags", str(tmp_path), "--search", "no such thing"])
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "No attribute matches.\n")
    assert CliRunner().invoke(main, ["tags", str(tmp_path), "--format", "csv", "--json"]).exit_code == 2
