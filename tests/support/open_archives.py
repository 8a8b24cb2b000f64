"""Archives that replace, without a server over them: opened, stored into, read back."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from server_promises import storing

from hounsfield.dicomweb.resources import Resource
from hounsfield.server.archive.archive import Archive
from hounsfield.server.deployment import Deployment

ALL = Resource("")


@contextlib.contextmanager
def opened(folder: Path, **options: Any) -> Iterator[Archive]:
    """An archive in `folder` that replaces, as a deployment with `options` opens it."""
    deployment = Deployment(str(folder), replace=True, **options)
    archive = deployment.open(first=True)
    try:
        yield archive
    finally:
        deployment.close(archive)


def store(archive: Archive, *contents: bytes) -> None:
    """Store instances, all of which are acknowledged."""
    assert all(storing(*contents).run(None, archive).values())  # type: ignore[arg-type]


def current(archive: Archive) -> dict[str, bytes]:
    """SOP Instance UID → bytes of every instance that is indexed, in the order of the index."""
    found = {}
    for entry in archive.entries(ALL):
        with archive.source(entry).open() as stream:
            found[entry.instance] = stream.read()
    return found
