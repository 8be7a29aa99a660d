"""Kerberos (RFC 4120): ticket requests and answers; sealed parts are random bytes."""

from __future__ import annotations

import random
import struct

from infraspectre.simulation.protocols import der
from infraspectre.simulation.protocols.der import application, general_string, general_time, integer, sequence, tagged

RC4, AES256 = 23, 18
"""Encryption types (RFC 4757, RFC 3962)."""
PREAUTH_FAILED, PREAUTH_REQUIRED = 24, 25
_AS_REQ, _AS_REP, _TGS_REQ, _TGS_REP, _AP_REQ, _ERROR = 10, 11, 12, 13, 14, 30
_PRINCIPAL, _SERVICE = 1, 2
_TGS_REQ_DATA, _ENC_TIMESTAMP = 1, 2


def framed(message: bytes) -> bytes:
    """Prefix a message with its length, as over TCP (RFC 4120, 7.2.2)."""
    return struct.pack("!I", len(message)) + message


def _principal(kind: int, text: str) -> bytes:
    parts = [general_string(part) for part in text.split("/")]
    return sequence(tagged(0, integer(kind)), tagged(1, sequence(*parts)))


def _octets(data: bytes) -> bytes:
    return der.value(der.OCTET_STRING, data)


def _sealed(rng: random.Random, cipher: int, size: int) -> bytes:
    return sequence(tagged(0, integer(cipher)), tagged(2, _octets(rng.randbytes(size))))


def _ticket(rng: random.Random, realm: str, service: str, cipher: int) -> bytes:
    name = tagged(2, _principal(_SERVICE, service))
    return application(1, sequence(tagged(0, integer(5)), tagged(1, general_string(realm)), name,
                                   tagged(3, _sealed(rng, cipher, 1040))))  # fmt: skip


def _body(rng: random.Random, client: str, realm: str, service: str, ciphers: tuple[int, ...], now_s: int) -> bytes:
    who = tagged(1, _principal(_PRINCIPAL, client)) if client else b""
    flags = tagged(0, der.value(der.BIT_STRING, b"\x00\x40\x81\x00\x10"))
    what = tagged(2, general_string(realm)) + tagged(3, _principal(_SERVICE, service))
    until = tagged(5, general_time(now_s + 36_000)) + tagged(7, integer(rng.getrandbits(31)))
    return tagged(4, sequence(flags, who, what, until, tagged(8, sequence(*map(integer, ciphers)))))


def as_request(
    rng: random.Random, client: str, realm: str, now_s: int, has_proof: bool, ciphers: tuple[int, ...] = (AES256, RC4)
) -> bytes:
    """Ask for a ticket-granting ticket, with or without an encrypted time stamp as proof of the password."""
    proof = sequence(tagged(1, integer(_ENC_TIMESTAMP)), tagged(2, _octets(_sealed(rng, ciphers[0], 56))))
    body = _body(rng, client, realm, f"krbtgt/{realm}", ciphers, now_s)
    data = tagged(3, sequence(proof)) if has_proof else b""
    return application(_AS_REQ, sequence(tagged(1, integer(5)), tagged(2, integer(_AS_REQ)), data, body))


def tgs_request(rng: random.Random, realm: str, service: str, now_s: int, ciphers: tuple[int, ...]) -> bytes:
    """Ask for a service ticket with a ticket-granting ticket."""
    proof = application(_AP_REQ, sequence(
        tagged(0, integer(5)), tagged(1, integer(_AP_REQ)), tagged(2, der.value(der.BIT_STRING, bytes(5))),
        tagged(3, _ticket(rng, realm, f"krbtgt/{realm}", AES256)), tagged(4, _sealed(rng, AES256, 180)),
    ))  # fmt: skip
    data = sequence(tagged(1, integer(_TGS_REQ_DATA)), tagged(2, _octets(proof)))
    body = _body(rng, "", realm, service, ciphers, now_s)
    return application(
        _TGS_REQ, sequence(tagged(1, integer(5)), tagged(2, integer(_TGS_REQ)), tagged(3, sequence(data)), body)
    )


def _reply(
    rng: random.Random, kind: int, client: str, realm: str, service: str, cipher: int, own_cipher: int = AES256
) -> bytes:
    who = tagged(3, general_string(realm)) + tagged(4, _principal(_PRINCIPAL, client))
    ticket = tagged(5, _ticket(rng, realm, service, cipher))
    start = tagged(0, integer(5)) + tagged(1, integer(kind))
    return application(kind, sequence(start, who, ticket, tagged(6, _sealed(rng, own_cipher, 240))))


def as_reply(rng: random.Random, client: str, realm: str, cipher: int = AES256) -> bytes:
    """Grant a ticket-granting ticket, with a part encrypted by the client's key of the given type."""
    return _reply(rng, _AS_REP, client, realm, f"krbtgt/{realm}", AES256, cipher)


def tgs_reply(rng: random.Random, client: str, realm: str, service: str, cipher: int) -> bytes:
    """Grant a service ticket, encrypted with the service's key of the given type."""
    return _reply(rng, _TGS_REP, client, realm, service, cipher)


def error(code: int, realm: str, now_s: int) -> bytes:
    """Refuse with an error code."""
    times = tagged(4, general_time(now_s)) + tagged(5, integer(0))
    name = tagged(9, general_string(realm)) + tagged(10, _principal(_SERVICE, f"krbtgt/{realm}"))
    return application(
        _ERROR, sequence(tagged(0, integer(5)), tagged(1, integer(_ERROR)), times, tagged(6, integer(code)), name)
    )
