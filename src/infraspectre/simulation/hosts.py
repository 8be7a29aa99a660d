"""Hosts: who takes part in a simulated network, and how their packets look at the capture point."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import cached_property


@dataclass(frozen=True)
class System:
    """Describes the traits of an operating system's packets."""

    name: str
    ttl: int
    window: int
    """Window of the SYN, in bytes."""
    window_scale: int
    options: bytes
    """TCP options of a SYN after the maximum segment size, up to the window scale's value."""


WINDOWS = System("windows", 128, 64240, 8, b"\x01\x03\x03\x08\x01\x01\x04\x02")
LINUX = System("linux", 64, 64240, 7, b"\x01\x01\x04\x02\x01\x03\x03\x07")
MACOS = System("macos", 64, 65535, 6, b"\x01\x03\x03\x06\x04\x02\x00\x00")
EMBEDDED = System("embedded", 64, 29200, 3, b"\x01\x03\x03\x03")
SCANNER = System("scanner", 64, 1024, 0, b"")
"""A port scanner's raw packets: a small window and no options but the segment size."""


@dataclass(frozen=True)
class Host:
    """Holds one host's name, addresses, role and distance."""

    name: str
    ip: str
    mac: bytes
    role: str
    system: System = LINUX
    delay_s: float = 0.0003
    """Round trip between the capture point and this host, in seconds."""
    hops: int = 0
    """Routers between this host and the capture point; each takes one from the TTL."""

    @cached_property
    def address(self) -> bytes:
        """Return the address as 4 or 16 bytes."""
        return ipaddress.ip_address(self.ip).packed

    @property
    def ttl(self) -> int:
        """Return the TTL or hop limit seen at the capture point."""
        return self.system.ttl - self.hops
