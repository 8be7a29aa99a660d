"""Takes webhooks: verifies each signature, leaves out what came before, and prints what happened.

    WEBHOOK_SECRET=whsec_... python webhook_receiver.py 8080

A proxy before it adds TLS. Standard Webhooks 1.0: https://www.standardwebhooks.com
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

TOLERANCE_S = 300
"""An older message may be somebody else's, played again."""
MOST_BYTES = 1_000_000
REMEMBERED = 10_000


def is_genuine(secret: str, headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Tell whether a message is signed with the secret, and not old."""
    identity, sent = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not sent.isdecimal() or abs(now - int(sent)) > TOLERANCE_S:
        return False
    key = base64.b64decode(secret.removeprefix("whsec_"))
    digest = hmac.new(key, f"{identity}.{sent}.".encode() + body, hashlib.sha256).digest()
    wanted = f"v1,{base64.b64encode(digest).decode()}"
    return any(
        hmac.compare_digest(wanted.encode(), each.encode()) for each in headers.get("webhook-signature", "").split()
    )


class Receiver(HTTPServer):
    """Holds the secret, and the identities of the latest messages."""

    def __init__(self, port: int, secret: str) -> None:
        """Listen on loopback."""
        super().__init__(("127.0.0.1", port), Handler)
        self.secret = secret
        self.seen: OrderedDict[str, None] = OrderedDict()

    def take(self, identity: str, event: dict[str, Any]) -> None:
        """Do what is to be done with an event, once."""
        if identity not in self.seen:
            print(event["type"], event["data"].get("severity", ""), event["data"].get("subject", ""), flush=True)
        self.seen[identity] = None
        if len(self.seen) > REMEMBERED:
            self.seen.popitem(last=False)


class Handler(BaseHTTPRequestHandler):
    """Answers 204 once an event is taken, and 401 what is not genuine."""

    server: Receiver
    timeout = 10

    def do_POST(self) -> None:
        """Take one event."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > MOST_BYTES:
            return self.answer(413)
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if not is_genuine(self.server.secret, headers, body, time.time()):
            return self.answer(401)
        self.server.take(headers["webhook-id"], json.loads(body))
        return self.answer(204)

    def answer(self, status: int) -> None:
        """Answer with a status alone."""
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Leave the output to events."""


if __name__ == "__main__":
    Receiver(int(sys.argv[1]), os.environ["WEBHOOK_SECRET"]).serve_forever()
