"""Log lines of a server's process: in plain text or as JSON, and no flood of warnings that clients can cause."""

from __future__ import annotations

import json
import logging
import threading
import time
from pathlib import Path
from typing import Any, TextIO

THROTTLE_SECONDS = 1.0
"""Time between two warnings of one kind."""


class ThrottledHandler(logging.StreamHandler[TextIO]):
    """Write one warning of a kind in `THROTTLE_SECONDS` where clients can cause it, then how many were suppressed.

    Throttled are uvicorn's and records that say `throttled`: no client shall fill a disk. All else is written.
    """

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._suppressed: dict[str, int] = {}

    def emit(self, record: logging.LogRecord) -> None:
        throttled = getattr(record, "throttled", record.name.startswith("uvicorn"))
        if not throttled or record.levelno != logging.WARNING:
            super().emit(record)
            return
        # Called with the handler's lock held.
        kind = str(record.msg)
        if kind in self._suppressed:
            self._suppressed[kind] += 1
            return
        self._suppressed[kind] = 0
        timer = threading.Timer(THROTTLE_SECONDS, self._summarise, (record, record.getMessage()))
        timer.daemon = True
        timer.start()
        super().emit(record)

    def _summarise(self, record: logging.LogRecord, message: str) -> None:
        """Write how many were suppressed since `record` was written."""
        self.acquire()
        try:
            if count := self._suppressed.pop(str(record.msg)):
                summary = f"{message} ({count} more suppressed)"
                level, name = record.levelno, record.name
                super().emit(
                    logging.LogRecord(name, level, record.pathname, record.lineno, summary, None, None)
                )
        finally:
            self.release()


class PlainFormatter(logging.Formatter):
    """Log records as plain text; of an unexpected exception its type and place, never its values."""

    def __init__(self) -> None:
        super().__init__("hounsfield: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        # Whatever a message quotes stays on its line.
        return " ".join(super().format(record).splitlines())

    def formatException(self, ei: Any) -> str:  # noqa: N802 (logging's name)
        kind, _, trace = ei
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        at = (
            f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
            if trace is not None
            else ""
        )
        return f"{kind.__name__ if kind else 'nothing'}{at}"


class JsonFormatter(logging.Formatter):
    """Log records as JSON, one a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
            + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "request", {}),
        }
        if record.exc_info and record.exc_info[0] is not None:
            # The type and place of an exception, without its values.
            line["error"] = record.exc_info[0].__name__
            trace = record.exc_info[2]
            while trace is not None and trace.tb_next is not None:
                trace = trace.tb_next
            if trace is not None:
                line["at"] = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        return json.dumps(line, ensure_ascii=False)
