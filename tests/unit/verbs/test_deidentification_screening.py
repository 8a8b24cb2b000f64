"""Which objects may pass: allow-lists of classes, modalities and Image Types; all else stays out unless named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from test_deidentification import PLAIN, one, treated

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.verbs.deidentify import Profile
from hounsfield.verbs.deidentify.screening import CLASSES, MODALITIES
from hounsfield.verbs.deidentify.wording import REASONS, RISKS, WORDS, in_language, risks_of

STORAGE = "1.2.840.10008.5.1.4.1.1."
LEFT_OUT = [
    ({"SOPClassUID": STORAGE + "6.1", "Modality": "US", "BurnedInAnnotation": "NO"}, ["US"]),
    ({"SOPClassUID": STORAGE + "12.1", "Modality": "XA"}, ["XA"]),
    ({"SOPClassUID": STORAGE + "12.2", "Modality": "RF"}, ["RF"]),
    ({"SOPClassUID": STORAGE + "66"}, ["RawDataStorage"]),
    ({"SOPClassUID": STORAGE + "1.1", "Modality": "DX"}, ["DX"]),
    ({"SOPClassUID": STORAGE + "88.67"}, [STORAGE + "88.67"]),
    ({"SOPClassUID": STORAGE + "7"}, ["SecondaryCaptureImageStorage"]),
    ({"SOPClassUID": "1.3.12.2.1107.5.9.1"}, ["1.3.12.2.1107.5.9.1"]),
    ({"SOPClassUID": "1.2.840.113619.4.30"}, ["1.2.840.113619.4.30"]),
    ({"Modality": "US"}, ["US"]),
    ({"Modality": "OT"}, ["OT"]),
    ({"Modality": "DOC"}, ["doc"]),
    ({"ConversionType": "WSD"}, ["WSD"]),
    ({"ConversionType": "SI"}, ["SI"]),
    ({"ImageType": ["DERIVED", "SECONDARY", "SCREENSAVE"]}, ["SCREENSAVE"]),
    ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, ["screen_save"]),
    ({"ImageType": ["DERIVED", "SECONDARY", "DOSE REPORT"]}, ["DOSE REPORT"]),
    ({"ImageType": ["DERIVED", "SECONDARY", "DOSE_INFO"]}, ["DOSE_INFO"]),
    ({"ImageType": ["DERIVED", "SECONDARY", "CAPTURE"]}, ["CAPTURE"]),
    ({"ImageType": ["DERIVED", "SECONDARY", "OTHER", "CT_SOM5 PROT"]}, ["CT_SOM5 PROT"]),
    ({"ImageType": ["DERIVED", "SECONDARY", "PATIENT_INFO"]}, ["PATIENT_INFO"]),
    ({"ImageType": ["DERIVED", "SECONDARY", "HOLIDAY"]}, ["HOLIDAY"]),
    ({"SeriesDescription": "Dose Report"}, ["dose report"]),
    ({"SeriesDescription": "Patient Protocol"}, ["PATIENT PROTOCOL"]),
    ({"SeriesDescription": "Screenshots 2"}, ["screenshots"]),
    ({"SamplesPerPixel": 3}, ["RGB"]),
]


def changed(change: dict[str, Any]) -> Any:
    dataset = one()
    for keyword, value in change.items():
        setattr(dataset, keyword, value)
    return dataset


@pytest.mark.parametrize(("change", "names"), LEFT_OUT, ids=[str(list(row[0].values())) for row in LEFT_OUT])  # type: ignore[attr-defined]
def test_what_is_on_no_list_is_left_out_unless_it_is_named(change: dict[str, Any], names: list[str]) -> None:
    made = treated(changed(change))
    assert made.reason and made.content == b""
    assert "--include" in made.reason
    other = treated(changed(change), Profile(include=("MR", "PRIMARY", "nothing")))
    assert other.reason == made.reason
    included = treated(changed({**change, "BurnedInAnnotation": "NO"}), Profile(include=tuple(names)))
    assert included.reason == "" and included.content


@pytest.mark.parametrize(
    "change",
    [
        {"BurnedInAnnotation": "YES"},
        {"BurnedInAnnotation": "PERHAPS"},
        {"SOPClassUID": STORAGE + "104.1"},
        {"SOPClassUID": "1.2.840.10008.1.3.10"},
        {"StudyInstanceUID": ""},
    ],
)
def test_some_kinds_stay_out_whatever_is_named(change: dict[str, Any]) -> None:
    names = tuple(str(value) for value in change.values())
    made = treated(changed(change), Profile(include=(*names, "CT", "YES", "PERHAPS")))
    assert made.reason and "--include" not in made.reason


@pytest.mark.parametrize("suffix", ["1.1", "1.2", "6.1", "3.1", "7.2"])
def test_a_class_that_says_whether_text_is_burned_in_has_to_say_it(suffix: str) -> None:
    profile = Profile(include=(STORAGE + suffix,))
    silent = changed({"SOPClassUID": STORAGE + suffix})
    del silent.BurnedInAnnotation
    assert "Burned In Annotation (0028,0301) is missing" in treated(silent, profile).reason
    assert treated(changed({"SOPClassUID": STORAGE + suffix}), profile).reason == ""
    plain = one()
    del plain.BurnedInAnnotation
    assert treated(plain).reason == ""


@pytest.mark.parametrize(
    "kinds",
    [
        ["ORIGINAL", "PRIMARY", "AXIAL"],
        ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM5 SPI"],
        ["ORIGINAL", "PRIMARY", "AXIAL", "CT_SOM7 DET", "DET_DUAL"],
        ["ORIGINAL", "PRIMARY", "AXIAL", "HELIX"],
        ["ORIGINAL", "PRIMARY", "LOCALIZER", "CT_SOM5 TOP"],
        ["DERIVED", "SECONDARY", "REFORMATTED", "AVERAGE"],
        ["DERIVED", "SECONDARY", "MPR"],
        ["DERIVED", "PRIMARY", "AXIAL", "VMI"],
        ["DERIVED", "PRIMARY", "PERFUSION", "RCBF"],
        ["DERIVED", "SECONDARY", "PROJECTION IMAGE"],
        ["DERIVED", "PRIMARY", "AXIAL", "MAT_FRACTIONAL"],
        ["ORIGINAL", "PRIMARY", "M", "ND", "NORM", "DIS2D"],
        ["ORIGINAL", "PRIMARY"],
        [],
    ],
)
def test_images_as_scanners_write_them_pass(kinds: list[str]) -> None:
    assert treated(changed({"ImageType": kinds})).reason == ""


@pytest.mark.parametrize("suffix", sorted(uid.removeprefix(STORAGE) for uid in CLASSES))
def test_the_classes_of_the_list_pass(suffix: str) -> None:
    assert treated(changed({"SOPClassUID": STORAGE + suffix})).reason == ""


@pytest.mark.parametrize("modality", sorted(MODALITIES))
def test_the_modalities_of_the_list_pass(modality: str) -> None:
    assert treated(changed({"Modality": modality})).reason == ""


def test_a_dose_is_no_dose_report_and_a_segmentation_is_made_by_a_workstation() -> None:
    assert treated(changed({"SOPClassUID": STORAGE + "481.2", "Modality": "RTDOSE"})).reason == ""
    assert (
        treated(changed({"SOPClassUID": STORAGE + "66.4", "Modality": "SEG", "ConversionType": "WSD"})).reason
        == ""
    )
    assert treated(changed({"SeriesDescription": "low dose thorax"})).reason == ""


def test_a_reason_quotes_nobody() -> None:
    for change in (
        {"ImageType": ["DERIVED", "SECONDARY", "SCREEN ZYXWVUT"]},
        {"ImageType": ["DERIVED", "SECONDARY", "ZYXWVUT"]},
        {"ConversionType": "ZYXWVUT"},
        {"Modality": "ZYXWVUT"},
        {"SOPClassUID": "1.3.6.7788123"},
    ):
        reason = treated(changed(change)).reason
        assert reason and "zyxwvut" not in reason.lower() and "7788123" not in reason, reason


def cli(*arguments: object) -> Any:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_include_lets_in_on_the_command_line_and_in_the_next_run(tmp_path: Path) -> None:
    for path in phantom.write(PLAIN, tmp_path / "in"):
        _set(path, Modality="US")
    command = ["deidentify", tmp_path / "in", tmp_path / "out", "--key", tmp_path / "k", "--json"]
    first = json.loads(cli(*command))
    assert first["objects"] == {"left out": 3}
    assert list(first["left_out"]) == ["Modality US: not among those that may pass (--include US lets it in)"]
    second = json.loads(cli(*command, "--include", "us"))
    assert second["objects"] == {"made": 3} and second["included"] == ["us"]


def _set(path: Path, **values: Any) -> None:
    import pydicom

    dataset = pydicom.dcmread(path)
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    dataset.save_as(path)


def test_every_reason_has_its_chinese() -> None:
    """Reasons as they are said, of all objects that these tests leave out."""
    reasons = {treated(changed(change)).reason for change, _ in LEFT_OUT}  # type: ignore[arg-type]
    reasons |= {treated(changed({"BurnedInAnnotation": value})).reason for value in ("YES", "PERHAPS")}
    reasons |= {treated(changed({"SOPClassUID": STORAGE + uid})).reason for uid in ("104.1", "77.1.1", "1.1")}
    for reason in reasons:
        chinese = in_language(reason, "zh")
        assert re.search("[一-鿿]", chinese) and "{" not in chinese, reason
        assert not re.search(r"[A-Za-z]{4,} [a-z]{3,} [a-z]{3,}", chinese), chinese
        assert in_language(reason, "en") == reason
    assert all(re.search("[一-鿿]", text) for text in REASONS.values())
    assert all(re.search("[一-鿿]", chinese) for _, chinese in (*WORDS.values(), *RISKS.values()))


def test_every_option_says_what_it_risks() -> None:
    profile = Profile("shift", True, True, True, True, True, True, ("US",))
    names = [name for name, _ in risks_of(profile, "en")]
    assert names == [
        "--keep descriptions", "--keep device", "--keep institution", "--keep patient", "--keep uids",
        "--keep safe-private", "--dates shift", "--include",
    ]  # fmt: skip
    assert risks_of(Profile(), "zh") == []
