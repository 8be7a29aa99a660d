"""An independent dissector reads from each protocol what was meant."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest

TSHARK = shutil.which("tshark")
pytestmark = pytest.mark.skipif(TSHARK is None, reason="tshark is not installed")
QUICK: dict[str, Any] = {"hosts": 3, "duration_s": 60, "background": False}
OFFICE: dict[str, Any] = {"hosts": 5, "duration_s": 120, "scale": 0.05}


def values(made: Any, field: str, condition: str = "") -> set[str]:
    """Return the distinct values of a field."""
    chosen = ["-Y", condition] if condition else []
    command = [str(TSHARK), "-n", "-r", str(made.result.capture), *chosen, "-T", "fields", "-e", field]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return {value for line in done.stdout.splitlines() for value in line.split(",") if value}


@pytest.mark.parametrize(
    ("field", "condition", "expected"),
    [
        ("tls.handshake.extensions_server_name", "", {"updates.example", "drive.example", "mail.corp.example"}),
        ("tls.handshake.extensions_alpn_str", "", {"h2", "http/1.1"}),
        ("tls.handshake.ciphersuite", "tls.handshake.type==2", {"0x1301"}),
        ("dns.qry.name", "", {"updates.example", "_ipp._tcp.local"}),
        ("dns.flags.rcode", "dns.flags.response==1", {"0", "3"}),
        ("http.host", "http.request", {"intranet.corp.example", "239.255.255.250:1900"}),
        ("dhcp.option.hostname", "", {"pc001", "pc002"}),
        ("dhcp.option.dhcp", "", {"1", "2", "3", "5"}),
        ("ntp.flags.mode", "", {"3", "4"}),
        ("kerberos.msg_type", "", {"10", "11", "12", "13", "30"}),
        ("kerberos.CNameString", "", {"user001", "user002"}),
        ("smb2.tree", "smb2.cmd==3", {"\\\\10.20.0.11\\Projects"}),
        ("ntlmssp.auth.username", "ntlmssp.messagetype==3", {"administrator"}),
        ("smtp.req.command", "", {"EHLO", "STAR", "MAIL", "DATA"}),
        ("snmp.name", "", {"1.3.6.1.2.1.1.3.0"}),
        ("icmp.type", "icmp", {"8", "0"}),
    ],
)
def test_the_sample(make: Callable[..., Any], field: str, condition: str, expected: set[str]) -> None:
    assert expected <= values(make("sample"), field, condition)


def test_ssh_and_certificates(make: Callable[..., Any]) -> None:
    guesses = make("brute-force", attempts=10, **QUICK)
    assert values(guesses, "ssh.protocol") >= {"SSH-2.0-libssh2_1.11.0"}
    beacons = make("beacon", period_s=4, jitter=0.2, **QUICK)
    assert "status.k4vq9x.example" in values(beacons, "x509sat.uTF8String")


def test_shares_and_tickets(make: Callable[..., Any]) -> None:
    made = make("lateral-movement", targets=2, **QUICK)
    assert values(made, "smb2.filename") >= {"PSEXESVC.exe", "svcctl"}
    assert values(made, "kerberos.etype", "kerberos.msg_type==13") >= {"23"}
    assert values(made, "dcerpc.pkt_type") == {"11"}
    assert values(made, "rdp.rt_cookie") == {"Cookie: mstshash=administrator"}


def test_files_over_ftp(make: Callable[..., Any]) -> None:
    made = make("exfiltration", channel="ftp", megabytes=0.1, **QUICK)
    assert values(made, "ftp.request.command") == {"USER", "PASS", "TYPE", "PASV", "STOR", "QUIT"}


def test_nothing_is_retransmitted_but_what_was_lost(make: Callable[..., Any]) -> None:
    made = make("office", **OFFICE)
    flagged = values(made, "_ws.expert.message", "tcp.analysis.flags && !tcp.analysis.retransmission")
    assert flagged == set()
