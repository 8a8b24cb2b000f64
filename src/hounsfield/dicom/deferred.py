"""An element of a data set whose value is built when somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pydicom import config
from pydicom.dataelem import DataElement
from pydicom.tag import BaseTag


class DeferredElement(DataElement):
    """An element of pydicom that calls `build` once, when its VR, its value or its kind of length is looked at.

    `build` returns the element that this one then is like. It must not raise: pydicom looks in many places. `length`
    counts the bytes that it is built from, `foreign` says that not all of them are ASCII.
    """

    _BUILT = frozenset(("VR", "_value", "is_undefined_length"))

    # Not super's: it converts a value, and there is none yet.
    def __init__(
        self,
        tag: int,
        file_value_tell: int,
        build: Callable[[], DataElement],
        *,
        length: int = 0,
        foreign: bool = True,
    ) -> None:
        self.tag = BaseTag(tag)
        self.validation_mode = config.settings.reading_validation_mode
        self.file_tell = file_value_tell
        self.private_creator = None
        self.length, self.foreign = length, foreign
        self._build: Callable[[], DataElement] | None = build

    @property
    def is_built(self) -> bool:
        return self._build is None

    def then(self, change: Callable[[DataElement], None]) -> None:
        """Have `change` called with what is built, before anybody sees it."""
        build = self._build
        if build is None:
            change(self)
            return

        def changed() -> DataElement:
            built = build()
            change(built)
            return built

        self._build = changed

    def __getattr__(self, name: str) -> Any:
        """Build, where what is built is missing yet. Attributes that are there never come here."""
        build = self.__dict__.get("_build")
        if name not in self._BUILT or build is None:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        built = build()
        self._build = None
        for each in self._BUILT:
            # One that was assigned before stays as it was assigned.
            self.__dict__.setdefault(each, getattr(built, each))
        return self.__dict__[name]

    def __getstate__(self) -> dict[str, Any]:
        """Build before pickling: functions that build do not pickle."""
        _ = self.VR
        return self.__dict__

    def __deepcopy__(self, memo: dict[int, Any]) -> DataElement:
        """Build before copying: pydicom walks over the attributes, which must not come to be meanwhile."""
        _ = self.VR
        return super().__deepcopy__(memo)
