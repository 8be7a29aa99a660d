"""The stream over WebSocket and over server-sent events, as one ASGI application for a known principal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from urllib.parse import parse_qs

from infraspectre.api.stream.client import Client, Ending, Sending
from infraspectre.api.stream.hub import Hub
from infraspectre.api.stream.messages import Subscribe, message
from infraspectre.errors import InputError, OverloadError
from infraspectre.records.access import Principal

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
ONLY = "stream"
"""The name of the one subscription of server-sent events."""
PARTS = re.compile(r'"type":"([a-z]+)".*"position":"([0-9A-Za-z.]+)"\}\Z', re.DOTALL)


class Connection:
    """Sends messages over one connection, without waiting."""

    def __init__(self, send: Send, wrap: Callable[[list[str]], Any]) -> None:
        """Send with an ASGI channel; `wrap` makes one of its messages from several of ours."""
        self._send = send
        self._wrap = wrap

    def send(self, messages: list[str]) -> Sending:
        """Hand over messages; servers whose `send` returns a future spare a task for each message."""
        outcome: Any = self._send(self._wrap(messages))
        return outcome if hasattr(outcome, "done") else asyncio.ensure_future(outcome)
