"""Who may do what: principals and scopes, tokens and passwords, OpenID."""

from __future__ import annotations
