"""Series without pixels are no errors: reports, PDF, structures, segments, presentation states and models are shown."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from mask_objects import blobs, write_ct, write_rtstruct, write_seg
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid
from viewer_browser import Person, axe_violations, looking_at

import hounsfield

pytestmark = pytest.mark.xdist_group("viewer")

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n"
EVIL = "<img src=x onerror=alert(1)>"


def _code(meaning: str, value: str = "1") -> list[Dataset]:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99TEST", meaning
    return [item]


def _node(name: str, kind: str, **values: Any) -> Dataset:
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", kind
    item.ConceptNameCodeSequence = _code(name)
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


def _object(folder: Path, study: str, sop_class: str, modality: str, number: int, **values: Any) -> None:
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID, dataset.SOPInstanceUID = sop_class, generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = study, generate_uid()
    dataset.Modality, dataset.SeriesNumber, dataset.InstanceNumber = modality, number, 1
    dataset.SeriesDescription = f"{modality} {number}"
    for keyword, value in values.items():
        setattr(dataset, keyword, value)
    pydicom.dcmwrite(folder / f"{number}.dcm", dataset, enforce_file_format=True)


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("papers")
    ct = write_ct(folder / "ct")
    study = str(ct[0].StudyInstanceUID)
    volume = hounsfield.load(folder / "ct")
    seg = write_seg(folder / "seg.dcm", ct, blobs((6, 32, 40), 2).transpose(1, 2, 3, 0).astype("u1"))
    seg.SeriesDescription = "Organs"
    seg.save_as(folder / "seg.dcm")
    square = np.array([(2, 5, 5), (2, 5, 15), (2, 15, 15), (2, 15, 5)], float)
    structures = write_rtstruct(folder / "rt.dcm", volume, {"Heart": [("CLOSED_PLANAR", square)]}, uids=True)
    structures.StudyInstanceUID, structures.SeriesDescription = study, "Plan structures"
    structures.ReferencedFrameOfReferenceSequence = _references(volume, study)
    structures.save_as(folder / "rt.dcm")
    measured = Dataset()
    measured.NumericValue, measured.MeasurementUnitsCodeSequence = "12.5", _code("millimeter", "mm")
    finding = _node(
        "Finding", "CONTAINER", ContentSequence=[_node("Length", "NUM", MeasuredValueSequence=[measured])]
    )
    comment = _node("Comment", "TEXT", TextValue=EVIL)
    _object(
        folder, study, "1.2.840.10008.5.1.4.1.1.88.33", "SR", 21, ValueType="CONTAINER",
        ConceptNameCodeSequence=_code("Imaging Measurement Report"), ContentSequence=[finding, comment],
        CompletionFlag="COMPLETE",
    )  # fmt: skip
    for number, sop_class, content in (
        (22, "104.1", PDF),
        (23, "104.3", b"solid x\nendsolid x\n"),
        (24, "104.1", EVIL.encode()),
    ):
        _object(
            folder, study, f"1.2.840.10008.5.1.4.1.1.{sop_class}", "DOC", number, EncapsulatedDocument=content,
            EncapsulatedDocumentLength=len(content),
            DocumentTitle=f"Letter {number}", MIMETypeOfEncapsulatedDocument="application/pdf",
        )  # fmt: skip
    text = Dataset()
    text.UnformattedTextValue = "look here"
    note = Dataset()
    note.GraphicLayer, note.TextObjectSequence = "NOTES", [text]
    _object(
        folder, study, "1.2.840.10008.5.1.4.1.1.11.1", "PR", 25, ContentLabel="MARKED",
        GraphicAnnotationSequence=[note],
        ReferencedSeriesSequence=[_series(str(ct[0].SeriesInstanceUID))],
    )  # fmt: skip
    with looking_at(folder, series="Phantom") as found:
        yield found


def _series(uid: str) -> Dataset:
    item = Dataset()
    item.SeriesInstanceUID = uid
    return item


def _references(volume: hounsfield.Volume, study: str) -> list[Dataset]:
    frame, of_study = Dataset(), Dataset()
    frame.FrameOfReferenceUID = volume.header.get("FrameOfReferenceUID", "")
    of_study.ReferencedSOPClassUID, of_study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", study
    of_study.RTReferencedSeriesSequence = [_series(volume.header["SeriesInstanceUID"])]
    frame.RTReferencedStudySequence = [of_study]
    return [frame]


def _open(person: Person, address: str, title: str, language: str = "en") -> Any:
    """The document that a card of the rail opens."""
    person.open(f"{address}&lang={language}")
    person.see_image()
    person.page.locator(".toolbar button").nth(1).click()
    person.page.locator(".rail .card-open", has_text=title).click()
    document = person.page.locator(".document")
    document.wait_for()
    assert person.page.get_by_role("alert").count() == 0
    return document


def test_a_report_is_a_tree_and_nothing_in_it_runs(person: Person, address: str) -> None:
    document = _open(person, address, "SR 21")
    assert document.get_attribute("data-kind") == "report"
    text = document.inner_text()
    assert "Imaging Measurement Report" in text and "COMPLETE" in text
    assert (
        document.locator("details", has_text="Finding").locator("li").inner_text() == "Length 12.5 millimeter"
    )
    assert EVIL in text and document.locator("img").count() == 0
    assert person.page.locator(".badge").count() == 0


def test_a_pdf_opens_in_a_sandboxed_tab_of_its_own(person: Person, address: str) -> None:
    document = _open(person, address, "DOC 22")
    assert "Letter 22" in document.inner_text()
    link = document.get_by_role("link", name="Open the PDF")
    assert link.get_attribute("target") == "_blank" and "noopener" in str(link.get_attribute("rel"))
    answer = person.page.request.get(str(link.get_attribute("href")))
    assert answer.body() == PDF and answer.headers["content-type"] == "application/pdf"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_what_is_called_a_pdf_and_is_none_is_only_saved(person: Person, address: str) -> None:
    document = _open(person, address, "DOC 24", "zh")
    assert document.get_by_role("link").count() == 0
    with person.page.expect_download() as download:
        document.get_by_role("button", name="保存文件").click()
    assert Path(download.value.path()).read_bytes().rstrip(b"\0") == EVIL.encode()


def test_a_model_is_named(person: Person, address: str) -> None:
    document = _open(person, address, "DOC 23")
    assert "3-D model" in document.inner_text() and "STL" in document.inner_text()


def test_a_presentation_state_is_listed_with_its_notes(person: Person, address: str) -> None:
    document = _open(person, address, "PR 25")
    assert "MARKED" in document.inner_text() and "look here" in document.inner_text()
    document.get_by_role("button", name="Open 1 · Phantom").click()
    person.see_image()


@pytest.mark.parametrize(
    ("title", "name", "kind"), [("Organs", "Organ 1", "segments"), ("structures", "Heart", "structures")]
)
def test_structures_and_segments_are_lists_that_open_on_their_series(
    person: Person, address: str, title: str, name: str, kind: str
) -> None:
    document = _open(person, address, title)
    assert document.get_attribute("data-kind") == kind
    assert document.locator("tr", has_text=name).count() == 1
    document.get_by_role("button", name="Show on").click()
    person.see_image()
    person.page.keyboard.press("q")
    person.page.locator("tr[data-segment]", has_text=name).wait_for()


def test_a_server_that_does_not_answer_is_called_so(person: Person, address: str) -> None:
    person.open(f"{address}&lang=en")
    person.see_image()
    person.page.route("**/dicom-web/**", lambda route: route.abort())
    person.page.keyboard.press("q")
    person.page.locator(".toolbar button").nth(1).click()
    person.page.locator(".rail .card-open", has_text="SR 21").click()
    trouble = person.page.locator(".trouble")
    trouble.wait_for()
    assert "The server does not answer." in trouble.inner_text() and "fetch" not in trouble.inner_text()


@pytest.mark.parametrize("title", ["SR 21", "Organs", "DOC 22"])
def test_axe_finds_nothing_on_documents(person: Person, address: str, title: str) -> None:
    _open(person, address, title, "zh")
    assert axe_violations(person) == []
