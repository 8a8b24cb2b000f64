"""One bad member never spoils a collection: a sweep over real objects with a bad one planted, at every level."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pydicom
import pytest
from httpx2._models import Response
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from server_support import AS_STORED, Running, parts_of, running

from hounsfield.codecs import FrameFormat, encode_frame
from hounsfield.dicom.syntaxes import transfer_syntax
from hounsfield.dicomweb.native_xml import parse_xml
from hounsfield.server.http import collection, sending, streams

REAL = (
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "MR_small_jpeg_ls_lossless.dcm",
    "MR_small_bigendian.dcm",
    "rtdose.dcm",
)
STUDY, SERIES = "1.2.3.4", "1.2.3.4.5"
PATH = f"/studies/{STUDY}/series/{SERIES}"
BAD = "1.2.3.4.5.99"
DEFAULT = 'multipart/related; type="application/dicom"'
JPEG_LS = f"{DEFAULT}; transfer-syntax=1.2.840.10008.1.2.4.80"
XML = 'multipart/related; type="application/dicom+xml"'


def _member(name: str, uid: str) -> Dataset:
    dataset = pydicom.dcmread(str(get_testdata_file(name)))
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID = STUDY, SERIES, uid
    dataset.file_meta.MediaStorageSOPInstanceUID = uid  # type: ignore[assignment]
    dataset.PatientID = "1"
    return dataset


def _saved(dataset: Dataset) -> bytes:
    stream = io.BytesIO()
    dataset.save_as(stream)
    return stream.getvalue()


def _good() -> dict[str, bytes]:
    return {
        f"{SERIES}.{number}": _saved(_member(name, f"{SERIES}.{number}"))
        for number, name in enumerate(REAL, 1)
    }


def _torn_codestream() -> bytes:
    dataset = _member("MR_small_jpeg_ls_lossless.dcm", BAD)
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    dataset.PixelData = encapsulate([frame[:200] + bytes(2000) + frame[2200:]])
    return _saved(dataset)


def _video() -> bytes:
    dataset = _member("MR_small_RLE.dcm", BAD)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"  # type: ignore[assignment]
    return _saved(dataset)


def icon(codec: str) -> tuple[Dataset, np.ndarray]:
    cells = (np.arange(64 * 64).reshape(64, 64) // 16).astype(np.uint8)
    made = Dataset()
    made.SamplesPerPixel, made.PhotometricInterpretation, made.PixelRepresentation = 1, "MONOCHROME2", 0
    made.Rows = made.Columns = 64
    made.BitsAllocated = made.BitsStored = 8
    made.HighBit = 7
    stream = encode_frame(cells, transfer_syntax(codec), FrameFormat(64, 64, 1, 8, 8, 7))
    made.PixelData = encapsulate([bytes(stream)])
    made["PixelData"].VR = "OB"
    made["PixelData"].is_undefined_length = True
    return made, cells


def _icon() -> bytes:
    dataset = _member("MR_small_RLE.dcm", BAD)
    dataset.IconImageSequence = Sequence([icon("jpeg-ls")[0]])
    return _saved(dataset)


def _garbled_icon() -> bytes:
    dataset = _member("MR_small_RLE.dcm", BAD)
    made, _ = icon("jpeg-ls")
    made.PixelData = encapsulate([b"\xff\xd8\xff\xd9"])
    dataset.IconImageSequence = Sequence([made])
    return _saved(dataset)


def _control_character() -> bytes:
    dataset = _member("CT_small.dcm", BAD)
    dataset.SeriesDescription, dataset.StudyDescription = "axial\x01\x0c 5 mm", "head\x1fneck"
    dataset.ImageComments = "first\r\nsecond\x0b"
    return _saved(dataset)


PLANTS: dict[str, tuple[Callable[[], bytes], bool, bool]] = {
    # what makes it; whether it can be converted; whether it has a picture
    "a torn codestream": (_torn_codestream, False, False),
    "pixels in a syntax without a codec": (_video, False, False),
    "a compressed icon": (_icon, True, True),
    "an icon that is no image": (_garbled_icon, False, True),
    "control characters": (_control_character, True, True),
}


@pytest.fixture(scope="module", params=PLANTS)
def planted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Running, str]]:
    with running(tmp_path_factory.mktemp("archive")) as server:
        assert server.store([*_good().values(), PLANTS[request.param][0]()]).status_code == 200
        yield server, request.param


def _by_uid(answer: Response) -> dict[str, bytes]:
    return {_uid(headers): content for headers, content in parts_of(answer)}


def _uid(headers: dict[str, str]) -> str:
    return headers["content-location"].rpartition("/instances/")[2].partition("/")[0]


@pytest.mark.parametrize("path", [f"/studies/{STUDY}", PATH])
@pytest.mark.parametrize("accept", [DEFAULT, JPEG_LS, AS_STORED])
def test_the_other_instances_come_as_they_come_alone(
    planted: tuple[Running, str], path: str, accept: str
) -> None:
    server, plant = planted
    answer = server.get(path, accept)
    as_it_is = accept == AS_STORED or (plant == "a torn codestream" and accept == JPEG_LS)
    whole = as_it_is or PLANTS[plant][1]
    found = _by_uid(answer)
    assert (BAD in found) == whole
    for uid in set(_good()) - set(found):
        # The sweep has what no codec holds, such as 32 bits in JPEG-LS: alone, that is refused as well.
        if uid != BAD:
            assert server.get(f"{PATH}/instances/{uid}", accept).status_code in {406, 422}
    missing = {*_good(), BAD} - set(found)
    assert answer.status_code == (206 if missing else 200)
    assert int(answer.headers["content-length"]) == len(answer.content)
    if missing:
        assert answer.headers["warning"].startswith(
            f'299 hounsfield: "{len(missing)} of {len(REAL) + 1} left out: '
        )
        assert all(uid in answer.headers["warning"] for uid in missing)
        assert "etag" not in answer.headers
    for uid, content in found.items():
        assert _by_uid(server.get(f"{PATH}/instances/{uid}", accept)) == {uid: content}
    if not whole:
        alone = server.get(f"{PATH}/instances/{BAD}", accept)
        assert alone.status_code in {406, 422} and alone.json()["error"]


@pytest.mark.parametrize(
    "path",
    [f"/studies/{STUDY}/metadata", f"{PATH}/metadata", f"{PATH}/instances", f"/studies/{STUDY}/instances"],
)
def test_metadata_and_searches_name_all_in_json_and_xml(planted: tuple[Running, str], path: str) -> None:
    server, _ = planted
    every = {*_good(), BAD}
    models = server.get(path, "application/dicom+json").json()
    assert {model["00080018"]["Value"][0] for model in models} == every
    answer = server.get(path, XML)
    assert answer.status_code == 200
    assert {parse_xml(content)["00080018"]["Value"][0] for _, content in parts_of(answer)} == every


@pytest.mark.parametrize("path", ["/studies", "/series", f"/studies/{STUDY}/series"])
def test_searches_above_instances_are_answered_in_json_and_xml(
    planted: tuple[Running, str], path: str
) -> None:
    server, _ = planted
    assert len(server.get(path, "application/dicom+json").json()) == 1
    assert len(parts_of(server.get(path, XML))) == 1


@pytest.mark.parametrize("path", [f"/studies/{STUDY}", PATH])
def test_pictures_of_the_others_come_and_one_stands_for_all(planted: tuple[Running, str], path: str) -> None:
    server, plant = planted
    answer = server.get(f"{path}/rendered", 'multipart/related; type="image/png"')
    found = {_uid(headers) for headers, _ in parts_of(answer)}
    assert (BAD in found) == PLANTS[plant][2]
    assert found >= set(_good())
    assert answer.status_code == (200 if PLANTS[plant][2] else 206)
    assert server.get(f"{path}/thumbnail", "image/png").status_code == 200
    assert server.get(f"{path}/rendered", "image/png").status_code == 200


def test_a_zip_holds_what_can_be_converted(planted: tuple[Running, str]) -> None:
    server, plant = planted
    answer = server.get(PATH, "application/zip; transfer-syntax=1.2.840.10008.1.2.1")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        found = {name.rpartition("/")[2].removesuffix(".dcm") for name in archive.namelist()}
    assert found == {*_good(), *([BAD] if PLANTS[plant][1] else [])}
    assert answer.status_code == (200 if BAD in found else 206)


def test_control_characters_are_replaced_in_xml_and_kept_in_json(planted: tuple[Running, str]) -> None:
    server, plant = planted
    if plant != "control characters":
        return
    path = f"{PATH}/instances/{BAD}/metadata"
    (model,) = server.get(path, "application/dicom+json").json()
    ((_, content),) = parts_of(server.get(path, XML))
    found = parse_xml(content)
    assert model["0008103E"]["Value"] == ["axial\x01\x0c 5 mm"]
    assert found["0008103E"]["Value"] == ["axial\ufffd\ufffd 5 mm"]
    assert found["00204000"]["Value"] == ["first\r\nsecond\ufffd"]


def test_a_compressed_icon_is_decoded(planted: tuple[Running, str]) -> None:
    server, plant = planted
    if plant != "a compressed icon":
        return
    content = _by_uid(server.get(f"{PATH}/instances/{BAD}", DEFAULT))[BAD]
    found = pydicom.dcmread(io.BytesIO(content)).IconImageSequence[0]
    assert np.array_equal(np.frombuffer(found.PixelData, np.uint8).reshape(64, 64), icon("jpeg-ls")[1])


def _frames(torn: int | None, count: int = 4) -> bytes:
    dataset = _member("MR_small_jpeg_ls_lossless.dcm", BAD)
    (frame,) = generate_frames(dataset.PixelData, number_of_frames=1)
    bad = frame[:200] + bytes(2000) + frame[2200:]
    dataset.PixelData = encapsulate([bad if number == torn else frame for number in range(1, count + 1)])
    dataset.NumberOfFrames = count
    return _saved(dataset)


def test_the_other_frames_come(tmp_path: Path) -> None:
    octets = 'multipart/related; type="application/octet-stream"'
    with running(tmp_path / "archive") as server:
        server.store([_frames(torn=2)])
        frames = f"{PATH}/instances/{BAD}/frames"
        answer = server.get(f"{frames}/4,2,1", octets)
        assert answer.status_code == 206 and "frame 2" in answer.headers["warning"]
        assert [headers["content-location"].rpartition("/")[2] for headers, _ in parts_of(answer)] == [
            "4",
            "1",
        ]
        assert server.get(f"{frames}/4,1", octets).status_code == 200
        assert server.get(f"{frames}/2", octets).status_code == 422
        assert len(parts_of(server.get(f"{frames}/1,2,3,4", "multipart/related; type=image/jls"))) == 4
        bulk = server.get(f"{PATH}/instances/{BAD}/bulkdata/7FE00010", octets)
        assert bulk.status_code == 206 and len(parts_of(bulk)) == 3


def test_what_takes_too_long_to_make_first_is_made_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients give up on an answer that does not begin; what then fails tears the answer off after all the others."""
    monkeypatch.setattr(collection, "PATIENCE", -1.0)
    monkeypatch.setattr(sending, "WHOLE", 0)
    monkeypatch.setattr(streams, "BLOCK", 1 << 14)
    good = _good()
    with running(tmp_path / "archive") as server:
        server.store(list(good.values()))
        answer = server.get(PATH, DEFAULT)
        assert answer.status_code == 200 and set(_by_uid(answer)) == set(good)
        assert "content-length" not in answer.headers
        server.store([_torn_codestream()])
        with pytest.raises(Exception, match=r"closed|incomplete|disconnected"):
            server.get(PATH, DEFAULT)
