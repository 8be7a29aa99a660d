"""DHCP servers that appear beside known ones are found; pairs that share their work, and the first one, are not."""

from __future__ import annotations

from typing import Any

from flow_rows import flow, frame
from infraspectre.soma.rogue_dhcp import RogueDhcp
from soma_runs import found_in

SERVER, ROGUE = "10.0.0.1", "10.0.0.66"


def lease(at_s: float, server: str, client: int) -> dict[str, Any]:
    return flow(
        at_s, orig_ip=server, orig_port=67, resp_ip="255.255.255.255", resp_port=68, protocol="udp",
        app_protocol="dhcp", dhcp_message_types=["OFFER", "ACK"], dhcp_server=server,
        dhcp_client_mac=f"02:00:00:00:00:{client:02x}",
        dhcp_address=f"10.0.0.{100 + client}",
    )  # fmt: skip


def test_a_server_that_appears_later_is_found() -> None:
    usual = [lease(600.0 * n, SERVER, n) for n in range(8)]
    found = found_in(RogueDhcp, frame([*usual, lease(4_900.0, ROGUE, 3)]))
    assert [(each.category, each.severity, each.orig) for each in found] == [("rogue_dhcp_server", "medium", ROGUE)]
    assert [each.id for each in found[0].techniques] == ["T1557.003"]


def test_a_server_that_took_a_lease_is_worse() -> None:
    usual = [lease(600.0 * n, SERVER, n) for n in range(8)]
    rows = [*usual, lease(4_900.0, "10.0.0.102", 3)]
    assert [each.score for each in found_in(RogueDhcp, frame(rows))] == [0.75]


def test_a_pair_and_a_relayed_client_are_quiet() -> None:
    pair = [lease(600.0 * n, (SERVER, ROGUE)[n % 2], n) for n in range(12)]
    assert found_in(RogueDhcp, frame(pair)) == []
    asked = flow(
        9_000.0, orig_ip="10.0.0.7", orig_port=68, resp_ip=SERVER, resp_port=67, protocol="udp", app_protocol="dhcp",
        dhcp_message_types=["REQUEST", "ACK"], dhcp_server=SERVER,
    )  # fmt: skip
    assert found_in(RogueDhcp, frame([*(lease(600.0 * n, SERVER, n) for n in range(8)), asked])) == []


def test_a_client_whose_lease_both_confirm_tells_at_once() -> None:
    usual = [lease(10.0 * n, SERVER, n) for n in range(8)]
    found = found_in(RogueDhcp, frame([*usual, lease(90.0, ROGUE, 3)]))
    assert [(each.orig, each.score) for each in found] == [(ROGUE, 0.6)]


def test_a_workstation_that_offers_leases_beside_a_server_tells_at_once() -> None:
    offers = [
        lease(100.0 + n, server, 3) | {"dhcp_message_types": ["OFFER"]} for n, server in enumerate((ROGUE, SERVER))
    ]
    read = [flow(n, orig_ip=ROGUE, resp_ip=f"192.0.2.{n}", resp_port=443) for n in range(10)]
    assert [(each.orig, each.score) for each in found_in(RogueDhcp, frame([*read, *offers]))] == [(ROGUE, 0.65)]
    assert found_in(RogueDhcp, frame(offers)) == []
