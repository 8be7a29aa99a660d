"""The stream over WebSocket and over server-sent events, for a principal who is known already."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any

from infraspectre.api.stream.client import POLICY_VIOLATION, TRY_AGAIN_LATER, Client, Ending, Sending
from infraspectre.api.stream.hub import Hub
from infraspectre.api.stream.messages import Subscribe, message
from infraspectre.errors import OverloadError
from infraspectre.records.access import Principal

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
Recheck = Callable[[], Awaitable[bool]]
RECHECK_S = 30.0
"""How often it is asked whether the credential of a client still holds."""
CLOSE_S = 1.0
"""How long a client that is closed has to take what was sent before."""
ONLY = "stream"
"""The name of the one subscription of server-sent events."""
RETRY = b"retry: 2000\n\n"
"""Milliseconds until a browser connects again (HTML Standard, section 9.2)."""
LINE_ENDS = {ord("\r"): " ", ord("\n"): " "}
TAIL = re.compile(r'"([0-9A-Za-z]{1,40}\.[0-9]{1,20})"\}{1,2}\Z')


class Connection:
    """Sends messages over one connection, without waiting."""

    def __init__(self, send: Send, wrap: Callable[[list[str]], Any]) -> None:
        """Send with an ASGI channel; `wrap` makes one of its messages from several of ours."""
        self._send = send
        self.wrap = wrap

    def send(self, wrapped: Any) -> Sending:
        """Hand over messages; servers whose `send` returns a future spare a task for each message."""
        outcome: Any = self._send(wrapped)
        sending: Sending = outcome if hasattr(outcome, "done") else asyncio.ensure_future(outcome)
        return sending


def websocket_frame(messages: list[str]) -> dict[str, Any]:
    """Return a text frame: an array of messages."""
    return {"type": "websocket.send", "text": f"[{','.join(messages)}]"}


def body_part(messages: list[str]) -> dict[str, Any]:
    """Return a part of a body: an event of the stream for each message."""
    body = "".join(map(server_sent, messages)).encode()
    return {"type": "http.response.body", "body": body, "more_body": True}


def server_sent(text: str) -> str:
    """Write a message as a server-sent event; its id is the position, so that browsers resume by themselves.

    A carriage return, which may stand between the parts of what somebody posted, would end the line: JSON needs none.
    """
    kind = text[9 : text.index('"', 9)]
    position = TAIL.search(text[-80:])
    return f"event: {kind}\n{f'id: {position[1]}' + chr(10) if position else ''}data: {text.translate(LINE_ENDS)}\n\n"


async def websocket(
    hub: Hub, principal: Principal, receive: Receive, send: Send, recheck: Recheck, protocol: str | None = None
) -> None:
    """Serve a client over WebSocket until it leaves or is closed."""
    await receive()
    await send({"type": "websocket.accept", "subprotocol": protocol, "headers": []})
    try:
        client = hub.join(principal, Connection(send, websocket_frame))
    except OverloadError as error:
        await send({"type": "websocket.close", "code": TRY_AGAIN_LATER, "reason": error.problem})
        return
    try:
        ending = await attended(client, hear(hub, client, receive), recheck)
        if ending:
            await closed(send({"type": "websocket.close", "code": ending.code, "reason": ending.reason}))
    finally:
        hub.leave(client)


async def server_sent_events(
    hub: Hub, principal: Principal, asked: Subscribe, receive: Receive, send: Send, direct: Send, recheck: Recheck
) -> None:
    """Serve one subscription as server-sent events; raises InputError and OverloadError before anything is sent.

    The answer begins with `send`; events are sent with `direct`, which no layer between wraps.
    """
    client = hub.join(principal, Connection(direct, body_part))
    try:
        hub.subscribe(client, asked)
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": RETRY, "more_body": True})
        hub.wait_for(client)
        ending = await attended(client, disconnected(receive), recheck)
        if ending:
            last = server_sent(message("close", code=ending.code, reason=ending.reason))
            await closed(send({"type": "http.response.body", "body": last.encode(), "more_body": False}))
    finally:
        hub.leave(client)


async def attended(client: Client, listening: Awaitable[None], recheck: Recheck) -> Ending | None:
    """Wait until a client leaves, or return why it is to be closed."""
    over = asyncio.Event()
    client.on_end = over.set
    tasks = {asyncio.ensure_future(listening), asyncio.ensure_future(over.wait())}
    try:
        while not client.ending:
            done, _ = await asyncio.wait(tasks, timeout=RECHECK_S, return_when=asyncio.FIRST_COMPLETED)
            if done:
                break
            if not await recheck():
                client.end(POLICY_VIOLATION, "the credential does not hold any more")
    finally:
        for task in tasks:
            task.cancel()
    return client.ending


async def hear(hub: Hub, client: Client, receive: Receive) -> None:
    """Do what a client asks for until it leaves."""
    while (heard := await receive())["type"] == "websocket.receive":
        hub.hear(client, heard.get("text") or heard.get("bytes") or "")


async def disconnected(receive: Receive) -> None:
    """Wait until a client leaves."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def closed(sending: Awaitable[None]) -> None:
    """Give the last message a moment; a client that is stuck loses its connection without it."""
    await asyncio.wait({asyncio.ensure_future(sending)}, timeout=CLOSE_S)
