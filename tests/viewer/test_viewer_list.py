"""The list of studies of a large archive: fetched as one scrolls, searched by the server, sorted over all of it."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian
from viewer_browser import Person, archive_of, serving

from hounsfield.ct.instance import FileSource
from hounsfield.phantom import PhantomSpec, write
from hounsfield.server.app import make_app
from hounsfield.server.deployment import Deployment
from hounsfield.viewer import page

pytestmark = pytest.mark.xdist_group("viewer")

STUDIES = 2300


def _study(number: int, folder: Path) -> FileSource:
    """One header: numbers, dates and names run in three different orders."""
    image, meta = Dataset(), FileMetaDataset()
    image.SOPClassUID = meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"  # type: ignore[assignment]
    image.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}.1.1"  # type: ignore[assignment]
    image.StudyInstanceUID, image.SeriesInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.1"
    image.PatientName, image.PatientID = f"Person^{(number * 7) % STUDIES:05d}", f"P{number:05d}"
    image.StudyDate, image.Modality = f"20{number * 11 % 24:02d}0101", "CT"
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta = meta
    path = folder / f"{number}.dcm"
    image.save_as(path, enforce_file_format=True)
    return FileSource(path)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    deployment = Deployment(str(tmp_path_factory.mktemp("large")))
    folder = tmp_path_factory.mktemp("files")
    archive = deployment.open(first=True)
    archive.adopt(_study(number, folder) for number in range(STUDIES))
    with serving(make_app(deployment.state(archive), pages=page())) as root:
        yield root
    deployment.close(archive)


def _rows(person: Person) -> int:
    return person.page.locator("tr.study").count()


def test_a_large_list_comes_as_one_scrolls_and_draws_what_is_near(person: Person, archive: str) -> None:
    person.open(f"{archive}/#/?lang=en")
    person.page.get_by_text(f"of {STUDIES // 1000} {STUDIES % 1000} studies").wait_for()
    asked = [address for address in person.asked if "/studies?" in address]
    assert len(asked) <= 2 and "limit=100" in asked[0]
    assert _rows(person) <= 200
    person.page.wait_for_function(
        """() => {
            scrollTo(0, document.documentElement.scrollHeight);
            return !document.querySelector('.more');
        }""",
    )
    person.page.evaluate("() => scrollTo(0, document.documentElement.scrollHeight)")
    person.rest()
    # Only what is near is drawn, and it is the end of the list.
    assert 0 < _rows(person) < 400
    tall = person.page.evaluate("() => document.documentElement.scrollHeight")
    row = person.page.locator("tr.study").last.bounding_box()["height"]
    assert tall == pytest.approx(STUDIES * row, rel=0.05)
    person.page.evaluate("() => scrollTo(0, 0)")
    person.page.wait_for_function("() => document.querySelector('tbody tr.study')")
    assert person.page.locator("tr.study").first.is_visible()


def _first_row_says(person: Person, what: str) -> None:
    person.page.wait_for_function(
        "what => document.querySelector('tr.study')?.innerText.includes(what)", arg=what
    )


def test_sorting_a_large_list_is_the_servers_and_fetches_a_page(person: Person, archive: str) -> None:
    person.open(f"{archive}/#/?lang=en")
    # The newest first, unasked: numbers 23, 47 … are of the year 2023.
    _first_row_says(person, "2023-01-01")
    by_patient = person.page.get_by_role("columnheader", name="Patient", exact=False).first
    for highest, direction in ((0, "ascending"), (STUDIES - 1, "descending")):
        by_patient.get_by_role("button").click()
        _first_row_says(person, f"Person, {highest:05d}")
        assert by_patient.get_attribute("aria-sort") == direction
        assert _rows(person) <= 200 and person.page.locator(".more").count() == 1
    asked = [address for address in person.asked if "/studies?" in address]
    assert all("limit=100" in address and "orderby=" in address for address in asked) and len(asked) <= 6


def test_what_a_search_finds_is_sorted_too(person: Person, archive: str) -> None:
    person.open(f"{archive}/#/?lang=en&q=P0001")
    _first_row_says(person, "2023-01-01")
    by_id = person.page.get_by_role("columnheader", name="Patient ID")
    for first, last in (("P00010", "P00019"), ("P00019", "P00010")):
        by_id.get_by_role("button").click()
        _first_row_says(person, first)
        found = person.page.locator("tr.study .column-patientId").all_inner_texts()
        assert found == sorted(found, reverse=first > last) and found[-1] == last and len(found) == 10


def test_a_search_is_the_servers_and_finds_what_was_not_fetched(person: Person, archive: str) -> None:
    person.open(f"{archive}/#/?lang=en")
    person.page.locator("tr.study").first.wait_for()
    person.page.get_by_role("searchbox").fill("P02299")
    person.page.wait_for_function("() => document.querySelectorAll('tr.study').length === 1")
    assert any("PatientID=*P02299*" in address.replace("%2A", "*") for address in person.asked)
    person.page.get_by_role("searchbox").fill("Person")
    person.page.get_by_text(f"of {STUDIES // 1000} {STUDIES % 1000} studies").wait_for()
    # The list may still grow while it is scrolled, so a person scrolls on.
    person.page.wait_for_function(
        """() => {
            scrollTo(0, document.documentElement.scrollHeight);
            return /[2-9]00 of/.test(document.querySelector('.more').innerText);
        }"""
    )


def test_thumbnails_are_asked_for_when_a_study_is_opened(person: Person, archive: str) -> None:
    person.open(f"{archive}/#/?lang=en")
    person.page.locator("tr.study").first.wait_for()
    person.rest()
    assert not any("thumbnail" in address for address in person.asked)
    with person.page.expect_request(lambda request: "thumbnail" in request.url):
        person.page.locator(".study-open").first.click()
    person.page.locator(".card-open").wait_for()
    person.page.wait_for_load_state("networkidle")
    assert sum("thumbnail" in address for address in person.asked) == 1


def test_every_uploaded_file_has_its_result(person: Person, tmp_path: Path) -> None:
    write(PhantomSpec(rows=16, columns=16, slices=3), tmp_path / "one")
    write(PhantomSpec(rows=16, columns=16, slices=3, noise=20.0), tmp_path / "other")
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no DICOM at all")
    first = sorted((tmp_path / "one").glob("*.dcm"))
    # The same UIDs with other pixels.
    clash = sorted((tmp_path / "other").glob("*.dcm"))[1]
    with archive_of(tmp_path / "archive") as root:
        person.open(f"{root}/#/?lang=en")
        person.page.get_by_text("No studies here yet").wait_for()
        person.page.locator(".upload input").set_input_files([str(each) for each in first])
        person.page.locator(".upload-progress", has_text="3 stored").wait_for()
        person.page.locator(".upload-progress summary").click()
        told = person.page.locator(".upload-results li").all_inner_texts()
        assert [text.split("\n")[0] for text in told] == [each.name for each in first]
        person.page.locator(".upload input").set_input_files([str(clash), str(broken), str(first[0])])
        person.page.locator(".upload-progress", has_text="1 stored · 2 refused").wait_for()
        told = person.page.locator(".upload-results li").all_inner_texts()
        assert "another instance with this UID is there already" in told[0] and clash.name in told[0]
        assert "cannot be understood" in told[1] and "broken.dcm" in told[1]
        assert first[0].name in told[2]
        with person.page.expect_download() as saved:
            person.page.locator(".upload-progress").get_by_role("button", name="Export CSV").click()
        lines = Path(saved.value.path()).read_text(encoding="utf-8-sig").splitlines()
        assert len(lines) == 4 and lines[1].startswith(f'"{clash.name}"')


def test_nothing_is_deleted_without_being_confirmed(person: Person, tmp_path: Path) -> None:
    write(PhantomSpec(rows=16, columns=16, slices=2), tmp_path / "data")
    files = [str(each) for each in (tmp_path / "data").glob("*.dcm")]
    with archive_of(tmp_path / "archive") as root:
        person.open(f"{root}/#/?lang=en")
        person.page.locator(".upload input").set_input_files(files)
        row = person.page.locator("tr.study")
        person.page.get_by_role("button", name="Delete").wait_for()
        before = (row.bounding_box(), row.locator("[aria-expanded]").get_attribute("aria-expanded"))
        person.page.get_by_role("button", name="Delete").click()
        person.page.get_by_role("alertdialog").wait_for()
        # The question neither moves the table nor opens or closes the study; the harmless answer has the focus.
        assert (row.bounding_box(), row.locator("[aria-expanded]").get_attribute("aria-expanded")) == before
        person.page.wait_for_function("() => document.activeElement.textContent === 'Cancel'")
        person.page.keyboard.press("Escape")
        person.page.get_by_role("alertdialog").wait_for(state="detached")
        with urllib.request.urlopen(f"{root}/dicom-web/studies") as answer:
            assert len(json.load(answer)) == 1
        person.page.get_by_role("button", name="Delete").click()
        person.page.get_by_role("alertdialog").get_by_role("button", name="Delete").click()
        person.page.get_by_text("No studies here yet").wait_for()
        with urllib.request.urlopen(f"{root}/dicom-web/studies") as answer:
            assert answer.status == 204 or json.load(answer) == []
