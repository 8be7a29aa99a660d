"""Hosts that answer for names of others are found; hosts that answer for their own, and devices, are not."""

from __future__ import annotations

from typing import Any

from flow_rows import flow, frame
from infraspectre.soma.name_poisoning import NamePoisoning
from soma_runs import found_in

POISONER, VICTIM = "10.0.0.66", "10.0.0.5"


def answer(at_s: float, name: str, **columns: Any) -> dict[str, Any]:
    """Describe an answer by LLMNR that gives the address of who answers."""
    said: dict[str, Any] = {
        "orig_ip": POISONER, "orig_port": 5_355, "resp_ip": VICTIM, "resp_port": 60_000, "protocol": "udp",
        "app_protocol": "dns", "resp_packets": 0, "resp_payload_bytes": 0, "dns_queries": [name],
        "dns_answers": [columns.get("orig_ip", POISONER)], "dns_answer_types": ["A"],
    }  # fmt: skip
    return flow(at_s, **(said | columns))


def login(at_s: float) -> dict[str, Any]:
    return flow(at_s, orig_ip=VICTIM, resp_ip=POISONER, resp_port=445, app_protocol="smb")


def encoded(name: str, suffix: int = 0x20) -> str:
    """Return a NetBIOS name as it stands in a message (RFC 1001, 14.1)."""
    padded = name.upper().ljust(15).encode() + bytes([suffix])
    return "".join(chr(97 + half) for byte in padded for half in (byte >> 4, byte & 15))


def test_one_host_answering_for_many_names_is_found() -> None:
    found = found_in(NamePoisoning, frame([answer(n * 60.0, f"fileserver{n}") for n in range(5)]), size=1)
    assert [(each.category, each.severity, each.orig, each.resp) for each in found[:1]] == [
        ("name_poisoning", "medium", POISONER, VICTIM)
    ]
    assert [each.id for each in found[0].techniques] == ["T1557.001"]


def test_logins_there_make_it_worse() -> None:
    rows = [answer(0.0, "wpad"), login(3.0), answer(60.0, "printsrv"), answer(90.0, "fileserv"), login(91.0)]
    found = found_in(NamePoisoning, frame(rows))
    assert [each.severity for each in found] == ["high"]
    assert "1 host logged in" in found[0].evidence.summary


def test_netbios_and_multicast_names_count_together() -> None:
    netbios = answer(
        9.0, "", orig_port=137, resp_port=137, dns_queries=None, dns_announced_names=[encoded("archive")],
        dns_answers=["00000a000042"], dns_answer_types=["NB"],
    )  # fmt: skip
    multicast = answer(
        20.0,
        "",
        orig_port=5_353,
        resp_port=5_353,
        dns_queries=["asked.by.itself"],
        dns_announced_names=["intranet.local"],
    )
    found = found_in(NamePoisoning, frame([answer(0.0, "payroll"), netbios, multicast]))
    assert [each.evidence.examples for each in found] == [["payroll", "archive", "intranet"]]


def test_own_names_aliases_and_domains_are_quiet() -> None:
    own = [answer(60.0 * n, "desktop-7") for n in range(30)]
    domain = answer(
        5.0, "", orig_port=137, dns_queries=None, dns_announced_names=[encoded("corp", 0x1C)],
        dns_answers=["80000a000042"], dns_answer_types=["NB"],
    )  # fmt: skip
    alias = answer(9.0, "desktop-seven")
    device = answer(
        9.0, "", orig_port=5_353, resp_ip="224.0.0.251", dns_queries=None,
        dns_announced_names=["desktop-7.local", "kitchen.local", "0815.local"],
    )  # fmt: skip
    assert found_in(NamePoisoning, frame([*own, domain, alias, login(10.0), device])) == []


def test_answers_that_give_another_host_are_quiet() -> None:
    assert found_in(NamePoisoning, frame([answer(n, f"x{n}", dns_answers=["10.0.0.9"]) for n in range(9)])) == []


def test_multicast_answers_to_simple_clients_repeat_the_question() -> None:
    rows = [answer(n, f"printer{n}.local", orig_port=5_353, resp_port=50_000 + n) for n in range(4)]
    assert [each.orig for each in found_in(NamePoisoning, frame(rows))] == [POISONER]
