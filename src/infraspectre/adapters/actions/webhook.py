"""Webhooks: a signed request to a service that acts, by Standard Webhooks 1.0."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from infraspectre.errors import ConfigError, OutputError
from infraspectre.records.response import Action
from infraspectre.records.times import rfc3339

TRIES = 4
FIRST_PAUSE_S = 0.5
"""Pauses double from try to try."""
PATIENCE_S = 10.0
"""Seconds that one try may take."""
SECRET_PREFIX = "whsec_"  # noqa: S105 - how secrets begin (Standard Webhooks 1.0), none itself
LEAST_SECRET = 24
"""Bytes of a secret that Standard Webhooks asks for at least."""


class Clock(NamedTuple):
    """Tells the time and waits; tests bring their own."""

    now: Callable[[], int] = time.time_ns
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


class Webhook:
    """Asks a remote service to act, and tells it when the lease ends."""

    name = "webhook"

    def __init__(self, url: str, secret: str, *, allow_http: bool = False, clock: Clock | None = None) -> None:
        """Use an address, https unless plain text is allowed, and a secret as whsec_ and Base64; raises ConfigError."""
        self._url = checked_url(url, allow_http)
        self._key = key_of(secret)
        self._clock = clock or Clock()

    def preview(self, action: Action) -> str:
        """Return the request that would be sent."""
        return f"POST {self._url.geturl()}\n{self._body('block', action).decode()}"

    def run(self, action: Action) -> str:
        """Send the request to block an address until the lease ends."""
        return self._deliver("block", action)

    def undo(self, action: Action) -> str:
        """Send the request to free an address."""
        return self._deliver("unblock", action)

    def _body(self, what: str, action: Action) -> bytes:
        """Return what is sent; it has no time of its own, so that a retry is the same message."""
        data = {
            "action_id": action.action_id,
            "incident_id": action.incident_id,
            "target": action.target,
            "reason": action.reason,
            "level": action.level,
            "expires_at": rfc3339(action.expires_at),
        }
        return json.dumps(
            {"type": f"response.{what}", "timestamp": rfc3339(action.requested_at), "data": data}
        ).encode()

    def _deliver(self, what: str, action: Action) -> str:
        """Try until it is taken, refused for good, or too late."""
        body, end, said = self._body(what, action), self._clock.monotonic() + action.deadline_s, ""
        for attempt in range(TRIES):
            left = end - self._clock.monotonic()
            if left <= 0:
                break
            status, said = self._post(f"{action.action_id}-{what}", body, min(left, PATIENCE_S))
            if 200 <= status < 300:
                return f"{self._url.netloc} took the request to {what} {action.target} ({said}, try {attempt + 1})"
            if status and status != 429 and status < 500:
                break  # it will not be taken however often it is sent
            self._clock.sleep(max(0.0, min(FIRST_PAUSE_S * 2**attempt, end - self._clock.monotonic())))
        raise OutputError(f"did not take the request to {what} {action.target}: {said or 'too late'}", path=self._place)

    @property
    def _place(self) -> str:
        return f"{self._url.scheme}://{self._url.netloc}"

    def _post(self, message_id: str, body: bytes, timeout_s: float) -> tuple[int, str]:
        """Send once, following no redirect; return the status, or 0 where there was no answer, and words about it."""
        make = HTTPSConnection if self._url.scheme == "https" else HTTPConnection
        connection = make(self._url.hostname or "", self._url.port, timeout=timeout_s)
        target = (self._url.path or "/") + (f"?{self._url.query}" if self._url.query else "")
        try:
            connection.request("POST", target, body, self._headers(message_id, body))
            answer = connection.getresponse()
            return answer.status, f"status {answer.status}"
        except (OSError, HTTPException) as error:
            return 0, f"{type(error).__name__}: {error}"
        finally:
            connection.close()

    def _headers(self, message_id: str, body: bytes) -> dict[str, str]:
        stamp = str(self._clock.now() // 1_000_000_000)
        signed = hmac.new(self._key, f"{message_id}.{stamp}.".encode() + body, hashlib.sha256).digest()
        return {
            "content-type": "application/json",
            "webhook-id": message_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }


def checked_url(url: str, allow_http: bool) -> SplitResult:
    """Return the parts of an address that requests may be sent to; raises ConfigError."""
    try:
        parts = urlsplit(url)
        is_sound = parts.scheme in ("https", "http") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # brackets or a port that are none
        is_sound = False
    if not is_sound or not url.isascii():
        raise ConfigError("is no address of a web service", field="response.webhook.url")
    if "@" in parts.netloc:
        remedy = "leave it out: requests are signed by the secret"
        raise ConfigError("the address holds a user or password", field="response.webhook.url", remedy=remedy)
    if parts.scheme == "http" and not allow_http:
        remedy = "use https, or set response.webhook.allow_http where nobody can listen"
        raise ConfigError("the address is not encrypted", field="response.webhook.url", remedy=remedy)
    return parts


def key_of(secret: str) -> bytes:
    """Return the key in a secret; raises ConfigError, which does not show it."""
    try:
        key = base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except ValueError:  # not Base64, or not even ASCII
        key = b""
    if len(key) < LEAST_SECRET:
        remedy = f"write {SECRET_PREFIX} and at least {LEAST_SECRET} random bytes as Base64 into it"
        raise ConfigError(
            "the secret of the webhook is missing or no secret", field="INFRASPECTRE_WEBHOOK_SECRET", remedy=remedy
        )
    return key
