"""`infraspectre alerts`: where alerts go, what is said beside them, and the exit statuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from infraspectre.cli import run
from signature_fakes import FakeAlertReader

pytestmark = pytest.mark.usefixtures("fake_signatures")

RULE = 'alert udp any any -> any any (msg:"said test"; content:"test"; sid:{sid}; rev:1;)\n'


@pytest.fixture
def rules(tmp_path: Path) -> Path:
    path = tmp_path / "my.rules"
    path.write_text(RULE.format(sid=1) + RULE.format(sid=2).replace("test", "absent"))
    return path


def sids(text: str) -> list[int]:
    return [json.loads(line)["alert"]["signature_id"] for line in text.splitlines()]


def test_alerts_go_to_stdout_and_remarks_to_stderr(
    capture: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["alerts", str(capture), "--rules", str(rules)]) == 0
    said = capsys.readouterr()
    assert sids(said.out) == [1]
    assert said.err == "1 packet, 2 rules, 1 alert\n"


def test_a_file_takes_the_alerts_and_json_the_account(
    capture: Path, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["alerts", str(capture), "--rules", str(rules), "--out", str(tmp_path / "eve.jsonl"), "--json"]) == 0
    said = capsys.readouterr()
    assert sids((tmp_path / "eve.jsonl").read_text()) == [1]
    account = json.loads(said.out)
    assert (account["alerts"], account["rules"], account["refused"]) == (1, 2, [])
    assert said.err == ""


def test_the_packets_behind_alerts_are_written(
    capture: Path, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packets = tmp_path / "behind.pcapng"
    assert run(["alerts", str(capture), "--rules", str(rules), "--packets", str(packets)]) == 0
    assert capture.read_bytes()[-4:] in packets.read_bytes()
    assert run(["alerts", "-", "--rules", str(rules), "--packets", str(packets)]) == 2
    assert "-: can be read only once, and is needed again for packets" in capsys.readouterr().err


def test_conversations_beyond_the_bound_are_a_loss(
    capture: Path, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("infraspectre.capture.packets.MOST_CONVERSATIONS", 0)
    assert run(["alerts", str(capture), "--rules", str(rules), "--packets", str(tmp_path / "behind.pcapng")]) == 3
    assert "1 shed: alerts whose packets are not written" in capsys.readouterr().err


def test_a_refused_rule_is_a_loss_and_stops_nothing(
    capture: Path, rules: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rules.write_text(rules.read_text() + "alert udp any any -> any any (nonsense:1; sid:3;)\n")
    assert run(["alerts", str(capture), "--rules", str(rules)]) == 3
    said = capsys.readouterr()
    assert sids(said.out) == [1]
    assert f"{rules}:3: 1:3: there is no keyword nonsense; did you mean noalert?" in said.err


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["{capture}"], "--rules requires an argument"),
        (["{capture}", "--rules", "absent.rules"], "absent.rules: no such file or folder"),
        (["{capture}", "--rules", "{folder}/empty"], "empty: holds no rules"),
        (["{capture}", "--rules", "{rules}", "--set", "HOME_NET"], "'HOME_NET' is not name=value"),
        (["{folder}/log", "--rules", "{rules}"], "rules match packets, and this is a Zeek log"),
        (["{capture}", "--rules", "{folder}/off.rules"], "no rule can be used"),
    ],
)
def test_what_cannot_work_ends_with_2_and_one_line(
    arguments: list[str], problem: str, capture: Path, rules: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "conn.log").write_text("#separator \\x09\n")
    (tmp_path / "off.rules").write_text(f"#{RULE.format(sid=1)}")
    places = {"capture": capture, "rules": rules, "folder": tmp_path}
    assert run(["alerts", *(argument.format(**places) for argument in arguments)]) == 2
    said = capsys.readouterr()
    assert problem in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_what_was_lost_is_told(
    capture: Path, rules: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = FakeAlertReader.summary

    def cut(self: FakeAlertReader) -> dict[str, object]:
        return whole(self) | {"unreadable": {"one.pcap": "is cut"}, "shed": {"flows": 2}}

    monkeypatch.setattr(FakeAlertReader, "summary", cut)
    assert run(["alerts", str(capture), "--rules", str(rules)]) == 3
    told = capsys.readouterr().err
    assert "warning: one.pcap: is cut; what could be read was kept" in told
    assert "warning: 2 shed: flows" in told


def test_an_interruption_leaves_nothing_behind(
    capture: Path, rules: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(_: object) -> Iterator[bytes]:
        yield b"{}\n"
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeAlertReader, "__iter__", interrupted)
    assert run(["alerts", str(capture), "--rules", str(rules), "--out", str(tmp_path / "eve.jsonl")]) == 130
    assert not [path for path in tmp_path.iterdir() if "eve" in path.name]


def test_many_refusals_do_not_hide_the_rest(capture: Path, rules: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rules.write_text(rules.read_text() + "alert udp any any -> any any (nonsense:1; sid:3;)\n" * 30)
    assert run(["alerts", str(capture), "--rules", str(rules)]) == 3
    told = capsys.readouterr().err
    assert told.count("there is no keyword") == 20
    assert "10 more are refused; 'infraspectre rules check' names all" in told
