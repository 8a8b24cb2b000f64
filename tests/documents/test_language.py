"""English and Chinese: one catalogue, complete and in the words of the glossary; and what verbs say by it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sentences import is_sentence, literals, sentences, without_chinese

from hounsfield.cli import VERBS
from hounsfield.errors import HounsfieldError, LocationError
from hounsfield.language import Sentence, choose, described, listed, say, translated
from hounsfield.language.sentences import chinese

NEVER = (
    "蒙片",
    "区段",
    "传送语法",
    "人员姓名",
    "侦察像",
    "补零",
    "系列",
    "存档",
    "多平面重建",
    "参考帧",
    "脱敏",
    "不可逆",
)
"""Words that the glossary has another for."""

BY_NAME = {
    "Show this message and exit.",
    "by HOUNSFIELD_LANG, or the locale",
    "hounsfield.jsonl in the folder",
    "not a volume of Hounsfield units as it is:",
    "nothing to object to",
}
"""Sentences that stand in tables of their own, or are click's."""

ENGLISH = re.compile(r"(?:\b[a-z]{2,}\b ){4,}")
"""Five English words in a row: a sentence, and no name of a file, an option or an attribute."""


def test_every_sentence_has_its_chinese() -> None:
    lacking = without_chinese()
    assert not lacking, "\n".join(f"{where}\t{text}" for text, where in lacking.items())


def test_the_catalogue_has_no_sentence_that_nobody_says() -> None:
    known = set(sentences()) | literals() | BY_NAME
    said = [text for text in chinese() if text not in known and len(text.split()) > 3 and is_sentence(text)]
    assert not said, "\n".join(said)


def test_values_are_the_same_in_both_languages() -> None:
    for english, other in chinese().items():
        assert sorted(set(re.findall(r"\{(\w+)\}", english))) == sorted(
            set(re.findall(r"\{(\w+)\}", other))
        ), english


def test_words_are_those_of_the_glossary() -> None:
    found = [(english, word) for english, other in chinese().items() for word in NEVER if word in other]
    assert not found


def test_a_sentence_is_its_english_text_and_can_be_said_in_chinese() -> None:
    text = say("{count} slices", count=3)
    assert text == "3 slices" and translated(text, "zh") == "3 层" and translated(text, "en") == "3 slices"


def test_parts_of_a_sentence_are_translated_with_it() -> None:
    text = say("{why}, and clipped at {end}", why=say("the values are inverted"), end=5)
    assert translated(text, "zh") == "数值被反转，并在 5 处被截平"
    assert translated(listed([say("rows"), say("columns")], " and "), "zh") == "行和列"


def test_a_template_that_is_not_known_stays_english() -> None:
    assert translated(Sentence("nobody says this {so}"), "zh") == "nobody says this {so}"


def test_values_with_braces_are_only_values() -> None:
    assert say("{count} slices", count="{oops}") == "{oops} slices"
    assert translated(say("{count} slices", count="{oops}"), "zh") == "{oops} 层"


def test_an_error_says_in_chinese_where_what_expected_and_what_to_do() -> None:
    error = LocationError(
        say("{count} slices", count=1), where="a.dcm", expected="rows", remedy="check the path"
    )
    assert described(error, "zh") == "a.dcm：1 层（应为：行）；请检查路径"
    assert described(error, "en") == str(error) == "a.dcm: 1 slices (expected rows); check the path"
    assert isinstance(error, HounsfieldError)


@pytest.fixture
def said(tmp_path: Path) -> object:
    def run(*words: str, **environment: str) -> str:
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("LC_", "LANG", "HOUNSFIELD_"))
        }
        made = subprocess.run(
            [sys.executable, "-m", "hounsfield", *words],
            capture_output=True,
            encoding="utf-8",
            env=clean | {"PYTHONIOENCODING": "utf-8"} | environment,
            cwd=tmp_path,
            timeout=120,
            check=False,
        )
        return made.stdout + made.stderr

    return run


@pytest.mark.parametrize(
    ("environment", "is_chinese"),
    [
        ({"LANG": "zh_CN.UTF-8"}, True),
        ({"LANG": "en_GB.UTF-8"}, False),
        ({}, False),
        ({"LANG": "de_DE.UTF-8", "HOUNSFIELD_LANG": "zh"}, True),
        ({"LANG": "zh_CN.UTF-8", "HOUNSFIELD_LANG": "en"}, False),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, True),
    ],
)
def test_the_environment_chooses_the_language(
    said: object, environment: dict[str, str], is_chinese: bool
) -> None:
    assert ("不存在" in said("info", "nothing-here", **environment)) is is_chinese  # type: ignore[operator]


def test_no_english_sentence_in_any_help_under_a_chinese_locale(capsys: pytest.CaptureFixture[str]) -> None:
    from hounsfield.cli import main

    for words in ([], *([verb] for verb in VERBS)):
        main.main([*words, "--help", "--lang", "zh"], standalone_mode=False)
        text = capsys.readouterr().out
        assert "用法：" in text
        joined = " ".join(text.partition("示例：")[0].split())
        assert not ENGLISH.search(joined), (words, ENGLISH.search(joined))
    choose(None)


def test_no_english_sentence_in_errors_and_reports_under_a_chinese_locale(said: object) -> None:
    zh = {"LANG": "zh_CN.UTF-8"}
    said("demo", "--out", "demo", **zh)  # type: ignore[operator]
    for words in (
        ("info", "demo"),
        ("info", "demo", "--short"),
        ("check", "demo/hounsfield.nii.gz"),
        ("check", "nothing.nii.gz", "demo"),
        ("volume", "demo", "x.png"),
        ("volume", "demo", "x.nii.gz", "--slice-step", "0"),
        ("image", "demo", "x.png", "--window", "nowhere"),
        ("compress", "demo", "out"),
        ("find", "demo", "--date", "yesterday"),
        ("measure", "demo", "--mask", "nothing"),
        ("nonsense",),
        ("info", "--nonsense", "demo"),
    ):
        text = said(*words, **zh)  # type: ignore[operator]
        assert re.search(r"[\u4e00-\u9fff]", text), (words, text)
        assert not ENGLISH.search(text), (words, text)
