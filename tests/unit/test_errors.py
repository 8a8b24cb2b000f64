"""The error tree: one line each, data kept, nothing lost between processes."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
from pathlib import Path

import pytest

from hounsfield import errors
from hounsfield.errors import HounsfieldError, LocationError, MalformedError, TruncatedError

CLASSES = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
]


def test_every_class_is_in_the_tree_and_in_the_drawing() -> None:
    assert all(issubclass(kind, HounsfieldError) for kind in CLASSES)
    drawn = re.findall(r"\w+Error", errors.__doc__ or "")
    assert set(drawn) == {kind.__name__ for kind in CLASSES}
    assert all(kind.__doc__ for kind in CLASSES)


def test_a_message_says_found_expected_where_and_what_to_do_in_one_line() -> None:
    error = MalformedError("has\n 3 rows", expected="512", where="I1", remedy="export it\tagain", rows=3)
    assert str(error) == "I1: has 3 rows (expected 512); export it again"
    assert error.data == {"rows": 3}
    assert str(HounsfieldError("is broken")) == "is broken"


@pytest.mark.parametrize("kind", CLASSES)
def test_an_error_survives_the_way_to_another_process(kind: type[HounsfieldError]) -> None:
    error = kind("found", expected="e", where="w", remedy="r", tag=(0x10, 0x20), status=404)
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is kind
    assert (str(copy), copy.data) == (str(error), error.data)


def test_a_place_is_added_once_from_the_inside_out() -> None:
    error = TruncatedError("ends early").at("frame 2").at("a.dcm").at("a.dcm")
    assert str(error) == "a.dcm: frame 2: ends early"
    assert isinstance(error, MalformedError)
    assert str(LocationError("is gone", where="x").at("y")) == "y: x: is gone"


def _sources() -> list[tuple[Path, ast.Module]]:
    root = Path(errors.__file__).parent
    return [(path, ast.parse(path.read_text("utf-8"))) for path in sorted(root.rglob("*.py"))]


def test_no_error_is_its_own_cause() -> None:
    """`raise error.at(…) from error` makes a chain that has no end."""
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in _sources()
        for node in ast.walk(tree)
        if isinstance(node, ast.Raise)
        and isinstance(node.cause, ast.Name)
        and isinstance(node.exc, ast.Call)
        and isinstance(node.exc.func, ast.Attribute)
        and ast.unparse(node.exc.func.value) == node.cause.id
    ]
    assert wrong == []


def test_nothing_is_written_through_the_dictionary_of_an_object() -> None:
    """Frozen ones are frozen; `deferred` builds attributes of an element of pydicom, which is not."""
    wrong = [
        f"{path}:{node.lineno}"
        for path, tree in _sources()
        for node in ast.walk(tree)
        if path.name != "deferred.py"
        and (
            (isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del))
            or (isinstance(node, ast.Attribute) and node.attr in ("update", "setdefault", "pop"))
        )
        and isinstance(node.value, ast.Attribute)
        and node.value.attr == "__dict__"
    ]
    assert wrong == []
