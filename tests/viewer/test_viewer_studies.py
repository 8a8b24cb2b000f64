"""The list of studies, and what the page says when a server is lost, refuses or errs. In Debian's Chromium."""

from __future__ import annotations

import contextlib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from viewer_browser import STREAM, Person, archive_of, looking_at, serving, write_phantom

pytestmark = pytest.mark.xdist_group("viewer")


# --- studies -------------------------------------------------------------------------------------------------


def test_studies_are_listed_searched_and_sorted(person: Person, studies_archive: str) -> None:
    person.open(f"{studies_archive}/#/?lang=en")
    person.page.wait_for_function("() => document.querySelectorAll('.study-open').length === 2")
    for place in (0, 1):
        person.page.get_by_role("button", name="Patient ID").click()
        person.page.wait_for_function(
            "place => document.querySelectorAll('.study-open')[place].innerText.includes('script')", arg=place
        )
    for text, found in (("hounsfield", 1), ("evil", 1), ("HU-PHANTOM", 1), ("CT phantom", 2), ("nobody", 0)):
        person.page.get_by_role("searchbox").fill(text)
        person.page.wait_for_function(f"() => document.querySelectorAll('.study-open').length === {found}")
    assert "q=nobody" in person.address()


def test_a_study_and_a_series_are_saved_as_zip(person: Person, studies_archive: str, thin_url: str) -> None:
    person.open(f"{studies_archive}/#/?lang=en")
    with person.page.expect_download() as saved:
        person.page.get_by_role("button", name="Download the study (ZIP)").first.click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert archive.testzip() is None
        assert all(name.endswith(".dcm") for name in archive.namelist()) and archive.namelist()
    person.open(f"{thin_url}&lang=en")
    person.see_image()
    with person.page.expect_download() as saved:
        person.page.get_by_role("button", name="Download the series (ZIP)").click()
    with zipfile.ZipFile(saved.value.path()) as archive:
        assert len({name.partition("/")[0] for name in archive.namelist()}) == 1


def test_series_have_thumbnails(person: Person, studies_archive: str) -> None:
    person.open(f"{studies_archive}/#/?lang=en")
    person.page.get_by_role("button", name="Phantom, Hounsfield").click()
    person.page.wait_for_function(
        "() => document.querySelectorAll('.thumbnail img').length === 3"
        " && [...document.querySelectorAll('.thumbnail img')].every(i => i.naturalWidth > 0)"
    )


def test_a_name_with_markup_in_it_is_text(person: Person, studies_archive: str) -> None:
    person.open(f"{studies_archive}/#/?lang=en")
    person.page.get_by_text("<b>Evil</b>", exact=False).first.wait_for()
    person.page.get_by_role("button", name="alert(1)").click()
    person.page.locator(".card-open").first.click()
    person.see_image()
    person.page.keyboard.press("g")
    person.page.locator(".tag-value", has_text="<b>Evil</b>").wait_for()
    assert person.page.locator("b, body script").count() == 0


def test_files_are_uploaded_and_studies_deleted(person: Person, tmp_path: Path) -> None:
    files = sorted(write_phantom(tmp_path / "new", slices=4, patient_name="New^Comer", seed=9).glob("*.dcm"))
    broken = tmp_path / "broken.dcm"
    broken.write_bytes(b"no DICOM at all")
    with archive_of(tmp_path / "archive") as root:
        person.open(f"{root}/#/?lang=en")
        person.page.get_by_text("No studies here yet").wait_for()
        person.page.locator(".upload input").set_input_files([*map(str, files), str(broken)])
        told = person.page.locator(".upload-progress", has_text="4 stored · 1 refused")
        told.wait_for()
        person.page.get_by_role("button", name="New, Comer").wait_for()
        person.page.get_by_role("button", name="Delete").click()
        person.page.get_by_role("button", name="Cancel").click()
        assert person.page.locator(".study-open").count() == 1
        person.page.get_by_role("button", name="Delete").click()
        person.page.locator("button.danger").click()
        person.page.get_by_text("No studies here yet").wait_for()


def test_dropped_files_are_stored(person: Person, tmp_path: Path) -> None:
    content = next(write_phantom(tmp_path / "new", slices=1, seed=10).glob("*.dcm")).read_bytes()
    with archive_of(tmp_path / "archive") as root:
        person.open(f"{root}/#/?lang=en")
        person.page.get_by_text("No studies here yet").wait_for()
        person.page.evaluate(
            """bytes => {
              const transfer = new DataTransfer();
              transfer.items.add(new File([new Uint8Array(bytes)], "one.dcm"));
              window.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, cancelable: true, bubbles: true}));
            }""",
            list(content),
        )
        person.page.locator(".study-open").wait_for()


def test_what_only_reads_offers_no_upload(person: Person, studies_folder: Path) -> None:
    with looking_at(studies_folder) as address:
        person.open(f"{address.partition('#')[0]}#/?lang=en")
        person.page.locator(".study-open").first.wait_for()
        person.rest()
        assert person.page.locator(".upload").count() == 0
        assert person.page.get_by_role("button", name="Delete").count() == 0


# --- troubles ------------------------------------------------------------------------------------------------


def test_a_lost_server_is_told_and_tried_again(person: Person, studies_folder: Path) -> None:
    with looking_at(studies_folder / "thin") as address:
        person.page.route("**/info", lambda route: route.abort())
        person.open(f"{address}&lang=en")
        person.page.get_by_text("The server does not answer.").wait_for()
        person.page.unroute("**/info")
        person.page.get_by_role("button", name="Retry").click()
        person.see_image()


def test_slices_that_cannot_be_had_are_told_and_tried_again(person: Person, thin_url: str) -> None:
    person.without_streams()
    person.page.route("**/slices/3", lambda route: route.fulfill(status=500, body='{"error": "a torn file"}'))
    person.open(f"{thin_url}&lang=en")
    person.page.get_by_text("a torn file").wait_for()
    person.page.unroute("**/slices/3")
    person.page.get_by_role("button", name="Retry").click()
    person.see_image()


def test_a_slice_damaged_on_its_way_is_not_shown(person: Person, thin_url: str) -> None:
    def damaged(route: Any) -> None:
        answer = route.fetch()
        body = bytearray(answer.body())
        body[100] ^= 1
        route.fulfill(response=answer, body=bytes(body))

    person.without_streams()
    person.page.route("**/slices/6", damaged)
    person.open(f"{thin_url}&lang=en")
    person.page.get_by_text("CRC-32 is not").wait_for()


def test_a_slice_damaged_among_many_is_fetched_by_itself(
    person: Person, thin_url: str, studies_folder: Path
) -> None:
    def damaged(route: Any) -> None:
        answer = route.fetch()
        body = bytearray(answer.body())
        body[32 + 100] ^= 1  # of the first slice that it has, behind its head
        first.append(int.from_bytes(body[:4], "little"))
        route.fulfill(response=answer, body=bytes(body))

    first: list[int] = []
    person.page.route(STREAM, damaged)
    person.open(f"{thin_url}&lang=en")
    person.see_image()
    alone = [url for url in person.asked if url.partition("?")[0].endswith(f"/slices/{first[0]}")]
    assert len(alone) == 1
    assert person.page.locator(".notice").count() == 0


def test_an_unknown_series_is_told(person: Person, studies_archive: str) -> None:
    person.open(f"{studies_archive}/#/?study=1.2.3&series=1.2.3.4&lang=en")
    person.page.get_by_text("no such series here").wait_for()


def test_a_server_that_asks_for_a_token_is_given_one_that_no_address_shows(
    person: Person, studies_folder: Path, tmp_path: Path
) -> None:
    from hounsfield.locations import open_location
    from hounsfield.server.app import make_app
    from hounsfield.server.archive.read_only_library import ReadOnlyLibrary
    from hounsfield.server.auth.access import Access
    from hounsfield.server.auth.credentials import CredentialFile, Tokens
    from hounsfield.server.state import AppState
    from hounsfield.viewer import page

    file = CredentialFile(tmp_path / "credentials.json")
    token = file.add_token("reader", ["read"])
    library = ReadOnlyLibrary(open_location(studies_folder / "thin"))
    app = make_app(AppState(library, access=Access((Tokens(file),))), pages=page())
    with contextlib.closing(library), serving(app) as root:
        person.open(f"{root}/#/?lang=en")
        person.page.get_by_label("Access token").fill(token)
        person.page.get_by_role("button", name="Sign in").click()
        person.page.locator(".study-open").wait_for()
        person.page.wait_for_function("() => document.querySelector('.thumbnail img')?.naturalWidth > 0")
        person.page.locator(".card-open").click()
        person.see_image()
        assert person.point(*(side / 2 for side in person.size()))["value"] is not None  # type: ignore[arg-type]
        assert token not in person.page.url and not any(token in address for address in person.asked)
