"""Community ID: a flow's name that every tool computes alike (Community ID specification, version 1)."""

from __future__ import annotations

import base64
import hashlib

COUNTERPARTS = {
    "icmp": {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 17: 18, 18: 17, 10: 9, 9: 10},
    "icmp6": {128: 129, 129: 128, 133: 134, 134: 133, 135: 136, 136: 135, 130: 131, 131: 130, 144: 145, 145: 144},
}
"""Message types that answer each other and so form one flow of two directions."""


def community_id(orig: bytes, resp: bytes, protocol: int, orig_port: int, resp_port: int, one_way: bool = False) -> str:
    """Hash packed addresses, protocol and ports with seed 0; the lower end comes first unless one-way."""
    ends = [(orig, orig_port), (resp, resp_port)]
    if not one_way:
        ends.sort()
    (low, low_port), (high, high_port) = ends
    ports = low_port.to_bytes(2, "big") + high_port.to_bytes(2, "big")
    digest = hashlib.sha1(b"\x00\x00" + low + high + bytes((protocol, 0)) + ports, usedforsecurity=False).digest()
    return "1:" + base64.b64encode(digest).decode()
