"""The URLs of the Studies Service (PS3.18 10) as frozen values: parsed, checked, navigated, built.

A `Resource` knows nothing of queries (`queries`) or of media types (`media_types`), holds no credentials, and
fetches nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

from hounsfield.dicomweb.uids import is_uid, require_uid
from hounsfield.errors import DicomwebError
from hounsfield.language import say

Collection = Literal["studies", "series", "instances"]
Rendition = Literal["metadata", "rendered", "thumbnail", "bulkdata", "pixeldata"]
Level = Literal["service", "study", "series", "instance", "frames"]

COLLECTIONS: tuple[Collection, ...] = ("studies", "series", "instances")
RENDITIONS: tuple[Rendition, ...] = ("metadata", "rendered", "thumbnail", "bulkdata", "pixeldata")
MAX_FRAMES_LISTED = 100_000
"""Frame numbers in one URL; a longer list is no request but an attack."""

_COLLECTIONS_AT: dict[Level, tuple[Collection, ...]] = {
    "service": ("studies", "series", "instances"),
    "study": ("series", "instances"),
    "series": ("instances",),
    "instance": (),
    "frames": (),
}
_RENDITIONS_AT: dict[Level, tuple[Rendition, ...]] = {
    "service": (),
    "study": RENDITIONS,
    "series": RENDITIONS,
    "instance": RENDITIONS,
    "frames": ("rendered", "thumbnail"),
}


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of the Studies Service below `base` ("https://host/dicom-web", no slash at its end).

    `collection` is what is searched or stored to at this level; `rendition` another form of the same content;
    `reference` whatever a server appended after `/bulkdata/`. `frames` count from 1. Parts that cannot go
    together raise `DicomwebError` with status 400.
    """

    base: str
    study: str | None = None
    series: str | None = None
    instance: str | None = None
    frames: tuple[int, ...] = ()
    collection: Collection | None = None
    rendition: Rendition | None = None
    reference: str = ""

    def __post_init__(self) -> None:
        _check_chain(self)
        _check_form(self)
        if self.base.endswith("/"):
            object.__setattr__(self, "base", self.base.rstrip("/"))

    @classmethod
    def parse(cls, url: str) -> Resource:
        """The resource that `url` names; a URL that ends before `/studies` is a service.

        A query, a fragment or credentials in the URL are refused: the first belongs to `queries.Query`, the
        others to nobody who may see this value.
        """
        try:
            parts = urlsplit(url)
            host = parts.hostname
        except ValueError as error:
            raise _not_a_url(url) from error
        if parts.scheme.lower() not in {"http", "https"} or not host:
            raise _not_a_url(url)
        if parts.query or parts.fragment or "@" in parts.netloc:
            raise DicomwebError(
                "a DICOMweb resource has no query, fragment or credentials in its URL", status=400
            )
        root = f"{parts.scheme.lower()}://{parts.netloc}"
        return cls.parse_path(parts.path, root)

    @classmethod
    def parse_path(cls, path: str, root: str = "") -> Resource:
        """The resource named by a path below `root`; what precedes the resource becomes part of the base."""
        segments = [unquote(segment) for segment in path.strip("/").split("/") if segment]
        if any(segment in {".", ".."} for segment in segments):
            raise DicomwebError("dot segments in a path", expected="a plain path", status=400)
        for start, segment in enumerate(segments):
            # The longest tail that reads as a resource wins, so that a base may have any name itself.
            if segment == "studies" and is_uid("".join(segments[start + 1 : start + 2])):
                found = _read_tail(segments[start:])
                if found is None:
                    break
            elif segment in COLLECTIONS:
                found = _read_tail(segments[start:])
            else:
                continue
            if found is not None:
                base = "/".join([root, *(quote(each, safe="") for each in segments[:start])])
                return replace(found, base=base)
        if "studies" in segments:
            bad = "/".join(segments[segments.index("studies") :])
            raise DicomwebError(
                say("{bad} is no DICOMweb path", bad=repr(bad[:200])),
                expected="studies/UID/series/UID/instances/UID/frames/N with metadata, rendered … after it",
                status=400,
            )
        return cls("/".join([root, *(quote(each, safe="") for each in segments)]))

    @property
    def level(self) -> Level:
        if self.frames:
            return "frames"
        if self.instance is not None:
            return "instance"
        if self.series is not None:
            return "series"
        return "service" if self.study is None else "study"

    @property
    def path(self) -> str:
        """The path below the base, without a slash at either end."""
        segments: list[str] = []
        for name, uid in (("studies", self.study), ("series", self.series), ("instances", self.instance)):
            if uid is not None:
                segments += [name, uid]
        if self.frames:
            segments += ["frames", ",".join(map(str, self.frames))]
        segments += [name for name in (self.collection, self.rendition) if name is not None]
        if self.reference:
            segments.append(quote(self.reference, safe="/:@!$&'()*+,;=~"))
        return "/".join(segments)

    @property
    def url(self) -> str:
        return f"{self.base}/{self.path}".rstrip("/")

    def __str__(self) -> str:
        return self.url

    @property
    def plain(self) -> Resource:
        """The same without collection or rendition: the thing itself."""
        return replace(self, collection=None, rendition=None, reference="")

    @property
    def parent(self) -> Resource | None:
        """One level up (frames → instance → series → study → service); None above a service."""
        if self.level == "service":
            return None
        plain = self.plain
        if plain.frames:
            return replace(plain, frames=())
        if plain.instance is not None:
            return replace(plain, instance=None)
        return replace(plain, series=None) if plain.series is not None else replace(plain, study=None)

    def ancestors(self) -> Iterator[Resource]:
        """The parent, its parent, up to the service."""
        above = self.parent
        while above is not None:
            yield above
            above = above.parent

    def at(
        self,
        study: str | None = None,
        series: str | None = None,
        instance: str | None = None,
        frames: Sequence[int] = (),
    ) -> Resource:
        """A deeper resource of the same service; what is not given stays as it is here."""
        return Resource(
            self.base,
            study if study is not None else self.study,
            series if series is not None else self.series,
            instance if instance is not None else self.instance,
            tuple(frames) or self.frames,
        )

    def all(self, collection: Collection) -> Resource:
        """The collection to search, or to store into, at this level."""
        return replace(self.plain, collection=collection)

    def as_(self, rendition: Rendition) -> Resource:
        return replace(self.plain, rendition=rendition)

    def below(self, other: Resource) -> bool:
        """Return whether this lies in `other` or is the same, in the same service."""
        mine = (self.base, self.study, self.series, self.instance)
        theirs = (other.base, other.study, other.series, other.instance)
        return all(b is None or a == b for a, b in zip(mine, theirs, strict=True))


def parse_frames(text: str) -> tuple[int, ...]:
    """Frame numbers, from 1, as `1,3,2` in the order asked (PS3.18 10.4.1.1.3); spaces are forgiven."""
    numbers = text.split(",", MAX_FRAMES_LISTED)
    if len(numbers) > MAX_FRAMES_LISTED:
        raise DicomwebError(
            "too many frames in one request",
            expected=say("at most {max_frames_listed}", max_frames_listed=MAX_FRAMES_LISTED),
            status=400,
        )
    frames = []
    for number in numbers:
        digits = number.strip()
        if not digits.isascii() or not digits.isdigit() or len(digits) > 10 or int(digits) < 1:
            raise DicomwebError(
                say("{digits} is no frame number", digits=repr(digits[:20])),
                expected="numbers from 1 on",
                status=400,
            )
        frames.append(int(digits))
    return tuple(frames)


def _read_tail(segments: list[str]) -> Resource | None:
    """The resource that a whole list of segments names, or None; a bad frame list is an error at once."""
    uids: list[str | None] = [None, None, None]
    position = 0
    for depth, name in enumerate(COLLECTIONS):
        if segments[position : position + 1] != [name] or len(segments) < position + 2:
            break
        if not is_uid(segments[position + 1]):
            break
        uids[depth] = segments[position + 1]
        position += 2
    frames: tuple[int, ...] = ()
    if (
        uids[2] is not None
        and segments[position : position + 1] == ["frames"]
        and len(segments) > position + 1
    ):
        frames = parse_frames(segments[position + 1])
        position += 2
    rest = segments[position:]
    try:
        deep = Resource("", uids[0], uids[1], uids[2], frames)
        if not rest:
            return deep if uids[0] is not None else None
        if len(rest) == 1 and rest[0] in COLLECTIONS:
            return deep.all(_collection(rest[0]))
        if rest[0] in RENDITIONS and (len(rest) == 1 or rest[0] == "bulkdata"):
            return replace(deep, rendition=_rendition(rest[0]), reference="/".join(rest[1:]))
    except DicomwebError:
        return None
    return None


def _collection(name: str) -> Collection:
    return next(each for each in COLLECTIONS if each == name)


def _rendition(name: str) -> Rendition:
    return next(each for each in RENDITIONS if each == name)


def _check_chain(resource: Resource) -> None:
    chain = (
        (resource.study, "Study Instance UID"),
        (resource.series, "Series Instance UID"),
        (resource.instance, "SOP Instance UID"),
    )
    missing = None
    for uid, what in chain:
        if uid is None:
            missing = missing or what
        elif missing is not None:
            raise DicomwebError(
                say("{what} without {missing}", what=what, missing=missing),
                expected="each level above it",
                status=400,
            )
        else:
            require_uid(uid, what)
    if resource.frames and resource.instance is None:
        raise DicomwebError("frames without SOP Instance UID", expected="each level above it", status=400)
    if any(frame < 1 for frame in resource.frames):
        raise DicomwebError("a frame number below 1", expected="numbers from 1 on", status=400)


def _check_form(resource: Resource) -> None:
    level = resource.level
    if resource.collection is not None and resource.collection not in _COLLECTIONS_AT[level]:
        raise DicomwebError(
            say("no {collection} below {level} level", collection=resource.collection, level=level),
            status=400,
        )
    if resource.rendition is not None and resource.rendition not in _RENDITIONS_AT[level]:
        raise DicomwebError(
            say("no {rendition} at {level} level", rendition=resource.rendition, level=level), status=400
        )
    if resource.collection is not None and resource.rendition is not None:
        raise DicomwebError("a collection has no rendition", status=400)
    if resource.reference and resource.rendition != "bulkdata":
        raise DicomwebError("only bulkdata is followed by a reference", status=400)


def _not_a_url(url: str) -> DicomwebError:
    return DicomwebError(
        "not a DICOMweb URL",
        expected="https://host/path, with studies/UID … after it",
        where=_without_secrets(url),
    )


def _without_secrets(url: str) -> str:
    """`url` fit to be shown: neither what stands before an `@` nor a query."""
    shown = url.split("?", 1)[0]
    scheme, mark, rest = shown.rpartition("://")
    return (scheme + mark + rest.rpartition("@")[2])[:200]
