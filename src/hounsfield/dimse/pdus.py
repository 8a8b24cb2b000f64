"""Protocol data units of the DICOM upper layer (PS3.8 9.3), as values: written to bytes, read from bytes.

P-DATA-TF is not here: its contents are passed on in pieces by `association`. Lengths are checked at every level, and
items of unknown kind are skipped, as 9.3.1 wants it. Whatever bytes come in, a value or a `DimseError` comes out.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from hounsfield.errors import DimseError
from hounsfield.language import say

APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
IMPLEMENTATION_CLASS = "2.25.237312217405937154712104963571902634013"
IMPLEMENTATION_VERSION = "HOUNSFIELD_1"

ASSOCIATE_RQ, ASSOCIATE_AC, ASSOCIATE_RJ, DATA_TF, RELEASE_RQ, RELEASE_RP, ABORT = range(1, 8)

UNRECOGNISED_PDU, UNEXPECTED_PDU, UNEXPECTED_PARAMETER, INVALID_PARAMETER = 1, 2, 5, 6
"""Reasons of an A-ABORT by the provider (PS3.8 table 9-26)."""

ACCEPTED, REJECTED_BY_USER, NO_REASON, ABSTRACT_SYNTAX_REFUSED, TRANSFER_SYNTAXES_REFUSED = range(5)
"""Results of a presentation context (PS3.8 table 9-18)."""

MAX_CONTEXTS = 128
"""Presentation contexts in an association: their identifiers are the odd numbers of one byte."""

_UID = re.compile(rb"[0-9.]{1,64}")
_ITEM = struct.Struct(">BxH")
_HEADER = struct.Struct(">BxI")
_FIXED = struct.Struct(">H2x16s16s32x")


@dataclass(frozen=True, slots=True)
class ProposedContext:
    """A presentation context as proposed: one abstract syntax (SOP class) in any of several transfer syntaxes."""

    id: int
    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ContextResult:
    """The acceptor's result for one context; `transfer_syntax` means nothing unless `result` is 0."""

    id: int
    result: int
    transfer_syntax: str = ""


@dataclass(frozen=True, slots=True)
class RoleSelection:
    """The roles of a requestor: whether it may be SCU and SCP of a SOP class (PS3.7 D.3.3.4)."""

    sop_class: str
    scu: bool
    scp: bool


@dataclass(frozen=True, slots=True)
class UserIdentity:
    """The identity of a requestor (PS3.7 D.3.3.7). `kind`: 1 user name, 2 with passcode, 3 Kerberos, 4 SAML, 5 JSON
    web token.
    """

    kind: int
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)
    wants_response: bool = False


@dataclass(frozen=True, slots=True)
class UserInformation:
    """The user information item (PS3.8 9.3.2.3, PS3.7 D.3.3). `max_length` of P-DATA-TF, in bytes; 0: no limit."""

    max_length: int = 16384
    implementation_class: str = IMPLEMENTATION_CLASS
    implementation_version: str = IMPLEMENTATION_VERSION
    roles: tuple[RoleSelection, ...] = ()
    identity: UserIdentity | None = None
    identity_response: bytes | None = None


@dataclass(frozen=True, slots=True)
class AssociateRequest:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2)."""

    called: str
    calling: str
    contexts: tuple[ProposedContext, ...]
    user: UserInformation = UserInformation()
    application_context: str = APPLICATION_CONTEXT
    protocol_version: int = 1


@dataclass(frozen=True, slots=True)
class AssociateAccept:
    """A-ASSOCIATE-AC (PS3.8 9.3.3); the AE titles are the request's, sent back."""

    called: str
    calling: str
    results: tuple[ContextResult, ...]
    user: UserInformation = UserInformation()
    application_context: str = APPLICATION_CONTEXT


@dataclass(frozen=True, slots=True)
class AssociateReject:
    """A-ASSOCIATE-RJ (PS3.8 9.3.4). `result`: 1 permanent, 2 transient."""

    result: int
    source: int
    reason: int


@dataclass(frozen=True, slots=True)
class ReleaseRequest:
    """A-RELEASE-RQ."""


@dataclass(frozen=True, slots=True)
class ReleaseReply:
    """A-RELEASE-RP."""


@dataclass(frozen=True, slots=True)
class Abort:
    """A-ABORT (PS3.8 9.3.8). `source`: 0 the peer's user, 2 its provider, which gives a `reason`."""

    source: int = 0
    reason: int = 0


Pdu = AssociateRequest | AssociateAccept | AssociateReject | ReleaseRequest | ReleaseReply | Abort


def encode(pdu: Pdu) -> bytes:
    """The bytes of a PDU, its header included."""
    match pdu:
        case AssociateRequest():
            contexts = b"".join(map(_proposed, pdu.contexts))
            return _pdu(ASSOCIATE_RQ, _associate(pdu, contexts))
        case AssociateAccept():
            results = b"".join(map(_resulting, pdu.results))
            return _pdu(ASSOCIATE_AC, _associate(pdu, results))
        case AssociateReject():
            return _pdu(ASSOCIATE_RJ, bytes((0, pdu.result, pdu.source, pdu.reason)))
        case ReleaseRequest():
            return _pdu(RELEASE_RQ, bytes(4))
        case ReleaseReply():
            return _pdu(RELEASE_RP, bytes(4))
        case Abort():
            return _pdu(ABORT, bytes((0, 0, pdu.source, pdu.reason)))


def decode(kind: int, content: bytes) -> Pdu:
    """The PDU of type `kind` that `content`, without the header, describes; a `DimseError` with `abort` if none."""
    if kind in {ASSOCIATE_RQ, ASSOCIATE_AC}:
        return _decode_associate(kind, content)
    if kind not in _SHORT:
        raise broken(f"a PDU of type 0x{kind:02X}", reason=UNRECOGNISED_PDU)
    if len(content) != 4:
        raise broken(f"a PDU of type {kind} with {len(content)} bytes", expected="4 bytes")
    if kind == ASSOCIATE_RJ:
        return AssociateReject(*content[1:])
    if kind == ABORT:
        return Abort(*content[2:])
    return ReleaseRequest() if kind == RELEASE_RQ else ReleaseReply()


_SHORT = frozenset({ASSOCIATE_RJ, RELEASE_RQ, RELEASE_RP, ABORT})


def broken(found: str, *, expected: str | None = None, reason: int = INVALID_PARAMETER) -> DimseError:
    """The error for bytes that are not as PS3.8 wants them; `reason` is what an A-ABORT says of them."""
    return DimseError(found, expected=expected, abort=reason)


def ae_title(text: str) -> bytes:
    """An AE title as 16 bytes (PS3.5 6.2 AE); `DimseError` for what cannot be one."""
    encoded = text.strip(" ").encode("ascii", "replace")
    if not 1 <= len(encoded) <= 16 or not _is_title(encoded) or not text.isascii():
        raise DimseError(
            say("{text} is no AE title", text=repr(text[:64])),
            expected="1 to 16 characters of ASCII, no backslash",
        )
    return encoded.ljust(16)


def _is_title(encoded: bytes) -> bool:
    return all(32 <= each < 127 and each != 92 for each in encoded)


def _pdu(kind: int, content: bytes) -> bytes:
    return _HEADER.pack(kind, len(content)) + content


def _item(kind: int, content: bytes) -> bytes:
    if len(content) > 0xFFFF:
        raise DimseError(
            say("an item 0x{kind} of {count} bytes", kind=format(kind, "02X"), count=len(content)),
            expected="at most 65535",
        )
    return _ITEM.pack(kind, len(content)) + content


def _associate(pdu: AssociateRequest | AssociateAccept, contexts: bytes) -> bytes:
    version = pdu.protocol_version if isinstance(pdu, AssociateRequest) else 1
    return (
        _FIXED.pack(version, ae_title(pdu.called), ae_title(pdu.calling))
        + _item(0x10, pdu.application_context.encode("ascii"))
        + contexts
        + _item(0x50, _user(pdu.user))
    )


def _proposed(context: ProposedContext) -> bytes:
    syntaxes = b"".join(_item(0x40, each.encode("ascii")) for each in context.transfer_syntaxes)
    content = bytes((context.id, 0, 0, 0)) + _item(0x30, context.abstract_syntax.encode("ascii")) + syntaxes
    return _item(0x20, content)


def _resulting(context: ContextResult) -> bytes:
    content = bytes((context.id, 0, context.result, 0))
    return _item(0x21, content + _item(0x40, context.transfer_syntax.encode("ascii")))


def _user(user: UserInformation) -> bytes:
    items = [
        _item(0x51, struct.pack(">I", user.max_length)),
        _item(0x52, user.implementation_class.encode("ascii")),
    ]
    for role in user.roles:
        uid = role.sop_class.encode("ascii")
        items.append(_item(0x54, struct.pack(">H", len(uid)) + uid + bytes((role.scu, role.scp))))
    if user.implementation_version:
        items.append(_item(0x55, user.implementation_version.encode("ascii")[:16]))
    if user.identity is not None:
        given = user.identity
        content = bytes((given.kind, given.wants_response)) + _counted(given.primary)
        items.append(_item(0x58, content + _counted(given.secondary)))
    if user.identity_response is not None:
        items.append(_item(0x59, _counted(user.identity_response)))
    return b"".join(items)


def _counted(content: bytes) -> bytes:
    return struct.pack(">H", len(content)) + content


def _decode_associate(kind: int, content: bytes) -> AssociateRequest | AssociateAccept:
    if len(content) < _FIXED.size:
        raise broken(f"an A-ASSOCIATE of {len(content)} bytes", expected=f"at least {_FIXED.size}")
    version, called, calling = _FIXED.unpack_from(content)
    application, user = "", None
    contexts: list[bytes] = []
    for item, value in _items(content[_FIXED.size :]):
        if item == 0x10:
            application = _uid(value)
        elif item == (0x20 if kind == ASSOCIATE_RQ else 0x21):
            contexts.append(value)
        elif item == 0x50:
            user = _decode_user(value)
    if user is None or not application or not contexts:
        missing = "user information" if user is None else "contexts" if application else "application context"
        raise broken(f"an A-ASSOCIATE without {missing}")
    if len(contexts) > MAX_CONTEXTS:
        raise broken(f"{len(contexts)} presentation contexts", expected=f"at most {MAX_CONTEXTS}")
    if kind == ASSOCIATE_RQ:
        proposed = tuple(map(_decode_proposed, contexts))
        _refuse_repeated([each.id for each in proposed])
        return AssociateRequest(_title(called), _title(calling), proposed, user, application, version)
    results = tuple(map(_decode_result, contexts))
    _refuse_repeated([each.id for each in results])
    # The titles of an A-ASSOCIATE-AC are not to be tested (PS3.8 table 9-17).
    return AssociateAccept(_lenient(called), _lenient(calling), results, user, application)


def _refuse_repeated(ids: list[int]) -> None:
    if len(set(ids)) != len(ids):
        raise broken("two presentation contexts with one identifier")


def _items(content: bytes) -> Iterator[tuple[int, bytes]]:
    position = 0
    while position < len(content):
        if len(content) - position < _ITEM.size:
            raise broken("an item cut within its header")
        kind, length = _ITEM.unpack_from(content, position)
        position += _ITEM.size
        if length > len(content) - position:
            raise broken(
                f"item 0x{kind:02X} of {length} bytes", expected=f"at most {len(content) - position}"
            )
        yield kind, content[position : position + length]
        position += length


def _uid(value: bytes) -> str:
    stripped = value.rstrip(b"\0 ")
    if not _UID.fullmatch(stripped):
        raise broken(f"{value[:64]!r} where a UID belongs")
    return stripped.decode("ascii")


def _lenient(value: bytes) -> str:
    return value.strip(b"\0 ").decode("ascii", "replace")


def _title(value: bytes) -> str:
    stripped = value.strip(b"\0 ")
    if not stripped or not _is_title(stripped):
        raise broken(f"{value!r} where an AE title belongs")
    return stripped.decode("ascii")


def _context_id(value: bytes) -> int:
    if len(value) < 4 or value[0] % 2 == 0:
        raise broken("a presentation context without an odd identifier")
    return value[0]


def _decode_proposed(value: bytes) -> ProposedContext:
    number = _context_id(value)
    abstract, syntaxes = [], []
    for item, content in _items(value[4:]):
        if item == 0x30:
            abstract.append(_uid(content))
        elif item == 0x40:
            syntaxes.append(_uid(content))
    if len(abstract) != 1 or not syntaxes:
        raise broken(
            "a presentation context", expected="one abstract syntax and at least one transfer syntax"
        )
    return ProposedContext(number, abstract[0], tuple(dict.fromkeys(syntaxes)))


def _decode_result(value: bytes) -> ContextResult:
    number, result = _context_id(value), value[2]
    if result > TRANSFER_SYNTAXES_REFUSED:
        raise broken(f"result {result} of a presentation context", expected="0 to 4")
    if result != ACCEPTED:
        return ContextResult(number, result)  # what follows is not to be tested (PS3.8 table 9-18)
    syntaxes = [_uid(content) for item, content in _items(value[4:]) if item == 0x40]
    if len(syntaxes) != 1:
        raise broken(f"an accepted context with {len(syntaxes)} transfer syntaxes", expected="one")
    return ContextResult(number, result, syntaxes[0])


def _decode_user(value: bytes) -> UserInformation:
    max_length, class_uid, version = 0, "", ""
    roles: dict[str, RoleSelection] = {}
    identity, response = None, None
    for item, content in _items(value):
        if item == 0x51:
            (max_length,) = struct.unpack(">I", _exactly(content, 4))
        elif item == 0x52:
            class_uid = _lenient(content)
        elif item == 0x54:
            uid, rest = _counted_part(content)
            role = _exactly(rest, 2)
            roles[_uid(uid)] = RoleSelection(_uid(uid), bool(role[0]), bool(role[1]))
        elif item == 0x55:
            version = _lenient(content)
        elif item == 0x58:
            identity = _decode_identity(content)
        elif item == 0x59:
            response = _counted_part(content)[0]
    return UserInformation(max_length, class_uid, version, tuple(roles.values()), identity, response)


def _decode_identity(content: bytes) -> UserIdentity:
    if len(content) < 2:
        raise broken("a user identity item without its kind")
    primary, rest = _counted_part(content[2:])
    secondary, rest = _counted_part(rest)
    return UserIdentity(content[0], primary, secondary, bool(content[1]))


def _counted_part(content: bytes) -> tuple[bytes, bytes]:
    """A value with its length in two bytes before it, and what follows."""
    if len(content) < 2:
        raise broken("a value cut within its length")
    (length,) = struct.unpack_from(">H", content)
    if length > len(content) - 2:
        raise broken(f"a value of {length} bytes", expected=f"at most {len(content) - 2}")
    return content[2 : 2 + length], content[2 + length :]


def _exactly(content: bytes, length: int) -> bytes:
    if len(content) != length:
        raise broken(f"a value of {len(content)} bytes", expected=f"{length}")
    return content
