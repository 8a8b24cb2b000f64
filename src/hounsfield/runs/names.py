"""Names of outputs: from a template that a person gives, or by patient and series; safe on every file system.

Values of a header are claims of strangers: whatever they hold, a name stays below the folder that it is for.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

from hounsfield.ct.series import Series
from hounsfield.errors import HounsfieldError, SelectionError
from hounsfield.language import say

LONGEST_NAME = 80
"""Characters of a part of a name: file systems stop at 255 bytes, and people earlier."""

UNKNOWN = "unknown"
"""A field of a template that the header leaves empty."""

_UNSAFE = re.compile(r"[^\w.+-]+", re.UNICODE)
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_OWN_FIELDS = ("phase", "part")


@dataclass(frozen=True)
class Template:
    """A name with fields, such as `{PatientID}/{StudyDate}_{SeriesNumber:03}`: keywords of attributes, tags, `{phase}`
    and `{part}`; `/` begins a folder. Raises `SelectionError` for what is no such name.
    """

    text: str
    parts: tuple[tuple[str, str, str], ...] = field(init=False)

    def __post_init__(self) -> None:
        try:
            parsed = list(string.Formatter().parse(self.text))
        except ValueError as error:
            raise _no_template(self.text, str(error)) from error
        for _, name, spec, conversion in parsed:
            if name is not None:
                _check_field(self.text, name, spec or "", conversion)
        literal = "".join(text if name is None else f"{text}x" for text, name, _, _ in parsed)
        if not literal or re.search(r"[^\w.+\-/ ]", literal, re.UNICODE):
            raise _no_template(self.text, "letters, digits, . + - _ and / between fields")
        if any(part.strip(". ") == "" for part in literal.split("/")):
            raise _no_template(self.text, "a path below OUT, without .. and empty names")
        parts = tuple((text, name or "", spec or "") for text, name, spec, _ in parsed)
        object.__setattr__(self, "parts", parts)

    @property
    def names_phases(self) -> bool:
        """Return whether it has a field for the phase."""
        return any(name == "phase" for _, name, _ in self.parts)

    def fill(self, series: Series, phase: int | None) -> str:
        """The name of one output, without suffix: `phase` is added where there are several and no field says it."""
        values = _values(series, [name for _, name, _ in self.parts if name not in ("", *_OWN_FIELDS)])
        values |= {"phase": "0" if phase is None else str(phase), "part": series.part}
        made = "".join(text + (_shown(values[name], spec) if name else "") for text, name, spec in self.parts)
        if phase is not None and not self.names_phases:
            made += f"-phase{phase}"
        return "/".join(map(_safe_part, made.split("/")))


def safe(text: str) -> str:
    """`text` as a part of a file's name: letters and digits of any script, `.`, `+`, `-`, `_`."""
    return _UNSAFE.sub("-", text).strip("-.")


def file_name(series: Series, phase: int | None) -> str:
    """Series number, description and, where they say nothing, the end of the UID: safe on every file system."""
    words = [series.name if series.name != series.uid else f"series-{series.uid[-12:]}"]
    if phase is not None:
        words.append(f"phase{phase}")
    text = safe("-".join(words))
    return text[:LONGEST_NAME] or f"series-{series.uid[-12:]}"


class PatientFolders:
    """A folder for each patient where series of several would have one name, and be numbered with another's.

    Where no names meet none is made: a Patient ID is in a path only where it has to be.
    """

    def __init__(self, series: Iterable[Series]) -> None:
        patients: dict[str, set[str]] = {}
        for each in series:
            patients.setdefault(_patient(each), set()).add(file_name(each, None).casefold())
        meet = len(set().union(*patients.values())) < sum(map(len, patients.values()))
        self._names: dict[str, str] = {}
        taken: set[str] = set()
        for patient in patients if meet else ():
            name = _safe_part(safe(patient)) if safe(patient) else UNKNOWN
            if name.casefold() in taken:
                name = f"{name[: LONGEST_NAME - 9]}-{sha256(patient.encode()).hexdigest()[:8]}"
            taken.add(name.casefold())
            self._names[patient] = name

    def __call__(self, series: Series) -> str:
        """The folder with its slash, "" where one patient is all there is."""
        name = self._names.get(_patient(series))
        return f"{name}/" if name else ""


def refuse_collisions(names: Mapping[str, tuple[str, Series]], template: str) -> None:
    """Raise `SelectionError` where two outputs would have one name, or one lie in another. `names`: by output's key."""
    taken: dict[str, Series] = {}
    for name, series in names.values():
        folded = name.casefold()
        if folded in taken:
            raise SelectionError(
                say(
                    "{template} gives {name} to two volumes: {one} and {other}",
                    template=template,
                    name=name,
                    one=taken[folded].name,
                    other=series.name,
                ),
                expected="a name for each",
                remedy="add a field that differs, such as {PatientID}, {SeriesInstanceUID}, {part} or {phase}",
            )
        taken[folded] = series
    for folded, series in taken.items():
        pieces = folded.split("/")
        if any("/".join(pieces[:count]) in taken for count in range(1, len(pieces))):
            raise SelectionError(
                say("{template} puts {one} into another volume", template=template, one=series.name),
                expected="a name for each",
            )


def _patient(series: Series) -> str:
    facts = series.facts
    return facts.get("PatientID") or facts.get("PatientName") or ""


def _check_field(template: str, name: str, spec: str, conversion: str | None) -> None:
    if name not in _OWN_FIELDS:
        from hounsfield.dicom.dictionary import find_tag

        find_tag(name)
    if conversion or not re.fullmatch(r"0?\d{0,2}", spec):
        raise _no_template(template, "fields such as {SeriesNumber} or {SeriesNumber:03}")


def _no_template(text: str, expected: str) -> HounsfieldError:
    return SelectionError(say("{text} is no name for outputs", text=repr(text)), expected=expected)


def _values(series: Series, fields: list[str]) -> dict[str, str]:
    """Texts of attributes of the first slice; what the scan did not keep of it is read."""
    found: dict[str, str] = {}
    dataset: Any = None
    for name in fields:
        if name in series.facts:
            found[name] = series.facts[name]
            continue
        from hounsfield.dicom.dictionary import find_tag

        dataset = series.slices[0].instance.dataset() if dataset is None else dataset
        found[name] = ""
        with suppress(Exception):  # pydicom raises many kinds on a broken element
            value = dataset[find_tag(name)].value
            found[name] = "" if value is None else str(value)
    return found


def _shown(value: str, spec: str) -> str:
    if spec and value.strip().isdecimal():
        return f"{int(value):{spec}}".strip()
    return safe(value) or UNKNOWN


def _safe_part(text: str) -> str:
    """One folder's or file's name: never `..`, never hidden, never a device of Windows, never longer than allowed."""
    text = text.strip(" .")[:LONGEST_NAME].strip(" .")
    while len(text.encode()) > 2 * LONGEST_NAME:
        text = text[:-1]
    return f"_{text}" if not text or _RESERVED.fullmatch(text) else text
