"""Seals secrets of receivers, so that who reads the store or a copy of it cannot use them."""

from __future__ import annotations

import base64
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from infraspectre.errors import ConfigError

KEY_BYTES, NONCE_BYTES = 32, 12
PURPOSE = b"infraspectre: secrets of receivers"


class Seal:
    """Encrypts secrets under a key of the server, each for the one place where it is kept (AES-256-GCM)."""

    def __init__(self, key: bytes) -> None:
        """Derive the key of this purpose from one of the server (HKDF, RFC 5869)."""
        self._cipher = AESGCM(HKDF(SHA256(), KEY_BYTES, None, PURPOSE).derive(key))

    def close(self, secret: str, place: str) -> str:
        """Return a secret as it may be kept in a place."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, secret.encode(), place.encode())).decode("ascii")

    def open(self, sealed: str, place: str) -> str:
        """Return a secret; raises ConfigError for one that was sealed under another key or for another place."""
        data = base64.b64decode(sealed)
        try:
            return self._cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode()
        except InvalidTag as error:
            remedy = "restore the key in access.token_key_file, or register the receiver anew"
            raise ConfigError("the secret of a receiver was sealed under another key", remedy=remedy) from error
