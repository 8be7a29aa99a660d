"""Large transfers to rare places stand out; backups used by all, downloads, calls and pings do not."""

from __future__ import annotations

from typing import Any

import polars as pl
import pytest

from flow_rows import flow, frame
from infraspectre.soma.exfiltration import Exfiltration
from soma_runs import found_in

BROWSING = [flow(n, resp_ip=f"192.0.2.{n}", orig_payload_bytes=2_000 + 100 * n) for n in range(40)]


def sent(count: float, **columns: Any) -> dict[str, Any]:
    return flow(100, **({"resp_ip": "203.0.113.9", "orig_payload_bytes": int(count), "orig_packets": 9_000} | columns))


def test_a_large_transfer_to_a_rare_place_is_found() -> None:
    found = found_in(Exfiltration, frame([*BROWSING, sent(80e6, app_protocol="tls")]))
    assert [(each.category, each.orig, each.resp) for each in found] == [("exfiltration", "10.0.0.5", "203.0.113.9")]
    assert "80.0 MB" in found[0].evidence.summary
    assert found[0].techniques[0].id == "T1048.002"


def test_without_a_population_it_weighs_less() -> None:
    alone, usual = (found_in(Exfiltration, frame(rows))[0] for rows in ([sent(80e6)], [*BROWSING, sent(80e6)]))
    assert alone.score < usual.score


def test_other_protocols_have_their_own_technique() -> None:
    ids = {
        app: found_in(Exfiltration, frame([sent(80e6, app_protocol=app)]))[0].techniques[0].id
        for app in ("ftp", "quic", "ssh", None)
    }
    assert ids == {"ftp": "T1048.003", "quic": "T1048.002", "ssh": "T1048.002", None: "T1048"}


def test_a_single_upload_by_ftp_weighs_more_than_one_to_a_partner() -> None:
    ftp, ssh = (found_in(Exfiltration, frame([*BROWSING, sent(4e6, app_protocol=app)]))[0] for app in ("ftp", "ssh"))
    assert (ftp.severity, ssh.severity) == ("medium", "low")


def test_many_small_uploads_add_up() -> None:
    assert (
        found_in(Exfiltration, frame([*BROWSING, *(sent(1e6) for _ in range(20))]))[0].evidence.measures["sent_bytes"]
        >= 5e6
    )


def test_ordinary_transfers_are_quiet() -> None:
    backup = [sent(80e6, orig_ip=f"10.0.0.{host}") for host in range(5)]
    call = [sent(80e6, resp_ip="203.0.113.10", resp_payload_bytes=70_000_000)]
    inside = [sent(900e6, resp_ip="10.9.9.9")]
    assert found_in(Exfiltration, frame([*BROWSING, *backup, *call, *inside])) == []


def test_data_in_pings_is_found_and_pings_are_not() -> None:
    echo: dict[str, Any] = {
        "protocol": "icmp",
        "orig_port": 8,
        "resp_port": 0,
        "orig_packets": 500,
        "orig_payload_bytes": 40_000,
    }
    tunnel = flow(resp_ip="203.0.113.9", flow_segment_bytes_std=210.0, **echo)
    ping = flow(resp_ip="203.0.113.10", flow_segment_bytes_std=0.0, **echo)
    assert [(each.category, each.resp) for each in found_in(Exfiltration, frame([tunnel, ping]))] == [
        ("icmp_tunnel", "203.0.113.9")
    ]


def test_errors_that_quote_packets_of_any_size_are_no_pings() -> None:
    unreachable = [
        flow(
            protocol=protocol,
            orig_port=kind,
            resp_port=3,
            orig_packets=500,
            orig_payload_bytes=90_000,
            flow_segment_bytes_std=150.0,
        )
        for protocol, kind in (("icmp", 3), ("icmp", 11), ("icmp6", 1))
    ]
    assert found_in(Exfiltration, frame(unreachable)) == []


def test_low_and_slow_to_one_place_is_found_though_certificates_come_back() -> None:
    pieces = [
        flow(600 * n, resp_ip="203.0.113.9", app_protocol="tls", orig_payload_bytes=6_000, resp_payload_bytes=4_300)
        for n in range(140)
    ]
    found = found_in(Exfiltration, frame(sorted([*BROWSING, *pieces], key=lambda row: row["ended_at"])))[-1]
    assert found.score >= 0.5
    assert {"T1048.002", "T1041", "T1030"} <= {each.id for each in found.techniques}


def test_one_upload_by_a_browser_weighs_less_than_the_same_in_pieces() -> None:
    named = {"app_protocol": "tls", "tls_server_name": "www.shop.example"}
    whole, cut = (found_in(Exfiltration, frame([*BROWSING, *[sent(8e6 / n, **named)] * n]))[-1].score for n in (1, 4))
    assert whole < 0.5 <= cut


def test_a_host_that_keeps_what_others_give_it_may_send_it_on() -> None:
    given = [
        flow(n, orig_ip=f"10.0.0.{60 + n}", resp_ip="10.0.0.5", resp_port=445, orig_payload_bytes=5_000_000)
        for n in range(6)
    ]
    plain, store = (found_in(Exfiltration, frame([*BROWSING, *rows, sent(8e7)]))[-1].score for rows in ([], given))
    assert store < plain


def test_names_of_stores_for_everybody_have_their_own_technique() -> None:
    stored = sent(80e6, app_protocol="tls", tls_server_name="content.dropbox.example")
    assert "T1567.002" in {each.id for each in found_in(Exfiltration, frame([*BROWSING, stored]))[0].techniques}


@pytest.mark.parametrize(("hosts", "count", "severity"), [(40, 1, "low"), (1, 1, "medium"), (40, 4, "high")])
def test_one_upload_by_a_usual_program_is_of_low_severity(hosts: int, count: int, severity: str) -> None:
    uploads = [sent(60e6 / count, app_protocol="tls", tls_server_name="upload.example") for _ in range(count)]
    flows = frame([*BROWSING, *uploads]).with_columns(software_orig_hosts=pl.lit(hosts))
    assert [each.severity for each in found_in(Exfiltration, flows)][-1] == severity
