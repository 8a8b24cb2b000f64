"""The DICOM JSON Model (PS3.18 F): text to objects, objects to data sets and back, nothing lost either way.

A model is the plain JSON object of one data set, `{"00100020": {"vr": "LO", "Value": ["1"]}}`; searches stay at
that (`attributes` reads values out of it). A pydicom data set is built only where one is needed. Reading
forgives element by element: what cannot be read is left empty and listed in `problems`; the rest stands.

Not here: which values are bulk data and where they lie; callers give and take URIs.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from hounsfield.dicom.nesting import MAX_DEPTH
from hounsfield.dicom.vr import BYTES, FLOATING, WHOLE_NUMBERS
from hounsfield.errors import DicomwebError, HounsfieldError
from hounsfield.language import say

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.dataelem import DataElement
    from pydicom.tag import BaseTag

Model = dict[str, Any]
"""One data set as DICOM JSON."""

BulkReader = Callable[[str, str], bytes | None]
"""(path, URI) to the value, or None to leave the element out; a path is tags and item numbers, `00400275.0.…`."""

BulkWriter = Callable[[str, bytes], str | None]
"""(path, value) to the URI to write instead of it, or None to write it inline."""

_NEVER_NULL = WHOLE_NUMBERS | FLOATING | {"AT"}
_DELIMITERS = 0xFFFE  # the group of items and delimiters (PS3.5 7.5), which are no elements
_PERSON = ("Alphabetic", "Ideographic", "Phonetic")


def parse_models(body: bytes | str) -> list[Model]:
    """The data sets of an answer: a list of objects, one object alone, or nothing at all (200 `[]` or 204)."""
    if not body.strip():
        return []
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise DicomwebError("an answer that is not JSON", expected="DICOM JSON") from error
    models = found if isinstance(found, list) else [found]
    if not all(isinstance(model, dict) for model in models):
        raise DicomwebError("JSON that is not DICOM JSON", expected="a list of objects")
    return models


def encode_models(models: Iterable[Mapping[str, Any]]) -> bytes:
    """Compact UTF-8 JSON of a list of data sets."""
    return json.dumps(list(models), ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def to_dataset(
    model: Mapping[str, Any], *, bulk: BulkReader | None = None, problems: list[str] | None = None
) -> Dataset:
    """The data set of `model`. Without `bulk`, elements that only have a URI are left out and listed.

    `problems` collects a line for each element that could not be read as it stood.
    """
    notes: list[str] = [] if problems is None else problems
    return _dataset(model, bulk, notes, "", 0)


def from_dataset(
    dataset: Dataset,
    *,
    bulk: BulkWriter | None = None,
    tags: Collection[int] | None = None,
    problems: list[str] | None = None,
) -> Model:
    """The model of `dataset`, or of its `tags`, without group lengths and file meta group (F.2.1.1, F.2.2).

    `problems` collects a line for each element that no model can hold, such as a delimiter out of place.
    """
    if problems is not None:
        problems += [
            f"({tag.group:04X},{tag.element:04X}): a delimiter or item where no sequence is, left out"
            for tag in dataset.keys()  # noqa: SIM118 (iterating converts every element)
            if tag.group == _DELIMITERS
        ]
    return _model(dataset, bulk, "", 0, tags)


def bulk_uris(model: Mapping[str, Any], prefix: str = "", depth: int = 0) -> dict[str, str]:
    """Return the URI of each value that is not in `model`, by path."""
    found: dict[str, str] = {}
    for tag, element in model.items():
        if not isinstance(element, Mapping):
            continue
        if isinstance(uri := element.get("BulkDataURI"), str):
            found[prefix + str(tag).upper()] = uri
        items = element.get("Value") if element.get("vr") == "SQ" and depth < MAX_DEPTH else None
        for number, item in enumerate(items if isinstance(items, list) else []):
            if isinstance(item, Mapping):
                found.update(bulk_uris(item, f"{prefix}{str(tag).upper()}.{number}.", depth + 1))
    return found


def _dataset(
    model: Mapping[str, Any], bulk: BulkReader | None, problems: list[str], prefix: str, depth: int
) -> Dataset:
    from pydicom import Dataset

    if depth > MAX_DEPTH:
        raise DicomwebError(
            "sequences nested too deep", expected=say("at most {max_depth} levels", max_depth=MAX_DEPTH)
        )
    dataset = Dataset()
    for key, element in model.items():
        tag = _tag(key)
        if tag is None or not isinstance(element, Mapping):
            problems.append(f"{prefix}{str(key)[:32]}: no element")
            continue
        path = f"{prefix}{tag:08X}"
        try:
            built = _element(tag, element, bulk, problems, path, depth)
        except (ValueError, TypeError, OverflowError, AttributeError, KeyError, ArithmeticError) as error:
            problems.append(f"{path}: {str(error)[:100] or type(error).__name__}")
            built = _empty(tag, _vr(tag, element))
        if built is not None:
            dataset[tag] = built
    return dataset


def _element(
    tag: int, element: Mapping[str, Any], bulk: BulkReader | None, problems: list[str], path: str, depth: int
) -> DataElement | None:
    vr = _vr(tag, element)
    if vr == "SQ":
        items = [item if isinstance(item, Mapping) else {} for item in _listed(element.get("Value"))]
        nested = [_dataset(item, bulk, problems, f"{path}.{n}.", depth + 1) for n, item in enumerate(items)]
        return _data_element(tag, vr, nested)
    uri = element.get("BulkDataURI")
    if isinstance(uri, str) and "InlineBinary" not in element:
        content = bulk(path, uri) if bulk is not None else None
        if content is None:
            problems.append(f"{path}: bulk data left at {uri[:200]}")
            return None
        return _from_bytes(tag, vr, content)
    if vr in BYTES or "InlineBinary" in element:
        return _from_bytes(tag, vr, _inline(element))
    values = [_read(vr, value, problems, path) for value in _listed(element.get("Value"))]
    if vr in _NEVER_NULL:
        values = [value for value in values if value is not None]
    if all(value is None for value in values):
        return _empty(tag, vr)
    given = ["" if value is None else value for value in values]
    return _data_element(tag, vr, given if len(given) != 1 else given[0])


def _read(vr: str, value: Any, problems: list[str], path: str) -> Any:
    """One value as pydicom takes it; None for null and for what is not a value of `vr`."""
    if value is None or (value == "" and vr in _READERS):
        return None
    reader: Callable[[Any], Any] = _READERS.get(vr, _plain)
    try:
        return reader(value)
    except (ValueError, TypeError, OverflowError) as error:
        problems.append(f"{path}: {str(value)[:40]!r} is no {vr} ({str(error)[:60]})")
        return None


def _integer(value: Any) -> int:
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not whole")
    if isinstance(value, (list, dict, bool)) or (isinstance(value, str) and len(value) > 40):
        raise TypeError("not a number")
    return int(value)


def _decimal_text(value: Any) -> str:
    """The decimal string of a JSON number or string; a string keeps its very characters."""
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise TypeError("not a number")
    text = value if isinstance(value, str) else _as_decimal(value)
    if not math.isfinite(float(text)):
        raise ValueError("not finite")
    return text


def _integer_text(value: Any) -> str:
    text = _decimal_text(value)
    if not float(text).is_integer():
        raise ValueError("not whole")
    return text if isinstance(value, str) else str(int(value))


def _attribute_tag(value: Any) -> int:
    tag = int(str(value), 16)
    if not 0 <= tag <= 0xFFFFFFFF:
        raise ValueError("no tag")
    return tag


def _as_decimal(value: float) -> str:
    """A JSON number as DS or IS text of at most 16 characters (PS3.5 6.2)."""
    if isinstance(value, int):
        return str(value) if abs(value) < 10**40 else repr(float(value))
    text = repr(value)
    if text.endswith(".0"):
        text = text[:-2]
    if len(text) <= 16 or not math.isfinite(value):
        return text
    return next(short for digits in range(16, 0, -1) if len(short := f"{value:.{digits}g}") <= 16)


def _person(value: Any) -> str:
    if isinstance(value, Mapping):
        groups = ["" if value.get(name) is None else str(value.get(name)) for name in _PERSON]
        return "=".join(groups).rstrip("=")
    return _plain(value)


def _plain(value: Any) -> str:
    if isinstance(value, (dict, list)):
        raise TypeError("not a value")
    return str(value)


_READERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(WHOLE_NUMBERS, _integer),
    **dict.fromkeys(FLOATING, float),
    "AT": _attribute_tag,
    "DS": _decimal_text,
    "IS": _integer_text,
    "PN": _person,
}


def _inline(element: Mapping[str, Any]) -> bytes:
    text = element.get("InlineBinary")
    if text is None:
        values = _listed(element.get("Value"))
        text = values[0] if values else ""
    if isinstance(text, list):
        text = text[0] if text else ""
    if not isinstance(text, str):
        raise TypeError("InlineBinary that is no text")
    try:
        return base64.b64decode(text, validate=False)
    except binascii.Error as error:
        raise ValueError("InlineBinary that is not base64") from error


def _from_bytes(tag: int, vr: str, content: bytes) -> DataElement:
    """The element whose little-endian value is `content`, of any VR."""
    if vr in BYTES:
        return _data_element(tag, vr, content)
    from pydicom.dataelem import RawDataElement, convert_raw_data_element
    from pydicom.tag import BaseTag

    raw = RawDataElement(BaseTag(tag), vr, len(content), content, 0, False, True)
    return convert_raw_data_element(raw, encoding="utf-8")


def _data_element(tag: int, vr: str, value: Any) -> DataElement:
    from pydicom import config
    from pydicom.dataelem import DataElement

    return DataElement(tag, vr, value, validation_mode=config.IGNORE)


def _empty(tag: int, vr: str) -> DataElement:
    from pydicom.dataelem import empty_value_for_VR

    return _data_element(tag, vr, [] if vr == "SQ" else b"" if vr in BYTES else empty_value_for_VR(vr))


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _tag(key: object) -> int | None:
    text = str(key)
    if len(text) != 8 or not all(each in "0123456789abcdefABCDEF" for each in text):
        return None
    return int(text, 16)


def _vr(tag: int, element: Mapping[str, Any]) -> str:
    from pydicom.datadict import dictionary_VR
    from pydicom.valuerep import VR

    given = element.get("vr")
    if isinstance(given, str) and given in VR.__members__:
        return given
    try:
        known = dictionary_VR(tag).split(" or ")
    except KeyError:
        return "UN"
    return known[0] if known[0] in VR.__members__ else "UN"


def _model(
    dataset: Dataset, bulk: BulkWriter | None, prefix: str, depth: int, tags: Collection[int] | None = None
) -> Model:
    if depth > MAX_DEPTH:
        raise DicomwebError(
            "sequences nested too deep", expected=say("at most {max_depth} levels", max_depth=MAX_DEPTH)
        )
    model: Model = {}
    for tag in sorted(tag for tag in dataset.keys() if tags is None or tag in tags):  # noqa: SIM118
        if tag.element == 0 or tag.group in {2, _DELIMITERS}:
            continue
        path = f"{prefix}{tag:08X}"
        try:
            model[f"{tag:08X}"] = _written(dataset[tag], bulk, path, depth)
        except HounsfieldError:
            raise
        except Exception:  # noqa: BLE001 (pydicom raises many kinds on a broken element)
            # A value that pydicom cannot convert stays as the bytes it was.
            model[f"{tag:08X}"] = {"vr": "UN", **_binary(_raw_value(dataset, tag), bulk, path)}
    if "00080005" in model:
        # JSON is UTF-8 whatever the data set was (F.2.1.2).
        model["00080005"] = {"vr": "CS", "Value": ["ISO_IR 192"]}
    return model


def _raw_value(dataset: Dataset, tag: BaseTag) -> bytes:
    """The bytes of an element that was never converted; none of one that pydicom cannot even give."""
    value: object = None
    with contextlib.suppress(Exception):  # it converts some elements even here
        value = getattr(dataset.get_item(tag), "value", None)
    return value if isinstance(value, bytes) else b""


def _written(element: DataElement, bulk: BulkWriter | None, path: str, depth: int) -> Model:
    vr, value = str(element.VR), element.value
    if " or " in vr:
        vr = "UN" if isinstance(value, bytes) else "US" if "US" in vr else vr[:2]
    if vr == "SQ":
        items = [
            _model(item, bulk, f"{path}.{number}.", depth + 1) for number, item in enumerate(value or [])
        ]
        return {"vr": vr, "Value": items} if items else {"vr": vr}
    if vr in BYTES:
        return {"vr": vr, **_binary(value or b"", bulk, path)}
    if element.VM == 0 or value is None:
        return {"vr": vr}
    values = list(value) if element.VM > 1 or isinstance(value, list) else [value]
    return {"vr": vr, "Value": [value_as_json(vr, each) for each in values]}


def _binary(value: bytes, bulk: BulkWriter | None, path: str) -> Model:
    if not value:
        return {}
    uri = bulk(path, value) if bulk is not None else None
    return (
        {"BulkDataURI": uri} if uri is not None else {"InlineBinary": base64.b64encode(value).decode("ascii")}
    )


def value_as_json(vr: str, value: Any) -> Any:
    """One value of an element as the model writes it: numbers, texts, a person's groups, null for nothing."""
    if value is None or value == "":
        return None
    return _WRITERS.get(vr, str)(value)


def _json_person(value: Any) -> dict[str, str] | None:
    groups = str(value).split("=")
    return {name: group for name, group in zip(_PERSON, groups, strict=False) if group} or None


def _json_float(value: Any) -> float | str:
    # JSON has no infinities and no NaN; these are the words that peers read and write (F.2.4 Note).
    number = float(value)
    return number if math.isfinite(number) else str(number).replace("inf", "Infinity").replace("nan", "NaN")


def _json_number(value: Any) -> int | float | str:
    """A number when reading it back gives the same characters, the characters themselves otherwise."""
    text = str(getattr(value, "original_string", value))
    try:
        number = int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text
    return number if _as_decimal(number) == text and len(text) <= 16 else text


_WRITERS: dict[str, Callable[[Any], Any]] = {
    **dict.fromkeys(WHOLE_NUMBERS, int),
    **dict.fromkeys(FLOATING, _json_float),
    "AT": lambda value: f"{int(value):08X}",
    "DS": _json_number,
    "IS": _json_number,
    "PN": _json_person,
}
