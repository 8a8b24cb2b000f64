"""Meanings of the Status of a response (PS3.7 annex C, PS3.4 B.2.3, C.4, J.3), and of rejected associations.

Words for people; which status a provider gives is the provider's.
"""

from __future__ import annotations

from typing import Literal

from hounsfield.dimse.commands import Command
from hounsfield.dimse.pdus import Abort, AssociateReject

SUCCESS = 0x0000
CANCEL = 0xFE00
PENDING, PENDING_UNSUPPORTED = 0xFF00, 0xFF01
"""Pending; the second where optional keys were not matched (PS3.4 C.4.1.1.4)."""

NO_SUCH_SOP_CLASS, NO_SUCH_INSTANCE, DUPLICATE_INSTANCE = 0x0118, 0x0112, 0x0111
UNRECOGNISED_OPERATION, NO_SUCH_ACTION, PROCESSING_FAILURE = 0x0211, 0x0123, 0x0110
OUT_OF_RESOURCES, DATA_SET_MISMATCH, NOT_UNDERSTOOD = 0xA700, 0xA900, 0xC000
MOVE_DESTINATION_UNKNOWN, SUBOPERATIONS_FAILED = 0xA801, 0xA702
SOME_SUBOPERATIONS_FAILED = 0xB000

Kind = Literal["success", "pending", "cancel", "warning", "failure"]

_WORDS = {
    SUCCESS: "success",
    CANCEL: "cancelled",
    PENDING: "pending",
    PENDING_UNSUPPORTED: "pending, optional keys not matched",
    0x0105: "no such attribute",
    0x0106: "invalid attribute value",
    0x0107: "attribute list error",
    PROCESSING_FAILURE: "processing failure",
    DUPLICATE_INSTANCE: "duplicate SOP instance",
    NO_SUCH_INSTANCE: "no such SOP instance",
    0x0113: "no such event type",
    0x0114: "no such argument",
    0x0115: "invalid argument value",
    0x0116: "attribute value out of range",
    0x0117: "invalid SOP instance",
    NO_SUCH_SOP_CLASS: "no such SOP class",
    0x0119: "class-instance conflict",
    0x0120: "missing attribute",
    0x0121: "missing attribute value",
    0x0122: "SOP class not supported",
    NO_SUCH_ACTION: "no such action type",
    0x0124: "not authorised",
    0x0210: "duplicate invocation",
    UNRECOGNISED_OPERATION: "unrecognised operation",
    0x0212: "mistyped argument",
    0x0213: "resource limitation",
    0xA700: "out of resources",
    0xA701: "out of resources: number of matches unknown",
    0xA702: "out of resources: sub-operations not possible",
    0xA801: "move destination unknown",
    0xA900: "data set does not match SOP class",
    SOME_SUBOPERATIONS_FAILED: "some sub-operations failed or warned",
    0xB006: "elements discarded",
    0xB007: "data set does not match SOP class, stored nevertheless",
}


def kind_of(status: int) -> Kind:
    """Return what a status means for the operation (PS3.7 annex C)."""
    if status == SUCCESS:
        return "success"
    if status in {PENDING, PENDING_UNSUPPORTED}:
        return "pending"
    if status == CANCEL:
        return "cancel"
    if status >> 12 == 0xB or status in {0x0001, 0x0107, 0x0116}:
        return "warning"
    return "failure"


def words(command: Command) -> str:
    """A response's status in words, with its number and the peer's own comment."""
    status = command.status if command.status is not None else 0xFFFF
    text = _WORDS.get(status)
    if text is None:
        text = "cannot understand" if status >> 12 == 0xC else kind_of(status)
    comment = f", {command.comment!r}" if command.comment else ""
    return f"{text} (0x{status:04X}{comment})"


_REJECTIONS = {
    (1, 1): "no reason given",
    (1, 2): "application context not supported",
    (1, 3): "calling AE title not recognised",
    (1, 7): "called AE title not recognised",
    (2, 1): "no reason given",
    (2, 2): "protocol version not supported",
    (3, 1): "temporarily congested",
    (3, 2): "local limit of associations exceeded",
}

CALLING_UNKNOWN, CALLED_UNKNOWN = (1, 3), (1, 7)
"""Source and reason of rejections that an administrator can settle."""


def rejection_words(reject: AssociateReject) -> str:
    """Why an association was rejected (PS3.8 table 9-21)."""
    text = _REJECTIONS.get((reject.source, reject.reason), f"reason {reject.source}.{reject.reason}")
    return f"{text} ({'permanent' if reject.result == 1 else 'for now'})"


_ABORTS = {
    0: "reason not specified",
    1: "unrecognised PDU",
    2: "unexpected PDU",
    4: "unrecognised PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}


def abort_words(abort: Abort) -> str:
    """Return who aborted an association and why (PS3.8 table 9-26)."""
    if abort.source != 2:
        return "aborted by the peer"
    return f"aborted by the peer's upper layer: {_ABORTS.get(abort.reason, abort.reason)}"
