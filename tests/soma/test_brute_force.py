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


def short(at: float, **said: Any) -> dict[str, Any]:
    return flow(at, **({"orig_payload_bytes": 470, "resp_payload_bytes": 1_380, "app_protocol": "tls"} | said))


@pytest.mark.parametrize("port", [465, 993, 443, 389])
def test_equal_encrypted_sessions_in_a_row_are_guessing(port: int) -> None:
    tries = [short(n * 2 + n % 7 / 5, resp_port=port, orig_payload_bytes=465 + n % 5) for n in range(200)]
    found = found_in(BruteForce, frame(tries))[0]
    assert found.severity == "medium"
    assert [each.id for each in found.techniques] == ["T1110.001", "T1110.003"]


def test_mail_programs_and_health_checks_are_quiet() -> None:
    mail = [short(n * 30, resp_port=993, resp_payload_bytes=2_000 + n * 97 % 3_000) for n in range(300)]
    health = [short(n * 5, orig_ip="10.0.0.2", resp_port=443) for n in range(800)]
    outside = [short(n, resp_ip="192.0.2.1", resp_port=443) for n in range(800)]
    assert found_in(BruteForce, frame(mail + health + outside)) == []


def test_few_tries_an_hour_are_found_with_their_accounts() -> None:
    tries = [flow(n * 700, resp_port=445, smb_auth_failures=1, smb_users=[f"CORP\\u{n % 5}"]) for n in range(40)]
    found = found_in(BruteForce, frame(tries))
    assert [(each.category, each.severity) for each in found][:1] == [("smb_brute_force", "medium")]


@pytest.mark.parametrize("gap_s", [30, 900])
def test_a_job_with_a_wrong_password_is_of_low_severity(gap_s: int) -> None:
    tries = [flow(n * gap_s, resp_port=445, smb_auth_failures=1, smb_users=["CORP\\job"]) for n in range(60)]
    assert {each.severity for each in found_in(BruteForce, frame(tries))} <= {"low"}


def test_a_terminal_server_where_people_mistype_is_no_spray() -> None:
    wrong = [flow(n * 600, resp_port=445, smb_auth_failures=1, smb_users=[f"CORP\\u{n}"]) for n in range(15)]
    right = [flow(n * 100, resp_port=445, smb_auth_failures=0, smb_users=[f"CORP\\u{n % 40}"]) for n in range(90)]
    assert found_in(BruteForce, frame(wrong + right)) == []


def test_guessing_after_earlier_work_is_found() -> None:
    early = [flow(n * 3_600, **FAILING["ssh"]) for n in range(3)]
    late = [flow(20_000 + n * 5, **FAILING["ssh"]) for n in range(60)]
    assert found_in(BruteForce, frame(early + late))[0].category == "ssh_brute_force"


@pytest.mark.parametrize("service", ["ssh", "smb"])
def test_a_login_that_goes_through_is_noted(service: str) -> None:
    right: dict[str, dict[str, Any]] = {
        "ssh": {"resp_payload_bytes": 90_000},
        "smb": {"smb_auth_failures": 0, "smb_users": ["CORP\\eve"]},
    }
    rows = [flow(n, **FAILING[service]) for n in range(50)] + [flow(60, **FAILING[service] | right[service])]
    found = found_in(BruteForce, frame(rows))[-1]
    assert found.evidence.measures["logins"] == 1
    assert "1 login beside them went through" in found.evidence.summary


def test_one_password_at_many_doors_is_spraying() -> None:
    tries = [flow(n * 20, **FAILING["ssh"] | {"resp_ip": f"10.0.1.{n % 20}"}) for n in range(40)]
    found = found_in(BruteForce, frame(tries))
    assert [(each.category, each.resp) for each in found] == [("password_spray", None)]


def test_ordinary_use_is_quiet() -> None:
    jobs = [flow(n * 300, app_protocol="ssh", resp_port=22) for n in range(60)]
    work = [flow(n, app_protocol="ssh", resp_port=22, resp_payload_bytes=90_000) for n in range(60)]
    ntlm = [flow(n, http_statuses=[401, 401, 200, 200, 200], http_methods=["GET"] * 5) for n in range(60)]
    assert found_in(BruteForce, frame(jobs + work + ntlm)) == []


def test_guessing_lasts_from_its_first_burst_to_its_last() -> None:
    everyday = [short(n * 1_200, resp_port=993, resp_payload_bytes=2_000 + n * 97 % 3_000) for n in range(30)]
    tries = [short(15_000 + n * 5 + n % 7 / 5, resp_port=993) for n in range(200)]
    rows = sorted(everyday + tries, key=lambda row: row["started_at"])
    found = found_in(BruteForce, frame(rows), size=16)[-1]
    assert found.category == "imaps_brute_force"
    assert found.evidence.measures["duration_s"] < 2_000


def test_a_short_visit_after_the_guess_that_was_right_hides_no_guessing() -> None:
    tries = [flow(n, **FAILING["ssh"]) for n in range(20)]
    visit = flow(21, **FAILING["ssh"] | {"orig_payload_bytes": 5_000, "resp_payload_bytes": 7_900})
    (found,) = found_in(BruteForce, frame([*tries, visit]))
    assert found.category == "ssh_brute_force"
    assert found.evidence.measures["attempts"] == 20
