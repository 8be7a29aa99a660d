"""Passwords: hashed by argon2id, a bounded number at once, and as slowly for users who do not exist."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from infraspectre.errors import InputError, OverloadError

TIME_COST = 3
LANES = 4
"""With 64 MiB, the second recommended option of RFC 9106 section 4, for where 2 GiB for each login is too much."""
LEAST = 12
MOST = 256
"""Letters of a password; NIST SP 800-63B-4 asks for length, and for no mixture of signs."""
AT_ONCE = 2
MOST_WAITING = 32


class Passwords:
    """Hashes and verifies passwords in threads, so that answers to others go on meanwhile."""

    def __init__(self, memory_kib: int) -> None:
        """Take so much memory for each guess."""
        self._hasher = PasswordHasher(TIME_COST, memory_kib, LANES)
        self._nobody = self._hasher.hash(secrets.token_hex(16))
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._waiting = 0

    def hash(self, password: str) -> str:
        """Return the hash of a password; raises InputError for one that is too short or long."""
        if not LEAST <= len(password) <= MOST:
            raise InputError(f"has not {LEAST} to {MOST} letters", field="password", remedy="choose a few random words")
        return self._hasher.hash(password)

    async def hash_later(self, password: str) -> str:
        """Return the hash of a password, made in a thread; raises InputError and OverloadError."""
        async with self._turn():
            return await asyncio.to_thread(self.hash, password)

    async def fits(self, password: str, kept: str | None) -> bool:
        """Tell whether a kept hash is that of a password; without one it takes as long. Raises OverloadError."""
        async with self._turn():
            return await asyncio.to_thread(self._verify, password, kept)

    def _verify(self, password: str, kept: str | None) -> bool:
        try:
            return self._hasher.verify(kept or self._nobody, password[:MOST]) and bool(kept)
        except (VerificationError, InvalidHashError):
            return False

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        """Wait until a password may be hashed."""
        if self._waiting >= MOST_WAITING:
            raise OverloadError("too many logins at once", remedy="try again in a moment")
        self._waiting += 1
        try:
            async with self._turns:
                yield
        finally:
            self._waiting -= 1
