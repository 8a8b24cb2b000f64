"""Memory that a process shares with the child that decodes for it: codestream in, pixels out, no pipe between."""

from __future__ import annotations

import mmap
import os
import secrets
import sys
import tempfile

_LEAST = 1 << 22
_KEPT = 1 << 26
"""Bytes that stay between frames; what a larger one took goes back."""


class Arena:
    """One such memory, seen from one side. `descriptor` None: named by `tag`, as Windows has it."""

    def __init__(self, descriptor: int | None, tag: str, *, is_owner: bool) -> None:
        self.descriptor, self.tag = descriptor, tag
        self._is_owner = is_owner
        self.memory = memoryview(b"")

    @classmethod
    def create(cls) -> Arena:
        """A new one, of no size yet. Raises `OSError`."""
        tag = f"hounsfield-{secrets.token_hex(8)}"
        if sys.platform == "win32":
            return cls(None, tag, is_owner=True)
        if hasattr(os, "memfd_create"):
            return cls(os.memfd_create(tag), tag, is_owner=True)
        with tempfile.TemporaryFile() as file:
            return cls(os.dup(file.fileno()), tag, is_owner=True)

    def resize(self, size: int) -> None:
        """Map `size` bytes, as both sides must before they speak of them. Raises `OSError`."""
        if len(self.memory) == size:
            return
        self.memory = memoryview(b"")
        if self.descriptor is None:
            # A named one keeps its size: each size has a name.
            self.memory = memoryview(mmap.mmap(-1, size, f"{self.tag}-{size}"))  # type: ignore[arg-type]
            return
        if self._is_owner:
            os.ftruncate(self.descriptor, size)
        self.memory = memoryview(mmap.mmap(self.descriptor, size))

    def close(self) -> None:
        self.memory = memoryview(b"")
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


def size_for(needed: int, present: int) -> int:
    """Bytes that an arena of `present` bytes should have for `needed` ones: seldom another than before."""
    if max(needed, 1) <= present <= _KEPT:
        return present
    return max(_LEAST, 1 << max(needed - 1, 0).bit_length())
