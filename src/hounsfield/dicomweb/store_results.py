"""The result of each instance of a store (PS3.18 10.5.3): read from a response, written to one.

An instance that an answer does not speak of is "unconfirmed": nothing here takes silence for success.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from hounsfield.dicomweb.attributes import first
from hounsfield.dicomweb.dicom_json import Model, parse_models
from hounsfield.dicomweb.native_xml import parse_xml
from hounsfield.errors import DicomwebError

Outcome = Literal["stored", "warned", "refused", "unconfirmed"]

RETRIEVE_URL = "00081190"
FAILED = "00081198"
REFERENCED = "00081199"
OTHER_FAILURES = "0008119A"
_SOP_CLASS, _SOP_INSTANCE = "00081150", "00081155"
_FAILURE_REASON, _WARNING_REASON = "00081197", "00081196"

MAX_COMMENT = 200
"""Characters of a reason that are sent."""

_REASONS = {
    0x0110: "processing failure",
    0x0111: "another instance with this UID is there already",
    0x0117: "invalid SOP Instance UID",
    0x0122: "SOP Class not supported",
    0x0124: "not authorised",
    0xA700: "out of resources",
    0xA900: "the data set does not match its SOP Class",
    0xB000: "some elements were changed",
    0xB006: "some elements were discarded",
    0xB007: "the data set does not match its SOP Class",
    0xC000: "cannot be understood",
    0xC122: "transfer syntax not supported",
}
"""PS3.18 Table I.2-2, PS3.7 C.5, PS3.4 B.2.3."""


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance: `outcome`, the peer's reason code (0 when it gave none) and what it means."""

    sop_instance: str
    outcome: Outcome
    sop_class: str = ""
    code: int = 0
    reason: str = ""
    url: str = ""

    @property
    def kept(self) -> bool:
        """Return whether the peer says that it has the instance."""
        return self.outcome in {"stored", "warned"}


@dataclass(frozen=True, slots=True)
class StoreResult:
    """Each instance, in the order asked; `other_failures` are those the peer could not even name."""

    instances: tuple[StoredInstance, ...]
    other_failures: tuple[str, ...] = ()
    url: str = ""

    def having(self, *outcomes: Outcome) -> tuple[StoredInstance, ...]:
        return tuple(each for each in self.instances if each.outcome in outcomes)

    @property
    def complete(self) -> bool:
        return all(each.kept for each in self.instances) and not self.other_failures

    def status(self) -> int:
        """The HTTP status that tells this result: 200 all, 202 some, 409 none (10.5.3.1)."""
        kept = sum(each.kept for each in self.instances)
        refused = len(self.instances) - kept + len(self.other_failures)
        warned = any(each.outcome == "warned" for each in self.instances)
        if refused:
            return 202 if kept else 409
        return 202 if warned else 200


def reason_text(code: int) -> str:
    """Return what a Failure or Warning Reason means; ranges by their first code."""
    for known in (code, code & 0xFF00, code & 0xF000):
        if known in _REASONS and (known == code or known in {0xA700, 0xA900, 0xC000}):
            return _REASONS[known]
    return f"reason {code:04X}" if code else "no reason given"


def parse_store_result(status: int, content_type: str, body: bytes, asked: Iterable[str] = ()) -> StoreResult:
    """The result in an answer to a store of the SOP Instance UIDs `asked`.

    JSON or XML by the content type or, where that is wrong or absent, by the first character. An answer
    with another status than 200, 202 or 409, or none that can be read, raises `DicomwebError`.
    """
    if status not in {200, 201, 202, 204, 409}:
        raise DicomwebError("the store was not accepted", expected="200, 202 or 409", status=status)
    model = _model(content_type, body)
    answered: dict[str, StoredInstance] = {}
    for item in _items(model, REFERENCED):
        code = _code(item, _WARNING_REASON)
        told_one = _read(item, "warned" if code else "stored", code)
        answered[told_one.sop_instance] = told_one
    for item in _items(model, FAILED):
        # Named in both lists, an instance counts as refused.
        told_one = _read(item, "refused", _code(item, _FAILURE_REASON))
        answered[told_one.sop_instance] = told_one
    others = tuple(_reason(item, _code(item, _FAILURE_REASON)) for item in _items(model, OTHER_FAILURES))
    instances = []
    for uid in dict.fromkeys(asked):
        silent = StoredInstance(uid, "unconfirmed", reason=f"the answer (HTTP {status}) does not mention it")
        instances.append(answered.pop(uid, silent))
    return StoreResult((*instances, *answered.values()), others, first(model, RETRIEVE_URL))


def store_result_model(result: StoreResult) -> Model:
    """The answer's data set; FailedSOPSequence only if there are failures (10.5.3)."""
    model: Model = {}
    if result.url:
        model[RETRIEVE_URL] = {"vr": "UR", "Value": [result.url]}
    failed = [_written(each, _FAILURE_REASON) for each in result.instances if not each.kept]
    if failed:
        model[FAILED] = {"vr": "SQ", "Value": failed}
    kept = [_written(each, _WARNING_REASON) for each in result.instances if each.kept]
    if kept:
        model[REFERENCED] = {"vr": "SQ", "Value": kept}
    if result.other_failures:
        others = [
            {_FAILURE_REASON: {"vr": "US", "Value": [0xC000]}, **_comment(reason, 0xC000)}
            for reason in result.other_failures
        ]
        model[OTHER_FAILURES] = {"vr": "SQ", "Value": others}
    return model


def _model(content_type: str, body: bytes) -> Model:
    text = body.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not text:
        return {}
    if text.startswith(b"<") or ("xml" in content_type.lower() and not text.startswith((b"{", b"["))):
        return parse_xml(text)
    models = parse_models(text)
    merged: Model = {}
    for model in models:
        for tag, element in model.items():
            if tag in {FAILED, REFERENCED, OTHER_FAILURES} and tag in merged:
                merged[tag] = {"vr": "SQ", "Value": _values(merged[tag]) + _values(element)}
            else:
                merged[tag] = element
    return merged


def _values(element: Any) -> list[Any]:
    found = element.get("Value") if isinstance(element, Mapping) else None
    return found if isinstance(found, list) else [found] if found else []


def _items(model: Model, tag: str) -> list[Mapping[str, Any]]:
    return [item for item in _values(model.get(tag)) if isinstance(item, Mapping)]


def _code(item: Mapping[str, Any], tag: str) -> int:
    text = first(item, tag)
    return int(text) & 0xFFFF if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _reason(item: Mapping[str, Any], code: int) -> str:
    # Microsoft and others put words into an Error Comment, at the item or in Failed Attributes Sequence.
    said = first(item, "00000902") or first(item, "00741048.00000902")
    return f"{reason_text(code)}: {said}" if said else reason_text(code)


def _read(item: Mapping[str, Any], outcome: Outcome, code: int) -> StoredInstance:
    reason = "" if outcome == "stored" else _reason(item, code)
    return StoredInstance(
        first(item, _SOP_INSTANCE), outcome, first(item, _SOP_CLASS), code, reason, first(item, RETRIEVE_URL)
    )


def _written(instance: StoredInstance, reason_tag: str) -> Model:
    model: Model = {
        _SOP_CLASS: {"vr": "UI", "Value": [instance.sop_class]} if instance.sop_class else {"vr": "UI"},
        _SOP_INSTANCE: {"vr": "UI", "Value": [instance.sop_instance]},
    }
    if instance.url:
        model[RETRIEVE_URL] = {"vr": "UR", "Value": [instance.url]}
    if instance.code or not instance.kept:
        model[reason_tag] = {"vr": "US", "Value": [instance.code or 0x0110]}
    return model if instance.kept else model | _comment(instance.reason, instance.code or 0x0110)


def _comment(reason: str, code: int) -> Model:
    """Return what `reason` says beyond its code, where Microsoft puts it: the standard has only numbers."""
    said = reason.removeprefix(reason_text(code)).removeprefix(": ")
    if not said:
        return {}
    comment = {"00000902": {"vr": "LO", "Value": [said[:MAX_COMMENT]]}}
    return {"00741048": {"vr": "SQ", "Value": [comment]}}
