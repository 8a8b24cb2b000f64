"""multipart/related (RFC 2046, RFC 2387) without I/O: feed bytes, pull events; and the bytes to write.

The parser holds no more than one header block or a delimiter's length: content comes out as views into the
very chunks that were fed. It takes what PS3.18 peers send: preamble and epilogue, no boundary parameter, parts
without headers, white space after a delimiter, folded headers; a delimiter counts only at the start of a line
and with nothing but white space after it. An end before the closing delimiter is an error that names the part,
since it is often the only sign that a body was cut.

Not here: what a part means (`media_types`, the client).
"""

from __future__ import annotations

import ctypes
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from hounsfield.errors import DicomwebError
from hounsfield.language import say

MAX_HEADER_BYTES = 64 * 1024
"""One part's headers, or a preamble in which no delimiter was found yet while the boundary is unknown."""

MAX_PREAMBLE_BYTES = 1024 * 1024
MAX_PADDING_BYTES = 1024
"""White space after a delimiter on its line."""

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, in the order received."""


@dataclass(frozen=True, slots=True)
class PartBegins:
    """A part opens; `index` counts from 0."""

    index: int
    headers: Headers

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def declared_length(self) -> int | None:
        """The part's own Content-Length, if it has a sane one."""
        text = (self.header("content-length") or "").strip()
        return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


@dataclass(frozen=True, slots=True)
class PartData:
    """Some content of the open part; the view is good as long as the chunk that was fed is not changed."""

    index: int
    content: memoryview


@dataclass(frozen=True, slots=True)
class PartEnds:
    """The part is whole: `length` bytes; `declared` is what its Content-Length said."""

    index: int
    length: int
    declared: int | None


Event = PartBegins | PartData | PartEnds


class MultipartParser:
    """Turns chunks into events. `boundary` None or empty: taken from the first line that can be a delimiter.

    With `trust_lengths` content is not searched where a part's Content-Length says that it goes on, which is twice
    as quick; a length that is wrong then makes the body wrong.

    >>> parser = MultipartParser("x")
    >>> events = [*parser.feed(b"--x\\r\\n\\r\\nhi\\r\\n--x--"), *parser.close()]
    """

    def __init__(self, boundary: str | None = None, *, trust_lengths: bool = False) -> None:
        self._delimiter = _delimiter(boundary) if boundary else b""
        # The first delimiter may open the body without a line end before it: lend it one.
        self._held = b"\r\n"
        self._state = "preamble" if self._delimiter else "sniffing"
        self._index = -1
        self._length = 0
        self._declared: int | None = None
        self._skipped = 0
        self._scanned = 0
        self._lead = 0
        self._trust_lengths = trust_lengths

    @property
    def finished(self) -> bool:
        """Return whether the closing delimiter was read."""
        return self._state == "epilogue"

    @property
    def parts(self) -> int:
        """Parts begun so far."""
        return self._index + 1

    def feed(self, chunk: bytes | bytearray | memoryview) -> Iterator[Event]:
        """The events that `chunk` completes. Take them all before the next chunk; the chunk may be any size."""
        if self._state == "epilogue" or not chunk:
            return
        if self._held:
            data: bytes | bytearray = self._held + bytes(chunk)
            self._held = b""
        else:
            data = bytes(chunk) if isinstance(chunk, memoryview) else chunk
        position = 0
        while self._state != "epilogue":
            if self._state == "sniffing":
                after: int | None = self._sniff(data)
            elif self._state in {"preamble", "content"}:
                after = yield from self._content(data, position)
            else:
                after = yield from self._headers(data, position)
            if after is None:
                return
            position = after

    def close(self) -> Iterator[Event]:
        """Say that nothing follows: the last events, and `DicomwebError` unless the body was whole."""
        if self._state == "epilogue":
            return
        ends = self._state in {"preamble", "content"} and self._held.startswith(self._delimiter + b"--")
        if not ends or self._held[len(self._delimiter) + 2 :].strip(b" \t\r"):
            raise self._cut()
        yield from self._end_part()
        self._state = "epilogue"

    def _cut(self) -> DicomwebError:
        if self._index < 0:
            found = "the multipart body ends before its first part"
        elif self._state == "content":
            held = max(self._length + len(self._held) - self._lead, 0)
            found = f"the multipart body ends inside part {self._index + 1}, after {held} bytes of it"
        else:
            found = f"the multipart body ends after part {self._index + 1} without its closing boundary"
        return DicomwebError(
            found,
            expected="a closing boundary",
            remedy="the transfer was cut; ask again",
            part=max(self._index, 0),
            truncated=True,
        )

    def _sniff(self, data: bytes | bytearray) -> int | None:
        """Find the first line that looks like a delimiter and take its boundary."""
        start = data.find(b"\r\n--")
        end = data.find(b"\r\n", start + 4) if start >= 0 else -1
        if end < 0:
            if len(data) > MAX_HEADER_BYTES:
                raise DicomwebError(
                    "no multipart boundary", expected="a Content-Type with a boundary, or --boundary"
                )
            self._held = bytes(data)
            return None
        boundary = bytes(data[start + 4 : end]).rstrip(b" \t")
        if not 0 < len(boundary) <= 256:
            raise DicomwebError(
                "no multipart boundary", expected="a Content-Type with a boundary, or --boundary"
            )
        if boundary.endswith(b"--") and len(boundary) > 2:
            boundary = boundary[:-2]
        self._delimiter = b"\r\n--" + boundary
        self._state = "preamble"
        return 0

    def _content(self, data: bytes | bytearray, position: int) -> Generator[Event, None, int | None]:
        """Emit content up to the next delimiter line; return where the line goes on, None when data ran out."""
        emitted = position
        search = position + self._promised()
        while True:
            found = _find(data, self._delimiter, search)
            if found < 0:
                # What may be the head of a delimiter waits for the next chunk; all before it is content.
                keep = _possible_start(data, self._delimiter, search)
                yield from self._emit(data, emitted, keep)
                self._held = bytes(data[keep:])
                return None
            after = found + len(self._delimiter)
            verdict = _line_rest(data, after)
            if verdict == "more":
                yield from self._emit(data, emitted, found)
                self._held = bytes(data[found:])
                return None
            if verdict == "no":
                search = found + 2
                continue
            yield from self._emit(data, emitted, found)
            yield from self._end_part()
            self._state = "line"
            return after

    def _promised(self) -> int:
        """Bytes of content that the part's own Content-Length says are still to come, so not worth searching."""
        if not self._trust_lengths or self._state != "content" or not self._declared:
            return 0
        return max(self._declared - self._length + self._lead, 0)

    def _emit(self, data: bytes | bytearray, start: int, stop: int) -> Iterator[Event]:
        if stop <= start:
            return
        if self._state == "preamble":
            self._skipped += stop - start
            if self._skipped > MAX_PREAMBLE_BYTES:
                raise DicomwebError(
                    "no part begins",
                    expected=say("the delimiter {delimiter}", delimiter=repr(self._delimiter[2:82])),
                )
            return
        if self._lead:
            lead = min(self._lead, stop - start)
            self._lead -= lead
            start += lead
            if start == stop:
                return
        self._length += stop - start
        yield PartData(self._index, memoryview(data)[start:stop])

    def _end_part(self) -> Iterator[Event]:
        if self._state == "content":
            yield PartEnds(self._index, self._length, self._declared)

    def _headers(self, data: bytes | bytearray, position: int) -> Generator[Event, None, int | None]:
        """Read the rest of a delimiter line and the header block after it."""
        if data[position : position + 2] == b"--":
            self._state = "epilogue"
            return None
        # A block without headers is the line end twice over, so search from the delimiter's own line end.
        end = data.find(b"\r\n\r\n", max(position, self._scanned))
        if end < 0:
            if len(data) - position > MAX_HEADER_BYTES:
                raise DicomwebError(
                    say("the headers of part {number} are too long", number=self._index + 2),
                    expected=say("at most {max_header_bytes} bytes", max_header_bytes=MAX_HEADER_BYTES),
                )
            self._held = bytes(data[position:])
            self._scanned = max(len(self._held) - 3, 0)
            return None
        self._scanned = 0
        self._index += 1
        self._length = 0
        begins = PartBegins(self._index, _parse_headers(bytes(data[position:end])))
        self._declared = begins.declared_length
        self._state = "content"
        yield begins
        # The delimiter of a part without content may begin with the blank line's own end: leave it to be found.
        self._lead = 2
        return end + 2


def part_head(boundary: str, headers: Iterable[tuple[str, str]], *, first: bool = False) -> bytes:
    """Return what stands before a part's content: delimiter line and headers. The first one has no line end before."""
    lines = ["" if first else "\r\n", f"--{boundary}\r\n"]
    for name, value in headers:
        if any(mark in name + value for mark in "\r\n\0") or not name:
            raise DicomwebError("a line end in a part's header", expected="one line")
        lines.append(f"{name}: {value}\r\n")
    return ("".join(lines) + "\r\n").encode("utf-8")


def closing(boundary: str, *, empty: bool = False) -> bytes:
    """Return what stands after the last part's content; `empty` when there was no part at all."""
    return f"{'' if empty else chr(13) + chr(10)}--{boundary}--\r\n".encode("ascii")


def new_boundary() -> str:
    """A boundary that no content holds: 128 random bits, and only characters that need no quotes."""
    return "hounsfield-" + secrets.token_hex(16)


def encode(
    parts: Iterable[tuple[Sequence[tuple[str, str]] | Mapping[str, str], Iterable[bytes] | bytes]],
    boundary: str,
) -> Iterator[bytes]:
    """A whole body as it is to be sent: for each part its headers, then its content (bytes, or pieces of them)."""
    empty = True
    for headers, content in parts:
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        yield part_head(boundary, pairs, first=empty)
        empty = False
        if isinstance(content, bytes):
            yield content
        else:
            yield from content
    yield closing(boundary, empty=empty)


def encoded_length(parts: Iterable[tuple[Sequence[tuple[str, str]], int]], boundary: str) -> int:
    """Bytes of the body that `encode` makes of parts whose contents have these lengths."""
    total, empty = 0, True
    for headers, length in parts:
        total += len(part_head(boundary, headers, first=empty)) + length
        empty = False
    return total + len(closing(boundary, empty=empty))


def _delimiter(boundary: str) -> bytes:
    try:
        text = boundary.encode("latin-1")
    except UnicodeEncodeError as error:
        raise DicomwebError("a multipart boundary that is not ASCII", status=400) from error
    if len(text) > 256 or b"\r" in text or b"\n" in text:
        raise DicomwebError("an impossible multipart boundary", expected="at most 70 characters", status=400)
    return b"\r\n--" + text


def _find(data: bytes | bytearray, needle: bytes, start: int) -> int:
    """As `data.find`; long ones by the C library, at twice the speed and while other threads run."""
    size = len(data) - start
    if size < _LONG or _memmem is None or not isinstance(data, bytes):
        return data.find(needle, start)
    first = ctypes.cast(ctypes.c_char_p(data), ctypes.c_void_p).value or 0
    found = _memmem(first + start, size, needle, len(needle))
    return -1 if found is None else found - first


def _c_search() -> Callable[[int, int, bytes, int], int | None] | None:
    """memmem(3), which Linux and the BSDs have."""
    try:
        found = ctypes.CDLL(None).memmem
    except (OSError, AttributeError, TypeError):
        return None
    found.restype = ctypes.c_void_p
    found.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]
    return cast("Callable[[int, int, bytes, int], int | None]", found)


_LONG = 16 * 1024
_memmem = _c_search()


def _possible_start(data: bytes | bytearray, delimiter: bytes, floor: int) -> int:
    """Return where the end of `data` may be the beginning of `delimiter`; its length when it cannot."""
    start = max(floor, len(data) - len(delimiter) + 1)
    while (start := data.find(b"\r", start)) >= 0:
        if delimiter.startswith(data[start:]):
            return start
        start += 1
    return len(data)


def _line_rest(data: bytes | bytearray, position: int) -> str:
    """Return whether what follows a delimiter ends its line: "yes", "no", or "more" bytes are needed to tell."""
    window = bytes(data[position : position + MAX_PADDING_BYTES])
    closes = window.startswith(b"--")
    padding = (window[2:] if closes else window).lstrip(b" \t")
    if window == b"-" or padding in {b"", b"\r"}:
        return "more" if len(window) < MAX_PADDING_BYTES else "no"
    return "yes" if padding.startswith(b"\r\n") else "no"


def _parse_headers(block: bytes) -> Headers:
    """Header lines after the delimiter's own line, names in lower case, folded lines joined."""
    lines = block.decode("utf-8", "replace").split("\r\n")[1:]
    headers: list[tuple[str, str]] = []
    for line in lines:
        if line[:1] in {" ", "\t"} and headers:
            name, value = headers[-1]
            headers[-1] = (name, f"{value} {line.strip()}")
        elif ":" in line:
            name, _, value = line.partition(":")
            headers.append((name.strip().lower(), value.strip()))
    return tuple(headers)
