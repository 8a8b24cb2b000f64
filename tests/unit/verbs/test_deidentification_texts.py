"""Names, numbers and dates are found however they are written in text that is kept, and normal words stay."""

from __future__ import annotations

import contextlib
import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydicom.datadict import DicomDictionary
from pydicom.dataset import Dataset
from test_deidentification import KEY, one, read, treated, written

from hounsfield.ct.instance import BytesSource
from hounsfield.errors import MalformedError
from hounsfield.verbs.deidentify import Profile, Pseudonyms, deidentify_object
from hounsfield.verbs.deidentify.folding import fold
from hounsfield.verbs.deidentify.matching import LONGEST_TEXT, MOST_DAYS, MOST_IDENTITIES, Identity, Matcher

ROWS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("deidentification_texts.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]
LONGEST_SHORT_STRING = 16
ENCODINGS = ("utf-8", "gb18030", "utf-16-le", "latin-1")


MONTHS = [
    tuple(line.split("\t"))
    for line in Path(__file__).with_name("deidentification_months.tsv").read_text("utf-8").splitlines()
    if not line.startswith("#")
]


def forms_of(day: date) -> Iterator[str]:
    """A day as people write it, in all orders, lengths and languages."""
    padded, bare = (f"{day.month:02}", f"{day.day:02}"), (str(day.month), str(day.day))
    for year, sign in product((f"{day.year}", f"{day.year % 100:02}"), ("-", "/", ".", "_", " ", "")):
        for month, dom in {padded, bare} if sign else {padded}:
            yield from (
                sign.join((year, month, dom)),
                sign.join((dom, month, year)),
                sign.join((month, dom, year)),
            )
    for year, (_, *names) in product((f"{day.year}", f"{day.year % 100:02}"), MONTHS):
        for name in (names[day.month - 1], names[day.month - 1].upper()):
            yield from (f"{day.day} {name} {year}", f"{day.day:02}{name}{year}", f"{day.day}. {name}, {year}")
            yield from (
                f"{name} {day.day}, {year}",
                f"{year}-{name}-{day.day:02}",
                f"{day.day} de {name} de {year}",
            )
    yield from (
        f"{day.year}年{day.month}月{day.day}日",
        f"{day.year}년 {day.month}월 {day.day}일",
        f"{day:%Y%m%d}101112",
    )


@pytest.mark.parametrize("born", ["19770712", "19850102", "20240229", "19660606", "19991231", "20080531"])
def test_a_birth_date_is_found_in_every_form_and_the_day_after_in_none(born: str) -> None:
    day = datetime.strptime(born, "%Y%m%d").date()
    patient = Matcher([Identity("date", born)])
    other = Matcher([Identity("date", f"{day + timedelta(days=1):%Y%m%d}")])
    assert len(set(forms_of(day))) > 400
    assert [form for form in forms_of(day) if not patient.finds(f"DOB {form} CT")] == []
    assert [form for form in forms_of(day) if other.finds(f"DOB {form} CT")] == []


def bearing(name: str, number: str, born: str, text: str) -> Dataset:
    """A CT of this patient with `text` in every description and every kind of short text that the profile keeps."""
    dataset = one()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = name, number, born
    for keyword in ("SeriesDescription", "StudyDescription", "ProtocolName", "ImageComments"):
        setattr(dataset, keyword, text)
    for keyword in ("ManufacturerModelName", "SoftwareVersions"):
        setattr(dataset, keyword, text)
    for keyword in ("ConvolutionKernel", "FilterType"):
        setattr(dataset, keyword, text if len(text) <= LONGEST_SHORT_STRING else "")
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = "T-D1100", "SRT", text
    dataset.AnatomicRegionSequence = [item]
    return dataset


def test_the_table_is_as_long_as_it_says() -> None:
    assert len(ROWS) >= 116 and {len(row) for row in ROWS} == {5}


@pytest.mark.parametrize(("name", "number", "born", "text", "left"), ROWS, ids=[row[3] for row in ROWS])
def test_no_byte_of_the_output_tells_what_the_text_told(
    name: str, number: str, born: str, text: str, left: str
) -> None:
    for profile in (Profile(), Profile(descriptions=True)):
        after, other = (treated(bearing(name, number, born, each), profile) for each in (text, ""))
        seen = read(after)
        kept = [seen.ManufacturerModelName, seen.SoftwareVersions, seen.AnatomicRegionSequence[0].CodeMeaning]
        kept += [seen.ConvolutionKernel] if len(text) <= LONGEST_SHORT_STRING else []
        kept += [seen.SeriesDescription] if profile.descriptions else []
        assert {str(each or "") for each in kept} == {left}
        for word in (text, *_words(text)):
            if word.casefold() not in left.casefold():
                counts = [_count(word, made.content) for made in (after, other)]
                assert counts[0] == counts[1], word


def _words(text: str) -> list[str]:
    """The words of a text that are long enough not to be elsewhere in a file by chance."""
    return [word for word in re.split(r"[\W_]+", text) if len(word) >= (4 if word.isascii() else 2)]


def _count(word: str, content: bytes) -> int:
    """How often it is in the bytes, whatever the case and the encoding."""
    found = 0
    for encoding in ENCODINGS:
        for form in {word, word.upper(), word.lower(), word.title()}:
            with contextlib.suppress(UnicodeEncodeError):
                found += content.count(form.encode(encoding))
    return found


@pytest.mark.parametrize(
    "text",
    [
        "CT HEAD W/O CONTRAST",
        "SOMATOM Definition AS+",
        "thorax 5.0 B30s",
        "Abdomen native 3.0 I30f 3",
        "syngo CT VA48A",
        "LIVER arterial phase",
        "19770713",
        "12-JUL-1978",
        "77.07.13",
        "1977",
        "778812",
        "胸部平扫",
        "头颅CT血管成像",
        "голова нативно",
        "頭部単純",
        "annual scanner tomography",
        "kVp 120 mAs 250",
    ],
)
def test_words_dates_and_numbers_of_others_stay(text: str) -> None:
    found = Matcher(
        [
            Identity("name", "Zyxwvut^Tom"),
            Identity("name", "Li^Na=李^娜"),
            Identity("name", "Ann"),
            Identity("number", "7788123"),
            Identity("date", "19770712"),
        ]
    )
    if text != "annual scanner tomography":
        assert found.clean(text) == text
    else:  # no word of the trade: rather one word too many
        assert found.clean(text) == "scanner tomography"


@pytest.mark.parametrize(
    "family", ["Zyxwvut", "Müller", "Jørgensen", "Łukasz", "O'Brien", "Smith-Jones", "Kim", "Groß"]
)
@pytest.mark.parametrize("given", ["Johann", "Mary Jane", "Jörg", "Đức"])
def test_a_name_is_found_in_any_order_case_and_spelling(family: str, given: str) -> None:
    found = Matcher([Identity("name", f"{family}^{given}")])
    spellings = (str, _without_diacritics, _with_two_letters, lambda text: unicodedata.normalize("NFD", text))
    for spell, case, order in product(spellings, (str, str.upper, str.lower), (1, -1)):
        parts = [case(spell(part)) for part in (family, given)][::order]  # type: ignore[operator]
        for sign, around in product(
            ("_", " ", "-", ",", "^", "", " - "), ("{}", "CT_{}", "{}_HEAD", "2{}7", "x {} y")
        ):
            text = around.format(sign.join(parts))
            left = found.clean(text)
            assert not any(fold(part) in fold(left) for part in parts), text


def _without_diacritics(text: str) -> str:
    plain = text.translate(str.maketrans("øØłŁđĐ", "oOlLdD")).replace("ß", "ss")
    return "".join(char for char in unicodedata.normalize("NFKD", plain) if not unicodedata.combining(char))


def _with_two_letters(text: str) -> str:
    for letter, two in {"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa", "ß": "ss"}.items():
        text = text.replace(letter, two)
    return _without_diacritics(text)


@pytest.mark.parametrize(
    ("name", "inside", "border"),
    [
        ("Li", "LIVER", "LIVER LI"),
        ("Na", "NATIVE", "CT_NA"),
        ("J", "J Smith", ""),
        ("Du^Bin", "DURAL", "CT_DU"),
        ("van der Berg^Ute", "de la van der", "BERG"),
        ("Berg^Ute^^Dr", "CT of Dr", "UTE"),
    ],
)
def test_short_names_need_a_border(name: str, inside: str, border: str) -> None:
    found = Matcher([Identity("name", name)])
    assert found.clean(inside) == inside
    assert not border or found.clean(border) != border


@pytest.mark.parametrize(
    ("kind", "identity", "found", "not_found"),
    [
        ("name", "Zyx", "AZYXB", "AZXYB"),
        ("name", "Zy", "A ZY B", "AZYB"),
        ("number", "12345", "A9123456", "A9123546"),
        ("number", "1234", "A 1234 B", "A 12345 B"),
        ("number", "12", "", "12"),
        ("name", "小东", "患小东者", "患小者东"),
        ("name", "东", "", "西东"),
        ("date", "19770712", "x12071977x", "x12071978x"),
        ("date", "19770712", "x 120777 x", "x 9120777 x"),
    ],
)
def test_where_the_limits_of_length_lie(kind: str, identity: str, found: str, not_found: str) -> None:
    matcher = Matcher([Identity(kind, identity)])  # type: ignore[arg-type]
    assert not matcher.finds(not_found)
    assert not found or matcher.finds(found)


def test_what_is_too_long_or_too_much_to_search_is_not_kept() -> None:
    found = Matcher([Identity("name", "Zyxwvut")])
    assert found.clean("a" * LONGEST_TEXT) == "a" * LONGEST_TEXT
    assert found.clean("a" * (LONGEST_TEXT + 1)) == ""
    assert Matcher(Identity("number", f"A{place}") for place in range(MOST_IDENTITIES))
    with pytest.raises(MalformedError, match="1001 different names"):
        Matcher(Identity("number", f"A{place}") for place in range(MOST_IDENTITIES + 1))
    days = [
        Identity("date", f"{date(2000, 1, 1) + timedelta(days=place):%Y%m%d}")
        for place in range(MOST_DAYS + 1)
    ]
    assert Matcher(days[1:])
    with pytest.raises(MalformedError, match="at most 200"):
        Matcher(days)


def test_people_and_places_are_looked_for_as_the_patient_is() -> None:
    """Each attribute that names somebody, in turn: what it says is found in a description."""
    persons = [
        keyword
        for vr, _, _, _, keyword in DicomDictionary.values()
        if vr == "PN" and keyword not in ("PatientName", "SelectorPNValue")
    ]
    for keyword in (*persons, "PatientAddress", "InstitutionName", "AccessionNumber", "OtherPatientIDs"):
        dataset = one()
        setattr(dataset, keyword, "Qwertz 4455667")
        dataset.SeriesDescription = "for QWERTZ_4455667 of today"
        made = treated(dataset, Profile(descriptions=True))
        assert read(made).SeriesDescription == "for of today", keyword
    assert len(persons) > 20


def test_the_object_s_own_days_are_taken_out_unless_dates_are_kept() -> None:
    dataset = one()
    dataset.StudyDate, dataset.SeriesDescription = "20240229", "CT 29.02.2024 and 01.03.2024"
    for dates, left in (("remove", "CT and 01.03.2024"), ("shift", "CT and 01.03.2024")):
        assert read(treated(dataset, Profile(dates, descriptions=True))).SeriesDescription == left  # type: ignore[arg-type]
    kept = read(treated(dataset, Profile("keep", descriptions=True)))
    assert kept.SeriesDescription == "CT 29.02.2024 and 01.03.2024"


def test_a_code_that_stands_for_a_person_is_one() -> None:
    dataset, operator, code = one(), Dataset(), Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "99881", "L", "Qwertz Anna"
    operator.PersonIdentificationCodeSequence = [code]
    dataset.OperatorIdentificationSequence = [operator]
    dataset.SeriesDescription = "by qwertz 99881"
    assert read(treated(dataset, Profile(descriptions=True))).SeriesDescription == "by"


@pytest.mark.parametrize("encoding", ["utf-8", "gb18030", "big5", "utf-16-le", "utf-16-be", "utf-32-le"])
@pytest.mark.parametrize("before", [b"", b"x"])
def test_bytes_that_hold_a_name_go(encoding: str, before: bytes) -> None:
    dataset = one()
    dataset.SpecificCharacterSet, dataset.PatientName = "ISO_IR 192", "Zyxwvut^Johann=王^曉東"
    for secret in ("Zyxwvut", "王曉東"):
        if encoding.startswith("utf-32") and secret != "Zyxwvut":
            continue
        dataset.add_new(0x00282000, "OB", before + secret.encode(encoding) + b"\0\0\0"[len(before) :])
        assert "ICCProfile" not in read(treated(dataset)), secret
    dataset.add_new(0x00282000, "OB", b"sRGB")
    assert read(treated(dataset)).ICCProfile == b"sRGB"


def test_what_is_behind_the_transfer_syntax_of_a_file_goes() -> None:
    content = written(one())
    own = b"UI\x14\x001.2.840.10008.1.2.1\0"
    assert own in content
    content = content.replace(own, b"UI\x1c\x00" + own[4:] + b"Zyxwvut!")
    made = deidentify_object(BytesSource("x", content), Profile(), Pseudonyms(KEY))
    assert made.reason == "" and b"Zyxwvut" not in made.content


@pytest.mark.parametrize("label", ["", "ISO_IR 100", "ISO_IR 192", "GB18030"])
@pytest.mark.parametrize("name_in", ["utf-8", "gb18030"])
@pytest.mark.parametrize("text_in", ["utf-8", "gb18030"])
def test_names_are_found_whatever_the_file_says_of_its_text(label: str, name_in: str, text_in: str) -> None:
    """Labels are often wrong: the bytes of name and description are in these sets, whatever is declared."""
    after = _bearing_bytes(label, "张^三丰".encode(name_in), "张三丰 胸部平扫".encode(text_in))
    assert "三丰" not in (after.SeriesDescription or "")
    if label in ("ISO_IR 192", "GB18030") and (label, text_in) != ("GB18030", "utf-8"):
        assert after.SeriesDescription == "胸部平扫"


GB, KS = b"\x1b$)A", b"\x1b$)C"
LABELLED = [
    (["", "ISO 2022 IR 87"], "Y^T=山田^太郎".encode("iso2022_jp"), "CT 山田太郎 頭部".encode("iso2022_jp"), "CT 頭部"),
    (["", "ISO 2022 IR 149"], KS + "홍^길동".encode("euc_kr"), KS + "홍길동 두부".encode("euc_kr"), "두부"),
    (["", "ISO 2022 IR 58"], GB + "张^三丰".encode("gb2312"), GB + "张三丰 胸部".encode("gb2312"), "胸部"),
    ("ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ".encode("shift_jis"), "ﾔﾏﾀﾞ CT".encode("shift_jis"), "CT"),
    ("ISO_IR 144", "Иванов^Пётр".encode("iso8859_5"), "КТ Иванов".encode("iso8859_5"), "КТ"),
    ("ISO_IR 126", "Παπαδόπουλος^Ν".encode("iso8859_7"), "ΠΑΠΑΔΟΠΟΥΛΟΣ κεφ".encode("iso8859_7"), "κεφ"),
    ("ISO_IR 138", "כהן^דוד".encode("iso8859_8"), "CT כהן".encode("iso8859_8"), "CT"),
    ("ISO_IR 100", "Müller^Jörg".encode("latin-1"), "Mueller Übersicht".encode("latin-1"), "Übersicht"),
    ("ISO_IR 100", "Müller^Jörg".encode(), "MÜLLER Übersicht".encode("latin-1"), "Übersicht"),
    ("ISO_IR 192", "Müller^Jörg".encode("latin-1"), "Muller Übersicht".encode(), "Übersicht"),
    ("GBK", "王^小东".encode("gbk"), "王小東 胸部".encode("gbk"), "胸部"),
    ("", "王^曉東".encode("big5"), "王曉東 胸部".encode("big5"), "胸部"),  # both can be nothing but Big5
    ("ISO_IR 100", "王^曉東".encode("big5"), "王晓东 胸部".encode("gb18030"), ""),
]  # fmt: skip


@pytest.mark.parametrize(("label", "name", "text", "left"), LABELLED, ids=[str(row[0]) for row in LABELLED])
def test_text_of_every_character_set_is_searched(label: Any, name: bytes, text: bytes, left: str) -> None:
    """Where it is certain what the bytes say, the rest of them stays; where not, nothing does."""
    after = _bearing_bytes(label, name, text)
    assert (after.SeriesDescription or "") == left


def test_a_name_that_is_utf_8_by_chance_is_found_as_what_it_is() -> None:
    name = "头颅".encode("gb18030")
    assert name.decode("utf-8")  # two characters of two bytes each
    after = _bearing_bytes("", "王^".encode("gb18030") + name, "头颅 胸部平扫".encode("gb18030"))
    assert after.SeriesDescription == "胸部平扫"


def _bearing_bytes(label: Any, name: bytes, text: bytes) -> Dataset:
    """A de-identified CT whose patient's name and description were these bytes under this label."""
    dataset = one()
    dataset.SpecificCharacterSet = label
    name, text = (value + b" " * (len(value) % 2) for value in (name, text))
    dataset.PatientName, dataset.SeriesDescription = "N" * len(name), "T" * len(text)
    content = written(dataset).replace(b"N" * len(name), name).replace(b"T" * len(text), text)
    made = deidentify_object(BytesSource("x", content), Profile(descriptions=True), Pseudonyms(KEY))
    assert text not in made.content and name not in made.content
    return read(made)


def test_the_standard_s_own_chinese_form_is_read() -> None:
    """ISO 2022 IR 58 (PS3.5 K.2), whose escape sequences Python has no codec for."""
    from hounsfield.verbs.deidentify.charsets import is_as_labelled, readings

    raw = b"\x1b$)A" + "张三".encode("gb2312") + b" chest"
    label = ["iso8859", "iso_ir_58"]
    (found,) = readings(raw, label)
    assert found.text == "张三 chest" and not is_as_labelled(found, label)
