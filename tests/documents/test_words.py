"""Plain words in src: none of the names, phrases and beginnings that `words` looks for; and it finds them."""

from __future__ import annotations

from pathlib import Path

import pytest
import words


def test_the_package_keeps_to_plain_words() -> None:
    assert [offence for path in words.modules() for offence in words.offences(path)] == []
    assert words.lines_with_told(words.modules()) <= words.MOST_TOLD
    assert len(words.rooms()) <= words.MOST_ROOMS


@pytest.mark.parametrize(
    "text",
    [
        '"""What a module is."""',
        'def f():\n    """Where it\n    lies."""',
        'class A:\n    x: int\n    """How long it waits."""',
        'LIMIT = 3\n"""Who may ask."""',
        "class JobManager: ...",
        "def helpers(): ...",
        "async def read_config(): ...",
        'raise Error("who are you?")',
        "# these were left half done",
    ],
)
def test_each_kind_of_word_is_found(text: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(text + "\n")
    assert len(list(words.offences(path))) == 1


@pytest.mark.parametrize(
    "text",
    [
        '"""Whatever is asked."""',
        'LIMIT = 3\n"""Time in s; how long is said elsewhere."""',
        "def common_rate(): ...",
        "def available_cores(): ...",
        'TEXT = "What is it?"',
    ],
)
def test_words_that_say_something_pass(text: str, tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(text + "\n")
    assert list(words.offences(path)) == []


def test_a_module_is_called_by_what_it_holds(tmp_path: Path) -> None:
    for name in ("utils.py", "common/__init__.py"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
        assert len(list(words.offences(path))) == 1


def test_the_count_of_told_is_one_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text("told = told\nuntold = 1\n# as told\n")
    assert words.lines_with_told([path]) == 2
