"""Assets: what the owner of the network knows about its addresses; what is not listed stays unknown."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Any

import msgspec

from infraspectre.records import Asset
from infraspectre.records.address import parse_address

CSV_COLUMNS = {"network", "name", "owner", "criticality", "roles"}


class Assets:
    """Finds the most specific asset of an address."""

    def __init__(self, assets: list[Asset] | None = None) -> None:
        """Index assets by network."""
        self._by_network: dict[tuple[int, int, int], Asset] = {}
        for asset in assets or []:
            network = ip_network(asset.network, strict=False)
            self._by_network[_key(network.network_address, network.prefixlen)] = asset
        self._prefixes = sorted({(version, length) for version, length, _ in self._by_network}, reverse=True)

    def __len__(self) -> int:
        return len(self._by_network)

    def find(self, address: str) -> Asset | None:
        """Return the asset with the longest prefix around an address, or None if it is unknown."""
        ip = parse_address(address)
        if ip is None:
            return None
        keys = (_key(ip, length) for version, length in self._prefixes if version == ip.version)
        return next((self._by_network[key] for key in keys if key in self._by_network), None)


def _key(address: IPv4Address | IPv6Address, length: int) -> tuple[int, int, int]:
    """Identify the network of a length around an address."""
    return address.version, length, int(address) >> (address.max_prefixlen - length)


def read_rows(text: str) -> Iterator[tuple[int, Asset | str]]:
    """Yield the line and the asset of each row of a CSV table, or what is wrong with it."""
    try:
        yield from _read_rows(csv.DictReader(text.splitlines()))
    except csv.Error as error:
        yield 1, f"cannot be read as a table: {error}"


def _read_rows(rows: csv.DictReader[str]) -> Iterator[tuple[int, Asset | str]]:
    columns = set(rows.fieldnames or ())
    if "network" not in columns or columns - CSV_COLUMNS:
        remedy = f"the columns are {', '.join(sorted(CSV_COLUMNS))}; only network is needed"
        yield 1, f"has the columns {', '.join(sorted(columns))}; {remedy}"
        return
    for row in rows:
        yield rows.line_num, _asset_of_row(row)


def _asset_of_row(row: dict[str, Any]) -> Asset | str:
    told: dict[str, Any] = {key: value for key, value in row.items() if value}
    if "roles" in told:
        told["roles"] = [role.strip() for role in told["roles"].replace(";", " ").split() if role.strip()]
    try:
        return msgspec.convert(told, Asset)
    except (msgspec.ValidationError, TypeError) as error:
        return str(error)
