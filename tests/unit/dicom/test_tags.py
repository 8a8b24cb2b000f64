"""Names, groups and look-up of tags: `hounsfield.dicom.dictionary`."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Iterator
from importlib import resources
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from pydicom.datadict import (
    DicomDictionary,
    RepeatersDictionary,
    dictionary_VR,
    keyword_for_tag,
    repeater_has_keyword,
    tag_for_keyword,
)

from hounsfield.dicom.dictionary import Group, attribute, chinese_names, find_tag, group_of, vr_name, written
from hounsfield.errors import SelectionError
from hounsfield.phantom import PhantomSpec, write


def keywords_of(dataset: pydicom.Dataset) -> Iterator[str]:
    for tag in dataset.keys():  # noqa: SIM118 (iterating a data set converts every element)
        if keyword := keyword_for_tag(tag):
            yield keyword
        try:
            element = dataset[tag]
        except Exception:  # noqa: BLE001 (broken elements of test files)
            continue
        if element.VR == "SQ":
            for item in element.value:
                yield from keywords_of(item)


def keywords_in(content: bytes) -> set[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dataset = pydicom.dcmread(BytesIO(content), stop_before_pixels=True, force=True)
        return {*keywords_of(dataset), *keywords_of(getattr(dataset, "file_meta", pydicom.Dataset()))}


def test_every_chinese_name_belongs_to_an_attribute_of_the_dictionary() -> None:
    known = {entry[4] for entry in (*DicomDictionary.values(), *RepeatersDictionary.values())}
    assert set(chinese_names()) <= known
    assert len(chinese_names()) > 1800


def test_the_chinese_file_has_no_keyword_and_no_name_twice() -> None:
    text = (resources.files("hounsfield.dicom.dictionary") / "chinese.tsv").read_text("utf-8")
    lines = [line.split("\t") for line in text.splitlines() if not line.startswith("#")]
    assert all(len(line) == 2 and line[0].isascii() and line[1] == line[1].strip() for line in lines)
    assert len({keyword for keyword, _ in lines}) == len({name for _, name in lines}) == len(lines)


def test_chinese_terms_are_used_consistently() -> None:
    for keyword, name in chinese_names().items():
        if repeater_has_keyword(keyword):
            continue
        vr = dictionary_VR(tag_for_keyword(keyword) or 0)
        if vr == "SQ":
            assert name.endswith("条目"), keyword
        if vr == "UI" and keyword not in {"SOPClassesInStudy", "SOPClassesSupported"}:
            assert "UID" in name, keyword
        if keyword.startswith("Series") or keyword.endswith("Series"):
            assert "序列" in name, keyword
        if "Study" in keyword and vr in {"DA", "TM", "UI"} and not keyword.startswith("StudyRead"):
            assert "检查" in name, keyword


@pytest.mark.parametrize(
    ("keyword", "name"),
    [
        ("WindowWidth", "窗宽"),
        ("WindowCenter", "窗位"),
        ("ConvolutionKernel", "重建卷积核"),
        ("PixelSpacing", "像素间距"),
        ("RescaleIntercept", "重缩放截距"),
        ("RescaleSlope", "重缩放斜率"),
        ("SliceThickness", "层厚"),
        ("PatientName", "患者姓名"),
    ],
)
def test_chinese_names_are_the_ones_radiology_uses(keyword: str, name: str) -> None:
    assert attribute(tag_for_keyword(keyword) or 0).name.say("zh") == name


def test_every_standard_attribute_of_the_real_ct_has_a_chinese_name(real_files: list[Path]) -> None:
    keywords: set[str] = set()
    for path in real_files:
        if path.suffix == ".zip":
            with zipfile.ZipFile(path) as archive:
                for member in archive.namelist():
                    keywords |= keywords_in(archive.read(member))
        elif path.suffix != ".md" and path.name not in {"LICENSE", "DICOMDIR.dead"}:
            keywords |= keywords_in(path.read_bytes())
    assert len(keywords) > 200
    assert keywords - set(chinese_names()) == set()


def test_every_standard_attribute_of_the_bundled_ct_has_a_chinese_name() -> None:
    names = (
        "CT_small.dcm",
        "eCT_Supplemental.dcm",
        "693_UNCI.dcm",
        "reportsi.dcm",
        "rtplan.dcm",
        "test-SR.dcm",
    )
    bundled = Path(pydicom.data.__file__).with_name("test_files").glob("*.dcm")
    found = set().union(*(keywords_in(path.read_bytes()) for path in bundled if path.name in names))
    assert len(found) > 150
    assert found - set(chinese_names()) == set()


def test_names_fall_back_to_english() -> None:
    assert attribute(find_tag("FluenceMapSequence")).name.say("zh") == "Fluence Map Sequence"


def test_repeating_groups_are_named_by_their_pattern() -> None:
    overlay = attribute(0x60020010)
    assert (overlay.keyword, overlay.vr, overlay.name.say("zh")) == ("OverlayRows", "US", "叠加层行数")


def test_private_attributes_are_named_by_their_creator() -> None:
    known = attribute(0x00091001, "GEMS_IDEN_01")
    assert (known.name.en, known.vr, known.private) == ("Full fidelity", "LO", True)
    assert attribute(0x00091001).name.en == "Private Attribute"
    assert attribute(0x00091001, "NOBODY").vr == "UN"
    assert attribute(0x00090010).name == ("Private Creator", "私有创建者")


def test_unknown_tags_and_group_lengths_are_told_as_such() -> None:
    assert attribute(0x00080000).name.en == "Group Length"
    assert attribute(0x0008FFFF).name.say("zh") == "未知属性"


@pytest.mark.parametrize(
    ("keyword", "group"),
    [
        ("PatientName", Group.PATIENT),
        ("ClinicalTrialSubjectID", Group.PATIENT),
        ("PatientAge", Group.STUDY),
        ("AccessionNumber", Group.STUDY),
        ("RequestingPhysician", Group.STUDY),
        ("Modality", Group.SERIES),
        ("ManufacturerModelName", Group.SERIES),
        ("FrameOfReferenceUID", Group.SERIES),
        ("DateOfSecondaryCapture", Group.IMAGE),
        ("SOPInstanceUID", Group.IMAGE),
        ("KVP", Group.IMAGE),
        ("RealWorldValueMappingSequence", Group.IMAGE),
        ("PerFrameFunctionalGroupsSequence", Group.IMAGE),
        ("PixelData", Group.IMAGE),
        ("TransferSyntaxUID", Group.FILE),
        ("ContentSequence", Group.OTHER),
        ("ROIContourSequence", Group.OTHER),
        ("DigitalSignaturesSequence", Group.OTHER),
    ],
)
def test_an_attribute_is_in_the_group_of_the_entity_it_describes(keyword: str, group: Group) -> None:
    assert group_of(tag_for_keyword(keyword) or 0) is group


def test_odd_groups_are_private_and_overlays_belong_to_the_image() -> None:
    assert group_of(0x00091001) is Group.PRIVATE
    assert group_of(0x60023000) is Group.IMAGE


def test_groups_and_value_representations_have_titles_in_both_languages() -> None:
    assert all(group.title.zh for group in Group)
    vrs = {part for entry in DicomDictionary.values() for part in entry[0].split(" or ") if part != "NONE"}
    assert all(vr_name(vr).zh for vr in vrs if vr)
    assert vr_name("US or SS").en == "Unsigned Short or Signed Short"
    assert vr_name("??").say("zh") == "??"


@pytest.mark.parametrize(
    "text", ["PatientID", "patientid", "0010,0020", "(0010,0020)", "( 0010 , 0020 )", "00100020"]
)
def test_a_tag_is_found_by_keyword_or_number(text: str) -> None:
    assert find_tag(text) == 0x00100020
    assert written(find_tag(text)) == "(0010,0020)"


def test_an_unknown_keyword_suggests_the_nearest() -> None:
    with pytest.raises(SelectionError, match=r"did you mean PatientID") as caught:
        find_tag("PatienID")
    assert "PatientID" in caught.value.data["choices"]


@pytest.mark.parametrize("text", ["", "zzqqxxyy", "0010", "0010,00201", "x" * 10000, "OverlayRows"])
def test_what_names_no_single_attribute_is_refused(text: str) -> None:
    with pytest.raises(SelectionError):
        find_tag(text)


@pytest.mark.parametrize(
    "knobs",
    [
        {"private_tags": True, "localizers": 1, "dose_pages": 1, "dicomdir": "good"},
        {"phases": 2, "modality_lut": True, "padding_limit": -1999, "overlay_bit": 15, "bits_stored": 12},
        {"multiframe": "enhanced", "mono_energetic_kev": 70},
        {"multiframe": "legacy", "character_set": "GB18030"},
    ],
)
def test_every_standard_attribute_of_the_phantom_has_a_chinese_name(
    knobs: dict[str, Any], tmp_path: Path
) -> None:
    write(PhantomSpec(rows=32, columns=32, slices=2, **knobs), tmp_path)
    keywords = set().union(
        *(keywords_in(path.read_bytes()) for path in tmp_path.rglob("*") if path.is_file())
    )
    assert len(keywords) > 40
    assert keywords - set(chinese_names()) == set()
