"""The recipe "Add a format of volumes" of CONTRIBUTING: its package, installed, is a format of every verb."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from packages import blocks, contract_tests, environment, install, verb

from hounsfield import load
from hounsfield.phantom import PhantomSpec, write


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("other") / "site"
    module, project, test = blocks("Add a format of volumes")
    install(site, "vol_format", {"vol_format": module}, project)
    (site / "test_it.py").write_text(test, "utf-8")
    return site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    for number in (1, 2):
        write(
            PhantomSpec(rows=24, columns=20, slices=5, seed=number, series_number=number),
            folder / str(number),
        )
    return folder


def test_its_own_tests_are_the_contract_and_pass(site: Path) -> None:
    assert contract_tests(site) >= 16


def test_the_command_offers_it_writes_it_and_reads_it_again(site: Path, folder: Path, tmp_path: Path) -> None:
    assert ".vol" in verb(site, "volume", "--help")
    out = tmp_path / "head.VOL"
    verb(site, "volume", folder, out, "--series", 1)
    header, _, voxels = out.read_bytes().partition(b"\n")
    expected = load(folder, series=1)
    told = json.loads(header)
    assert np.array_equal(np.frombuffer(voxels, told["type"]).reshape(told["shape"]), expected.array)
    assert told["affine"] == expected.affine.tolist()
    verb(site, "volume", out, tmp_path / "again.npy")
    assert np.array_equal(np.load(tmp_path / "again.npy"), expected.array)


def test_a_folder_of_series_becomes_a_folder_of_them_with_a_ledger(
    site: Path, folder: Path, tmp_path: Path
) -> None:
    verb(site, "volume", folder, tmp_path / "out", "--format", ".vol")
    assert len(list((tmp_path / "out").glob("*.vol"))) == 2
    lines = (tmp_path / "out" / "hounsfield.jsonl").read_text("utf-8").splitlines()
    outputs = {line["output"] for line in map(json.loads, lines) if line.get("bytes")}
    assert outputs == {path.name for path in (tmp_path / "out").glob("*.vol")}


def test_what_is_no_format_is_named_with_the_package_that_brings_it(tmp_path: Path) -> None:
    project = '[project.entry-points."hounsfield.formats"]\n".odd" = "odd_format:ROW"\n'
    install(tmp_path / "site", "odd_format", {"odd_format": "ROW = 7\n"}, project)
    command = [sys.executable, "-m", "hounsfield", "volume", "nowhere", "a.odd"]
    environ = environment(tmp_path / "site")
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "'.odd'" in done.stderr and "VolumeFormat" in done.stderr and "Traceback" not in done.stderr
