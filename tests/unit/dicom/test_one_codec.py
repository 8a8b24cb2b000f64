"""Elements are read and written in one room."""

from __future__ import annotations

from pathlib import Path

import one_codec


def test_no_other_room_spells_a_table_of_vrs_or_takes_headers_apart() -> None:
    assert [offence for path in one_codec.modules() for offence in one_codec.offences(path)] == []


def test_two_modules_walk_over_elements() -> None:
    assert one_codec.walkers() == ["dicom/fast_walk.py", "dicom/full_walk.py"]


def test_tables_and_headers_are_found(tmp_path: Path) -> None:
    for line in (
        'A = {"OB", "OW", "UN", "UT"}',
        'A = b"OB OW UN UT".split()',
        'A = {"US": "H", "SS": "h", "UL": "I", "SL": "i"}',
        'A = struct.unpack("<HHI", head)',
        'A = Struct(">HH2sH")',
    ):
        path = tmp_path / "module.py"
        path.write_text(line + "\n")
        assert list(one_codec.offences(path)), line
    path.write_text('A = {"LO", "PN"}\nB = {"LO": 64, "SH": 16, "PN": 64, "UI": 64}\nC = "<HH"\n')
    assert not list(one_codec.offences(path))
