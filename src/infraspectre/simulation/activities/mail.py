"""Mail: messages handed to the mail server, encrypted or not."""

from __future__ import annotations

import base64

from infraspectre.simulation.activities import names, secure
from infraspectre.simulation.activities.shares import user_of
from infraspectre.simulation.conversation import TcpConversation
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import tls
from infraspectre.simulation.site import Site

SUBJECTS = ("Minutes of Monday", "Offer 1042", "Lunch?", "Invoice for December", "Re: schedule", "Printer on floor 2")


def _say(talk: TcpConversation, line: str, reply: str) -> None:
    talk.request(line.encode() + b"\r\n")
    talk.wait(0.002)
    talk.respond(reply.encode() + b"\r\n")


def hand_in(site: Site, client: Host, server: Host, at: float) -> float:
    """Hand in one message in clear (RFC 5321), as devices and servers do."""
    sender = f"{user_of(client)}@corp.example"
    talk = site.tcp(client, server, 25, at)
    talk.connect()
    talk.respond(f"220 {server.name} ESMTP\r\n".encode())
    _say(talk, f"EHLO {client.name}", f"250-{server.name}\r\n250-SIZE 20480000\r\n250 8BITMIME")
    _say(talk, f"MAIL FROM:<{sender}>", "250 2.1.0 Ok")
    _say(talk, "RCPT TO:<office@corp.example>", "250 2.1.5 Ok")
    _say(talk, "DATA", "354 End data with <CR><LF>.<CR><LF>")
    _say(talk, message(site, sender), "250 2.0.0 Ok: queued")
    _say(talk, "QUIT", "221 2.0.0 Bye")
    talk.close(by_orig=False)
    return talk.now


def message(site: Site, sender: str) -> str:
    """Write a message with an attachment, ended by a lonely dot."""
    attachment = base64.encodebytes(site.rng.randbytes(site.size(9_000))).decode().replace("\n", "\r\n")
    header = f"From: {sender}\r\nTo: office@corp.example\r\nSubject: {site.rng.choice(SUBJECTS)}\r\n"
    return f"{header}Content-Transfer-Encoding: base64\r\n\r\n{attachment}."


def submit(site: Site, client: Host, server: Host, at: float) -> float:
    """Hand in one message after STARTTLS (RFC 3207)."""
    talk = site.tcp(client, server, 587, names.resolve(site, client, server, at))
    talk.connect()
    talk.respond(f"220 {server.name} ESMTP\r\n".encode())
    _say(talk, f"EHLO {client.name}", f"250-{server.name}\r\n250-STARTTLS\r\n250 8BITMIME")
    _say(talk, "STARTTLS", "220 2.0.0 Ready to start TLS")
    session = secure.TlsSession(site, talk, server, tls.SYSTEM, server.name)
    for size in (40, 60, 35, 35, 6, site.size(20_000), 6):
        session.ask(size, 40)
    session.close()
    return talk.now


def read_new(site: Site, client: Host, server: Host, at: float) -> float:
    """Look for new mail over IMAP in TLS (RFC 8314)."""
    session = secure.connect(site, client, server, at, tls.SYSTEM, 993)
    for size in (120, 90, site.size(4_000)):
        session.ask(45, size)
    session.close()
    return session.talk.now


def fail(site: Site, client: Host, server: Host, at: float, service: str, user: str, passwords: list[str]) -> float:
    """Try passwords over SMTP or IMAP, in clear or, as `smtps` and `imaps`, in TLS, until the server hangs up."""
    protocol = service.removesuffix("s")
    if service.endswith("s"):
        session = secure.connect(site, client, server, at, tls.SCRIPT, _SECURE_PORTS[protocol])
        session.ask(30, 60)
        for password in passwords:
            session.ask(20 + len(user) + len(password), 50, site.rng.uniform(0.5, 2.5))
        session.close()
        return session.talk.now
    talk = site.tcp(client, server, _PLAIN_PORTS[protocol], at)
    talk.connect()
    _fail_plain(site, talk, server, protocol, user, passwords)
    talk.close(by_orig=False)
    return talk.now


_PLAIN_PORTS, _SECURE_PORTS = {"smtp": 587, "imap": 143}, {"smtp": 465, "imap": 993}


def _fail_plain(
    site: Site, talk: TcpConversation, server: Host, protocol: str, user: str, passwords: list[str]
) -> None:
    greeting = f"220 {server.name} ESMTP" if protocol == "smtp" else "* OK IMAP4rev1 ready"
    talk.respond(f"{greeting}\r\n".encode())
    if protocol == "smtp":
        _say(talk, "EHLO client", f"250-{server.name}\r\n250 AUTH PLAIN LOGIN")
    for number, password in enumerate(passwords):
        talk.wait(site.rng.uniform(0.5, 2.5))
        if protocol == "smtp":
            token = base64.b64encode(f"\0{user}\0{password}".encode()).decode()
            _say(talk, f"AUTH PLAIN {token}", "535 5.7.8 Error: authentication failed")
        else:
            _say(talk, f"a{number} LOGIN {user} {password}", f"a{number} NO [AUTHENTICATIONFAILED] failed")
