"""Fuzz target: any bytes from a peer make events, or one abort with its reason, whatever the pieces they come in.

`python fuzz/fuzz_dimse.py -max_total_time=60` (needs the dependency group `fuzz`). The same function runs over seeds,
their mutations and random bytes in `tests/unit/dimse/test_dimse_fuzz.py`.
"""

from __future__ import annotations

import struct

from running import run

from hounsfield.dimse.association import Association, CommandReceived, DataReceived, State
from hounsfield.dimse.commands import Command, Field, encode_command
from hounsfield.dimse.negotiation import EXPLICIT, IMPLICIT, Acceptance
from hounsfield.dimse.pdus import (
    Abort,
    AssociateAccept,
    AssociateReject,
    AssociateRequest,
    ContextResult,
    ProposedContext,
    ReleaseReply,
    ReleaseRequest,
    RoleSelection,
    UserIdentity,
    UserInformation,
    encode,
)
from hounsfield.dimse.services import VERIFICATION, is_storage
from hounsfield.errors import DimseError

CT = "1.2.840.10008.5.1.4.1.1.2"
REQUEST = AssociateRequest(
    "PACS",
    "ME",
    (ProposedContext(1, VERIFICATION, (IMPLICIT,)), ProposedContext(3, CT, (EXPLICIT, IMPLICIT))),
    UserInformation(
        4096, roles=(RoleSelection(CT, False, True),), identity=UserIdentity(2, b"me", b"secret")
    ),
)
ACCEPT = AssociateAccept("PACS", "ME", (ContextResult(1, 0, IMPLICIT), ContextResult(3, 0, EXPLICIT)))
ACCEPTANCE = Acceptance(frozenset(), frozenset(), lambda _: (EXPLICIT, IMPLICIT), is_storage)
MAX_PDU = 65536


def _data(context: int, control: int, content: bytes) -> bytes:
    return struct.pack(">BxIIBB", 4, len(content) + 6, len(content) + 2, context, control) + content


ECHO = _data(1, 3, encode_command(Command(Field.C_ECHO, 1, sop_class=VERIFICATION)))
STORE = _data(3, 3, encode_command(Command(Field.C_STORE, 2, True, CT, "1.2.3", priority=0)))
DATA = _data(3, 0, b"\x08\0\x18\0UI\4\x001.2\0") + _data(3, 2, bytes(64))
SEEDS = [
    b"A" + encode(REQUEST) + ECHO + STORE + DATA + encode(ReleaseRequest()),
    b"A" + encode(REQUEST) + STORE + DATA + encode(Abort(2, 6)),
    b"R" + encode(ACCEPT) + ECHO + encode(ReleaseRequest()),
    b"R" + encode(AssociateReject(1, 1, 7)),
    b"R" + encode(ACCEPT) + STORE + DATA + encode(ReleaseReply()),
]


def one_input(data: bytes) -> None:
    """An acceptor (`A`) or requestor that reads `data`, whole and in pieces: the same; raises only what is a bug."""
    requests, sent = data[:1] != b"A", data[1:]
    whole = _events(sent, [len(sent)], requests)
    assert whole == _events(sent, [1 + byte % 9 for byte in sent[:200]], requests)


def _events(sent: bytes, sizes: list[int], requests: bool) -> list[object]:
    end = Association(max_pdu=MAX_PDU)
    if requests:
        end.request(REQUEST)
    found: list[object] = []
    position = 0
    try:
        for size in [*sizes, len(sent)]:
            for event in end.receive(sent[position : position + size]):
                _take(end, event, found)
            position += size
    except DimseError as error:
        assert len(str(error)) < 2000
        assert error.data["abort"] in {1, 2, 5, 6}, error
        assert end.failure(error)[:1] == b"\x07"
        assert end.state is State.CLOSED
        found.append(str(error))
    return found


def _take(end: Association, event: object, found: list[object]) -> None:
    if isinstance(event, DataReceived):
        if found and isinstance(found[-1], bytearray):
            found[-1] += event.content
        else:
            found.append(bytearray(event.content))
        if event.last:
            found.append("last")
        return
    found.append(event)
    if isinstance(event, AssociateRequest):
        reply = ACCEPTANCE.reply(event)
        if isinstance(reply, AssociateAccept):
            end.accept(reply)
        else:
            end.reject(reply)
    elif isinstance(event, ReleaseRequest):
        end.reply_release()
    elif isinstance(event, CommandReceived) and not event.command.is_response:
        for page in end.send(event.context, event.command.response(0)):
            assert page


def main() -> None:
    run("dimse", SEEDS, one_input)


if __name__ == "__main__":
    main()
