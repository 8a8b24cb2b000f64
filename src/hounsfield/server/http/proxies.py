"""Which peers are proxies whose Forwarded headers are believed: addresses and networks, never names."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

from hounsfield.errors import UnsupportedError


class Proxies:
    """The addresses that `texts` name: `10.0.0.7`, `10.0.0.0/24`, `fd00::/8`. Raises `UnsupportedError`."""

    def __init__(self, texts: Iterable[str]) -> None:
        try:
            self._networks = tuple(ipaddress.ip_network(text, strict=False) for text in texts)
        except ValueError as error:
            raise UnsupportedError(
                f"--proxy with {str(error).partition(' does not')[0]}",
                expected="an address, or a network: 10.0.0.0/24",
            ) from error
        self._known = lru_cache(maxsize=1024)(self._holds)

    def __contains__(self, address: object) -> bool:
        return isinstance(address, str) and self._known(address)

    def _holds(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        # A server that listens on all addresses sees IPv4 clients under IPv6 ones.
        mapped = getattr(found, "ipv4_mapped", None) or found
        return any(mapped in network for network in self._networks)
