"""Who one is and whom one trusts on a link: files that may change while connections go on."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Literal

from cryptography import x509

from infraspectre.adapters.certificates import Identity, RevokedList, identity, life, read_certificate
from infraspectre.errors import InputError
from infraspectre.ports import Clock
from infraspectre.records.times import rfc3339

Side = Literal["server", "sensor"]


class Credentials:
    """Holds a certificate, its key, the authority's certificate and what is revoked, and reads them as they change."""

    def __init__(
        self, certificate: Path, key: Path, authority: Path, revoked: Path | None, side: Side, clock: Clock
    ) -> None:
        """Read the files; raises InputError naming what is wrong with which."""
        self._paths = [path for path in (certificate, key, authority, revoked) if path is not None]
        self._certificate, self._key, self._authority, self._revoked = certificate, key, authority, revoked
        self._side: Side = side
        self._clock = clock
        self._seen = self._look()
        self.context, self.own, self.identity, self._list = self._read()

    def refresh(self) -> bool:
        """Read the files again if any has changed, and tell so; raises InputError and keeps what was read before."""
        seen = self._look()
        if seen == self._seen:
            return False
        found = self._read()
        self._seen = seen
        self.context, self.own, self.identity, self._list = found
        return True

    def fault(self, peer: x509.Certificate) -> str | None:
        """Return why a certificate that this authority has signed holds no more, None as long as it does."""
        now = self._clock.now()
        start, end = life(peer)
        if not start <= now < end:
            return f"the certificate holds from {rfc3339(start)} to {rfc3339(end)}, not now"
        if self._list is not None and self._list.holds(peer):
            return "the certificate is revoked"
        if self._list is not None and self._list.not_after <= now:
            return "the list of revoked certificates is too old"
        return None

    def _look(self) -> list[tuple[int, int, int] | None]:
        return [stamp(path) for path in self._paths]

    def _read(self) -> tuple[ssl.SSLContext, x509.Certificate, Identity, RevokedList | None]:
        check_mode(self._key)
        own = read_certificate(self._certificate)
        whom = identity(own)
        if whom.role != self._side:
            raise InputError(f"is of a {whom.role}, not of a {self._side}", path=self._certificate)
        authority = read_certificate(self._authority)
        revoked = None if self._revoked is None else RevokedList(self._revoked, authority)
        return make_context(self._side, self._certificate, self._key, self._authority), own, whom, revoked


def make_context(side: Side, certificate: Path, key: Path, authority: Path) -> ssl.SSLContext:
    """Return what a side of a link demands: TLS 1.3 and a certificate by the authority; raises InputError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if side == "server" else ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if side == "server":
        context.num_tickets = 0  # a resumed session would not be looked at again
    try:
        context.load_verify_locations(cafile=authority)
    except (ssl.SSLError, OSError) as error:
        raise InputError("holds no certificates in PEM", path=authority) from error
    try:
        context.load_cert_chain(certificate, key, password=lambda: "")
    except (ssl.SSLError, OSError) as error:
        remedy = "give the key that was made with the certificate, without a password"
        raise InputError(f"does not go with {certificate.name}", path=key, remedy=remedy) from error
    return context


def check_mode(key: Path) -> None:
    """Raise InputError for a key that others may read."""
    try:
        mode = key.stat().st_mode
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", path=key) from error
    if mode & 0o077:
        raise InputError("can be read by others", path=key, remedy=f"chmod 600 {key}")


def stamp(path: Path) -> tuple[int, int, int] | None:
    """Return what tells whether a file has changed."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
