"""The viewer's page and its files at the root, under a strict Content-Security-Policy; a plain page without them."""

from __future__ import annotations

import hashlib
import html
import mimetypes
from pathlib import Path

from anyio import to_thread
from starlette.types import Receive, Scope, Send

from hounsfield.errors import DicomwebError
from hounsfield.server.auth.access import Access
from hounsfield.server.http.request import Request
from hounsfield.server.http.response import Response, compressed, error_response, not_modified
from hounsfield.server.http.sending import send_response

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "worker-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
MAX_FILE = 32 * 1024 * 1024
_TYPES = {
    ".js": "text/javascript",
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
    ".map": "application/json",
}


class ViewerFiles:
    """Files of one folder by their names; only what is in the folder, only by GET and HEAD."""

    def __init__(self, folder: Path | None, access: Access, prefix: str) -> None:
        self._folder, self._access, self._prefix = folder, access, prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode("latin-1").lower(): text.decode("latin-1") for name, text in scope["headers"]}
        client = scope.get("client") or ("",)
        request = Request(scope["method"], scope["path"], "", headers=headers, client=client[0])
        try:
            self._access.check_host(
                [text.decode("latin-1") for name, text in scope["headers"] if name.lower() == b"host"]
            )
            response = await to_thread.run_sync(self._response, request)
        except DicomwebError as error:
            response = error_response(error)
        response.headers |= {
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": POLICY,
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Opener-Policy": "same-origin",
        }
        await send_response(request, response, send, 60.0)

    def _response(self, request: Request) -> Response:
        if request.method not in {"GET", "HEAD"}:
            raise DicomwebError("method not allowed", status=405)
        path = self._file(request.path)
        if path is None:
            if request.path == "/":
                return Response(self._plain().encode(), "text/html; charset=utf-8")
            raise DicomwebError("no such page", status=404)
        content = path.read_bytes()
        tag = f'"{hashlib.blake2b(content, digest_size=12).hexdigest()}"'
        if (same := not_modified(request, tag)) is not None:
            return same
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
        media_type = f"{kind}; charset=utf-8" if kind.startswith("text/") else kind
        # The build puts a hash into the names of everything but the page itself.
        kept = "public, max-age=31536000, immutable" if "/assets/" in request.path else "no-cache"
        return compressed(
            request, Response(content, media_type, headers={"ETag": tag, "Cache-Control": kept})
        )

    def _file(self, path: str) -> Path | None:
        """The file of that name; None for none, and for whatever lies elsewhere."""
        if self._folder is None or "\0" in path:
            return None
        root = self._folder.resolve()
        found = (root / (path.strip("/") or "index.html")).resolve()
        if not found.is_relative_to(root) or not found.is_file() or found.stat().st_size > MAX_FILE:
            return None
        return found

    def _plain(self) -> str:
        there = html.escape(self._prefix)
        return (
            "<!doctype html><meta charset=utf-8><title>hounsfield</title><h1>hounsfield</h1>"
            f"<p>DICOMweb is at <a href='{there}'>{there}</a>.</p>"
        )
