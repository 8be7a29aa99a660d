"""Bots are found by IRC and by repeated posts to a bare address; forms, services and updates are not."""

from __future__ import annotations

from typing import Any

import pytest

from flow_rows import flow, frame
from infraspectre.soma.bot import Bot
from soma_runs import found_in

MASTER = "203.0.113.9"


def chat(**columns: Any) -> dict[str, Any]:
    said: dict[str, Any] = {"resp_ip": MASTER, "resp_port": 6_667, "app_protocol": "irc"}
    return flow(**(said | columns))


def post(at_s: float, **columns: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "resp_ip": MASTER, "resp_port": 80, "app_protocol": "http", "http_request_count": 1, "http_methods": ["POST"],
        "http_hosts": [MASTER], "http_uris": ["/gate.php"], "http_user_agents": [""], "http_referrers": [""],
        "http_request_body_bytes": 120,
    }  # fmt: skip
    return flow(at_s, **(said | columns))


def test_irc_with_signs_of_a_program_is_of_medium_severity() -> None:
    plain = chat(irc_nick="alice", irc_channels=["#chat"], irc_texts=["hello all"])
    made = chat(irc_nick="[DEU|XP]48121", irc_channels=["#lair"], irc_texts=[".update now"])
    assert [each.severity for each in found_in(Bot, frame([plain]))] == ["low"]
    found = found_in(Bot, frame([made]))
    assert [(each.category, each.severity, each.orig, each.resp) for each in found] == [
        ("irc_bot", "high", "10.0.0.5", MASTER)
    ]
    odd = found_in(Bot, frame([chat(resp_port=4_343, irc_nick="alice")]))
    assert {each.id for each in odd[0].techniques} == {"T1071", "T1571"}


def test_repeated_posts_to_a_bare_address_are_found() -> None:
    found = found_in(Bot, frame([post(90.0 * n) for n in range(12)]))
    assert [(each.category, each.severity) for each in found] == [("http_bot", "medium")]
    assert "/gate.php" in found[0].evidence.summary


@pytest.mark.parametrize(
    "other",
    [
        {"http_hosts": ["telemetry.example"]},
        {"http_methods": ["GET"]},
        {"http_referrers": ["http://203.0.113.9/form"]},
        {"http_request_body_bytes": 900_000},
        {"resp_ip": "10.0.0.9", "http_hosts": ["10.0.0.9"]},
    ],
)
def test_other_posts_are_quiet(other: dict[str, Any]) -> None:
    assert found_in(Bot, frame([post(90.0 * n, **other) for n in range(12)])) == []


def test_what_many_hosts_post_to_is_a_service() -> None:
    many = [post(90.0 * n, orig_ip=f"10.0.0.{host}") for n in range(12) for host in range(9)]
    assert found_in(Bot, frame(many)) == []


def hidden(duration_s: float, port: int = 6_697, **columns: Any) -> dict[str, Any]:
    few: dict[str, Any] = {
        "orig_data_packets": 20,
        "resp_data_packets": 20,
        "orig_payload_bytes": 2_000,
        "resp_payload_bytes": 6_000,
    }
    talk = few | {"resp_ip": MASTER, "resp_port": port, "app_protocol": "tls", "duration_ms": duration_s * 1_000}
    return flow(**(talk | columns))


def test_slow_talk_in_tls_counts_once_it_lasts() -> None:
    assert found_in(Bot, frame([hidden(2.0)])) == []
    assert [each.severity for each in found_in(Bot, frame([hidden(900.0)]))] == ["medium"]
    (odd,) = found_in(Bot, frame([hidden(900.0, 7_401)]))
    assert {each.id for each in odd.techniques} == {"T1071", "T1573.002", "T1571"}


@pytest.mark.parametrize(
    "other", [{"port": 443}, {"resp_payload_bytes": 900_000}, {"orig_data_packets": 4_000}, {"resp_ip": "10.0.0.9"}]
)
def test_services_in_tls_are_quiet(other: dict[str, Any]) -> None:
    assert found_in(Bot, frame([hidden(900.0, **other)])) == []


def test_what_many_hosts_talk_to_is_a_service() -> None:
    rows = [hidden(900.0, 7_401, orig_ip=f"10.0.0.{n}") for n in range(10)]
    assert found_in(Bot, frame(rows)) == []
