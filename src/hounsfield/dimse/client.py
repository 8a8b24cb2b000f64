"""Requests to a peer: C-ECHO, C-FIND, C-STORE. Retrieval is `retrieving`'s.

Identifiers are encoded data sets here; who asks makes them and reads them, since what a peer says it matched is only a
claim.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from hounsfield.dimse.association import Buffer, Context
from hounsfield.dimse.commands import Command, Field
from hounsfield.dimse.negotiation import IMPLICIT, UNCOMPRESSED, split, storage_pairs
from hounsfield.dimse.requestor import Peer, Requestor, associate
from hounsfield.dimse.services import CT_STORAGE, STUDY_ROOT, VERIFICATION
from hounsfield.dimse.statuses import PENDING_UNSUPPORTED, SUCCESS, Kind, kind_of, words
from hounsfield.errors import DimseError, HounsfieldError
from hounsfield.language import say

Encode = Callable[[str], bytes]
"""An identifier in a transfer syntax."""


def echo(peer: Peer) -> None:
    """C-ECHO; `DimseError` says what keeps the peer from answering."""
    with associate(peer, [(VERIFICATION, (IMPLICIT,))]) as requestor:
        context = requestor.need(VERIFICATION, "verification (C-ECHO)")
        request = Command(Field.C_ECHO, requestor.new_id(), sop_class=VERIFICATION)
        requestor.send(context, request)
        response = requestor.response(request, peer.timeouts.response).command
        if response.status != SUCCESS:
            raise DimseError(
                say("C-ECHO: {words}", words=words(response)), where=peer.address, status=response.status
            )


def offered(peer: Peer) -> tuple[list[str], str]:
    """The services that a peer offers us beside C-ECHO, and the address from which it sees us."""
    services = {
        "C-FIND": STUDY_ROOT.find,
        "C-GET": STUDY_ROOT.get,
        "C-MOVE": STUDY_ROOT.move,
        "C-STORE": CT_STORAGE,
    }
    pairs = [(VERIFICATION, (IMPLICIT,)), *((uid, UNCOMPRESSED) for uid in services.values())]
    with associate(peer, pairs) as requestor:
        found = [name for name, uid in services.items() if requestor.context(uid) is not None]
        return found, requestor.connection.local_address


@dataclass(frozen=True, slots=True)
class Match:
    """An identifier that a C-FIND found; `unmatched` where the peer says that it did not match every key."""

    identifier: bytes = field(repr=False)
    transfer_syntax: str
    unmatched: bool


def find(peer: Peer, sop_class: str, encode: Encode, *, limit: int | None = None) -> Iterator[Match]:
    """C-FIND: every match of the identifier that `encode` makes, or `limit` of them, as they come."""
    with associate(peer, [(sop_class, UNCOMPRESSED)]) as requestor:
        yield from find_over(requestor, sop_class, encode, limit)


def find_over(
    requestor: Requestor, sop_class: str, encode: Encode, limit: int | None = None
) -> Iterator[Match]:
    """C-FIND over an association that is open; to be read to its end before anything else is asked there."""
    context = requestor.need(sop_class, "this search (C-FIND)")
    request = Command(Field.C_FIND, requestor.new_id(), True, sop_class, priority=0)
    requestor.send(context, request, [encode(context.transfer_syntax)])
    count = 0
    for response in requestor.responses(request, requestor.peer.timeouts.pending):
        command = response.command
        kind = kind_of(command.status or 0)
        if kind == "failure":
            raise DimseError(
                say("C-FIND: {words}", words=words(command)),
                where=requestor.peer.address,
                status=command.status,
            )
        if kind == "pending" and (limit is None or count < limit):
            count += 1
            yield Match(response.data, context.transfer_syntax, command.status == PENDING_UNSUPPORTED)
            if count == limit:
                requestor.send(context, Command(Field.C_CANCEL, request.message_id))


@dataclass(frozen=True, slots=True)
class Sendable:
    """An instance to be sent: its identity, and its data set in `transfer_syntax`, in pieces as often as asked for."""

    name: str
    sop_class: str
    sop_instance: str
    transfer_syntax: str
    data: Callable[[], Iterable[Buffer]] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """A peer's response for one instance. `kind` None: it said nothing, and trying again may help."""

    instance: Sendable
    kind: Kind | None
    reason: str = ""
    status: int | None = None


Recode = Callable[[Sendable, Sequence[str]], Sendable]
"""The instance in one of these transfer syntaxes, since the peer does not take its own."""


Originator = tuple[str, int]
"""AE title and message of the C-MOVE for which instances are sent."""


def store(
    peer: Peer, instances: Iterable[Sendable], recode: Recode, originator: Originator | None = None
) -> Iterator[Stored]:
    """C-STORE each instance; one `Stored` for each, whatever happens to it.

    Raises only where no association can be had at all. An association that breaks is the failure of what was under
    way on it, and of nothing else.
    """
    waiting = list(instances)
    for group in split([(each.sop_class, each.transfer_syntax) for each in waiting]):
        kinds = set(group)
        batch = [each for each in waiting if (each.sop_class, each.transfer_syntax) in kinds]
        while batch:
            done = 0
            for stored in _stored(peer, group, batch, recode, originator):
                done += 1
                yield stored
            batch = batch[done:]


def _stored(
    peer: Peer,
    group: Sequence[tuple[str, str]],
    batch: Sequence[Sendable],
    recode: Recode,
    originator: Originator | None,
) -> Iterator[Stored]:
    """Store over one association until it breaks; at least one `Stored`."""
    with associate(peer, storage_pairs(group)) as requestor:
        for instance in batch:
            try:
                yield _stored_one(requestor, instance, recode, originator)
            except DimseError as error:
                requestor.connection.abort()
                yield Stored(instance, None, str(error))
                return


def _stored_one(
    requestor: Requestor, instance: Sendable, recode: Recode, originator: Originator | None
) -> Stored:
    try:
        context, sent = _fitting(requestor, instance, recode)
        pieces = iter(sent.data())
        first = next(pieces, b"")  # what cannot be read is known before anything is sent
    except DimseError as error:
        return Stored(instance, "failure", error.found, error.data.get("status"))
    except (HounsfieldError, OSError) as error:
        return Stored(instance, "failure", str(error))
    title, message = originator or (None, None)
    request = Command(
        Field.C_STORE,
        requestor.new_id(),
        True,
        sent.sop_class,
        sent.sop_instance,
        priority=0,
        originator=title,
        originator_id=message,
    )
    requestor.send(context, request, itertools.chain([first], _read(pieces, requestor)))
    response = requestor.response(request, requestor.peer.timeouts.store).command
    kind = kind_of(response.status or 0)
    return Stored(instance, kind, "" if kind == "success" else words(response), response.status)


def _read(pieces: Iterator[Buffer], requestor: Requestor) -> Iterator[Buffer]:
    """The rest of a data set; one that cannot be read on ends the association, since half of it is sent."""
    try:
        yield from pieces
    except (HounsfieldError, OSError) as error:
        raise DimseError(
            say("cannot be read on: {error}", error=error), where=requestor.peer.address
        ) from error


def _fitting(requestor: Requestor, instance: Sendable, recode: Recode) -> tuple[Context, Sendable]:
    """The context an instance goes in, and the instance as it goes."""
    as_it_is = requestor.context(instance.sop_class, instance.transfer_syntax)
    if as_it_is is not None:
        return as_it_is, instance
    taken = [
        each for each in requestor.connection.association.contexts.values()
        if each.sop_class == instance.sop_class and each.transfer_syntax in UNCOMPRESSED
    ]  # fmt: skip
    if not taken:
        raise DimseError(
            say("the peer takes no instances of SOP class {sop_class}", sop_class=instance.sop_class),
            unsupported=True,
        )
    recoded = recode(instance, [each.transfer_syntax for each in taken])
    for each in taken:
        if each.transfer_syntax == recoded.transfer_syntax:
            return each, recoded
    raise DimseError(
        say(
            "the peer does not take transfer syntax {transfer_syntax}",
            transfer_syntax=instance.transfer_syntax,
        ),
        unsupported=True,
    )
