"""The contract of the command line: help, exit statuses, what goes to stdout, and messages."""

from __future__ import annotations

import json
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from infraspectre import __version__
from infraspectre.cli import COMMANDS, run
from infraspectre.cli.rules import COMMANDS as RULES

CASES = Path(__file__).parent.parent / "journey" / "cases"
ZEEK = str(CASES / "zeek-tsv" / "input")
HELP_SECONDS = 0.3


@pytest.mark.parametrize(
    "command", [[], *([name] for name in COMMANDS), ["config", "show"], *(["rules", name] for name in RULES)]
)
def test_every_command_has_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Usage: infraspectre" in shown
    if command and command not in (
        ["config"],
        ["rules"],
        ["models"],
        ["playbooks"],
        ["graph"],
        ["intel"],
        ["store"],
        ["log"],
        ["users"],
    ):
        assert all(option in shown for option in ("--json", "--quiet", "--config"))


def test_help_is_quick() -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-m", "infraspectre.cli", "--help"], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Twice the aim, for machines that are busy with other tests.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2 * HELP_SECONDS


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nonsense"], 'Unknown command "nonsense"'),
        (["flows", "x"], "--out requires an argument"),
        (["flows", "x", "--out", ""], "--out is empty"),
        (["analyze", ""], "INPUTS is empty"),
        (["flows", "x", "--out", "y.csv", "--wrong"], "Unknown option: --wrong"),
        (["flows", "absent.pcap", "--out", "y.csv"], "absent.pcap: cannot be opened: No such file"),
        (["flows", ZEEK, "--out", "y.xml"], "end the name with one of"),
        (["flows", ZEEK, "--out", "y.csv", "--features", "cic"], "has no CICFlowMeter columns"),
        (["flows", "-", "--out", "y.csv", "-wrong"], "Unknown option: -wrong"),
        (["config", "show", "--config", "absent.toml"], "absent.toml: cannot be read"),
        (["simulate", "nonsense", "--out", "x"], "there is no scenario 'nonsense'"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    said = capsys.readouterr()
    assert message in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_names_in_messages_do_not_act_on_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flows", "a\x1b[2Jb.pcap", "--out", "y.csv"]) == 2
    assert r"a\x1b[2Jb.pcap: cannot be opened" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"", b"just text\n", b"\xd4\xc3"], ids=["empty", "text", "stub"])
def test_what_is_no_capture_ends_with_2(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "capture.pcap"
    path.write_bytes(content)
    assert run(["flows", str(path), "--out", str(tmp_path / "out.csv")]) == 2
    assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "out.csv").exists()


def test_stdin_is_read_where_the_input_is_a_dash(capture: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "infraspectre.cli", "flows", "-", "--out", str(tmp_path / "out.csv"), "--json"]
    done = subprocess.run(command, input=capture.read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["flows"] == 1


def test_what_is_no_capture_beside_captures_is_a_loss(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = tmp_path / "text.pcap"
    text.write_text("hello")
    assert run(["flows", str(capture), str(text), str(tmp_path / "absent"), "--out", str(tmp_path / "out.csv")]) == 3
    told = capsys.readouterr().err
    assert f"{text}: not a capture" in told
    assert "absent: no such file" in told
    assert (tmp_path / "out.csv").read_text().count("\n") == 2


def test_a_file_of_a_folder_that_is_no_capture_but_named_as_one_is_a_loss(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notes.txt").write_text("about these captures")
    (tmp_path / "empty.pcap").touch()
    assert run(["flows", str(tmp_path), "--out", str(tmp_path / "out.csv")]) == 3
    told = capsys.readouterr().err
    assert f"{tmp_path / 'empty.pcap'}: not a capture: the file is empty" in told
    assert "notes.txt" not in told


def test_nothing_remains_of_a_table_that_cannot_be_completed(capture: Path, tmp_path: Path) -> None:
    command = ["flows", str(capture), "--out", str(tmp_path / "nested" / "out.parquet")]
    (tmp_path / "nested").mkdir()
    limit = f"ulimit -f 1; exec {sys.executable} -m infraspectre.cli {' '.join(command)}"
    done = subprocess.run(["bash", "-c", limit], capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "out.parquet: cannot be written: File too large" in done.stderr
    assert list((tmp_path / "nested").iterdir()) == []


def test_a_folder_without_captures_ends_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert run(["flows", str(tmp_path / "empty"), "--out", str(tmp_path / "out.csv")]) == 2
    assert "is an empty folder" in capsys.readouterr().err


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission_ends_with_2(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture.chmod(0)
    assert run(["flows", str(capture), "--out", "out.csv"]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_a_cut_capture_ends_with_3_and_keeps_what_could_be_read(
    capture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = capture.read_bytes()
    capture.write_bytes(whole + whole[24:-5])
    assert run(["flows", str(capture), "--out", str(tmp_path / "out.csv")]) == 3
    assert str(capture) in capsys.readouterr().err
    assert (tmp_path / "out.csv").read_text().count("\n") == 2


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "log"])
def test_a_full_disk_ends_with_1(tmp_path: Path, suffix: str, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / f"out.{suffix}"
    out.symlink_to("/dev/full")
    assert run(["flows", ZEEK, "--out", str(out)]) == 1
    assert f"{out}: cannot be written: No space left on device" in capsys.readouterr().err


def test_an_unwritable_place_ends_with_1(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("csv", "parquet"):
        assert run(["flows", ZEEK, "--out", f"/proc/nowhere/out.{name}"]) == 1
    assert capsys.readouterr().err.count("cannot be written") == 2


def test_results_need_a_folder_that_is_one(capture: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["analyze", str(capture), "--out", str(capture)]) == 1
    assert f"{capture}: is a file; name a folder" in capsys.readouterr().err


def test_json_is_all_there_is_on_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flows", ZEEK, "--out", str(tmp_path / "out.csv"), "--json"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["flows"] == 3
    assert said.err == ""


def test_quiet_says_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["flows", ZEEK, "--out", str(tmp_path / "out.csv"), "--quiet"]) == 0
    assert capsys.readouterr() == ("", "")


def test_settings_shown_can_be_read_back(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show"]) == 0
    shown = capsys.readouterr().out
    (tmp_path / "settings.toml").write_text(shown.replace("udp_idle_s = 60.0", "udp_idle_s = 30.0"))
    assert run(["config", "show", "--config", str(tmp_path / "settings.toml"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["flows"]["udp_idle_s"] == 30.0


RULE = "rules: [{id: web, title: t, severity: low, when: resp_port == 80}]\n"
CHECK = "tests: [{name: one, flows: [{resp_port: %d}], found: [%s]}]\n"


@pytest.mark.parametrize(
    ("text", "status", "told"),
    [
        (RULE + CHECK % (80, "web"), 0, "1 test of 1 rule: 1 passed"),
        (RULE, 0, "no test expects web"),
        (RULE + CHECK % (81, "web"), 1, "rules.yaml:2: one: web found nothing"),
        (RULE + CHECK % (81, "x"), 2, "rules.yaml:2: $.tests[0].found[0]: there is no rule 'x' in this file"),
        (RULE.replace("port", "prt"), 2, "rules.yaml:1: $.rules[0].when: at character 1: there is no field 'resp_prt'"),
    ],
)
def test_rules_are_tested(
    text: str, status: int, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "rules.yaml").write_text(text)
    assert run(["rules", "test", str(tmp_path / "rules.yaml")]) == status
    said = capsys.readouterr()
    assert told in said.err
    assert said.out == ""
    assert run(["rules", "test", str(tmp_path), "--json"]) == status
    result = json.loads(capsys.readouterr().out)
    assert result["signatures"] == []
    assert result["own"].keys() == {"files", "rules", "tests", "failed", "refused", "untested"}


def test_own_rules_reach_the_results(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULE.replace("resp_port == 80", "known(resp_port)"))
    arguments = ["analyze", ZEEK, "--rules", str(tmp_path / "rules.yaml"), "--out", str(tmp_path / "out"), "--quiet"]
    assert run(arguments) == 0
    assert '"detector":"rule:web"' in (tmp_path / "out" / "detections.jsonl").read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["completion", shell]) == 0
    assert "analyze" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"version": __version__}


def test_a_closed_pipe_is_no_drama() -> None:
    command = f"{sys.executable} -m infraspectre.cli features --json | head -n 1"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stdout == "[\n"
    assert done.stderr == ""


def test_an_interruption_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("infraspectre.adapters.exports.TextFile.write", interrupted)
    assert run(["flows", ZEEK, "--out", str(tmp_path / "out.csv")]) == 130
    assert list(tmp_path.iterdir()) == []
    assert "interrupted" in capsys.readouterr().err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_being_told_to_end_leaves_nothing_behind(number: signal.Signals, tmp_path: Path) -> None:
    source, sink = os.pipe()
    command = [sys.executable, "-m", "infraspectre.cli", "flows", "-", "--out", str(tmp_path / "flows.parquet")]
    with (
        os.fdopen(sink, "wb", buffering=0) as pipe,
        subprocess.Popen(command, stdin=source, stderr=subprocess.PIPE, text=True) as child,
    ):
        os.close(source)
        pipe.write(pcap_of_new_flows(20_000))
        wait_for(lambda: any(tmp_path.iterdir()))
        child.send_signal(number)
        pipe.write(pcap_of_new_flows(1)[24:])
        pipe.close()
        assert child.wait(timeout=30) == 128 + number
        assert child.stderr is not None
        assert "Traceback" not in child.stderr.read()
    assert list(tmp_path.iterdir()) == []


def pcap_of_new_flows(count: int) -> bytes:
    """Return a capture of so many datagrams, ten minutes after each other, so that each ends the flow before."""
    headers = b"\x45\0\0\x1c\0\0\0\0\x40\x11\0\0" + bytes([10, 0, 0, 1, 10, 0, 0, 2]) + b"\x04\xd2\x16\x2e\0\x08\0\0"
    records = (struct.pack("<4I", 600 * at, 0, len(headers), len(headers)) + headers for at in range(count))
    return struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 101) + b"".join(records)


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until something holds, but not for ever."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-"])
def test_closed_streams_are_no_drama(closed: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m infraspectre.cli analyze {ZEEK} --out {tmp_path} {closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, "error" in done.stderr) == (0, False)


def test_packets_that_cannot_be_decoded_are_a_loss(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capture = bytearray(pcap_of_new_flows(2))
    capture[20] = 189  # USB
    (tmp_path / "usb.pcap").write_bytes(capture)
    assert run(["flows", str(tmp_path / "usb.pcap"), "--out", str(tmp_path / "out.csv")]) == 3
    assert "2 packets of a link type that is not decoded (link-type-usb)" in capsys.readouterr().err


def test_a_bug_is_one_line_unless_debugging(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("infraspectre.app.write_flows", broken)
    arguments = ["flows", ZEEK, "--out", str(tmp_path / "out.csv")]
    assert run(arguments) == 1
    assert "run again with --debug" in capsys.readouterr().err
    with pytest.raises(RuntimeError, match="a bug"):
        run([*arguments, "--debug"])
