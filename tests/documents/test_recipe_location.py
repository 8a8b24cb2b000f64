"""The recipe "Add a location" of CONTRIBUTING: its package, installed beside this one, is a place of every verb."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from packages import blocks, contract_tests, environment, install, verb

from hounsfield.phantom import PhantomSpec, write

COUNT = 6


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("other") / "site"
    module, project, test = blocks("Add a location")
    assert len(module.splitlines()) <= 60
    install(site, "instances_in_sqlite", {"instances_in_sqlite": module}, project)
    (site / "test_it.py").write_text(test, "utf-8")
    return site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    write(PhantomSpec(rows=24, columns=24, slices=COUNT, series_description="Chest"), folder)
    return folder


@pytest.fixture(scope="module")
def filled(site: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The address of a database that `copy` filled."""
    address = f"sqlite://{tmp_path_factory.mktemp('data') / 'ct.db'}"
    told = json.loads(verb(site, "copy", folder, address, "--verify", "--json"))
    assert (told["moved"], told["complete"]) == (COUNT, True)
    return address


def test_its_own_tests_are_the_contracts_and_pass(site: Path) -> None:
    assert contract_tests(site) >= 8


def test_a_second_copy_finds_everything_there_and_a_copy_back_is_the_same_bytes(
    site: Path, folder: Path, filled: str, tmp_path: Path
) -> None:
    assert json.loads(verb(site, "copy", folder, filled, "--json"))["present"] == COUNT
    assert json.loads(verb(site, "copy", filled, tmp_path / "out", "--json"))["moved"] == COUNT
    copied = sorted(path.read_bytes() for path in (tmp_path / "out").rglob("*.dcm"))
    assert copied == sorted(path.read_bytes() for path in folder.iterdir())


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_find_searches_it_and_gives_an_address_that_opens(site: Path, filled: str, level: str) -> None:
    rows = json.loads(verb(site, "find", filled, "--level", level, "--json"))
    assert len(rows) == (COUNT if level == "instance" else 1)
    assert {row["location"] for row in rows} == {filled}


def test_a_suffix_leads_to_it_as_a_scheme_does(site: Path, folder: Path, tmp_path: Path) -> None:
    module, project, _ = blocks("Add a location")
    install(
        tmp_path / "site",
        "by_suffix",
        {"instances_in_sqlite": module},
        f'{project}".ctdb" = "instances_in_sqlite:Database"\n',
    )
    verb(tmp_path / "site", "copy", folder, f"sqlite://{tmp_path / 'head.ctdb'}")
    rows = json.loads(verb(tmp_path / "site", "find", tmp_path / "head.ctdb", "--json"))
    assert [row["location"] for row in rows] == [str(tmp_path / "head.ctdb")]
    assert rows[0]["NumberOfStudyRelatedInstances"] == str(COUNT)


def test_load_gives_the_volume_of_the_folder(site: Path, folder: Path, filled: str, tmp_path: Path) -> None:
    for name, place in (("here", folder), ("there", filled)):
        verb(site, "volume", place, tmp_path / f"{name}.npy")
    assert (tmp_path / "here.npy").read_bytes() == (tmp_path / "there.npy").read_bytes()


def test_view_shows_it(site: Path, filled: str) -> None:
    command = [sys.executable, "-m", "hounsfield", "view", "--no-browser", filled]
    process = subprocess.Popen(
        command, env=environment(site), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        root = process.stdout.readline().partition("#")[0]
        with urllib.request.urlopen(f"{root}dicom-web/instances") as answer:
            assert len(json.load(answer)) == COUNT
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()


def test_without_the_package_the_address_is_an_error_in_one_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hounsfield", "info", "sqlite:///data/ct.db"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1 and "sqlite" in done.stderr


def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path) -> None:
    project = '[project.entry-points."hounsfield.locations"]\nbroken = "broken_place:open"\n'
    install(tmp_path / "site", "broken_place", {"broken_place": "import nothing_of_that_name\n"}, project)
    command = [sys.executable, "-m", "hounsfield", "info", "broken://x"]
    environ = environment(tmp_path / "site")
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "broken_place cannot be imported" in done.stderr and "nothing_of_that_name" in done.stderr
    assert "Traceback" not in done.stderr
