"""The texts that a strict walk passed, and the character set that they are in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from hounsfield.dicom.charsets import is_foreign
from hounsfield.dicom.decided_texts import AS_DECLARED, LONGEST_SEQUENCE, Decision, Text, decide
from hounsfield.dicom.fast_walk import Span, Trace, Unrecognised, item_spans
from hounsfield.dicom.vr import LOCALIZED, LOCALIZED_BYTES, dictionary_vr

_CHARACTER_SET = 0x00080005
_MAYBE_TEXT = LOCALIZED_BYTES | {b"SQ", b"UN", b""}
_DEEPEST = 32  # sequences within sequences; the walk itself refuses deeper ones


def decide_walked(trace: Trace, configured: str | None = None) -> Decision:
    """The character set of the data set that `trace` went over; of one in ASCII at the cost of a look at its bytes."""
    content = trace.buffer[trace.data_set : trace.pixels or None]
    if not is_foreign(content):
        return AS_DECLARED
    buffer, has_escapes = trace.buffer, b"\x1b" in content
    if not has_escapes and all(
        written not in _MAYBE_TEXT or buffer[start:end].isascii() for _, written, _, start, end in trace.spans
    ):
        return AS_DECLARED  # numbers alone
    spans = [span for span in trace.spans if span[2] >= trace.data_set]
    declared = declared_in_spans(trace.buffer, spans)
    texts = list(_texts(trace.buffer, spans, trace.implicit, declared, 0))
    return decide(texts, declared, configured)


def declared_in_spans(buffer: bytes, spans: Iterable[Span], inherited: str = "") -> str:
    """The Specific Character Set among elements; `inherited` where there is none."""
    for tag, _, _, start, end in spans:
        if tag >= _CHARACTER_SET:
            if tag == _CHARACTER_SET:
                return buffer[start:end].decode("ascii", "replace").strip("\0 ")
            break
    return inherited


def _texts(buffer: bytes, spans: Iterable[Span], implicit: bool, declared: str, depth: int) -> Iterator[Text]:
    for tag, written, _, start, end in spans:
        if written in LOCALIZED_BYTES:
            raw = buffer[start:end]
            if is_foreign(raw):
                yield Text(raw.rstrip(b"\0 "), declared, written == b"PN")
        elif written in (b"SQ", b"UN", b""):
            raw = buffer[start:end]
            if not is_foreign(raw):
                continue
            vr = "SQ" if written == b"SQ" else dictionary_vr(tag)
            if vr in LOCALIZED:
                yield Text(raw.rstrip(b"\0 "), declared, vr == "PN")
            elif vr == "SQ" and depth < _DEEPEST and len(raw) <= LONGEST_SEQUENCE:
                yield from _nested(buffer, start, end, implicit, declared, depth)


def _nested(buffer: bytes, start: int, end: int, implicit: bool, declared: str, depth: int) -> Iterator[Text]:
    try:
        items = item_spans(buffer, start, end, implicit=implicit, depth=depth + 1)
    except Unrecognised:
        return
    for spans in items:
        own = declared_in_spans(buffer, spans, declared)
        yield from _texts(buffer, spans, implicit, own, depth + 1)
