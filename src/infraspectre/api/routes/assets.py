"""Assets: what people know about addresses and networks of their tenant."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_network
from typing import Annotated, Any

import msgspec
from litestar import Response, delete, get, patch, post
from litestar.params import JSONBody
from msgspec import Meta
from msgspec.structs import asdict

from infraspectre.analytics.hosts import asset_in
from infraspectre.api.etags import tagged
from infraspectre.api.given import GivenPlatform, GivenPrincipal, GivenQuestion, GivenRevision, InPath
from infraspectre.api.pages import PageOf, asked
from infraspectre.api.problems import Flaw, RefusedError
from infraspectre.ports import RecordStore, Stored
from infraspectre.records import Asset
from infraspectre.records.collections import ASSETS
from infraspectre.records.detection import Severity
from infraspectre.records.queries import MOST_ALTERNATIVES, Filter, Query
from infraspectre.serving.platform import Platform

PATH = "/api/v1/assets"
ONE = PATH + "/{asset_id:str}"
MOST_ASSETS = 20_000
"""Assets of one tenant."""
MOST_ROLES = 20
MOST_ROLE = 64
Text = Annotated[str, Meta(max_length=200)]
Note = Annotated[str, Meta(max_length=2_000)]
Roles = Annotated[list[str], Meta(max_length=MOST_ROLES, description="Such as dns-server, printer or backup.")]


class AssetFacts(msgspec.Struct, frozen=True, kw_only=True):
    """Is what somebody knows about an address or network; what is empty is unknown."""

    asset_id: str
    network: str
    """An address, or a network in CIDR notation."""
    name: str
    criticality: Severity | None
    roles: list[str]
    owner: str
    note: str


class NewAsset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Is an asset to be added; of several around an address, the one of the smallest network counts."""

    network: Annotated[str, Meta(min_length=2, max_length=64)]
    name: Text = ""
    criticality: Severity | None = None
    roles: Roles = []
    owner: Text = ""
    note: Note = ""


class AssetChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Says what shall be otherwise; what is left out stays."""

    name: Text | msgspec.UnsetType = msgspec.UNSET
    criticality: Severity | msgspec.UnsetType | None = msgspec.UNSET
    roles: Roles | msgspec.UnsetType = msgspec.UNSET
    owner: Text | msgspec.UnsetType = msgspec.UNSET
    note: Note | msgspec.UnsetType = msgspec.UNSET


def shown(stored: Stored) -> AssetFacts:
    """Return an asset as it is shown."""
    kept = msgspec.json.decode(stored.body)
    defaults: dict[str, Any] = {"name": "", "criticality": None, "roles": [], "owner": "", "note": ""}
    return msgspec.convert(defaults | kept | {"asset_id": stored.key}, AssetFacts)


def network_of(text: str) -> str:
    """Return a network as it is kept, an address without its length; raises RefusedError."""
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError as error:
        remedy = "write an address, or a network such as 10.0.0.0/8"
        raise RefusedError("not-valid", "network: is none", [Flaw("is no network", "network", 0, remedy)]) from error
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def asset_id_of(network: str) -> str:
    """Return the identity of the asset of a network, of which there is one; it stands in paths."""
    return network.replace("/", "_")


def check_roles(roles: Iterable[str]) -> None:
    """Raise RefusedError for roles that are too long, which the framework cannot describe."""
    if any(not 0 < len(each) <= MOST_ROLE for each in roles):
        raise RefusedError("not-valid", f"roles: each has 1 to {MOST_ROLE} signs", [Flaw("is no role", "roles")])


def found(platform: Platform, tenant: str, asset_id: str) -> Stored:
    """Return the record of an asset; raises RefusedError where the tenant has none."""
    stored = platform.records.get(tenant, ASSETS, asset_id)
    if stored is None:
        raise RefusedError("not-found", "there is no such asset")
    return stored


def asset_of(records: RecordStore, tenant: str, address: IPv4Address | IPv6Address) -> Asset | None:
    """Return what somebody said about an address: of the networks around it, about the smallest."""
    around = [network_of(f"{address}/{length}") for length in range(address.max_prefixlen, -1, -1)]
    for first in range(0, len(around), MOST_ALTERNATIVES):
        networks = tuple(around[first : first + MOST_ALTERNATIVES])
        page = records.page(tenant, ASSETS, Query((Filter("network", "=", networks),), limit=MOST_ALTERNATIVES))
        if page.rows:
            return min((asset_in(row) for row in page.rows), key=lambda asset: around.index(asset.network))
    return None


@get(
    PATH,
    opt={"permission": "read"},
    dependencies={"question": asked(ASSETS.fields, AssetFacts.__struct_fields__)},
    sync_to_thread=True,
)
def list_assets(platform: GivenPlatform, principal: GivenPrincipal, question: GivenQuestion) -> PageOf[AssetFacts]:
    """List what is known about addresses and networks, beside the site file."""
    page = platform.records.page(principal.tenant, ASSETS, question.query)
    answer: PageOf[AssetFacts] = question.page((asdict(shown(row)) for row in page.rows), page.next)
    return answer


@get(ONE, opt={"permission": "read"}, sync_to_thread=True)
def show_asset(platform: GivenPlatform, principal: GivenPrincipal, asset_id: InPath) -> Response[AssetFacts]:
    """Show what is known about an address or network."""
    stored = found(platform, principal.tenant, asset_id)
    return tagged(shown(stored), stored)


@post(PATH, opt={"permission": "engineer"}, sync_to_thread=True)
def add_asset(platform: GivenPlatform, principal: GivenPrincipal, data: JSONBody[NewAsset]) -> Response[AssetFacts]:
    """Say what an address or network is; there is one asset for each."""
    network = network_of(data.network)
    check_roles(data.roles)
    if platform.records.count(principal.tenant, ASSETS, Query(), MOST_ASSETS) >= MOST_ASSETS:
        raise RefusedError("not-valid", f"a tenant has at most {MOST_ASSETS:,} assets")
    record = msgspec.to_builtins(data) | {"network": network}
    stored = platform.records.put(principal.tenant, ASSETS, asset_id_of(network), record, 0)
    return tagged(shown(stored), stored, 201, {"location": f"{PATH}/{stored.key}"})


@patch(ONE, opt={"permission": "engineer"}, sync_to_thread=True)
def change_asset(
    platform: GivenPlatform,
    principal: GivenPrincipal,
    asset_id: InPath,
    data: JSONBody[AssetChange],
    expected: GivenRevision,
) -> Response[AssetFacts]:
    """Change what is known about an address or network."""
    before = found(platform, principal.tenant, asset_id)
    changes = {name: value for name, value in asdict(data).items() if value is not msgspec.UNSET}
    check_roles(changes.get("roles", ()))
    record = msgspec.json.decode(before.body) | changes
    stored = platform.records.put(principal.tenant, ASSETS, asset_id, record, expected)
    return tagged(shown(stored), stored)


@delete(ONE, opt={"permission": "engineer"}, sync_to_thread=True)
def remove_asset(platform: GivenPlatform, principal: GivenPrincipal, asset_id: InPath) -> None:
    """Forget what is known about an address or network."""
    if not platform.records.delete(principal.tenant, ASSETS, asset_id):
        raise RefusedError("not-found", "there is no such asset")


HANDLERS = [list_assets, show_asset, add_asset, change_asset, remove_asset]
