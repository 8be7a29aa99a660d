"""Each story shows what it promises, read from the packets and not from the labels."""

from __future__ import annotations

import gzip
import re
import statistics
from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_address
from itertools import pairwise
from typing import Any

import pytest

from infraspectre.simulation import SCENARIOS, simulate
from infraspectre.simulation.scenarios.dns_tunnel import DOMAIN

Make = Callable[..., Any]
QUICK: dict[str, Any] = {"hosts": 3, "duration_s": 60}


def queries(payload: bytes) -> str:
    """Decode the name of a DNS question."""
    labels, at = [], 12
    while payload[at]:
        labels.append(payload[at + 1 : at + 1 + payload[at]].decode())
        at += 1 + payload[at]
    return ".".join(labels)


def times(rows: list[dict[str, str]], port: str) -> list[float]:
    return sorted(int(row["started_at"]) / 1e9 for row in rows if row["resp_port"] == port)


def test_every_scenario_has_a_line_of_description() -> None:
    assert {"office", "sample", "campaign", "bulk", "port-scan"} <= set(SCENARIOS)
    for name, scenario in SCENARIOS.items():
        assert scenario.name == name
        assert 20 < len(scenario.description) < 120 and scenario.description.endswith(".")


@pytest.mark.parametrize(
    ("scenario", "options", "complaint"),
    [
        ("nothing", {}, "there is no scenario"),
        ("beacon", {"periods": 3}, "it has channel, period_s"),
        ("beacon", {"channel": "smoke"}, "http, tls, dns, icmp, tcp"),
        ("attack", {"kind": "magic"}, "fast-scan, slow-scan"),
        ("beacon", {"jitter": "2"}, "0 to 1"),
        ("beacon", {"period_s": "nan"}, "0.1 to"),
        ("office", {"hosts": "many"}, "must be a number"),
        ("port-scan", {"background": "perhaps"}, "true or false"),
        ("exfiltration", {"channel": "icmp", "megabytes": 100}, "at most 10"),
    ],
)
def test_wrong_options_are_named(scenario: str, options: dict[str, Any], complaint: str, tmp_path: Any) -> None:
    with pytest.raises(ValueError, match=complaint):
        simulate(scenario, tmp_path, 0, **options)


def test_texts_are_read_as_the_type_of_the_option() -> None:
    options = SCENARIOS["beacon"].complete({"period_s": "5", "background": "no", "hosts": "3"})
    assert (options["period_s"], options["background"], options["hosts"]) == (5.0, False, 3)


def test_an_office_is_quiet_and_varied(make: Make) -> None:
    made = make("office", hosts=5, duration_s=120, scale=0.05)
    assert made.attacks() == []
    assert {row["protocol"] for row in made.rows} == {"tcp", "udp", "icmp", "icmp6"}
    assert {"443", "53", "445", "88", "123", "67", "161", "993", "5353"} <= {row["resp_port"] for row in made.rows}
    assert any(":" in row["orig_ip"] for row in made.rows)


def test_without_background_there_is_only_the_attack(make: Make) -> None:
    made = make("port-scan", kind="slow", background=False, **QUICK)
    assert {row["label"] for row in made.rows} == {"attack"}
    assert int(made.rows[-1]["ended_at"]) - int(made.rows[0]["started_at"]) > 40e9


@pytest.mark.parametrize("kind", ["vertical", "horizontal", "udp"])
def test_a_scan_touches_many_ends_from_one_host(make: Make, kind: str) -> None:
    made = make("port-scan", kind=kind, ports=80, background=False, **QUICK)
    (scan,) = made.attacks()
    probes = [row for row in made.rows if row["orig_ip"] in scan["attackers"]]
    assert len({(row["resp_ip"], row["resp_port"]) for row in probes}) == len(probes) >= 80
    assert len({row["resp_ip"] for row in probes}) == (253 if kind == "horizontal" else 1)


@pytest.mark.parametrize(("channel", "port"), [("http", "80"), ("tls", "443"), ("dns", "53"), ("tcp", "4444")])
def test_a_beacon_keeps_its_period(make: Make, channel: str, port: str) -> None:
    made = make("beacon", channel=channel, period_s=4, jitter=0.2, background=False, **QUICK)
    calls = [row for row in made.rows if row["resp_port"] == port]
    gaps = [later - earlier for earlier, later in pairwise(times(calls, port))]
    gaps = gaps[1:] if channel == "dns" else gaps
    assert len(gaps) >= 12
    assert statistics.mean(gaps) == pytest.approx(4, rel=0.1)
    assert all(4 * 0.79 < gap < 4 * 1.21 for gap in gaps)
    assert max(gaps) - min(gaps) > 0.1


def test_a_beacon_by_echoes_is_one_flow(make: Make) -> None:
    made = make("beacon", channel="icmp", period_s=4, jitter=0, background=False, **QUICK)
    (calls,) = [row for row in made.rows if row["protocol"] == "icmp"]
    assert int(calls["orig_packets"]) == int(calls["resp_packets"]) == 15


def test_skipped_calls_leave_gaps_of_whole_periods(make: Make) -> None:
    made = make("beacon", channel="tcp", period_s=2, jitter=0, skip=0.5, background=False, **QUICK)
    gaps = [later - earlier for earlier, later in pairwise(times(made.rows, "4444"))]
    assert max(gaps) > 3 and all(abs(gap / 2 - round(gap / 2)) < 0.1 for gap in gaps)


@pytest.mark.parametrize("record", ["txt", "null", "cname"])
def test_a_tunnel_asks_for_names_that_never_repeat(make: Make, record: str) -> None:
    made = make("dns-tunnel", record=record, megabytes=0.01, background=False, **QUICK)
    names = [queries(asked) for asked, _ in made.payloads("dns tunnel")]
    assert len(set(names)) == len(names) >= 10_000 // 112
    assert all(name.endswith("." + DOMAIN) for name in names)
    assert sum(len(name) > 180 for name in names) >= len(names) - 1


@pytest.mark.parametrize(
    ("encoding", "alphabet"), [("hex", r"[0-9a-f]+"), ("base32", r"[a-z2-7]+"), ("base64", r"[\w-]+")]
)
def test_a_tunnel_encodes_as_asked_and_can_ask_its_own_server(make: Make, encoding: str, alphabet: str) -> None:
    made = make("dns-tunnel", encoding=encoding, direct=True, megabytes=0.005, background=False, **QUICK)
    (tunnel,) = made.attacks()
    assert {row["resp_ip"] for row in made.rows} == set(tunnel["control_servers"])
    labels = [queries(asked).split(".")[0] for asked, _ in made.payloads("dns tunnel")]
    assert all(re.fullmatch(alphabet, label) for label in labels)


@pytest.mark.parametrize("kind", ["letters", "hex", "arithmetic", "words"])
def test_generated_domains_never_repeat_and_content_networks_look_alike(make: Make, kind: str) -> None:
    made = make("domain-generation", kind=kind, tries=40, background=False, **QUICK)
    names = [queries(asked) for asked, _ in made.payloads("domain generation")]
    assert len(set(names)) == len(names) == 40
    assert {name.count(".") for name in names} == {1}
    content = [queries(asked) for asked, _ in made.payloads("content networks")]
    assert len(set(content)) == 40 and all(name.count(".") == 2 for name in content)


@pytest.mark.parametrize("channel", ["https", "http", "ftp", "ssh", "icmp", "cloud"])
def test_exfiltration_carries_the_bytes_away(make: Make, channel: str) -> None:
    made = make("exfiltration", channel=channel, megabytes=0.4, **QUICK)
    (theft,) = made.attacks()
    sent = sum(int(row["orig_bytes"]) for row in made.rows if row["resp_ip"] in theft["control_servers"])
    assert 400_000 < sent < 450_000
    assert {row["orig_ip"] for row in made.rows if row["resp_ip"] in theft["control_servers"]} == set(
        theft["attackers"]
    )


@pytest.mark.parametrize(
    ("service", "refusal"),
    [
        ("ftp", b"530 "),
        ("http", b"HTTP/1.1 401 "),
        ("smb", b"\x6d\x00\x00\xc0"),
        ("ssh", b"SSH-2.0-"),
        ("imap", b"[AUTHENTICATIONFAILED]"),
        ("smtp", b"535 5.7.8"),
        ("form", b"Login failed"),
        ("winrm", b"HTTP/1.1 401 "),
        ("https", b"\x16\x03\x03"),
    ],
)
def test_brute_force_is_refused_until_it_succeeds(make: Make, service: str, refusal: bytes) -> None:
    made = make("brute-force", service=service, attempts=10, background=False, **QUICK)
    talks = [answered for asked, answered in made.payloads(f"{service} brute force")]
    assert sum(refusal in answered for answered in talks) >= 10
    without = make("brute-force", service=service, attempts=10, success=False, background=False, **QUICK)
    assert without.result.flows == 10


def test_a_spray_tries_many_accounts(make: Make) -> None:
    made = make("brute-force", service="kerberos", spray=True, attempts=40, background=False, **QUICK)
    (spray,) = made.attacks()
    assert spray["techniques"] == ["T1110.003"]
    users = {asked for asked, _ in made.payloads("kerberos password spray")}
    assert len(users) >= 40


def test_rdp_guesses_name_their_user(make: Make) -> None:
    made = make("brute-force", service="rdp", attempts=5, background=False, **QUICK)
    assert all(b"Cookie: mstshash=" in asked for asked, _ in made.payloads("rdp brute force"))


def test_lateral_movement_uses_admin_shares_and_weak_tickets(make: Make) -> None:
    made = make("lateral-movement", targets=2, background=False, **QUICK)
    assert {behaviour["name"] for behaviour in made.attacks()} == {
        "psexec",
        "winrm fan-out",
        "rdp fan-out",
        "kerberoasting",
    }
    for asked, _ in made.payloads("psexec"):
        assert all(name.encode("utf-16-le") in asked for name in ("ADMIN$", "PSEXESVC.exe", "IPC$", "svcctl"))
    assert all(b"POST /wsman HTTP/1.1" in asked for asked, _ in made.payloads("winrm fan-out"))
    assert len(made.payloads("kerberoasting")) == 12
    assert all(b"\xa8\x05\x30\x03\x02\x01\x17" in asked for asked, _ in made.payloads("kerberoasting"))


def test_floods_drown_one_host(make: Make) -> None:
    flood = make("syn-flood", requests=500, background=False, **QUICK)
    assert all(row["resp_port"] == "80" and int(row["orig_packets"]) == 1 for row in flood.rows)
    assert sum(row["resp_packets"] == "0" for row in flood.rows) == 500 - 256
    for protocol in ("dns", "ntp"):
        amplified = make("amplification", protocol=protocol, answers=100, background=False, **QUICK)
        assert len({row["resp_ip"] for row in amplified.rows}) == 1
        assert all(int(row["orig_bytes"]) > 400 * int(row["orig_packets"]) for row in amplified.rows)


@pytest.mark.parametrize("kind", ["udp", "icmp", "http"])
def test_a_flood_is_as_large_as_asked(make: Make, kind: str) -> None:
    flood = make("flood", kind=kind, requests=300, bots=5, background=False, **QUICK)
    requests = [row for row in flood.rows if row["label"] == "attack"]
    asked = len(requests) if kind == "http" else sum(int(row["orig_packets"]) for row in requests)
    assert asked == 300 and len({row["resp_ip"] for row in requests}) == 1


def test_slow_attacks_hold_connections_and_say_little(make: Make) -> None:
    headers = make("flood", kind="slow-headers", requests=20, background=False, **QUICK)
    assert all(b"\r\n\r\n" not in asked for asked, _ in headers.payloads("slow-headers flood"))
    reading = make("flood", kind="slow-read", requests=20, background=False, **QUICK)
    assert all(len(answered) < 10_000 for _, answered in reading.payloads("slow-read flood"))


def test_miners_submit_shares_and_bots_obey(make: Make) -> None:
    mine = b"".join(asked for asked, _ in make("mining", background=False, **QUICK).payloads("mining"))
    assert b'"method":"login"' in mine and b'"method":"submit"' in mine
    secret = b"".join(asked for asked, _ in make("mining", tls=True, background=False, **QUICK).payloads("mining"))
    assert b"login" not in secret and len(secret) > 1_000
    herd = make("bot", period_s=5, background=False, **QUICK).payloads("irc bots")
    assert sum(b"JOIN #" in asked and b"PONG" in asked for asked, _ in herd) == 2


@pytest.mark.parametrize("kind", ["llmnr", "netbios", "mdns"])
def test_who_believes_a_false_name_sends_a_hash(make: Make, kind: str) -> None:
    made = make("poisoning", kind=kind, background=False, **QUICK)
    (poisoning,) = made.attacks()
    proofs = [row for row in made.rows if row["resp_port"] == "445"]
    assert len(proofs) >= 3 and {row["resp_ip"] for row in proofs} == set(poisoning["attackers"])
    assert all(b"NTLMSSP\x00\x03" in made.flow_of(row).payload[0] for row in proofs)


def test_false_hardware_addresses_have_no_flow_but_a_label(make: Make) -> None:
    made = make("poisoning", kind="arp", background=False, **QUICK)
    (poisoning,) = made.attacks()
    assert poisoning["flows"] == 0 and poisoning["started_at"] < poisoning["ended_at"]
    claims = [frame for frame in made.seen.frames if frame[12:14] == b"\x08\x06" and frame[21] == 2]
    assert len({frame[22:28] for frame in claims}) <= 2


def test_a_rogue_server_names_itself_as_router(make: Make) -> None:
    made = make("poisoning", kind="dhcp", background=False, **QUICK)
    (poisoning,) = made.attacks()
    router = b"\x03\x04" + ip_address(poisoning["attackers"][0]).packed
    assert sum(router in asked for asked, _ in made.payloads("dhcp poisoning")) == 3


def test_a_shell_is_typed_by_the_one_who_was_called(make: Make) -> None:
    (shell,) = make("rare-service", kind="reverse-shell", background=False, **QUICK).payloads("reverse shell")
    assert b"$ " in shell[0] and b"\n" in shell[1] and b"$ " not in shell[1]
    listener = make("rare-service", background=False, **QUICK)
    assert {row["resp_port"] for row in listener.rows} == {"31337"}


@pytest.mark.parametrize(
    ("kind", "mark"), [("ssh", b"libssh2"), ("wmi", b"\x05\x00\x0b\x03"), ("winrm-tls", b"\x16\x03")]
)
def test_ways_of_lateral_movement(make: Make, kind: str, mark: bytes) -> None:
    made = make("lateral-movement", kind=kind, targets=2, background=False, **QUICK)
    (movement,) = made.attacks()
    assert all(mark in asked for asked, _ in made.payloads(movement["name"]))
    assert {row["resp_ip"] for row in made.rows} == set(movement["victims"])


def test_accounts_without_proof_are_asked_for_weak_tickets(make: Make) -> None:
    made = make("lateral-movement", kind="asrep-roasting", background=False, **QUICK)
    (roasting,) = made.attacks()
    assert (roasting["category"], roasting["techniques"]) == ("ticket-theft", ["T1558.004"])
    assert len(made.payloads("asrep roasting")) == 12


def test_web_attacks_are_seen_in_requests(make: Make) -> None:
    made = make("web-attack", requests=60, background=False, **QUICK)
    asked = b"".join(asked for asked, _ in made.payloads("web attack"))
    assert all(word in asked for word in (b"sqlmap", b"etc/passwd", b"UNION%20", b"/.git/config"))


def test_a_campaign_goes_from_scan_to_theft(make: Make) -> None:
    made = make("campaign", hosts=3, duration_s=120, megabytes=0.2, background=False)
    order = [behaviour["category"] for behaviour in sorted(made.attacks(), key=lambda each: each["started_at"])]
    assert order == ["scan", "brute-force", "beacon", "lateral-movement", "lateral-movement", "exfiltration"]
    assert len({behaviour["campaign"] for behaviour in made.attacks()} - {""}) == 1


def test_the_sample_is_small_and_lively(make: Make) -> None:
    made = make("sample")
    assert len(gzip.compress(made.result.capture.read_bytes(), mtime=0)) < 2_000_000
    started, ended = (datetime.fromisoformat(made.labels[name]) for name in ("started_at", "ended_at"))
    assert timedelta(minutes=5) < ended - started < timedelta(minutes=10)
    assert made.labels["started_at"] == "2026-01-05T08:00:00.000000Z"
    assert len(made.attacks()) == 6 and len(made.labels["behaviours"]) > 15
