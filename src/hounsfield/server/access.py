"""Who may do what: principals and their scopes. How they prove who they are is in `credentials`."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Somebody who asks: a name for the audit log, and the scopes "read", "write", "delete" they have."""

    name: str
    scopes: frozenset[str]


EVERYBODY = Principal("anonymous", frozenset({"read", "write", "delete"}))
"""Whoever reaches a server that asks for no credentials."""
