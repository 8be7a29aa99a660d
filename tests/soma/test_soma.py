"""The contract that every detector keeps: silence without columns, no trace of batch boundaries, sound records."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec
import polars as pl
import pytest

from flow_rows import SCHEMA, flow, frame, unanswered
from infraspectre.axon import Axon
from infraspectre.intel.attack import technique
from infraspectre.records import Detection, FlowBatch, Technique
from infraspectre.soma import CATALOGUE, Soma, techniques

OUTSIDE = "203.0.113.9"


def attacks() -> Iterator[dict[str, Any]]:
    """Give every detector something to find."""
    source = random.Random(4)
    alphabet = "abcdefghijklmnopqrstuvwxyz234567"
    for n in range(120):
        yield flow(
            n * 9, resp_ip=f"192.0.2.{n % 50}", orig_ip=f"10.0.0.{n % 7}", app_protocol="tls", tls_version="TLSv1.3"
        )
        yield unanswered(n / 10, orig_ip="10.0.0.66", resp_port=n)
        yield flow(n, orig_ip="10.0.0.67", resp_port=21, ftp_login_failures=2)
        yield flow(n * 60, orig_ip="10.0.0.68", resp_ip="203.0.113.68", resp_port=8443, app_protocol="tls")
        name = "".join(source.choice(alphabet) for _ in range(40))
        yield flow(
            n,
            orig_ip="10.0.0.69",
            protocol="udp",
            resp_port=53,
            dns_queries=[f"{name}.evil.example"],
            dns_query_types=["TXT"],
        )
        yield flow(n, orig_ip="10.0.0.71", resp_ip=f"10.0.2.{n}", resp_port=445)
        yield flow(n, orig_ip="10.0.0.72", http_uris=["/?id=1' or '1'='1"], http_user_agents=[""])
        at, reader, files = (600.0 * (n // 9), n % 9, 3) if n < 117 else (7_300.0, 0, 24)
        names = [f"plan-{n}-{file}.pdf" for file in range(files)]
        yield flow(at, orig_ip=f"10.0.3.{reader}", resp_ip="10.0.1.1", resp_port=445, smb_files=names)
    yield flow(5, protocol="icmp", orig_port=8, resp_port=0, orig_packets=9_000, duration_ms=5_000.0)
    yield flow(6, orig_ip="10.0.0.70", resp_ip="203.0.113.70", orig_payload_bytes=10**9, orig_packets=10**6)
    yield flow(7, orig_ip="10.0.0.73", resp_ip=OUTSIDE, app_protocol="ssh", resp_port=443)
    program = {"http_mime_types": ["application/x-dosexec"], "http_content_types": ["image/png"]}
    yield flow(8, orig_ip="10.0.0.74", resp_ip=OUTSIDE, http_hosts=[""], http_uris=["/"], **program)
    logon = {"kerberos_messages": ["AS-REQ", "AS-REP"], "kerberos_ciphers": [23], "kerberos_clients": ["eve@CORP"]}
    yield flow(8.5, orig_ip="10.0.0.76", resp_port=88, app_protocol="kerberos", **logon)
    yield flow(9, orig_ip="10.0.0.75", resp_ip=OUTSIDE, tls_version="SSLv3")
    yield flow(10, orig_ip="10.0.0.77", resp_ip=OUTSIDE, app_protocol="stratum", stratum_methods=["login"])
    yield flow(11, orig_ip="10.0.0.78", resp_ip=OUTSIDE, resp_port=6_667, app_protocol="irc", irc_nick="bot1")
    typed: dict[str, Any] = {
        "orig_data_packets": 9,
        "resp_data_packets": 9,
        "orig_ascii_ratio": 1.0,
        "resp_ascii_ratio": 1.0,
    }
    talk: dict[str, Any] = {"orig_payload_bytes": 900, "resp_payload_bytes": 90, "duration_ms": 99_000.0}
    yield flow(12, orig_ip="10.0.0.79", resp_ip="203.0.113.79", resp_port=4_444, **typed, **talk)
    for name in ("wpad", "fileserver", "printer"):
        told = {"dns_queries": [name], "dns_answers": ["10.0.0.80"], "dns_answer_types": ["A"]}
        yield flow(13, orig_ip="10.0.0.80", orig_port=5_355, resp_port=60_000, protocol="udp", **told)
    for at in range(0, 4_000, 20):
        yield flow(at, orig_ip="10.0.0.82", resp_ip="10.0.0.83", resp_port=(80, 389, 636, 3_306, 8_080)[at % 100 // 20])
    yield flow(6_000, orig_ip="10.0.0.82", resp_ip="10.0.0.84", resp_port=4_444)
    exploited: dict[str, Any] = {"smb_version": "SMB1", "smb_trees": [r"\\10.0.0.90\IPC$"], "smb_statuses": []}
    exploited["smb_commands"] = ["NT_TRANSACT", "NT_TRANSACT_SECONDARY"]
    for n in range(4):
        opened = [f"{n}-{number}.pdf" for number in range(30 if n == 3 else 2)]
        smb = exploited | {"smb_files": opened}
        yield flow(7_000 + n, orig_ip=f"10.0.0.{86 + n}", resp_ip="10.0.0.90", resp_port=445, **smb)
    for hour in range(9):
        sent = 10**9 if hour == 8 else 1_000
        yield flow(3_600 * hour, orig_ip="10.0.0.85", resp_port=80, orig_payload_bytes=sent)
    for at, server in ((0, "10.0.0.1"), (9, "10.0.0.1"), (60, "10.0.0.1"), (90, "10.0.0.1"), (7_000, "10.0.0.81")):
        lease = {"dhcp_message_types": ["ACK"], "dhcp_server": server}
        yield flow(at, orig_ip=server, orig_port=67, resp_port=68, protocol="udp", **lease)


@pytest.fixture(scope="module")
def flows() -> pl.DataFrame:
    return frame(sorted(attacks(), key=lambda row: (row["ended_at"], row["orig_ip"], row["resp_port"])))


def run(flows: pl.DataFrame, size: int) -> list[Detection]:
    axon, soma = Axon(), Soma()
    found = []
    for part in flows.iter_slices(size):
        batch = FlowBatch(part)
        found += soma.detect(batch, axon.extract(batch))
    return found + soma.finish()


def test_every_detector_speaks_and_every_record_is_sound(flows: pl.DataFrame) -> None:
    found = run(flows, 8_192)
    assert {each.detector for each in found} == {make().name for make in CATALOGUE}
    assert max(Counter(each.detection_id for each in found).values()) == 1
    ids = set(flows["flow_id"])
    for each in found:
        assert 0.0 <= each.score <= 1.0
        assert 0.0 < each.probability < 1.0
        assert each.first_seen <= each.at == each.last_seen
        assert 0 < len(each.flow_ids) <= 64
        assert ids.issuperset(each.flow_ids)
        assert each.evidence.measures["flows"] >= len(each.flow_ids)
        assert each.evidence.packets
        assert each.evidence.summary[0].isdigit() or each.evidence.summary.split()[0].count(".") == 3
        assert msgspec.json.decode(msgspec.json.encode(each), type=Detection) == each


@pytest.mark.parametrize("size", [1, 100])
def test_batch_boundaries_leave_no_trace(flows: pl.DataFrame, size: int) -> None:
    assert run(flows, size) == run(flows, 8_192)


@pytest.mark.parametrize("make", CATALOGUE)
def test_a_detector_without_its_columns_stays_silent(make: Any) -> None:
    detector = make()
    for missing in ([], list(detector.columns)):
        unknown = frame(attacks()).with_columns(
            pl.lit(None).cast(SCHEMA[name]).alias(name) for name in detector.columns
        )
        soma = Soma([make()])
        soma.detect(FlowBatch(unknown.drop(missing)))
        assert soma.finish() == []


def test_an_empty_input_and_foreign_columns_find_nothing() -> None:
    soma = Soma()
    assert soma.detect(FlowBatch(pl.DataFrame(schema=SCHEMA))) == []
    assert soma.detect(FlowBatch(pl.DataFrame({"a": [1]}))) == []
    assert soma.finish() == []


def test_ordinary_office_traffic_is_quiet() -> None:
    source = random.Random(6)
    rows = []
    for n in range(4_000):
        at, host = n * 2.0 + source.random(), f"10.0.0.{source.randrange(20)}"
        name = f"www{source.randrange(40)}.site{source.randrange(30)}.example"
        rows.append(
            flow(
                at,
                orig_ip=host,
                protocol="udp",
                resp_ip="10.0.0.1",
                resp_port=53,
                app_protocol="dns",
                dns_queries=[name],
                dns_query_types=["A"],
            )
        )
        sizes = {
            "orig_payload_bytes": round(source.lognormvariate(7, 1)),
            "resp_payload_bytes": round(source.lognormvariate(9, 1.5)),
        }
        rows.append(
            flow(
                at + 0.1,
                orig_ip=host,
                resp_ip=f"192.0.2.{source.randrange(200)}",
                app_protocol="tls",
                tls_server_name=name,
                **sizes,
            )
        )
    assert [each.evidence.summary for each in run(frame(rows), 8_192)] == []


@pytest.mark.parametrize("name", ["started_at", "ended_at", "orig_ip", "resp_ip"])
def test_flows_of_unknown_hosts_or_times_are_no_evidence(flows: pl.DataFrame, name: str) -> None:
    nameless = flows.with_columns(pl.lit(None, flows.schema[name]).alias(name))
    assert run(nameless, 1_000) == []
    assert run(pl.concat([nameless, flows]), 1_000)


def test_techniques_are_named_as_in_the_matrix() -> None:
    named = [each for each in vars(techniques).values() if isinstance(each, Technique)]
    assert named == [technique(each.id) for each in named]
