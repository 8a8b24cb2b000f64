"""The recipe "Add a codec" of CONTRIBUTING: its package, installed, is a transfer syntax of every verb."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest
from packages import blocks, contract_tests, install, verb
from pydicom import dcmread

from hounsfield import load
from hounsfield.errors import HounsfieldError
from hounsfield.phantom import PhantomSpec, write

UID = "2.25.72049573126415687920518306417295183644"
COUNT = 4


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("other") / "site"
    module, project, test = blocks("Add a codec")
    assert UID in module
    install(site, "bzip2_codec", {"bzip2_codec": module}, project)
    (site / "test_it.py").write_text(test, "utf-8")
    return site


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scan")
    write(PhantomSpec(rows=48, columns=40, slices=COUNT), folder)
    return folder


@pytest.fixture(scope="module")
def compressed(site: Path, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "bzip2"
    verb(site, "compress", folder, out, "--to", "bzip2")
    return out


def test_its_own_tests_are_the_contract_and_pass(site: Path) -> None:
    assert contract_tests(site) >= 7


def test_compress_writes_it_and_proves_it(folder: Path, compressed: Path) -> None:
    files = sorted(compressed.rglob("*.dcm"))
    assert len(files) == COUNT
    assert {str(dcmread(path).file_meta.TransferSyntaxUID) for path in files} == {UID}
    assert sum(path.stat().st_size for path in files) < sum(path.stat().st_size for path in folder.iterdir())


@pytest.mark.parametrize("mode", ["auto", "always", "never"])
def test_it_is_read_in_a_child_and_here(
    mode: str, site: Path, folder: Path, compressed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(os.environ, "HOUNSFIELD_ISOLATE", mode)
    verb(site, "volume", compressed, tmp_path / "v.npy")
    assert np.array_equal(np.load(tmp_path / "v.npy"), load(folder).array)


def test_it_is_copied_into_another_syntax_and_shown(
    site: Path, folder: Path, compressed: Path, tmp_path: Path
) -> None:
    told = json.loads(verb(site, "copy", compressed, tmp_path / "out", "--to", "jpeg-ls", "--json"))
    assert (told["moved"], told["complete"]) == (COUNT, True)
    assert np.array_equal(load(tmp_path / "out").array, load(folder).array)
    assert "Bzip2 Image Frames" in verb(site, "info", compressed)


def test_without_the_package_its_files_are_refused_by_name(compressed: Path) -> None:
    with pytest.raises(HounsfieldError, match=UID):
        load(compressed)
