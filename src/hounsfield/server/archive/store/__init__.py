"""Stores of the bytes of instances. The contract of a store, in prose; `StoreContract` in the tests enforces it.

- A key is text that `versions` makes of UIDs, which were checked before, and the number of a version.
- `source(key)` opens as a seekable stream of the whole instance; `LocationError` where there is none.
- `size(key)` is None where there is none; `LocationError` where it is out of reach.
- An `Arrival` takes bytes as they come. Nothing of it is visible before `publish`; when that returns "stored", the
  bytes are safe on the disk under the key, and what was there already was not touched: the same bytes are
  "present", others "other". Nothing is ever written over: of several who publish under one key one succeeds.
- `settle` makes a batch of publications durable; only then may the index hear of them. `confirm` drops what an
  arrival left behind, once the index has heard; `discard` drops what was not published.
- An arrival knows its digest once all was written. The store keeps the seal of it with the bytes, where it can, so that
  they can be checked without any index: `seal(key)` is None where it has none.
- `leftovers` gives what a crash left between publication and index; a store that `forgets` cannot tell what that was,
  and has the index note it before. `versions` lists what there is of some instances, indexed or not.
- `remove` is durable when it returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

from hounsfield.ct.instance import Source
from hounsfield.server.archive.integrity import Digest, Seal

Published = Literal["stored", "present", "other"]


class Arrival(Protocol):
    """One instance on its way in."""

    @property
    def source(self) -> Source:
        """The bytes that arrived so far, to be read after the last `write`."""

    @property
    def size(self) -> int: ...

    @property
    def digest(self) -> Digest:
        """Of what arrived, after the last `write`."""

    def write(self, pieces: Sequence[bytes | memoryview]) -> None:
        """Append these, one after another."""

    def sync(self) -> None:
        """Bring the bytes to the disk; may be called from another thread, after the last `write`."""

    def publish(self, key: str) -> Published: ...

    def equals(self, key: str) -> bool:
        """Whether the bytes under `key` are the same; False where there are none."""

    def confirm(self) -> None:
        """The index has heard of it: drop what would remind a later start of it."""

    def discard(self) -> None:
        """Drop whatever is not published; may be called at any time, more than once."""


class Store(Protocol):
    """The bytes of instances by key."""

    @property
    def name(self) -> str: ...

    @property
    def parallel(self) -> bool:
        """Whether publications wait for a network, and are better made side by side."""

    @property
    def forgets(self) -> bool:
        """Whether nothing in the store tells a publication of which the index has not heard from others."""

    def owns(self, key: str) -> bool:
        """Whether the bytes are the store's own, rather than indexed where a user keeps them."""

    def source(self, key: str) -> Source: ...

    def size(self, key: str) -> int | None: ...

    def seal(self, key: str) -> Seal | None:
        """The seal that is kept with the bytes under a key; None where there is none."""

    def note_seal(self, key: str, seal: Seal) -> bool:
        """Keep the seal of bytes that came without; whether this store can."""

    def arrival(self) -> Arrival: ...

    def settle(self, keys: Iterable[str]) -> None: ...

    def remove(self, keys: Iterable[str]) -> None: ...

    def walk(self) -> Iterator[str]:
        """Every key there is, found by walking the store."""

    def versions(self, keys: Iterable[str]) -> list[str]:
        """Every key there is of the instances that these keys are of."""

    def leftovers(self, older: float) -> Iterator[tuple[str, Arrival]]:
        """("published" or "", arrival) of what was on its way in more than `older` seconds ago and nobody works on."""

    def check(self) -> None:
        """Raise `LocationError` unless the store can be written to now."""
