"""Ports that nobody of the site served before are found, once the site is known; usual services are not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from flow_rows import flow, frame
from infraspectre.records import Detection
from infraspectre.soma.new_service import NewService
from soma_runs import found_in

PORTS = (53, 80, 389, 443, 445)


def usual() -> Iterator[dict[str, Any]]:
    """Give three hours of clients and servers."""
    for n in range(300):
        yield flow(36.0 * n, orig_ip=f"10.0.0.{20 + n % 5}", resp_ip=f"10.0.0.{n % 3}", resp_port=PORTS[n % 5])


def after(*rows: dict[str, Any]) -> list[Detection]:
    return found_in(NewService, frame([*usual(), *rows]))


def test_a_workstation_that_serves_on_a_port_of_backdoors_is_found() -> None:
    found = after(flow(9_000.0, orig_ip="10.0.0.21", resp_ip="10.0.0.22", resp_port=4_444))
    assert [(each.category, each.severity, each.orig, each.resp) for each in found] == [
        ("new_service", "medium", "10.0.0.21", "10.0.0.22")
    ]


def test_a_new_port_alone_is_a_hint() -> None:
    server = flow(9_000.0, orig_ip="10.0.0.21", resp_ip="10.0.0.1", resp_port=9_090, app_protocol="http")
    workstation = flow(9_000.0, orig_ip="10.0.0.21", resp_ip="10.0.0.22", resp_port=9_090, app_protocol="http")
    assert [each.severity for each in after(server)] == ["informational"]
    assert [each.severity for each in after(workstation)] == ["low"]


CALLED = [flow(8_000.0, orig_ip="10.0.0.33", resp_ip="10.0.0.1", resp_port=80)]


def test_known_ports_high_ports_and_the_first_hour_are_quiet() -> None:
    known = flow(9_000.0, resp_ip="10.0.0.30", resp_port=445)
    high = flow(9_000.0, resp_ip="10.0.0.30", resp_port=50_123)
    outside = flow(9_000.0, resp_ip="203.0.113.9", resp_port=4_444)
    early = flow(1_000.0, resp_ip="10.0.0.30", resp_port=4_444)
    unanswered = flow(9_000.0, resp_ip="10.0.0.30", resp_port=4_444, resp_payload_bytes=0)
    assert after(known, high, outside, unanswered) == []
    assert found_in(NewService, frame(sorted([*usual(), early], key=lambda row: row["started_at"]))) == []


def test_a_listener_that_others_use_again_and_again_is_found() -> None:
    used = [flow(9_000.0 + n, orig_ip=f"10.0.0.{20 + n % 4}", resp_ip="10.0.0.33", resp_port=7_123) for n in range(40)]
    assert [each.severity for each in after(*CALLED, *used)] == ["medium"]
    elsewhere = [row | {"resp_ip": "10.0.0.2"} for row in used]
    spoken = [row | {"app_protocol": "http"} for row in used]
    assert {each.severity for each in after(*CALLED, *elsewhere)} == {"informational"}
    assert {each.severity for each in after(*CALLED, *spoken)} == {"low"}


def test_being_called_for_management_is_no_new_service_of_weight() -> None:
    managed = flow(9_000.0, orig_ip="10.0.0.21", resp_ip="10.0.0.22", resp_port=5_985)
    assert [each.severity for each in after(managed)] == ["informational"]


def test_a_workstation_that_answers_a_stranger_is_found() -> None:
    stranger = flow(9_000.0, orig_ip="203.0.113.9", resp_ip="10.0.0.22", resp_port=7_123)
    published = stranger | {"resp_ip": "10.0.0.1"}
    assert [each.severity for each in after(stranger)] == ["medium"]
    assert [each.severity for each in after(published)] == ["informational"]
