"""Texts in character sets that are not the declared ones, through the verbs of the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from foreign_texts import DESCRIPTION, HOSPITAL, NAME, chinese, slice_of, write_series

from hounsfield.cli import main
from hounsfield.dicomweb.matching import matches
from hounsfield.dicomweb.queries import Query
from hounsfield.verbs.inspect import Trust, inspect
from hounsfield.verbs.load import scan


def run(*arguments: str) -> tuple[str, str]:
    done = CliRunner().invoke(main, list(arguments))
    assert done.exit_code == 0, done.output
    return done.stdout, done.stderr


@pytest.fixture
def hospitals(tmp_path: Path) -> Path:
    for number, (charset, encoding) in enumerate(
        ((None, "gb18030"), ("ISO_IR 100", "gb18030"), ("ISO_IR 192", "gb18030"), ("GB18030", "utf-8"))
    ):
        write_series(tmp_path / f"scans/{number}", chinese(NAME, encoding), charset)
    for number, name in enumerate(("张^三丰", "张　三丰", "ZHANG^SAN FENG", "李^四")):
        write_series(tmp_path / f"scans/n{number}", chinese(name), "GB18030")
    return tmp_path / "scans"


def test_info_says_what_was_not_as_declared(hospitals: Path) -> None:
    series = {item.facts["PatientName"]: item for item in scan(str(hospitals / "2")).series}
    looked = inspect(series[NAME], pixels=False)
    [caution] = [each for each in looked.cautions if "GB18030" in each]
    assert "ISO_IR 192" in caution
    assert inspect(scan(str(hospitals / "0")).series[0], pixels=False).trust is Trust.GREEN
    out, _ = run("info", str(hospitals / "1"), "--no-pixels", "--json")
    assert json.loads(out)["series"][0]["name"].endswith(DESCRIPTION)
    assert not [
        each
        for each in inspect(scan(str(hospitals / "n0")).series[0], pixels=False).cautions
        if "texts" in each
    ]


def test_find_by_what_is_shown(hospitals: Path) -> None:
    def found(name: str, *more: str) -> int:
        out, _ = run("find", str(hospitals), "--patient-name", name, "--json", *more)
        return len(json.loads(out))

    assert found("张三丰") == found("张*") == found("张?丰") == 6
    assert found("张三丰", "--fuzzy") == found("张三", "--fuzzy") == 6
    assert found("zhangsanfeng") == found("ZHANG SANFENG") == found("Zhang San Feng") == 5
    assert found("张^三丰") == 1  # marks that are typed count
    assert found("四") == 0
    assert found("李四", "--charset", "GB18030") == 1
    out, _ = run("find", str(hospitals), f"InstitutionName={HOSPITAL}", "--json")
    assert len(json.loads(out)) == 8


@pytest.mark.parametrize(
    ("asked", "name", "fits"),
    [
        ("DOE^JOHN", "DOE^JOHN", True),
        ("doe, john", "DOE^JOHN", True),
        ("DOE JOHN", "DOE^JOHN^^DR", False),
        ("DOE^J*", "DOEJACK", False),
        ("DOE J*", "DOE^JACK", True),
        ("^DOE", "DOE", False),
        ("*", "", True),
        ("张三丰", "ZHANG^SANFENG=张^三丰=zhang^san feng", True),
        ("山田太郎", "Yamada^Tarou=山田^太郎=やまだ^たろう", True),
        ("Muller Hans", "Müller^Hans", True),
        ("三丰", "张^三丰", False),
    ],
)
def test_names_without_the_marks_between_their_parts(asked: str, name: str, fits: bool) -> None:
    group = dict(zip(("Alphabetic", "Ideographic", "Phonetic"), name.split("="), strict=False))
    model = {"00100010": {"vr": "PN", "Value": [group] if name else []}}
    assert matches(Query.build({"PatientName": asked}), model) is fits


def test_charset_for_every_verb_that_reads(tmp_path: Path) -> None:
    big5 = {0x00100010: (b"PN", "張三豐".encode("big5")), 0x0008103E: (b"LO", "胸".encode("big5"))}
    folder = write_series(tmp_path / "big5", big5, "ISO_IR 100")
    out, err = run("tags", str(folder), "--search", "0010,0010", "--charset", "Big5")
    assert "張三豐" in out and "Big5" in err
    refused = CliRunner().invoke(main, ["tags", str(folder), "--charset", "klingon"])
    assert refused.exit_code == 1 and "no character set" in refused.output
    for verb in ("find", "info", "check", "volume", "masks", "measure", "image", "compress", "verify", "copy",
                 "deidentify", "view", "serve", "qa", "tags"):  # fmt: skip
        helped = CliRunner().invoke(main, [verb, "--help"])
        if "Commands:" not in helped.output:
            assert "--charset" in helped.output, verb
    # It holds for one run, and not for the next in the same process.
    out, _ = run("tags", str(folder), "--search", "0010,0010", "--charset", "windows-1251")
    assert "張" not in out


def test_the_variable_does_what_the_option_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = slice_of({0x00100010: (b"PN", "ИВАНОВ".encode("cp1251"))}, charset=None)
    (tmp_path / "a.dcm").write_bytes(content)
    monkeypatch.setenv("HOUNSFIELD_CHARSET", "windows-1251")
    assert "ИВАНОВ" in run("tags", str(tmp_path), "--search", "0010,0010")[0]
