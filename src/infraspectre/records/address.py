"""Addresses: what a text writes, and whether it lies inside the own network."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

INSIDE = tuple(
    ip_network(text)
    for text in (
        "10.0.0.0/8",  # RFC 1918
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",  # RFC 6598
        "169.254.0.0/16",  # RFC 3927
        "127.0.0.0/8",  # RFC 1122
        "fc00::/7",  # RFC 4193
        "fe80::/10",  # RFC 4291
        "::1/128",
    )
)
"""Networks that are not routed in the internet, and so belong to the site."""


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the address that a text writes, or None if it writes none."""
    try:
        return ip_address(text)
    except ValueError:
        return None


@lru_cache(maxsize=65_536)
def is_inside(text: str) -> bool:
    """Tell whether an address belongs to the site; what is no address does not."""
    address = parse_address(text)
    return address is not None and any(address in network for network in INSIDE if network.version == address.version)
