from __future__ import annotations

import asyncio
from typing import Any

from api_platform import of
from infraspectre.api.frame import Api
from infraspectre.api.stream.endpoints import RETRY, server_sent
from infraspectre.serving.platform import Platform


def test_what_somebody_posted_ends_no_line_of_server_sent_events() -> None:
    text = '{"type":"events","subscription":"s","events":[{"data":{"a":\r\r1,\r\n"b":2}}],"position":"e.1"}'
    sent = server_sent(text)
    assert sent == f"event: events\nid: e.1\ndata: {text.replace(chr(13), ' ').replace(chr(10), ' ')}\n\n"
    assert "\r" not in sent


class Server:
    """Is a server whose `send` returns a future, as Granian's does."""

    def __init__(self, *heard: dict[str, Any]) -> None:
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.sent: list[dict[str, Any]] = []
        self.sender = ""
        for message in heard:
            self.heard.put_nowait(message)

    def send(self, message: dict[str, Any]) -> asyncio.Future[None]:
        self.sent.append(message)
        self.sender = repr(asyncio.current_task())
        outcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        outcome.set_result(None)
        return outcome

    async def serve(self, app: Api, scope: dict[str, Any], count: int) -> None:
        """Serve until so many messages were sent, and then let the client leave."""
        async with asyncio.timeout(20), app.lifespan():
            running = asyncio.create_task(app(scope, self.heard.get, self.send))
            while len(self.sent) < count:
                await asyncio.sleep(0.01)
            self.heard.put_nowait({"type": f"{scope['type']}.disconnect"})
            await running


def scope_of(platform: Platform, kind: str, **members: Any) -> dict[str, Any]:
    headers = [(key.encode(), value.encode()) for key, value in of(platform, "viewer").items()]
    where = {"path": "/api/v1/stream", "raw_path": b"/api/v1/stream", "query_string": b"", "root_path": ""}
    return {"type": kind, "headers": headers, "client": ("127.0.0.1", 1), "server": ("localhost", 80)} | where | members


def test_messages_over_a_websocket_are_handed_to_the_server_without_a_task_for_each(
    app: Api, platform: Platform
) -> None:
    server = Server({"type": "websocket.connect"}, {"type": "websocket.receive", "text": '{"type":"ping"}'})
    asyncio.run(server.serve(app, scope_of(platform, "websocket", scheme="ws", subprotocols=[]), 2))
    accept, pong = server.sent
    assert (accept["type"], pong["text"]) == ("websocket.accept", '[{"type":"pong","note":""}]')
    assert "forever()" in server.sender


def test_server_sent_events_are_so_behind_a_start_with_the_headers_of_every_answer(
    app: Api, platform: Platform
) -> None:
    server = Server({"type": "http.request", "body": b"", "more_body": False})
    asyncio.run(server.serve(app, scope_of(platform, "http", scheme="http", method="GET"), 3))
    start, retry, subscribed = server.sent
    assert (b"x-content-type-options", b"nosniff") in start["headers"]
    assert retry["body"] == RETRY
    assert subscribed["body"].startswith(b"event: subscribed\n")
    assert "forever()" in server.sender


def test_a_head_of_server_sent_events_has_no_body(app: Api, platform: Platform) -> None:
    server = Server({"type": "http.request", "body": b"", "more_body": False})
    asyncio.run(server.serve(app, scope_of(platform, "http", scheme="http", method="HEAD"), 3))
    assert [each.get("body", b"") for each in server.sent] == [b""] * 3
