"""Texts that a server misread before it wrote them as JSON: bytes of another set, taken for Latin-1 one by one.

Each character then stands for one byte, so nothing is lost, and the set is decided as for a file. What a server has
replaced by U+FFFD is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hounsfield.dicom.charsets import LATIN1, decode_text
from hounsfield.dicom.decided_texts import AS_DECLARED, Decision, Text, decide
from hounsfield.dicom.nesting import MAX_DEPTH
from hounsfield.dicom.vr import LOCALIZED
from hounsfield.dicomweb.dicom_json import Model


def reread(model: Mapping[str, Any], configured: str | None = None) -> tuple[Model, Decision]:
    """`model` with its texts in the set that their bytes are in, and which that is; itself where they need none.

    `configured`: the set that the user named for this server; None for that of the process.
    """
    found = [text for text, _ in _texts(model) if not text.isascii()]
    # A character beyond Latin-1 shows that the server did decode.
    if not found or any(char > "\xff" for text in found for char in text):
        return dict(model), AS_DECLARED
    texts = [Text(text.encode("latin-1"), LATIN1) for text in found]
    decision = decide(texts, LATIN1, configured)
    if not decision.used:
        return dict(model), AS_DECLARED
    return _changed(model, lambda text: decode_text(text.encode("latin-1"), decision.used)), decision


def _texts(model: Mapping[str, Any], depth: int = 0) -> Iterator[tuple[str, str]]:
    """Every text in the Specific Character Set, with its VR."""
    for element in model.values():
        if not isinstance(element, Mapping) or not isinstance(element.get("Value"), list):
            continue
        vr, values = str(element.get("vr")), element["Value"]
        for value in values:
            if vr == "SQ" and isinstance(value, Mapping) and depth < MAX_DEPTH:
                yield from _texts(value, depth + 1)
            elif vr == "PN" and isinstance(value, Mapping):
                yield from ((each, vr) for each in value.values() if isinstance(each, str))
            elif vr in LOCALIZED and isinstance(value, str):
                yield value, vr


def _changed(model: Mapping[str, Any], change: Callable[[str], str], depth: int = 0) -> Model:
    found: Model = {}
    for tag, element in model.items():
        found[tag] = element
        if not isinstance(element, Mapping) or not isinstance(element.get("Value"), list):
            continue
        vr = str(element.get("vr"))
        if vr == "SQ" and depth < MAX_DEPTH:
            values = [
                _changed(each, change, depth + 1) if isinstance(each, Mapping) else each
                for each in element["Value"]
            ]
        elif vr in LOCALIZED:
            values = [_value(each, change) for each in element["Value"]]
        else:
            continue
        found[tag] = {**element, "Value": values}
    return found


def _value(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, Mapping):
        return {key: change(each) if isinstance(each, str) else each for key, each in value.items()}
    return change(value) if isinstance(value, str) else value
