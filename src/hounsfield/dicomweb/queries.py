"""Search parameters (PS3.18 8.3.4) as a frozen value: parsed from a query string, written to one.

What they match is in `matching`; which attributes a level knows is a server's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl, quote

from hounsfield.dicomweb.attributes import canonical
from hounsfield.errors import DicomwebError

MAX_PARAMETERS = 1000
"""Parameters in one query string."""

_FLAGS = {
    "fuzzymatching": "fuzzy",
    "emptyvaluematching": "match_empty",
    "multiplevaluematching": "match_multiple",
}


@dataclass(frozen=True, slots=True)
class Query:
    """A search: service, level, values to match, page and fields.

    `matches` holds (attribute, value) in canonical names, in order; an empty value is universal matching.
    `include` holds canonical names or the single "all", `order` names by which results are to be sorted, with `-`
    before those that descend (`orderby`: of some servers, not of the standard). `extra` keeps parameters that are
    no attributes (`accept`, a vendor's own) for whoever knows them. None in a flag or number means that nothing is
    said.
    """

    matches: tuple[tuple[str, str], ...] = ()
    include: tuple[str, ...] = ()
    fuzzy: bool | None = None
    limit: int | None = None
    offset: int | None = None
    match_empty: bool | None = None
    match_multiple: bool | None = None
    extra: tuple[tuple[str, str], ...] = ()
    order: tuple[str, ...] = ()

    @classmethod
    def build(
        cls,
        filters: Mapping[str, object] | None = None,
        *,
        include: str | Iterable[str] = (),
        fuzzy: bool | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Query:
        """A query from attribute names in any spelling; a list of values asks for any of them."""
        matches = tuple((canonical(name), _written(value)) for name, value in (filters or {}).items())
        names = [include] if isinstance(include, str) else list(include)
        return cls(matches, _included(names), fuzzy, limit, offset)

    @classmethod
    def parse(
        cls, query: str | Sequence[tuple[str, str]], *, extra: frozenset[str] = frozenset({"accept"})
    ) -> Query:
        """The query that a URL's query string, or its decoded pairs, ask for.

        A key that is no attribute and not in `extra` is refused with status 400 rather than ignored: a typing
        error in a filter must not return everybody's studies.
        """
        pairs = _pairs(query) if isinstance(query, str) else list(query)
        matches: list[tuple[str, str]] = []
        others: list[tuple[str, str]] = []
        include: list[str] = []
        order: list[str] = []
        known: dict[str, bool | int] = {}
        for key, value in pairs:
            lower = key.lower()
            if lower == "includefield":
                include.append(value)
            elif lower == "orderby":
                order.append(value)
            elif lower in _FLAGS:
                known[_FLAGS[lower]] = _flag(key, value)
            elif lower in {"limit", "offset"}:
                known[lower] = _count(key, value)
            elif lower in extra:
                others.append((lower, value))
            else:
                matches.append((canonical(key), value))
        found = cls(tuple(matches), _included(include), extra=tuple(others), order=_ordered(order))
        return replace(found, **known)  # type: ignore[arg-type]

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The parameters, decoded: filters, fields, flags, page."""
        found = [*self.matches]
        if self.include:
            found.append(("includefield", ",".join(self.include)))
        if self.order:
            found.append(("orderby", ",".join(self.order)))
        for key, name in _FLAGS.items():
            if (flag := getattr(self, name)) is not None:
                found.append((key, "true" if flag else "false"))
        for key in ("limit", "offset"):
            if (count := getattr(self, key)) is not None:
                found.append((key, str(count)))
        return (*found, *self.extra)

    def encode(self) -> str:
        """The query string, without a question mark; commas and `*` bare, as every server reads them."""
        return "&".join(f"{quote(key, safe='')}={quote(value, safe=',*:')}" for key, value in self.pairs())

    def page(self, offset: int, limit: int | None) -> Query:
        return replace(self, offset=offset, limit=limit)

    def value(self, name: str) -> str | None:
        """Return the value that `name` is asked to match, or None."""
        wanted = canonical(name)
        return next((value for key, value in self.matches if key == wanted), None)


def _pairs(query: str) -> list[tuple[str, str]]:
    try:
        return parse_qsl(
            query.removeprefix("?"),
            keep_blank_values=True,
            max_num_fields=MAX_PARAMETERS,
            encoding="utf-8",
            errors="strict",
        )
    except ValueError as error:
        raise DicomwebError(
            "a query string that cannot be read",
            expected="UTF-8, percent-encoded key=value pairs",
            status=400,
        ) from error


def _included(names: Iterable[str]) -> tuple[str, ...]:
    """Comma lists and repeats as one tuple without doubles; `all` swallows the rest (PS3.18 8.3.4.3)."""
    found: dict[str, None] = {}
    for name in (each for text in names for each in text.split(",") if each.strip()):
        if name.strip().lower() == "all":
            return ("all",)
        found[canonical(name)] = None
    return tuple(found)


def _ordered(texts: Iterable[str]) -> tuple[str, ...]:
    """Comma lists and repeats as one tuple; an attribute that is named twice orders where it is named first."""
    found: dict[str, str] = {}
    for name in (each.strip() for text in texts for each in text.split(",") if each.strip()):
        descends = name.startswith("-")
        key = canonical(name.removeprefix("-"))
        found.setdefault(key, f"-{key}" if descends else key)
    return tuple(found.values())


def _written(value: object) -> str:
    if isinstance(value, (list, tuple, set, frozenset)):
        return ",".join(str(each) for each in value)
    return "" if value is None else str(value)


def _flag(key: str, value: str) -> bool:
    if value.strip().lower() not in {"true", "false"}:
        raise DicomwebError(f"{key}={value[:20]!r}", expected="true or false", status=400)
    return value.strip().lower() == "true"


def _count(key: str, value: str) -> int:
    digits = value.strip()
    if not digits.isascii() or not digits.isdigit() or len(digits) > 15:
        raise DicomwebError(f"{key}={value[:20]!r}", expected="a whole number from 0 on", status=400)
    return int(digits)
