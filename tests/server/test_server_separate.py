"""Stores of metadata and bulk data apart (PS3.18 10.5.2): what they become, and what is said of bad ones."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from _pytest.tmpdir import TempPathFactory
from httpx2._models import Response
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from server_support import AS_STORED, Running, instances, parts_of, path_of, read, running, uids
from stub_server import stub_server

from hounsfield.codecs import encode_frame
from hounsfield.ct.instance import BytesSource, read_instance
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.dicomweb.dicom_json import Model, from_dataset
from hounsfield.dicomweb.multipart import encode
from hounsfield.dicomweb.native_xml import encode_xml
from hounsfield.dicomweb.store_results import StoreResult, parse_store_result
from hounsfield.server.http.limits import Limits

JSON, XML = "application/dicom+json", "application/dicom+xml"
OCTETS = "application/octet-stream"
PIXELS = "bulk/7FE00010"
Part = tuple[dict[str, str], bytes]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(tmp_path) as found:
        yield found


def apart(content: bytes, **changes: Any) -> tuple[Model, bytes]:
    """(metadata, pixels) of an instance; `changes` by tag, None to remove."""
    dataset = read(content)
    model = from_dataset(dataset, bulk=lambda path, value: PIXELS if path == "7FE00010" else None)
    for tag, element in changes.items():
        model.pop(tag.lstrip("_"), None)
        if element is not None:
            model[tag.lstrip("_")] = element
    return model, dataset.PixelData


def part(content: bytes, kind: str = OCTETS, where: str | None = PIXELS) -> Part:
    return {"Content-Type": kind} | ({"Content-Location": where} if where is not None else {}), content


def send(
    server: Running, models: list[Any], *parts: Part, path: str = "/studies", **headers: Any
) -> Response:
    body = b"".join(encode([({"Content-Type": JSON}, json.dumps(models).encode()), *parts], "b"))
    told = {"Content-Type": f'multipart/related; type="{JSON}"; boundary=b'} | headers
    return server.http.post(path, content=body, headers=told)


def outcome(answer: Response) -> StoreResult:
    return parse_store_result(answer.status_code, answer.headers["content-type"], answer.content)


def stored(server: Running, content: bytes) -> pydicom.Dataset:
    (only,) = parts_of(server.get(path_of(content), AS_STORED))
    return read(only[1])


def test_uncompressed_bulk_data_become_a_file(server: Running) -> None:
    content = instances()[0]
    model, pixels = apart(content)
    answer = send(server, [model], part(pixels))
    assert answer.status_code == 200, answer.text
    got, wanted = stored(server, content), read(content)
    assert got.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert got.file_meta.MediaStorageSOPInstanceUID == wanted.SOPInstanceUID
    assert np.array_equal(got.pixel_array, wanted.pixel_array)
    del wanted[0x00080005], got[0x00080005]
    assert got == wanted
    # What was composed is found, described and rendered like any other.
    assert server.get(path_of(content) + "/metadata").json()[0]["00280010"] == model["00280010"]
    assert server.get(path_of(content) + "/rendered", "image/png").status_code == 200


def test_the_same_again_is_a_success_and_other_pixels_are_refused(server: Running) -> None:
    model, pixels = apart(instances()[0])
    for _ in range(2):
        assert send(server, [model], part(pixels)).status_code == 200
    answer = send(server, [model], part(bytes(len(pixels))))
    assert answer.status_code == 409 and outcome(answer).instances[0].code == 0x0111


@pytest.mark.parametrize(
    ("keyword", "kind"),
    [
        ("jpeg-ls", "image/jls"),
        ("jpeg-ls", "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80"),
        ("jpeg2000", "image/jp2"),
        ("htj2k", "image/jphc"),
        ("jpeg-xl", "image/jxl"),
        ("rle", "image/dicom-rle"),
        ("jpeg-lossless", "image/jpeg"),
        ("jpeg-lossless-14", "image/jpeg; transfer-syntax=1.2.840.10008.1.2.4.57"),
        ("jpeg-ls", "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.4.80"),
    ],
)
def test_compressed_bulk_data_become_a_file_in_their_coding(server: Running, keyword: str, kind: str) -> None:
    content = instances()[0]
    model, _ = apart(content)
    instance = read_instance(BytesSource("x", content))
    coded = encode_frame(instance.cells(0), transfer_syntax(keyword), instance.frame_format)
    answer = send(server, [model], part(coded, kind))
    assert answer.status_code == 200, answer.text
    (only,) = parts_of(server.get(path_of(content), AS_STORED))
    got = read_instance(BytesSource("x", only[1]))
    assert got.syntax.keyword == keyword
    assert np.array_equal(got.cells(0), instance.cells(0))


def test_a_baseline_jpeg_is_known_by_its_frame_header(server: Running) -> None:
    content = instances()[0]
    model, _ = apart(content)
    for tag, value in (("00280100", 8), ("00280101", 8), ("00280102", 7), ("00280103", 0)):
        model[tag] = {"vr": "US", "Value": [value]}
    out = io.BytesIO()
    Image.new("L", (32, 32), 77).save(out, "JPEG")
    assert send(server, [model], part(out.getvalue(), "image/jpeg")).status_code == 200
    got = stored(server, content)
    assert got.file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.4.50"
    assert server.get(path_of(content) + "/rendered", "image/png").status_code == 200


_DESCRIPTION = (
    "00280002",
    "00280004",
    "00280010",
    "00280011",
    "00280100",
    "00280101",
    "00280102",
    "00280103",
)


@pytest.mark.parametrize("keyword", ["jpeg-ls", "jpeg2000", "htj2k", "jpeg-lossless"])
def test_what_metadata_leave_out_is_read_from_the_codestream(server: Running, keyword: str) -> None:
    content = instances()[0]
    model, _ = apart(content, **{f"_{tag}": None for tag in _DESCRIPTION})
    instance = read_instance(BytesSource("x", content))
    values = (instance.cells(0).astype(np.int32) & 0xFFF).astype(np.uint16)
    form = replace(instance.frame_format, pixel_representation=0, bits_stored=12, high_bit=11)
    coded = encode_frame(values, transfer_syntax(keyword), form)
    kind = f"{transfer_syntax(keyword).media_type}; transfer-syntax={transfer_syntax(keyword).uid}"
    answer = send(server, [model], part(coded, kind))
    assert answer.status_code == 200, answer.text
    (only,) = parts_of(server.get(path_of(content), AS_STORED))
    got = read_instance(BytesSource("x", only[1]))
    assert np.array_equal(got.cells(0), values)
    assert got.frame_format.photometric_interpretation == "MONOCHROME2" and got.frame_format.bits_stored >= 12


@pytest.mark.parametrize(("kind", "photometric"), [("JPEG", "YBR_FULL_422"), ("JPEG2000", "YBR_ICT")])
def test_a_picture_becomes_an_instance_in_its_own_coding(
    server: Running, kind: str, photometric: str
) -> None:
    content = instances()[0]
    model, _ = apart(content, **{f"_{tag}": None for tag in _DESCRIPTION})
    picture, out = Image.new("RGB", (40, 24), (200, 30, 60)), io.BytesIO()
    picture.save(out, kind, **({"quality": 95} if kind == "JPEG" else {"irreversible": True, "mct": 1}))
    media_type = "image/jpeg" if kind == "JPEG" else "image/jp2; transfer-syntax=1.2.840.10008.1.2.4.91"
    answer = send(server, [model], part(out.getvalue(), media_type))
    assert answer.status_code == 200, answer.text
    got = stored(server, content)
    assert (got.Rows, got.Columns, got.SamplesPerPixel) == (24, 40, 3)
    assert got.PhotometricInterpretation == photometric
    # No file format around the codestream (PS3.5 A.4.4).
    assert b"jP  " not in got.PixelData[:64]
    shown = server.get(path_of(content) + "/rendered", "image/png")
    assert shown.status_code == 200, shown.text
    assert np.abs(np.asarray(Image.open(io.BytesIO(shown.content)), int)[5, 5] - (200, 30, 60)).max() < 12


@pytest.mark.parametrize("where", ["same", "numbered"])
def test_frames_come_in_one_part_each(server: Running, where: str) -> None:
    content = instances()[0]
    model, _ = apart(content, _00280008={"vr": "IS", "Value": [3]})
    instance = read_instance(BytesSource("x", content))
    frames = [instance.cells(0) + number for number in range(3)]
    coded = [encode_frame(each, transfer_syntax("jpeg-ls"), instance.frame_format) for each in frames]
    places = [PIXELS if where == "same" else f"{PIXELS}/frames/{number}" for number in (1, 2, 3)]
    parts = [part(each, "image/jls", place) for each, place in zip(coded, places, strict=True)]
    assert send(server, [model], *parts).status_code == 200
    (only,) = parts_of(server.get(path_of(content), AS_STORED))
    got = read_instance(BytesSource("x", only[1]))
    assert all(np.array_equal(got.cells(number), frame) for number, frame in enumerate(frames))


def test_references_may_be_relative_absolute_or_content_ids(server: Running) -> None:
    contents = instances(slices=3)
    model, pixels = apart(contents[0])
    model["7FE00010"]["BulkDataURI"] = f"{server.url}/a/b"
    assert send(server, [model], part(pixels, where="/dicom-web/a/b")).status_code == 200
    model, pixels = apart(contents[1])
    model["7FE00010"]["BulkDataURI"] = "cid:one@here"
    answer = send(server, [model], ({"Content-Type": OCTETS, "Content-ID": "<one@here>"}, pixels))
    assert answer.status_code == 200, answer.text


def test_metadata_may_come_as_xml(server: Running) -> None:
    contents = instances(slices=2)
    parts = []
    for number, content in enumerate(contents):
        model, pixels = apart(content)
        model["7FE00010"]["BulkDataURI"] = f"pixels-{number}"
        parts += [({"Content-Type": XML}, encode_xml(model)), part(pixels, where=f"pixels-{number}")]
    # Metadata first, as the standard has it.
    parts.sort(key=lambda each: each[0]["Content-Type"] != XML)
    told = {"Content-Type": f'multipart/related; type="{XML}"; boundary=b'}
    answer = server.http.post("/studies", content=b"".join(encode(parts, "b")), headers=told)
    assert answer.status_code == 200, answer.text
    for content in contents:
        assert np.array_equal(stored(server, content).pixel_array, read(content).pixel_array)


def test_instances_without_bulk_data_may_be_the_whole_body(server: Running) -> None:
    model, _ = apart(
        instances()[0], _7FE00010=None, _00100010={"vr": "PN", "Value": [{"Ideographic": "王^小东"}]}
    )
    answer = server.http.post(
        "/studies", content=json.dumps([model]).encode(), headers={"Content-Type": JSON}
    )
    assert answer.status_code == 200, answer.text
    (found,) = server.get("/studies?PatientName=王*").json()
    assert found["00100010"]["Value"] == [{"Ideographic": "王^小东"}]


def test_other_bulk_data_than_pixels_and_nested_ones(server: Running) -> None:
    content = instances()[0]
    model, pixels = apart(content)
    model["00091010"] = {"vr": "OB", "BulkDataURI": "private"}
    model["00090010"] = {"vr": "LO", "Value": ["US"]}
    model["00420010"] = {"vr": "ST", "BulkDataURI": "title"}
    model["00400555"] = {"vr": "SQ", "Value": [{"0040A30A": {"vr": "DS", "BulkDataURI": "number"}}]}
    answer = send(
        server, [model], part(b"\1\2\3", where="private"), part("Größe".encode(), where="title"),
        part(b"1.5", where="number"), part(pixels),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    got = stored(server, content)
    assert got[0x00091010].value == b"\1\2\3\0"
    assert got.DocumentTitle == "Größe"
    assert got.AcquisitionContextSequence[0].NumericValue == 1.5
    assert np.array_equal(got.pixel_array, read(content).pixel_array)


def test_float_pixels(server: Running) -> None:
    content = instances()[0]
    model, _ = apart(content, _7FE00010=None)
    model["7FE00008"] = {"vr": "OF", "BulkDataURI": "f"}
    values = np.linspace(0, 1, 32 * 32, dtype="<f4").tobytes()
    assert send(server, [model], part(values, where="f")).status_code == 200
    assert stored(server, content).FloatPixelData == values


def _jpeg_ls() -> bytes:
    instance = read_instance(BytesSource("x", instances()[0]))
    return encode_frame(instance.cells(0), transfer_syntax("jpeg-ls"), instance.frame_format)


JLS = _jpeg_ls()


@pytest.mark.parametrize(
    ("change", "parts", "words"),
    [
        ({}, [], "no part of this request"),
        ({}, [part(b"", where="else")], "no part of this request"),
        ({"_00280010": None}, [part(bytes(2048))], "no Rows"),
        ({"_00280010": {"vr": "US", "Value": [31]}}, [part(JLS, "image/jls")], "in the codestream"),
        ({}, [part(b"no codestream", "image/jls")], "FFD8"),
        ({}, [part(bytes(2047))], "2047 bytes"),
        ({}, [part(bytes(9999))], "9999 bytes"),
        ({}, [part(bytes(1024)), part(bytes(1024))], "2 parts"),
        ({"_00280008": {"vr": "IS", "Value": [2]}}, [part(b"x", "image/jls")], "1 parts"),
        ({}, [part(b"x", "image/png")], "image/png"),
        ({}, [part(b"x", "image/jls; transfer-syntax=1.2.840.10008.1.2.4.90")], "JPEG 2000"),
        ({}, [part(b"x", "image/jls; transfer-syntax=1.2.3")], "1.2.3"),
        ({}, [part(bytes(2048), f"{OCTETS}; transfer-syntax=1.2.840.10008.1.2.2")], "Big Endian"),
        ({}, [part(b"", "image/jls")], "frame"),
        ({"_00280010": {"vr": "US", "Value": ["many"]}}, [part(bytes(2048))], "malformed metadata"),
        ({"_00280010": {"vr": "SQ", "BulkDataURI": "x"}}, [part(bytes(2048))], "no sequence"),
        ({"_Rows": {"vr": "US", "Value": [1]}}, [part(bytes(2048))], "no element"),
        ({"_00080018": None}, [part(bytes(2048))], "SOPInstanceUID"),
        ({"_00080018": {"vr": "UI", "Value": ["../../etc"]}}, [part(bytes(2048))], "no SOPInstanceUID"),
        ({"_00080016": None}, [part(bytes(2048))], "SOPClassUID"),
    ],
)
def test_a_bad_instance_is_refused_in_words_and_its_neighbour_is_stored(
    server: Running, change: Any, parts: Any, words: str
) -> None:
    contents = instances(slices=2)
    bad, _ = apart(contents[0], **change)
    good, pixels = apart(contents[1])
    good["7FE00010"]["BulkDataURI"] = "good"
    answer = send(server, [bad, good], part(pixels, where="good"), *parts)
    assert answer.status_code == 202, answer.text
    told = outcome(answer)
    reasons = [each.reason for each in told.having("refused")] + list(told.other_failures)
    assert any(words in reason for reason in reasons), reasons
    assert [each.sop_instance for each in told.having("stored")] == [uids(contents[1])[2]]
    assert not list((server.archive.store.root / ".hounsfield" / "incoming").iterdir())  # type: ignore[attr-defined]


def test_bulk_data_that_nothing_refers_to_are_told(server: Running) -> None:
    model, pixels = apart(instances()[0])
    answer = send(server, [model], part(pixels), part(b"x", where="lost"), part(b"x", where=None))
    assert answer.status_code == 202
    assert any("lost" in reason for reason in outcome(answer).other_failures)
    assert any("without Content-Location" in reason for reason in outcome(answer).other_failures)


def test_an_instance_of_another_study_is_refused_in_this_form_too(server: Running) -> None:
    model, pixels = apart(instances()[0])
    answer = send(server, [model], part(pixels), path="/studies/1.2.3")
    assert answer.status_code == 409 and outcome(answer).instances[0].code == 0xA900


def test_nothing_is_fetched_from_where_metadata_point(server: Running) -> None:
    seen = []

    def note(exchange: Any) -> None:
        seen.append(exchange.path)
        exchange.answer(200, b"x")

    with stub_server(note) as url:
        model, _ = apart(instances()[0])
        for uri in (f"{url}/pixels", "file:///etc/passwd", f"{server.url}/health"):
            model["7FE00010"]["BulkDataURI"] = uri
            assert send(server, [model]).status_code == 409
    assert seen == []


@pytest.mark.parametrize(
    ("kind", "content", "status"),
    [
        (JSON, b"", 400),
        (JSON, b"nonsense", 400),
        (JSON, b"[" * 100_000, 400),
        (JSON, b"[1, 2]", 400),
        (JSON, b"[]", 400),
        (JSON, b"[{}]", 409),
        (XML, b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>", 400),
        (XML, b"<NativeDicomModel/>", 409),
        (f'multipart/related; type="{JSON}"; boundary=b', b"--b\r\n\r\n[{}]", 400),
        (f'multipart/related; type="{JSON}"; boundary=b', b"--b--", 400),
        ('multipart/related; type="text/html"; boundary=b', b"--b--", 415),
    ],
)
def test_metadata_that_are_none_are_refused_whole(
    server: Running, kind: str, content: Any, status: int
) -> None:
    answer = server.http.post("/studies", content=content, headers={"Content-Type": kind})
    assert answer.status_code == status, answer.text
    assert not list((server.archive.store.root / ".hounsfield" / "incoming").iterdir())  # type: ignore[attr-defined]


def test_limits_hold_for_metadata_and_bulk_data(tmp_path: Path) -> None:
    model, pixels = apart(instances()[0])
    size = len(json.dumps([model]))
    with running(tmp_path / "a", limits=Limits(metadata=size - 1)) as server:
        assert send(server, [model], part(pixels)).status_code == 413
    with running(tmp_path / "b", limits=Limits(instance=len(pixels) - 1)) as server:
        assert send(server, [model], part(pixels)).status_code == 413
    with running(tmp_path / "c", limits=Limits(parts=1)) as server:
        assert send(server, [model], part(pixels)).status_code == 413
    # One part that many instances refer to does not fill the disk.
    model, pixels = apart(instances(rows=128, columns=128)[0])
    with running(tmp_path / "d", limits=Limits(body=size * 60)) as server:
        many = [model | {"00080018": {"vr": "UI", "Value": [f"1.2.{n}"]}} for n in range(40)]
        assert send(server, many, part(pixels)).status_code == 413


def test_a_body_that_is_coded_is_415(server: Running) -> None:
    answer = server.http.post(
        "/studies", content=b"\x1f\x8b", headers={"Content-Type": JSON, "Content-Encoding": "gzip"}
    )
    assert answer.status_code == 415


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(["00080005", "00080018", "00100010", "00280010", "00280100", "00280008", "7FE00010", "00400275",
                         "00020010", "7FE00008", "zz", "00091010"]),
        st.recursive(
            st.none() | st.booleans() | st.integers(-3, 2**70) | st.text(max_size=5),
            lambda inner: st.lists(inner, max_size=2)
            | st.fixed_dictionaries({"vr": st.sampled_from(["US", "SQ", "OB", "PN", "IS", "XX", "UT"])},
                                    optional={"Value": inner, "InlineBinary": inner, "BulkDataURI": inner}),
            max_leaves=6,
        ),
        max_size=4,
    ),
    st.sampled_from([OCTETS, "image/jpeg", "image/jls", "", "video/mp4", "a/b; transfer-syntax=1.2.840.10008.1.2.5"]),
    st.binary(max_size=40),
)  # fmt: skip
def test_no_metadata_make_a_5xx(
    tmp_path_factory: pytest.TempPathFactory, changes: Any, kind: str, content: bytes
) -> None:
    server = _shared(tmp_path_factory)
    model, _ = apart(instances(slices=1)[0])
    answer = send(server, [model | changes], part(content, kind))
    assert answer.status_code < 500, answer.text
    if answer.status_code in {200, 202}:
        for each in outcome(answer).having("stored"):
            for rest in ("", "/metadata", "/rendered", "/frames/1"):
                assert server.http.get(each.url + rest).status_code < 500


_KEPT: list[Any] = []


def _shared(factory: TempPathFactory) -> Running:
    if not _KEPT:
        context = running(factory.mktemp("fuzzed"), replace=True)
        _KEPT.extend((context, context.__enter__()))
    return _KEPT[1]


@pytest.fixture(scope="module", autouse=True)
def _ended() -> Iterator[None]:
    yield
    if _KEPT:
        _KEPT[0].__exit__(None, None, None)
        _KEPT.clear()


def test_inline_pixels_need_no_bulk_data(server: Running) -> None:
    content = instances()[0]
    model, pixels = apart(content)
    model["7FE00010"] = {"vr": "OW", "InlineBinary": base64.b64encode(pixels).decode()}
    assert send(server, [model]).status_code == 200
    assert np.array_equal(stored(server, content).pixel_array, read(content).pixel_array)
