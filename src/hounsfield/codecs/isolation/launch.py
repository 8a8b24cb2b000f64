"""The launch of children: forked from a process that has one thread and every codec, or started one by one.

A process with threads must never be forked, and one of a pool of workers may have no children of `multiprocessing`.
So the first child is a program of its own, which forks the others at request in some milliseconds (Linux); elsewhere
each is such a program.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
from multiprocessing.connection import Connection, Listener
from typing import Protocol

from hounsfield.codecs.isolation.arena import Arena
from hounsfield.codecs.isolation.choice import VARIABLE

_KEPT_VARIABLES = (
    "PATH",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PYTHONHOME",
    "SYSTEMROOT",
    "TMPDIR",
    "TEMP",
)
"""Of the environment; credentials are not a decoder's to read."""

_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
_START = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from hounsfield.codecs.isolation.start import {0}; {0}(*sys.argv[2:])"
)
_END_SECONDS = 2.0
_MESSAGE_SECONDS = 30


class Child:
    """One child process, as its parent sees it."""

    def __init__(self, connection: Connection, arena: Arena, process: Process) -> None:
        self.connection, self.arena, self._process = connection, arena, process
        # That of a connection makes a selector at each call, which takes longer than small frames do.
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(connection.fileno(), select.POLLIN)

    def speaks_within(self, seconds: float) -> bool:
        """Return whether it sent something, or went away, within so many seconds."""
        if self._poll is None:
            return self.connection.poll(seconds)
        return bool(self._poll.poll(seconds * 1000))

    def end(self) -> int:
        """Kill it if need be: its exit code, negative for a signal, as `subprocess` has it."""
        code = self._process.end()
        self.abandon()
        return code

    def abandon(self) -> None:
        """Let go of it: it ends by itself when nobody speaks to it."""
        self.connection.close()
        self.arena.close()


class Process(Protocol):
    """The operations on a process that the pool needs."""

    def end(self) -> int: ...


class Launcher(Protocol):
    """Makes children; `close` ends what it needs for that."""

    def launch(self) -> Child:
        """A new child, ready or soon so. Raises `OSError`."""
        ...

    def close(self) -> None: ...

    def abandon(self) -> None:
        """Close what a process that was forked from the owner has of it."""
        ...


def launcher(work: str) -> Launcher:
    """The way of this system, to children that do what the module `work` says."""
    return Forking(work) if sys.platform == "linux" else Starting(work)


def _sockets() -> tuple[socket.socket, socket.socket]:
    """A pair of which ours never waits long for the rest of a message, or for room for one."""
    ours, theirs = socket.socketpair()
    for option in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
        ours.setsockopt(socket.SOL_SOCKET, option, struct.pack("@ll", _MESSAGE_SECONDS, 0))
    return ours, theirs


def _program(function: str, *arguments: str, descriptors: tuple[int, ...] = ()) -> subprocess.Popen[bytes]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return subprocess.Popen(  # noqa: S603 (this interpreter, with arguments made here)
        [sys.executable, "-c", _START.format(function), json.dumps(sys.path), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=kept | _ONE_THREAD | {VARIABLE: "never"},
        pass_fds=descriptors,
        start_new_session=True,  # so that a Ctrl-C is heard by the parent alone
    )


class Forking:
    """Children of a process of one thread, by a socket to it."""

    def __init__(self, work: str) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._program = _program(
                "fork_at_request", work, str(theirs.fileno()), descriptors=(theirs.fileno(),)
            )

    def launch(self) -> Child:
        arena = Arena.create()
        ours, theirs = _sockets()
        with theirs:
            try:
                assert arena.descriptor is not None
                socket.send_fds(self._socket, [b"\0" * 4], [theirs.fileno(), arena.descriptor])
                pid = self._answer()
            except OSError:
                ours.close()
                arena.close()
                raise
        return Child(Connection(ours.detach()), arena, _Forked(self, pid))

    def end(self, pid: int) -> int:
        # Nobody but the forking process may reap it, and it does so when asked: until then the PID is this child's.
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        try:
            self._socket.sendall(struct.pack("<i", pid))
            return os.waitstatus_to_exitcode(self._answer())
        except (OSError, ValueError):
            return -signal.SIGKILL

    def _answer(self) -> int:
        answer = self._socket.recv(4, socket.MSG_WAITALL)
        if len(answer) < 4:
            raise ConnectionResetError("the process that forks children is gone")
        (number,) = struct.unpack("<i", answer)
        if number < 0:
            raise OSError(-number, os.strerror(-number))
        return int(number)

    def close(self) -> None:
        self._socket.close()
        _ended(self._program)

    def abandon(self) -> None:
        self._socket.close()
        self._program.returncode = 0  # another process's child: not to be waited for here


class _Forked:
    def __init__(self, owner: Forking, pid: int) -> None:
        self._owner, self._pid = owner, pid

    def end(self) -> int:
        return self._owner.end(self._pid)


class Starting:
    """Children that are programs of their own."""

    def __init__(self, work: str) -> None:
        self._work = work

    def launch(self) -> Child:
        arena = Arena.create()
        if arena.descriptor is None:
            return self._by_address(arena)
        ours, theirs = _sockets()
        with theirs:
            given = (theirs.fileno(), arena.descriptor)
            program = _program("serve_inherited", self._work, *map(str, given), descriptors=given)
        return Child(Connection(ours.detach()), arena, _Started(program))

    def _by_address(self, arena: Arena) -> Child:
        key = os.urandom(32)
        with Listener(authkey=key) as listener:
            program = _program("serve_address", self._work, str(listener.address), key.hex(), arena.tag)
            return Child(listener.accept(), arena, _Started(program))

    def close(self) -> None: ...

    def abandon(self) -> None: ...


class _Started:
    def __init__(self, program: subprocess.Popen[bytes]) -> None:
        self._program = program

    def end(self) -> int:
        if self._program.poll() is None:
            self._program.kill()
        return self._program.wait()


def _ended(program: subprocess.Popen[bytes]) -> None:
    """Wait for a program that ends by itself, for a while."""
    try:
        program.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        program.kill()
        program.wait()
