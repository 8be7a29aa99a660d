"""Rules on captures, from the command line to detections, with the core's own engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest

import infraspectre
from infraspectre import _core
from infraspectre.cli import run
from infraspectre.simulation import simulate
from rule_lines import rule

pytestmark = pytest.mark.skipif(not hasattr(_core, "RuleSet"), reason="this build of the core has no signatures")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "my.rules"
    mitre = "metadata:mitre_technique_id T1095, confidence High; priority:1; "
    path.write_text(f"{rule(1, more=mitre)}\n{rule(2, content='absent')}\n#{rule(3)}\n{rule(4, more='nonsense; ')}\n")
    return path


def sids(capture: Path, rules: Path, capsys: pytest.CaptureFixture[str], *options: str) -> list[int]:
    capsys.readouterr()
    run(["alerts", str(capture), "--rules", str(rules), *options])
    return [json.loads(line)["alert"]["signature_id"] for line in capsys.readouterr().out.splitlines()]


def test_a_rule_raises_an_alert_with_all_that_is_promised(
    capture: Path, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["alerts", str(capture), "--rules", str(file)]) == 3
    said = capsys.readouterr()
    (alert,) = map(json.loads, said.out.splitlines())
    assert (alert["event_type"], alert["proto"], alert["pcap_cnt"]) == ("alert", "UDP", 1)
    assert (alert["src_ip"], alert["src_port"], alert["dest_ip"], alert["dest_port"]) == (
        "10.0.0.1",
        40000,
        "10.0.0.2",
        9,
    )
    assert alert["timestamp"].startswith("2023-11-14T22:13:20.000000")
    about = {key: alert["alert"][key] for key in ("action", "gid", "signature_id", "rev", "signature", "severity")}
    expected = {"action": "allowed", "gid": 1, "signature_id": 1, "rev": 1, "signature": "said test", "severity": 1}
    assert about == expected
    assert alert["alert"]["metadata"]["mitre_technique_id"] == ["T1095"]
    assert f"{file}:4: 1:4: " in said.err


def test_decisions_reach_the_engine(capture: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert sids(capture, file, capsys) == [1]
    run(["rules", "enable", str(file), "--rule", "3"])
    assert sorted(sids(capture, file, capsys)) == [1, 3]
    run(["rules", "disable", str(file), "--rule", "1"])
    assert sids(capture, file, capsys) == [3]
    run(["rules", "suppress", str(file), "--rule", "3", "--track", "by_src", "--ip", "10.9.9.9"])
    assert sids(capture, file, capsys) == [3]
    run(["rules", "suppress", str(file), "--rule", "3", "--track", "by_src", "--ip", "10.0.0.0/24"])
    assert sids(capture, file, capsys) == []


def test_settings_reach_the_engine(capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "home.rules"
    path.write_text(rule(5).replace("udp any", "udp $HOME_NET"))
    assert sids(capture, path, capsys, "--set", "vars.address-groups.HOME_NET=10.0.0.1") == [5]
    assert sids(capture, path, capsys, "--set", "vars.address-groups.HOME_NET=10.0.0.2") == []


def test_alerts_and_flows_share_their_identity(capture: Path, file: Path) -> None:
    analysis = infraspectre.analyze(capture, signatures=infraspectre.load_rules(file))
    (found,) = [one for one in analysis.detections if one.detector == "signatures"]
    assert found.flow_ids == analysis.flows["flow_id"].to_list()
    assert [technique.id for technique in found.techniques] == ["T1095"]
    assert found.severity == "high"


def test_rules_cost_time(capture: Path, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["rules", "profile", str(capture), "--rules", str(file), "--json"]) == 3
    costs = {cost["sid"]: cost for cost in json.loads(capsys.readouterr().out)}
    assert costs[1]["matches"] == 1
    assert costs[1]["ns"] > 0


def test_emerging_threats_can_be_checked(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules = data / "net" / "rules" / "et-open-2024-09" / "et.rules.zst"
    assert run(["rules", "check", str(rules), "--json"]) in (0, 3)
    checked = json.loads(capsys.readouterr().out)
    assert checked["rules"] == 31_232
    assert checked["loaded"] >= 0.99 * checked["rules"]
    assert all(refused["reason"] and refused["line"] for refused in checked["refused"])


def many_rules() -> str:
    """Return a few hundred rules on payloads, fields, states and rates, of which many match in one packet."""
    options = [
        *(f'content:"|{byte:02x}|"; content:"e"; distance:0; ' for byte in range(0x20, 0x80)),
        *(f'content:"|00 {byte:02x}|"; ' for byte in range(0x20, 0x60)),
        *(f"dsize:>{size}; flowint:n,+,1; " for size in range(0, 640, 10)),
        *(f"flowbits:isnotset,b{bit}; flowbits:set,b{bit + 1}; " for bit in range(20)),
        *(f"xbits:isnotset,b{bit},track ip_src; xbits:set,b{bit + 1},track ip_src,expire 9; " for bit in range(20)),
    ]
    kinds = ("limit", "threshold", "both")
    rates = [f"threshold:type {kinds[at % 3]}, track by_src, count {at % 7 + 2}, seconds 60; " for at in range(21)]
    fields = ('http.uri; content:"/"', 'http.host; content:"."', 'tls.sni; content:"."', 'dns.query; content:"."')
    lines = [
        *(f"alert ip any any -> any any ({more}{rates[at % 21]}sid:{at};)" for at, more in enumerate(options, 1)),
        *(
            f'alert {field[: field.index(".")]} any any -> any any ({field}; pcre:"/[{first}-z]/"; sid:{sid};)'
            for sid, (field, first) in enumerate(product(fields, "abcdefghij"), 1001)
        ),
    ]
    return "\n".join(lines)


def test_alerts_are_the_same_on_every_run(tmp_path: Path) -> None:
    capture, rules = simulate("office", tmp_path, hosts=4, duration_s=20, scale=0.01).capture, tmp_path / "many.rules"
    rules.write_text(many_rules())
    command = [sys.executable, "-m", "infraspectre.cli", "alerts", str(capture), "--rules", str(rules)]

    def told(seed: str) -> bytes:
        environment = os.environ | {"PYTHONHASHSEED": seed}
        done = subprocess.run(command, env=environment, capture_output=True, check=False)
        # A packet gives only so many alerts; which of them are left out has to be the same, too.
        assert done.returncode == 3, done.stderr
        return done.stdout

    def read(*, read_ahead: bool) -> bytes:
        return b"".join(_core.AlertReader([str(capture)], _core.RuleSet([str(rules)]), read_ahead=read_ahead))

    first = told("1")
    assert len({json.loads(line)["alert"]["signature_id"] for line in first.splitlines()}) >= 100
    assert told("2") == first
    assert read(read_ahead=True) == first
    assert read(read_ahead=False) == first
