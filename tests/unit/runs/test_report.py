"""The pages made from a ledger: every series a card, nothing fetched, nothing out of a DICOM file obeyed."""

from __future__ import annotations

import html.parser
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from viewer_browser import Person

from hounsfield import load, phantom, scan
from hounsfield.phantom import PhantomSpec
from hounsfield.runs import STARTED, Record, Status
from hounsfield.runs.report import open_place, preview, preview_of_file, write_summaries
from hounsfield.runs.report.page import CARDS, write_pages
from hounsfield.runs.report.preview import BINS
from hounsfield.verbs.convert import convert_all

PLAIN = PhantomSpec(rows=40, columns=48, slices=6)


class Page(html.parser.HTMLParser):
    """What is in a page: tags, links, sources, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.sources: list[str] = []
        self.text = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name == "href"]
        self.sources += [value or "" for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_each_series_has_its_picture_histogram_and_warnings(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in" / "a")
    phantom.write(replace(PLAIN, seed=2, slope_tag=""), tmp_path / "in" / "b")
    phantom.write(replace(PLAIN, seed=3, missing=(2,)), tmp_path / "in" / "c")
    with open_place(tmp_path / "out") as place:
        list(convert_all(scan(tmp_path / "in"), place))
    page = Page(tmp_path / "out" / "hounsfield.html")
    assert page.tags.count("article") == 3
    assert page.tags.count("img") == page.tags.count("svg") == 2
    assert all(source.startswith("data:image/jpeg;base64,") for source in page.sources)
    assert all(told in page.text for told in ("3 series", "1 failed", "1 made, with warnings", "1 made"))
    assert all((tmp_path / "out" / link.partition("#")[0]).is_file() for link in page.links)


def test_nothing_on_a_page_overflows_its_card(browser: Any, tmp_path: Path) -> None:
    """A path in a reason is one word of a hundred letters."""
    reason = "leave out /" + "very-long-folder-name/" * 12 + "CT0001.dcm"
    records = [
        Record(key=str(number), status=Status.FAILED, series="s", reason=reason) for number in range(4)
    ]
    (path,) = write_pages(records, lambda key: {}, tmp_path)
    someone = Person(browser, width=390, height=800)
    someone.open(path.as_uri())
    assert someone.page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert someone.page.evaluate(
        "[...document.querySelectorAll('article')].every(a => a.scrollWidth <= a.clientWidth + 1)"
    )
    someone.close()


def test_each_kind_leads_to_where_it_begins(tmp_path: Path) -> None:
    records = [Record(key=f"f{number}", status=Status.FAILED, verb="volume") for number in range(CARDS + 1)]
    records += [Record(key="m", status=Status.DONE, verb="volume")]
    first, second = (Page(path) for path in write_pages(records, lambda key: {}, tmp_path))
    assert {"hounsfield.html#failed", "hounsfield-2.html#made"} <= set(first.links)
    assert "hounsfield volume" in first.text
    assert second.tags.count("h2") == 2


@pytest.mark.parametrize("spec", [PLAIN, replace(PLAIN, slices=1), replace(PLAIN, localizers=1)])
def test_a_preview_of_a_file_is_of_its_own_pixels(spec: PhantomSpec, tmp_path: Path) -> None:
    for path in phantom.write(spec, tmp_path):
        shown = preview_of_file(path)
        assert shown["thumbnail"].startswith("data:image/jpeg;base64,")
        assert sum(shown["histogram"]["counts"]) == pydicom.dcmread(path).pixel_array.size
    (tmp_path / "notes.txt").write_text("no dicom")
    assert preview_of_file(tmp_path / "notes.txt") == preview_of_file(tmp_path / "gone.dcm") == {}


def test_the_footer_speaks_of_what_is_on_the_page(tmp_path: Path) -> None:
    record = Record(
        key="1", status=Status.DONE, verb="compress", series="s", counts={"written": 1}, facts={"files": 1}
    )
    (path,) = write_pages([record], lambda key: {}, tmp_path)
    told = Page(path).text
    assert (
        "Thumbnail" not in told and "1 file" in told and "1 files" not in told and "file: 1 written" in told
    )
    shown = {"thumbnail": "data:image/jpeg;base64,", "histogram": {"low": -1, "high": 1, "counts": [1]}}
    volume = replace(record, key="2", verb="volume", facts={})
    (path,) = write_pages([record, volume], lambda key: shown, tmp_path)
    assert "the middle one of the files written" in Page(path).text and "the middle slice" in Page(path).text


def test_text_out_of_files_is_escaped(tmp_path: Path) -> None:
    evil = "<script>alert(1)</script>\"'><img src=http://x/>"
    record = Record(
        key="1",
        status=Status.FAILED,
        series=evil,
        uid=evil,
        reason=evil,
        warnings=(evil,),
        source=evil,
        unit=evil,
    )
    made = replace(record, key="2", status=Status.DONE, output=evil)
    shown = {"thumbnail": f"javascript:{evil}", "histogram": {"low": 0, "high": 1, "counts": [1]}}
    write_pages([record, made], lambda key: shown, tmp_path)
    page = Page(tmp_path / "hounsfield.html")
    assert "script" not in page.tags
    assert page.sources == []
    assert all(not link.startswith(("http", "javascript")) for link in page.links)
    assert evil in page.text


def test_many_series_are_pages_that_lead_to_each_other(tmp_path: Path) -> None:
    records = [
        Record(key=str(number), status=Status.DONE, series=f"s{number}") for number in range(2 * CARDS + 1)
    ]
    paths = write_pages(records, lambda key: {}, tmp_path)
    assert [path.name for path in paths] == ["hounsfield.html", "hounsfield-2.html", "hounsfield-3.html"]
    assert {"hounsfield.html", "hounsfield-3.html"} <= set(Page(paths[1]).links)
    assert sum(Page(path).tags.count("article") for path in paths) == len(records)
    write_pages(records[:3], lambda key: {}, tmp_path)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["hounsfield.html"]


def test_what_failed_or_was_not_finished_comes_first(tmp_path: Path) -> None:
    records = [
        Record(key="1", status=Status.DONE, series="fine"),
        Record(key="2", status=STARTED, series="begun"),
        Record(key="3", status=Status.FAILED, series="broken"),
    ]
    text = Page(write_pages(records, lambda key: {}, tmp_path)[0]).text
    assert text.index("broken") < text.index("begun") < text.index("fine")
    assert "run again" in text


def test_summaries_can_be_made_again_from_the_ledger_alone(tmp_path: Path) -> None:
    phantom.write(PLAIN, tmp_path / "in")
    with open_place(tmp_path / "out") as place:
        list(convert_all(scan(tmp_path / "in"), place))
    for name in ("hounsfield.html", "hounsfield.csv", "hounsfield-previews.jsonl"):
        (tmp_path / "out" / name).unlink()
    write_summaries(tmp_path / "out")
    assert Page(tmp_path / "out" / "hounsfield.html").tags.count("article") == 1
    assert (tmp_path / "out" / "hounsfield.csv").read_text("utf-8").count("\n") == 2


def test_a_preview_of_a_stream_s_volume_never_makes_all_of_it(tmp_path: Path) -> None:
    """A stream tells of a volume whose array repeats one slice: a gigabyte that is not there."""
    phantom.write(PLAIN, tmp_path)
    volume = load(tmp_path)
    shape = (5000, *volume.shape[1:])
    tall = replace(volume, array=np.broadcast_to(volume.array[3], shape), uids=volume.uids[:1] * shape[0])
    tracemalloc.start()
    try:
        shown = preview(tall, volume.array.reshape(-1))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert shown["thumbnail"]
    assert peak < tall.array.size


@pytest.mark.parametrize(
    "spec", [PLAIN, replace(PLAIN, rescale_type="Z_EFF"), replace(PLAIN, slices=1, rows=7)]
)
def test_a_preview_samples_any_volume(tmp_path: Path, spec: PhantomSpec) -> None:
    phantom.write(spec, tmp_path)
    volume = load(tmp_path)
    histogram = preview(volume)["histogram"]
    assert len(histogram["counts"]) == BINS
    assert sum(histogram["counts"]) == volume.array.size
    low, high = histogram["low"], histogram["high"]
    expected, _ = np.histogram(np.clip(volume.array, low, high), BINS, (low, high))
    assert histogram["counts"] == expected.tolist()
