"""The Chinese page speaks Chinese: reasons of every kind that Python gives, errors, controls, help, announcements."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from viewer_browser import Person, archive_of

from hounsfield.language.reasons import REASONS, Reason, reason
from hounsfield.phantom import PhantomSpec, write

pytestmark = pytest.mark.xdist_group("viewer")

NAMES: dict[str, Any] = {
    "patient_name": "体模^亨氏",
    "patient_id": "7",
    "character_set": "ISO_IR 192",
    "series_description": "薄层",
    "tags": {"StudyDescription": "体模检查", "ManufacturerModelName": "7"},
}

FAULTS: dict[str, dict[str, Any]] = {
    "missing-one": {"missing": (5,)},
    "missing": {"missing": (5, 6)},
    "missing-more": {"slices": 40, "missing": tuple(range(5, 15))},
    "tilted": {"tilt": 12.0},
    "one-slice": {"slices": 1},
    "modified-hu": {"rescale_type": "HU_MOD"},
    "unspecified": {"rescale_type": "US"},
    "other-unit": {"rescale_type": "Z_EFF"},
    "dropped": {"duplicated": (3, 7)},
    "dropped-one": {"duplicated": (3,)},
    "among-slices": {"localizers": 1},
    "colour": {"dose_pages": 1},
    "frames-of-reference": {"frame_of_reference_per_slice": True},
    "no-position": {"tags": {**NAMES["tags"], "ImagePositionPatient": None}},
    "no-orientation": {"tags": {**NAMES["tags"], "ImageOrientationPatient": None}},
    "no-spacing": {"tags": {**NAMES["tags"], "PixelSpacing": None}},
    "rescale-missing": {"tags": {**NAMES["tags"], "RescaleSlope": None}},
    "rescale-senseless": {"tags": {**NAMES["tags"], "RescaleSlope": "0"}},
    "rescale-empty": {"tags": {**NAMES["tags"], "RescaleSlope": ""}},
    "not-ct": {"tags": {**NAMES["tags"], "Modality": "MR"}, "rescale_type": "US"},
    "phase-acquisition": {"phases": 2, "slices": 4},
}
"""Key of a reason → what makes a phantom that has it."""

TERMS = {
    *(
        "Cobb",
        "HU",
        "CT",
        "MR",
        "UID",
        "SOP",
        "DICOM",
        "MIP",
        "MinIP",
        "JSON",
        "CSV",
        "PNG",
        "PDF",
        "ZIP",
        "US",
        "HU_MOD",
        "Z_EFF",
    ),
    *("mm", "cm", "ml", "LR", "AP", "RGB", "CRC", "Ctrl", "Shift", "English", "Rescale", "Slope"),
}
"""What may stand in Latin letters: DICOM's own terms, units, file formats, keys, the other language's name."""

_TEXTS = """() => {
  const found = [];
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const parent = walk.currentNode.parentElement;
    if (parent.closest("script, noscript, kbd, [lang=en], .data")) continue;
    found.push(walk.currentNode.textContent);
  }
  for (const e of document.querySelectorAll("[aria-label], [title], [placeholder], [aria-valuetext]"))
    for (const name of ["aria-label", "title", "placeholder", "aria-valuetext"]) found.push(e.getAttribute(name) || "");
  return found;
}"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faults")
    for number, (name, fault) in enumerate(FAULTS.items(), 1):
        spec = {"rows": 24, "columns": 24, "slices": 12, "seed": number, **NAMES, **fault}
        write(PhantomSpec(**spec), root / name)
    return root


@pytest.fixture(scope="module")
def archive(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with archive_of(tmp_path_factory.mktemp("archive"), data) as root:
        yield root


def _infos(root: str) -> dict[str, dict[str, Any]]:
    """What the server tells of every series, by address."""
    with urllib.request.urlopen(f"{root}/dicom-web/series") as answer:
        rows = json.load(answer)
    found = {}
    for row in rows:
        study, series = (row[tag]["Value"][0] for tag in ("0020000D", "0020000E"))
        with urllib.request.urlopen(f"{root}/dicom-web/studies/{study}/series/{series}/info") as answer:
            found[f"{root}/#/?lang=zh&study={study}&series={series}"] = json.load(answer)
    return found


def _sentences(info: dict[str, Any]) -> set[str]:
    told = {*info["report"]["warnings"], *info["report"].get("spacing_notes", ())}
    told |= {note for item in info["slices"] for note in item["notes"]}
    told |= {name for part in info["parts"] for names in part["phase_names"] for name in names}
    return told | {item["reason"] for item in info["left_out"]}


def test_every_sentence_of_the_wire_has_its_key_and_its_words(archive: str) -> None:
    seen: set[str] = set()
    for info in _infos(archive).values():
        for sentence in _sentences(info):
            told = info["reasons"][sentence]
            seen.add(told["key"])
            if told["key"] in REASONS:
                assert reason(told["key"], **told["values"]) == sentence
    assert seen >= set(FAULTS)


def _english(person: Person) -> set[str]:
    """Latin words on the page that are no terms; UIDs, numbers and single letters are none."""
    words = set()
    for text in person.page.evaluate(_TEXTS):
        words |= {word for word in re.findall(r"[A-Za-z_]{2,}", text) if word not in TERMS}
    return words


def test_the_page_of_every_fault_is_chinese(person: Person, archive: str) -> None:
    found = {}
    for address, info in _infos(archive).items():
        person.open(f"{address}&panel=numbers")
        person.see_image(None)
        person.page.locator(".panel .verdict").first.wait_for()
        if english := _english(person):
            found[str(sorted(info["reasons"]))] = english
    assert found == {}


def test_lists_tools_panels_and_help_are_chinese(person: Person, archive: str, tmp_path: Path) -> None:
    address = next(iter(_infos(archive)))
    person.open(f"{archive}/#/?lang=zh")
    person.page.locator(".study-open").first.wait_for()
    person.page.locator(".column-remove button").first.click()
    assert _english(person) == set()
    for more in (
        "",
        "&layout=planes&panel=numbers&slab=mip,5&threshold=1,9",
        "&layout=coronal",
        "&panel=measure",
    ):
        person.open(address + more)
        person.see_image(None)
        assert _english(person) == set(), more
    for key in ("t", "a", "d"):
        person.page.keyboard.press(key)
        person.page.locator(".view").focus()
        person.page.keyboard.press("Enter")
        person.page.keyboard.press("Enter")
    for content in ("{", "{}", '{"format": "hounsfield measurements", "measurements": [{}]}'):
        kept = tmp_path / "kept.json"
        kept.write_text(content)
        person.page.locator('.panel input[type="file"]').set_input_files(str(kept))
        person.page.get_by_text("无法导入此文件").wait_for()
        assert _english(person) == set()
    person.page.keyboard.press("?")
    person.rest()
    assert _english(person) == set()
    person.page.keyboard.press("Escape")
    person.page.get_by_role("button", name="序列").first.click()
    person.page.locator(".card-open").first.wait_for()
    assert _english(person) == set()


def test_groups_and_names_of_tags_are_chinese(person: Person, archive: str) -> None:
    person.open(f"{next(iter(_infos(archive)))}&panel=tags")
    person.page.locator(".tag").first.wait_for()
    said = person.page.locator(".panel summary, .tag-name").all_inner_texts()
    assert len(said) > 40
    assert [text for text in said if not re.search(r"[\u4e00-\u9fff]", text)] == []


def _answering(status: int, body: str) -> Any:
    return lambda route: route.fulfill(status=status, body=body)


def test_errors_are_chinese_and_the_servers_words_a_click_away(person: Person, archive: str) -> None:
    address = next(iter(_infos(archive)))
    for status, said in (
        (404, "此处没有该内容"),
        (500, "服务器出错"),
        (413, "超出服务器允许的大小"),
        (409, "无法读取"),
    ):
        body = json.dumps({"status": status, "error": "something in English"})
        person.page.route("**/info", _answering(status, body))
        person.open(address)
        person.page.get_by_text(said).wait_for()
        assert _english(person) == set()
        assert not person.page.get_by_text("something in English").is_visible()
        person.page.get_by_text("服务器原文").click()
        person.page.get_by_text("something in English").wait_for()
        person.page.unroute("**/info")
    person.page.route("**/info", lambda route: route.fulfill(body="no JSON"))
    person.open(address)
    person.page.get_by_text("无法理解服务器的回答").wait_for()
    person.page.unroute("**/info")
    person.page.route("**/slices/*", lambda route: route.fulfill(body=b"short"))
    person.open(address)
    person.page.get_by_text("数据在传输中损坏").wait_for()
    assert _english(person) == set()


def test_uploads_are_told_in_chinese(person: Person, tmp_path: Path) -> None:
    write(PhantomSpec(rows=8, columns=8, slices=1, **NAMES), tmp_path / "new")
    broken = tmp_path / "1.dcm"
    broken.write_bytes(b"no DICOM at all")
    files = [*map(str, sorted((tmp_path / "new").glob("*.dcm"))), str(broken)]
    with archive_of(tmp_path / "archive") as root:
        person.open(f"{root}/#/?lang=zh")
        person.page.get_by_text("还没有检查").wait_for()
        person.page.locator(".upload input").set_input_files(files)
        person.page.locator(".upload-progress", has_text="1 已存储 · 1 被拒绝").wait_for()
        told = person.page.locator(".upload-results").inner_text()
        assert "无法理解" in told
        assert re.findall(r"[A-Za-z]{2,}", re.sub(r"[\w-]+\.dcm", "", told)) == []


def test_a_reason_is_its_sentence_wherever_it_goes() -> None:
    import pickle

    made = reason("tilted", degrees="3.00", step="0, 0, 1")
    again = pickle.loads(pickle.dumps(made))
    assert isinstance(again, Reason)
    assert (again, again.key, again.values) == (str(made), "tilted", {"degrees": "3.00", "step": "0, 0, 1"})
    assert json.dumps(made) == json.dumps(str(made))
