"""Fixtures every test may use, and the loud word at the end about what was skipped and what would run it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from viewer_browser import Person, archive_of, chromium, looking_at, need_page, write_studies

from hounsfield.codecs import isolation
from hounsfield.codecs.isolation import choice
from hounsfield.codecs.isolation.pool import Pool

PROJECT = Path(__file__).resolve().parent.parent

# How fast a machine is, is no property of what is tested.
settings.register_profile("hounsfield", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hounsfield")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT; a test that needs it is skipped, loudly, where it is not."""
    folder = Path(os.environ.get("HOUNSFIELD_TEST_DATA", PROJECT.parent / "shared" / "data"))
    if not (folder / "README.md").is_file():
        pytest.skip(f"real CT is not at {folder}; set HOUNSFIELD_TEST_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def real_files(real_data: Path) -> list[Path]:
    """Every file of real CT, in order: without `field`, whose files were made to be odd."""
    paths = [path for path in sorted(real_data.rglob("*")) if path.is_file()]
    return [path for path in paths if path.relative_to(real_data).parts[0] != "field"]


@pytest.fixture(scope="module", autouse=True)
def _isolation_by_default() -> Iterator[None]:
    """A server requires isolation of its process for good; of the tests' process only while a module runs."""
    yield
    choice._Required.always = False


@pytest.fixture(scope="module")
def children() -> Iterator[Pool]:
    """Processes that decode, and do to themselves what a codestream tells them to."""
    made = Pool(2, "isolation_faults")
    yield made
    made.close()


@pytest.fixture
def pool(children: Pool, monkeypatch: pytest.MonkeyPatch) -> Pool:
    """The pool of this process, with those children."""
    monkeypatch.setattr(isolation._Shared, "pool", children)
    return children


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for a module: while it runs, no other event loop can."""
    with chromium() as started:
        yield started


@pytest.fixture
def person(browser: Any) -> Iterator[Person]:
    """Somebody at the viewer's page; nothing may have gone wrong there."""
    need_page()
    someone = Person(browser)
    yield someone
    someone.close()
    assert someone.troubles == []


@pytest.fixture(scope="module")
def studies_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The two studies of `write_studies`."""
    return write_studies(tmp_path_factory.mktemp("studies"))


@pytest.fixture(scope="module")
def studies_archive(studies_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The root of an archive of them, in which studies may be deleted."""
    with archive_of(tmp_path_factory.mktemp("archive"), studies_folder) as root:
        yield root


@pytest.fixture(scope="module")
def thin_url(studies_folder: Path) -> Iterator[str]:
    """Where the viewer shows the thin slices among them."""
    with looking_at(studies_folder / "thin") as address:
        yield address


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say loudly what did not run, by reason, so that nobody takes a part for the whole."""
    reasons = _skipped(terminalreporter)
    if not reasons:
        return
    terminalreporter.section("NOT RUN ON THIS MACHINE", sep="=", yellow=True, bold=True)
    for reason, count in sorted(reasons.items()):
        terminalreporter.line(f"{count:4} × {reason}")


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Where everything is installed (.ci/run), a skipped test is a failed one."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if (
        os.environ.get("HOUNSFIELD_NOTHING_SKIPPED")
        and reporter is not None
        and exitstatus == 0
        and _skipped(reporter)
    ):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def _skipped(reporter: pytest.TerminalReporter) -> dict[str, int]:
    reasons: dict[str, int] = {}
    for report in reporter.stats.get("skipped", []):
        longrepr = report.longrepr
        reason = str(longrepr[2] if isinstance(longrepr, tuple) else longrepr).removeprefix("Skipped: ")
        reasons[reason] = reasons.get(reason, 0) + 1
    return reasons
