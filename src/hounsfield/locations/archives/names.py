"""Names of files: their natural order, and which belong to an operating system rather than a study.

Names decide nothing else: whether a file is DICOM is for whoever reads its first bytes.
"""

from __future__ import annotations

import re

_DIGITS = re.compile(r"([0-9]+)")

_SYSTEM_FILES = {".ds_store", ".localized", "thumbs.db", "ehthumbs.db", "desktop.ini"}
_SYSTEM_FOLDERS = {
    "__macosx",
    ".git",
    ".spotlight-v100",
    ".trashes",
    ".fseventsd",
    "@eadir",
    "$recycle.bin",
    "system volume information",
}
_RECORDS = re.compile(
    r"hounsfield(-\d+)?\.(jsonl|csv|html)|hounsfield-(previews|files)\.jsonl|deidentification\.json"
)
"""Files that runs over many series leave in a folder of instances."""

_ARCHIVE_SUFFIXES = (".zip", ".tar", ".tgz", ".tar.gz", ".tbz2", ".tar.bz2", ".txz", ".tar.xz")


def natural(name: str) -> tuple[tuple[object, ...], str]:
    """A sort key under which `I2` comes before `I10`; compared only with other keys of this function."""
    # Odd parts are digits: the longer number is the greater, and no length of it need become an int.
    return tuple(
        _number(part) if odd % 2 else part for odd, part in enumerate(_DIGITS.split(name.casefold()))
    ), name


def _number(digits: str) -> tuple[int, str]:
    significant = digits.lstrip("0")
    return len(significant), significant


def why_not_an_image(name: str) -> str | None:
    """Why a file called `name` (its last component) need not be opened, or None."""
    lowered = name.lower()
    if lowered == "dicomdir":
        return "a directory of a file-set, not an image"
    if lowered in _SYSTEM_FILES or lowered.startswith("._"):
        return "a file of the operating system"
    if is_partial(lowered):
        return "an output that was never finished"
    if _RECORDS.fullmatch(lowered):
        return "the record of an earlier run"
    return None


def is_partial(name: str) -> bool:
    """Return whether a file is called like an output of `hounsfield.outputs` on its way."""
    return name.startswith(".") and (".partial." in name or name.endswith(".partial"))


def is_system_folder(name: str) -> bool:
    """Return whether a folder called `name` is the operating system's own."""
    return name.lower() in _SYSTEM_FOLDERS


def sounds_like_archive(name: str) -> bool:
    """Return whether `name` ends like a zip or a tar; only its content can tell."""
    return name.lower().endswith(_ARCHIVE_SUFFIXES)


def why_not_this_member(name: str) -> str | None:
    """Why the member `name` (a whole path in an archive) is left out, or None."""
    *folders, last = name.replace("\\", "/").split("/")
    if any(is_system_folder(folder) for folder in folders):
        return "a file of the operating system"
    if sounds_like_archive(last):
        return "an archive inside an archive; unpack it first"
    return why_not_an_image(last)
