"""The package as strangers install it: a source distribution with the page, a wheel made of it without Node, the lowest
versions that are declared, and a base that says what it lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PAGE = PROJECT / "src/hounsfield/viewer/page/index.html"
UV = Path(sys.executable).parent / "uv"
BASE_MB = 210
"""Size of what `pip install hounsfield` brings, at most."""

pytestmark = [
    pytest.mark.skipif(not UV.exists(), reason="needs uv: make setup"),
    pytest.mark.skipif(not PAGE.exists(), reason="needs the viewer's page: make viewer"),
    pytest.mark.xdist_group("installation"),
]


def uv(*words: object, path: str | None = None, cwd: Path = PROJECT) -> str:
    environment = dict(os.environ) | ({"PATH": path} if path else {})
    made = subprocess.run(
        [str(UV), *map(str, words)],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    return made.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that was made of it where there is no Node."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--quiet", "--sdist", "--out-dir", folder, PROJECT)
    (source,) = folder.glob("*.tar.gz")
    nowhere = folder / "empty"
    nowhere.mkdir()
    uv("build", "--quiet", "--wheel", "--out-dir", folder, source, path=str(nowhere))
    return folder


@pytest.fixture(scope="module")
def base(built: Path) -> Path:
    """The python of an environment that has the wheel and what it depends on."""
    return _environment(built / "base", next(built.glob("*.whl")))


def _environment(folder: Path, *wanted: object) -> Path:
    uv("venv", "--quiet", "--python", sys.executable, folder)
    python = folder / "bin/python"
    uv("pip", "install", "--quiet", "--python", python, *wanted)
    return python


def _said(python: Path, folder: Path, *words: str) -> tuple[int, str]:
    command = [str(python), "-m", "hounsfield", *words]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    return made.returncode, made.stdout + made.stderr


def test_page_notices_and_licence_are_in_both_distributions(built: Path) -> None:
    (source,) = built.glob("*.tar.gz")
    (wheel,) = built.glob("*.whl")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"src/hounsfield/viewer/page/index.html", "NOTICE", "LICENSE"} <= names
    with zipfile.ZipFile(wheel) as archive:
        wheeled = archive.namelist()
    assert "hounsfield/viewer/page/index.html" in wheeled
    assert any(name.endswith("licenses/NOTICE") for name in wheeled)
    assert any(name.endswith("py.typed") for name in wheeled)


def test_a_build_without_the_page_fails_and_says_why(tmp_path: Path) -> None:
    copy = tmp_path / "project"
    left = (".git", ".venv", "node_modules", "page", "tests", "docs", "*cache*")
    shutil.copytree(
        PROJECT,
        copy,
        ignore=shutil.ignore_patterns(*left),
    )
    made = subprocess.run(
        [str(UV), "build", "--wheel", "--out-dir", str(tmp_path)],
        cwd=copy,
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode != 0 and "make viewer" in made.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_the_same_wheel_comes_out_twice(built: Path, tmp_path: Path) -> None:
    (wheel,) = built.glob("*.whl")
    (source,) = built.glob("*.tar.gz")
    uv("build", "--quiet", "--wheel", "--out-dir", tmp_path, source)
    assert (tmp_path / wheel.name).read_bytes() == wheel.read_bytes()


def test_the_base_is_small(base: Path) -> None:
    (site,) = (base.parents[1] / "lib").glob("python*/site-packages")
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert size / 1e6 <= BASE_MB


def test_what_lacks_an_extra_says_which(base: Path, tmp_path: Path) -> None:
    assert _said(base, tmp_path, "demo", "--out", "d", "--no-view")[0] == 0
    for words, extra in (
        (("view", "d", "--no-browser"), "serve"),
        (("serve", "archive"), "serve"),
        (("volume", "d", "x.zarr"), "zarr"),
        (("image", "d", "x.mp4"), "film"),
        (("masks", "threshold:300", "x.dcm", "--on", "d"), "masks"),
        (("info", "d", "--cluster", "tcp://127.0.0.1:9"), "cluster"),
        (("volume", "d", "s3://bucket/x.nii.gz"), "s3"),
    ):
        status, said = _said(base, tmp_path, *words)
        assert status == 1 and f"hounsfield[{extra}]" in said and "Traceback" not in said, (words, said)


def test_every_verb_runs_with_the_lowest_versions_that_are_declared(built: Path, tmp_path: Path) -> None:
    wheel = next(built.glob("*.whl"))
    python = _environment(tmp_path / "lowest", "--resolution", "lowest-direct", f"{wheel}[serve,zarr]")
    script = PROJECT / "tests/support/every_verb.py"
    made = subprocess.run(
        [str(python), str(script), str(tmp_path / "work")],
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    assert made.returncode == 0, made.stdout + made.stderr
