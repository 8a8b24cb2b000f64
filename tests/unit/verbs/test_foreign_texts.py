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
    folder = write_series(tmp_path / "big5", big5, "ISO_IR 100")  # type: ignore[arg-type]
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


@pytest.mark.parametrize("encoding", ["gb18030", "utf-8"])
def test_a_length_that_counts_characters(encoding: str, tmp_path: Path) -> None:
    texts = chinese("张^三丰", encoding)
    lengths = {0x00080080: len(HOSPITAL), 0x00100010: 4}
    charset = "GB18030" if encoding == "gb18030" else "ISO_IR 192"
    (tmp_path / "scan").mkdir()
    for number in (1, 2, 3):
        content = slice_of(texts, charset=charset, number=number, lying=lengths)
        (tmp_path / f"scan/{number}.dcm").write_bytes(content)
    [series] = scan(str(tmp_path / "scan")).series
    assert series.facts["PatientName"] == "张^三丰"
    assert series.load().array.shape == (3, 16, 16)
    looked = inspect(series, pixels=False)
    assert looked.trust is Trust.AMBER
    assert [each for each in looked.cautions if "InstitutionName (0008,0080) counts characters" in each]
    out, err = run("tags", str(tmp_path / "scan"), "--search", "0008,0080")
    assert HOSPITAL in out and "counts characters, not bytes" in err
    # A copy with an edit is written with the true length.
    run("tags", str(tmp_path / "scan"), "--set", "InstitutionName=X", "--out", str(tmp_path / "out"))
    out, err = run("tags", str(tmp_path / "out"), "--search", "0010,0010")
    assert "张^三丰" in out and "InstitutionName" not in err


def test_relabelling_leaves_the_bytes(tmp_path: Path) -> None:
    content = slice_of(chinese(), charset="ISO_IR 192")
    (tmp_path / "a.dcm").write_bytes(content)
    run("tags", str(tmp_path / "a.dcm"), "--recode", "GB18030", "--out", str(tmp_path / "b.dcm"))
    assert (tmp_path / "b.dcm").read_bytes() == slice_of(chinese(), charset="GB18030")
    out, err = run("tags", str(tmp_path / "b.dcm"), "--search", "0010,0010")
    assert NAME in out and not err
    # One that declared nothing gets a label as well, with other edits written in that set.
    (tmp_path / "c.dcm").write_bytes(slice_of(chinese(), charset=None))
    run(
        "tags",
        str(tmp_path / "c.dcm"),
        "--recode",
        "gb18030",
        "--set",
        "StationName=三室",
        "--out",
        str(tmp_path / "d.dcm"),
    )
    assert "三室" in run("tags", str(tmp_path / "d.dcm"), "--search", "0008,1010")[0]


@pytest.mark.parametrize(
    ("encoding", "asked", "why"),
    [
        ("gb18030", "ISO_IR 192", "InstitutionName is not in ISO_IR 192"),
        ("gb18030", "utf-8", "InstitutionName is not in ISO_IR 192"),
        ("big5", "Big5", "'Big5' is no character set of DICOM"),
        ("gb18030", "klingon", "no character set 'klingon'"),
    ],
)
def test_relabelling_is_refused_where_texts_are_not_of_it(
    encoding: str, asked: str, why: str, tmp_path: Path
) -> None:
    texts = chinese("AB^C") if encoding == "gb18030" else {0x00100010: (b"PN", "張三豐".encode(encoding))}
    (tmp_path / "a.dcm").write_bytes(slice_of(texts, charset=None))  # type: ignore[arg-type]
    done = CliRunner().invoke(
        main, ["tags", str(tmp_path / "a.dcm"), "--recode", asked, "--out", str(tmp_path / "b.dcm")]
    )
    assert done.exit_code == 1 and why in done.output
    assert not (tmp_path / "b.dcm").exists()


def test_relabelling_of_utf8_names_the_term_of_dicom(tmp_path: Path) -> None:
    (tmp_path / "a.dcm").write_bytes(slice_of(chinese(encoding="utf-8"), charset="GB18030"))
    run("tags", str(tmp_path / "a.dcm"), "--recode", "utf-8", "--out", str(tmp_path / "b.dcm"))
    assert (tmp_path / "b.dcm").read_bytes() == slice_of(chinese(encoding="utf-8"), charset="ISO_IR 192")


ESCAPED = b"\x1b$)A"


def _gb(text: str) -> bytes:
    return text.encode("gb18030")


@pytest.mark.parametrize(
    ("charset", "name", "description", "left"),
    [
        ("GB18030", "张^三丰".encode(), _gb("张三丰 胸部平扫"), "胸部平扫"),  # two sets in one file
        (None, _gb("张^三丰"), "张三丰 胸部平扫".encode(), "胸部平扫"),
        ("GB18030", _gb("ZHANG SANFENG=张三丰"), _gb("zhangsanfeng 胸部平扫"), "胸部平扫"),
        ("GB18030", _gb("ZHANG^SAN FENG=张三丰"), _gb("胸部平扫 SanFengZhang"), "胸部平扫"),
        ("GB18030", _gb("张^三丰"), _gb("zhang sanfeng 胸部平扫"), "胸部平扫"),
        (None, _gb("张^三丰"), _gb("张　三丰 胸部平扫"), "胸部平扫"),
        ("ISO_IR 192", _gb("张^三丰"), _gb("张三丰 胸部平扫"), "胸部平扫"),
        ("ISO_IR 100", _gb("张^三丰"), _gb("张三丰 胸部平扫"), "胸部平扫"),
        (
            "\\ISO 2022 IR 58",
            b"Zhang^San=" + ESCAPED + _gb("张") + b"^" + ESCAPED + _gb("三"),
            ESCAPED + _gb("张三 胸部"),
            "胸部",
        ),
        (None, "張^三豐".encode("big5"), "張三豐 胸部".encode("big5"), "胸部"),
    ],
)
def test_names_are_taken_out_of_texts_in_every_set(
    charset: str | None, name: bytes, description: bytes, left: str, tmp_path: Path
) -> None:
    texts: dict[int, tuple[bytes, bytes | str]] = {
        0x0008103E: (b"LO", description),
        0x00100010: (b"PN", name),
    }
    folder = write_series(tmp_path / "scan", texts, charset)
    run("deidentify", str(folder), str(tmp_path / "out"), "--keep", "descriptions")
    [path, *_] = sorted((tmp_path / "out").rglob("*.dcm"))
    content = path.read_bytes()
    for encoding in ("gb18030", "utf-8", "big5"):
        for part in ("张", "三丰", "張", "三豐"):
            try:
                assert part.encode(encoding) not in content.split(b"\xe0\x7f\x10\x00")[0], (encoding, part)
            except UnicodeEncodeError:
                continue
    out, _ = run("tags", str(path), "--search", "0008,103E")
    assert out.splitlines()[-1].endswith(f"  {left}")
    assert b"sanfeng" not in content.lower() and b"zhang" not in content.lower()
