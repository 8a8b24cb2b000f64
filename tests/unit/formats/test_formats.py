"""The table of volume formats: each row keeps the contract; command, server, help and documents say what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from hounsfield.cli import main
from hounsfield.dicom.extensions import named
from hounsfield.errors import UnsupportedError
from hounsfield.formats import (
    FORMATS,
    VolumeFormat,
    format_by_keyword,
    sidecars_of,
    volume_formats,
    volume_suffixes,
)
from hounsfield.formats.reading import reader_of
from hounsfield.formats.table import format_of
from hounsfield.phantom import PhantomSpec, write
from hounsfield.testing import FormatContract

PROJECT = Path(__file__).parents[3]


@pytest.fixture(params=FORMATS, ids=[each.keyword for each in FORMATS])
def row(request: pytest.FixtureRequest) -> VolumeFormat:
    return request.param


class TestEveryFormat(FormatContract):
    @pytest.fixture
    def form(self, row: VolumeFormat) -> VolumeFormat:
        return row


def test_every_function_that_a_row_names_is_there(row: VolumeFormat) -> None:
    for function in (row.writer, row.reader, row.storer, row.streamer, row.joiner):
        assert not function or callable(named(function))


def test_no_two_rows_share_a_suffix_or_a_keyword() -> None:
    suffixes = [suffix for each in FORMATS for suffix in each.suffixes]
    assert len(set(suffixes)) == len(suffixes)
    assert len({each.keyword for each in FORMATS}) == len(FORMATS)
    assert volume_formats() == FORMATS and volume_suffixes() == tuple(suffixes)


def test_the_longest_suffix_counts_and_an_unknown_one_is_none() -> None:
    assert format_of("a.ome.zarr") is format_of("a.zarr")
    assert format_of("a.dcm.png") is None and format_of("nii.gz") is None
    assert sidecars_of("out/a.npy") == (Path("out/a.json"),)
    assert sidecars_of("out/a.png") == sidecars_of("out/a.nii.gz") == ()


def test_a_format_is_found_by_keyword_or_suffix(row: VolumeFormat) -> None:
    assert format_by_keyword(row.keyword) is row
    assert all(format_by_keyword(suffix) is row for suffix in row.suffixes)
    with pytest.raises(UnsupportedError, match="no format 'tiff' for a volume"):
        format_by_keyword("tiff")


def test_a_file_is_read_by_what_its_row_says(row: VolumeFormat) -> None:
    for suffix in (*row.suffixes, *row.also_read) if row.reader else ():
        assert reader_of(Path(f"A{suffix.upper()}"), b"") == row.reader
    for magic in row.magic:
        assert reader_of(Path("unnamed"), magic + bytes(200)) == row.reader
        assert reader_of(Path("unnamed"), magic + bytes(128 - len(magic)) + b"DICM") is None


def test_help_names_every_format_and_suffix() -> None:
    general = CliRunner().invoke(main, ["--help"]).stdout
    detailed = CliRunner().invoke(main, ["volume", "--help"]).stdout
    for each in FORMATS:
        assert each.sourced or each.suffixes[0] in general  # DICOM is no file of volumes there
        assert all(suffix in detailed for suffix in each.suffixes)
    listed = re.sub(r"\s+", "", detailed)
    assert f"[{'|'.join(volume_suffixes())}]" in listed


def test_the_documents_have_the_table(row: VolumeFormat) -> None:
    text = (PROJECT / "docs" / "library.md").read_text("utf-8")
    lines = [line for line in text.splitlines() if line.startswith(f"| {row.name} |")]
    assert lines == [row_of_documents(row)]


def row_of_documents(row: VolumeFormat) -> str:
    """The line of docs/library.md: name, suffixes, what is read besides, what lies beside, what it can do."""

    def code(words: tuple[str, ...]) -> str:
        return " ".join(f"`{word}`" for word in words)

    can = {
        "written slice by slice": row.streamer,
        "all phases in one (`--4d`)": row.joiner,
        "a folder": row.folder,
        "names patient and study (`like=`)": row.sourced,
        "real numbers within half a step of 16 bits": row.quantised,
    }
    able = ", ".join(word for word, is_so in can.items() if is_so)
    cells = (row.name, code(row.suffixes), code(row.also_read), code(row.sidecars), f"`{row.keyword}`", able)
    return "| " + " | ".join(cells) + " |"


def test_4d_is_refused_for_what_holds_one_volume(tmp_path: Path) -> None:
    write(PhantomSpec(rows=16, columns=16, slices=2), tmp_path / "in")
    for each in FORMATS:
        out = tmp_path / f"v{each.suffixes[0]}"
        done = CliRunner().invoke(main, ["volume", str(tmp_path / "in"), str(out), "--4d", "--json"])
        if each.joiner:
            assert done.exit_code == 0 and json.loads(done.stdout)
        else:
            assert done.exit_code == 2
            assert "--4d writes NIfTI: name OUT .nii.gz or .nii" in re.sub(r"\s+", " ", done.output)


def test_a_format_that_is_a_folder_and_has_no_storer_is_refused_in_a_bucket(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from hounsfield import formats
    from hounsfield.ct.volume import Volume

    row = VolumeFormat("Leaves", "leaves", (".leaves",), "nowhere:write", folder=True)
    monkeypatch.setattr(formats, "volume_format", lambda path: row)
    volume = Volume(np.zeros((2, 2, 2), np.int16), np.eye(4), (1.0, 1.0, 1.0), "HU", ("1.2", "1.3"))
    with pytest.raises(UnsupportedError, match="Leaves is not written into a bucket"):
        formats.write_volume(volume, "s3://bucket/v.leaves")
