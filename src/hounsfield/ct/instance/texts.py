"""The character set that the texts of one instance are in, and how its header's are read by it."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

from hounsfield.ct.instance.source import Source, has_metadata
from hounsfield.dicom.charsets import UTF8, known_set
from hounsfield.dicom.dataset_texts import settle_texts
from hounsfield.dicom.decided_texts import Decision, Text, configured_set, decide
from hounsfield.dicom.fast_walk import Trace, scan_elements
from hounsfield.dicom.walked_texts import decide_walked
from hounsfield.errors import HounsfieldError
from hounsfield.language.reasons import Reason, reason

if TYPE_CHECKING:
    from pydicom import Dataset

_KEPT = 4096  # decisions: slices of a series share theirs

_decisions: OrderedDict[tuple[tuple[Text, ...], str, str], Decision] = OrderedDict()
_lock = Lock()


def configured_for(source: Source | None) -> str:
    """The set that the user named for texts that are not in the one they declare: for this source, else for all."""
    own = getattr(source, "charset", "")
    return known_set(own) if own else configured_set()


def settled(dataset: Dataset, source: Source | None) -> Decision:
    """Have pydicom read the texts of `dataset`, which came from `source`, in the set that they are in."""
    return settle_texts(dataset, configured_for(source))


def decide_texts(texts: tuple[Text, ...], declared: str, source: Source | None) -> Decision:
    """The character set of an instance of whose texts a header has these; the others are read at `source`, once for
    all instances with the same ones.
    """
    configured = configured_for(source)
    if source is None or has_metadata(source):
        return decide(texts, declared, configured)
    key = (texts, declared, configured)
    with _lock:
        known = _decisions.get(key)
    if known is None:
        known = _of_all(source, configured) or decide(texts, declared, configured)
        with _lock:
            _decisions[key] = known
            while len(_decisions) > _KEPT:
                _decisions.popitem(last=False)
    return known


def _of_all(source: Source, configured: str) -> Decision | None:
    """The decision over all texts at `source`; None where they cannot be walked over quickly."""
    trace = Trace()
    with suppress(HounsfieldError), source.open() as stream:
        if scan_elements(stream, {}, trace=trace) is not None:
            return decide_walked(trace, configured)
    return None


def miscounted_reasons(decision: Decision) -> list[Reason]:
    """Return what to say of texts whose length counts characters: what follows was found by what it looks like."""
    if not decision.miscounted:
        return []
    from hounsfield.dicom.dictionary import attribute, written  # brings pydicom, a fifth of a second

    return [
        reason("text-length", name=f"{attribute(tag).keyword} {written(tag)}".strip())
        for tag in decision.miscounted
    ]


def character_set_reason(decision: Decision) -> Reason | None:
    """Return what a reader of the texts must know of the set that they are read in; None where it is the declared."""
    if decision.is_as_declared:
        return None
    declared = decision.declared
    if not decision.is_certain:
        return (
            reason("character-set-unknown", declared=declared)
            if declared
            else reason("character-set-unnamed")
        )
    used = f"UTF-8 ({UTF8})" if decision.used == UTF8 else decision.used
    if declared:
        return reason("character-set", declared=declared, used=used)
    return reason("character-set-missing", used=used)
