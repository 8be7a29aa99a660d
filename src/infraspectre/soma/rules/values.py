"""What a field is compared with: numbers, texts and networks, as literals or as named lists."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Literal, NamedTuple

import polars as pl

from infraspectre.records.address import parse_address
from infraspectre.soma.rules.tokens import RuleError

CACHED = 65_536
"""Addresses whose numbers are remembered."""

Scalar = str | int | float
Network = IPv4Network | IPv6Network
ValueKind = Literal["text", "number", "network"]


class Values(NamedTuple):
    """Holds values of one kind."""

    kind: ValueKind
    items: tuple[Scalar | Network, ...]

    def hold(self, field: pl.Expr) -> pl.Expr:
        """Tell whether a field's value is one of these; of networks, whether they hold the address as a number."""
        if self.kind == "text":
            return field.is_in(list(self.items))
        if self.kind == "number":
            return field.cast(pl.Float64).is_in([float(str(item)) for item in self.items])
        ranges = [_range(item) for item in self.items if isinstance(item, IPv4Network | IPv6Network)]
        first, last = (pl.lit(pl.Series(sorted(ends), dtype=pl.UInt128)) for ends in zip(*merged(ranges), strict=True))
        # An address is in one of the ranges, which do not overlap, if more of them have begun than have ended.
        begun, ended = first.search_sorted(field, side="right"), last.search_sorted(field, side="left")
        return pl.when(field.is_not_null()).then(begun > ended)


def _range(item: Network) -> tuple[int, int]:
    return number_of(item.network_address), number_of(item.broadcast_address)


def merged(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join ranges that overlap."""
    joined: list[tuple[int, int]] = []
    for first, last in sorted(ranges):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def number_of(address: IPv4Address | IPv6Address) -> int:
    """Return an address as a number of 128 bits; one of IPv4 has its place among those of IPv6 (RFC 4291, 2.5.5.2)."""
    return int(address) | (0xFFFF << 32 if address.version == 4 else 0)


@lru_cache(CACHED)
def _number(text: str | None) -> int | None:
    address = None if text is None else parse_address(text)
    return None if address is None else number_of(address)


def numbers(addresses: pl.Series) -> pl.Series:
    """Return addresses as numbers; null for what is none."""
    return pl.Series(addresses.name, [_number(text) for text in addresses], dtype=pl.UInt128)


def number_column(name: str) -> str:
    """Name the column that holds the addresses of another as numbers."""
    return f"number of {name}"


def with_numbers(frame: pl.DataFrame, names: Iterable[str]) -> pl.DataFrame:
    """Add to a frame the addresses in some columns as numbers, so that all conditions share the work."""
    return frame.with_columns(numbers(frame[name]).alias(number_column(name)) for name in sorted(names))


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
