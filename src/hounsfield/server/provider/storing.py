"""C-STORE (PS3.4 B) into an archive: the upload of STOW, and status 0000 only when the instance is safe."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from hounsfield.dicomweb.store_results import StoreResult
from hounsfield.dimse.association import Context
from hounsfield.dimse.commands import Command
from hounsfield.dimse.part10 import meta_bytes
from hounsfield.dimse.receiving import Verdict, file_pieces
from hounsfield.dimse.statuses import NOT_UNDERSTOOD, OUT_OF_RESOURCES, PROCESSING_FAILURE, SUCCESS
from hounsfield.errors import DicomwebError, DimseError, HounsfieldError
from hounsfield.server.archive.archive import Archive
from hounsfield.server.archive.index.database import IndexUnavailable
from hounsfield.server.http.limits import Limits
from hounsfield.server.ingest.upload import Upload
from hounsfield.server.ingest.validation import Refused

log = logging.getLogger("hounsfield.server")


@dataclass
class StoreService:
    """Keeps the instances of one association; `studies` collects the UIDs of those that were stored."""

    archive: Archive
    limits: Limits
    studies: list[str] = field(default_factory=list)

    def __call__(self, context: Context, command: Command, pieces: Iterator[memoryview]) -> Verdict:
        """Store a data set; the verdict on it, whatever happens here. Raises where the peer breaks off."""
        upload = Upload(self.archive, None, limits=self.limits)
        try:
            start = self._known_start(context, command)
            # Pieces are views of a buffer that is used again.
            whole = (bytes(each) for each in file_pieces(context, command, pieces, start))
            upload.instance(whole, command.sop_instance or None)
            return self._verdict(upload.finish(), upload.last_refused)
        except DimseError:
            upload.abandon()
            raise
        except HounsfieldError as error:
            upload.abandon()
            return self._failed(error)
        except Exception:
            upload.abandon()
            log.exception("a C-STORE failed")
            return Verdict(PROCESSING_FAILURE, "a fault of the server")

    def _known_start(self, context: Context, command: Command) -> bytes | None:
        """Preamble and meta group of the instance where it is stored already, so that the same data set is the same."""
        for entry in self.archive.index.named([command.sop_instance]) if command.sop_instance else ():
            if entry.syntax == context.transfer_syntax:
                with self.archive.source(entry).open() as stream:
                    return meta_bytes(stream)
        return None

    def _verdict(self, result: StoreResult, refused: Refused | None) -> Verdict:
        if refused is not None:
            return Verdict(refused.code, refused.reason[:64])
        found = result.instances[0]
        if not found.kept:
            return Verdict(found.code or PROCESSING_FAILURE, found.reason[:64])
        self.studies.append(found.url.removeprefix("studies/").partition("/")[0])
        return Verdict(SUCCESS)

    def _failed(self, error: HounsfieldError) -> Verdict:
        """The status of a store that failed here: nothing of it is there, and trying again may help."""
        if isinstance(error, IndexUnavailable):
            self.archive.recover(error)
        if isinstance(error, DicomwebError) and error.data.get("status") == 400:
            return Verdict(NOT_UNDERSTOOD, error.found[:64])
        log.warning("C-STORE: %s", error.found, extra={"seldom": True})
        return Verdict(OUT_OF_RESOURCES, error.found[:64])
