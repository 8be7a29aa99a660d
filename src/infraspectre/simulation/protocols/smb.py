"""SMB 2 and 3 (MS-SMB2) with NTLM logons (MS-NLMP) in SPNEGO (RFC 4178)."""

from __future__ import annotations

import random
import struct

from infraspectre.simulation.protocols import der

NEGOTIATE, SESSION_SETUP, LOGOFF, TREE_CONNECT, CREATE, CLOSE, READ, WRITE = 0, 1, 2, 3, 5, 6, 8, 9
SUCCESS, MORE_PROCESSING, LOGON_FAILURE = 0, 0xC0000016, 0xC000006D
DISK, PIPE = 1, 2
HEADER_BYTES = 64
MAX_DATA_BYTES = 65_536
_DIALECT = 0x0302
_UNIX_TO_FILETIME = 116_444_736_000_000_000
_SPNEGO, _NTLMSSP = "1.3.6.1.5.5.2", "1.3.6.1.4.1.311.2.2.10"
_NTLM_FLAGS = 0xE2888215
_AUTHENTICATE_BYTES = 88
"""Bytes of an AUTHENTICATE message before its values, with version and integrity code."""
_NTLM_VERSION = bytes((10, 0)) + struct.pack("<H", 19041) + bytes((0, 0, 0, 15))


class Session:
    """Numbers the messages of one connection and wraps them for TCP."""

    def __init__(self, rng: random.Random) -> None:
        """Draw the session's number."""
        self._rng = rng
        self._message = -1
        self._session = rng.getrandbits(40) | 1
        self._tree = 0

    def request(self, command: int, body: bytes) -> bytes:
        """Wrap the body of the next request."""
        self._message += 1
        return self._wrap(command, 0, SUCCESS, body)

    def response(self, command: int, body: bytes, status: int = SUCCESS) -> bytes:
        """Wrap the body of the answer to the last request; errors have a body of their own."""
        if command == TREE_CONNECT and status == SUCCESS:
            self._tree += 1
        is_error = status not in (SUCCESS, MORE_PROCESSING)
        return self._wrap(command, 1, status, struct.pack("<HBBIB", 9, 0, 0, 0, 0) if is_error else body)

    def _wrap(self, command: int, flags: int, status: int, body: bytes) -> bytes:
        session = (
            0
            if command == NEGOTIATE or (command == SESSION_SETUP and not flags and self._message < 2)
            else self._session
        )
        tree = self._tree if command > TREE_CONNECT or (command == TREE_CONNECT and flags) else 0
        start = struct.pack("<4sHHIHHII", b"\xfeSMB", HEADER_BYTES, 1, status, command, 31, flags, 0)
        header = start + struct.pack("<QIIQ", self._message, 0xFEFF, tree, session) + bytes(16)
        return struct.pack("!I", HEADER_BYTES + len(body)) + header + body


def filetime(seconds: float) -> int:
    """Convert seconds since the Unix epoch to a FILETIME (MS-DTYP 2.3.3)."""
    return int(seconds * 10_000_000) + _UNIX_TO_FILETIME


def negotiate_request(rng: random.Random) -> bytes:
    """Offer the dialects 2.0.2 to 3.0.2 (MS-SMB2 2.2.3)."""
    dialects = (0x0202, 0x0210, 0x0300, _DIALECT)
    head = struct.pack("<HHHHI", 36, len(dialects), 1, 0, 0x7F) + rng.randbytes(16) + bytes(8)
    return head + struct.pack("<4H", *dialects)


def negotiate_response(rng: random.Random, now_s: float) -> bytes:
    """Choose dialect 3.0.2 and offer NTLM (MS-SMB2 2.2.4)."""
    token = _init_token(der.sequence(der.tagged(0, der.sequence(der.oid(_NTLMSSP)))))
    head = struct.pack("<HHHH", 65, 1, _DIALECT, 0) + rng.randbytes(16) + struct.pack("<I", 0x7F)
    sizes = struct.pack("<III", 0x800000, 0x800000, 0x800000) + struct.pack("<QQ", filetime(now_s), 0)
    return head + sizes + struct.pack("<HHI", HEADER_BYTES + 64, len(token), 0) + token


def _init_token(token: bytes) -> bytes:
    return der.application(0, der.oid(_SPNEGO), der.tagged(0, token))


def _octets(data: bytes) -> bytes:
    return der.value(der.OCTET_STRING, data)


def session_setup_request(token: bytes) -> bytes:
    """Log on with a token (MS-SMB2 2.2.5)."""
    return struct.pack("<HBBIIHHQ", 25, 0, 1, 1, 0, HEADER_BYTES + 24, len(token), 0) + token


def session_setup_response(token: bytes) -> bytes:
    """Answer a logon with a token (MS-SMB2 2.2.6)."""
    return struct.pack("<HHHH", 9, 0, HEADER_BYTES + 8, len(token)) + token


def ntlm_negotiate() -> bytes:
    """Begin an NTLM logon (MS-NLMP 2.2.1.1)."""
    message = b"NTLMSSP\x00" + struct.pack("<II", 1, _NTLM_FLAGS) + bytes(16) + _NTLM_VERSION
    kinds = der.tagged(0, der.sequence(der.oid(_NTLMSSP)))
    return _init_token(der.sequence(kinds, der.tagged(2, _octets(message))))


def _target_info(domain: str, server: str) -> bytes:
    """List the names of a domain and a server (MS-NLMP 2.2.2.1)."""
    texts = ((2, domain.encode("utf-16-le")), (1, server.encode("utf-16-le")), (0, b""))
    return b"".join(struct.pack("<HH", kind, len(text)) + text for kind, text in texts)


def _proof(rng: random.Random, domain: str, server: str, now_s: float) -> bytes:
    """Answer a challenge as NTLM version 2 (MS-NLMP 2.2.2.8), with a random hash."""
    head = rng.randbytes(16) + b"\x01\x01" + bytes(6) + struct.pack("<Q", filetime(now_s)) + rng.randbytes(8) + bytes(4)
    return head + _target_info(domain, server) + bytes(4)


def ntlm_challenge(rng: random.Random, domain: str, server: str) -> bytes:
    """Challenge the client (MS-NLMP 2.2.1.2)."""
    target = domain.encode("utf-16-le")
    info = _target_info(domain, server)
    names = struct.pack("<HHI", len(target), len(target), 56)
    head = b"NTLMSSP\x00" + struct.pack("<I", 2) + names + struct.pack("<I", _NTLM_FLAGS) + rng.randbytes(8) + bytes(8)
    message = head + struct.pack("<HHI", len(info), len(info), 56 + len(target)) + _NTLM_VERSION + target + info
    state = der.tagged(0, der.value(der.ENUMERATED, b"\x01"))
    return der.tagged(1, der.sequence(state, der.tagged(1, der.oid(_NTLMSSP)), der.tagged(2, _octets(message))))


def ntlm_authenticate(rng: random.Random, domain: str, user: str, workstation: str, server: str, now_s: float) -> bytes:
    """Prove the password (MS-NLMP 2.2.1.3): two responses, three names and a session key, placed one after another."""
    names = (text.encode("utf-16-le") for text in (domain, user, workstation))
    values = (bytes(24), _proof(rng, domain, server, now_s), *names, rng.randbytes(16))
    fields, data = b"", b""
    for value in values:
        fields += struct.pack("<HHI", len(value), len(value), _AUTHENTICATE_BYTES + len(data))
        data += value
    head = b"NTLMSSP\x00" + struct.pack("<I", 3) + fields + struct.pack("<I", _NTLM_FLAGS) + _NTLM_VERSION
    return der.tagged(1, der.sequence(der.tagged(2, _octets(head + rng.randbytes(16) + data))))


def accepted() -> bytes:
    """Tell that a logon is complete (RFC 4178, 4.2.2)."""
    return der.tagged(1, der.sequence(der.tagged(0, der.value(der.ENUMERATED, b"\x00"))))


def tree_connect_request(path: str) -> bytes:
    r"""Connect to a share such as \\server\share (MS-SMB2 2.2.9)."""
    text = path.encode("utf-16-le")
    return struct.pack("<HHHH", 9, 0, HEADER_BYTES + 8, len(text)) + text


def tree_connect_response(kind: int) -> bytes:
    """Give access to a disk or the named pipes (MS-SMB2 2.2.10)."""
    return struct.pack("<HBBIII", 16, kind, 0, 0, 0, 0x1F01FF)


def create_request(name: str) -> bytes:
    """Open or create a file or pipe (MS-SMB2 2.2.13)."""
    text = name.encode("utf-16-le")
    head = struct.pack("<HBBIQQ", 57, 0, 0, 2, 0, 0) + struct.pack("<IIIII", 0x12019F, 0x80, 7, 3, 0x40)
    return head + struct.pack("<HHII", HEADER_BYTES + 56, len(text), 0, 0) + (text or b"\x00")


def create_response(now_s: float, size: int, handle: bytes) -> bytes:
    """Give a handle to an open file (MS-SMB2 2.2.14)."""
    times = struct.pack("<QQQQ", *[filetime(now_s - 86_400)] * 4)
    return struct.pack("<HBBI", 89, 0, 0, 1) + times + struct.pack("<QQII", size, size, 0x80, 0) + handle + bytes(8)


def read_request(handle: bytes, offset: int, size: int) -> bytes:
    """Read from a file (MS-SMB2 2.2.19)."""
    return struct.pack("<HBBIQ", 49, 0x50, 0, size, offset) + handle + struct.pack("<IIIHHB", 1, 0, 0, 0, 0, 0)


def read_response(data: bytes) -> bytes:
    """Give what was read (MS-SMB2 2.2.20)."""
    return struct.pack("<HBBIII", 17, HEADER_BYTES + 16, 0, len(data), 0, 0) + data


def write_request(handle: bytes, offset: int, data: bytes) -> bytes:
    """Write to a file or pipe (MS-SMB2 2.2.21)."""
    return (
        struct.pack("<HHIQ", 49, HEADER_BYTES + 48, len(data), offset)
        + handle
        + struct.pack("<IIHHI", 0, 0, 0, 0, 0)
        + data
    )


def write_response(size: int) -> bytes:
    """Tell how much was written (MS-SMB2 2.2.22)."""
    return struct.pack("<HHIIHH", 17, 0, size, 0, 0, 0)


def close_request(handle: bytes) -> bytes:
    """Close a file (MS-SMB2 2.2.15)."""
    return struct.pack("<HHI", 24, 0, 0) + handle


def close_response() -> bytes:
    """Tell that a file is closed (MS-SMB2 2.2.16)."""
    return struct.pack("<HHI", 60, 0, 0) + bytes(52)


def logoff() -> bytes:
    """End a session, or tell that it ended (MS-SMB2 2.2.7, 2.2.8)."""
    return struct.pack("<HH", 4, 0)
