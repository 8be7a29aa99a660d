"""Mail: messages over SMTP, encrypted and to a server whose certificate is verified, or not at all."""

from __future__ import annotations

import html
import re
import smtplib
import socket
import ssl
from collections.abc import Sequence
from contextlib import closing, suppress
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import structlog

from infraspectre.adapters.messages.digest import Digest
from infraspectre.adapters.outgoing import PATIENCE_S, Deadline, connected, reason_of
from infraspectre.errors import AccessError, InputError
from infraspectre.ports import Clock
from infraspectre.records.delivery import Destination, Failure
from infraspectre.security import Target

SCHEMES = ("smtp", "smtps")
"""With STARTTLS (RFC 3207), which has to be there, or within TLS from the start (RFC 8314 section 3)."""
ADDRESS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_{|}~.-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}")
"""A plain address (RFC 5321 section 4.1.2, without quoted and literal forms)."""
MOST_RECIPIENTS = 20
MOST_SUBJECT = 200
NANOSECONDS = 1_000_000_000
PAGE = """\
<!doctype html>
<html><head><meta charset="utf-8"><title>{subject}</title></head>
<body><h1 style="font: bold 1.2em sans-serif">{subject}</h1>
<pre style="font: 1em sans-serif; white-space: pre-wrap">{text}</pre></body></html>
"""
log = structlog.get_logger("infraspectre.mail")


class Session(smtplib.SMTP):
    """Speaks SMTP over a connection that was made already, under the name that its certificate has to have."""

    def __init__(self, target: Target, connection: socket.socket) -> None:
        """Greet the server."""
        self._made = connection
        super().__init__(target.host, target.port, socket.gethostname(), PATIENCE_S)

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        return self._made


class Mail:
    """Sends mail to people."""

    def __init__(
        self,
        destination: Destination,
        password: str,
        clock: Clock,
        allowed: Sequence[str] = (),
        context: ssl.SSLContext | None = None,
    ) -> None:
        """Send by a server; options: sender, recipients (with commas between), user. Raises InputError."""
        self._url, self._clock, self._allowed = destination.url, clock, tuple(allowed)
        self._sender = address(destination.options.get("sender", ""), "sender")
        listed = destination.options.get("recipients", "").split(",")
        self._recipients = [address(each.strip(), "recipients") for each in listed]
        if len(self._recipients) > MOST_RECIPIENTS:
            raise InputError(f"names more than {MOST_RECIPIENTS}", field="options.recipients")
        self._user, self._password = destination.options.get("user", ""), password
        self._context = context or ssl.create_default_context()

    def __call__(self, digest: Digest, text: str, key: str) -> Failure | None:
        """Send a message, and return why it was not taken."""
        message = self._message(digest, text, key)
        try:
            with Deadline() as deadline:
                target, connection = connected(self._url, SCHEMES, self._allowed)
                with connection:
                    deadline.over(connection)
                    self._sent(target, connection, message)
        except AccessError as error:
            return Failure(f"may not be called: it {error.message}")
        except smtplib.SMTPResponseException as error:
            return Failure(f"answered with status {error.smtp_code}")
        except (OSError, ValueError) as error:  # smtplib's own errors are among them
            return Failure(f"did not take the message: {reason_of(error)}")
        return None

    def _sent(self, target: Target, connection: socket.socket, message: EmailMessage) -> None:
        if target.scheme == "smtps":
            connection = self._context.wrap_socket(connection, server_hostname=target.host)
        with connection, closing(Session(target, connection)) as session:
            if target.scheme == "smtp":
                session.starttls(context=self._context)  # raises where the server has none: nothing goes in the clear
            if self._password:
                session.login(self._user or self._sender, self._password)
            refused = session.send_message(message, self._sender, self._recipients)
            with suppress(OSError):  # the message is taken, however the server says farewell
                session.quit()
        if refused:
            log.warning("some recipients were refused", count=len(refused), of=len(self._recipients))

    def _message(self, digest: Digest, text: str, key: str) -> EmailMessage:
        subject = digest.subject[:MOST_SUBJECT]
        message = EmailMessage(SMTP)
        message["From"], message["To"], message["Subject"] = self._sender, ", ".join(self._recipients), subject
        message["Date"] = format_datetime(datetime.fromtimestamp(self._clock.now() / NANOSECONDS, UTC))
        message["Message-ID"] = f"<{key}@{self._sender.rpartition('@')[2]}>"
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834 section 5
        message.set_content(text)
        page = PAGE.format(subject=html.escape(subject), text=html.escape(text))
        message.add_alternative(page, subtype="html")
        return message


def address(text: str, option: str) -> str:
    """Return an address of mail; raises InputError for what is none."""
    if not ADDRESS.fullmatch(text):
        raise InputError("is no plain address of mail", field=f"options.{option}")
    return text
