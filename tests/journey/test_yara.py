"""YARA rules on captures, from the command line to detections, with payloads that the core puts together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import infraspectre
from infraspectre.cli import run
from infraspectre.errors import UsageError
from infraspectre.simulation.conversation import TcpConversation
from talks import CLIENT, MARKER, SERVER, captured, download

RULES = """
rule Marker {
  meta:
    description = "a marker of tests"
    mitre_attack = "T1105"
    score = 80
  strings:
    $marker = "%s"
  condition:
    $marker
}
rule Named { condition: filename == "tool.bin" }
""" % MARKER.decode()  # noqa: UP031 - YARA has braces of its own


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "marker.yar"
    path.write_text(RULES)
    return path


def found(out: Path) -> list[dict[str, Any]]:
    lines = (out / "detections.jsonl").read_text().splitlines()
    return [each for each in map(json.loads, lines) if each["detector"].startswith("yara:")]


@pytest.mark.parametrize("option", ["--yara", "--rules"])
def test_a_download_is_found(tmp_path: Path, rules: Path, option: str) -> None:
    path = captured(tmp_path / "download.pcap", download, loss=0.05)
    assert run(["analyze", str(path), option, str(rules), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    marker, named = sorted(found(tmp_path / "out"), key=lambda each: str(each["detector"]))
    assert (marker["detector"], named["detector"]) == ("yara:Marker", "yara:Named")
    assert (marker["score"], [each["id"] for each in marker["techniques"]]) == (0.8, ["T1105"])
    assert marker["evidence"]["examples"] == ["/tools/tool.bin"]
    assert marker["evidence"]["measures"]["payload_bytes"] == 400_000 + len(MARKER)


def test_payloads_and_flows_share_their_identity(tmp_path: Path, rules: Path) -> None:
    path = captured(tmp_path / "download.pcap", download)
    analysis = infraspectre.analyze(path, yara=infraspectre.load_yara(rules))
    yara = [each for each in analysis.detections if each.detector == "yara:Marker"]
    assert [each.flow_ids for each in yara] == [analysis.flows["flow_id"].to_list()]
    assert (yara[0].orig, yara[0].resp) == (CLIENT.ip, SERVER.ip)


def test_streams_of_unknown_protocols_are_scanned(tmp_path: Path, rules: Path) -> None:
    def talk(conversation: TcpConversation) -> None:
        conversation.request(b"\x01\x02\x03 give me what is there")
        conversation.respond(bytes(5_000) + MARKER + bytes(5_000))

    path = captured(tmp_path / "unknown.pcap", talk, port=41_234)
    run(["analyze", str(path), "--yara", str(rules), "--out", str(tmp_path / "out"), "--quiet"])
    (marker,) = found(tmp_path / "out")
    assert (marker["detector"], marker["evidence"]["measures"]["payload_bytes"]) == (
        "yara:Marker",
        10_000 + len(MARKER),
    )


def test_what_is_too_long_is_cut_and_counted(
    tmp_path: Path, rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from infraspectre.adapters import yara

    bounds = yara.YaraSettings(max_bytes=100_000)
    monkeypatch.setattr(yara, "YaraSettings", lambda: bounds)
    path = captured(tmp_path / "download.pcap", download)
    assert run(["analyze", str(path), "--yara", str(rules), "--out", str(tmp_path / "out"), "--quiet"]) == 3
    assert [each["detector"] for each in found(tmp_path / "out")] == ["yara:Named"]
    assert json.loads((tmp_path / "out" / "summary.json").read_text())["shed"] == {"payloads: payloads_truncated": 1}
    assert "payloads_truncated" in capsys.readouterr().err


def test_a_refused_rule_is_named_and_the_others_are_used(
    tmp_path: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules.write_text(f"{RULES}\nrule Wrong {{ condition: $missing }}\n")
    path = captured(tmp_path / "download.pcap", download)
    assert run(["analyze", str(path), "--yara", str(rules), "--out", str(tmp_path / "out"), "--quiet"]) == 3
    assert f"{rules}:{len(RULES.splitlines()) + 2}: Wrong: " in capsys.readouterr().err
    assert len(found(tmp_path / "out")) == 2


def test_a_folder_may_hold_rules_of_several_kinds(tmp_path: Path, rules: Path) -> None:
    folder = tmp_path / "rules"
    folder.mkdir()
    rules.rename(folder / rules.name)
    (folder / "one.rules").write_text(
        'alert http any any -> any any (msg:"a tool"; http.uri; content:"tool"; sid:1;)\n'
    )
    path = captured(tmp_path / "download.pcap", download)
    assert run(["analyze", str(path), "--rules", str(folder), "--out", str(tmp_path / "out"), "--quiet"]) == 0
    assert len(found(tmp_path / "out")) == 2
    assert len((tmp_path / "out" / "alerts.jsonl").read_text().splitlines()) == 1


def test_logs_have_no_payloads(tmp_path: Path, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "eve.json"
    log.write_text('{"timestamp": "2024-01-01T00:00:00.000000+0000", "event_type": "flow", "flow_id": 1}\n')
    assert run(["analyze", str(log), "--yara", str(rules), "--out", str(tmp_path / "out")]) == 2
    assert "YARA rules scan payloads" in capsys.readouterr().err
    with pytest.raises(UsageError, match="can be read only once"):
        infraspectre.analyze("-", yara=infraspectre.load_yara(rules))


def test_attachments_of_real_mail_are_scanned(tmp_path: Path, data: Path) -> None:
    rule = tmp_path / "text.yar"
    rule.write_text('rule Text { condition: filename == "EICAR-Test-File" and filesize == 68 }')
    path = data / "net/suricata-verify/tests/smtp-attachment-md5/input.pcap"
    analysis = infraspectre.analyze(path, yara=infraspectre.load_yara(rule))
    (text,) = [each for each in analysis.detections if each.detector == "yara:Text"]
    assert "1 mail attachment of 68 bytes" in text.evidence.summary
