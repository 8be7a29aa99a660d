"""What must not be acted against: blocking it would do more harm than most attackers."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from ipaddress import ip_network

import msgspec

from infraspectre.records.address import is_inside, parse_address


class Guard(msgspec.Struct, frozen=True):
    """Knows the addresses that are protected, and why."""

    protected: Sequence[str] = ()
    """Addresses and networks that the settings name."""
    assets: Collection[str] = ()
    """Addresses of known assets."""
    servers: Mapping[str, str] = {}
    """Addresses that the site relies on, such as resolvers, with what they do."""

    def refusal(self, target: str) -> str | None:
        """Return why an address is not acted against, or None if it may be."""
        address = parse_address(target)
        if address is None or "%" in target:
            return "is no address"
        address = getattr(address, "ipv4_mapped", None) or address  # lists may be read by what takes both for one
        target = str(address)
        if address.is_multicast or address.is_unspecified or address.is_loopback or target == "255.255.255.255":
            return "is no address of a single remote host"
        if is_inside(target):
            return "belongs to the own network"
        if target in self.assets:
            return "is a known asset"
        if target in self.servers:
            return self.servers[target]
        networks = (ip_network(each, strict=False) for each in self.protected)
        return "is protected by the settings" if any(address in each for each in networks) else None

    def can_be_forced(self, target: str) -> bool:
        """Tell whether a person may insist: on any address of a single host."""
        address = parse_address(target)
        return not (
            address is None or "%" in target or address.is_multicast or address.is_unspecified or address.is_loopback
        )
