"""Accept headers from the `media_types` argument: a tuple of media types, or of (media type, transfer syntax).

What a resource cannot come as is a ValueError before anything is sent, what is no media type a TypeError, as
callers of `dicomweb-client` expect. Media types and their transfer syntaxes are Table 8.7.3-5 of PS3.18.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hounsfield.dicom.syntaxes import SYNTAXES
from hounsfield.dicomweb.media_types import DICOM, MULTIPART, NOT_ON_THE_WEB, OCTETS

MediaTypes = tuple[str | tuple[str, str], ...]

_OTHER_NAMES = {
    "image/dicom-rle": "image/x-dicom-rle",
    "image/jls": "image/x-jls",
    "video/mpeg": "video/mpeg2",
}
"""Other names of media types, met at peers."""
_ANY = "*/*"

RENDERED = {
    "image": frozenset({"image/", "image/*", "image/jpeg", "image/jp2", "image/gif", "image/png"}),
    "video": frozenset({"video/", "video/*", "video/mpeg", "video/mp4", "video/H265"}),
    "text": frozenset({"text/", "text/*", "text/html", "text/plain", "text/rtf", "text/xml"}),
    "application": frozenset({"application/pdf"}),
}
"""Media types of renderings (PS3.18 8.7.4) by their general type."""


def accept_dicom(media_types: MediaTypes | None) -> str:
    """Accept header for instances: `application/dicom`, in any transfer syntax that may travel."""
    wanted = _pairs(media_types or (DICOM,))
    if {name for name, _ in wanted} != {DICOM}:
        raise ValueError(f"media types {media_types!r} for instances (expected {DICOM!r})")
    return _accept(wanted, dict.fromkeys(_of_frames(), (DICOM,)))


def accept_bulk(media_types: MediaTypes | None) -> str:
    """Accept header for frames and bulk data: native bytes, or images or videos in their transfer syntaxes."""
    wanted = _pairs(media_types or (_ANY,))
    kinds = {name if name.startswith("application/") else name.partition("/")[0] for name, _ in wanted}
    if len(kinds) > 1 and kinds != {"image", OCTETS}:
        raise ValueError(f"media types of several kinds: {', '.join(sorted(kinds))}")
    return _accept(wanted, _of_frames())


def accept_rendered(media_types: MediaTypes | None, kinds: Iterable[str]) -> str:
    """Accept header for renderings, which are of one of `kinds` ("image", "video" …) and have no transfer syntax."""
    if media_types is None:
        return _ANY
    names = []
    for name in _sequence(media_types):
        if not isinstance(name, str):
            raise TypeError(f"a transfer syntax for a rendering: {name!r} (expected a media type)")
        kind = _checked(name).partition("/")[0]
        if kind not in kinds or name not in RENDERED[kind]:
            raise ValueError(f"media type {name!r} for this rendering (expected {', '.join(kinds)})")
        names.append(name)
    return ", ".join(names)


def _of_frames() -> dict[str, tuple[str, ...]]:
    """Transfer syntaxes that may travel, each with the media types of its frames."""
    found = {}
    for syntax in SYNTAXES.values():
        if syntax.uid not in NOT_ON_THE_WEB:
            other = _OTHER_NAMES.get(syntax.media_type)
            found[syntax.uid] = (syntax.media_type, *([other] if other else []))
    return found


def _accept(wanted: list[tuple[str, str | None]], known: Mapping[str, tuple[str, ...]]) -> str:
    names = {name for each in known.values() for name in each}
    entries = []
    for name, syntax in wanted:
        general = name.endswith(("/*", "/"))
        if name not in names and not general:
            raise ValueError(f"media type {name!r} for this resource")
        if syntax not in {None, "*"} and syntax not in known:
            raise ValueError(f"transfer syntax {syntax!r} for this resource")
        if syntax not in {None, "*"} and not general and name not in known[str(syntax)]:
            raise ValueError(f"transfer syntax {syntax!r} does not go with {name!r}")
        entries.append(
            f'{MULTIPART}; type="{name}"' + (f"; transfer-syntax={syntax}" if syntax is not None else "")
        )
    return ", ".join(entries)


def _pairs(media_types: MediaTypes) -> list[tuple[str, str | None]]:
    found: list[tuple[str, str | None]] = []
    for item in _sequence(media_types):
        name, syntax = (
            (item, None) if isinstance(item, str) else (item[0], item[1] if len(item) > 1 else None)
        )
        found.append((_checked(name), syntax))
    return found


def _sequence(media_types: MediaTypes) -> list[str | tuple[str, str]]:
    if not isinstance(media_types, (list, tuple, set)):
        raise TypeError(f"media types {media_types!r} (expected a tuple of them)")
    if not media_types:
        raise ValueError("no media type (expected at least one)")
    return list(media_types)


def _checked(name: str) -> str:
    if not isinstance(name, str) or name.count("/") != 1 or name.startswith("/"):
        raise ValueError(f"not a media type: {name!r} (expected type/subtype)")
    return name
