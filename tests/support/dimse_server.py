"""An archive that answers DIMSE peers, in this process, and what tests ask of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from server_support import read

from hounsfield.ct.instance import BytesSource
from hounsfield.dimse.client import Sendable
from hounsfield.dimse.part10 import data_set_pieces
from hounsfield.dimse.requestor import Peer, Timeouts
from hounsfield.server.archive.archive import Archive
from hounsfield.server.deployment import Deployment
from hounsfield.server.http.limits import Limits
from hounsfield.server.provider.endpoint import endpoint
from hounsfield.server.supervisor import answering


@dataclass(frozen=True)
class Dimse:
    """A running archive with a DIMSE endpoint."""

    archive: Archive
    deployment: Deployment
    port: int

    def peer(self, **options: Any) -> Peer:
        """The archive as whoever calls it sees it."""
        given = {"called": "HOUNSFIELD", "timeouts": Timeouts(response=30, store=60, pending=60), **options}
        return Peer("127.0.0.1", self.port, **given)

    def audited(self) -> list[dict[str, Any]]:
        lines = (self.deployment.private / "audit.log").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def stored(self) -> dict[str, bytes]:
        """What lies in the archive, by SOP Instance UID."""
        from hounsfield.dicomweb.resources import Resource

        found = {}
        for entry in self.archive.entries(Resource("")):
            with self.archive.source(entry).open() as stream:
                found[entry.instance] = stream.read()
        return found


@contextlib.contextmanager
def dimse_server(
    folder: Path, *, replace: bool = False, limits: Limits | None = None, **options: Any
) -> Iterator[Dimse]:
    """An archive in `folder`; `options` are those of `endpoint.endpoint`."""
    deployment = Deployment(str(folder), replace=replace, limits=limits or Limits())
    archive = deployment.open(first=True)
    title = options.pop("title", "HOUNSFIELD")
    try:
        with answering(deployment.state(archive), endpoint(title, "127.0.0.1", 0, **options)) as provider:
            yield Dimse(archive, deployment, int(provider.address.rpartition(":")[2]))
    finally:
        deployment.close(archive)


def sendable(content: bytes) -> Sendable:
    """A Part 10 file as something to be sent."""
    dataset = read(content)
    source = BytesSource("a file", content)
    return Sendable(
        "a file",
        str(dataset.SOPClassUID),
        str(dataset.SOPInstanceUID),
        str(dataset.file_meta.TransferSyntaxUID),
        lambda: data_set_pieces(source.open),
    )


def data_set(content: bytes) -> bytes:
    """The bytes of a file behind its meta group."""
    return b"".join(data_set_pieces(BytesSource("a file", content).open))


def never(instance: Sendable, syntaxes: object) -> Sendable:
    raise AssertionError(f"{instance.name} need not be recoded to {syntaxes}")
