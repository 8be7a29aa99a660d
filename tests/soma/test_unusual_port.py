"""Protocols out of place are found; usual ports, upgrades, site services and peer-to-peer are not."""

from __future__ import annotations

from flow_rows import flow, frame
from infraspectre.soma.unusual_port import UnusualPort
from soma_runs import found_in

OUTSIDE = "203.0.113.9"


def test_ssh_on_the_web_port_is_found() -> None:
    found = found_in(UnusualPort, frame([flow(resp_ip=OUTSIDE, app_protocol="ssh", resp_port=443)]))
    assert [(each.category, each.severity, each.resp) for each in found] == [("rare_protocol_port", "medium", OUTSIDE)]
    assert "SSH" in found[0].evidence.summary
    assert "TLS" in found[0].evidence.summary


def test_an_odd_web_port_of_one_host_is_of_low_severity() -> None:
    found = found_in(UnusualPort, frame([flow(resp_ip=OUTSIDE, app_protocol="http", resp_port=4_444)]))
    assert [each.severity for each in found] == ["low"]


def test_an_unknown_protocol_on_a_web_port_counts_only_where_protocols_are_known() -> None:
    odd = [flow(n, resp_ip=OUTSIDE, resp_port=443) for n in range(5)]
    assert found_in(UnusualPort, frame(odd)) == []
    assert len(found_in(UnusualPort, frame([flow(app_protocol="tls"), *odd]))) == 1


def test_ordinary_traffic_is_quiet() -> None:
    usual = [
        flow(app_protocol="ssh", resp_port=22),
        flow(app_protocol="tls", resp_port=993),
        flow(app_protocol="tls", resp_port=25),
    ]
    service = [flow(n, orig_ip=f"10.0.0.{n}", resp_ip=OUTSIDE, app_protocol="http", resp_port=7_777) for n in range(9)]
    peers = [flow(n, resp_ip=f"198.51.100.{n}", app_protocol="tls", resp_port=20_000 + n) for n in range(99)]
    assert found_in(UnusualPort, frame(usual + service + peers)) == []
