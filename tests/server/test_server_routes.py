"""Routes are rows of one table: a row more is a route more, whatever its method."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from server_support import STOW, body, client, instances, served

from hounsfield.server.app import make_app
from hounsfield.server.archive import lock
from hounsfield.server.deployment import Deployment
from hounsfield.server.http.limits import Limits
from hounsfield.server.http.request import Request
from hounsfield.server.http.request_body import Body
from hounsfield.server.http.response import Response, as_json
from hounsfield.server.routes.endpoint import STUDY, Endpoint
from hounsfield.server.routes.table import ENDPOINTS
from hounsfield.server.state import AppState


def echo(state: AppState, request: Request) -> Response:
    return as_json({"by": request.principal, "study": request.scope.study, "body": request.body.decode()})


async def measured(state: AppState, request: Request, pieces: Body) -> Response:
    size = 0
    async for some in pieces:
        size += sum(map(len, some))
    return as_json({"size": size})


ROWS = (
    Endpoint(f"{STUDY}/echo", echo, "What was sent", method="POST"),
    Endpoint("/measured", None, "How much was sent", method="POST", upload=measured),
)


@pytest.fixture
def http(tmp_path: Path) -> Iterator[object]:
    deployment = Deployment(str(tmp_path), limits=Limits(form=100))
    archive = deployment.open(first=True)
    try:
        app = make_app(deployment.state(archive), endpoints=(*ENDPOINTS, *ROWS))
        with served(app) as url, client(url + "/dicom-web") as connected:
            yield connected
    finally:
        archive.close()
        lock.release(deployment.lock)


def test_a_route_that_is_posted_to_is_no_store(http: Any) -> None:
    answer = http.post("/studies/1.2.3/echo", content=b"so it is", headers={"Content-Type": "text/plain"})

    assert answer.status_code == 200
    assert answer.json() == {"by": "anonymous", "study": "1.2.3", "body": "so it is"}
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_a_body_that_is_no_upload_is_short(http: Any) -> None:
    assert http.post("/studies/1.2/echo", content=b"x" * 100).status_code == 200
    assert http.post("/studies/1.2/echo", content=b"x" * 101).status_code == 413


def test_an_upload_has_its_body_as_it_arrives(http: Any) -> None:
    assert http.post("/measured", content=b"x" * 5_000_000).json() == {"size": 5_000_000}


def test_stores_and_metrics_are_rows_like_others(http: Any) -> None:
    contents = instances()
    assert http.post("/studies", content=body(contents), headers={"Content-Type": STOW}).status_code == 200
    assert "hounsfield_instances 3.0" in http.get("/metrics").text
    assert http.post("/metrics").status_code == 405


def test_a_row_has_one_function_or_one_for_uploads() -> None:
    with pytest.raises(AssertionError, match="/nothing"):
        Endpoint("/nothing", None, "None")
    with pytest.raises(AssertionError, match="/both"):
        Endpoint("/both", echo, "Both", upload=measured)
