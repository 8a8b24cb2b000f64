"""Command sets (PS3.7 section 9.3, 10.3 and annex E): values to bytes and back; group 0000 in implicit little endian.

Strict where a peer could be misunderstood: an element of another group, a value of another length, a length that
lies or elements out of order make a `DimseError`. Elements of group 0000 that have no place here are skipped.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from hounsfield.dimse.pdus import broken

MAX_COMMAND = 64 * 1024
"""Bytes of a command set: more than any has."""

NO_DATA = 0x0101
"""Command Data Set Type of a message without a data set."""

_RESPONSE = 0x8000
_ELEMENT = struct.Struct("<HHI")
_SHORT = struct.Struct("<H")


class Field(IntEnum):
    """Command Field of the requests (PS3.7 E.1); a response has the highest bit set."""

    C_STORE = 0x0001
    C_GET = 0x0010
    C_FIND = 0x0020
    C_MOVE = 0x0021
    C_ECHO = 0x0030
    N_EVENT_REPORT = 0x0100
    N_ACTION = 0x0130
    C_CANCEL = 0x0FFF


@dataclass(frozen=True, slots=True)
class Command:
    """One command set; None where the element is absent.

    `sop_class` and `sop_instance` are the affected ones, of an N-ACTION request the requested ones. `message_id` is
    Message ID, of a response or C-CANCEL Message ID Being Responded To.
    """

    field: int
    message_id: int
    has_data: bool = False
    sop_class: str | None = None
    sop_instance: str | None = None
    status: int | None = None
    priority: int | None = None
    destination: str | None = None
    originator: str | None = None
    originator_id: int | None = None
    event_type: int | None = None
    action_type: int | None = None
    remaining: int | None = None
    completed: int | None = None
    failed: int | None = None
    warned: int | None = None
    comment: str | None = None

    @property
    def is_response(self) -> bool:
        return bool(self.field & _RESPONSE)

    @property
    def name(self) -> str:
        """`C-STORE request`, as a person reads it."""
        try:
            text = Field(self.field & ~_RESPONSE).name.replace("_", "-", 1).replace("_", " ")
        except ValueError:
            text = f"command 0x{self.field:04X}"
        return f"{text} {'response' if self.is_response else 'request'}"

    def response(self, status: int, *, has_data: bool = False, **others: int | str | None) -> Command:
        """The response to this request, about the same SOP class and instance."""
        return Command(
            self.field | _RESPONSE,
            self.message_id,
            has_data,
            self.sop_class,
            self.sop_instance,
            status,
            **others,  # type: ignore[arg-type]
        )


_FIELD, _MESSAGE_ID, _RESPONDED_TO, _DATA_TYPE = 0x0100, 0x0110, 0x0120, 0x0800
_ELEMENTS: dict[int, tuple[str, str]] = {
    0x0002: ("sop_class", "UI"),
    0x0003: ("sop_class", "UI"),
    0x0600: ("destination", "AE"),
    0x0700: ("priority", "US"),
    0x0900: ("status", "US"),
    0x0902: ("comment", "LO"),
    0x1000: ("sop_instance", "UI"),
    0x1001: ("sop_instance", "UI"),
    0x1002: ("event_type", "US"),
    0x1008: ("action_type", "US"),
    0x1020: ("remaining", "US"),
    0x1021: ("completed", "US"),
    0x1022: ("failed", "US"),
    0x1023: ("warned", "US"),
    0x1030: ("originator", "AE"),
    0x1031: ("originator_id", "US"),
}
_REQUESTED = frozenset({0x0003, 0x1001})
_AFFECTED = frozenset({0x0002, 0x1000})


@lru_cache(maxsize=64)
def encode_command(command: Command) -> bytes:
    """The bytes of a command set, its group length first."""
    number = _SHORT.pack(command.message_id)
    found = {
        _FIELD: _SHORT.pack(command.field),
        _RESPONDED_TO if command.is_response or command.field == Field.C_CANCEL else _MESSAGE_ID: number,
        _DATA_TYPE: _SHORT.pack(0x0001 if command.has_data else NO_DATA),
    }
    # PS3.7 10.3.5: only the N-ACTION request speaks of requested, all others of affected SOPs.
    left_out = _AFFECTED if command.field == Field.N_ACTION else _REQUESTED
    for element, (name, vr) in _ELEMENTS.items():
        value = getattr(command, name)
        if value is not None and element not in left_out:
            found[element] = _written(value, vr)
    content = b"".join(_ELEMENT.pack(0, each, len(found[each])) + found[each] for each in sorted(found))
    return _ELEMENT.pack(0, 0, 4) + struct.pack("<I", len(content)) + content


def decode_command(content: bytes) -> Command:
    """The command set that `content` is; `DimseError` for what is none."""
    values: dict[str, int | str] = {}
    numbers: dict[int, int] = {}
    for element, value in _elements(content):
        if element in {_FIELD, _MESSAGE_ID, _RESPONDED_TO, _DATA_TYPE}:
            numbers[element] = _short(element, value)
        elif element in _ELEMENTS:
            name, vr = _ELEMENTS[element]
            values[name] = _short(element, value) if vr == "US" else _text(value)
    field = numbers.get(_FIELD)
    if field is None or _DATA_TYPE not in numbers:
        raise broken("a command set without Command Field or Command Data Set Type")
    is_answer = bool(field & _RESPONSE) or field == Field.C_CANCEL
    message_id = numbers.get(_RESPONDED_TO if is_answer else _MESSAGE_ID)
    if message_id is None:
        raise broken("a command set without its Message ID")
    if field & _RESPONSE and "status" not in values:
        raise broken("a response without Status")
    return Command(field, message_id, numbers[_DATA_TYPE] != NO_DATA, **values)  # type: ignore[arg-type]


def _elements(content: bytes) -> Iterator[tuple[int, bytes]]:
    position, before = 0, -1
    while position < len(content):
        if len(content) - position < _ELEMENT.size:
            raise broken("a command set cut within an element")
        group, element, length = _ELEMENT.unpack_from(content, position)
        position += _ELEMENT.size
        if group != 0:
            raise broken(f"({group:04X},{element:04X}) in a command set", expected="group 0000")
        if element <= before:
            raise broken(f"(0000,{element:04X}) after (0000,{before:04X}) in a command set")
        if length > len(content) - position:
            raise broken(
                f"(0000,{element:04X}) of {length} bytes", expected=f"{len(content) - position} at most"
            )
        yield element, content[position : position + length]
        position, before = position + length, element


def _short(element: int, value: bytes) -> int:
    if len(value) != 2:
        raise broken(f"(0000,{element:04X}) of {len(value)} bytes", expected="2")
    return int(_SHORT.unpack(value)[0])


def _text(value: bytes) -> str:
    return value.rstrip(b"\0 ").lstrip(b" ").decode("ascii", "replace")


def _written(value: int | str, vr: str) -> bytes:
    if isinstance(value, int):
        return _SHORT.pack(value)
    text = value.encode("ascii", "replace")[:64]
    return text + (b"\0" if vr == "UI" else b" ") * (len(text) % 2)
