"""One vocabulary of what happened to a unit, and the words that each edge has for it."""

from __future__ import annotations

import pytest

from hounsfield.outputs.results import WORDS, Result, Status, status_of, word_of


@pytest.mark.parametrize(("edge", "word"), [(edge, word) for edge, words in WORDS.items() for word in words])
def test_every_word_of_an_edge_goes_in_and_comes_out_again(edge: str, word: str) -> None:
    assert word_of(edge, status_of(edge, word), {"how": word}) == word


@pytest.mark.parametrize("edge", WORDS)
@pytest.mark.parametrize("status", Status)
def test_a_status_is_understood_at_every_edge_by_its_own_name(edge: str, status: Status) -> None:
    assert status_of(edge, str(status)) == status


def test_a_word_of_another_status_is_not_said() -> None:
    assert word_of("compress", Status.FAILED, {"how": "copied"}) == "failed"
    assert word_of("compress", Status.DONE, {"how": "moved"}) == "written"


def test_a_word_of_no_edge_is_an_error() -> None:
    with pytest.raises(ValueError, match="sideways"):
        status_of("copy", "sideways")


def test_what_is_there_has_not_failed() -> None:
    assert [Result("a", status).is_there for status in Status] == [True, True, False, False, False]
    assert [Result("a", status).has_failed for status in Status] == [False, False, False, True, True]
