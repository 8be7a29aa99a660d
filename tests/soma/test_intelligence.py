"""Indicators are found wherever flows show their values, as far as they are worth something at the time."""

from __future__ import annotations

from typing import Any

import pytest

from flow_rows import flow, frame
from infraspectre.intel.indicators import IndicatorIndex
from infraspectre.intel.indicators.values import typed, typed_as
from infraspectre.records import Detection
from infraspectre.records.indicators import About, Indicator, IndicatorKind
from infraspectre.soma.intelligence import Intelligence
from soma_runs import found_in

JA4 = "t13d1516h2_8daaf6152771_02713d6af862"
HASH = "0123456789abcdef0123456789abcdef"


def found(indicators: list[Indicator], *flows: dict[str, Any], size: int = 8_192) -> list[Detection]:
    """Return what is found of indicators in flows."""
    index = IndicatorIndex(indicators)
    return found_in(lambda: Intelligence(index), frame(flow(n, **each) for n, each in enumerate(flows)), size)


def known(text: str, confidence: float | None = 0.9, **about: Any) -> Indicator:
    """Return an indicator."""
    return Indicator(*typed(text), About(("feed",), confidence, **about))


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("198.51.100.7", {"resp_ip": "198.51.100.7"}),
        ("198.51.100.0/24", {"resp_ip": "198.51.100.7"}),
        ("198.51.100.7:8443", {"resp_ip": "198.51.100.7", "resp_port": 8_443}),
        ("evil.example", {"resp_ip": "198.51.100.7", "tls_server_name": "A.evil.example"}),
        ("evil.example", {"resp_ip": "198.51.100.7", "http_hosts": ["evil.example:8080"]}),
        (
            "http://evil.example/a",
            {"resp_ip": "198.51.100.7", "http_hosts": ["b", "evil.example"], "http_uris": ["/", "/a"]},
        ),
        (HASH + "00000000", {"resp_ip": "198.51.100.7", "tls_certificate_sha1": [HASH + "00000000"]}),
        (JA4, {"resp_ip": "198.51.100.7", "tls_ja4": JA4}),
    ],
)
def test_a_value_is_found_where_flows_show_it(text: str, columns: dict[str, Any]) -> None:
    [detection] = found(
        [known(text)], {"orig_ip": "10.0.0.5"} | columns, {"orig_ip": "10.0.0.6", "resp_ip": "192.0.2.9"}
    )
    assert (detection.orig, detection.resp, detection.category) == ("10.0.0.5", "198.51.100.7", "indicator_match")
    assert "feed" in detection.evidence.summary


@pytest.mark.parametrize(("kind", "column"), [("ja3", "tls_ja3"), ("ja3s", "tls_ja3s"), ("hassh", "ssh_hassh")])
def test_a_fingerprint_alone_is_no_medium_finding(kind: IndicatorKind, column: str) -> None:
    [detection] = found([Indicator(*typed_as(kind, HASH), About(("feed",)))], {column: HASH})
    assert detection.severity == "low"


def test_a_name_that_is_only_asked_for_accuses_no_resolver() -> None:
    asked = {"resp_ip": "10.0.0.53", "resp_port": 53, "dns_queries": ["evil.example"]}
    onward = {"orig_ip": "10.0.0.53", "resp_ip": "192.0.2.53", "resp_port": 53, "dns_queries": ["evil.example"]}
    [detection] = found([known("evil.example")], asked | {"orig_ip": "10.0.0.5"}, onward)
    assert (detection.orig, detection.resp) == ("10.0.0.5", None)


def test_a_known_threat_that_calls_is_a_weak_finding() -> None:
    [inbound] = found([known("198.51.100.7")], {"orig_ip": "198.51.100.7", "resp_ip": "10.0.0.5"})
    [outbound] = found([known("198.51.100.7")], {"resp_ip": "198.51.100.7", "orig_ip": "10.0.0.5"})
    assert (inbound.severity, outbound.severity) == ("low", "high")


def test_what_is_expired_or_worn_out_is_not_matched() -> None:
    called = {"resp_ip": "198.51.100.7", "orig_ip": "10.0.0.5"}
    assert found([known("198.51.100.7", valid_until=1)], called) == []
    assert found([known("198.51.100.7", last_seen=1)], called) == []


def test_techniques_are_those_that_indicators_state() -> None:
    called = {"resp_ip": "198.51.100.7", "orig_ip": "10.0.0.5"}
    [stated] = found([known("198.51.100.7", techniques=("T1048.003",))], called)
    [control] = found([known("198.51.100.7", labels=("botnet_cc",))], called)
    [silent] = found([known("198.51.100.7")], called)
    assert [[each.id for each in one.techniques] for one in (stated, control, silent)] == [["T1048.003"], ["T1071"], []]


def test_batches_leave_no_trace() -> None:
    flows = [{"resp_ip": f"198.51.100.{n % 9}", "dns_queries": [f"h{n % 5}.evil.example"]} for n in range(300)]
    indicators = [known("198.51.100.0/29"), known("evil.example"), known("h3.evil.example")]
    assert found(indicators, *flows) == found(indicators, *flows, size=7)
