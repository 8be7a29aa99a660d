"""Entering many hosts and running things over shares are found; ordinary file service is not."""

from __future__ import annotations

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
