"""Conditions hold for the flows that they describe, and whatever is wrong with one is said."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flow_rows import flow, frame
from infraspectre.own_rules import fields
from infraspectre.soma.rules.expression import FUNCTIONS, WORDS, condition
from infraspectre.soma.rules.tokens import LONGEST, RuleError
from infraspectre.soma.rules.values import Values, named_list, with_numbers

LISTS = {"shady": named_list(["evil.example", "bad.example"]), "office": named_list(["10.0.0.0/24", "2001:db8::/48"])}
WEB: dict[str, Any] = {
    "resp_port": 8443,
    "duration_ms": 400_000.0,
    "orig_payload_bytes": 30_000_000,
    "resp_payload_bytes": 10,
    "http_uris": ["/a", "/evil/x.exe"],
    "http_statuses": [200, 404],
    "dns_answers": ["www.evil.example", "203.0.113.7"],
    "tls_server_name": "WWW.Evil.Example",
}
HOLDS = [
    "resp_port == 8443",
    "resp_port != 443 and resp_port >= 8443 and resp_port <= 0x20FB",
    "resp_port in [443, 8443]",
    "resp_port not in [80, 443]",
    "-3 < resp_port",
    "resp_port > -1 and resp_port < 70000",
    "duration_ms > 5m and duration_ms < 0.2h and duration_ms == 400s",
    "orig_payload_bytes > 10MB and orig_payload_bytes > 28MiB and 29MiB > orig_payload_bytes",
    "orig_payload_bytes > 1_000 * resp_payload_bytes + 5",
    "orig_payload_bytes / resp_payload_bytes == 3_000_000",
    "resp_payload_bytes - orig_payload_bytes < 0",
    "2 + 3 * 4 == resp_payload_bytes + 4",
    "(2 + 3) * 2 == resp_payload_bytes",
    "duration_ms + 1s > 400s",
    'http_uris contains "evil" and http_uris startswith "/evil" and http_uris endswith ".exe"',
    'http_uris contains ["nothing", "evil"]',
    r"http_uris matches '^/\w+/x\.(exe|dll)$'",
    'http_uris == "/a"',
    "http_statuses >= 400",
    "http_statuses in [404, 500]",
    "items(http_uris) == 2",
    "length(http_uris) > 10",
    'lower(tls_server_name) endswith ".evil.example"',
    'tls_server_name matches "(?i)evil"',
    "dns_answers endswith shady",
    "dns_answers in 203.0.113.0/24",
    "orig_ip in office and orig_ip in 10.0.0.0/8",
    "orig_ip in [10.0.0.5, 192.168.0.0/16]",
    "orig_ip not in 10.0.1.0/24",
    "orig_ip == 10.0.0.5",
    "inside(orig_ip)",
    "known(tls_server_name) and not known(ssh_client)",
    "hour(started_at) == 22 and weekday(started_at) == 2",
    "not not resp_port == 8443",
    "resp_port == 1 or resp_port == 2 or resp_port == 8443 and resp_payload_bytes == 10",
    'tls_server_name == "WWW.Evil.Example"',
    "tls_server_name != 'x'",
]
FAILS = [
    "resp_port == 443",
    "resp_port == 8443 and (resp_port == 1 or resp_port == 2)",
    'http_uris contains "a.b"',
    'http_uris == "/A"',
    "http_statuses > 404",
    "orig_ip in 10.0.0.128/25",
    "orig_ip in 2001:db8::/48",
    "not inside(orig_ip)",
    # What is unknown neither holds nor fails.
    'ssh_client == "x"',
    'not ssh_client == "x"',
    'smb_files contains "x"',
    'not smb_files contains "x"',
    "smb_command_count > 0",
    "not dhcp_address in 10.0.0.0/8",
    "orig_payload_bytes / (resp_payload_bytes - 10) > 0",
    "not orig_payload_bytes / (resp_payload_bytes - 10) > 0",
]


def holding(expression: str, *rows: dict[str, Any]) -> list[int]:
    """Return the places of the flows that fulfil a condition."""
    compiled = condition(expression, fields(), LISTS)
    flows = with_numbers(frame(rows), compiled.addresses).with_row_index("place")
    return flows.filter(compiled.compute)["place"].to_list()


@pytest.mark.parametrize("expression", HOLDS)
def test_a_condition_holds(expression: str) -> None:
    assert holding(expression, flow(**WEB)) == [0]


@pytest.mark.parametrize("expression", FAILS)
def test_a_condition_does_not_hold(expression: str) -> None:
    assert holding(expression, flow(**WEB)) == []


def test_each_flow_is_judged_by_itself() -> None:
    rows = [flow(resp_ip=ip) for ip in ("10.1.2.3", "2001:db8::1", "2001:db9::1", "192.0.2.1", "::ffff:10.1.2.3")]
    assert holding("resp_ip in [10.0.0.0/8, 2001:db8::/32]", *rows) == [0, 1, 4]
    assert holding("resp_ip not in [10.0.0.0/8, 2001:db8::/32]", *rows) == [2, 3]


@settings(max_examples=30)
@given(st.lists(st.tuples(st.integers(0, 31), st.integers(24, 32)), min_size=1, max_size=8))
def test_networks_hold_what_they_hold(networks: list[tuple[int, int]]) -> None:
    from ipaddress import ip_address, ip_network

    nets = [ip_network((f"10.0.{n // 8}.{n % 8 * 32}", length), strict=False) for n, length in networks]
    addresses = [f"10.0.{a}.{b}" for a in range(5) for b in range(0, 256, 16)]
    compiled = condition("resp_ip in nets", fields(), {"nets": Values("network", tuple(nets))})
    flows = with_numbers(frame(flow(resp_ip=address) for address in addresses), compiled.addresses)
    expected = [any(ip_address(address) in net for net in nets) for address in addresses]
    assert flows.select(held=compiled.compute)["held"].to_list() == expected


@pytest.mark.parametrize(
    ("expression", "problem", "remedy"),
    [
        ("resp_prt == 3", "at character 1: there is no field 'resp_prt'", "did you mean resp_port?"),
        ('resp_port == "x"', "a number cannot be compared with a text", None),
        ("resp_port == orig_ip", "a number cannot be compared with a text", None),
        ("resp_port", "expected a condition instead of a number", "compare it with something"),
        ("resp_port and resp_port == 1", "expected a condition instead of a number", "compare"),
        ("resp_port = 3", "cannot be read at character 11", "write == for equality"),
        ("resp_port == 3 4", "expected an operator instead of '4'", None),
        ("resp_port ==", "expected a field or a value instead of the end", None),
        ("", "expected a field or a value instead of the end", None),
        ("(resp_port == 3", "expected ')' instead of the end", None),
        ("resp_port == 5m", "a unit of time stands beside a field in plain numbers", None),
        ("duration_ms > 3MB", "a unit of bytes stands beside a field in ms", None),
        ("duration_ms > orig_bytes", "a field in ms and one in bytes have no common unit", None),
        ("duration_ms > 3 parsecs", "expected an operator instead of 'parsecs'", None),
        ("duration_ms > 3parsecs", "unknown unit 'parsecs'", "there are ns"),
        ('resp_port in [1, "a"]', "expected a number instead of '\"a\"'", None),
        ("resp_port in [1, 2", "expected ']' instead of the end", None),
        ("resp_port in nowhere", "there is no list 'nowhere'", None),
        ("resp_port in shady", "a number is never one of these texts", None),
        ("resp_ip in [1, 2]", "a text is never one of these numbers", None),
        ("resp_port contains [1]", "'contains' tests a text with texts", None),
        ("resp_ip == 10.0.0.0/8", "10.0.0.0/8 is a network", "write 'in' instead"),
        ("resp_ip in 10.0.0.1/8", "is no network", "write an address, or a network such as 10.0.0.0/8"),
        ("http_uris == http_hosts", "a list can only be compared with a literal", "on the left"),
        ("http_uris + 1 == 2", "a list of texts cannot be reckoned with", None),
        ('http_uris matches "("', "regex parse error", None),
        ('http_uris matches "(a{1000}){1000}{1000}"', "size limit|exceeds", None),
        ("foo(1) == 1", "there is no function 'foo'", "there are inside, known"),
        ("inside(resp_port)", "inside() takes a text|an address instead of a number", None),
        ("hour(duration_ms) == 1", "hour() takes a time in ns instead of a number", None),
        ('"unclosed', "cannot be read at character 1", "close the text with the same quotation mark"),
        ("1 == 1", "names no field", "compare a field with something"),
        ("not " * 200 + "resp_port == 1", "is nested deeper than 64 levels", "split it"),
        ("(" * 200, "is nested deeper than 64 levels", "split it"),
        ("resp_port == 1 or " * 1_000 + "resp_port == 1", f"is longer than {LONGEST:,} characters", "split it"),
    ],
)
def test_what_is_wrong_is_said(expression: str, problem: str, remedy: str | None) -> None:
    with pytest.raises(RuleError) as caught:
        condition(expression, fields(), LISTS)
    assert any(words in caught.value.problem for words in problem.split("|"))
    assert "\n" not in caught.value.problem
    if remedy:
        assert caught.value.remedy
        assert remedy in caught.value.remedy


NAMES = (*WORDS, *FUNCTIONS, *LISTS, "resp_port", "http_uris", "duration_ms", "orig_ip", "started_at")
SIGNS = (*"()[],+-*/<", "==", "!=", ">=")
VALUES = ("1", "0x1f", "5m", "10MB", "1.5", '"x"', "'('", "10.0.0.0/8", "::1", "10.0.0.1")
WORDS_OF_RULES = st.sampled_from((*NAMES, *SIGNS, *VALUES))


@given(st.text(max_size=60) | st.lists(WORDS_OF_RULES, max_size=14).map(" ".join))
def test_any_text_is_compiled_or_refused(expression: str) -> None:
    try:
        compiled = condition(expression, fields(), LISTS)
    except RuleError as error:
        assert error.problem
    else:
        assert len(with_numbers(frame([flow(**WEB)]), compiled.addresses).filter(compiled.compute)) <= 1


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*b", r"(.*)*x", r"^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_no_pattern_takes_long(pattern: str) -> None:
    started = time.process_time()
    holding(f"http_uris matches '{pattern}'", flow(http_uris=["a" * 100_000]))
    assert time.process_time() - started < 1.0


def test_a_long_list_of_networks_costs_little() -> None:
    nets = named_list([f"10.{n // 256}.{n % 256}.0/24" for n in range(10_000)])
    compiled = condition("resp_ip in nets", fields(), {"nets": nets})
    flows = with_numbers(frame(flow(resp_ip=f"10.9.{n % 250}.7") for n in range(2_000)), compiled.addresses)
    started = time.process_time()
    assert len(flows.filter(compiled.compute)) == 2_000
    assert time.process_time() - started < 0.5
