"""Character sets: the standard's examples, what hospitals write in their place, and what must stay as it is."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from foreign_texts import DESCRIPTION, HOSPITAL, NAME, chinese, element, slice_of

from hounsfield.attributes import attribute_rows, header_rows
from hounsfield.attributes.header_text import read_header_text
from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.dicom.charsets import decode_strictly, decode_text, known_set, terms
from hounsfield.dicom.decided_texts import Text, decide
from hounsfield.errors import SelectionError

ANNEXES = [
    # PS3.5 H.3.1, H.3.2: Japanese
    (
        "\\ISO 2022 IR 87",
        b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B",
        "Yamada^Tarou=山田^太郎=やまだ^たろう",
    ),
    (
        "ISO 2022 IR 13\\ISO 2022 IR 87",
        b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J",
        "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう",
    ),
    # I.2: Korean
    (
        "\\ISO 2022 IR 149",
        b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf",
        "Hong^Gildong=洪^吉洞=홍^길동",
    ),
    # J.1, J.3: Chinese in UTF-8 and GB18030; K.2: by code extension
    ("ISO_IR 192", b"Wang^XiaoDong=\xe7\x8e\x8b^\xe5\xb0\x8f\xe6\x9d\xb1=", "Wang^XiaoDong=王^小東="),
    ("GB18030", b"Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab=", "Wang^XiaoDong=王^小东="),
    (
        "\\ISO 2022 IR 58",
        b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
        "Zhang^XiaoDong=张^小东=",
    ),
    # single bytes of other scripts, by themselves and by code extension
    ("ISO_IR 100", b"Buc^J\xe9r\xf4me", "Buc^Jérôme"),
    ("ISO_IR 101", b"Wa\xb3\xeasa", "Wałęsa"),
    ("ISO_IR 126", b"\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"),
    ("ISO_IR 127", b"\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"),
    ("ISO_IR 138", b"\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"),
    ("ISO_IR 144", b"\xbb\xee\xda", "Люк"),
    ("ISO_IR 148", b"\xc7avu\xfeo\xf0lu", "Çavuşoğlu"),
    ("ISO_IR 166", b"\xe0\xa1\xd2\xcb\xc5\xd5", "เกาหลี"),
    ("ISO_IR 13", b"\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"),
    (
        "ISO 2022 IR 100\\ISO 2022 IR 144\\ISO 2022 IR 126",
        b"Dionysios is \x1b-F\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2 \x1b-L\xb4",
        "Dionysios is Διονυσιος Д",
    ),
    # JIS X 0212, and katakana whose second bytes are the delimiters = and \ of PS3.5 6.2
    ("\\ISO 2022 IR 159", b"A^B=\x1b$(D0!0\x22\x1b(B", "A^B=丂丄"),
    ("\\ISO 2022 IR 87", b"A=\x1b$B%=%\\\x1b(B", "A=ソボ"),
]


@pytest.mark.parametrize(("charset", "raw", "text"), ANNEXES)
def test_examples_of_the_standard(charset: str, raw: bytes, text: str) -> None:
    assert decode_strictly(raw, charset, person=True) == text
    source = BytesSource("a", slice_of({0x00100010: (b"PN", raw)}, charset=charset))
    header = read_instance(source).header
    assert header.text("PatientName") == text
    assert header.character_set.is_as_declared
    assert "=".join(read_header_text(source).values(0x00100010)).rstrip("=") == text.rstrip("=")
    rows = {row.keyword: row.value for row in header_rows(read_instance(source))}
    assert rows["PatientName"].rstrip("=") == text.rstrip("=")


@pytest.mark.skipif(shutil.which("dcm2json") is None, reason="dcm2json of DCMTK (package dcmtk) is not here")
@pytest.mark.parametrize(
    ("charset", "raw"),
    # The iconv of GNU, which DCMTK asks, has no JIS X 0208 by itself.
    [(charset, raw) for charset, raw, _ in ANNEXES if "IR 87" not in charset and "IR 159" not in charset],
)
def test_dcmtk_reads_the_same(charset: str, raw: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(slice_of({0x00100010: (b"PN", raw)}, charset=charset))
    done = subprocess.run(["dcm2json", path], capture_output=True, check=True)
    name = json.loads(done.stdout)["00100010"]["Value"]
    found = read_header_text(BytesSource("a", path.read_bytes())).elements[0x00100010]
    assert json.loads("{" + found + "}")["00100010"]["Value"] == name


# What hospitals write (declared set, what the bytes are in) and the set that it is read in; "" as declared.
HOSPITALS = [
    (None, "gb18030", "GB18030"),
    ("ISO_IR 100", "gb18030", "GB18030"),
    ("ISO_IR 192", "gb18030", "GB18030"),
    ("GB18030", "utf-8", "ISO_IR 192"),
    (None, "utf-8", "ISO_IR 192"),
    ("ISO_IR 100", "utf-8", "ISO_IR 192"),
    ("\\ISO 2022 IR 58", "gb18030", "GB18030"),
    ("\\ISO 2022 GBK", "gb18030", "GB18030"),
    ("GB18030", "gb18030", ""),
    ("GBK", "gb18030", ""),
    ("GB2312", "gb18030", ""),
    ("ISO_IR 192", "utf-8", ""),
    ("ISO_IR_192", "utf-8", ""),
]


@pytest.mark.parametrize(("declared", "encoding", "used"), HOSPITALS)
@pytest.mark.parametrize("name", [NAME, "张三丰", "张^三丰", "张　三丰", "ZHANG SAN FENG=张三丰", "刘^祎晗"])
def test_texts_of_chinese_hospitals(declared: str | None, encoding: str, used: str, name: str) -> None:
    source = BytesSource("a", slice_of(chinese(name, encoding), charset=declared))
    instance = read_instance(source)
    header = instance.header
    assert header.text("PatientName") == name
    assert header.text("SeriesDescription") == DESCRIPTION
    assert (header.character_set.used, header.character_set.is_as_declared) == (used, not used)
    members = read_header_text(source)
    assert members.first(0x00080080) == HOSPITAL
    rows = header_rows(instance)
    assert {row.keyword: row.value for row in rows}["PatientName"] == name
    assert rows == attribute_rows(instance.dataset())


@pytest.mark.parametrize("word", ["未知", "男", "李娜", "腹部", "胸部平扫", "头颅", "王淼", "欧阳娜娜"])
def test_single_chinese_words_are_told_from_unicode(word: str) -> None:
    for declared, encoding, used in (
        ("", "gb18030", "GB18030"),
        ("ISO_IR 100", "gb18030", "GB18030"),
        ("ISO_IR 192", "gb18030", "GB18030"),
        ("", "utf-8", "ISO_IR 192"),
        ("GB18030", "utf-8", "ISO_IR 192"),
        ("GB18030", "gb18030", ""),
    ):
        decision = decide([Text(word.encode(encoding), declared)], declared, "")
        assert (decision.used, decision.is_certain) == (used, True), (declared, encoding)


EUROPE = [
    *("Müller^Jürgen", "José^María", "Größe", "RECONSTRUÇÃO DE CORAÇÃO", "créée", "Þór^Ýr", "Zoë", "Élise"),
    *(
        "Universitätsklinik Zürich",
        "Åse^Østergård",
        "10 µm, ±5°, mm²",
        "Ñuñez",
        "Ahn^Ö",
        "Straße 5",
        "ABDÔMEN",
    ),
]


@pytest.mark.parametrize("configured", ["", "GB18030", "Big5", "windows-1251"])
@pytest.mark.parametrize("text", EUROPE)
def test_latin_names_stay_latin(text: str, configured: str) -> None:
    decision = decide([Text(text.encode("latin-1"), "ISO_IR 100")], "ISO_IR 100", configured)
    assert decision.is_as_declared


@pytest.mark.parametrize("text", EUROPE)
@pytest.mark.parametrize("declared", ["", "ISO_IR 192"])
def test_latin_names_under_no_label_are_latin(text: str, declared: str) -> None:
    texts = [Text(text.encode("latin-1"), declared)]
    decision = decide(texts, declared, "")
    assert decode_text(texts[0].raw, decision.of(declared)) == text
    assert not decision.is_as_declared


def test_latin_hospital_with_a_chinese_patient() -> None:
    texts = [
        Text("Universitätsklinik".encode("latin-1"), "ISO_IR 100"),
        Text("Müller".encode("latin-1"), "ISO_IR 100"),
    ]
    assert decide(texts, "ISO_IR 100", "").is_as_declared
    mixed = [
        *texts,
        *(Text(word.encode("gb18030"), "ISO_IR 100") for word in (HOSPITAL, DESCRIPTION, "张三丰")),
    ]
    assert decide(mixed, "ISO_IR 100", "").used == "GB18030"


@pytest.mark.parametrize(
    ("text", "codec", "configured"),
    [
        ("張三豐", "big5", "Big5"),
        ("홍길동", "euc_kr", "EUC-KR"),
        ("山田太郎", "shift_jis", "Shift-JIS"),
        ("Иванов^Иван", "cp1251", "windows-1251"),
        ("ИВАНОВ", "cp1251", "windows-1251"),
        ("Παπαδόπουλος", "iso8859_7", "ISO_IR 126"),
    ],
)
@pytest.mark.parametrize("declared", ["", "ISO_IR 100", "ISO_IR 192"])
def test_other_sets_when_they_are_configured(text: str, codec: str, configured: str, declared: str) -> None:
    raw = text.encode(codec)
    decision = decide([Text(raw, declared, True)], declared, known_set(configured))
    assert decision.used == configured
    assert decode_text(raw, decision.used, person=True) == text


@pytest.mark.parametrize(
    ("text", "codec", "used"),
    [
        ("臺大醫院 胸部電腦斷層", "big5", "Big5"),
        ("胸部ＣＴ検査^ヤマダ", "shift_jis", "Shift-JIS"),
        ("홍길동 서울대학교병원 복부 조영증강 검사", "euc_kr", "EUC-KR"),
        ("O’Brien", "cp1252", "windows-1252"),
    ],
)
def test_sets_that_can_honestly_be_told(text: str, codec: str, used: str) -> None:
    for declared in ("", "ISO_IR 100"):
        assert decide([Text(text.encode(codec), declared)], declared, "").used == used


def test_escapes_missing_after_the_label_that_announces_them() -> None:
    for declared, codec in (("\\ISO 2022 IR 149", "euc_kr"), ("ISO 2022 IR 13\\ISO 2022 IR 87", "shift_jis")):
        text = Text({"euc_kr": "홍길동", "shift_jis": "山田太郎"}[codec].encode(codec), declared)
        assert decode_text(text.raw, decide([text], declared, "").used) in {"홍길동", "山田太郎"}


def test_escapes_under_a_label_that_does_not_announce_them() -> None:
    text = Text(b"Zhang=\x1b$)A\xd5\xc5", "ISO_IR 100", True)
    decision = decide([text], "ISO_IR 100", "")
    assert decision.used == "\\ISO 2022 IR 58"
    assert decode_text(text.raw, decision.used, person=True) == "Zhang=张"


def test_what_nothing_reads_is_replaced_and_said() -> None:
    decision = decide([Text(b"\xff\xfe\x81", "ISO_IR 192")], "ISO_IR 192", "")
    assert not decision.is_as_declared and not decision.is_certain
    assert "�" in decode_text(b"\xff\xfe\x81", decision.of("ISO_IR 192"))


def test_items_are_decided_with_the_whole() -> None:
    item = element(0x00081030, b"LO", DESCRIPTION.encode("gb18030")) + element(
        0x00081048, b"PN", "女".encode("gb18030")
    )
    sequence = b"\xfe\xff\x00\xe0" + len(item).to_bytes(4, "little") + item
    texts = {0x00081115: (b"SQ", sequence), 0x00100010: (b"PN", b"ZHANG")}
    source = BytesSource("a", slice_of(texts, charset=None))  # type: ignore[arg-type]
    assert DESCRIPTION in read_header_text(source).elements[0x00081115]
    inner = read_instance(source).dataset()[0x00081115].value[0]
    assert (inner.StudyDescription, str(inner.PhysiciansOfRecord)) == (DESCRIPTION, "女")


def test_names_of_sets() -> None:
    assert terms("iso_ir 192\0") == ("ISO_IR 192",)
    assert terms("\\ISO 2022-IR 58 ") == ("", "ISO 2022 IR 58")
    for name in ("GB18030", "big5", "EUC-KR", "Shift-JIS", "windows-1251", "utf-8", "\\ISO 2022 IR 58"):
        assert known_set(name)
    for name in ("", "klingon", "hex", "utf-16", "rot13"):
        with pytest.raises(SelectionError, match="no character set"):
            known_set(name)
