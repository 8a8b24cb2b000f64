"""No import cycles: a module can be read, tested and moved without those that use it."""

from __future__ import annotations

from pathlib import Path

import import_cycles
import pytest


def test_the_package_has_no_import_cycles() -> None:
    imports = import_cycles.python_imports()

    assert "hounsfield.ct.hu" in imports["hounsfield.ct.series.assembly"]
    assert import_cycles.cycles(imports) == []


def test_the_viewer_has_no_import_cycles() -> None:
    imports = import_cycles.viewer_imports()

    assert "viewer/src/ui/trouble.tsx" in imports["viewer/src/ui/upload.tsx"]
    assert import_cycles.cycles(imports) == []


def test_a_cycle_is_found_in_its_order() -> None:
    found = import_cycles.cycles({"a": {"b"}, "b": {"c", "d"}, "c": {"a"}, "d": set()})

    assert [sorted(each[:-1]) for each in found] == [["a", "b", "c"]]
    assert "".join(found[0]) in {"abca", "bcab", "cabc"}


@pytest.mark.parametrize(
    "statement", ['import { a } from "./b";', 'const b = await import("./b");', "import './b';"]
)
def test_every_form_of_import_counts(statement: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_cycles, "ROOT", tmp_path)
    (tmp_path / "a.ts").write_text(statement)
    (tmp_path / "b.tsx").write_text('import type { A } from "./a";')

    assert len(import_cycles.cycles(import_cycles.viewer_imports(tmp_path))) == 1
