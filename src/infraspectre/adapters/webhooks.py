"""Webhooks: each event one signed request (Standard Webhooks 1.0)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import NamedTuple, Self

import httpx
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from infraspectre.adapters.posts import Answer, post
from infraspectre.ports import Clock
from infraspectre.records.delivery import Failure, Outgoing, Receipt
from infraspectre.records.feed import FeedEvent

SECRET_BYTES = 32
MOST_BODY = 256 << 10
"""Bytes of a request; an event that needs more is sent without its record."""
NANOSECONDS = 1_000_000_000


class Secret(NamedTuple):
    """Holds the keys of a webhook: one that both sides know, and one of which receivers know the public half."""

    symmetric: bytes
    private: bytes

    @classmethod
    def new(cls) -> Self:
        """Make random keys."""
        return cls(secrets.token_bytes(SECRET_BYTES), Ed25519PrivateKey.generate().private_bytes_raw())

    @classmethod
    def of(cls, text: str) -> Self:
        """Read keys as `str` writes them."""
        both = base64.b64decode(text)
        return cls(both[:SECRET_BYTES], both[SECRET_BYTES:])

    def __str__(self) -> str:
        return encoded(self.symmetric + self.private)

    @property
    def shared(self) -> str:
        """Return the symmetric key as receivers are given it."""
        return f"whsec_{encoded(self.symmetric)}"

    @property
    def public(self) -> str:
        """Return the public key as receivers are given it."""
        return f"whpk_{encoded(Ed25519PrivateKey.from_private_bytes(self.private).public_key().public_bytes_raw())}"

    def signatures(self, key: str, at_s: int, body: bytes) -> str:
        """Return the signatures of a message by both keys, separated by a space."""
        signed = b".".join([key.encode(), str(at_s).encode(), body])
        asymmetric = Ed25519PrivateKey.from_private_bytes(self.private).sign(signed)
        symmetric = hmac.digest(self.symmetric, signed, hashlib.sha256)
        return f"v1,{encoded(symmetric)} v1a,{encoded(asymmetric)}"


def encoded(data: bytes) -> str:
    """Return bytes in base64."""
    return base64.b64encode(data).decode("ascii")


def body_of(outgoing: Outgoing) -> bytes:
    """Return the body of a request: type, time, and the event as streams tell it."""
    event = outgoing.event
    head = msgspec.json.encode({"type": event.kind, "timestamp": event.at})[:-1]
    body = head + b',"data":' + outgoing.text.encode() + b"}"
    return body if len(body) <= MOST_BODY else head + b',"is_shortened":true,"data":' + shortened(event) + b"}"


def shortened(event: FeedEvent) -> bytes:
    """Return an event without its record, which the API still has."""
    bare = {"channel": event.channel, "kind": event.kind, "at": event.at, "severity": event.severity}
    return msgspec.json.encode(bare | {"subject": event.subject[:256]})


class Webhook:
    """Sends each event as one signed request."""

    def __init__(self, client: httpx.Client, url: str, secret: Secret, clock: Clock) -> None:
        """Send to an address; the client decides which may be called at all."""
        self._client, self._url, self._secret, self._clock = client, url, secret, clock

    def send(self, events: Sequence[Outgoing]) -> Receipt:
        """Hand over events one after another, until the receiver takes no more."""
        refused: dict[int, str] = {}
        for index, each in enumerate(events):
            answer = self._post(each)
            if isinstance(answer, Failure):
                return Receipt(index, refused, answer)
            if answer.refusal:
                refused[index] = answer.refusal
            elif not answer.is_success:
                return Receipt(index, refused, answer.failure)
        return Receipt(len(events), refused)

    def _post(self, outgoing: Outgoing) -> Answer | Failure:
        at_s, body = self._clock.now() // NANOSECONDS, body_of(outgoing)
        headers = {
            "content-type": "application/json",
            "user-agent": "InfraSpectre",
            "webhook-id": outgoing.key,
            "webhook-timestamp": str(at_s),
            "webhook-signature": self._secret.signatures(outgoing.key, at_s, body),
        }
        return post(self._client, self._url, headers, body, parent=outgoing.event.trace)
