"""Changes as a person writes them: `PatientName=Doe^Jane`, `0010,0010=`, `Sequence[0].Keyword=value`, or a removal."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from hounsfield.dicom.charsets import LATIN1, UTF8, is_defined, known_set, terms
from hounsfield.dicom.dictionary import attribute, find_tag, written
from hounsfield.dicom.encoding import PIXEL_TAGS
from hounsfield.errors import SelectionError, UnsupportedError
from hounsfield.language import say

_STEP = re.compile(r"(?P<tag>[^\[\]]+?)(?:\[(?P<item>\d{1,6})\])?")
_CHARACTER_SET = 0x00080005
_TERMS = {"utf-8": UTF8, "utf8": UTF8, "latin-1": LATIN1, "latin1": LATIN1, "iso-8859-1": LATIN1}
_TRANSFER_SYNTAX = 0x00020010
_TWINS = {0x00080016: 0x00020002, 0x00080018: 0x00020003}
"""SOP Class and Instance UID, and where the file meta group repeats them (PS3.10 7.1)."""


class Step(NamedTuple):
    """One step of a path: a tag and, on the way down, the item of that sequence, counted from 0."""

    tag: int
    item: int | None = None


@dataclass(frozen=True, slots=True)
class Edit:
    """Set the attribute at `path` to `value`, or with None remove it.

    `relabels`: the value is the character set that the texts are in already; their bytes stay.
    """

    path: tuple[Step, ...]
    value: str | None
    relabels: bool = False

    @property
    def name(self) -> str:
        """The path in words, for messages."""
        return ".".join(
            (attribute(step.tag).keyword or written(step.tag))
            + ("" if step.item is None else f"[{step.item}]")
            for step in self.path
        )


def parse_edits(settings: Iterable[str] = (), removals: Iterable[str] = ()) -> tuple[Edit, ...]:
    """Edits from `KEYWORD=VALUE` texts and keywords to remove, with what must change along with them.

    Raises `SelectionError` for what names no attribute or is given twice, `UnsupportedError` for what would make the
    file unreadable.
    """
    edits = [*(_setting(text) for text in settings), *(Edit(_path(text), None) for text in removals)]
    paths = {edit.path for edit in edits}
    if len(paths) != len(edits):
        twice = next(edit.name for n, edit in enumerate(edits) if edit.path in {e.path for e in edits[:n]})
        raise SelectionError(
            say("{twice} is given twice", twice=twice), remedy="set or remove an attribute once"
        )
    for edit in edits:
        _refuse(edit)
    for edit in tuple(edits):
        for one, other in (*_TWINS.items(), *((meta, tag) for tag, meta in _TWINS.items())):
            if edit.path == (Step(one),) and (Step(other),) not in paths:
                edits.append(Edit((Step(other),), edit.value))
    return tuple(edits)


def relabelling(charset: str) -> Edit:
    """The change of (0008,0005) to the set that texts are in already. Raises `SelectionError` for none of DICOM's."""
    known = known_set(charset)
    term = "\\".join(_TERMS.get(each.lower().replace("_", "-"), each) for each in terms(known))
    if not is_defined(term):
        raise SelectionError(
            say("{charset} is no character set of DICOM", charset=repr(charset[:40])),
            expected="ISO_IR 192 (UTF-8), GB18030, GBK, ISO_IR 100 …",
            remedy="write the texts anew in UTF-8: --set SpecificCharacterSet='ISO_IR 192', and each text with --set",
        )
    return Edit((Step(_CHARACTER_SET),), term, relabels=True)


def _setting(text: str) -> Edit:
    path, equals, value = text.partition("=")
    if not equals:
        raise SelectionError(
            say("{text} sets nothing", text=repr(text[:80])),
            expected="KEYWORD=VALUE",
            remedy="KEYWORD= empties it",
        )
    return Edit(_path(path), value)


def _path(text: str) -> tuple[Step, ...]:
    steps = []
    for part in text.strip().split("."):
        match = _STEP.fullmatch(part.strip())
        if match is None:
            raise SelectionError(
                say("{text} is no path", text=repr(text[:80])), expected="Keyword, or Sequence[0].Keyword"
            )
        steps.append(Step(find_tag(match["tag"]), None if match["item"] is None else int(match["item"])))
    for step in steps[:-1]:
        if step.item is None:
            raise SelectionError(
                say("{text} does not say which item", text=repr(text[:80])),
                expected="Sequence[0].Keyword, items counted from 0",
            )
    if steps[-1].item is not None:
        raise UnsupportedError(
            say("{text} is a whole item", text=repr(text[:80])),
            expected="an attribute in it",
            remedy="remove the sequence, or name one",
        )
    return tuple(steps)


def _refuse(edit: Edit) -> None:
    """Refuse what the pixels or the file's own structure depend on."""
    tag = edit.path[-1].tag
    if tag == _TRANSFER_SYNTAX:
        raise UnsupportedError(
            "the Transfer Syntax UID says how the file is written",
            remedy="use `hounsfield compress` to write it in another",
        )
    if tag & 0xFFFF == 0 or tag >> 16 in {0x0004, 0xFFFE}:
        raise UnsupportedError(
            say("{name} belongs to the file's structure", name=edit.name), remedy="change other attributes"
        )
    if len(edit.path) > 1 and edit.path[0].tag >> 16 == 0x0002:
        raise UnsupportedError(
            say("{name} is in the file meta group, which has no sequences", name=edit.name)
        )
    if edit.value is None:
        if tag in _TWINS or tag in _TWINS.values():
            raise UnsupportedError(
                say("{name} cannot be removed: it says what the file is", name=edit.name),
                remedy="set it instead",
            )
        return
    if tag in PIXEL_TAGS:
        raise UnsupportedError(
            say("{name} is not text", name=edit.name), remedy="use `hounsfield compress` to rewrite pixels"
        )
