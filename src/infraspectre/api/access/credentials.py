"""Credentials of programs and sessions: random, shown once, and kept as a digest that tells nothing about them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Literal, NamedTuple, Self, cast

from infraspectre.records.access import TENANT_NAME

Purpose = Literal["isk", "isr"]
"""isk: an API key; isr: a refresh token."""
WRITTEN = re.compile(rf"(isk|isr)_({TENANT_NAME.pattern})_([0-9a-f]{{16}})_([A-Za-z0-9_-]{{43}})")
SECRET_BYTES = 32


class Credential(NamedTuple):
    """Is a credential as its owner holds it: `PURPOSE_TENANT_ID_SECRET`."""

    purpose: Purpose
    tenant: str
    id: str
    secret: str

    @classmethod
    def new(cls, purpose: Purpose, tenant: str, identity: str | None = None) -> Self:
        """Return a new random credential of a tenant, or a new secret for an identity."""
        secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
        return cls(purpose, tenant, identity or secrets.token_hex(8), secret)

    @classmethod
    def of(cls, purpose: Purpose, text: str) -> Self | None:
        """Read a credential; None where the text is none for this purpose."""
        written = WRITTEN.fullmatch(text)
        if written is None or written[1] != purpose:
            return None
        return cls(cast("Purpose", written[1]), written[2], written[3], written[4])

    def __str__(self) -> str:
        return "_".join(self)

    def __repr__(self) -> str:
        """Return what may stand in a log."""
        return f"{self.purpose}_{self.tenant}_{self.id}_..."

    @property
    def digest(self) -> str:
        """Return what is kept: the secret has 256 random bits, so that a fast hash cannot be searched."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def fits(self, digest: str) -> bool:
        """Tell whether a kept digest is that of this credential, in constant time."""
        return hmac.compare_digest(self.digest, digest)
