"""Fuzz target: any query string at any level becomes SQL that answers, or one of our errors.

`python fuzz/fuzz_search.py -max_total_time=60` (needs the dependency group `fuzz`). What reaches new code is kept in
`.fuzz/search`, and what fails is written to `.fuzz`. The same function runs over seeds and random text in
`tests/test_server_fuzz.py`.
"""

from __future__ import annotations

import json
import logging
import tempfile
from dataclasses import replace
from pathlib import Path

from running import run

from hounsfield.ct.instance import BytesSource
from hounsfield.errors import HounsfieldError
from hounsfield.phantom import PhantomSpec, datasets
from hounsfield.phantom.writer import serialise
from hounsfield.server.archive.index.database import IndexUnavailable
from hounsfield.server.deployment import Deployment
from hounsfield.server.http.request import Request
from hounsfield.server.routes.search import search
from hounsfield.server.state import AppState

PATHS = ("/studies", "/series", "/instances", "/studies/1.2/series", "/studies/1.2/instances")
"""The first byte of an input chooses one."""

SMALL = PhantomSpec(rows=8, columns=8, slices=2)
SPECS = (
    SMALL,
    replace(SMALL, seed=2, series_number=2),
    replace(SMALL, seed=3, character_set=("", "ISO 2022 IR 87")),
)
SEEDS = (
    b"\0PatientName=ph*&StudyDate=20200101-20301231&limit=3&offset=1",
    b"\1Modality=CT&includefield=all&fuzzymatching=true&PatientName=phantom",
    b"\2SOPInstanceUID=1.2,1.3&InstanceNumber=1&includefield=00080016,KVP",
    b"\0ModalitiesInStudy=CT%5CMR&StudyTime=10-12&00100020=%2a%3f",
    b"\2orderby=-StudyDate,00100010,%20InstanceNumber&OrderBy=ModalitiesInStudy&limit=2&offset=1&KVP=120",
    b"\3RequestAttributesSequence.ScheduledProcedureStepID=1&SeriesNumber=1",
    b"\4PatientName=%E5%B1%B1=*&StudyInstanceUID=&PatientBirthDate=-&accept=application/dicom%2Bxml",
    b"\2NumberOfFrames=1&AvailableTransferSyntaxUID=1.2.840.10008.1.2.1&ReferringPhysicianName=%22*%22",
)


class Target:
    """A small archive in `folder` that is searched."""

    def __init__(self, folder: Path) -> None:
        self._deployment = Deployment(str(folder))
        self._archive = archive = self._deployment.open(first=True)
        files = [serialise(spec, each) for spec in SPECS for each in datasets(spec)]
        archive.index.add([archive.record(BytesSource("x", content), size=1) for content in files])
        self.state = AppState(archive)

    def close(self) -> None:
        self._deployment.close(self._archive)

    def one_input(self, data: bytes) -> None:
        """Search by `data`; raises only what is a bug."""
        path = PATHS[data[0] % len(PATHS)] if data else PATHS[0]
        names = {"study": "1.2"} if path.count("/") > 1 else {}
        request = Request("GET", path, "http://here", names, data[1:].decode("latin-1"))
        try:
            response = search(self.state, request)
        except IndexUnavailable:
            raise
        except HounsfieldError as error:
            assert error.data.get("status", 400) < 500, error
            return
        if response.media_type == "application/dicom+json":
            assert isinstance(response.content, bytes)
            assert isinstance(json.loads(response.content), list)


def main() -> None:
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        run("search", SEEDS, Target(Path(folder)).one_input)


if __name__ == "__main__":
    main()
