"""Entry points of children's programs (`launch`): never imported by a process that must live."""

from __future__ import annotations

import gc
import os
import socket
import struct
from multiprocessing.connection import Client, Connection

from hounsfield.codecs.isolation.arena import Arena
from hounsfield.codecs.isolation.child import Work, prepare, serve


def fork_at_request(work: str, descriptor: str) -> None:
    """Fork a child for each pair of descriptors that comes (connection, arena); reap the one whose PID comes."""
    operations = prepare(work)
    gc.freeze()
    with socket.socket(fileno=int(descriptor)) as control:
        while True:
            request, given, _, _ = socket.recv_fds(control, 4, 2)
            if not request:
                os._exit(0)  # the parent is gone, or needs no more children
            (pid,) = struct.unpack("<i", request)
            answer = _forked(control, given, operations) if given else _reaped(pid)
            control.sendall(struct.pack("<i", answer))


def _forked(control: socket.socket, given: list[int], operations: dict[str, Work]) -> int:
    try:
        pid = os.fork()
    except OSError as error:
        pid = -(error.errno or 1)
    if pid == 0:
        code = 1
        try:
            control.close()
            serve(Connection(given[0]), Arena(given[1], "", is_owner=False), operations)
            code = 0
        finally:
            os._exit(code)
    for each in given:
        os.close(each)
    return pid


def _reaped(pid: int) -> int:
    try:
        return os.waitpid(pid, 0)[1]
    except OSError as error:
        return -(error.errno or 1)


def serve_inherited(work: str, connection: str, arena: str) -> None:
    """One child, by descriptors that it has from its parent."""
    serve(Connection(int(connection)), Arena(int(arena), "", is_owner=False), prepare(work))


def serve_address(work: str, address: str, key: str, tag: str) -> None:
    """One child that calls its parent: Windows passes no sockets on."""
    with Client(address, authkey=bytes.fromhex(key)) as connection:
        serve(connection, Arena(None, tag, is_owner=False), prepare(work))
