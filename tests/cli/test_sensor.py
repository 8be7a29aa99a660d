from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infraspectre.cli import run
from infraspectre.cli.sensor import address
from infraspectre.errors import UsageError

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.pcap.gz"


@pytest.mark.parametrize(
    ("text", "found"),
    [("host:1", ("host", 1)), ("192.0.2.1:8443", ("192.0.2.1", 8443)), ("[2001:db8::1]:5", ("2001:db8::1", 5))],
)
def test_addresses(text: str, found: tuple[str, int]) -> None:
    assert address(text) == found


@pytest.mark.parametrize("text", ["", "host", ":1", "host:", "host:0", "host:65536", "host:x"])
def test_addresses_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="HOST:PORT"):
        address(text)


@pytest.mark.parametrize("words", [[], ["--interface", "eth0", "--replay", "x.pcap"]])
def test_there_is_one_thing_to_capture(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["sensor", "--server", "127.0.0.1:9", *words]) == 2
    assert "either --interface or --replay" in capsys.readouterr().err


def test_a_sensor_without_a_server_ends_when_it_is_told_to_and_keeps_its_flows(tmp_path: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        server = f"127.0.0.1:{unused.getsockname()[1]}"
        words = ["sensor", "--server", server, "--insecure", "--name", "probe", "--spool", str(tmp_path), "--json"]
        command = [sys.executable, "-m", "infraspectre.cli", *words, "--replay", str(SAMPLE), "--speed", "1"]
        started = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        while not (tmp_path / "lock").exists():
            assert started.poll() is None
            time.sleep(0.01)
        time.sleep(0.5)
        started.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        started.send_signal(signal.SIGTERM)  # once more: whoever does not want to wait
        said, noted = started.communicate(timeout=20)
    assert started.returncode == 0, noted
    status = json.loads(said.splitlines()[-1])
    assert not status["is_connected"]
    assert status["spool"]["received"] == status["spool"]["queued"]
