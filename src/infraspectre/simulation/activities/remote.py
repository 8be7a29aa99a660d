"""Remote control: SSH, RDP and WinRM."""

from __future__ import annotations

import base64

from infraspectre.simulation.activities import secure
from infraspectre.simulation.conversation import TcpConversation
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dcerpc, http, rdp, ssh, tls
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


def fail_ssh(
    site: Site, client: Host, server: Host, at: float, software: str = ssh.SCRIPT_CLIENT, tries: int = PASSWORD_TRIES
) -> float:
    """Try a few wrong passwords until the server hangs up."""
    talk = site.tcp(client, server, 22, at)
    _shake_hands(site, talk, software)
    _sealed(site, talk, 44, 44)
    for _ in range(tries):
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


WINRM_AGENT = "Microsoft WinRM Client"


def fail_winrm(site: Site, client: Host, server: Host, at: float) -> float:
    """Try a wrong password through WinRM; the server asks for another one."""
    talk = site.tcp(client, server, 5985, at)
    talk.connect()
    token = base64.b64encode(site.rng.randbytes(300)).decode()
    for proof in ("Negotiate TlRMTVNTUAABAAAAB4IIogAAAAA=", f"Negotiate {token}"):
        talk.request(http.request(server.name, "/wsman", "POST", WINRM_AGENT, Authorization=proof))
        talk.wait(site.rng.uniform(0.002, 0.05))
        talk.respond(http.response(401, server="Microsoft-HTTPAPI/2.0", WWW_Authenticate="Negotiate"))
    talk.close(by_orig=False)
    return talk.now


def run_winrm(site: Site, client: Host, server: Host, at: float, commands: int = 2) -> float:
    """Run commands through WinRM: HTTP on port 5985, logged on with NTLM, bodies encrypted (MS-WSMV)."""
    talk = site.tcp(client, server, 5985, at)
    talk.connect()
    for _ in range(2 + commands * 3):
        body = site.rng.randbytes(site.rng.randrange(1_200, 2_400))
        kind = 'multipart/encrypted;protocol="application/HTTP-SPNEGO-session-encrypted"'
        talk.request(http.request(server.name, "/wsman", "POST", WINRM_AGENT, body, Content_Type=kind))
        talk.wait(site.rng.uniform(0.01, 0.2))
        talk.respond(
            http.response(200, site.rng.randbytes(site.rng.randrange(900, 3_000)), kind, "Microsoft-HTTPAPI/2.0")
        )
    talk.close()
    return talk.now


def run_winrm_in_tls(site: Site, client: Host, server: Host, at: float, commands: int = 2) -> float:
    """Run commands through WinRM over TLS on port 5986, whose certificate the machine made itself."""
    talk = site.tcp(client, server, 5986, at)
    talk.connect()
    session = secure.TlsSession(site, talk, server, tls.SYSTEM, server.name, is_self_signed=True)
    for _ in range(2 + commands * 3):
        session.ask(site.rng.randrange(1_400, 2_600), site.rng.randrange(1_000, 3_200), site.rng.uniform(0.01, 0.2))
    session.close()
    return talk.now


RPC_PORTS = range(49664, 49700)
"""Ports at which Windows servers place their first dynamic services."""


def run_wmi(site: Site, client: Host, server: Host, at: float) -> float:
    """Start a process through WMI: ask the endpoint mapper for an object, then call it on a dynamic port."""
    port = RPC_PORTS[sum(server.address) % len(RPC_PORTS)]
    mapper = site.tcp(client, server, 135, at)
    mapper.connect()
    _call(site, mapper, dcerpc.bind(dcerpc.ACTIVATION, 0), dcerpc.bind_ack(135))
    _call(site, mapper, dcerpc.request(2, 4, site.rng.randbytes(700)), dcerpc.response(2, site.rng.randbytes(900)))
    mapper.close()
    talk = site.tcp(client, server, port, mapper.now + 0.003)
    talk.connect()
    _call(site, talk, dcerpc.bind(dcerpc.MANAGEMENT, 0), dcerpc.bind_ack(port))
    for call, operation in enumerate((6, 3, 6, 24, 22), 2):
        sizes = site.rng.randrange(200, 1_400), site.rng.randrange(80, 1_200)
        asked, answered = map(site.rng.randbytes, sizes)
        _call(site, talk, dcerpc.request(call, operation, asked), dcerpc.response(call, answered))
        talk.wait(site.rng.uniform(0.01, 0.4))
    talk.close()
    return talk.now


def _call(site: Site, talk: TcpConversation, asked: bytes, answered: bytes) -> None:
    talk.request(asked)
    talk.wait(site.rng.uniform(0.0005, 0.005))
    talk.respond(answered)
