"""Rows that other packages add to the tables of this one: locations, volume formats and codecs, by entry points.

Only names are read at first; a package is imported when its name is asked for. The groups are
`hounsfield.locations`, `hounsfield.formats` and `hounsfield.codecs`; what an entry point must be is said where the
table is: `hounsfield.locations.kinds`, `hounsfield.formats`, `hounsfield.codecs.table`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from hounsfield.errors import UnsupportedError
from hounsfield.language import say

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


@cache
def extensions(group: str) -> Mapping[str, EntryPoint]:
    """The entry points of a group by name; read once in a process. Of two of one name the first on the path counts."""
    from importlib.metadata import entry_points  # slow to import, and seldom needed

    found: dict[str, EntryPoint] = {}
    for each in entry_points(group=group):
        found.setdefault(each.name, each)
    return MappingProxyType(found)


@cache
def load_extension(group: str, name: str) -> Any:
    """The object that an entry point names. Raises `UnsupportedError` where its package cannot be imported."""
    entry = extensions(group)[name]
    try:
        return entry.load()
    except Exception as error:  # whatever the other package does while it is imported
        package = entry.dist.name if entry.dist is not None else entry.value
        raise UnsupportedError(
            say(
                "the extension {name} of {package} cannot be imported: {name__}: {error}",
                name=repr(name),
                package=package,
                name__=type(error).__name__,
                error=error,
            ),
            remedy=say("repair or uninstall {package}", package=package),
            group=group,
        ) from error


def named(name: str) -> Any:
    """The object that `module:name` names, imported now: how rows of tables name their functions."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)
