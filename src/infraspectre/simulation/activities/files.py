"""Files over FTP (RFC 959), with passive data connections."""

from __future__ import annotations

from infraspectre.simulation.conversation import TcpConversation
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.site import Site


def _say(talk: TcpConversation, line: str, reply: str) -> None:
    talk.request(line.encode() + b"\r\n")
    talk.wait(0.003)
    talk.respond(reply.encode() + b"\r\n")


def _greet(site: Site, client: Host, server: Host, at: float) -> TcpConversation:
    talk = site.tcp(client, server, 21, at)
    talk.connect()
    talk.respond(b"220 FTP server ready\r\n")
    return talk


def fail(site: Site, client: Host, server: Host, at: float, user: str, passwords: list[str]) -> float:
    """Try passwords until the server hangs up."""
    talk = _greet(site, client, server, at)
    for password in passwords:
        _say(talk, f"USER {user}", "331 Please specify the password.")
        talk.wait(site.rng.uniform(0.01, 0.1))
        _say(talk, f"PASS {password}", "530 Login incorrect.")
    talk.close(by_orig=False)
    return talk.now


def send(site: Site, client: Host, server: Host, at: float, user: str, name: str, data: bytes) -> float:
    """Log in and store a file."""
    talk = _greet(site, client, server, at)
    _say(talk, f"USER {user}", "331 Please specify the password.")
    _say(talk, "PASS correct-horse", "230 Login successful.")
    _say(talk, "TYPE I", "200 Switching to Binary mode.")
    port = site.rng.randrange(30000, 40000)
    place = ",".join((*server.ip.split("."), str(port >> 8), str(port & 0xFF)))
    _say(talk, "PASV", f"227 Entering Passive Mode ({place}).")
    carrier = site.tcp(client, server, port, talk.now)
    carrier.connect()
    _say(talk, f"STOR {name}", "150 Ok to send data.")
    carrier.now = talk.now
    carrier.request(data)
    carrier.close()
    talk.now = carrier.now
    talk.respond(b"226 Transfer complete.\r\n")
    _say(talk, "QUIT", "221 Goodbye.")
    talk.close(by_orig=False)
    return talk.now
