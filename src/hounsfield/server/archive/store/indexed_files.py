"""Files of others, indexed where they lie: read only as long as they are what was indexed. No store holds them."""

from __future__ import annotations

import os
import stat
import time
from dataclasses import dataclass, field
from typing import BinaryIO

from hounsfield.ct.instance import FileSource
from hounsfield.errors import LocationError


@dataclass(frozen=True, slots=True)
class UnlinkedFile(FileSource):
    """A file in a folder that others write to.

    Opened only while no link leads from its name to somewhere else, and it is as it was when it was indexed.
    `indexed`: its size then, and when that was (ns), 0 for no such time.
    """

    indexed: tuple[int | None, int] = field(default=(None, 0), compare=False)

    def as_of(self, size: int | None, changed: int) -> UnlinkedFile:
        """The file as it was indexed: its size, and when that was (ns)."""
        return UnlinkedFile(self.path, (size, changed))

    def open(self) -> BinaryIO:
        stream = FileSource.open(self)
        try:
            opened, named = os.fstat(stream.fileno()), self.path.lstat()
            same = (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
            if same and stat.S_ISREG(opened.st_mode) and os.path.realpath(self.path) == str(self.path):
                self._check_unchanged(opened)
                return stream
        except OSError:
            pass
        except LocationError:
            stream.close()
            raise
        stream.close()
        raise LocationError("the file is not the one that was indexed", where=self.name, status=404)

    def _check_unchanged(self, found: os.stat_result) -> None:
        size, changed = self.indexed
        # A time that lies ahead says nothing.
        if changed and (found.st_size != size or changed <= found.st_mtime_ns <= time.time_ns()):
            raise LocationError(
                "the file changed since it was indexed",
                where=self.name,
                remedy="try again; import a folder again that is not watched",
                status=503,
            )
