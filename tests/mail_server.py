"""A double of a mail server: enough of SMTP to take messages over TLS, on loopback."""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer


@dataclass
class MailServer:
    context: ssl.SSLContext
    is_tls: bool = False
    """Within TLS from the start; else it has STARTTLS, unless told to offer none."""
    offers_tls: bool = True
    refused: tuple[str, ...] = ()
    """Recipients that it does not take."""
    status: int = 250
    """Its answer to a message."""
    port: int = 0
    messages: list[bytes] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    passwords: list[bytes] = field(default_factory=list)
    in_clear: list[bytes] = field(default_factory=list)
    """All that was said without TLS."""


class Listener(ThreadingTCPServer):
    inbox: MailServer


class Talk(StreamRequestHandler):
    """Is one conversation."""

    server: Listener

    def handle(self) -> None:
        self.is_tls = False
        with suppress(OSError, ValueError):  # who called has gone
            if self.server.inbox.is_tls:
                self.secure()
            self.say("220 here")
            while line := self.rfile.readline(4_096):
                if not self.is_tls:
                    self.server.inbox.in_clear.append(line)
                answer = getattr(self, f"do_{line[:4].decode().lower()}", None)
                self.say(answer(line) if answer else "250 well")

    def do_ehlo(self, _: bytes) -> str:
        has_more = self.server.inbox.offers_tls and not self.is_tls
        return "\r\n".join(["250-here", *(["250-STARTTLS"] if has_more else []), "250 AUTH PLAIN"])

    def do_star(self, _: bytes) -> str:
        self.say("220 go on")
        self.secure()
        return ""

    def do_quit(self, _: bytes) -> str:
        return "421 no time to say farewell"

    def do_auth(self, line: bytes) -> str:
        self.server.inbox.passwords.append(base64.b64decode(line.split()[-1]))
        return "235 known"

    def do_rcpt(self, line: bytes) -> str:
        name = line.decode().partition("<")[2].partition(">")[0]
        if name in self.server.inbox.refused:
            return "550 nobody of that name"
        self.server.inbox.recipients.append(name)
        return "250 well"

    def do_data(self, _: bytes) -> str:
        self.say("354 go on")
        lines = []
        while (line := self.rfile.readline()) not in (b".\r\n", b""):
            lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
        self.server.inbox.messages.append(b"".join(lines))
        return f"{self.server.inbox.status} {self.server.inbox.status}"

    def say(self, text: str) -> None:
        if text:
            self.wfile.write(f"{text}\r\n".encode())

    def secure(self) -> None:
        self.request = self.server.inbox.context.wrap_socket(self.request, server_side=True)
        self.setup()
        self.is_tls = True

    def finish(self) -> None:
        self.request.close()


@contextmanager
def mail_server(inbox: MailServer) -> Iterator[MailServer]:
    """Take mail until the end of the block."""
    listener = Listener(("127.0.0.1", 0), Talk)
    listener.inbox, inbox.port = inbox, listener.server_address[1]
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield inbox
    finally:
        listener.shutdown()
        thread.join()
        listener.server_close()
