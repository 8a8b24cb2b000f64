"""Instances to and from a server: retrieved as files that are whole and what was asked for, or stored in batches."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from hounsfield.client import Client, Part
from hounsfield.ct.instance.source import BytesSource, Skipped
from hounsfield.dicomweb.resources import Resource
from hounsfield.dicomweb.store_results import StoredInstance
from hounsfield.errors import HounsfieldError
from hounsfield.locations.arrivals import arrived
from hounsfield.locations.location import Delivered
from hounsfield.locations.uids import HEAD_BYTES, sop_instance_uid
from hounsfield.outputs import partial_instance
from hounsfield.outputs.results import Result, Status, status_of


def retrieved(
    client: Client, resource: Resource, folder: Path | None, transfer_syntax: str
) -> Iterator[Delivered | Skipped]:
    """Everything that comes for a resource: files in `folder`, or, without one, in memory and as it is."""
    if folder is not None:
        for part in client.iter_parts(resource, transfer_syntax=transfer_syntax):
            yield _saved(part, resource, folder)
        return
    study, series = resource.study or "", resource.series or ""
    if resource.instance is None:
        found = client.retrieve_series(study, series, transfer_syntax=transfer_syntax)
    else:
        found = [client.retrieve_instance(study, series, resource.instance, transfer_syntax=transfer_syntax)]
    for whole in found:
        # Not judged here: whoever reads it for its pixels has more to say of a header that is wrong.
        uid = sop_instance_uid(whole.content) or whole.name
        url = f"{client.resource(study, series).url}/instances/{uid}"
        yield Delivered(study, series, uid, BytesSource(url, whole.content), len(whole.content))


def _saved(part: Part, resource: Resource, folder: Path) -> Delivered | Skipped:
    """A part as a file, whole and with the UIDs that were asked for; `Skipped` and no file if it is not that."""
    path = partial_instance(folder)
    try:
        size, head = part.save(path, keep=HEAD_BYTES)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return arrived(
        path,
        size,
        study=resource.study,
        series=resource.series,
        instance=resource.instance,
        asked=resource.path,
        name=f"{resource.path} part {part.index + 1}",
        head=head,
    )


def store(client: Client, study: str | None, instances: Sequence[Delivered]) -> Iterator[Result]:
    """Store these in one request; what the server does not confirm has failed."""
    by_uid = {each.instance: each for each in instances}
    try:
        result = client.store_instances([each.source for each in instances], study)
        for stored in result.instances:
            each = by_uid.pop(stored.sop_instance, None)
            if each is not None:
                yield _outcome(each, stored)
        reason = "; ".join(result.other_failures) or "the server did not speak of it"
    except HounsfieldError as error:
        reason = str(error)
    yield from (Result(each.name, Status.FAILED, reason) for each in by_uid.values())


def _outcome(each: Delivered, stored: StoredInstance) -> Result:
    size = each.size
    if not size and stored.kept:
        with each.source.open() as stream:
            size = stream.seek(0, os.SEEK_END)
    return Result(each.name, status_of("STOW", stored.outcome), stored.reason, bytes=size)
