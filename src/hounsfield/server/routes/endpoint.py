"""`Endpoint`: one row of the table of routes. The rows are in `table`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from hounsfield.server.http.request import Request
from hounsfield.server.http.request_body import Body
from hounsfield.server.http.response import Response
from hounsfield.server.state import AppState

Scope = Literal["read", "write", "delete", "none"]
"""The scope that a principal needs; "none": anybody may ask."""

Function = Callable[[AppState, Request], Response]
"""An endpoint: run in a thread."""

UploadFunction = Callable[[AppState, Request, Body], Awaitable[Response]]
"""An endpoint that takes the request's body in as it arrives."""

STUDY = "/studies/{study}"
SERIES = f"{STUDY}/series/{{series}}"
INSTANCE = f"{SERIES}/instances/{{instance}}"


SEARCH = (
    ("limit", "how many results at most"),
    ("offset", "how many to leave out first"),
    ("fuzzymatching", "true: words of names by their beginnings"),
    ("emptyvaluematching", 'true: "" finds what is absent or empty'),
    ("multiplevaluematching", "true: each value asked for must be there"),
    ("includefield", "further attributes, by keyword or tag, or all"),
    ("orderby", "attributes to sort by, - before one that descends: -StudyDate,PatientName (an extension)"),
    ("PatientName", "with * and ?, without regard to case and accents"),
    ("PatientID", "with * and ?"),
    ("StudyDate", "a date, or a range a-b, a-, -b"),
    ("ModalitiesInStudy", "one or several"),
)
"""Query parameters of a search, beside any attribute by its keyword or tag."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`path` below the prefix; `parameters` of the query, each with what it is; `heavy`: it decodes pixels.

    `produces` and `consumes`: media types of answers and of bodies.
    """

    path: str
    function: Function | None
    summary: str
    method: str = "GET"
    scope: Scope = "read"
    produces: tuple[str, ...] = ("application/dicom+json",)
    consumes: tuple[str, ...] = ()
    parameters: tuple[tuple[str, str], ...] = ()
    heavy: bool = False
    search: bool = False
    upload: UploadFunction | None = None

    def __post_init__(self) -> None:
        assert (self.function is None) != (self.upload is None), self.path

    def is_offered(self, *, writable: bool) -> bool:
        """Whether a server has it: one that is read-only has none that write or delete."""
        return writable or self.scope in {"read", "none"}

    @property
    def queries(self) -> tuple[tuple[str, str], ...]:
        """The parameters that a query may have, each with what it is."""
        return (*self.parameters, *(SEARCH if self.search else ()))
