"""The Warning header of an answer (RFC 7234 5.5; PS3.18 8.3.4): what the other side wants to tell.

Read as servers write it, with or without quotes; written with quotes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_QUOTED = re.compile(r'(\d{3})\s+(\S+?):?\s+"((?:[^"\\]|\\.)*)"(?:\s+"[^"]*")?\s*(?:,|$)')
_BARE = re.compile(r"(\d{3})\s+(\S+?):?\s+(.*)", re.DOTALL)
_REMAINING = re.compile(r"There are (?:at least )?(\d{1,15}) additional results", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class PeerWarning:
    """One warning: its three-digit `code`, the `agent` that gave it, its `text`."""

    code: int
    agent: str
    text: str

    @property
    def remaining(self) -> int | None:
        """The number of results that can still be asked for, if that is what it says (PS3.18 8.3.4.4.1)."""
        match = _REMAINING.search(self.text)
        return int(match[1]) if match else None

    def __str__(self) -> str:
        text = "".join(each if each.isprintable() else " " for each in self.text)
        escaped = text.replace("\\", "\\\\").replace('"', '\\"')
        return f'{self.code:03d} {self.agent}: "{escaped}"'


def more_results(agent: str, remaining: int) -> PeerWarning:
    """The warning that a page is not the last one."""
    return PeerWarning(299, agent, f"There are {remaining} additional results that can be requested")


def parse_warnings(text: str | None) -> tuple[PeerWarning, ...]:
    """Every warning in a header's value; what is none at all comes back as one of code 299 and no agent."""
    rest = (text or "").strip()
    found: list[PeerWarning] = []
    while rest:
        if match := _QUOTED.match(rest):
            found.append(PeerWarning(int(match[1]), match[2], re.sub(r"\\(.)", r"\1", match[3])))
            rest = rest[match.end() :].lstrip(", ")
            continue
        bare = _BARE.match(rest)
        code, agent, said = (int(bare[1]), bare[2], bare[3].strip().strip('"')) if bare else (299, "-", rest)
        found.append(PeerWarning(code, agent, said))
        break
    return tuple(found)
