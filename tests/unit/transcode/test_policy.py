"""Rules that decide what becomes of which images: the first that matches, and what a file of them may not say."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from test_transcode import image, phantom, saved

from hounsfield.cli import main
from hounsfield.ct.instance import BytesSource, FileSource, read_instance
from hounsfield.errors import HounsfieldError
from hounsfield.transcode import Target, policy_target, transcode
from hounsfield.transcode.policy import before, read_policy, shipped_policies

TODAY = date(2026, 12, 1)
RULES = """
[[rule]]
name = "old chest"
modality = "CT"
body_part = ["chest", "LUNG"]
older_than = "5 years"
to = "jpeg-ls-near"
max_error = 2

[[rule]]
modality = ["CT", "PT"]
to = "htj2k"

[[rule]]
sop_class = "MR Image Storage"
to = "jpeg2000"

[[rule]]
modality = "US"
to = "auto"

[[rule]]
name = "radiotherapy"
modality = "RTIMAGE"
to = "keep"
"""


def policy(tmp_path: Path, text: str = RULES) -> Target:
    path = tmp_path / "policy.toml"
    path.write_text(text, "utf-8")
    return policy_target(path, today=TODAY)


def after(target: Target, **attributes: object) -> str:
    """The syntax an image of these attributes comes to, or why it stays."""
    content = saved(image(phantom(), **attributes))
    result = transcode(BytesSource("x", content), target)
    return result.after if result.changed else result.why


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ({"Modality": "CT", "BodyPartExamined": "CHEST", "StudyDate": "20211130"}, "jpeg-ls-near"),
        ({"Modality": "CT", "BodyPartExamined": "LUNG", "StudyDate": "20110131"}, "jpeg-ls-near"),
        ({"Modality": "CT", "BodyPartExamined": "CHEST", "StudyDate": "20211201"}, "htj2k"),
        ({"Modality": "CT", "BodyPartExamined": "CHEST"}, "htj2k"),  # of no date, neither old nor new
        ({"Modality": "CT", "BodyPartExamined": "HEAD", "StudyDate": "19990101"}, "htj2k"),
        ({"Modality": "PT"}, "htj2k"),
        ({"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"}, "jpeg2000"),
        ({"Modality": "US"}, "jpeg-ls"),  # auto: 16 bits
        ({"Modality": "RTIMAGE"}, "kept by radiotherapy of the policy"),
        ({"Modality": "OT"}, "no rule of the policy is for it"),
    ],
)
def test_the_first_rule_that_matches_decides(
    attributes: dict[str, object], expected: str, tmp_path: Path
) -> None:
    assert after(policy(tmp_path), **attributes) == expected


@pytest.mark.parametrize(
    ("months", "days", "expected"),
    [
        (60, 0, date(2021, 12, 1)), (0, 1, date(2026, 11, 30)), (9, 0, date(2026, 3, 1)), (12, 0, date(2025, 12, 1)),
    ],
)  # fmt: skip
def test_ages_are_counted_by_the_calendar(months: int, days: int, expected: date) -> None:
    assert before(TODAY, months, days) == expected


def test_a_month_that_is_too_short_ends_with_its_last_day() -> None:
    assert before(date(2024, 3, 31), 1, 0) == date(2024, 2, 29)
    assert before(date(2023, 3, 31), 1, 0) == date(2023, 2, 28)
    assert before(date(2026, 5, 31), 1, 0) == date(2026, 4, 30)
    assert before(date(2026, 5, 31), 99999, 0) == date.min


@pytest.mark.parametrize(
    ("studied", "expected"),
    [("20261102", "rle"), ("20261101", "rle"), ("20261031", "no rule of the policy is for it")],
)
def test_newer_than_includes_its_first_day(studied: str, expected: str, tmp_path: Path) -> None:
    target = policy(tmp_path, '[[rule]]\nnewer_than = "1 month"\nto = "rle"\n')
    assert after(target, StudyDate=studied) == expected


def test_what_its_syntax_does_not_hold_takes_another_and_says_so(tmp_path: Path) -> None:
    target = policy(tmp_path, '[[rule]]\nto = "jpeg"\nquality = 90\n')
    result = transcode(BytesSource("x", saved(image(phantom()))), target)
    assert (result.after, result.max_error) == ("jpeg-ls", 0) and "jpeg does not hold" in result.why


def test_a_loss_is_taken_once_only(tmp_path: Path) -> None:
    target = policy(tmp_path, '[[rule]]\nto = "jpeg2000-lossy"\nratio = 10\n')
    assert after(target, LossyImageCompression="01") == "jpeg-ls"


def test_what_would_be_no_smaller_stays(tmp_path: Path) -> None:
    target = policy(tmp_path, '[[rule]]\nto = "jpeg-ls"\n')
    noise = np.random.default_rng(15).integers(0, 65536, (4, 4)).astype("u2")
    assert "no smaller" in transcode(BytesSource("x", saved(image(noise))), target).why


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rule in it"),
        ("[[rule", "is no TOML"),
        ('[rule]\nto = "rle"', "no rule in it"),
        ('[[rules]]\nto = "rle"', "'rules' in it"),
        ("[[rule]]\nmodality = 'CT'", "does not say what to make"),
        ('[[rule]]\nto = "jpeg-lz"', "jpeg-lz"),
        ('[[rule]]\nto = "rle"\nratio = 3', "loses nothing"),
        ('[[rule]]\nto = "jpeg2000-lossy"', "how much was said 0 times"),
        ('[[rule]]\nto = "jpeg2000-lossy"\nratio = 3\nquality = 5', "how much was said 2 times"),
        ('[[rule]]\nto = "jpeg2000-lossy"\nratio = "10"', "expected a number"),
        ('[[rule]]\nto = "auto"\nratio = 3', "makes no sense with 'auto'"),
        ('[[rule]]\nto = "rle"\nmodalty = "CT"', "'modalty' is no part of a rule"),
        ('[[rule]]\nto = "rle"\nmodality = []', "modality = []"),
        ('[[rule]]\nto = "rle"\nmodality = 5', "modality = 5"),
        ('[[rule]]\nto = "rle"\nolder_than = "old"', "expected an age"),
        ('[[rule]]\nto = "rle"\nolder_than = 5', "expected an age"),
        ('[[rule]]\nto = "rle"\nsop_class = "CT Storage"', "is no SOP Class"),
        ('[[rule]]\nto = "rle"\n[[rule]]\nmodality = "CT"\nto = "keep"', "rule 2: is never reached"),
        ('[[rule]]\nto = "mpeg2-ml"', "cannot be written"),
    ],
)
def test_what_makes_no_sense_is_refused_with_its_rule(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(HounsfieldError) as raised:
        policy(tmp_path, text)
    assert said in str(raised.value) and "policy.toml" in str(raised.value)


def test_a_policy_that_is_nowhere_is_told_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(HounsfieldError, match="drg-2008"):
        read_policy(tmp_path / "none.toml")


def test_every_shipped_policy_is_sound_and_names_its_source() -> None:
    assert shipped_policies()
    for name, text in shipped_policies().items():
        rules, _ = read_policy(name)
        assert rules[-1].matches_all and "doi:" in text


@pytest.mark.parametrize(
    ("attributes", "limit"),
    [
        ({"Modality": "CT", "BodyPartExamined": "HEAD"}, 5), ({"Modality": "CT"}, 5),
        ({"Modality": "CT", "BodyPartExamined": "ABDOMEN"}, 8), ({"Modality": "MG"}, 15),
        ({"Modality": "DX"}, 10), ({"Modality": "CR"}, 10), ({"Modality": "MR"}, 7), ({"Modality": "XA"}, 6),
    ],
)  # fmt: skip
def test_the_german_limits_are_not_exceeded_though_a_ratio_is_met_within_a_tenth(
    attributes: dict[str, object], limit: float
) -> None:
    dataset = image(phantom(), **attributes)
    chosen = policy_target("drg-2008").chosen_for(read_instance(BytesSource("x", saved(dataset))).header)
    assert chosen.target is not None and chosen.target.ratio is not None
    assert limit * 0.8 < chosen.target.ratio * 1.1 <= limit


def typed(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["compress", *map(str, arguments)])


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    folder = tmp_path / "scan"
    folder.mkdir()
    for number, modality in enumerate(("CT", "PT", "OT")):
        dataset = image(
            phantom(), Modality=modality, SOPInstanceUID=f"1.2.{number}", SeriesInstanceUID=f"1.3.{number}"
        )
        (folder / f"{modality}.dcm").write_bytes(saved(dataset))
    (tmp_path / "policy.toml").write_text(RULES, "utf-8")
    return folder


def test_a_run_by_policy_does_what_its_rules_say_and_records_them(scan: Path, tmp_path: Path) -> None:
    done = typed(scan, tmp_path / "out", "--policy", tmp_path / "policy.toml", "--json")
    assert done.exit_code == 0, done.output
    found = {
        path.name: read_instance(FileSource(path)).syntax.keyword for path in (tmp_path / "out").glob("*.dcm")
    }
    assert found == {"CT.dcm": "htj2k", "PT.dcm": "htj2k", "OT.dcm": "explicit"}
    record = json.loads((tmp_path / "out" / "hounsfield.jsonl").read_text("utf-8").splitlines()[0])
    assert record["options"]["to"] == "policy" and record["options"]["policy"][0]["name"] == "old chest"
    again = typed(scan, tmp_path / "out", "--policy", tmp_path / "policy.toml")
    assert "3 present" in again.output


def test_a_changed_policy_is_another_run(scan: Path, tmp_path: Path) -> None:
    typed(scan, tmp_path / "out", "--policy", tmp_path / "policy.toml")
    (tmp_path / "policy.toml").write_text('[[rule]]\nto = "rle"\n', "utf-8")
    assert "3 written" in typed(scan, tmp_path / "out", "--policy", tmp_path / "policy.toml").output


def test_a_dry_run_follows_the_policy(scan: Path, tmp_path: Path) -> None:
    done = typed(scan, tmp_path / "out", "--policy", tmp_path / "policy.toml", "--dry-run")
    assert "explicit → htj2k" in done.output and "no rule of the policy is for it" in done.output


@pytest.mark.parametrize(
    "option", [("--to", "rle"), ("--ratio", "3"), ("--auto", "CT=rle"), ("--effort", "3")]
)
def test_a_policy_says_it_all(option: tuple[str, str], scan: Path, tmp_path: Path) -> None:
    done = typed(scan, tmp_path / "out", "--policy", "drg-2008", *option)
    assert done.exit_code == 2 and f"leave out {option[0]}" in done.output
