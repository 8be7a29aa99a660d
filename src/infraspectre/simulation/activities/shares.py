"""Shares: files and named pipes over SMB, and the Kerberos tickets of a Windows domain."""

from __future__ import annotations

import random

from infraspectre.simulation.conversation import TcpConversation
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import dcerpc, kerberos, smb
from infraspectre.simulation.site import Site

DOMAIN, REALM = "CORP", "CORP.EXAMPLE"


class SmbSession:
    """Speaks SMB with one server."""

    def __init__(self, site: Site, client: Host, server: Host, at: float) -> None:
        """Connect and agree on a dialect."""
        self.talk: TcpConversation = site.tcp(client, server, 445, at)
        self._rng: random.Random = site.rng
        self._site = site
        self._client, self._server = client, server
        self._session = smb.Session(site.rng)
        self.talk.connect()
        self._ask(smb.NEGOTIATE, smb.negotiate_request(site.rng), smb.negotiate_response(site.rng, self._now_s))

    @property
    def _now_s(self) -> int:
        return self._site.now_s(self.talk.now)

    def _ask(self, command: int, request: bytes, response: bytes, status: int = smb.SUCCESS) -> None:
        self.talk.request(self._session.request(command, request))
        self.talk.wait(self._rng.uniform(0.0002, 0.002))
        self.talk.respond(self._session.response(command, response, status))

    def log_on(self, user: str, status: int = smb.SUCCESS) -> None:
        """Log on with NTLM; the status tells whether the password was right."""
        server = self._server.name.partition(".")[0].upper()
        workstation = self._client.name.partition(".")[0].upper()
        challenge = smb.session_setup_response(smb.ntlm_challenge(self._rng, DOMAIN, server))
        begin = smb.session_setup_request(smb.ntlm_negotiate())
        self._ask(smb.SESSION_SETUP, begin, challenge, smb.MORE_PROCESSING)
        proof = smb.session_setup_request(
            smb.ntlm_authenticate(self._rng, DOMAIN, user, workstation, server, self._now_s)
        )
        self._ask(smb.SESSION_SETUP, proof, smb.session_setup_response(smb.accepted()), status)

    def connect(self, share: str, status: int = smb.SUCCESS) -> None:
        """Connect to a share by its name."""
        kind = smb.PIPE if share == "IPC$" else smb.DISK
        path = f"\\\\{self._server.ip}\\{share}"
        self._ask(smb.TREE_CONNECT, smb.tree_connect_request(path), smb.tree_connect_response(kind), status)

    def open(self, name: str, size: int = 0) -> bytes:
        """Open a file or pipe; return its handle."""
        handle = self._rng.randbytes(16)
        self._ask(smb.CREATE, smb.create_request(name), smb.create_response(self._now_s, size, handle))
        return handle

    def read(self, name: str, size: int) -> None:
        """Read a whole file."""
        handle = self.open(name, size)
        for offset in range(0, size, smb.MAX_DATA_BYTES):
            data = self._rng.randbytes(min(smb.MAX_DATA_BYTES, size - offset))
            self._ask(smb.READ, smb.read_request(handle, offset, len(data)), smb.read_response(data))
        self._ask(smb.CLOSE, smb.close_request(handle), smb.close_response())

    def write(self, name: str, data: bytes) -> None:
        """Write a whole file or some messages to a pipe."""
        handle = self.open(name)
        for offset in range(0, len(data), smb.MAX_DATA_BYTES):
            part = data[offset : offset + smb.MAX_DATA_BYTES]
            self._ask(smb.WRITE, smb.write_request(handle, offset, part), smb.write_response(len(part)))
        self._ask(smb.CLOSE, smb.close_request(handle), smb.close_response())

    def log_off(self) -> float:
        """Log off and close; return when."""
        self._ask(smb.LOGOFF, smb.logoff(), smb.logoff())
        self.talk.close()
        return self.talk.now


def user_of(client: Host) -> str:
    """Return the name of the person who works at a machine."""
    return "user" + client.name.partition(".")[0].removeprefix("pc")


def use_files(site: Site, client: Host, server: Host, at: float) -> float:
    """Open and save a few documents."""
    session = SmbSession(site, client, server, at)
    session.log_on(user_of(client))
    session.connect("Projects")
    for number in range(site.rng.randrange(1, 5)):
        session.read(f"2026\\report-{number}.docx", site.size(40_000))
        session.talk.wait(site.rng.uniform(0.5, 12.0))
    session.write("2026\\notes.docx", site.rng.randbytes(site.size(15_000)))
    return session.log_off()


def fail_logon(site: Site, client: Host, server: Host, at: float, user: str) -> float:
    """Try a wrong password."""
    session = SmbSession(site, client, server, at)
    session.log_on(user, smb.LOGON_FAILURE)
    session.talk.close()
    return session.talk.now


def run_service(site: Site, client: Host, server: Host, at: float, user: str, name: str = "PSEXESVC") -> float:
    """Copy a program to the administrator's share and start it as a service, as PsExec does."""
    session = SmbSession(site, client, server, at)
    session.log_on(user)
    session.connect("ADMIN$")
    session.write(f"{name}.exe", PROGRAM_START + site.rng.randbytes(site.size(60_000)))
    session.connect("IPC$")
    session.write("svcctl", dcerpc.bind(dcerpc.SERVICE_CONTROL))
    session.talk.wait(site.rng.uniform(0.05, 0.5))
    session.write(name, site.rng.randbytes(200))
    return session.log_off()


PROGRAM_START = b"MZ\x90\x00\x03\x00\x00\x00\x04\x00\x00\x00\xff\xff\x00\x00".ljust(128, b"\x00") + b"PE\x00\x00"


def log_on_to_domain(site: Site, client: Host, at: float, is_right: bool = True, user: str = "") -> float:
    """Get a ticket-granting ticket, in two steps (RFC 4120, 3.1)."""
    who, rng = user or user_of(client), site.rng
    talk = site.tcp(client, site.dns, 88, at)
    talk.connect()
    talk.request(kerberos.framed(kerberos.as_request(rng, who, REALM, site.now_s(at), has_proof=False)))
    talk.respond(kerberos.framed(kerberos.error(kerberos.PREAUTH_REQUIRED, REALM, site.now_s(at))))
    talk.close()
    talk = site.tcp(client, site.dns, 88, talk.now + 0.002)
    talk.connect()
    talk.request(kerberos.framed(kerberos.as_request(rng, who, REALM, site.now_s(at), has_proof=True)))
    refusal = kerberos.error(kerberos.PREAUTH_FAILED, REALM, site.now_s(at))
    talk.respond(kerberos.framed(kerberos.as_reply(rng, who, REALM) if is_right else refusal))
    talk.close()
    return talk.now


def get_ticket(site: Site, client: Host, service: str, at: float, cipher: int = kerberos.AES256) -> float:
    """Get a ticket for a service; asking for RC4 only is what Kerberoasting does."""
    ciphers = (kerberos.RC4,) if cipher == kerberos.RC4 else (kerberos.AES256, kerberos.RC4)
    talk = site.tcp(client, site.dns, 88, at)
    talk.connect()
    talk.request(kerberos.framed(kerberos.tgs_request(site.rng, REALM, service, site.now_s(at), ciphers)))
    talk.respond(kerberos.framed(kerberos.tgs_reply(site.rng, user_of(client), REALM, service, cipher)))
    talk.close()
    return talk.now


def ask_without_proof(site: Site, client: Host, user: str, at: float, is_given: bool) -> float:
    """Ask for a ticket of a user with RC4 and without proof, which accounts without pre-authentication are given."""
    now_s = site.now_s(at)
    talk = site.tcp(client, site.dns, 88, at)
    talk.connect()
    ciphers = (kerberos.RC4,)
    talk.request(kerberos.framed(kerberos.as_request(site.rng, user, REALM, now_s, has_proof=False, ciphers=ciphers)))
    ticket = kerberos.as_reply(site.rng, user, REALM, kerberos.RC4)
    talk.respond(kerberos.framed(ticket if is_given else kerberos.error(kerberos.PREAUTH_REQUIRED, REALM, now_s)))
    talk.close()
    return talk.now
