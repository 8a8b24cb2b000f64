"""Many files that appear whole or not at all, confirmed by the disk in lots."""

from __future__ import annotations

import contextlib
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from hounsfield.outputs.files import carry_status, filling, place_for, put_in_place, writing
from hounsfield.outputs.lots import Lots, Waiting, on_disk, passed, synced


@dataclass(frozen=True, slots=True, kw_only=True)
class _Written(Waiting):
    force: bool


class WholeFiles(Lots[_Written]):
    """Many files, each as `whole_file` makes it.

    Any threads may `write` at once. A thread of this object syncs what came, puts it in its place and syncs the
    folders; only then the futures say so. The block ends when all is in place.
    """

    def __init__(self) -> None:
        super().__init__(_place_all)

    def write(
        self, path: Path, content: bytes, *, force: bool = False, like: Path | None = None
    ) -> Future[None]:
        """`content` is written when this returns, and at `path` when the future is done. Errors as of `whole_file`,
        raised here or by the future. With `like` it has that file's times, mode and owner.
        """
        path, temporary = place_for(path, force=force)

        def fill() -> None:
            with filling(path, temporary):
                temporary.write_bytes(content)
                if like is not None:
                    carry_status(like, temporary)

        return self.put(_Written(path=path, temporary=temporary, force=force), fill)


def _place_all(lot: list[_Written]) -> None:
    lot = on_disk(lot, writing)
    lot = passed(lot, lambda item: put_in_place(item.temporary, item.path, force=item.force), writing)
    for item in synced(lot, lambda item: item.path.parent, writing):
        if not item.force:  # a link leaves the temporary name
            with contextlib.suppress(OSError):
                item.temporary.unlink(missing_ok=True)
        item.done.set_result(None)
