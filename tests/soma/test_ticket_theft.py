"""Weak tickets for many services and logons with RC4 alone are found; ordinary Kerberos is not."""

from __future__ import annotations

from typing import Any

from flow_rows import flow, frame
from infraspectre.soma.ticket_theft import TicketTheft
from soma_runs import found_in


def exchange(number: int, kind: str, service: str, ciphers: list[int], ticket: int) -> dict[str, Any]:
    return flow(
        number,
        resp_port=88,
        app_protocol="kerberos",
        kerberos_messages=[f"{kind}-REQ", f"{kind}-REP"],
        kerberos_clients=["eve@CORP.EXAMPLE"],
        kerberos_services=[service],
        kerberos_ciphers=ciphers,
        kerberos_ticket_cipher=ticket,
    )


MODERN = [18, 17, 23, 24]


def test_tickets_of_many_services_under_rc4_are_kerberoasting() -> None:
    rows = [exchange(n, "TGS", f"MSSQLSvc/sql{n}", MODERN, 23) for n in range(12)]
    found = found_in(TicketTheft, frame(rows))
    assert [(each.category, each.severity, each.techniques[0].id) for each in found] == [
        ("kerberoasting", "medium", "T1558.003")
    ]
    assert found[0].evidence.measures["distinct_services"] == 12


def test_a_logon_that_offers_rc4_alone_is_overpass_the_hash() -> None:
    found = found_in(TicketTheft, frame([exchange(0, "AS", "krbtgt/corp", [23], 18)]))
    assert [(each.category, each.severity) for each in found] == [("overpass_the_hash", "low")]
    assert "eve@CORP.EXAMPLE" in found[0].evidence.summary


def test_asking_for_many_accounts_under_rc4_is_roasting() -> None:
    asked = [exchange(n, "AS", "krbtgt/corp", [23], 18) | {"kerberos_clients": [f"u{n}@CORP"]} for n in range(12)]
    refused = [row | {"kerberos_messages": ["AS-REQ", "KRB-ERROR"]} for row in asked[:9]]
    found = found_in(TicketTheft, frame([*refused, *asked[9:]]))
    (roasting,) = [each for each in found if each.category == "asrep_roasting"]
    assert (roasting.techniques[0].id, roasting.severity) == ("T1558.004", "medium")


def test_ordinary_kerberos_is_quiet() -> None:
    aes = [exchange(n, "TGS", f"cifs/srv{n}", MODERN, 18) for n in range(50)]
    one_old_service = [exchange(n, "TGS", "cifs/old", MODERN, 23) for n in range(50)]
    logons = [exchange(n, "AS", "krbtgt/corp", MODERN, 18) for n in range(50)]
    old_domain = [exchange(n, "TGS", "krbtgt/corp", MODERN, 23) for n in range(50)]
    assert found_in(TicketTheft, frame(aes + one_old_service + logons + old_domain)) == []


def test_tickets_of_many_accounts_of_people_in_a_row_are_kerberoasting_under_any_cipher() -> None:
    services = [f"MSSQLSvc/sql{n}:1433" for n in range(5)] + ["HTTP/app", "svc-backup"]
    found = found_in(TicketTheft, frame(exchange(n, "TGS", name, MODERN, 18) for n, name in enumerate(services)))
    assert [(each.category, each.severity) for each in found] == [("kerberoasting", "medium")]
    slowly = frame(exchange(900 * n, "TGS", name, MODERN, 18) for n, name in enumerate(services))
    machines = frame(exchange(n, "TGS", f"srv{n}$@CORP.EXAMPLE", MODERN, 18) for n in range(20))
    spellings = [f"HTTP/{name}{port}" for name in ("app", "app.corp.example", "APP", "www") for port in ("", ":8080")]
    assert found_in(TicketTheft, frame(exchange(n, "TGS", each, MODERN, 18) for n, each in enumerate(spellings))) == []
    assert found_in(TicketTheft, slowly) == found_in(TicketTheft, machines) == []
