"""API keys: random, shown once, and kept as a digest that tells nothing about them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import NamedTuple, Self

from infraspectre.errors import InputError

PREFIX = "isk"
TENANT_NAME = re.compile(r"\A[a-z0-9][a-z0-9-]{0,31}\Z")
WRITTEN = re.compile(r"\Aisk_([a-z0-9][a-z0-9-]{0,31})_([0-9a-f]{16})_([A-Za-z0-9_-]{43})\Z")
SECRET_BYTES = 32


class Key(NamedTuple):
    """Is a key as its owner holds it: `isk_TENANT_ID_SECRET`."""

    tenant: str
    key_id: str
    secret: str

    @classmethod
    def new(cls, tenant: str) -> Self:
        """Return a new random key of a tenant."""
        secret = base64.urlsafe_b64encode(secrets.token_bytes(SECRET_BYTES)).rstrip(b"=").decode()
        return cls(tenant, secrets.token_hex(8), secret)

    @classmethod
    def of(cls, text: str) -> Self:
        """Read a key; raises InputError, which does not show it."""
        written = WRITTEN.match(text)
        if written is None:
            raise InputError("is no API key", field="authorization", remedy="send it as it was shown when it was made")
        return cls(*written.groups())

    def __str__(self) -> str:
        return f"{PREFIX}_{self.tenant}_{self.key_id}_{self.secret}"

    @property
    def digest(self) -> str:
        """Return what is kept: the secret has 256 random bits, so a fast hash cannot be searched."""
        return hashlib.sha256(self.secret.encode()).hexdigest()

    def fits(self, digest: str) -> bool:
        """Tell whether a kept digest is that of this key, in constant time."""
        return hmac.compare_digest(self.digest, digest)
