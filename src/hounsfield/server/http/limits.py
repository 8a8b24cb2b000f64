"""Limits of one request, and of how many are served at once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one server.

    `body` bytes of a store request, `parts` instances in it, `instance` bytes of one, `header` bytes of its header
    (deflated), `document` bytes of it beside its pixels, `elements` data elements at its root,
    `metadata` bytes of what comes apart from bulk data, `form` bytes of the body of a request that stores nothing;
    `decoded` bytes of what is decoded for one request, and for all that are answered at once, `frame` those of one
    frame; `pixels` those of a rendered picture, `pictures` of them in one answer; `page` results of a search;
    `stores`, `heavy` and `requests` at once: stores, requests that decode, all (of stores and of all one client has no
    more than are left for others); `seconds` without progress before a
    client is given up, `pace` bytes of a body that are progress; `answer` seconds in which an answer that is decoded
    must be made, `cpu` those of computing that it may take, with what its decoders take; `cache` bytes of volumes kept.
    """

    body: int = 64 * 1024**3
    parts: int = 100_000
    instance: int = 16 * 1024**3
    header: int = 16 * 1024**2
    document: int = 256 * 1024**2
    elements: int = 100_000
    metadata: int = 16 * 1024**2
    form: int = 1024**2
    decoded: int = 4 * 1024**3
    frame: int = 512 * 1024**2
    pixels: int = 4096 * 4096
    pictures: int = 2000
    page: int = 5000
    stores: int = 32
    heavy: int = 8
    requests: int = 512
    seconds: float = 60.0
    pace: int = 64 * 1024
    answer: float = 120.0
    cpu: float = 120.0
    cache: int = 512 * 1024**2
