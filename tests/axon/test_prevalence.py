"""How widely a site uses domains and software is counted over hosts, causally and whatever the size of batches."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from flow_rows import SCHEMA, flow, frame
from infraspectre.axon import Axon
from infraspectre.axon.prevalence import PREVALENCE
from infraspectre.records import FlowBatch


def context(rows: list[dict[str, Any]], size: int = 1_000) -> pl.DataFrame:
    axon = Axon()
    return pl.concat([axon.extract(FlowBatch(part)).frame for part in frame(rows).iter_slices(size)])


def rows() -> list[dict[str, Any]]:
    return [
        flow(
            10 * n,
            orig_ip=f"10.0.0.{n % 4}",
            resp_ip=f"192.0.2.{n}",
            tls_server_name=f"host{n}.{'shop' if n % 3 else 'news'}.example",
            tls_ja4=f"software{n % 2}",
        )
        for n in range(40)
    ]


def test_domains_are_counted_whatever_the_host_name_and_address() -> None:
    assert context(rows())["domain_orig_hosts"].to_list()[:6] == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert context(rows())["domain_orig_hosts"].max() == 4.0


def test_software_is_counted_by_hosts_and_by_what_it_is_used_for() -> None:
    last = context(rows()).row(-1, named=True)
    assert (last["software_orig_hosts"], last["software_domains"]) == (2.0, 2.0)


def test_a_host_has_an_age_and_a_number_of_destinations() -> None:
    last = context(rows()).row(-1, named=True)
    assert (last["orig_host_age_s"], last["orig_host_resp_hosts"]) == (360.0, 10.0)


def test_looking_up_a_name_is_not_calling_it() -> None:
    asked = flow(0, orig_ip="10.0.0.9", resp_port=53, protocol="udp", dns_queries=["www.shop.example"])
    called = flow(1, http_hosts=["www.shop.example:8080"], http_user_agents=["curl/8"])
    assert context([asked, called])["domain_orig_hosts"].to_list() == [1.0, 1.0]


def test_addresses_and_missing_columns_name_nothing() -> None:
    found = context([flow(0, http_hosts=["203.0.113.9:8080"]), flow(1)])
    assert found["domain_orig_hosts"].is_null().all()
    bare = frame([flow()]).select(name for name in SCHEMA if not name.startswith(("tls", "http", "dns", "ssh")))
    assert len(Axon().extract(FlowBatch(bare))) == 1


@pytest.mark.parametrize("size", [1, 7])
def test_batch_boundaries_do_not_matter(size: int) -> None:
    names = [feature.name for feature in PREVALENCE]
    assert context(rows(), size).select(names).equals(context(rows()).select(names))
