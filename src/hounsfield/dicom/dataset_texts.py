"""The texts of pydicom's data sets in the character set that they are in, decided for all of them together.

pydicom decodes when an element is looked at, by what the data set declares; here it learns first what to decode by.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from hounsfield.dicom.charsets import decode_text, python_codec
from hounsfield.dicom.decided_texts import AS_DECLARED, LONGEST_SEQUENCE, Decision, Text, decide
from hounsfield.dicom.vr import LOCALIZED, SINGLE_VALUE, dictionary_vr

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement, RawDataElement

_CHARACTER_SET = 0x00080005
_DELIMITERS = 0xFFFE
_MAYBE_TEXT = LOCALIZED | {"UN", None}


def settle_texts(dataset: Dataset, configured: str | None = None) -> Decision:
    """Have pydicom read the texts of `dataset`, which were not looked at yet, in the set that they are in.

    What is written again afterwards is still declared as before. `configured`: None for that of the process.
    """
    if next(_elements(dataset), None) is None:
        return AS_DECLARED
    decision = decide_texts(dataset, configured)
    apply_decision(dataset, decision)
    return decision


def decide_texts(dataset: Dataset, configured: str | None = None) -> Decision:
    """The set that the texts of `dataset` are in, as far as they were not looked at yet; nothing is changed."""
    return decide([text for _, _, text in _foreign(dataset, "")], declared_in(dataset), configured)


def apply_decision(dataset: Dataset, decision: Decision) -> None:
    """Have texts read by a decision that is taken already; those of sequences that are not built yet when they are."""
    for later, declared in list(_unbuilt(dataset, decision.declared)):
        later.then(partial(_apply_within, replace(decision, declared=declared)))
    for within, raw, text in list(_foreign(dataset, decision.declared)):
        charset = decision.of(text.declared)
        if b"\x1b" in text.raw or not (codec := python_codec(charset)):
            within[raw.tag] = _converted(raw, text, charset)
        elif not _reads(within, codec):
            implicit, little = within.original_encoding
            within.set_original_encoding(bool(implicit), little is not False, codec)


def _apply_within(decision: Decision, built: DataElement) -> None:
    for item in (built.value or ()) if built.VR == "SQ" else ():
        apply_decision(item, decision)


def _reads(dataset: Dataset, codec: str) -> bool:
    """Return whether pydicom decodes the texts of `dataset` by `codec` already."""
    own: Any = dataset.original_character_set
    first = own if isinstance(own, str) else next(iter(own or ()), "")
    with suppress(LookupError):
        return codecs.lookup(first).name == codecs.lookup(codec).name
    return False


def declared_in(dataset: Dataset) -> str:
    """The Specific Character Set of a data set as it is written; "" without one."""
    if _CHARACTER_SET not in dataset:
        return ""
    with suppress(Exception):  # pydicom raises many kinds on a broken element
        raw = dataset.get_item(_CHARACTER_SET)
        value: Any = getattr(raw, "value", None)
        if isinstance(value, bytes):
            return value.decode("ascii", "replace").strip("\0 ")
        return value if isinstance(value, str) else "\\".join(map(str, value or ()))
    return ""


def _foreign(dataset: Dataset, inherited: str) -> Iterator[tuple[Dataset, RawDataElement, Text]]:
    """The texts beyond ASCII that were not converted yet, with the data set each is in; not those of frames."""
    from pydicom.dataelem import RawDataElement

    declared = declared_in(dataset) or inherited
    for element in _elements(dataset):
        if not isinstance(element, RawDataElement):
            if getattr(element, "length", 0) <= LONGEST_SEQUENCE or getattr(element, "is_built", True):
                for item in _items(element):
                    yield from _foreign(item, declared)
        elif (vr := _vr(element)) in LOCALIZED:
            yield dataset, element, Text((element.value or b"").rstrip(b"\0 "), declared, vr == "PN")


def _unbuilt(dataset: Dataset, inherited: str) -> Iterator[tuple[Any, str]]:
    """The sequences that are not built yet and may hold texts beyond ASCII, with the set that is declared around."""
    declared = declared_in(dataset) or inherited
    for element in _elements(dataset):
        if not getattr(element, "is_built", True) and element.foreign:
            yield element, declared


def _elements(dataset: Dataset) -> Iterator[Any]:
    """The elements that may hold texts beyond ASCII: raw ones, and sequences. Most data sets have none."""
    from pydicom.dataelem import RawDataElement

    for element in dataset.values():
        if type(element) is RawDataElement:
            value = element.value
            if (
                element.VR not in _MAYBE_TEXT
                or not value
                or type(value) is not bytes
                or (value.isascii() and b"\x1b" not in value)
            ):
                continue
        elif not getattr(element, "foreign", True):
            continue
        if element.tag.group != _DELIMITERS and element.tag != _CHARACTER_SET:
            yield element


def _items(element: Any) -> Iterable[Dataset]:
    """The items of a sequence that may hold texts beyond ASCII."""
    if not getattr(element, "foreign", True) or element.VR != "SQ":
        return ()
    found: Iterable[Dataset] = element.value or ()
    return found


def _vr(element: RawDataElement) -> str:
    return element.VR if element.VR and element.VR != "UN" else dictionary_vr(int(element.tag))


def _converted(raw: RawDataElement, text: Text, charset: str) -> Any:
    from pydicom import config
    from pydicom.charset import convert_encodings
    from pydicom.dataelem import DataElement
    from pydicom.multival import MultiValue
    from pydicom.valuerep import PersonName

    vr = _vr(raw)
    whole = decode_text(text.raw, charset, person=text.person)
    values: list[Any] = [whole] if vr in SINGLE_VALUE else [each.rstrip("\0 ") for each in whole.split("\\")]
    if text.person:
        encodings = None
        with suppress(Exception):  # an unknown term; it is then encoded anew when it is written
            encodings = convert_encodings(text.declared.split("\\"))
        original = text.raw if len(values) == 1 else None
        values = [
            PersonName(each, encodings, original_string=original, validation_mode=config.IGNORE)
            for each in values
        ]
    value = values[0] if len(values) == 1 else MultiValue(lambda each: each, values)
    return DataElement(raw.tag, vr, value, validation_mode=config.IGNORE, already_converted=True)
