"""Patterns of STIX become values, or say why single flows cannot show them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infraspectre.intel.indicators.patterns import values_of

DESTINATION, PORT = "network-traffic:dst_ref", "network-traffic:dst_port"
RESOLVED = "domain-name:resolves_to_refs[*].value"
MD5 = "d41d8cd98f00b204e9800998ecf8427e"


@pytest.mark.parametrize(
    ("pattern", "values"),
    [
        ("[ipv4-addr:value = '198.51.100.7']", [("ip", "198.51.100.7")]),
        ("[ipv4-addr:value = '198.51.100.0/24']", [("cidr", "198.51.100.0/24")]),
        ("[ipv4-addr:value ISSUBSET '198.51.100.0/24']", [("cidr", "198.51.100.0/24")]),
        (
            "[domain-name:value = 'a.example' OR url:value = 'http://b.example/x']",
            [("domain", "a.example"), ("url", "b.example/x")],
        ),
        ("[domain-name:value IN ('a.example', 'b.example')]", [("domain", "a.example"), ("domain", "b.example")]),
        (f"[domain-name:value = 'a.example' AND {RESOLVED} = '198.51.100.7']", [("domain", "a.example")]),
        (
            f"[{DESTINATION}.type = 'ipv4-addr' AND {DESTINATION}.value = '198.51.100.7' AND {PORT} = 8443]",
            [("endpoint", "198.51.100.7:8443")],
        ),
        (
            "[ipv4-addr:value = '198.51.100.7'] OR ([domain-name:value = 'a.example'])",
            [("ip", "198.51.100.7"), ("domain", "a.example")],
        ),
        ("[domain-name:value LIKE '%.a.example']", [("domain", "a.example")]),
        (f"[file:name = 'a' AND file:hashes.'MD5' = '{MD5}']", [("md5", MD5)]),
        (f"[x509-certificate:hashes.'SHA-1' = '{MD5}00000000']", [("sha1", f"{MD5}00000000")]),
        (f"[network-traffic:extensions.'tls-ext'.ja3_hash = '{MD5}']", [("ja3", MD5)]),
    ],
)
def test_what_flows_can_show_is_found(pattern: str, values: list[tuple[str, str]]) -> None:
    assert values_of(pattern) == values


@pytest.mark.parametrize(
    "pattern",
    [
        "[file:name = 'a.exe']",
        "[ipv4-addr:value != '198.51.100.7']",
        "[domain-name:value MATCHES '.*']",
        "[domain-name:value LIKE '%evil%']",
        "[ipv4-addr:value = '198.51.100.7'] FOLLOWEDBY [ipv4-addr:value = '198.51.100.8']",
        "[network-traffic:src_ref.value = '198.51.100.7' AND network-traffic:dst_ref.value = '198.51.100.8']",
        "[ipv4-addr:value = '198.51.100.7'",
        "",
        "(" * 1_000,
        "[" + "(" * 1_000,
        "[" + " AND ".join("(a:b = 'c' OR a:b = 'd')" for _ in range(40)) + "]",
    ],
)
def test_what_flows_cannot_show_has_a_reason(pattern: str) -> None:
    with pytest.raises(ValueError, match="has a pattern"):
        values_of(pattern)


@given(st.text(alphabet="[]()='\\ abANDORv4-:.%1", max_size=60))
def test_any_text_is_a_pattern_or_refused(pattern: str) -> None:
    try:
        values_of(pattern)
    except ValueError as error:
        assert str(error)
