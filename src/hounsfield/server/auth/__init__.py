"""Authentication and authorisation: principals and scopes, tokens and passwords, OpenID."""

from __future__ import annotations
