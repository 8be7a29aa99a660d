"""Connections outwards over which the outside asks and the inside answers are found; usual clients are not."""

from __future__ import annotations

from typing import Any

import pytest

from flow_rows import flow, frame
from infraspectre.soma.reverse_shell import ReverseShell
from soma_runs import found_in

MASTER = "203.0.113.9"


def shell(**columns: Any) -> dict[str, Any]:
    """Describe ten minutes of somebody typing 20 commands."""
    said: dict[str, Any] = {
        "resp_ip": MASTER, "resp_port": 4_444, "duration_ms": 600_000.0, "orig_packets": 90, "resp_packets": 70,
        "orig_data_packets": 30, "resp_data_packets": 20, "orig_payload_bytes": 9_000, "resp_payload_bytes": 240,
        "orig_ascii_ratio": 0.99, "resp_ascii_ratio": 1.0,
    }  # fmt: skip
    return flow(**(said | columns))


def test_text_typed_from_outside_is_a_shell() -> None:
    found = found_in(ReverseShell, frame([shell()]))
    assert [(each.category, each.severity, each.orig, each.resp) for each in found] == [
        ("reverse_shell", "high", "10.0.0.5", MASTER)
    ]
    assert {each.id for each in found[0].techniques} >= {"T1059", "T1095"}


def test_other_bytes_of_that_shape_are_of_low_severity() -> None:
    assert [each.severity for each in found_in(ReverseShell, frame([shell(orig_ascii_ratio=0.4)]))] == ["low"]


@pytest.mark.parametrize(
    "other",
    [
        {"app_protocol": "http"},
        {"resp_port": 5_222},
        {"duration_ms": 5_000.0},
        {"resp_payload_bytes": 200_000, "orig_payload_bytes": 400},
        {"orig_payload_bytes": 60},
        {"orig_payload_bytes": 900_000_000},
        {"resp_ip": "10.0.0.9"},
    ],
)
def test_other_talk_is_quiet(other: dict[str, Any]) -> None:
    assert found_in(ReverseShell, frame([shell(**other)])) == []


def test_what_many_hosts_talk_to_is_a_service() -> None:
    assert found_in(ReverseShell, frame([shell(orig_ip=f"10.0.0.{n}") for n in range(9)])) == []
