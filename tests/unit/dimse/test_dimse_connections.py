"""Connections that go wrong, on either side: all ends in an error of ours and spoils nothing else."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from hounsfield.dimse.acceptor import Acceptor, Limits, listen
from hounsfield.dimse.association import Association
from hounsfield.dimse.client import Sendable, echo, find, store
from hounsfield.dimse.commands import Command, Field, encode_command
from hounsfield.dimse.connection import Connection
from hounsfield.dimse.identifiers import encode_identifier, identifier
from hounsfield.dimse.negotiation import EXPLICIT, IMPLICIT, UNCOMPRESSED, Acceptance
from hounsfield.dimse.part10 import file_start, stray_bytes
from hounsfield.dimse.pdus import Abort, AssociateRequest, ProposedContext, encode
from hounsfield.dimse.receiving import FileSink, ReceivedFile, take_store
from hounsfield.dimse.requestor import Peer, Timeouts
from hounsfield.dimse.retrieving import get
from hounsfield.dimse.services import STUDY_ROOT, VERIFICATION, is_storage
from hounsfield.errors import DimseError

CT = "1.2.840.10008.5.1.4.1.1.2"
ACCEPTANCE = Acceptance(frozenset(), frozenset(), lambda _: UNCOMPRESSED, is_storage)
PLAIN = Limits()
SHORT = Timeouts(response=5, store=5, pending=5)


def data_pdu(context: int, control: int, content: bytes) -> bytes:
    return struct.pack(">BxIIBB", 4, len(content) + 6, len(content) + 2, context, control) + content


@contextmanager
def serving(serve: Callable[..., None], limits: Limits = PLAIN) -> Iterator[tuple[Acceptor, Peer]]:
    listener = listen("127.0.0.1", 0)
    port = listener.getsockname()[1]
    acceptor = Acceptor(listener, lambda request, _: ACCEPTANCE.reply(request), serve, limits)
    acceptor.start()
    try:
        yield acceptor, Peer("127.0.0.1", port, "PACS", timeouts=SHORT)
    finally:
        acceptor.stop()


def echoing(accepted: Any, received: Any) -> None:
    accepted.connection.data(received.command, 5)
    accepted.connection.write(received.context, received.command.response(0))


def asked(syntax: str) -> bytes:
    return encode_identifier(identifier("STUDY", {"StudyInstanceUID": "1.2"}), syntax)


def instance(content: bytes = b"ab" * 100, uid: str = "1.2.3") -> Sendable:
    return Sendable("an instance", CT, uid, EXPLICIT, lambda: [content])


def never(instance: Any, syntaxes: Any) -> None:
    raise AssertionError("nothing is to be recoded")


def test_a_response_to_something_else_ends_a_search() -> None:
    def serve(accepted: Any, received: Any) -> None:
        accepted.connection.data(received.command, 5)
        other = Command(received.command.field, received.command.message_id + 1, sop_class=STUDY_ROOT.find)
        accepted.connection.write(received.context, other.response(0))

    with serving(serve) as (_, peer), pytest.raises(DimseError, match="to message 2"):
        list(find(peer, STUDY_ROOT.find, asked))


def test_a_failed_search_has_the_peers_words() -> None:
    def serve(accepted: Any, received: Any) -> None:
        accepted.connection.data(received.command, 5)
        reply = received.command.response(0xA700, comment="too many")
        accepted.connection.write(received.context, reply)

    with (
        serving(serve) as (_, peer),
        pytest.raises(DimseError, match=r"out of resources .0xA700, 'too many'"),
    ):
        list(find(peer, STUDY_ROOT.find, asked))


def test_an_abort_in_the_middle_of_a_search() -> None:
    def serve(accepted: Any, received: Any) -> None:
        accepted.connection.data(received.command, 5)
        pending = received.command.response(0xFF00, has_data=True)
        accepted.connection.write(received.context, pending, [asked(received.context.transfer_syntax)])
        accepted.connection.send(encode(Abort(2, 6)))

    with serving(serve) as (_, peer):
        found = find(peer, STUDY_ROOT.find, asked)
        assert next(found).identifier
        with pytest.raises(DimseError, match="invalid PDU parameter value"):
            next(found)


def test_an_association_lost_while_storing_fails_one_and_the_rest_goes_on() -> None:
    count = itertools.count(1)

    def serve(accepted: Any, received: Any) -> None:
        for _ in accepted.connection.pieces(received.command, 5):
            pass
        if next(count) == 2:
            accepted.connection.close()
            raise DimseError("pulled out")
        accepted.connection.write(received.context, received.command.response(0))

    with serving(serve) as (_, peer):
        stored = list(store(peer, [instance(uid=f"1.2.{n}") for n in range(1, 6)], never))  # type: ignore[arg-type]
    assert [each.kind for each in stored] == ["success", None, "success", "success", "success"]
    # Which of the two depends on how much of what we sent had arrived when it closed.
    assert "closed the connection" in stored[1].reason or "connection lost" in stored[1].reason


def test_a_source_that_ends_early_is_never_stored_in_part(tmp_path: Path) -> None:
    received: list[ReceivedFile] = []
    number = itertools.count()
    sink = FileSink(lambda: tmp_path / f"{next(number)}", received.append)

    def torn() -> Iterator[bytes]:
        yield bytes(100_000)
        raise OSError("gone")

    def serve(accepted: Any, event: Any) -> None:
        take_store(accepted.connection, event, sink, 5)

    with serving(serve) as (_, peer):
        cut = Sendable("torn", CT, "1.2.4", EXPLICIT, torn)
        stored = list(store(peer, [instance(uid="1.2.1"), cut, instance(uid="1.2.3")], never))  # type: ignore[arg-type]
    assert [each.kind for each in stored] == ["success", None, "success"]
    assert "gone" in stored[1].reason
    assert [each.sop_instance for each in received] == ["1.2.1", "1.2.3"]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(each.path.name for each in received)


def test_a_get_whose_peer_vanishes_leaves_no_half_file(tmp_path: Path) -> None:
    def serve(accepted: Any, received: Any) -> None:
        accepted.connection.data(received.command, 5)
        context = next(
            each for each in accepted.connection.association.contexts.values() if each.sop_class == CT
        )
        command = Command(Field.C_STORE, 1, True, CT, "1.2.3", priority=0)
        whole = [bytes(each) for page in accepted.connection.association.send(context, command, [bytes(90_000)])
                 for each in page]  # fmt: skip
        accepted.connection.send(b"".join(whole)[:50_000])
        accepted.connection.close()
        raise DimseError("pulled out")

    with serving(serve) as (_, peer), pytest.raises(DimseError, match=r"closed the connection|lost"):
        list(get(peer, STUDY_ROOT.get, asked, lambda: tmp_path / "x", sop_classes=[CT], syntaxes=[EXPLICIT]))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a700_and_the_association_goes_on(tmp_path: Path) -> None:
    received: list[ReceivedFile] = []
    paths = iter([tmp_path / "no" / "folder", tmp_path / "fine"])
    sink = FileSink(lambda: next(paths), received.append)
    with serving(lambda accepted, event: take_store(accepted.connection, event, sink, 5) and None) as (  # type: ignore[arg-type]
        _,
        peer,
    ):
        stored = list(store(peer, [instance(uid="1.2.1"), instance(uid="1.2.2")], never))  # type: ignore[arg-type]
    assert [each.status for each in stored] == [0xA700, 0]
    assert [each.sop_instance for each in received] == ["1.2.2"]


def raw(peer: Peer) -> tuple[socket.socket, bytes]:
    """A socket to a peer, and a proposal for it."""
    request = AssociateRequest("PACS", "ME", (ProposedContext(1, VERIFICATION, (IMPLICIT,)),))
    return socket.create_connection((peer.host, peer.port)), Association().request(request)


def said(sock: socket.socket) -> bytes:
    """All that comes until the other side closes."""
    sock.settimeout(5)
    content = b""
    while piece := sock.recv(65536):
        content += piece
    sock.close()
    return content


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1),
        (data_pdu(1, 3, b"abc"), 2),
        (b"\x01\0\xff\xff\xff\xff", 6),
        (encode(Abort())[:1] + b"\0\0\0\0\x05.....", 6),
    ],
)
def test_what_is_no_association_is_aborted_with_its_reason(sent: bytes, reason: int) -> None:
    with serving(echoing) as (_, peer):
        sock, _ = raw(peer)
        sock.sendall(sent)
        assert said(sock) == encode(Abort(2, reason))
        echo(peer)


def test_slow_and_silent_peers_are_given_up_and_disturb_nobody() -> None:
    with serving(echoing, Limits(artim=0.5, idle=0.5)) as (acceptor, peer):
        silent, _ = raw(peer)
        dribbling, request = raw(peer)
        idle, _ = raw(peer)
        idle.sendall(request)

        def dribble() -> None:
            try:
                for byte in request:
                    dribbling.sendall(bytes([byte]))
                    time.sleep(0.05)
            except OSError:
                return

        thread = threading.Thread(target=dribble)
        thread.start()
        echo(peer)
        assert said(silent)[:1] == b"\x07"
        assert said(dribbling)[:1] in {b"\x07", b""}
        answer = said(idle)
        assert answer[:1] == b"\x02"
        assert answer.endswith(encode(Abort()))
        thread.join()
        end = time.monotonic() + 5
        while acceptor.associations and time.monotonic() < end:
            time.sleep(0.01)
        assert acceptor.associations == 0


def test_more_associations_than_the_limit_are_rejected_for_now() -> None:
    with serving(echoing, Limits(associations=1)) as (_, peer):
        sock, request = raw(peer)
        sock.sendall(request)
        assert sock.recv(1) == b"\x02"
        with pytest.raises(DimseError, match="limit of associations exceeded") as caught:
            echo(peer)
        assert caught.value.data["transient"]
        sock.close()
        end = time.monotonic() + 5
        while time.monotonic() < end:
            try:
                echo(peer)
                return
            except DimseError:
                time.sleep(0.02)
        raise AssertionError("the closed association still counts")


def test_a_bug_in_a_service_aborts_its_association_alone() -> None:
    def serve(accepted: Any, received: Any) -> None:
        if received.command.message_id == 7:
            raise ValueError("a bug")
        echoing(accepted, received)

    with serving(serve) as (_, peer):
        sock, request = raw(peer)
        command = encode_command(Command(Field.C_ECHO, 7, sop_class=VERIFICATION))
        sock.sendall(request)
        assert sock.recv(65536)[:1] == b"\x02"
        sock.sendall(data_pdu(1, 3, command))
        assert said(sock) == encode(Abort())
        echo(peer)


def test_a_stop_ends_what_is_open() -> None:
    with serving(echoing) as (acceptor, peer):
        sock, request = raw(peer)
        sock.sendall(request)
        assert sock.recv(65536)[:1] == b"\x02"
        acceptor.stop()
        said(sock)
        with pytest.raises(DimseError, match="nothing listens there"):
            echo(peer)


def test_tls_wanted_and_not_spoken() -> None:
    import ssl

    context = ssl.create_default_context()
    with serving(echoing) as (_, peer), pytest.raises(DimseError, match="TLS"):
        echo(Peer(peer.host, peer.port, "PACS", tls=context))


META = struct.pack("<HH2sH", 2, 0x10, b"UI", 20) + EXPLICIT.encode() + b"\0"
ELEMENT_EXPLICIT = struct.pack("<HH2sH", 8, 0x18, b"UI", 4) + b"1.2\0"
ELEMENT_IMPLICIT = struct.pack("<HHI", 8, 0x18, 4) + b"1.2\0"


@pytest.mark.parametrize(
    ("start", "implicit", "stray"),
    [
        (ELEMENT_EXPLICIT, False, 0),
        (ELEMENT_IMPLICIT, True, 0),
        (META + ELEMENT_EXPLICIT, False, len(META)),
        (META + ELEMENT_IMPLICIT, True, len(META)),
        (struct.pack("<HHI", 2, 0x10, 4) + b"1.2\0" + ELEMENT_IMPLICIT, True, 12),
        (bytes(128) + b"DICM" + META + ELEMENT_EXPLICIT, False, 132 + len(META)),
        (file_start(CT, "1.2", EXPLICIT) + ELEMENT_EXPLICIT, False, len(file_start(CT, "1.2", EXPLICIT))),
        (struct.pack("<HH2sH", 2, 0x10, b"UI", 65000) + ELEMENT_EXPLICIT, False, 0),
        (b"", False, 0),
        (b"\x02\0", True, 0),
    ],
)
def test_a_meta_group_within_a_data_set_is_left_out(start: bytes, implicit: bool, stray: int) -> None:
    assert stray_bytes(start, implicit=implicit) == stray


def test_a_connection_reads_what_came_before_it_broke() -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX)
    theirs.close()
    ours.close()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = socket.create_connection(listener.getsockname())
        two, _ = listener.accept()
        association = Association()
        connection = Connection(one, association, "peer")
        connection.send(
            association.request(AssociateRequest("A", "B", (ProposedContext(1, CT, (EXPLICIT,)),)))
        )
        two.sendall(encode(Abort(2, 2)))
        two.close()
        with pytest.raises(DimseError, match="unexpected PDU"):
            connection.next(5)


def test_paths_of_received_files_are_the_callers(tmp_path: Path) -> None:
    received: list[ReceivedFile] = []
    sink = FileSink(lambda: tmp_path / "here", received.append)
    with serving(lambda accepted, event: take_store(accepted.connection, event, sink, 5) and None) as (  # type: ignore[arg-type]
        _,
        peer,
    ):
        list(store(peer, [instance(ELEMENT_EXPLICIT)], never))  # type: ignore[arg-type]
    [found] = received
    content = found.path.read_bytes()
    assert content == file_start(CT, "1.2.3", EXPLICIT) + ELEMENT_EXPLICIT
    assert found.size == len(content)
