"""`hounsfield.client.compat.DICOMwebClient` beside the class of the same name in the package dicomweb-client."""

from __future__ import annotations

import http.server
import inspect
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pydicom
import pytest
import requests
import retrying
from dicomweb_client.web import DICOMwebClient as Theirs
from server_support import Running, instances, running, uids

from hounsfield.client.compat import DICOMwebClient as Ours
from hounsfield.errors import DicomwebError


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("archive"), deletes=True) as server:
        server.store(instances(slices=3))
        yield server


def _names(kind: type) -> list[str]:
    return [name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")]


@pytest.mark.parametrize("name", ["__init__", *_names(Theirs)])
def test_every_method_has_the_names_order_and_defaults_of_its_arguments(name: Any) -> None:
    theirs, ours = (inspect.signature(getattr(kind, name)) for kind in (Theirs, Ours))
    assert [(each.name, each.default, each.kind) for each in ours.parameters.values()] == [
        (each.name, each.default, each.kind) for each in theirs.parameters.values()
    ]


def _instance() -> tuple[str, str, str]:
    return uids(instances(slices=3)[1])


def _bulk(url: str) -> str:
    return (
        f"{url}/studies/{_instance()[0]}/series/{_instance()[1]}/instances/{_instance()[2]}/bulkdata/7FE00010"
    )


CALLS = {
    "search_for_studies": lambda client: client.search_for_studies(
        search_filters={"PatientID": "*"}, limit=1
    ),
    "search_for_series": lambda client: client.search_for_series(_instance()[0], fields=["Modality"]),
    "search_for_instances": lambda client: client.search_for_instances(*_instance()[:2], get_remaining=True),
    "retrieve_study": lambda client: client.retrieve_study(_instance()[0]),
    "retrieve_series": lambda client: client.retrieve_series(*_instance()[:2], (("application/dicom", "*"),)),
    "retrieve_instance": lambda client: client.retrieve_instance(*_instance()),
    "retrieve_study_metadata": lambda client: client.retrieve_study_metadata(_instance()[0]),
    "retrieve_series_metadata": lambda client: client.retrieve_series_metadata(*_instance()[:2]),
    "retrieve_instance_metadata": lambda client: client.retrieve_instance_metadata(*_instance()),
    "retrieve_instance_rendered": lambda client: client.retrieve_instance_rendered(
        *_instance(), ("image/png",)
    ),
    "retrieve_instance_frames": lambda client: client.retrieve_instance_frames(*_instance(), [1]),
    "octets": lambda client: client.retrieve_instance_frames(
        *_instance(), [1], ("application/octet-stream",)
    ),
    "frames_rendered": lambda client: client.retrieve_instance_frames_rendered(
        *_instance(), [1], ("image/jpeg",), {"viewport": "16,16"}
    ),
    "retrieve_bulkdata": lambda client: client.retrieve_bulkdata(_bulk(client.base_url)),
    "retrieve_bulkdata, a range": lambda client: client.retrieve_bulkdata(
        _bulk(client.base_url), byte_range=(4, 11)
    ),
}


@pytest.mark.parametrize("through", ["session", "own connections"])
@pytest.mark.parametrize("call", CALLS)
def test_both_return_the_same_of_the_same_server(server: Running, call: Any, through: str) -> None:
    ours = Ours(server.url, requests.session() if through == "session" else None)
    got, expected = CALLS[call](ours), CALLS[call](Theirs(server.url))
    assert type(got) is type(expected)
    assert got == expected
    assert got if not isinstance(got, pydicom.Dataset) else got.PixelData


def test_iterators_are_generators_of_the_same(server: Running) -> None:
    client = Ours(server.url)
    for iterator, whole in (
        (client.iter_study(_instance()[0]), client.retrieve_study(_instance()[0])),
        (client.iter_series(*_instance()[:2]), client.retrieve_series(*_instance()[:2])),
        (client.iter_instance_frames(*_instance(), [1]), client.retrieve_instance_frames(*_instance(), [1])),
    ):
        assert isinstance(iterator, Generator)
        assert list(iterator) == whole


@pytest.mark.parametrize("through", ["session", "own connections"])
def test_what_is_stored_is_told_and_can_be_deleted(tmp_path: Path, through: str) -> None:
    contents = instances(slices=2)
    with running(tmp_path / "archive", deletes=True) as server:
        client = Ours(server.url, requests.session() if through == "session" else None)
        told = client.store_instances(client_datasets := [_dataset(each) for each in contents])
        assert sorted(item.ReferencedSOPInstanceUID for item in told.ReferencedSOPSequence) == sorted(
            each.SOPInstanceUID for each in client_datasets
        )
        study, series, instance = uids(contents[0])
        client.delete_instance(study, series, instance)
        assert len(client.search_for_instances()) == 1
        client.delete_study(study)
        assert client.search_for_studies() == []


def _dataset(content: bytes) -> pydicom.Dataset:
    import io

    return pydicom.dcmread(io.BytesIO(content))


@contextmanager
def _stub(statuses: list[int]) -> Iterator[tuple[str, list[bytes]]]:
    """A server that answers with these statuses in turn, and then with the last; and the bodies it was sent."""
    bodies: list[bytes] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def _answer(self) -> None:
            bodies.append(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(statuses[min(len(bodies), len(statuses)) - 1])
            self.send_header("Content-Type", "application/dicom+json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"[]" if self.command == "GET" else b"{}")

        do_GET = do_POST = _answer  # noqa: N815 (http.server's names)

        def log_message(self, *_: Any) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as stub:
        thread = threading.Thread(target=stub.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{stub.server_port}", bodies
        stub.shutdown()
        thread.join()


@pytest.mark.parametrize("through", ["session", "own connections"])
def test_failures_are_what_callers_of_dicomweb_client_catch(through: str) -> None:
    session = requests.session() if through == "session" else None
    with _stub([404]) as (url, _):
        with pytest.raises(requests.HTTPError) as caught:
            Ours(url, session).search_for_studies()
        assert caught.value.response.status_code == 404
        assert isinstance(caught.value, DicomwebError) and caught.value.data["status"] == 404
    with pytest.raises(requests.ConnectionError):
        Ours(url, session).search_for_studies()


@pytest.mark.parametrize("through", ["session", "own connections"])
def test_a_repeated_store_sends_its_bytes_again(through: str) -> None:
    """dicomweb-client sends nothing the second time, and counts that as a success."""
    content = _dataset(instances(slices=1, rows=256, columns=256)[0])
    content.PixelData = bytes(2 * 1024 * 1024)
    with _stub([503, 200]) as (url, bodies):
        client = Ours(url, requests.session() if through == "session" else None)
        client.set_http_retry_params(wait_exponential_multiplier=1)
        client.store_instances([content])
        assert len(bodies) == 2 and bodies[0] == bodies[1] and len(bodies[0]) > 2 * 1024 * 1024
    with _stub([503]) as (url, bodies):
        client = Ours(url)
        client.set_http_retry_params(max_attempts=3, wait_exponential_multiplier=1)
        with pytest.raises(retrying.RetryError):
            client.search_for_studies()
        assert len(bodies) == 3


def test_paging_ends_on_a_server_that_ignores_the_offset(server: Running) -> None:
    """dicomweb-client asks for ever."""
    client = Ours(server.url)
    first = client.search_for_instances()
    client._get_json = lambda url, params=None: first  # type: ignore[method-assign]
    assert client.search_for_instances(get_remaining=True) == first


@pytest.mark.parametrize(
    ("raised", "call"),
    [
        (
            ValueError,
            lambda client: client.retrieve_instance("1", "2", "3", (("application/dicom", "1.2.3"),)),
        ),
        (ValueError, lambda client: client.retrieve_study("1", ("image/jpeg",))),
        (ValueError, lambda client: client.retrieve_instance_frames("1", "2", "3", [1], ("image/png",))),
        (ValueError, lambda client: client.retrieve_series(None, "2")),
        (ValueError, lambda client: client.search_for_series("1_2")),
        (TypeError, lambda client: client.search_for_series(["1.2"])),
        (TypeError, lambda client: client.search_for_studies(limit="1")),
        (TypeError, lambda client: client.retrieve_series_rendered("1", "2", (("image/png", "1.2"),))),
        (KeyError, lambda client: client.lookup_tag("NoSuchKeyword")),
    ],
)
def test_wrong_arguments_raise_before_anything_is_sent(raised: Any, call: Any) -> None:
    for kind in (Ours, Theirs):
        with pytest.raises(raised):
            call(kind("http://127.0.0.1:9/dicom-web"))
