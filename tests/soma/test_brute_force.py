"""Guessing is found by fields and by shape; forgotten passwords, jobs and logged-in clients are not."""

from __future__ import annotations

from typing import Any

import pytest

from flow_rows import flow, frame
from infraspectre.soma.brute_force import BruteForce
from soma_runs import found_in

FAILING: dict[str, dict[str, Any]] = {
    "ftp": {"ftp_login_failures": 2, "resp_port": 21},
    "smb": {"smb_auth_failures": 2, "resp_port": 445},
    "smtp": {"smtp_login_failures": 2, "resp_port": 25},
    "kerberos": {"kerberos_errors": [25, 24, 24], "resp_port": 88},
    "http": {"http_statuses": [401] * 4, "http_methods": ["GET"] * 4, "resp_port": 80},
    "ssh": {"app_protocol": "ssh", "resp_port": 22, "orig_payload_bytes": 1_800, "resp_payload_bytes": 2_400},
    "rdp": {"app_protocol": "rdp", "resp_port": 3389},
}


@pytest.mark.parametrize("service", FAILING)
def test_guessing_is_found(service: str) -> None:
    found = found_in(BruteForce, frame(flow(n, **FAILING[service]) for n in range(50)))
    assert [(each.category, each.orig, each.resp) for each in found] == [
        (f"{service}_brute_force", "10.0.0.5", "10.0.0.9")
    ]
    assert found[0].techniques[0].id == "T1110.001"


@pytest.mark.parametrize("service", FAILING)
def test_a_forgotten_password_is_not_guessing(service: str) -> None:
    assert found_in(BruteForce, frame(flow(n, **FAILING[service]) for n in range(4))) == []


def test_spraying_names_accounts_not_a_target() -> None:
    tries = [
        flow(n, resp_port=445, smb_auth_failures=1, smb_users=[f"CORP\\user{n}"], resp_ip=f"10.0.0.{n % 3}")
        for n in range(24)
    ]
    found = found_in(BruteForce, frame(tries))
    assert [(each.category, each.resp) for each in found] == [("password_spray", None)]
    assert found[0].evidence.measures["accounts"] == 24
    assert "CORP\\user0" in found[0].evidence.examples


def test_form_posts_are_counted() -> None:
    posts = [
        flow(n, http_methods=["GET", "POST"], http_uris=["/", "/wp-login.php"], http_statuses=[200, 200])
        for n in range(60)
    ]
    assert [each.category for each in found_in(BruteForce, frame(posts))] == ["http_brute_force"]


def test_ordinary_use_is_quiet() -> None:
    jobs = [flow(n * 300, app_protocol="ssh", resp_port=22) for n in range(60)]
    work = [flow(n, app_protocol="ssh", resp_port=22, resp_payload_bytes=90_000) for n in range(60)]
    ntlm = [flow(n, http_statuses=[401, 401, 200, 200, 200], http_methods=["GET"] * 5) for n in range(60)]
    assert found_in(BruteForce, frame(jobs + work + ntlm)) == []
