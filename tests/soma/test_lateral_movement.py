"""Entering many hosts and running things over shares are found; ordinary file service is not."""

from __future__ import annotations

from typing import Any

import pytest

from flow_rows import flow, frame
from infraspectre.soma.lateral_movement import LateralMovement
from soma_runs import found_in


@pytest.mark.parametrize(
    ("port", "technique"), [(22, "T1021.004"), (445, "T1021.002"), (3_389, "T1021.001"), (5_985, "T1021.006")]
)
def test_entering_many_hosts_is_found(port: int, technique: str) -> None:
    found = found_in(LateralMovement, frame(flow(n, resp_ip=f"10.0.1.{n}", resp_port=port) for n in range(12)))
    assert [(each.category, each.resp, each.techniques[0].id) for each in found] == [
        ("lateral_movement", None, technique)
    ]
    assert found[0].evidence.measures["distinct_hosts"] == 12


def test_the_course_of_psexec_is_found_with_its_steps() -> None:
    rows = [
        flow(0, resp_port=445, smb_trees=["\\\\SRV\\ADMIN$", "\\\\SRV\\IPC$"], smb_files=["PSEXESVC.exe", "svcctl"])
    ]
    found = found_in(LateralMovement, frame(rows))[0]
    assert (found.category, found.resp, found.severity) == ("remote_execution", "10.0.0.9", "high")
    assert [each.id for each in found.techniques] == ["T1021.002", "T1570", "T1569.002"]
    assert "svcctl" in found.evidence.examples


def test_an_administrative_share_alone_is_of_low_severity() -> None:
    found = found_in(LateralMovement, frame([flow(0, resp_port=445, smb_trees=["\\\\SRV\\C$"])]))
    assert [(each.category, each.severity) for each in found] == [("admin_share", "low")]


def test_ordinary_file_service_is_quiet() -> None:
    files = [
        flow(n, resp_port=445, smb_trees=["\\\\SRV\\IPC$", "\\\\SRV\\data"], smb_files=["setup.exe", "srvsvc"])
        for n in range(50)
    ]
    outward = [flow(n, resp_ip=f"192.0.2.{n}", resp_port=22) for n in range(50)]
    assert found_in(LateralMovement, frame(files + outward)) == []


def reading(ip: str, at: float = 0.0, sites: int = 10) -> list[dict[str, Any]]:
    return [flow(at + n, orig_ip=ip, resp_ip=f"192.0.2.{n}", resp_port=443) for n in range(sites)]


def entering(orig: str, hosts: int, port: int, at: float = 100.0, gap_s: float = 60.0) -> list[dict[str, Any]]:
    return [
        flow(at + n * gap_s, orig_ip=orig, resp_ip=f"10.0.1.{n}", resp_port=port, orig_payload_bytes=9_000)
        for n in range(hosts)
    ]


def office(hosts: int) -> list[dict[str, Any]]:
    return [row for n in range(hosts) for row in reading(f"10.0.1.{n}")]


def levels(rows: list[dict[str, Any]], category: str = "lateral_movement") -> set[str]:
    found = found_in(LateralMovement, frame(rows), size=64)
    return {each.severity for each in found if each.category == category}


@pytest.mark.parametrize(("port", "hosts"), [(135, 3), (3_389, 4), (22, 5), (5_986, 6)])
def test_a_workstation_that_enters_others_is_found(port: int, hosts: int) -> None:
    rows = office(8) + reading("10.0.0.66") + entering("10.0.0.66", hosts, port)
    assert levels(rows) == {"medium"}


def test_an_administrator_on_a_few_servers_or_one_workstation_is_quiet() -> None:
    rows = reading("10.0.0.66") + entering("10.0.0.66", 6, 3_389)
    assert levels(rows) == set()
    assert levels(office(8) + reading("10.0.0.66") + entering("10.0.0.66", 2, 3_389)) == set()


def test_rounds_of_before_make_an_administrator() -> None:
    earlier = [row | {"resp_ip": f"10.0.2.{n}"} for n, row in enumerate(entering("10.0.0.66", 3, 22))]
    later = entering("10.0.0.66", 5, 3_389, at=20_000.0)
    assert levels([*earlier, *office(8), *reading("10.0.0.66"), *later]) == {"low"}


def test_a_server_that_manages_servers_is_of_low_severity() -> None:
    assert levels(entering("10.0.0.66", 10, 22)) == {"low"}


def test_a_round_begins_with_what_belongs_to_it() -> None:
    habit = [flow(600.0 * n, orig_ip="10.0.0.66", resp_ip="10.0.2.1", resp_port=22) for n in range(60)]
    quiet = [flow(20.0 * n, orig_ip="10.0.0.7") for n in range(1_800)]
    round_ = entering("10.0.0.66", 14, 22, at=30_000.0, gap_s=20.0)
    rows = sorted(office(16) + habit + quiet + round_, key=lambda row: row["started_at"])
    found = [each for each in found_in(LateralMovement, frame(rows), size=64) if each.category == "lateral_movement"]
    assert found[-1].evidence.measures["duration_s"] < 1_800


def test_a_server_that_enters_a_part_of_the_workstations_is_no_manager() -> None:
    serving = [flow(n, orig_ip=f"10.0.3.{n}", resp_ip="10.0.0.20", resp_port=443) for n in range(60)]
    assert levels(office(60) + serving + entering("10.0.0.20", 9, 22, gap_s=100.0)) == {"medium"}


def psexec(orig: str, hosts: int, gap_s: float = 30.0) -> list[dict[str, Any]]:
    opened = {"smb_trees": ["\\\\PC\\ADMIN$"], "smb_files": ["svcctl", "tool.exe"]}
    return [row | opened for row in entering(orig, hosts, 445, gap_s=gap_s)]


def test_software_distribution_is_of_low_severity_and_its_like_from_a_workstation_is_not() -> None:
    assert levels(office(40) + psexec("10.0.0.20", 20), "remote_execution") == {"low"}
    assert levels(office(40) + reading("10.0.0.66") + psexec("10.0.0.66", 20), "remote_execution") == {"high"}
    assert levels(office(40) + psexec("10.0.0.20", 3), "remote_execution") == {"high"}


def test_a_winrm_session_is_of_low_severity() -> None:
    rows = [flow(n, resp_port=5_985, app_protocol="http", http_uris=["/wsman?PSVersion=5.1"]) for n in range(3)]
    found = found_in(LateralMovement, frame(rows))[0]
    assert (found.category, found.severity, found.techniques[0].id) == ("remote_management", "low", "T1021.006")
    assert found.flow_ids == [1, 2, 3]


def procedure_calls(**dynamic: object) -> list[dict[str, object]]:
    return [flow(0, resp_port=135), flow(1, **({"resp_port": 49_700, "orig_payload_bytes": 9_000} | dynamic))]


def test_calls_of_a_port_that_the_endpoint_mapper_gave_out_are_found() -> None:
    found = found_in(LateralMovement, frame(procedure_calls()))
    assert [(each.category, each.severity, each.resp) for each in found] == [
        ("remote_procedure_calls", "low", "10.0.0.9")
    ]


@pytest.mark.parametrize(
    "rows",
    [
        procedure_calls(orig_payload_bytes=900),
        procedure_calls(resp_ip="10.0.0.10"),
        procedure_calls(app_protocol="tls"),
        procedure_calls()[1:],
        [flow(0, resp_port=88, app_protocol="kerberos"), *procedure_calls()],
    ],
    ids=["few bytes", "another host", "a known protocol", "without the mapper", "a domain controller"],
)
def test_other_calls_are_quiet(rows: list[dict[str, object]]) -> None:
    assert found_in(LateralMovement, frame(rows)) == []
