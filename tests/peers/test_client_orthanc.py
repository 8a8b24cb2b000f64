"""The client against a real Orthanc: store, find, retrieve, and the bytes are the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from orthanc import running_orthanc, skip_without_orthanc

from hounsfield.client import Client
from hounsfield.ct.instance import Instance
from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import bulk_uris, to_dataset
from hounsfield.errors import DicomwebError
from hounsfield.phantom import PhantomSpec, write
from hounsfield.verbs.load import instances


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write(PhantomSpec(), tmp_path_factory.mktemp("phantom"))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    skip_without_orthanc()
    folder = tmp_path_factory.mktemp("orthanc")
    with (
        running_orthanc(folder, user="me", password="word") as url,
        Client(url, auth=("me", "word")) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def series(client: Client, files: list[Path]) -> tuple[str, str]:
    result = client.store_instances(files)
    assert result.complete
    assert len(result.instances) == len(files)
    [study] = client.search_for_studies({"ModalitiesInStudy": "CT"})
    uid = first(study, "StudyInstanceUID")
    [found] = client.search_for_series(uid)
    return uid, first(found, "SeriesInstanceUID")


def test_what_is_stored_comes_back_byte_for_byte(
    client: Client, files: list[Path], series: tuple[str, str]
) -> None:
    found = client.retrieve_series(*series)
    assert sorted(part.content for part in found) == sorted(path.read_bytes() for path in files)
    assert sorted(part.content for part in client.retrieve_study(series[0])) == sorted(
        path.read_bytes() for path in files
    )


def test_every_instance_is_found_page_by_page(
    client: Client, files: list[Path], series: tuple[str, str]
) -> None:
    found = client.search_for_instances(*series, fields=["InstanceNumber"])
    assert len({first(model, "SOPInstanceUID") for model in found}) == len(files)
    assert len(client.search_for_instances(*series, limit=3, offset=1)) == 3
    assert client.search_for_instances(*series, {"SOPInstanceUID": "1.2.3"}) == []


def test_metadata_frames_and_bulk_data_agree_with_the_file(
    client: Client, files: list[Path], series: tuple[str, str]
) -> None:
    models = client.retrieve_series_metadata(*series)
    assert len(models) == len(files)
    dataset = to_dataset(models[0])
    instance = client.retrieve_instance(*series, str(dataset.SOPInstanceUID))
    whole = instance.dataset()
    assert (dataset.Rows, dataset.RescaleIntercept) == (whole.Rows, whole.RescaleIntercept)
    [frame] = client.retrieve_instance_frames(*series, str(dataset.SOPInstanceUID), [1])
    assert frame.content == whole.PixelData
    uris = bulk_uris(models[0])
    assert client.retrieve_bulkdata(uris["7FE00010"]).content == whole.PixelData


def test_what_is_not_there_is_a_404(client: Client, series: tuple[str, str]) -> None:
    with pytest.raises(DicomwebError) as caught:
        client.retrieve_series(series[0], "1.2.3")
    assert caught.value.data["status"] == 404


def test_wrong_credentials_are_a_401(client: Client) -> None:
    with Client(client.url, auth=("me", "wrong")) as other, pytest.raises(DicomwebError) as caught:
        other.check()
    assert caught.value.data["status"] == 401
    client.check()


def test_every_transfer_syntax_comes_back_byte_for_byte_and_with_the_same_pixels(
    real_data: Path, tmp_path: Path
) -> None:
    skip_without_orthanc()
    files = sorted((real_data / "transfer_syntaxes").glob("CTImage*")) + sorted(
        (real_data / "enhanced").glob("*.dcm")
    )
    assert files
    # Most are one image over and over, under the same UIDs.
    with running_orthanc(tmp_path, OverwriteInstances=True) as url, Client(url) as client:
        for path in files:
            assert client.store_instances([path]).complete, path
            [ours] = read_all(path)
            uids = [ours.header.text(f"{level}InstanceUID") for level in ("Study", "Series", "SOP")]
            assert client.retrieve_instance(*uids).content == path.read_bytes(), path
            address = client.resource(*uids).url
            [theirs] = read_all(address)
            assert theirs.header.pixels is None
            assert np.array_equal(theirs.cells(0), ours.cells(0)), path


def read_all(location: str | Path) -> list[Instance]:
    return list(instances(location))
