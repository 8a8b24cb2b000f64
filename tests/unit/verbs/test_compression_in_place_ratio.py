"""A ratio in place is that of each series in total, by whatever asked it, and however often the run was stopped."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pydicom
import pytest
from click.testing import CliRunner

from hounsfield import phantom
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec
from hounsfield.verbs.compress.in_place import _InPlace

SPEC = PhantomSpec(rows=96, columns=96, slices=8, noise=12.0)
GOAL = ("--to", "htj2k-lossy", "--ratio", "6")


def in_place(tree: Path, *options: object, code: int = 0) -> list[dict[str, Any]]:
    arguments = (tree, "--in-place", "--backup", tree.with_name(f"{tree.name}-backup"), *options, "--json")
    result = CliRunner().invoke(main, ["compress", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)["files"]


def contents(tree: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in tree.rglob("*.dcm")}


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight slices of one series, some half empty, the first two in a folder of their own."""
    root = tmp_path_factory.mktemp("ratio") / "scan"
    phantom.write(SPEC, root)
    for path in sorted(root.rglob("*.dcm"))[1::2]:
        slice_ = pydicom.dcmread(path)
        half = len(slice_.PixelData) // 2
        slice_.PixelData = slice_.PixelData[:half] + bytes(half)
        slice_.save_as(path)
    (root / "first").mkdir()
    for path in sorted(root.rglob("*.dcm"))[:2]:
        path.rename(root / "first" / path.name)
    return root


@pytest.fixture
def tree(scan: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(scan, tmp_path / "tree"))


@pytest.mark.parametrize("how", ["option", "policy"])
def test_a_ratio_in_place_is_that_of_the_series_unless_each_image_is_asked(
    how: str, scan: Path, tree: Path, tmp_path: Path
) -> None:
    goal: tuple[object, ...] = GOAL
    if how == "policy":
        (tmp_path / "rules.toml").write_text('[[rule]]\nmodality = "CT"\nto = "htj2k-lossy"\nratio = 6\n')
        goal = ("--policy", tmp_path / "rules.toml")
    files = in_place(tree, *goal)
    ratios = [each["ratio"] for each in files]
    assert len(files) == 8 and max(ratios) > 1.1 * min(ratios)  # no slice is pressed to it by itself
    native, stored = (sum(each[key] for each in files) for key in ("native_bytes", "stored_bytes"))
    assert native / stored == pytest.approx(6, rel=0.1)
    alone = Path(shutil.copytree(scan, tmp_path / "alone"))
    assert all(each["ratio"] == pytest.approx(6, rel=0.1) for each in in_place(alone, *goal, "--each"))


def test_a_series_that_was_left_half_way_gets_the_rate_it_was_begun_with(
    scan: Path, tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Path(shutil.copytree(scan, tmp_path / "whole"))
    in_place(whole, *GOAL)
    replaced, left = _InPlace._replaced, sorted(contents(tree))[:5]

    def stopped(self: _InPlace, path: Path, *rest: Any) -> Any:
        if path.name in left:
            raise OSError(5, "stopped here")
        return replaced(self, path, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(_InPlace, "_replaced", stopped)
        assert (
            sorted(each["status"] for each in in_place(tree, *GOAL, code=1))
            == ["failed"] * 5 + ["written"] * 3
        )
    assert sorted(each["status"] for each in in_place(tree, *GOAL)) == ["present"] * 3 + ["written"] * 5
    assert contents(tree) == contents(whole)
    assert {each["status"] for each in in_place(tree, *GOAL)} == {"present"}


def test_a_ratio_that_the_series_cannot_have_leaves_every_file_as_it_is(scan: Path, tree: Path) -> None:
    files = in_place(tree, "--to", "jpeg-ls-near", "--ratio", "900", code=1)
    assert all(each["status"] == "failed" and "over this series" in each["reason"] for each in files)
    assert contents(tree) == contents(scan)
