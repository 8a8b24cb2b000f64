"""De-identified objects name nobody, agree with each other, and hold the same image."""

from __future__ import annotations

import io
import json
import stat
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from click.testing import CliRunner
from pydicom.datadict import DicomDictionary, keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.tag import Tag
from stub_archive import stub_archive

from hounsfield import load, phantom
from hounsfield.cli import main
from hounsfield.ct.instance import BytesSource, FileSource, read_instance
from hounsfield.errors import HounsfieldError, UnsupportedError
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.deidentify import Deidentified, Profile, Pseudonyms, deidentify_object
from hounsfield.verbs.deidentify.identity import LONGEST_SHIFT_DAYS, kinds, shifted
from hounsfield.verbs.deidentify.profile import KEPT_TEXTS, KEPT_UIDS, table

KEY = b"a key of the tests, long enough"
PLAIN = PhantomSpec(
    rows=24, columns=24, slices=3, patient_name="Zyxwvut^Qrstuv", patient_id="MRN-7788123", private_tags=True
)
EVERYTHING = Profile("shift", True, True, True, True, False, True)
TEXT_VRS = ("AE", "LO", "LT", "SH", "ST", "UC", "UT", "PN", "UR")


def written(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(stream, dataset, enforce_file_format=True)
    return stream.getvalue()


def treated(dataset: Dataset, profile: Profile | None = None, key: bytes = KEY) -> Deidentified:
    return deidentify_object(BytesSource("x", written(dataset)), profile or Profile(), Pseudonyms(key))


def read(made: Deidentified) -> Dataset:
    assert made.reason == ""
    return pydicom.dcmread(io.BytesIO(made.content))


def one(spec: PhantomSpec = PLAIN) -> Dataset:
    return next(iter(phantom.datasets(spec)))


def test_every_keyword_of_the_table_is_in_the_dictionary() -> None:
    from importlib.resources import files

    text = files("hounsfield.verbs.deidentify").joinpath("actions.txt").read_text("utf-8")
    words = [word for line in text.splitlines() if not line.startswith(("#", "[")) for word in line.split()]
    assert [word for word in words if tag_for_keyword(word) is None] == []
    assert len(words) == len(set(words)) == len(table()) > 400


def filled() -> Dataset:
    """A CT whose every text attribute of the standard holds a secret, at the top and in an item of a sequence."""
    dataset, item = one(), Dataset()
    for target in (dataset, item):
        for tag, (vr, _, _, retired, keyword) in DicomDictionary.items():
            if (
                vr not in TEXT_VRS
                or tag >> 16 in (0x0000, 0x0002, 0x0004, 0xFFFE)
                or not keyword
                or Tag(tag) in target
            ):
                continue
            del retired
            if int(tag) in table() or vr in ("PN", "LT", "ST", "UT"):
                target.add_new(tag, vr, f"SECRET{tag:08X}"[:16])
    dataset.ReferencedImageSequence = Sequence([item])
    return dataset


@pytest.mark.parametrize("dates", ["remove", "shift", "keep"])
def test_no_secret_survives_the_basic_profile_anywhere(dates: Any) -> None:
    content = written(filled())
    assert content.count(b"SECRET") > 600
    made = deidentify_object(BytesSource("x", content), Profile(dates=dates), Pseudonyms(KEY))
    assert b"SECRET" not in made.content
    assert b"Zyxwvut" not in made.content and b"7788123" not in made.content


CANARY = "CANARY"
PLANTED = {
    **dict.fromkeys(("AE", "CS", "LO", "SH", "PN", "LT", "ST", "UC", "UT"), CANARY),
    "UR": f"http://{CANARY}",
    "UI": "1.2.3.999.77777.5",
    "DA": "19770707",
    "DT": "19770707070707",
    "TM": "070707.777",
    **dict.fromkeys(("OB", "UN", "OW"), CANARY.encode()),
}
PLANTED["PN"] = "Finchname"
TRACES = (b"Finchname", b"FINCH", CANARY.encode(), b"1.2.3.999.77777.5", b"19770707", b"070707.777")
NEEDED = {
    "Modality", "SOPClassUID", "SpecificCharacterSet", "PixelData", "BurnedInAnnotation", "ImageType", "ConversionType",
}  # fmt: skip
SINGLE = {
    "basic": Profile(),
    "shift": Profile("shift"),
    "keep": Profile("keep"),
    **{
        name: Profile(**{name: True})  # type: ignore[arg-type]
        for name in ("descriptions", "device", "institution", "patient", "uids", "safe_private")
    },
    "everything": EVERYTHING,
}


def planted() -> Dataset:
    """A CT with a canary in every attribute of the dictionary that can hold one, at the top and in an item."""
    dataset, item = one(), Dataset()
    for tag, (vrs, _, _, _, keyword) in DicomDictionary.items():
        vr = vrs.split(" or ")[0]
        if tag >> 16 in (0x0000, 0x0002, 0x0004, 0xFFFE) or not keyword or keyword in NEEDED:
            continue
        if vr in PLANTED:
            # What is known to identify would be looked for in all other text, and hide what the profile leaves.
            kind = kinds().get(keyword) if vr != "DA" else None
            value = {None: PLANTED[vr], "place": f"FINCHP{tag:08X}"}.get(kind, f"FINCH-{tag:08X}")
            item.add_new(tag, vr, value)
            if Tag(tag) not in dataset or dataset[tag].VM == 1:
                dataset.add_new(tag, vr, value)
        elif vr == "SQ" and keyword != "ReferencedImageSequence":
            inner = Dataset()
            inner.StudyDescription, inner.ConvolutionKernel = CANARY, CANARY
            dataset.add_new(tag, vr, Sequence([inner]))
    for target in (dataset, item):
        target.add_new(0x60003000, "OW", CANARY.encode())
        target.add_new(0x60004000, "LT", CANARY)
        target.add_new(0x50003000, "OW", CANARY.encode())
        for group, creator in ((0x0019, "GEMS_ACQU_01"), (0x0029, "SIEMENS CSA HEADER"), (0x7FE1, CANARY)):
            block = target.private_block(group, creator, create=True)
            for element, vr in ((0x99, "LO"), (0x98, "UI"), (0x97, "PN"), (0x96, "DA"), (0x95, "OB")):
                block.add_new(element, vr, PLANTED[vr])
    dataset.ReferencedImageSequence = Sequence([item])
    return dataset


def survivors(dataset: Dataset) -> set[Any]:
    """Tags of what still holds a canary, at any depth."""
    found = set()
    for element in _all(dataset):
        if element.VR == "SQ":
            continue
        content = element.value if isinstance(element.value, bytes) else str(element.value).encode()
        if any(trace in content for trace in TRACES):
            found.add(element.tag)
    return found


@pytest.mark.parametrize("name", SINGLE)
def test_a_canary_in_every_attribute_survives_only_where_the_profile_lets_it(name: str) -> None:
    profile = SINGLE[name]
    source = planted()
    assert len(survivors(source)) > 1800
    left = survivors(read(treated(source, profile)))
    basic = survivors(read(treated(source)))
    for tag in left:
        rule, vr = table().get(int(tag)), str(DicomDictionary[tag][0]).split(" or ")[0]
        assert tag.group % 2 == 0 and tag.group >> 8 not in (0x50, 0x60) and tag.group != 0x4008
        kept_dates = (vr in ("DA", "DT", "TM") and profile.dates == "keep") or (
            vr == "TM" and profile.keeps_dates
        )
        option = {"desc": "descriptions"}.get(rule.option, rule.option) if rule is not None else ""
        assert rule is None or kept_dates or profile.uids or getattr(profile, option), keyword_for_tag(tag)
        assert vr not in ("PN", "LT", "ST", "UT", "UR", "UC") or keyword_for_tag(tag) in KEPT_TEXTS or rule
        assert vr not in ("DA", "DT", "TM") or kept_dates
        assert vr != "UI" or profile.uids or keyword_for_tag(tag) in KEPT_UIDS
    assert "PatientBirthDate" not in map(keyword_for_tag, left)
    if name in ("basic", "safe_private"):
        assert left == basic
    else:
        assert left > basic


@pytest.mark.parametrize("name", SINGLE)
def test_the_patient_s_name_in_every_attribute_survives_nowhere(name: str) -> None:
    dataset = planted()
    dataset.PatientName = f"{CANARY}^Anna"
    made = treated(dataset, SINGLE[name])
    assert made.reason == ""
    assert CANARY.encode() not in made.content
    assert b"Finchname" not in made.content


def test_what_the_standard_s_table_names_is_not_left_to_its_vr() -> None:
    """Attributes whose VR alone would keep them; some by name, since the table is long."""
    for keyword in (
        "PyramidLabel",
        "ChannelLabel",
        "NetworkID",
        "OtherClinicalTrialProtocolIDsSequence",
        "SecondaryCaptureDeviceID",
        "ROICreatorSequence",
        "SelectorLOValue",
        "InterpretationID",
    ):
        tag = tag_for_keyword(keyword)
        assert tag is not None
        assert Profile().action(tag, keyword, DicomDictionary[tag][0])[0] in "XZD", keyword
    last = tag_for_keyword("LastMenstrualDate")
    assert last is not None
    assert Profile(patient=True).action(last, "LastMenstrualDate", "DA")[0] == "X"
    owner = tag_for_keyword("CameraOwnerName")
    assert owner is not None
    assert Profile(device=True).action(owner, "CameraOwnerName", "LO")[0] == "X"


def test_chinese_names_are_found_in_text_without_spaces() -> None:
    dataset = one()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName = "Wang^XiaoDong=王^小东"
    dataset.SeriesDescription = "患者王小东复查 WangXiaoDong"
    dataset.ImageComments = "小东"
    dataset.StudyDescription = "胸部平扫"
    made = read(treated(dataset, Profile(descriptions=True)))
    assert made.SeriesDescription == "患者 复查"
    assert made.StudyDescription == "胸部平扫"
    assert "小东" not in str(made) and "xiaodong" not in str(made).lower()


def test_names_and_dates_under_a_harmless_vr_are_treated_as_what_they_are() -> None:
    dataset = one()
    del dataset.PatientName
    dataset.add_new(0x00100010, "LO", "Zyxwvut^Qrstuv")
    dataset.add_new(0x0040A123, "LO", "Mnopqr^Anna")
    dataset.add_new(0x00404005, "LO", "19991231")
    dataset.SeriesDescription = "for Zyxwvut, born 07.07.1977"
    dataset.PatientBirthDate = "19770707"
    made = treated(dataset, Profile(descriptions=True))
    for secret in (b"Zyxwvut", b"Mnopqr", b"19991231", b"1977"):
        assert secret not in made.content, secret


def test_an_object_s_own_uids_are_not_told_in_text() -> None:
    dataset = one()
    dataset.SeriesDescription = f"copy of {dataset.SOPInstanceUID}"
    uid = str(dataset.SOPInstanceUID).encode()
    assert uid not in treated(dataset, Profile(descriptions=True)).content
    assert uid in treated(dataset, Profile(descriptions=True, uids=True)).content


def test_what_lies_behind_the_data_set_or_within_bytes_goes() -> None:
    dataset = one()
    dataset.add_new(0xFFFCFFFC, "OB", b"SECRET")
    dataset.add_new(0x00282000, "OB", b"<xml>Zyxwvut</xml>")
    content = written(dataset)
    made = deidentify_object(BytesSource("x", content), Profile(), Pseudonyms(KEY)).content
    assert b"SECRET" not in made and b"Zyxwvut" not in made
    assert (
        b"TRAILING"
        not in deidentify_object(
            BytesSource("x", written(one()) + b"\xfc\xff\xfc\xffOB\0\0\x08\0\0\0TRAILING"),
            Profile(),
            Pseudonyms(KEY),
        ).content
    )


def test_functional_groups_of_frames_are_treated_like_the_rest() -> None:
    dataset = one(replace(PLAIN, multiframe="enhanced"))
    for item in dataset.PerFrameFunctionalGroupsSequence:
        content = Dataset()
        content.FrameAcquisitionDateTime, content.FrameComments = "19770707070707", "SECRET"
        content.FrameReferenceDateTime = "19770707070707"
        item.FrameContentSequence = Sequence([content])
        item.private_block(0x0029, "SECRET", create=True).add_new(1, "PN", "SECRET")
    content = treated(dataset).content  # type: ignore[assignment]
    assert b"SECRET" not in content and b"19770707" not in content  # type: ignore[operator]


@pytest.mark.parametrize("seen", ["YES", "NO"])
def test_an_object_that_shows_a_face_still_says_so(seen: str) -> None:
    dataset = one()
    dataset.RecognizableVisualFeatures = seen
    assert read(treated(dataset)).RecognizableVisualFeatures == seen


def test_two_runs_with_one_key_write_the_same_bytes(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    for out in ("a", "b"):
        cli(
            "deidentify",
            tmp_path / "in",
            tmp_path / out,
            "--key",
            tmp_path / "k",
            "--dates",
            "shift",
            "--json",
        )
    cli("deidentify", tmp_path / "in", tmp_path / "c", "--json")
    trees = [
        {path.relative_to(tmp_path / out): path.read_bytes() for path in (tmp_path / out).rglob("*.dcm")}
        for out in "abc"
    ]
    assert trees[0] == trees[1]
    assert not set(trees[0]) & set(trees[2])


def test_directories_are_left_out_and_no_file_name_is_told(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    first = next((tmp_path / "in").glob("*.dcm"))
    first.rename(tmp_path / "in" / "Zyxwvut_Qrstuv_MRN-7788123.dcm")
    (tmp_path / "in" / "DICOMDIR").write_bytes(b"Zyxwvut")
    cli("deidentify", tmp_path / "in", tmp_path / "out", "--json", "--workers", "1")
    told = (tmp_path / "out" / "deidentification.json").read_text("utf-8")
    names = " ".join(str(path) for path in (tmp_path / "out").rglob("*"))
    assert "Zyxwvut" not in told + names and "7788123" not in told + names
    assert len(list((tmp_path / "out").rglob("*.dcm"))) == 3


@pytest.mark.parametrize("profile", [Profile(), EVERYTHING, Profile("keep", descriptions=True)])
def test_identities_are_found_in_whatever_text_is_kept(profile: Profile) -> None:
    dataset = one()
    dataset.StudyDescription = "CT of zyxwvut, MRN-7788123"
    dataset.SeriesDescription = "thorax"
    dataset.ConvolutionKernel = "QRSTUV"
    dataset.InstitutionName = "Hospital of Elsewhere"
    dataset.ManufacturerModelName = "seen at Hospital of Elsewhere"
    dataset.OperatorsName = ["Mnopqr^Anna", "Ghijkl"]
    dataset.DerivationDescription = "by ghijkl"
    made = treated(dataset, profile)
    content = made.content.lower()
    for secret in (b"zyxwvut", b"qrstuv", b"7788123", b"mnopqr", b"ghijkl", b"by ghijkl"):
        assert secret not in content
    if profile.descriptions:
        assert read(made).StudyDescription == "CT of ,"
        assert read(made).SeriesDescription == "thorax"
    if not profile.institution:
        assert b"elsewhere" not in content


def test_the_image_is_the_same_to_the_last_bit(tmp_path: Path) -> None:
    for spec in (PLAIN, replace(PLAIN, transfer_syntax="jpeg-ls"), replace(PLAIN, multiframe="enhanced")):
        folder = tmp_path / str(spec.transfer_syntax) / str(spec.multiframe)
        paths = phantom.write(spec, folder / "in")
        (folder / "out").mkdir()
        for path in paths:
            made = deidentify_object(FileSource(path), Profile(), Pseudonyms(KEY))
            (folder / "out" / path.name).write_bytes(made.content)
        before, after = load(folder / "in"), load(folder / "out")
        assert np.array_equal(before.array, after.array)
        assert np.array_equal(before.affine, after.affine)
        assert after.unit == before.unit


def test_uids_are_replaced_the_same_everywhere_and_standard_ones_stay() -> None:
    first, second = (dataset for dataset, _ in zip(phantom.datasets(PLAIN), range(2), strict=False))
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = (
        first.SOPClassUID,
        first.SOPInstanceUID,
    )
    second.ReferencedImageSequence = Sequence([reference])
    one_, two = read(treated(first)), read(treated(second))
    assert one_.SOPInstanceUID != first.SOPInstanceUID
    assert two.ReferencedImageSequence[0].ReferencedSOPInstanceUID == one_.SOPInstanceUID
    assert two.ReferencedImageSequence[0].ReferencedSOPClassUID == first.SOPClassUID
    assert (one_.SeriesInstanceUID, one_.StudyInstanceUID) == (two.SeriesInstanceUID, two.StudyInstanceUID)
    assert one_.FrameOfReferenceUID == two.FrameOfReferenceUID
    assert one_.file_meta.MediaStorageSOPInstanceUID == one_.SOPInstanceUID
    assert pydicom.uid.UID(one_.SOPInstanceUID).is_valid
    assert read(treated(first, key=b"another key of the tests")).SOPInstanceUID != one_.SOPInstanceUID
    assert read(treated(first, Profile(uids=True))).SOPInstanceUID == first.SOPInstanceUID


def test_objects_of_one_patient_stay_together_and_of_two_apart() -> None:
    mine, yours = one(), one(replace(PLAIN, patient_id="MRN-1"))
    also_mine = one(replace(PLAIN, seed=7))
    names = [str(read(treated(dataset)).PatientID) for dataset in (mine, also_mine, yours)]
    assert names[0] == names[1] != names[2]
    assert len(names[0]) == 16


def test_shifted_dates_keep_what_lies_between_them() -> None:
    early, late = one(), one(replace(PLAIN, seed=7))
    early.StudyDate, late.StudyDate = "20240229", "20240305"
    early.AcquisitionDateTime = "20240229101500.250000+0800"
    profile = Profile(dates="shift")
    one_, two = read(treated(early, profile)), read(treated(late, profile))
    from datetime import datetime

    days = [datetime.strptime(dataset.StudyDate, "%Y%m%d") for dataset in (one_, two)]
    assert (days[1] - days[0]).days == 5
    assert 1 <= (datetime(2024, 2, 29) - days[0]).days <= LONGEST_SHIFT_DAYS
    assert one_.AcquisitionDateTime == f"{one_.StudyDate}101500.250000+0800"
    assert one_.StudyTime == early.StudyTime
    assert not one_.PatientBirthDate
    assert one_.LongitudinalTemporalInformationModified == "MODIFIED"


@pytest.mark.parametrize(
    ("text", "moved"),
    [
        ("20240301", "20240229"),
        ("20240101-20240201", "20231231-20240131"),
        ("1999.01.01", ""),
        ("20241399", ""),
    ],
)
def test_dates_move_or_go(text: str, moved: str) -> None:
    assert shifted(text, -1) == moved


def test_removed_dates_leave_an_image_that_is_valid() -> None:
    made = read(treated(one()))
    assert made.StudyDate == "" and "StudyTime" in made
    assert "SeriesDate" not in made and "AcquisitionTime" not in made
    assert made.LongitudinalTemporalInformationModified == "REMOVED"


def test_the_object_says_what_was_done_to_it() -> None:
    made = read(treated(one(), EVERYTHING))
    assert made.PatientIdentityRemoved == "YES"
    assert "PS3.15" in made.DeidentificationMethod
    codes = [item.CodeValue for item in made.DeidentificationMethodCodeSequence]
    assert codes == ["113100", "113105", "113107", "113108", "113109", "113111", "113112"]
    assert {item.CodingSchemeDesignator for item in made.DeidentificationMethodCodeSequence} == {"DCM"}
    (basic,) = read(treated(one())).DeidentificationMethodCodeSequence
    assert basic.CodeValue == "113100"


def test_options_keep_what_they_name() -> None:
    dataset = one()
    dataset.DeviceSerialNumber, dataset.StationName = "SN12345", "ROOM4"
    dataset.InstitutionName, dataset.PatientAge, dataset.PatientWeight = "Elsewhere", "061Y", "70"
    bare = read(treated(dataset))
    for keyword in ("DeviceSerialNumber", "StationName", "InstitutionName", "PatientAge", "PatientWeight"):
        assert keyword not in bare
    assert bare.PatientSex == ""
    kept = read(treated(dataset, Profile(device=True, patient=True)))
    assert (kept.PatientAge, float(kept.PatientWeight), kept.PatientSex) == ("061Y", 70.0, "O")
    assert "InstitutionName" not in kept
    assert kept.ManufacturerModelName == "Phantom"
    assert (kept.DeviceSerialNumber, kept.StationName) == ("SN12345", "ROOM4")
    assert read(treated(dataset, Profile(institution=True))).InstitutionName == "Elsewhere"


def test_private_attributes_go_but_safe_ones_may_stay() -> None:
    dataset = one()
    block = dataset.private_block(0x0019, "GEMS_ACQU_01", create=True)
    block.add_new(0x27, "DS", "0.5")
    block.add_new(0x99, "LO", "SECRET")
    stranger = dataset.private_block(0x0019, "SOMEBODY", create=True)
    stranger.add_new(0x27, "LO", "SECRET")
    assert not any(element.tag.is_private for element in read(treated(dataset)))
    kept = read(treated(dataset, Profile(safe_private=True)))
    private = [element for element in kept if element.tag.is_private]
    assert [str(element.value) for element in private] == ["GEMS_ACQU_01", "0.5"]


def test_preamble_and_file_meta_are_new() -> None:
    dataset = one()
    dataset.preamble = b"SECRET".ljust(128, b"\0")
    dataset.file_meta.SourceApplicationEntityTitle = "SECRET"
    dataset.file_meta.PrivateInformationCreatorUID = "1.2.3"  # type: ignore[assignment]
    dataset.file_meta.PrivateInformation = b"SECRET"
    content = written(dataset)
    assert content.count(b"SECRET") >= 2
    assert b"SECRET" not in deidentify_object(BytesSource("x", content), Profile(), Pseudonyms(KEY)).content


def test_overlays_go_and_the_bits_they_lay_in_are_cleared() -> None:
    dataset = one(replace(PLAIN, bits_stored=12, signed=False, padding=0, overlay_bit=14, intercept=-1024.0))
    before = np.frombuffer(dataset.PixelData, "<u2")
    assert (before & 0x4000).any()
    made = read(treated(dataset))
    after = np.frombuffer(made.PixelData, "<u2")
    assert not (after & 0xF000).any()
    assert np.array_equal(before & 0x0FFF, after)
    assert not any(0x6000 <= element.tag.group < 0x6100 for element in made)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, "Burned In Annotation"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7"}, "Secondary Capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.7.4"}, "Secondary Capture"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.88.67"}, "structured report"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.104.1"}, "document"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "Image Type"),
        ({"SamplesPerPixel": 3}, "colour image"),
    ],
)
def test_objects_whose_pixels_may_hold_text_are_left_out(change: dict[str, Any], reason: str) -> None:
    dataset = one()
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    made = treated(dataset)
    assert reason in made.reason
    assert made.content == b""


def test_what_a_dose_page_and_a_report_beside_a_series_become(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, dose_pages=2, localizers=1, strays=True), tmp_path / "in")
    answer = cli("deidentify", tmp_path / "in", tmp_path / "out", "--json")
    assert answer["objects"]["left out"] >= 4
    assert any(reason.startswith("a Secondary Capture") for reason in answer["left_out"])
    assert any("BasicTextSRStorage" in reason for reason in answer["left_out"])
    assert load(tmp_path / "out").shape == (3, 24, 24)


def test_files_that_pydicom_brings_name_nobody_afterwards() -> None:
    checked = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in sorted((Path(pydicom.__file__).parent / "data" / "test_files").glob("*.dcm")):
            if path.stat().st_size > 2_000_000:
                continue
            try:
                made = deidentify_object(FileSource(path), Profile(), Pseudonyms(KEY))
                original = pydicom.dcmread(path, force=True)
            except HounsfieldError:
                continue
            if made.reason:
                continue
            checked += 1
            after = pydicom.dcmread(io.BytesIO(made.content))
            for element in _all(after):
                if element.VR == "PN":
                    assert str(element.value) in ("", str(after.PatientID), "ANONYMIZED"), (
                        path.name,
                        element,
                    )
            head = made.content[: len(made.content) - len(after.get("PixelData", b""))]
            for keyword in (
                "SOPInstanceUID",
                "StudyInstanceUID",
                "PatientID",
                "PatientName",
                "AccessionNumber",
            ):
                value = str(original.get(keyword, "")).encode()
                if len(value) >= 6:
                    assert value not in head, (path.name, keyword)
    assert checked > 23


def _all(dataset: Dataset) -> list[Any]:
    found: list[Any] = []
    dataset.walk(lambda _, element: found.append(element))
    return found


def test_real_ct_loads_the_same_and_names_nobody(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "philips_phantom" / "S21610" / "S2010"
    cli("deidentify", source, tmp_path / "out", "--json", "--workers", "1")
    before, after = load(source), load(tmp_path / "out")
    assert np.array_equal(before.array, after.array)
    assert after.header["StudyInstanceUID"] != before.header["StudyInstanceUID"]
    name = str(before.header.get("PatientName", "")).split("^")[0].encode()
    for path in (tmp_path / "out").rglob("*.dcm"):
        assert len(name) < 3 or name not in path.read_bytes()[:8000]


def test_a_short_key_is_refused(tmp_path: Path) -> None:
    from hounsfield.verbs.deidentify import deidentify

    with pytest.raises(UnsupportedError, match="at least"):
        list(deidentify([], tmp_path, key=b"short"))


def cli(*arguments: object) -> Any:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_a_location_becomes_a_folder_and_the_same_key_makes_it_again(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    command = ["deidentify", tmp_path / "in", tmp_path / "out", "--key", tmp_path / "k", "--json"]
    assert cli(*command)["objects"] == {"made": 3}
    if sys.platform != "win32":
        assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    assert cli(*command, "--workers", "2")["objects"] == {"present": 3}
    files = sorted((tmp_path / "out").rglob("*.dcm"))
    assert len(files) == 3
    for path in files:
        dataset = pydicom.dcmread(path)
        uids = (dataset.StudyInstanceUID, dataset.SeriesInstanceUID, f"{dataset.SOPInstanceUID}.dcm")
        assert path.relative_to(tmp_path / "out").parts == uids


def test_the_report_beside_the_data_names_no_source(tmp_path: Path) -> None:
    phantom.write(replace(PLAIN, dose_pages=1), tmp_path / "Zyxwvut")
    cli("deidentify", tmp_path / "Zyxwvut", tmp_path / "out", "--json", "--workers", "1")
    text = (tmp_path / "out" / "deidentification.json").read_text("utf-8")
    assert "Zyxwvut" not in text
    assert json.loads(text)["objects"] == {"made": 3, "left out": 1}


def test_a_series_on_a_server_is_deidentified_too(tmp_path: Path) -> None:
    paths = phantom.write(PLAIN, tmp_path / "in")
    with stub_archive(path.read_bytes() for path in paths) as archive:
        assert cli("deidentify", archive.url, tmp_path / "out", "--json")["objects"] == {"made": 3}
    assert np.array_equal(load(tmp_path / "out").array, load(tmp_path / "in").array)


def test_writing_into_the_source_is_refused(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    done = CliRunner().invoke(main, ["deidentify", str(tmp_path / "in"), str(tmp_path / "in" / "out")])
    assert done.exit_code == 1
    assert "write beside it" in done.stderr


def test_a_broken_file_is_told_and_the_rest_is_made(tmp_path: Path) -> None:
    paths = phantom.write(PLAIN, tmp_path / "in")
    paths[0].write_bytes(paths[0].read_bytes()[:700])
    done = CliRunner().invoke(main, ["deidentify", str(tmp_path / "in"), str(tmp_path / "out"), "--json"])
    answer = json.loads(done.stdout)
    assert answer["objects"]["made"] == 2
    assert sum(answer["objects"].values()) == 3


def test_keyword_lookup_agrees_with_the_table() -> None:
    assert all(keyword_for_tag(tag) for tag in table())


def test_a_sequence_written_as_unknown_is_looked_into() -> None:
    """PS3.5 6.2.2 note 2: a sequence under VR UN is encoded as Implicit VR Little Endian."""
    dataset = one()
    name = (0x0010, 0x0010, b"Zyxwvut^Qrstuv")
    comment = (0x0020, 0x4000, b"SECRET")
    inner = b"".join(
        group.to_bytes(2, "little") + element.to_bytes(2, "little") + len(value).to_bytes(4, "little") + value
        for group, element, value in (name, comment)
    )
    item = b"\xfe\xff\x00\xe0" + len(inner).to_bytes(4, "little") + inner
    content = written(dataset)
    at = content.index(b"\x08\x00\x60\x00CS")  # Modality; what follows (0008,0060) is put there
    unknown = b"\x08\x00\x40\x11UN\0\0" + len(item).to_bytes(4, "little") + item
    after = content.index(b"\x10\x00\x10\x00PN", at)
    made = deidentify_object(
        BytesSource("x", content[:after] + unknown + content[after:]), Profile(), Pseudonyms(KEY)
    )
    assert made.reason == ""
    assert b"Zyxwvut" not in made.content and b"SECRET" not in made.content
    assert len(read(made).ReferencedImageSequence) == 1


@pytest.mark.parametrize("name", ["stray_item_tag/000.dcm", "stray_item_tag/001.dcm"])
def test_a_stray_item_tag_hinders_nobody(real_data: Path, name: str) -> None:
    path = real_data / "field" / "reading" / name
    made = deidentify_object(FileSource(path), Profile(), Pseudonyms(KEY))
    assert made.reason == ""
    before, after = (
        read_instance(source).cells(0) for source in (FileSource(path), BytesSource("x", made.content))
    )
    assert np.array_equal(before, after)


def test_only_uids_that_are_registered_are_those_of_the_standard() -> None:
    """Others use its root, too, with numbers of patients in it."""
    made_up = "1.2.840.10008.7788123.19770712"
    dataset, item = one(), Dataset()
    dataset.SOPInstanceUID = dataset.FrameOfReferenceUID = made_up
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = dataset.SOPClassUID, made_up
    dataset.ReferencedImageSequence = Sequence([item])
    made = treated(dataset)
    assert made_up.encode() not in made.content and b"7788123" not in made.content
    assert read(made).ReferencedImageSequence[0].ReferencedSOPInstanceUID == made.instance
    dataset.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"  # Talairach Brain Atlas
    assert read(treated(dataset)).FrameOfReferenceUID == "1.2.840.10008.1.4.1.1"


def test_text_in_items_with_a_character_set_of_their_own_stays_readable() -> None:
    dataset, item = one(), Dataset()
    item.SpecificCharacterSet, item.SeriesDescription, item.ConvolutionKernel = "GB18030", "胸部", "X"
    dataset.ReferencedSeriesSequence = Sequence([item])
    dataset.SpecificCharacterSet, dataset.SeriesDescription = "ISO_IR 192", "CHESTCHEST"
    content = written(dataset).replace(b"CHESTCHEST", "胸部平扫".encode("gb18030") + b"  ")
    made = read(deidentify_object(BytesSource("x", content), Profile(descriptions=True), Pseudonyms(KEY)))
    assert made.SeriesDescription == "胸部平扫"
    assert made.ReferencedSeriesSequence[0].SeriesDescription == "胸部"
