"""Assets: what the owner of the network knows about its addresses; what is not listed stays unknown."""

from __future__ import annotations

import csv
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Any

import msgspec

from infraspectre.errors import InputError
from infraspectre.intel.documents import read_text, read_yaml
from infraspectre.records import Asset
from infraspectre.records.address import parse_address

CSV_COLUMNS = {"network", "name", "owner", "criticality"}


class AssetFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describes the YAML form of an asset list."""

    assets: list[Asset]


class Assets:
    """Finds the most specific asset of an address."""

    def __init__(self, assets: list[Asset] | None = None) -> None:
        """Index assets by network."""
        self._by_network: dict[IPv4Network | IPv6Network, Asset] = {}
        for asset in assets or []:
            self._by_network[ip_network(asset.network, strict=False)] = asset
        self._prefixes = sorted({(net.version, net.prefixlen) for net in self._by_network}, reverse=True)

    def __len__(self) -> int:
        return len(self._by_network)

    def find(self, address: str) -> Asset | None:
        """Return the asset with the longest prefix around an address, or None if it is unknown."""
        ip = parse_address(address)
        if ip is None:
            return None
        candidates = (
            ip_network((ip, length), strict=False) for version, length in self._prefixes if version == ip.version
        )
        return next((self._by_network[network] for network in candidates if network in self._by_network), None)


def load_assets(path: Path) -> Assets:
    """Read an asset list from CSV or YAML; raises InputError naming file, line and field."""
    read = _read_csv if path.suffix.lower() == ".csv" else _read_yaml
    return Assets(read(path))


def _read_yaml(path: Path) -> list[Asset]:
    return read_yaml(path, AssetFile).assets


def _read_csv(path: Path) -> list[Asset]:
    rows = csv.DictReader(read_text(path).splitlines())
    columns = set(rows.fieldnames or ())
    if "network" not in columns or columns - CSV_COLUMNS:
        remedy = f"the columns are {', '.join(sorted(CSV_COLUMNS))}; only network is needed"
        raise InputError(f"has the columns {', '.join(sorted(columns))}", path=path, line=1, remedy=remedy)
    return [_asset_of_row(row, path, rows.line_num) for row in rows]


def _asset_of_row(row: dict[str, Any], path: Path, line: int) -> Asset:
    try:
        return msgspec.convert({key: value for key, value in row.items() if value}, Asset)
    except (msgspec.ValidationError, TypeError) as error:
        raise InputError(str(error), path=path, line=line) from error
