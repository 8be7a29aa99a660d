from __future__ import annotations

from findings import finding
from infraspectre.cortex.title import title


def test_a_title_says_who_did_what_to_whom_in_order() -> None:
    told = [finding(1, "10.0.0.9", "10.0.0.5"), finding(2, "10.0.0.9", "10.0.0.5", category="ssh_brute_force")]
    assert title(told) == "Port scan of 10.0.0.5 by 10.0.0.9, then SSH brute force"


def test_weak_findings_are_left_out_where_there_are_others() -> None:
    assert title([finding(1, category="anomaly", severity="low"), finding(2, "a", "b")]) == "Port scan of b by a"
    assert title([finding(1, "a", None, category="anomaly", severity="low")]) == "Anomalous traffic by a".replace(
        "by", "from"
    )


def test_a_long_story_is_cut_and_counted() -> None:
    kinds = ["port_scan", "web_attack", "file_download", "beacon", "exfiltration"]
    assert title([finding(n, category=kind) for n, kind in enumerate(kinds)]).endswith(
        ", then file download and 2 more"
    )


def test_a_resolver_passes_a_tunnel_on() -> None:
    assert title([finding(1, "a", "b", category="dns_tunnel")]) == "DNS tunnel through b from a"


def test_categories_that_make_no_title_have_a_noun() -> None:
    assert title([finding(1, "a", "b", category="rare_protocol_port")]) == "Protocol on an unusual port to b from a"
