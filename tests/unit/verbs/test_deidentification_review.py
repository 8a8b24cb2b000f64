"""The review: every text that is left in the data, with its attribute and how often, for a person to read."""

from __future__ import annotations

import csv
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner
from test_deidentification import PLAIN

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.verbs.deidentify.review import Review

SPEC = replace(PLAIN, series_description="CT_HEAD_ZYXWVUT thorax")
TEXT_VRS = ("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT")
WRITTEN_BY_US = {
    "PatientName",
    "PatientID",
    "PatientIdentityRemoved",
    "DeidentificationMethod",
    "LongitudinalTemporalInformationModified",
    "SpecificCharacterSet",
}


def cli(*arguments: object) -> str:
    done = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert done.exit_code == 0, done.output
    return done.stdout


def run(tmp_path: Path, *more: object) -> dict[str, Any]:
    command = [
        "deidentify",
        tmp_path / "in",
        tmp_path / "out",
        "--key",
        tmp_path / "k",
        "--keep",
        "descriptions",
    ]
    return dict(json.loads(cli(*command, "--json", *more)))


def texts_in(folder: Path) -> Counter[tuple[str, str]]:
    """What a reader of the files finds, at any depth."""
    found: Counter[tuple[str, str]] = Counter()
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        del dataset.DeidentificationMethodCodeSequence
        for element in dataset.iterall():
            if element.VR in TEXT_VRS and element.keyword not in WRITTEN_BY_US:
                values = element.value if element.VM > 1 else [element.value]
                found.update((element.keyword, str(value)) for value in values if str(value or "").strip())
    return found


def test_the_list_is_what_is_in_the_files(tmp_path: Path) -> None:
    phantom.write(replace(SPEC, multiframe="enhanced"), tmp_path / "in" / "1")
    phantom.write(replace(SPEC, seed=3, series_number=2), tmp_path / "in" / "2")
    told = run(tmp_path)
    listed = Counter(
        {
            (row["attribute"], row["text"]): row["count"]
            for row in told["kept_texts"]
            if row["attribute"] not in WRITTEN_BY_US
        }
    )
    assert listed == texts_in(tmp_path / "out") and len(listed) > 15
    assert told["taken_out"] == {"SeriesDescription": 4}
    assert told["kept_texts"][0] == {
        "attribute": "SeriesDescription", "text": "CT_HEAD thorax", "count": 4, "cleaned": True,
    }  # fmt: skip


def test_it_is_the_same_in_a_run_that_does_nothing_and_names_nobody(tmp_path: Path) -> None:
    phantom.write(SPEC, tmp_path / "in")
    first = run(tmp_path)
    second = run(tmp_path)
    assert second["objects"] == {"present": 3}
    assert (second["kept_texts"], second["taken_out"]) == (first["kept_texts"], first["taken_out"])
    for path in filter(Path.is_file, (tmp_path / "out").iterdir()):
        assert b"zyxwvut" not in path.read_bytes().lower(), path.name


def test_page_table_and_json_tell_the_same(tmp_path: Path) -> None:
    phantom.write(replace(SPEC, series_description="=1+1 <b>ZYXWVUT</b>"), tmp_path / "in")
    told = run(tmp_path)
    written = json.loads((tmp_path / "out" / "deidentification.json").read_text("utf-8"))
    assert written["kept_texts"] == told["kept_texts"]
    with (tmp_path / "out" / "deidentification.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == len(told["kept_texts"])
    assert rows[0]["text"].startswith("'=1+1")
    page = (tmp_path / "out" / "deidentification.html").read_text("utf-8")
    assert "<b>" not in page and "&lt;" in page and "--keep descriptions" in page
    assert all(row["attribute"] in page for row in told["kept_texts"])


@pytest.mark.parametrize(("lang", "word"), [("en", "Texts that were kept"), ("zh", "保留下来的文本")])
def test_it_speaks_the_language_that_is_asked_for(tmp_path: Path, lang: str, word: str) -> None:
    phantom.write(replace(SPEC, dose_pages=1), tmp_path / "in")
    said = cli("deidentify", tmp_path / "in", tmp_path / "out", "--lang", lang, "--keep", "uids")
    page = (tmp_path / "out" / "deidentification.html").read_text("utf-8")
    assert word in page and ("二次捕获" in page) == ("二次捕获" in said) == (lang == "zh")
    assert ("未检查任何像素" in page) == ("序列描述" in page or "型号" in page) == (lang == "zh")


def test_counts_add_up_and_survive_json() -> None:
    one, other = Review(), Review()
    one.note("SeriesDescription", "a")
    other.note("SeriesDescription", "a", cleaned=True)
    other.note("SeriesDescription", "  ")
    other.taken_out["SeriesDescription"] += 1
    one.add(other)
    assert one.kept == {("SeriesDescription", "a"): 2} and one.cleaned == {("SeriesDescription", "a")}
    assert Review.from_json(json.loads(json.dumps(one.to_json()))) == one
    assert not Review() and one


@pytest.mark.parametrize(
    ("name", "is_told"), [("Zyxwvut_CT", True), ("study 7788123", True), ("shared", False)]
)
def test_a_folder_that_is_called_by_a_patient_is_warned_of(tmp_path: Path, name: str, is_told: bool) -> None:
    phantom.write(SPEC, tmp_path / "in")
    done = CliRunner().invoke(
        main, ["deidentify", str(tmp_path / "in"), str(tmp_path / name), "--workers", "2"]
    )
    assert done.exit_code == 0 and ("rename it before you share it" in done.stderr) == is_told
