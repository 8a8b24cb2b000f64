"""Every error that `hounsfield` raises on purpose; any other exception is our bug.

::

    HounsfieldError
    ├── NotDicomError          the bytes are not DICOM
    ├── MalformedError         DICOM, but broken: a tag, a length, an encoding
    │   └── TruncatedError     ends before its own lengths say it should
    ├── UnsupportedError       sound, but nothing here can read or write it
    ├── GeometryError          the slices do not make the volume asked for
    ├── NotHounsfieldError     the values are in another unit, or no unit at all
    ├── SelectionError         the choice of series, phase or frame is missing or matches nothing
    ├── LocationError          a place that cannot be read or written
    │   ├── OutputExistsError  an output is there already
    │   └── DamagedError       stored bytes that are not those that were stored
    ├── DicomwebError          a DICOMweb peer or message that is wrong
    └── DimseError             a DIMSE peer or message that is wrong

This module is not a place for messages: each is written where it is raised, in one line that says what was
found, what was expected, where, and what to do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class HounsfieldError(Exception):
    """Root of the tree.

    `found` says what is wrong, `expected` what should have been there, `where` names the file, frame, tag or
    URL, `remedy` what the reader can do. Whatever else a caller may want to act on is in `data`.
    """

    def __init__(
        self,
        found: str,
        *,
        expected: str | None = None,
        where: str | None = None,
        remedy: str | None = None,
        **data: Any,
    ) -> None:
        super().__init__(found)
        self.found = found
        self.expected = expected
        self.where = where
        self.remedy = remedy
        self.data = data

    def __str__(self) -> str:
        text = self.found if self.where is None else f"{self.where}: {self.found}"
        if self.expected is not None:
            text += f" (expected {self.expected})"
        if self.remedy is not None:
            text += f"; {self.remedy}"
        # What came out of a damaged file may hold control characters; a terminal must not obey them.
        return "".join(sign if sign.isprintable() else "\ufffd" for sign in " ".join(text.split()))

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions cross process borders in `batch`; keyword arguments are lost by the default pickling.
        return (_rebuild, (type(self), self.found, self.expected, self.where, self.remedy, self.data))

    def at(self, where: str) -> HounsfieldError:
        """Add a place that the raiser did not know; then `raise` alone, which keeps the cause."""
        if self.where is None:
            self.where = where
        elif where not in self.where:
            self.where = f"{where}: {self.where}"
        return self


def _rebuild(
    kind: type[HounsfieldError],
    found: str,
    expected: str | None,
    where: str | None,
    remedy: str | None,
    data: dict[str, Any],
) -> HounsfieldError:
    return kind(found, expected=expected, where=where, remedy=remedy, **data)


def without_decoders(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return `hook`, a `sys.unraisablehook`, silent about what imagecodecs swallows: that is an error of ours already.

    For processes of this package; another program's hooks are its own.
    """
    return lambda unraisable: None if str(unraisable.object).startswith("imagecodecs.") else hook(unraisable)


class NotDicomError(HounsfieldError):
    """The bytes are not DICOM: no preamble, no file meta group, no data set that starts plausibly."""


class MalformedError(HounsfieldError):
    """DICOM that contradicts itself or the standard so far that a value cannot be trusted."""


class TruncatedError(MalformedError):
    """Fewer bytes than the header promises; `data` carries `found_bytes` and `expected_bytes` where known."""


class UnsupportedError(HounsfieldError):
    """Well-formed, but no reader or writer here handles it; the message names the syntax or feature."""


class GeometryError(HounsfieldError):
    """Slices that are not the regular volume asked for; `data["positions"]` are projections in mm."""


class NotHounsfieldError(HounsfieldError):
    """Values in another unit (perfusion, Z effective, dose …) where Hounsfield units were required."""


class SelectionError(HounsfieldError):
    """No choice where one is needed, or a choice that matches nothing; `data["choices"]` lists what there is."""


class LocationError(HounsfieldError):
    """A file, folder, archive or server that cannot be read or written as asked."""


class OutputExistsError(LocationError):
    """An output that exists already and was not to be replaced."""


class DamagedError(LocationError):
    """Stored bytes that are not those that were stored; `data["instance"]` is the SOP Instance UID."""


class DicomwebError(HounsfieldError):
    """A DICOMweb message or answer that is wrong; `data["status"]` is the HTTP status where there was one."""


class DimseError(HounsfieldError):
    """A DIMSE peer that refuses, breaks the protocol or falls silent; `data` may carry `status`, `abort` or `uids`."""
