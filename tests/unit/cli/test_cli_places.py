"""Words of the command that name places, series and attributes: each means one thing, and an empty one nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

import hounsfield
from hounsfield.cli import main
from hounsfield.errors import LocationError, SelectionError
from hounsfield.locations.servers import FILE_VARIABLE, add_server
from hounsfield.phantom import PhantomSpec, write

SPEC = PhantomSpec(rows=16, columns=16, slices=3)


@pytest.fixture(scope="module")
def scan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("places") / "scan"
    write(SPEC, folder)
    return folder


def _run(*arguments: object) -> tuple[int, str]:
    done = CliRunner().invoke(main, [*map(str, arguments)])
    return done.exit_code, " ".join(done.output.split())


@pytest.mark.parametrize("empty", ["", " "])
@pytest.mark.parametrize(
    "words",
    [
        ("info", None),
        ("volume", None, "out.nii.gz"),
        ("volume", "scan", None),
        ("compress", "scan", None),
        ("copy", None, "out"),
        ("copy", "scan", None),
        ("deidentify", "scan", None),
        ("verify", None),
        ("verify", "scan", None),
        ("check", None),
        ("serve", None),
        ("view", None),
    ],
)
def test_an_empty_place_is_refused(
    words: tuple[str | None, ...], empty: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    status, output = _run(*(empty if word is None else word for word in words))
    assert status == 2
    assert "it is empty; is a variable not set?" in output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "tag", ["0008|0060", "(0008,0060)", "0x00080060", "00080060", "0x0008,0x0060", "modality", "Modality"]
)
def test_an_attribute_is_named_in_every_usual_way(tag: str, scan: Path, tmp_path: Path) -> None:
    assert "1 study" in _run("find", scan, f"{tag}=CT")[1]
    assert "No study matches" in _run("find", scan, f"{tag}=MR")[1]
    assert _run("tags", scan, "--set", f"{tag}=MR", "--out", tmp_path / "out")[0] == 0
    assert hounsfield.scan(tmp_path / "out").series[0].header.text("Modality") == "MR"


def test_a_misspelt_keyword_is_answered_with_the_nearest(scan: Path) -> None:
    for verb in ("find", "tags"):
        words = (
            (f"{verb}", scan, "Modalty=CT")
            if verb == "find"
            else (verb, scan, "--set", "Modalty=CT", "--out", "o")
        )
        status, output = _run(*words)
        assert status != 0
        assert "did you mean Modality" in output


def test_the_beginning_of_a_description_chooses_where_one_series_has_it(tmp_path: Path) -> None:
    for number, description in enumerate(("STEREOTAXIS", "Thorax 5.0", "Thorax 1.0"), 1):
        spec = replace(SPEC, series_description=description, series_number=number)
        write(spec, tmp_path / str(number))
    found = hounsfield.scan(tmp_path)
    assert found.choose("stereo").facts["SeriesDescription"] == "STEREOTAXIS"
    for wanted in ("thorax", "st", "TAXIS"):
        with pytest.raises(SelectionError, match="match"):
            found.choose(wanted)


def test_a_servers_name_without_its_colon_is_answered_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FILE_VARIABLE, str(tmp_path / "servers.toml"))
    add_server("pacs", {"url": "http://127.0.0.1:9/dicom-web"})
    monkeypatch.chdir(tmp_path)
    with pytest.raises(LocationError, match="the server of that name is pacs: with a colon"):
        hounsfield.load("pacs")
    with pytest.raises(LocationError, match="check the path"):
        hounsfield.load("pack")
