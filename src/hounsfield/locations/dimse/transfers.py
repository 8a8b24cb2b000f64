"""Instances to and from a peer: C-GET, else C-MOVE, asked again for what did not come; C-STORE.

How many came is not taken from the peer's counts: the UIDs that it lists are held against those that arrived.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from hounsfield.ct.instance import read_instance
from hounsfield.ct.instance.reading import read_header
from hounsfield.ct.instance.source import BytesSource, Skipped, Source
from hounsfield.dicom.syntaxes import SYNTAXES, transfer_syntax
from hounsfield.dimse.client import Sendable, Stored
from hounsfield.dimse.client import store as store_instances
from hounsfield.dimse.identifiers import encode_identifier, failed_instances, identifier
from hounsfield.dimse.part10 import data_set_pieces
from hounsfield.dimse.receiving import ReceivedFile
from hounsfield.dimse.requestor import Peer
from hounsfield.dimse.retrieving import Retrieved, RetrieveEnd, get, move
from hounsfield.dimse.services import CT_STORAGE, MODELS, InformationModel
from hounsfield.dimse.statuses import SUCCESS
from hounsfield.errors import DimseError, HounsfieldError
from hounsfield.locations.arrivals import arrived
from hounsfield.locations.location import Delivered
from hounsfield.outputs import partial_instance
from hounsfield.outputs.results import Result, Status

ASKED_AGAIN = 2
"""Number of times that what did not come is asked for once more."""

UIDS_AT_ONCE = 100
"""SOP Instance UIDs in one retrieval."""

USUAL_CLASSES = (
    CT_STORAGE,
    f"{CT_STORAGE}.1",  # Enhanced CT
    f"{CT_STORAGE}.2",  # Legacy Converted Enhanced CT
    "1.2.840.10008.5.1.4.1.1.4",  # MR
    "1.2.840.10008.5.1.4.1.1.128",  # PET
    "1.2.840.10008.5.1.4.1.1.7",  # Secondary Capture
    "1.2.840.10008.5.1.4.1.1.7.2",
    "1.2.840.10008.5.1.4.1.1.7.4",
    "1.2.840.10008.5.1.4.1.1.11.1",  # Grayscale Softcopy Presentation State
    "1.2.840.10008.5.1.4.1.1.66.4",  # Segmentation
    "1.2.840.10008.5.1.4.1.1.481.2",  # RT Dose
    "1.2.840.10008.5.1.4.1.1.481.3",  # RT Structure Set
    "1.2.840.10008.5.1.4.1.1.88.11",  # Basic Text, Enhanced, Comprehensive and Dose SR
    "1.2.840.10008.5.1.4.1.1.88.22",
    "1.2.840.10008.5.1.4.1.1.88.33",
    "1.2.840.10008.5.1.4.1.1.88.67",
    "1.2.840.10008.5.1.4.1.1.88.59",  # Key Object Selection
    "1.2.840.10008.5.1.4.1.1.104.1",  # Encapsulated PDF
)
"""SOP classes proposed for a C-GET of instances whose SOP classes the peer does not tell."""

_NOT_PROPOSED = frozenset({"video", "jpip", "jpeg2000-part2"})
SYNTAXES_TAKEN = tuple(uid for uid, each in SYNTAXES.items() if each.family not in _NOT_PROPOSED)

_Way = tuple[str, InformationModel]
WAYS: tuple[_Way, ...] = (*(("get", model) for model in MODELS), *(("move", model) for model in MODELS))


@dataclass
class Retriever:
    """Retrieves from one peer; the way that it offers is found with the first retrieval, C-GET before C-MOVE."""

    peer: Peer
    _ways: list[_Way] = field(default_factory=lambda: list(WAYS))
    _proven: _Way | None = None

    def series(
        self,
        study: str,
        series: str,
        instances: Collection[str] | None,
        listed: dict[str, str],
        folder: Path,
        syntax: str,
    ) -> Iterator[Delivered | Skipped]:
        """Instances of a series (None: all) as files in `folder`.

        `listed` are the SOP classes of what the peer says there is, by SOP Instance UID. What does not come is asked
        for again; `DimseError` if it does not come then, with `data["truncated"]` unless the peer says that it failed.
        """
        wanted = set(listed if instances is None else instances)
        keys: dict[str, str | list[str]] = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        missing, failed, reason = set(wanted), set[str](), ""
        for attempt in range(1 + ASKED_AGAIN):
            part = None if attempt == 0 and instances is None else sorted(missing)
            for request in _requests(keys, part):
                for each in self._retrieved(request, listed, folder, syntax):
                    if isinstance(each, RetrieveEnd):
                        failed.update(failed_instances(each.identifier, each.transfer_syntax))
                        reason = each.reason or reason
                        continue
                    found = self._arrived(each, study, series)
                    if isinstance(found, Skipped) or instances is None or found.instance in missing:
                        missing.discard(getattr(found, "instance", ""))
                        yield found
                    elif found.path is not None:
                        found.path.unlink()
            if not missing or (attempt and missing <= failed):
                break
        if missing:
            raise _short(series, missing, len(wanted), reason, self.peer, final=missing <= failed)

    def _arrived(self, file: ReceivedFile, study: str, series: str) -> Delivered | Skipped:
        asked = f"series {series}"
        return arrived(
            file.path,
            file.size,
            study=study,
            series=series,
            instance=None,
            asked=asked,
            name=file.sop_instance,
        )

    def _retrieved(
        self, keys: dict[str, str | list[str]], listed: dict[str, str], folder: Path, syntax: str
    ) -> Iterator[Retrieved]:
        """One retrieval, in the first way that the peer offers."""
        refusal: DimseError | None = None
        while self._ways:
            way = self._ways[0]
            came = False
            try:
                for each in self._by(way, keys, listed, folder, syntax):
                    last = isinstance(each, RetrieveEnd)
                    if last and not came and way != self._proven and _is_useless(each) and self._can_move():
                        raise DimseError("gives nothing by C-GET", unsupported=way[1].get)
                    if not last:
                        came, self._proven = True, way
                    yield each
                return
            except DimseError as error:
                if "unsupported" not in error.data or came:
                    raise
                refusal = refusal or error
                if self._ways and self._ways[0] == way:
                    del self._ways[0]
        raise refusal or DimseError(
            "offers neither C-GET nor C-MOVE", where=self.peer.address, unsupported=""
        )

    def _can_move(self) -> bool:
        return self._ways[0][0] == "get" and self._ways[-1][0] == "move"

    def _by(
        self, way: _Way, keys: dict[str, str | list[str]], listed: dict[str, str], folder: Path, syntax: str
    ) -> Iterator[Retrieved]:
        kind, model = way
        level = "IMAGE" if "SOPInstanceUID" in keys else "SERIES"
        encode = partial(encode_identifier, identifier(level, keys))
        new_path = partial(partial_instance, folder)
        syntaxes = SYNTAXES_TAKEN if syntax == "*" else (transfer_syntax(syntax).uid,)
        if kind == "move":
            return move(self.peer, model.move, encode, new_path, syntaxes=syntaxes)
        classes = list(dict.fromkeys(filter(None, listed.values()))) or list(USUAL_CLASSES)
        return get(self.peer, model.get, encode, new_path, sop_classes=classes, syntaxes=syntaxes)


def _short(
    series: str, missing: Collection[str], wanted: int, reason: str, peer: Peer, *, final: bool
) -> DimseError:
    found = f"{len(missing)} of {wanted} instances of series {series} did not come"
    return DimseError(
        f"{found}: {reason}" if reason else found,
        where=peer.address,
        truncated=not final,
        uids=tuple(sorted(missing)),
    )


def _is_useless(end: Retrieved) -> bool:
    return isinstance(end, RetrieveEnd) and end.status != SUCCESS and not end.completed


def _requests(
    keys: dict[str, str | list[str]], part: Sequence[str] | None
) -> Iterator[dict[str, str | list[str]]]:
    if part is None:
        yield keys
        return
    for start in range(0, len(part), UIDS_AT_ONCE):
        yield keys | {"SOPInstanceUID": list(part[start : start + UIDS_AT_ONCE])}


def store(peer: Peer, instances: Sequence[Delivered]) -> Iterator[Result]:
    """C-STORE these; what the peer does not confirm has failed."""
    by_name = {each.name: each for each in instances}
    sendables = []
    for each in instances:
        try:
            sendables.append(_sendable(each))
        except HounsfieldError as error:
            del by_name[each.name]
            yield Result(each.name, Status.FAILED, str(error))
    sources = {each.name: each.source for each in instances}
    try:
        for stored in store_instances(
            peer, sendables, lambda given, taken: _recoded(given, sources[given.name], taken)
        ):
            each = by_name.pop(stored.instance.name)
            yield _outcome(each, stored, peer)
    except HounsfieldError as error:
        yield from (Result(each.name, Status.FAILED, str(error)) for each in by_name.values())


def _sendable(each: Delivered) -> Sendable:
    header = read_header(each.source)
    return Sendable(
        each.name,
        header.text("SOPClassUID"),
        each.instance,
        header.transfer_syntax,
        partial(data_set_pieces, each.source.open),
    )


def _recoded(given: Sendable, source: Source, syntaxes: Sequence[str]) -> Sendable:
    """The instance in the first of the transfer syntaxes that the peer takes, losslessly."""
    from hounsfield.transcode import Target, reencoded, transcode

    wanted = transfer_syntax(syntaxes[0])
    pixels = read_instance(source).header.pixels
    plain = pixels is None or pixels.keyword != "PixelData"
    content = reencoded(source, wanted) if plain else transcode(source, Target(wanted)).content
    made = BytesSource(given.name, content)
    return Sendable(
        given.name, given.sop_class, given.sop_instance, wanted.uid, partial(data_set_pieces, made.open)
    )


def _outcome(each: Delivered, stored: Stored, peer: Peer) -> Result:
    # Out of resources (A7xx) is worth another try, every other failure is a refusal.
    again = stored.status is None or stored.status >> 8 == 0xA7
    status = Status.FAILED if again else Status.REFUSED
    if stored.kind in ("success", "warning"):
        status = Status.DONE
    where = peer.address if status is Status.DONE else ""
    return Result(each.name, status, stored.reason, where, each.size)
