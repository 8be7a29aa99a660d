"""Scans: knocking on doors, as port scanners do."""

from __future__ import annotations

from infraspectre.simulation.hosts import Host
from infraspectre.simulation.packets import PORT_UNREACHABLE, UNREACHABLE
from infraspectre.simulation.protocols import http, ssh
from infraspectre.simulation.site import Site

REPORT_INTERVAL_S = 1.0
"""Least time between two ICMP errors to one host, the usual limit of operating systems (RFC 1812, 4.3.2.8)."""
CLOSED_PORT = UNREACHABLE, PORT_UNREACHABLE


def knock(site: Site, scanner: Host, target: Host, port: int, at: float, orig_port: int) -> None:
    """Send one SYN; the target refuses, accepts or, where nobody lives, stays silent."""
    talk = site.tcp(scanner, target, port, at, orig_port)
    if target.role == "unused":
        talk.unanswered(retries=1)
    elif port in open_ports(target):
        talk.half_open()
    else:
        talk.refused()


_OPEN_PORTS = {
    "domain controller and name server": (53, 88, 135, 389, 445, 3389, 5985),
    "file server": (135, 445, 3389, 5985),
    "mail server": (22, 25, 143, 465, 587, 993),
    "web server": (22, 80, 443),
    "backup server": (21, 22),
    "printer": (80, 631, 9100),
    "workstation": (135, 445, 3389),
}


def open_ports(host: Host) -> tuple[int, ...]:
    """Return the TCP ports on which a host of some role listens."""
    return _OPEN_PORTS.get(host.role, ())


class UdpProbe:
    """Sends empty datagrams to ports of one host, which says at most once a second that they are closed."""

    def __init__(self, site: Site, scanner: Host, target: Host) -> None:
        """Prepare probes of one host by another."""
        self._site, self._scanner, self._target = site, scanner, target
        is_silent = target.role == "unused" or not site.capture.is_free(target, scanner, "icmp", *CLOSED_PORT)
        self._reports = None if is_silent else site.unreachable(target, scanner, 0.0)
        self._next_report = 0.0

    def send(self, port: int, at: float) -> None:
        """Probe one port."""
        talk = self._site.udp(self._scanner, self._target, port, at)
        talk.request(b"")
        if self._reports and at >= self._next_report:
            self._reports.report(at, talk.last_packet)
            self._next_report = at + REPORT_INTERVAL_S


_GREETINGS = {
    21: b"220 FTP server ready\r\n",
    22: ssh.banner(ssh.OPENSSH_SERVER),
    25: b"220 mail.corp.example ESMTP\r\n",
    143: b"* OK IMAP4rev1 ready\r\n",
    587: b"220 mail.corp.example ESMTP\r\n",
}
"""What servers say before they are asked."""
BANNER_WAIT_S = 2.0


def grab_banner(site: Site, scanner: Host, target: Host, port: int, at: float) -> None:
    """Connect to one port, wait for a greeting or ask for a page, and hang up, as version detection does."""
    talk = site.tcp(scanner, target, port, at)
    if target.role == "unused":
        return talk.unanswered(retries=1)
    if port not in open_ports(target):
        return talk.refused()
    talk.connect()
    if port in _GREETINGS:
        talk.respond(_GREETINGS[port])
    else:
        talk.wait(site.rng.uniform(0.5, 1.0) * BANNER_WAIT_S)
        talk.request(b"GET / HTTP/1.0\r\n\r\n")
        talk.wait(0.02)
        if port in (80, 631, 9100):
            talk.respond(http.response(body=http.page(target.name, 600), Connection="close"))
    talk.close()
    return None


def sweep(site: Site, scanner: Host, target: Host, at: float) -> None:
    """Ping one address."""
    talk = site.echo(scanner, target, at)
    talk.ask(bytes(32))
    if target.role != "unused":
        talk.reply(bytes(32))
