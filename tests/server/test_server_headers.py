"""Header text: the fast walk says what pydicom says, on every file in reach; and libraries over any location."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies._internal.core import DataObject
from server_support import AS_STORED, STOW, body, client, instances, parts_of, path_of, served, uids

from hounsfield.attributes import header_text
from hounsfield.attributes.header_text import INSTANCE_URL, read_header_text
from hounsfield.ct.instance import BytesSource, FileSource
from hounsfield.dicom.uids import BIG_ENDIAN, DEFLATED
from hounsfield.dicomweb.queries import Query
from hounsfield.dicomweb.resources import Resource
from hounsfield.errors import HounsfieldError, MalformedError
from hounsfield.locations import open_location
from hounsfield.phantom import PhantomSpec, write
from hounsfield.server.app import make_app
from hounsfield.server.archive.read_only_library import ReadOnlyLibrary
from hounsfield.server.state import AppState


def _pydicoms() -> list[Path]:
    folder = Path(pydicom.__file__).parent / "data" / "test_files"
    return sorted(path for path in folder.rglob("*.dcm") if path.stat().st_size < 3_000_000)


def _differences(path: Path) -> list[str]:
    """Elements that the walk and pydicom tell differently, but for what is known to be better here."""
    try:
        text = read_header_text(FileSource(path))
    except HounsfieldError:
        return []
    pixels = text.instance.header.pixels
    if pixels is None or text.instance.header.transfer_syntax in (BIG_ENDIAN, DEFLATED):
        return []
    with path.open("rb") as stream:
        walked = header_text._walked(stream, pixels.offset)
    if walked is None:
        return []
    parsed = header_text._by_pydicom(text.instance)
    assert walked.keys() == parsed.keys()
    found = []
    for tag in walked:
        ours, theirs = (
            json.loads("{" + each[tag].replace(INSTANCE_URL, "") + "}") for each in (walked, parsed)
        )
        # Padding within a list of values is no part of any value; private elements keep the VR of the file.
        if ours != _without_padding(theirs) and not tag >> 16 & 1:
            found.append(f"{tag:08X}: {ours} {theirs}")
    return found


def _without_padding(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_padding(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_without_padding(each) for each in value]
    return value.strip() if isinstance(value, str) else value


def test_the_walk_and_pydicom_agree_on_every_file_of_pydicom() -> None:
    assert [each for path in _pydicoms() for each in _differences(path)] == []


def test_the_walk_and_pydicom_agree_on_real_ct(real_data: Path) -> None:
    files = [
        path
        for folder in ("odd", "transfer_syntaxes", "enhanced")
        for path in (real_data / folder).rglob("*")
    ]
    assert [each for path in files if path.is_file() for each in _differences(path)] == []


@settings(max_examples=300)
@given(st.data())
def test_any_header_gives_text_or_one_of_our_errors(data: DataObject) -> None:
    content = bytearray(instances(slices=1, rows=4, columns=4, private_tags=True)[0])
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(132, len(content) - 33))
        content[position] = data.draw(st.integers(0, 255))
    try:
        text = read_header_text(BytesSource("x", bytes(content)))
    except HounsfieldError:
        return
    json.loads(text.text().replace(INSTANCE_URL, ""))


def test_a_transfer_syntax_with_a_quote_or_a_control_character_is_text() -> None:
    content = instances(slices=1, rows=4, columns=4)[0]
    meta = content.index(b"\x02\x00\x10\x00")
    for odd in (b'1.2.840.10008.1.2."', b"1.2.840.10008.1\x03.21"):
        head = content[meta : meta + 40].replace(b"1.2.840.10008.1.2.1", odd)
        text = read_header_text(BytesSource("x", content[:meta] + head + content[meta + 40 :]))
        told = json.loads(text.text().replace(INSTANCE_URL, ""))
        assert told["00083002"]["Value"] == [odd.decode()]


def test_nesting_without_end_is_refused() -> None:
    dataset = pydicom.dcmread(io.BytesIO(instances(slices=1, rows=4, columns=4)[0]))
    item = pydicom.Dataset()
    for _ in range(200):
        outer = pydicom.Dataset()
        outer.ContentSequence = [item]
        item = outer
    dataset.ContentSequence = [item]
    out = io.BytesIO()
    dataset.save_as(out)
    with pytest.raises((MalformedError, HounsfieldError)):
        read_header_text(BytesSource("x", out.getvalue()))


@pytest.mark.parametrize("kind", ["folder", "zip", "dicomweb"])
def test_any_location_can_be_served_where_it_lies(tmp_path: Path, kind: str) -> None:
    folder = tmp_path / "scan"
    paths = write(PhantomSpec(slices=4, rows=24, columns=24), folder)
    contents = [path.read_bytes() for path in paths]
    (folder / "notes.txt").write_text("no DICOM")
    from contextlib import ExitStack

    from server_support import running

    with ExitStack() as stack:
        place = str(folder)
        if kind == "zip":
            place = str(tmp_path / "scan.zip")
            with zipfile.ZipFile(place, "w") as archive:
                for path in paths:
                    archive.write(path, path.name)
        elif kind == "dicomweb":
            other = stack.enter_context(running(tmp_path / "other"))
            other.store(contents)
            place = other.url
        library = ReadOnlyLibrary(open_location(place))
        stack.callback(library.close)
        url = stack.enter_context(served(make_app(AppState(library))))
        http = stack.enter_context(client(url + "/dicom-web"))
        (study,) = http.get("/studies").json()
        assert study["0020000D"]["Value"] == [uids(contents[0])[0]]
        assert len(http.get(path_of(contents[0], "series") + "/metadata").json()) == 4
        got = parts_of(http.get(path_of(contents[0], "series"), headers={"Accept": AS_STORED}))
        assert sorted(content for _, content in got) == sorted(contents)
        info = http.get(path_of(contents[0], "series") + "/info").json()
        assert (info["shape"], info["verdict"]) == ([4, 24, 24], "regular")
        assert http.get(path_of(contents[0], "series") + "/slices/2").status_code == 200
        assert (
            http.post("/studies", content=body(contents), headers={"Content-Type": STOW}).status_code == 405
        )
        assert http.delete(path_of(contents[0])).status_code == 405
        assert http.options("/studies").headers["allow"] == "GET, HEAD, OPTIONS"
        assert library.search("study", Resource(""), Query(), limit=5).remaining == 0


def test_a_private_creator_is_text_even_where_the_file_lost_its_vr() -> None:
    content = instances(slices=1, rows=8, columns=8)[0]
    dataset = pydicom.dcmread(io.BytesIO(content))
    dataset.private_block(0x0011, "A MAKER", create=True).add_new(0x01, "SH", "x")
    out = io.BytesIO()
    dataset.save_as(out)
    lost = out.getvalue().replace(b"\x11\0\x10\0LO\x08\0A MAKER ", b"\x11\0\x10\0UN\0\0\x08\0\0\0A MAKER ")
    assert lost != out.getvalue()
    assert read_header_text(BytesSource("x", lost)).values(0x00110010) == ("A MAKER",)
