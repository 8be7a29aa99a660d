"""Remote control: SSH, RDP and WinRM."""

from __future__ import annotations

from infraspectre.simulation.activities import secure
from infraspectre.simulation.conversation import TcpConversation
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import http, rdp, ssh, tls
from infraspectre.simulation.site import Site

PASSWORD_TRIES = 3
"""Passwords tried in one SSH connection."""
COPY_BYTES = 20 * 1460
"""Bytes that a copy sends before it is told that they arrived."""


def _shake_hands(site: Site, talk: TcpConversation, software: str) -> None:
    talk.connect()
    talk.request(ssh.banner(software))
    talk.wait(0.008)
    talk.respond(ssh.banner(ssh.OPENSSH_SERVER))
    talk.request(ssh.key_exchange(site.rng, software))
    talk.respond(ssh.key_exchange(site.rng, ssh.OPENSSH_SERVER))
    talk.request(ssh.client_key(site.rng))
    talk.respond(ssh.server_key(site.rng))
    talk.request(ssh.new_keys())


def _sealed(site: Site, talk: TcpConversation, asked: int, answered: int) -> None:
    talk.request(site.rng.randbytes(asked))
    talk.wait(0.002)
    talk.respond(site.rng.randbytes(answered))


def fail_ssh(site: Site, client: Host, server: Host, at: float, software: str = ssh.SCRIPT_CLIENT) -> float:
    """Try a few wrong passwords until the server hangs up."""
    talk = site.tcp(client, server, 22, at)
    _shake_hands(site, talk, software)
    _sealed(site, talk, 44, 44)
    for _ in range(PASSWORD_TRIES):
        talk.wait(site.rng.uniform(0.02, 0.1))
        _sealed(site, talk, site.rng.choice((84, 100)), 52)
        talk.wait(site.rng.uniform(0.3, 1.2))
    talk.close(by_orig=False)
    return talk.now


def use_ssh(site: Site, client: Host, server: Host, at: float, lines: int, software: str = ssh.OPENSSH_CLIENT) -> float:
    """Log on and type some lines."""
    talk = site.tcp(client, server, 22, at)
    _shake_hands(site, talk, software)
    for asked, answered in ((44, 44), (84, 28), (112, 500), (176, 44)):
        _sealed(site, talk, asked, answered)
    for _ in range(lines):
        for _ in range(site.rng.randrange(3, 12)):
            _sealed(site, talk, 36, 36)
            talk.wait(site.rng.uniform(0.05, 0.4))
        talk.respond(site.rng.randbytes(site.rng.randrange(60, 1_400) // 4 * 4))
        talk.wait(site.rng.expovariate(0.5))
    talk.close()
    return talk.now


def copy_over_ssh(site: Site, client: Host, server: Host, at: float, size: int) -> float:
    """Copy files to a server inside an SSH session."""
    talk = site.tcp(client, server, 22, at)
    _shake_hands(site, talk, ssh.OPENSSH_CLIENT)
    for asked, answered in ((44, 44), (500, 28), (112, 500)):
        _sealed(site, talk, asked, answered)
    for _ in range(-(-size // COPY_BYTES)):
        _sealed(site, talk, COPY_BYTES, 36)
        talk.wait(site.rng.uniform(0.01, 0.1))
    talk.close()
    return talk.now


def open_rdp(site: Site, client: Host, server: Host, at: float, user: str) -> secure.TlsSession:
    """Ask for a desktop as a user and begin TLS."""
    talk = site.tcp(client, server, 3389, at)
    talk.connect()
    talk.request(rdp.connection_request(user))
    talk.respond(rdp.connection_confirm())
    return secure.TlsSession(site, talk, server, tls.SYSTEM, server.name, is_self_signed=True)


def fail_rdp(site: Site, client: Host, server: Host, at: float, user: str) -> float:
    """Fail to log on to a desktop: the server breaks off after CredSSP."""
    session = open_rdp(site, client, server, at, user)
    session.ask(100, 260)
    session.ask(560, 60)
    session.talk.reset(by_orig=False)
    return session.talk.now


def use_rdp(site: Site, client: Host, server: Host, at: float, user: str, seconds: float) -> float:
    """Work on a desktop for a while."""
    session = open_rdp(site, client, server, at, user)
    for asked, answered in ((100, 260), (560, 60), (450, 180), (2_000, 6_000)):
        session.ask(asked, answered)
    while session.talk.now < at + seconds:
        session.ask(site.rng.randrange(30, 120), site.size(2_500))
        session.talk.wait(site.rng.uniform(0.1, 1.5))
    session.close()
    return session.talk.now


def run_winrm(site: Site, client: Host, server: Host, at: float, commands: int = 2) -> float:
    """Run commands through WinRM: HTTP on port 5985, logged on with NTLM, bodies encrypted (MS-WSMV)."""
    talk = site.tcp(client, server, 5985, at)
    talk.connect()
    for _ in range(2 + commands * 3):
        body = site.rng.randbytes(site.rng.randrange(1_200, 2_400))
        kind = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted"'
        talk.request(http.request(server.name, "/wsman", "POST", "Microsoft WinRM Client", body, Content_Type=kind))
        talk.wait(site.rng.uniform(0.01, 0.2))
        talk.respond(
            http.response(200, site.rng.randbytes(site.rng.randrange(900, 3_000)), kind, "Microsoft-HTTPAPI/2.0")
        )
    talk.close()
    return talk.now
