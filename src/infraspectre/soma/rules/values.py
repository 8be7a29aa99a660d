"""What a field is compared with: numbers, texts and networks, as literals or as named lists."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal, NamedTuple

import polars as pl

from infraspectre.records.address import parse_address
from infraspectre.soma.rules.tokens import RuleError

CACHED = 65_536
"""Addresses of which each list of networks remembers whether it holds them."""

Scalar = str | int | float
Network = IPv4Network | IPv6Network
ValueKind = Literal["text", "number", "network"]


class Values(NamedTuple):
    """Holds values of one kind."""

    kind: ValueKind
    items: tuple[Scalar | Network, ...]

    def hold(self, field: pl.Expr) -> pl.Expr:
        """Tell whether a field's value is one of these."""
        if self.kind == "text":
            return field.is_in(list(self.items))
        if self.kind == "number":
            return field.cast(pl.Float64).is_in([float(str(item)) for item in self.items])
        holds = _membership([item for item in self.items if isinstance(item, IPv4Network | IPv6Network)])
        return field.map_batches(holds, return_dtype=pl.Boolean)


def network(text: str) -> Network:
    """Read an address or a network in CIDR notation; raises RuleError if it is none."""
    try:
        return ip_network(text)
    except ValueError as error:
        raise RuleError(
            f"{text!r} is no network: {error}", "write an address, or a network such as 10.0.0.0/8"
        ) from error


def named_list(items: Sequence[Scalar]) -> Values:
    """Tell what the values of a list are: numbers, networks if each text is one, else texts."""
    if not items:
        raise RuleError("is empty", "list at least one value")
    if all(isinstance(item, int | float) and not isinstance(item, bool) for item in items):
        return Values("number", tuple(items))
    if not all(isinstance(item, str) for item in items):
        raise RuleError("mixes texts and other values", "put quotation marks around the texts")
    try:
        return Values("network", tuple(ip_network(str(item)) for item in items))
    except ValueError:
        return Values("text", tuple(items))


class _membership:  # noqa: N801 - is called like a function, which it stands for
    """Tells of the addresses in a column whether some networks hold them; what is no address is in none."""

    def __init__(self, networks: Sequence[Network]) -> None:
        """Index the networks by their length, so that a long list costs no more than its different lengths."""
        self._known = {(each.version, each.prefixlen, int(each.network_address)) for each in networks}
        self._lengths = {version: {length for v, length, _ in self._known if v == version} for version in (4, 6)}
        self._holds = lru_cache(CACHED)(self._look_up)

    def __call__(self, addresses: pl.Series) -> pl.Series:
        """Tell it for each address of a column; null stays null."""
        distinct = addresses.drop_nulls().unique()
        answers = [self._holds(text) for text in distinct]
        return addresses.replace_strict(distinct, answers, default=None, return_dtype=pl.Boolean)

    def _look_up(self, text: str) -> bool:
        address = parse_address(text)
        if address is None:
            return False
        bits, number = address.max_prefixlen, int(address)
        return any(
            (address.version, length, number >> (bits - length) << (bits - length)) in self._known
            for length in self._lengths[address.version]
        )
