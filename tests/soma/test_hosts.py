"""Where hosts are, said by patterns over columns, agrees with the networks that define it."""

from __future__ import annotations

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.records.address import INSIDE, is_inside
from infraspectre.soma import hosts

EDGES = [str(address) for network in INSIDE for address in (network[0], network[-1])]
BEYOND = [str(network[0] - 1) for network in INSIDE] + [str(network[-1] + 1) for network in INSIDE[:-2]]


def inside(addresses: list[str]) -> list[bool]:
    return pl.DataFrame({"ip": addresses}).select(hosts.is_inside("ip")).to_series().to_list()


def test_patterns_agree_with_the_networks_at_their_edges() -> None:
    addresses = [*EDGES, *BEYOND, "nonsense", ""]
    assert inside(addresses) == [is_inside(address) for address in addresses]


@given(st.lists(st.ip_addresses().map(str), min_size=1))
def test_patterns_agree_with_the_networks_anywhere(addresses: list[str]) -> None:
    assert inside(addresses) == [is_inside(address) for address in addresses]
