"""Health: whether the server lives, is ready, and has started; nothing more is said to those who are not known."""

from __future__ import annotations

import msgspec
from litestar import get


class Health(msgspec.Struct, frozen=True):
    """Says how it is."""

    state: str


@get("/health/live", opt={"public": True}, sync_to_thread=False)
def live() -> Health:
    """Tell whether the server answers."""
    return Health("ok")


HANDLERS = [live]
