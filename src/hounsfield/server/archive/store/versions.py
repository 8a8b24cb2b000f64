"""The keys of the versions of an instance: `STUDY/SERIES/INSTANCE.dcm`, then `STUDY/SERIES/INSTANCE_v2.dcm` and so on.

A stored version is never written to again, and a store never overwrites: each later version has a higher number than
all before it. Which one counts is said by one row of the index; where there is no index, it is the highest.
"""

from __future__ import annotations

import re

from hounsfield.dicomweb.uids import is_uid

_NAME = re.compile(r"([0-9.]{1,64})(?:_v([1-9][0-9]{0,8}))?\.dcm")


def key_of(study: str, series: str, instance: str, version: int = 1) -> str:
    """The key of a version of an instance."""
    return f"{study}/{series}/{instance}{f'_v{version}' if version > 1 else ''}.dcm"


def parts_of(key: str) -> tuple[str, str, str, int] | None:
    """(study, series, instance, version) of a key that `key_of` made; None for any other."""
    study, _, rest = key.partition("/")
    series, _, name = rest.partition("/")
    found = _NAME.fullmatch(name)
    if not found or not (is_uid(study) and is_uid(series) and is_uid(found[1])):
        return None
    version = int(found[2] or 1)
    parts = (study, series, found[1], version)
    return parts if key_of(*parts) == key else None


def version_of(key: str) -> int:
    """The version; 0 for a file that is indexed where its owner keeps it, which any stored one goes before."""
    if key.startswith("/"):
        return 0
    parts = parts_of(key)
    return parts[3] if parts else 1


def following(key: str, study: str, series: str, instance: str) -> str:
    """The key of the version after the one under `key`."""
    return key_of(study, series, instance, version_of(key) + 1)


def earlier(key: str) -> list[str]:
    """The keys of all versions before the one under `key`."""
    parts = parts_of(key)
    return [key_of(*parts[:3], version) for version in range(1, parts[3])] if parts else []
