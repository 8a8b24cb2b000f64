"""dicomweb-client's file client as an oracle over every file that pydicom brings: searches, metadata, pixels.

Wherever the server and the oracle do not tell the same, a rule below names the reason.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import shutil
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import pydicom
import pytest
from dicomweb_client import DICOMfileClient, DICOMwebClient
from pydicom.datadict import keyword_for_tag
from requests import HTTPError
from server_support import running

FILES = Path(pydicom.data.__file__).parent / "test_files"
EXPLICIT = "1.2.840.10008.1.2.1"

NOT_STORED = {
    "ExplVR_BigEndNoMeta.dcm": "no preamble and no meta information: no Part 10 file",
    "ExplVR_LitEndNoMeta.dcm": "no preamble and no meta information: no Part 10 file",
    "rtstruct.dcm": "no preamble and no meta information: no Part 10 file",
    "rtplan_truncated.dcm": "its last sequence is cut off",
    "MR_truncated.dcm": "its Pixel Data are cut off",
}
"""What a store refuses and a reader of files opens."""

MISLABELLED = "SC_rgb_jpeg.dcm"
"""A data set without VRs under an explicit syntax: we read it whole, the oracle not at all."""

UNREADABLE = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"}
"""Syntaxes in which the oracle has no answer for an instance."""

NOT_OF_THE_TABLE = {"BitsStored", "SamplesPerPixel", "PhotometricInterpretation", "PixelRepresentation",
                    "PlanarConfiguration"}  # fmt: skip
COUNTS = {"NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances", "NumberOfSeriesRelatedInstances"}


def searched(keyword: str, theirs: Any, ours: Any) -> str:
    """Why an attribute of a search's result differs; "" for no known reason."""
    if ours is None and "Value" not in theirs:
        return (
            "the oracle tells of every column it has, also of what the file does not have and nobody requires"
        )
    if ours is None and keyword in NOT_OF_THE_TABLE:
        return "not among the attributes of PS3.18 Table 10.6.3-5"
    if ours is None and keyword == "NumberOfFrames" and theirs["Value"] == [1]:
        return "the oracle makes up a number of frames where there is none"
    if keyword in COUNTS and theirs["Value"] == [0]:
        return "the oracle keeps one series per UID, and loses that of another study"
    return ""


def described(tag: str, theirs: Any, ours: Any) -> str:
    """Why an element of the metadata differs."""
    if tag.endswith("0000"):
        return "group lengths are not in JSON (PS3.18 F.2.2)"
    if tag == "00083002":
        return "the server tells how an instance is stored"
    if tag == "00080005":
        return "JSON is UTF-8 whatever the file is (PS3.18 F.2.1.2)"
    if tag in {"7FE00010", "7FE00008", "7FE00009"}:
        return "the oracle stops before pixels"
    if tag in {"FFFCFFFC", "FFFAFFFA", "7FE00001", "7FE00002"} and None in (theirs, ours):
        return "behind the pixels"
    if _plain(theirs) == _plain(ours):
        return "decimals keep their digits, no value is null; spaces and a private creator's VR are no difference"
    return ""


def _plain(value: Any) -> Any:
    """A model's value without what makes no difference: numbers as numbers, bytes as bytes, texts trimmed."""
    if isinstance(value, dict):
        if "InlineBinary" in value:
            return {"bytes": base64.b64decode(value["InlineBinary"]).rstrip(b"\0 ")}
        if "BulkDataURI" in value:
            return {"bytes": _fetched(value["BulkDataURI"]).rstrip(b"\0 ")}
        if set(value) <= {"vr", "Value"} and str(value.get("vr", "")) in {"LO", "UN"}:
            return {
                "bytes": "\\".join(str(each or "") for each in value.get("Value", [])).encode().rstrip(b"\0 ")
            }
        return {
            key: _plain(each)
            for key, each in value.items()
            if key != "00080005" and not key.endswith("0000") and each != []
        }
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, (int, float)):
        return float(value)
    text = str(value).strip() if value is not None else ""
    try:
        return float(text)
    except ValueError:
        return text


def _fetched(uri: str) -> bytes:
    import urllib.request

    with urllib.request.urlopen(uri) as answer:
        return answer.read()


def framed(theirs: bytes, ours: bytes) -> str:
    """Why a frame differs."""
    if theirs.rstrip(b"\0") == ours.rstrip(b"\0"):
        return "a padding byte is no part of a frame"
    if theirs.startswith(ours):
        return "the oracle takes what stands behind Pixel Data for pixels"
    return ""


def rounds() -> list[list[Path]]:
    """The files in lots in which no SOP Instance UID is there twice."""
    seen: Counter[str] = Counter()
    lots: list[list[Path]] = []
    for path in sorted(each for each in FILES.rglob("*") if each.is_file() and each.name != MISLABELLED):
        with contextlib.suppress(Exception):
            dataset = pydicom.dcmread(path, stop_before_pixels=True, force=True)
            uid, *_ = dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID
            if len(lots) <= seen[uid]:
                lots.append([])
            lots[seen[uid]].append(path)
            seen[uid] += 1
    return lots


class Pair:
    """The same files behind both clients."""

    def __init__(self, files: list[Path], folder: Path, url: str) -> None:
        folder.mkdir()
        for path in files:
            shutil.copy(path, folder / path.name)
        self.web = DICOMwebClient(url)
        self.oracle = DICOMfileClient(f"file://{folder}", update_db=True, in_memory=True)
        self.unexplained: list[str] = []

    def differ(self, where: str, theirs: Any, ours: Any, why: str) -> None:
        if not why:
            self.unexplained.append(f"{where}: {str(theirs)[:200]} | {str(ours)[:200]}")

    def searches(self, stored: set[str]) -> None:
        for name, tag in (("studies", "0020000D"), ("series", "0020000E"), ("instances", "00080018")):
            ask = f"search_for_{name}"
            theirs, ours = ({model[tag]["Value"][0]: model for model in getattr(each, ask)()}
                            for each in (self.oracle, self.web))  # fmt: skip
            for uid in ours.keys() - theirs.keys():
                # One row per series UID: an instance of the study that came before has no series any more.
                self.differ(f"{name} {uid}", None, "found", "lost" if name == "instances" else "")
            for uid in theirs.keys() - ours.keys():
                self.differ(f"{name} {uid}", "found", None, "refused" if uid not in stored else "")
            for uid in theirs.keys() & ours.keys():
                for each, element in theirs[uid].items():
                    mine = ours[uid].get(each)
                    if mine != element:
                        keyword = keyword_for_tag(each)
                        self.differ(
                            f"{name} {uid} {keyword}", element, mine, searched(keyword, element, mine)
                        )

    def retrieves(self, model: dict[str, Any]) -> None:
        uids = [model[tag]["Value"][0] for tag in ("0020000D", "0020000E", "00080018")]
        try:
            theirs = self.oracle.retrieve_instance_metadata(*uids)
        except HTTPError as error:
            assert "Could not find instance" in str(error)  # the same loss of a series
            return
        ours = self.web.retrieve_instance_metadata(*uids)
        for tag in theirs.keys() | ours.keys():
            if theirs.get(tag) != ours.get(tag):
                why = described(tag, theirs.get(tag), ours.get(tag))
                self.differ(f"metadata {uids[2]} {tag}", theirs.get(tag), ours.get(tag), why)
        media = (("application/dicom", "*"),)
        got = self.web.retrieve_instance(*uids, media_types=media)  # type: ignore[misc]
        try:
            wanted = self.oracle.retrieve_instance(*uids, media_types=media)  # type: ignore[misc]
        except HTTPError as error:
            stored = model["00083002"]["Value"][0]
            self.differ(
                f"instance {uids[2]}", str(error), "served", "not served" if stored in UNREADABLE else ""
            )
            return
        self.differ(f"instance {uids[2]}", wanted, got, "the same" if got == wanted else "")
        if "PixelData" in wanted:
            self.frames(uids)

    def frames(self, uids: list[str]) -> None:
        kinds = ("application/octet-stream", "image/jpeg", "image/jls", "image/jp2", "image/dicom-rle")
        try:
            (theirs,) = self.oracle.retrieve_instance_frames(*uids, [1])  # type: ignore[arg-type, call-arg]
        except HTTPError:
            return  # the oracle reads no frames of some syntaxes; ours are held against pydicom elsewhere
        (ours,) = self.web.retrieve_instance_frames(*uids, [1], media_types=[(kind, "*") for kind in kinds])  # type: ignore[arg-type, call-arg, misc]
        if theirs != ours:
            self.differ(f"frame of {uids[2]}", len(theirs), len(ours), framed(theirs, ours))


@pytest.mark.parametrize("lot", range(len(rounds())))
@pytest.mark.filterwarnings("ignore")
def test_the_server_tells_what_dicomweb_clients_file_reader_tells_of_all_of_pydicoms_files(
    tmp_path: Path, lot: Any
) -> None:
    logging.disable(logging.ERROR)
    files = rounds()[lot]
    try:
        with running(tmp_path / "archive") as server, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            stored: set[str] = set()
            for path in files:
                answer = server.store([path.read_bytes()])
                assert (answer.status_code == 200) is (path.name not in NOT_STORED), (path.name, answer.text)
                if answer.status_code == 200:
                    dataset = pydicom.dcmread(path, stop_before_pixels=True)
                    stored |= {dataset.StudyInstanceUID, dataset.SeriesInstanceUID, dataset.SOPInstanceUID}
            pair = Pair(files, tmp_path / "files", server.url)
            pair.searches(stored)
            models = server.get("/instances?limit=1000").json()
            for model in models:
                pair.retrieves(model)
            assert len(models) == sum(path.name not in NOT_STORED for path in files)
            assert "\n".join(pair.unexplained) == ""
    finally:
        logging.disable(logging.NOTSET)


@pytest.mark.filterwarnings("ignore:Expected explicit VR")
def test_a_data_set_without_vrs_under_an_explicit_syntax_is_stored_whole(tmp_path: Path) -> None:
    path = FILES / MISLABELLED
    with running(tmp_path / "archive") as server:
        assert server.store([path.read_bytes()]).status_code == 200
        (model,) = server.get("/instances").json()
        dataset = pydicom.dcmread(path)
        assert model["00080018"]["Value"] == [dataset.SOPInstanceUID]
        resource = f"/studies/{dataset.StudyInstanceUID}/series/{dataset.SeriesInstanceUID}"
        frame = server.get(
            f"{resource}/instances/{dataset.SOPInstanceUID}/frames/1",
            'multipart/related; type="image/jpeg"; transfer-syntax=*',
        )
        assert frame.status_code == 200
        assert dataset.PixelData[24:2000] in frame.content


def test_a_difference_without_a_reason_is_seen(tmp_path: Path) -> None:
    """The rules above do not explain away a value that is wrong."""
    assert searched("PatientID", {"vr": "LO", "Value": ["1"]}, {"vr": "LO", "Value": ["2"]}) == ""
    assert searched("NumberOfStudyRelatedSeries", {"Value": [2]}, {"Value": [1]}) == ""
    assert described("00280030", {"vr": "DS", "Value": [1.0]}, {"vr": "DS", "Value": ["1.5"]}) == ""
    assert described("00100020", {"vr": "LO", "Value": ["1"]}, {"vr": "LO", "Value": ["2"]}) == ""
    assert framed(b"\1\2\3", b"\1\3\3") == ""
