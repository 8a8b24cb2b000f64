"""Operation of a server: metrics, logs, the repair loop, verification."""

from __future__ import annotations
