"""`hounsfield view` on a real Orthanc, by address and by name: the browser shows what is stored there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from orthanc import running_orthanc, skip_without_orthanc
from test_viewer_cli import _viewing
from viewer_browser import Person

import hounsfield
from hounsfield import load
from hounsfield.cli import main
from hounsfield.phantom import PhantomSpec, write

pytestmark = pytest.mark.xdist_group("viewer")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data")
    spec = {"rows": 64, "columns": 64, "tilt": 10.0, "order": "shuffled"}
    write(PhantomSpec(slices=12, series_number=1, series_description="Thin", **spec), root / "thin")  # type: ignore[arg-type]
    write(PhantomSpec(slices=6, series_number=2, series_description="Thick", **spec), root / "thick")  # type: ignore[arg-type]
    return root


@pytest.fixture(scope="module")
def url(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    skip_without_orthanc()
    with running_orthanc(tmp_path_factory.mktemp("orthanc"), user="me", password="word") as address:
        with hounsfield.Client(address, auth=("me", "word")) as client:
            assert client.store_instances(sorted(data.rglob("*.dcm"))).complete
        yield address


@pytest.fixture
def named(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The server's name, as a user adds it; its password is in the environment."""
    monkeypatch.setenv("HOUNSFIELD_SERVERS", str(tmp_path / "servers.toml"))
    monkeypatch.setenv("PACS_PASSWORD", "word")
    added = CliRunner().invoke(
        main, ["servers", "add", "pacs", url, "--user", "me", "--password-env", "PACS_PASSWORD"]
    )
    assert added.exit_code == 0, added.output
    return "pacs"


def _shows(person: Person, address: str, folder: Path) -> None:
    """The image, its numbers, and a plane, each as Python has it from the files."""
    volume = load(folder)
    person.open(f"{address}{'&' if '=' in address else ''}lang=en")
    person.see_image()
    width, height = person.size()
    checked = 0
    for x, y in ((0.5, 0.5), (0.42, 0.3), (0.55, 0.62)):
        found = person.point(width * x, height * y)
        if found["voxel"] is not None:
            assert found["value"] == volume.array[tuple(found["voxel"])]
            checked += 1
    assert checked
    assert "care" in str(person.page.locator(".badge").get_attribute("class"))
    person.page.keyboard.press("m")
    person.see_image("sagittal")


def test_a_series_of_a_named_server_is_viewed(person: Person, named: str, data: Path) -> None:
    with _viewing(f"{named}:", "--series", "Thick") as address:
        _shows(person, address, data / "thick")


def test_a_whole_named_server_opens_on_its_largest_series_or_list(
    person: Person, named: str, data: Path
) -> None:
    with _viewing(f"{named}:") as address:
        _shows(person, address, data / "thin")
        person.page.locator("button.back").click()
        person.page.locator(".study-open").wait_for()
        person.page.wait_for_function("() => document.querySelectorAll('.thumbnail img').length === 2")
        assert person.page.get_by_role("button", name="Delete").count() == 0


def test_a_series_below_a_named_server_is_viewed(person: Person, named: str, data: Path) -> None:
    facts = load(data / "thin").header
    place = f"{named}:/studies/{facts['StudyInstanceUID']}/series/{facts['SeriesInstanceUID']}"
    with _viewing(place) as address:
        _shows(person, address, data / "thin")


def test_an_open_address_is_viewed_without_any_name(person: Person, data: Path, tmp_path: Path) -> None:
    skip_without_orthanc()
    with running_orthanc(tmp_path) as url:
        with hounsfield.Client(url) as client:
            assert client.store_instances(sorted(data.rglob("*.dcm"))).complete
        facts = load(data / "thick").header
        place = f"{url}/studies/{facts['StudyInstanceUID']}/series/{facts['SeriesInstanceUID']}/"
        with _viewing(place) as address:
            _shows(person, address, data / "thick")
