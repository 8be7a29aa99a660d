"""SSH (RFC 4253): banners and key exchange in clear, then packets of random bytes."""

from __future__ import annotations

import random
import struct

OPENSSH_CLIENT, OPENSSH_SERVER = "OpenSSH_9.6", "OpenSSH_9.2p1 Debian-2+deb12u3"
SCRIPT_CLIENT = "libssh2_1.11.0"
_KEXINIT, _ECDH_INIT, _ECDH_REPLY, _NEWKEYS = 20, 30, 31, 21
_BLOCK = 8
_CLIENT = (
    "sntrup761x25519-sha512@openssh.com,curve25519-sha256,ecdh-sha2-nistp256,ext-info-c",
    "ssh-ed25519,ecdsa-sha2-nistp256,rsa-sha2-512,rsa-sha2-256",
    *["chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr,aes128-gcm@openssh.com,aes256-gcm@openssh.com"] * 2,
    *["umac-64-etm@openssh.com,hmac-sha2-256-etm@openssh.com,hmac-sha2-256"] * 2,
    *["none,zlib@openssh.com"] * 2,
)
_SCRIPT = (
    "curve25519-sha256,ecdh-sha2-nistp256,diffie-hellman-group14-sha256",
    "ssh-ed25519,rsa-sha2-256,ssh-rsa",
    *["aes256-ctr,aes128-ctr,aes128-cbc"] * 2,
    *["hmac-sha2-256,hmac-sha1"] * 2,
    *["none"] * 2,
)
_SERVER = (
    "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,diffie-hellman-group16-sha512",
    "rsa-sha2-512,rsa-sha2-256,ecdsa-sha2-nistp256,ssh-ed25519",
    *_CLIENT[2:6],
    *["none,zlib@openssh.com"] * 2,
)


def banner(software: str) -> bytes:
    """Identify a client or server (RFC 4253, 4.2)."""
    return f"SSH-2.0-{software}\r\n".encode()


def packet(payload: bytes) -> bytes:
    """Wrap a payload in a packet in clear, padded to the block size (RFC 4253, 6)."""
    padding = _BLOCK - (len(payload) + 5) % _BLOCK
    padding += _BLOCK if padding < 4 else 0
    return struct.pack("!IB", 1 + len(payload) + padding, padding) + payload + bytes(padding)


def _string(data: bytes) -> bytes:
    return struct.pack("!I", len(data)) + data


def key_exchange(rng: random.Random, software: str) -> bytes:
    """Offer algorithms as the named software does (RFC 4253, 7.1)."""
    lists = {OPENSSH_CLIENT: _CLIENT, SCRIPT_CLIENT: _SCRIPT}.get(software, _SERVER)
    names = b"".join(_string(names.encode()) for names in (*lists, "", ""))
    return packet(bytes((_KEXINIT,)) + rng.randbytes(16) + names + bytes(5))


def client_key(rng: random.Random) -> bytes:
    """Send the client's public key (RFC 5656, 4)."""
    return packet(bytes((_ECDH_INIT,)) + _string(rng.randbytes(32)))


def server_key(rng: random.Random) -> bytes:
    """Answer with the host key, the server's public key and a signature, and switch to the new keys."""
    host_key = _string(b"ssh-ed25519") + _string(rng.randbytes(32))
    signature = _string(b"ssh-ed25519") + _string(rng.randbytes(64))
    reply = _string(host_key) + _string(rng.randbytes(32)) + _string(signature)
    return packet(bytes((_ECDH_REPLY,)) + reply) + new_keys()


def new_keys() -> bytes:
    """Switch to the new keys."""
    return packet(bytes((_NEWKEYS,)))
