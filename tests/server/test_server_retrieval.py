"""Retrieval over HTTP: whole studies down to frames and bulk data, in every form that a client may ask for."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.data import get_testdata_file
from server_support import AS_STORED, Running, instances, parts_of, path_of, read, running, uids

from hounsfield.ct.instance import BytesSource, read_instance

OCTETS = "multipart/related; type=application/octet-stream; transfer-syntax=*"
EXPLICIT = "1.2.840.10008.1.2.1"
RLE = "1.2.840.10008.1.2.5"
JPEG_LS = "1.2.840.10008.1.2.4.80"


def cells(content: bytes) -> np.ndarray:
    """The stored values, by the reader of this project, which knows every syntax."""
    return read_instance(BytesSource("x", content)).cells()


@pytest.fixture(scope="module")
def series() -> list[bytes]:
    return instances()


@pytest.fixture(scope="module")
def compressed() -> list[bytes]:
    return instances(transfer_syntax="jpeg-ls", seed=5)


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, series: list[bytes], compressed: list[bytes]
) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("archive")) as found:
        assert found.store(series).status_code == 200
        assert found.store(compressed).status_code == 200
        yield found


@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_a_resource_comes_back_as_the_bytes_that_were_stored(
    server: Running, series: list[bytes], level: str
) -> None:
    answer = server.get(path_of(series[0], level), AS_STORED)
    assert answer.status_code == 200
    assert int(answer.headers["content-length"]) == len(answer.content)
    got = parts_of(answer)
    wanted = series if level != "instance" else series[:1]
    assert sorted(content for _, content in got) == sorted(wanted)
    assert {headers["content-type"] for headers, _ in got} == {
        "application/dicom; transfer-syntax=1.2.840.10008.1.2.1"
    }
    assert all(headers["content-location"].startswith(server.url) for headers, _ in got)


@pytest.mark.parametrize(
    "accept",
    [
        'multipart/related; type="application/dicom"',
        "multipart/related; type=application/dicom; transfer-syntax=1.2.840.10008.1.2.1",
        'multipart/related; type="application/dicom; transfer-syntax=1.2.840.10008.1.2.1"',
        "multipart/related",
    ],
)
def test_without_a_transfer_syntax_it_is_explicit_little_endian(
    server: Running, compressed: list[bytes], accept: str
) -> None:
    ((headers, content),) = parts_of(server.get(path_of(compressed[0]), accept))
    assert headers["content-type"].endswith("1.2.840.10008.1.2.1")
    assert read(content).file_meta.TransferSyntaxUID == "1.2.840.10008.1.2.1"
    assert np.array_equal(read(content).pixel_array, cells(compressed[0]))


def test_one_instance_comes_alone_to_who_accepts_dicom_alone(server: Running, series: list[bytes]) -> None:
    answer = server.get(path_of(series[0]), "application/dicom; transfer-syntax=*")
    assert answer.headers["content-type"].startswith("application/dicom")
    assert answer.content == series[0]


def test_several_instances_never_come_as_one(server: Running, series: list[bytes]) -> None:
    assert server.get(path_of(series[0], "series"), "application/dicom").status_code == 406


@pytest.mark.parametrize(
    "target", [JPEG_LS, "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.201"]
)
def test_another_transfer_syntax_is_made_losslessly(
    server: Running, series: list[bytes], target: str
) -> None:
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={target}'
    ((headers, content),) = parts_of(server.get(path_of(series[0]), accept))
    assert headers["content-type"].endswith(target)
    found = read(content)
    assert found.file_meta.TransferSyntaxUID == target
    assert np.array_equal(cells(content), cells(series[0]))


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.3.4"])
def test_implicit_and_big_endian_never_leave(server: Running, series: list[bytes], syntax: str) -> None:
    accept = f'multipart/related; type="application/dicom"; transfer-syntax={syntax}'
    assert server.get(path_of(series[0]), accept).status_code == 406


@pytest.mark.parametrize("keyword", ["implicit", "explicit-big-endian"])
def test_what_is_stored_in_an_encoding_that_may_not_leave_is_converted(tmp_path: Path, keyword: str) -> None:
    stored = instances(transfer_syntax=keyword)
    with running(tmp_path) as server:
        assert server.store(stored).status_code == 200
        ((headers, content),) = parts_of(server.get(path_of(stored[0]), AS_STORED))
        assert headers["content-type"].endswith("1.2.840.10008.1.2.1")
        assert np.array_equal(read(content).pixel_array, read(stored[0]).pixel_array)


def test_metadata_is_what_pydicom_reads(server: Running, series: list[bytes]) -> None:
    answer = server.get(path_of(series[0], "series") + "/metadata", "application/dicom+json")
    models = answer.json()
    assert len(models) == len(series)
    by_uid = {uids(content)[2]: content for content in series}
    for model in models:
        content = by_uid[model["00080018"]["Value"][0]]
        wanted = pydicom.dcmread(__import__("io").BytesIO(content))
        for element in wanted:
            if element.tag.group != 2 and element.VR not in {"OW", "OB", "SQ", "UN"}:
                assert f"{element.tag:08X}" in model, element
        assert model["7FE00010"]["BulkDataURI"].startswith(f"{server.url}/studies/")
        assert list(model) == sorted(model)


def test_metadata_comes_as_xml_to_who_asks(server: Running, series: list[bytes]) -> None:
    answer = server.get(path_of(series[0]) + "/metadata", 'multipart/related; type="application/dicom+xml"')
    ((headers, content),) = parts_of(answer)
    assert headers["content-type"] == "application/dicom+xml"
    assert b"NativeDicomModel" in content


def test_unchanged_metadata_is_not_sent_again_and_changed_is(tmp_path: Path, series: list[bytes]) -> None:
    with running(tmp_path) as server:
        server.store(series[:1])
        path = path_of(series[0], "series") + "/metadata"
        first = server.get(path)
        again = server.get(path, **{"If-None-Match": first.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        server.store(series[1:])
        later = server.get(path, **{"If-None-Match": first.headers["etag"]})
        assert later.status_code == 200 and len(later.json()) == len(series)


def test_bulk_data_uris_lead_to_the_pixels(server: Running, series: list[bytes]) -> None:
    (model,) = server.get(path_of(series[0]) + "/metadata").json()
    uri = model["7FE00010"]["BulkDataURI"]
    assert (
        server.http.get(uri, headers={"Accept": "application/octet-stream"}).content
        == read(series[0]).PixelData
    )
    ((_, content),) = parts_of(
        server.http.get(uri, headers={"Accept": 'multipart/related; type="application/octet-stream"'})
    )
    assert content == read(series[0]).PixelData


def test_frames_come_in_the_order_asked(tmp_path: Path) -> None:
    (stored,) = instances(multiframe="enhanced", slices=4)
    with running(tmp_path) as server:
        server.store([stored])
        got = parts_of(
            server.get(
                path_of(stored) + "/frames/3,1",
                "multipart/related; type=application/octet-stream; transfer-syntax=*",
            )
        )
        pixels = read(stored).pixel_array
        assert [content for _, content in got] == [pixels[2].tobytes(), pixels[0].tobytes()]
        assert server.get(path_of(stored) + "/frames/5").status_code == 404
        assert server.get(path_of(stored) + "/frames/0").status_code == 400
        assert server.get(path_of(stored) + "/frames/1,x").status_code == 400


@pytest.mark.parametrize(
    ("accept", "kind", "syntax"),
    [
        (
            "multipart/related; type=application/octet-stream; transfer-syntax=*",
            "application/octet-stream",
            JPEG_LS,
        ),
        ('multipart/related; type="image/jls"', "image/jls", JPEG_LS),
        ("*/*", "image/jls", JPEG_LS),
        (
            'multipart/related; type="application/octet-stream"',
            "application/octet-stream",
            "1.2.840.10008.1.2.1",
        ),
        ('multipart/related; type="image/jp2"', "image/jp2", "1.2.840.10008.1.2.4.90"),
    ],
)
def test_frames_come_in_the_coding_asked_for(
    server: Running, compressed: list[bytes], accept: str, kind: str, syntax: str
) -> None:
    ((headers, content),) = parts_of(server.get(path_of(compressed[0]) + "/frames/1", accept))
    assert headers["content-type"] == f"{kind}; transfer-syntax={syntax}"
    if syntax == "1.2.840.10008.1.2.1":
        assert content == cells(compressed[0]).tobytes()
    if syntax == JPEG_LS:
        assert content[:2] == b"\xff\xd8"


def test_a_frame_comes_alone_to_who_asks(server: Running, series: list[bytes]) -> None:
    answer = server.get(path_of(series[0]) + "/frames/1", "application/octet-stream")
    assert answer.content == read(series[0]).PixelData


@pytest.mark.parametrize(
    ("asked", "start", "stop"), [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-20", -20, None)]
)
def test_a_range_of_an_instance_or_bulk_value(
    server: Running, series: list[bytes], asked: str, start: int, stop: int | None
) -> None:
    answer = server.get(path_of(series[0]), "application/dicom; transfer-syntax=*", Range=asked)
    assert answer.status_code == 206
    assert answer.content == series[0][start:stop]
    assert answer.headers["content-range"].endswith(f"/{len(series[0])}")
    uri = path_of(series[0]) + "/bulkdata/7FE00010"
    assert (
        server.get(uri, "application/octet-stream", Range=asked).content
        == read(series[0]).PixelData[start:stop]
    )


def test_a_range_that_is_not_there_is_416(server: Running, series: list[bytes]) -> None:
    answer = server.get(path_of(series[0]), "application/dicom; transfer-syntax=*", Range="bytes=99999999-")
    assert answer.status_code == 416


def test_head_tells_the_same_without_a_body(server: Running, series: list[bytes]) -> None:
    path = path_of(series[0], "series")
    head = server.http.head(path, headers={"Accept": AS_STORED})
    got = server.get(path, AS_STORED)
    assert head.content == b""
    assert head.headers["content-length"] == got.headers["content-length"]
    assert head.headers["etag"] == got.headers["etag"]


def test_accept_may_stand_in_the_query(server: Running, series: list[bytes]) -> None:
    answer = server.get(path_of(series[0]) + "/metadata?accept=application/json", "image/png")
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path", ["/studies/1.2.3", "/studies/1.2.3/metadata", "/studies/1.2.3/series/4/instances/5/frames/1"]
)
def test_what_is_not_there_is_404(server: Running, path: str) -> None:
    assert server.get(f"/studies/1.2.3{path}").status_code == 404


@pytest.mark.parametrize(
    "path", ["/studies/..%2f..", "/studies/1.2.x", "/studies/1..2", "/studies/" + "1" * 65]
)
def test_what_is_no_uid_is_refused_before_anything_is_opened(server: Running, path: str) -> None:
    assert server.get(path).status_code in {400, 404}


def test_gzip_is_for_text_only(server: Running, series: list[bytes]) -> None:
    text = server.get(path_of(series[0], "series") + "/metadata", **{"Accept-Encoding": "gzip"})
    assert text.headers["content-encoding"] == "gzip" and len(text.json()) == len(series)
    pixels = server.get(path_of(series[0]), AS_STORED, **{"Accept-Encoding": "gzip"})
    assert "content-encoding" not in pixels.headers


def bits(syntax: str) -> tuple[bytes, np.ndarray]:
    """A file of three frames of 5 × 5 single bits, which do not end where bytes do."""
    dataset = pydicom.dcmread(io.BytesIO(instances(slices=1, rows=8, columns=8)[0]))
    wanted = np.random.default_rng(3).integers(0, 2, (3, 5, 5)).astype(np.uint8)
    packed = np.packbits(wanted.ravel(), bitorder="little").tobytes()
    dataset.Rows = dataset.Columns = 5
    dataset.NumberOfFrames = 3
    dataset.BitsAllocated = dataset.BitsStored = 1
    dataset.HighBit = dataset.PixelRepresentation = 0
    for name in (
        "RescaleIntercept",
        "RescaleSlope",
        "RescaleType",
        "PixelPaddingValue",
        "WindowCenter",
        "WindowWidth",
    ):
        if name in dataset:
            del dataset[name]
    dataset.PixelData = packed
    dataset["PixelData"].VR = "OB"
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    out = io.BytesIO()
    pydicom.dcmwrite(out, dataset, enforce_file_format=True)
    return out.getvalue(), wanted


@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2"])
def test_single_bits_are_served_frame_by_frame_and_whole(tmp_path: Path, syntax: str) -> None:
    content, wanted = bits(syntax)
    with running(tmp_path) as server:
        assert server.store([content]).status_code == 200
        parts = parts_of(server.get(path_of(content) + "/frames/1,2,3"))
        got = [np.unpackbits(np.frombuffer(each, np.uint8), count=25, bitorder="little") for _, each in parts]
        assert np.array_equal(np.stack(got).reshape(3, 5, 5), wanted)
        (whole,) = parts_of(server.get(path_of(content), AS_STORED))
        assert np.array_equal(read(whole[1]).pixel_array, wanted)
        assert read(whole[1]).file_meta.TransferSyntaxUID == EXPLICIT
        picture = server.get(path_of(content) + "/frames/2/rendered", "image/png")
        assert picture.status_code == 200, picture.text
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(picture.content))) > 127, wanted[1] > 0)


def test_a_frame_that_is_not_all_there_is_422_and_not_served(tmp_path: Path) -> None:
    dataset = pydicom.dcmread(io.BytesIO(instances(slices=1, rows=8, columns=8)[0]))
    dataset.NumberOfFrames = 2
    out = io.BytesIO()
    dataset.save_as(out)
    with running(tmp_path) as server:
        assert server.store([out.getvalue()]).status_code == 200
        assert server.get(path_of(out.getvalue()) + "/frames/1").status_code == 200
        assert server.get(path_of(out.getvalue()) + "/frames/2").status_code == 422


def test_a_lossy_coding_that_is_asked_for_says_so(tmp_path: Path) -> None:
    content = instances(slices=1)[0]
    with running(tmp_path) as server:
        server.store([content])
        accept = 'multipart/related; type="application/dicom"; transfer-syntax=1.2.840.10008.1.2.4.91'
        (whole,) = parts_of(server.get(path_of(content), accept))
        got = read(whole[1])
        assert got.LossyImageCompression == "01" and got.SOPInstanceUID != read(content).SOPInstanceUID
        assert np.abs(got.pixel_array.astype(int) - read(content).pixel_array).max() < 200


def test_dicomweb_client_stores_and_gets_back_the_same(tmp_path: Path) -> None:
    from dicomweb_client import DICOMwebClient

    names = ["CT_small.dcm", "MR_small.dcm", "JPEG2000.dcm", "rtplan.dcm", "SC_rgb_rle.dcm", "reportsi.dcm"]
    files = [pydicom.dcmread(get_testdata_file(name)) for name in names]  # type: ignore[arg-type]
    with running(tmp_path) as server:
        web = DICOMwebClient(server.url)
        web.store_instances(files)
        for wanted in files:
            got = web.retrieve_instance(
                wanted.StudyInstanceUID, wanted.SeriesInstanceUID, wanted.SOPInstanceUID,
                media_types=(("application/dicom", "*"),),
            )  # fmt: skip
            assert json.loads(got.to_json()) == json.loads(wanted.to_json())
            stored = wanted.file_meta.TransferSyntaxUID
            # Implicit VR is never sent.
            assert got.file_meta.TransferSyntaxUID == (EXPLICIT if stored == "1.2.840.10008.1.2" else stored)


_EVERY_RESOURCE = ("", "/metadata", "/rendered", "/thumbnail", "/bulkdata", "/pixeldata")


@pytest.mark.parametrize("accept", ["application/x-unknown", "text/html", "no media type", "image/tiff"])
@pytest.mark.parametrize("level", ["study", "series", "instance"])
def test_an_unknown_accept_is_406_on_every_resource(
    server: Running, series: list[bytes], level: str, accept: str
) -> None:
    for resource in _EVERY_RESOURCE:
        answer = server.get(path_of(series[0], level) + resource, accept)
        assert answer.status_code == 406, resource
        assert answer.json()["expected"]
    for path in (
        "/studies",
        "/series",
        f"{path_of(series[0])}/frames/1",
        f"{path_of(series[0])}/bulkdata/7FE00010",
    ):
        assert server.get(path, accept).status_code == 406, path


@pytest.mark.parametrize("accept", ["", "*/*"])
def test_without_an_accept_instances_come_in_parts_as_they_are_stored(
    server: Running, compressed: list[bytes], accept: str
) -> None:
    answer = server.http.get(path_of(compressed[0], "series"), headers={"Accept": accept})
    assert sorted(content for _, content in parts_of(answer)) == sorted(compressed)
    frame = server.http.get(f"{path_of(compressed[0])}/frames/1", headers={"Accept": accept})
    assert "image/jls" in frame.headers["content-type"]


def test_image_jpg_is_image_jpeg(server: Running, series: list[bytes]) -> None:
    answer = server.get(path_of(series[0]) + "/rendered", "image/jpg")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/jpeg"
    parts = parts_of(
        server.get(path_of(series[0], "series") + "/rendered", 'multipart/related; type="image/jpg"')
    )
    assert {headers["content-type"] for headers, _ in parts} == {"image/jpeg"}


@pytest.mark.parametrize("level", ["study", "series", "instance"])
@pytest.mark.parametrize("kind", ["pixeldata", "bulkdata"])
def test_pixels_of_all_instances_come_in_one_answer(
    server: Running, series: list[bytes], compressed: list[bytes], level: str, kind: str
) -> None:
    octets = 'multipart/related; type="application/octet-stream"'
    for contents in (series, compressed):
        wanted = contents if level != "instance" else contents[:1]
        answer = server.get(f"{path_of(contents[0], level)}/{kind}", octets)
        assert answer.status_code == 200
        assert int(answer.headers["content-length"]) == len(answer.content)
        got = parts_of(answer)
        expected = {content: cells(content).tobytes() for content in wanted}
        assert sorted(content for _, content in got) == sorted(expected.values())
        for headers, content in got:
            # Each part is what its own address gives.
            alone = server.get(headers["content-location"].removeprefix(server.url), octets)
            assert [part for _, part in parts_of(alone)] == [content]
    stored = parts_of(
        server.get(
            f"{path_of(compressed[0], level)}/{kind}", OCTETS.replace("application/octet-stream", "image/jls")
        )
    )
    assert {headers["content-type"] for headers, _ in stored} == {f"image/jls; transfer-syntax={JPEG_LS}"}


def test_bulk_data_are_all_long_values_and_pixel_data_the_pixels_alone(tmp_path: Path) -> None:
    dataset = read(instances(slices=1)[0])
    dataset.add_new(0x00091010, "OB", bytes(range(256)) * 40)
    item = pydicom.Dataset()
    item.add_new(0x00091011, "OB", b"ab" * 5000)
    dataset.ReferencedImageSequence = [item]
    stream = io.BytesIO()
    dataset.save_as(stream)
    content = stream.getvalue()
    with running(tmp_path / "archive") as server:
        server.store([content])
        got = parts_of(server.get(f"{path_of(content)}/bulkdata", OCTETS))
        assert {headers["content-location"].rpartition("/bulkdata/")[2]: part for headers, part in got} == {
            "00091010": bytes(range(256)) * 40,
            "00081140.0.00091011": b"ab" * 5000,
            "7FE00010": dataset.PixelData,
        }
        assert len(parts_of(server.get(f"{path_of(content)}/pixeldata", OCTETS))) == 1
        del dataset.PixelData
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"  # type: ignore[assignment]
        dataset.SeriesInstanceUID = "1.2.4"
        stream = io.BytesIO()
        dataset.save_as(stream)
        server.store([stream.getvalue()])
        assert server.get(f"{path_of(stream.getvalue())}/pixeldata", OCTETS).status_code == 404
