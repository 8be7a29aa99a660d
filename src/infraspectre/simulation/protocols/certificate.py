"""X.509 certificates (RFC 5280) that parse like real ones; their keys and signatures are random bytes."""

from __future__ import annotations

import random

from infraspectre.simulation.protocols import der

_ECDSA_SHA256 = der.sequence(der.oid("1.2.840.10045.4.3.2"))
_P256_KEY = der.sequence(der.oid("1.2.840.10045.2.1"), der.oid("1.2.840.10045.3.1.7"))
_DNS_NAME = 0x82
DAY_S = 86_400


def _name(common: str, organization: str) -> bytes:
    pairs = (("2.5.4.10", organization), ("2.5.4.3", common))
    parts = [
        der.value(der.SET, der.sequence(der.oid(kind), der.value(der.UTF8, text.encode()))) for kind, text in pairs
    ]
    return der.sequence(*parts)


def _bits(data: bytes) -> bytes:
    return der.value(der.BIT_STRING, b"\x00", data)


def certificate(rng: random.Random, name: str, now_s: int, issuer: str = "Example Trust CA", days: int = 90) -> bytes:
    """Make a server's certificate; one whose issuer is its own name looks self-signed."""
    start = now_s - rng.randrange(1, days // 2) * DAY_S
    subject = _name(name, "Example Ltd")
    names = der.sequence(der.value(_DNS_NAME, name.encode()))
    extension = der.sequence(der.oid("2.5.29.17"), der.value(der.OCTET_STRING, names))
    body = der.sequence(
        der.tagged(0, der.integer(2)),
        der.integer(rng.getrandbits(126)),
        _ECDSA_SHA256,
        subject if issuer == name else _name(issuer, "Example Trust"),
        der.sequence(der.utc_time(start), der.utc_time(start + days * DAY_S)),
        subject,
        der.sequence(_P256_KEY, _bits(b"\x04" + rng.randbytes(64))),
        der.tagged(3, der.sequence(extension)),
    )
    signature = der.sequence(der.integer(rng.getrandbits(255)), der.integer(rng.getrandbits(255)))
    return der.sequence(body, _ECDSA_SHA256, _bits(signature))
