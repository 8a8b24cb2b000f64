"""DIMSE without I/O: PDUs, command sets, the states of an association, presentation contexts.

pynetdicom reads what we write and we read what it writes: two spellings of PS3.7 and PS3.8 that know nothing of each
other.
"""

from __future__ import annotations

import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom import pdu as theirs

from hounsfield.dimse import pdus
from hounsfield.dimse.association import Association, CommandReceived, DataReceived, State
from hounsfield.dimse.commands import Command, Field, decode_command, encode_command
from hounsfield.dimse.negotiation import EXPLICIT, IMPLICIT, Acceptance, proposed, split, storage_pairs
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
    decode,
    encode,
)
from hounsfield.dimse.services import VERIFICATION, is_storage
from hounsfield.dimse.statuses import kind_of
from hounsfield.errors import DimseError

CT = "1.2.840.10008.5.1.4.1.1.2"
JPEG_LS = "1.2.840.10008.1.2.4.80"
USER = UserInformation(
    65536,
    "1.2.3",
    "TEST_1",
    (RoleSelection(CT, False, True),),
    UserIdentity(2, b"me", b"secret", True),
)
REQUEST = AssociateRequest(
    "PACS",
    "ME",
    (ProposedContext(1, VERIFICATION, (IMPLICIT,)), ProposedContext(3, CT, (EXPLICIT, IMPLICIT))),
    USER,
)
ACCEPT = AssociateAccept(
    "PACS", "ME", (ContextResult(1, 0, IMPLICIT), ContextResult(3, 0, EXPLICIT)), UserInformation(32768)
)
PDUS = [REQUEST, ACCEPT, AssociateReject(1, 1, 7), ReleaseRequest(), ReleaseReply(), Abort(2, 6)]


def everything(
    syntaxes: tuple[str, ...] = (EXPLICIT, IMPLICIT),
    titles: set[Any] | tuple[()] = (),
    callers: set[Any] = (),  # type: ignore[assignment]
) -> Acceptance:
    return Acceptance(frozenset(titles), frozenset(callers), lambda _: syntaxes, is_storage)


def pair(max_pdu: int = 16384, peer_pdu: int = 16384) -> tuple[Association, Association]:
    """Two ends, established by what each wrote."""
    us, them = Association(max_pdu=max_pdu), Association(max_pdu=peer_pdu)
    (asked,) = them.receive(us.request(REQUEST))
    assert isinstance(asked, AssociateRequest)
    reply = everything().reply(asked)
    assert isinstance(reply, AssociateAccept)
    (accepted,) = us.receive(them.accept(reply))
    assert isinstance(accepted, AssociateAccept)
    return us, them


def message(end: Association, number: int, command: Command, data: list[Any] | tuple[()] = ()) -> bytes:
    return b"".join(bytes(each) for page in end.send(end.contexts[number], command, data) for each in page)


def taken(end: Association, data: bytes, sizes: tuple[()] | list[int] = ()) -> list[object]:
    """The events of `data`, given in pieces of these sizes; data sets joined."""
    found: list[object] = []
    held = b""
    position = 0
    for size in [*sizes, len(data)]:
        for event in end.receive(data[position : position + size]):
            if isinstance(event, DataReceived):
                held += bytes(event.content)
                if event.last:
                    found.append(held)
                    held = b""
            else:
                found.append(event)
        position += size
    return found


@pytest.mark.parametrize("pdu", PDUS, ids=lambda each: type(each).__name__)
def test_what_is_written_is_read(pdu: Any) -> None:
    written = encode(pdu)
    assert struct.unpack(">I", written[2:6])[0] == len(written) - 6
    assert decode(written[0], written[6:]) == pdu


@pytest.mark.parametrize("pdu", PDUS, ids=lambda each: type(each).__name__)
def test_pynetdicom_reads_ours_and_writes_the_same(pdu: Any) -> None:
    written = encode(pdu)
    kind = {1: theirs.A_ASSOCIATE_RQ, 2: theirs.A_ASSOCIATE_AC, 3: theirs.A_ASSOCIATE_RJ,
            5: theirs.A_RELEASE_RQ, 6: theirs.A_RELEASE_RP, 7: theirs.A_ABORT_RQ}[written[0]]  # fmt: skip
    other = kind()
    other.decode(written)
    assert decode(written[0], other.encode()[6:]) == pdu


@pytest.mark.parametrize("pdu", PDUS, ids=lambda each: type(each).__name__)
def test_a_pdu_cut_anywhere_is_an_error_or_another_value(pdu: Any) -> None:
    written = encode(pdu)
    for stop in range(6, len(written)):
        try:
            found = decode(written[0], written[6:stop])
        except DimseError as error:
            assert error.data["abort"] in {1, 2, 5, 6}
        else:
            assert found != pdu


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda r: r[:74] + b"\x10\x00\xff\xff" + r[78:], "at most"),
        (lambda r: r.replace(b"\x20\x00", b"\x21\x00"), "without contexts"),
        (lambda r: r.replace(b"\x01\x00\x00\x00\x30", b"\x02\x00\x00\x00\x30"), "odd identifier"),
        (lambda r: r.replace(b"\x03\x00\x00\x00\x30", b"\x01\x00\x00\x00\x30"), "one identifier"),
        (lambda r: r.replace(b"PACS ", b"PA\nS "), "AE title"),
        (lambda r: r.replace(b"ME" + b" " * 14, b" " * 16), "AE title"),
        (lambda r: r.replace(b"PACS ", b"PA\\S "), "AE title"),
        (lambda r: r.replace(CT.encode(), b"1.2.840.x" + b"0" * 16), "UID"),
    ],
)
def test_a_proposal_that_lies_is_refused_with_its_reason(change: Any, says: str) -> None:
    with pytest.raises(DimseError, match=says) as caught:
        decode(1, change(encode(REQUEST))[6:])
    assert caught.value.data["abort"] == 6


def test_items_of_unknown_kind_are_skipped() -> None:
    written = encode(REQUEST)
    assert decode(1, written[6:] + b"\x77\x00\x00\x03abc") == REQUEST


COMMANDS = [
    Command(Field.C_ECHO, 1, sop_class=VERIFICATION),
    Command(Field.C_STORE, 7, True, CT, "1.2.3.4", priority=0, originator="PACS", originator_id=3),
    Command(Field.C_STORE | 0x8000, 7, False, CT, "1.2.3.4", 0xA700, comment="disk full"),
    Command(Field.C_MOVE, 9, True, "1.2", destination="ME", priority=2),
    Command(
        Field.C_MOVE | 0x8000, 9, False, "1.2", status=0xFF00, remaining=1, completed=2, failed=3, warned=0
    ),
    Command(Field.C_CANCEL, 9),
    Command(Field.N_ACTION, 2, True, "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1", action_type=1),
    Command(Field.N_EVENT_REPORT, 2, True, "1.2.840.10008.1.20.1", "1.2.840.10008.1.20.1.1", event_type=1),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_a_command_set_is_read_as_it_was_written(command: Any) -> None:
    assert decode_command(encode_command(command)) == command


@pytest.mark.parametrize("command", COMMANDS, ids=lambda each: each.name)
def test_pydicom_reads_a_command_set_alike(command: Any) -> None:
    from io import BytesIO

    from pydicom.filereader import read_dataset

    found = read_dataset(BytesIO(encode_command(command)), True, True)
    assert found.CommandField == command.field
    assert found.CommandGroupLength == len(encode_command(command)) - 12
    assert (found.CommandDataSetType != 0x0101) == command.has_data
    number = "MessageIDBeingRespondedTo" if command.is_response or command.field == 0xFFF else "MessageID"
    assert found[number].value == command.message_id
    requested = "RequestedSOPClassUID" if command.field == Field.N_ACTION else "AffectedSOPClassUID"
    assert found.get(requested) == command.sop_class
    if command.status is not None:
        assert found.Status == command.status


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "without Command Field"),
        (b"\0\0\0\1\2\0\0\0", "at most"),
        (b"\0\0\0\1\2\0", "cut within"),
        (b"\0\0\0\1\1\0\0\0\x30", "1 bytes"),
        (b"\x08\0\0\1\2\0\0\0\x30\0", "group 0000"),
        (b"\0\0\0\1\2\0\0\0\x30\0" * 2, "after"),
        (b"\0\0\0\1\2\0\0\0\x30\0\0\0\0\x08\2\0\0\0\1\1", "Message ID"),
    ],
)
def test_a_command_set_that_is_none_is_an_error(content: bytes, says: str) -> None:
    with pytest.raises(DimseError, match=says):
        decode_command(content)


@given(
    st.binary(max_size=500),
    st.lists(st.integers(1, 60), max_size=30),
    st.integers(7, 200),
    st.lists(st.integers(1, 100), max_size=5),
)
def test_a_message_arrives_whatever_the_pieces(
    data: bytes, sizes: list[int], max_pdu: int, cuts: list[int]
) -> None:
    us, them = pair(peer_pdu=max_pdu)
    command = Command(Field.C_STORE, 7, True, CT, "1.2.3.4", priority=0)
    pieces, position = [], 0
    for cut in [*cuts, len(data)]:
        pieces.append(data[position : position + cut])
        position += cut
    sent = message(us, 3, command, pieces)
    assert taken(them, sent, sizes) == [CommandReceived(them.contexts[3], command), data]


def test_no_pdu_is_longer_than_the_peer_takes() -> None:
    us, _them = pair(peer_pdu=4096)
    sent = message(us, 3, Command(Field.C_STORE, 1, True, CT, "1.2"), [bytes(100_000)])
    position = 0
    while position < len(sent):
        (length,) = struct.unpack_from(">I", sent, position + 2)
        assert length <= 4096
        position += 6 + length
    assert position == len(sent)


def test_release_and_the_collision_of_two_releases() -> None:
    us, them = pair()
    (asked,) = them.receive(us.release())
    assert asked == ReleaseRequest()
    assert [*us.receive(them.reply_release())] == [ReleaseReply()]
    assert us.state is them.state is State.CLOSED
    us, them = pair()
    ours, others = us.release(), them.release()
    assert [*us.receive(others)] == [*them.receive(ours)] == [ReleaseRequest()]
    reply = us.reply_release()
    assert us.state is State.RELEASING
    assert [*them.receive(b"")] == []
    assert [*us.receive(them.reply_release())] == [ReleaseReply()]
    assert us.state is State.CLOSED
    assert reply == encode(ReleaseReply())


def data_pdu(context: int, control: int, content: bytes) -> bytes:
    return struct.pack(">BxIIBB", 4, len(content) + 6, len(content) + 2, context, control) + content


ECHO = encode_command(Command(Field.C_ECHO, 1, sop_class=VERIFICATION))
STORE = encode_command(Command(Field.C_STORE, 1, True, CT, "1.2"))


@pytest.mark.parametrize(
    ("sent", "says", "reason"),
    [
        (b"\x00\x00\0\0\0\4....", "type 0x00", 1),
        (b"\x09\x00\0\0\0\4....", "type 0x09", 1),
        (encode(REQUEST), "while ESTABLISHED", 2),
        (encode(ReleaseReply()), "while ESTABLISHED", 2),
        (b"\x04\0\xff\xff\xff\xff", "at most", 6),
        (b"\x04\0\0\0\0\2..", "of 2 bytes", 6),
        (b"\x05\0\0\0\0\5.....", "of 5 bytes", 6),
        (b"\x04\0\0\0\0\6" + struct.pack(">IBB", 9, 1, 3), "PDV of 9", 6),
        (b"\x04\0\0\0\0\6" + struct.pack(">IBB", 1, 1, 3), "PDV of 1", 6),
        (b"\x04\0\0\0\0\x09" + struct.pack(">IBB", 2, 1, 1) + b"abc", "filling", 6),
        (data_pdu(5, 3, ECHO), "context 5", 6),
        (data_pdu(1, 2, ECHO), "without a command", 2),
        (data_pdu(3, 3, STORE) + data_pdu(3, 3, STORE), "within a data set", 2),
        (data_pdu(3, 3, STORE) + data_pdu(1, 2, b"abcd"), "two presentation contexts", 6),
        (data_pdu(1, 1, ECHO[:9]) + data_pdu(3, 3, ECHO[9:]), "two presentation contexts", 6),
        (data_pdu(3, 3, STORE) + data_pdu(3, 0, b"ab") + encode(ReleaseRequest()), "within a message", 2),
        (data_pdu(1, 1, bytes(9000)) * 8, "command set of more than", 6),
    ],
)
def test_what_breaks_the_protocol_is_an_abort_with_its_reason(sent: bytes, says: str, reason: int) -> None:
    _, them = pair()
    with pytest.raises(DimseError, match=says) as caught:
        taken(them, sent)
    assert decode(7, them.failure(caught.value)[6:]) == Abort(2, reason)
    assert them.state is State.CLOSED
    assert taken(them, data_pdu(1, 3, ECHO)) == []


def test_data_before_an_association_and_an_accept_of_what_was_not_proposed() -> None:
    with pytest.raises(DimseError, match="while IDLE"):
        taken(Association(), data_pdu(1, 3, ECHO))
    for results, says in [
        ((ContextResult(5, 0, IMPLICIT),), "not proposed"),
        ((ContextResult(1, 0, EXPLICIT),), "not proposed"),
    ]:
        us = Association()
        us.request(REQUEST)
        with pytest.raises(DimseError, match=says):
            taken(us, encode(AssociateAccept("PACS", "ME", results)))


def test_nothing_is_sent_in_the_wrong_state() -> None:
    us = Association()
    with pytest.raises(DimseError, match="IDLE"):
        us.release()
    us.request(REQUEST)
    with pytest.raises(DimseError, match="REQUESTED"):
        us.request(REQUEST)


def test_an_acceptor_says_why_it_refuses() -> None:
    accept = everything(titles={"PACS"}, callers={"ME"})
    assert isinstance(accept.reply(REQUEST), AssociateAccept)
    assert everything(titles={"OTHER"}).reply(REQUEST) == AssociateReject(1, 1, 7)
    assert everything(callers={"OTHER"}).reply(REQUEST) == AssociateReject(1, 1, 3)
    only = Acceptance(frozenset(), frozenset(), lambda uid: [EXPLICIT] if uid == CT else [], is_storage)
    reply = only.reply(REQUEST)
    assert isinstance(reply, AssociateAccept)
    assert reply.results == (ContextResult(1, pdus.ABSTRACT_SYNTAX_REFUSED), ContextResult(3, 0, EXPLICIT))
    assert reply.user.roles == (RoleSelection(CT, False, True),)
    strange = everything(syntaxes=(JPEG_LS,)).reply(REQUEST)
    assert isinstance(strange, AssociateAccept)
    assert {each.result for each in strange.results} == {pdus.TRANSFER_SYNTAXES_REFUSED}


def test_implicit_is_taken_only_where_nothing_else_is_offered() -> None:
    request = AssociateRequest("A", "B", (ProposedContext(1, CT, (IMPLICIT, JPEG_LS, EXPLICIT)),))
    reply = everything(syntaxes=(IMPLICIT, EXPLICIT, JPEG_LS)).reply(request)
    assert isinstance(reply, AssociateAccept)
    assert reply.results[0].transfer_syntax == JPEG_LS


def test_each_kind_has_a_context_and_each_class_an_uncompressed_one() -> None:
    pairs = storage_pairs([(CT, JPEG_LS), (CT, EXPLICIT), (CT, JPEG_LS)])
    assert pairs == [(CT, (JPEG_LS,)), (CT, (EXPLICIT,)), (CT, (IMPLICIT,))]
    assert storage_pairs([(CT, JPEG_LS)]) == [(CT, (JPEG_LS,)), (CT, (EXPLICIT, IMPLICIT))]
    assert storage_pairs([(CT, IMPLICIT)]) == [(CT, (IMPLICIT,))]
    assert [each.id for each in proposed(pairs)] == [1, 3, 5]


def test_more_kinds_than_an_association_holds_are_split() -> None:
    kinds = [(f"1.2.{number}", JPEG_LS) for number in range(200)]
    groups = list(split(kinds))
    assert sorted(kind for group in groups for kind in group) == sorted(kinds)
    assert all(len(storage_pairs(group)) <= 128 for group in groups)


def test_statuses_mean_what_the_standard_says() -> None:
    told = {0: "success", 0xFF00: "pending", 0xFF01: "pending", 0xFE00: "cancel", 0xB000: "warning",
            0xB007: "warning", 0xA700: "failure", 0xA801: "failure", 0xC123: "failure", 0x0122: "failure"}  # fmt: skip
    assert {status: kind_of(status) for status in told} == told


def test_a_title_is_what_the_standard_lets_it_be() -> None:
    assert pdus.ae_title("ME") == b"ME" + b" " * 14
    for wrong in ("", " ", "A" * 17, "Ä", "A\\B", "A\nB"):
        with pytest.raises(DimseError, match="AE title"):
            pdus.ae_title(wrong)
