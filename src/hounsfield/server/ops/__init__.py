"""What keeps a server running and observed: metrics, logs, repair, verification."""

from __future__ import annotations
