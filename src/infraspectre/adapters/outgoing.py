"""Requests that this server sends: to addresses that were checked, and to no others."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, NamedTuple, Self

import httpx

from infraspectre.errors import AccessError
from infraspectre.security import Resolve, Target, checked_addresses, target_of

PATIENCE_S = 10.0
"""For a connection, and for each part of an answer."""
EXCHANGE_S = 30.0
"""For all that is said over a connection, so that no receiver holds a sender by answering a sign at a time."""
SCOPE_SIGN = "%"
REASONS: tuple[tuple[type[BaseException], str], ...] = (
    (ssl.SSLCertVerificationError, "its certificate is not trusted"),
    (ssl.SSLError, "it does not speak TLS as this server does"),
    (ConnectionRefusedError, "it refused the connection, nothing listens there"),
    (ConnectionResetError, "it closed the connection"),
    (BrokenPipeError, "it closed the connection"),
    (socket.gaierror, "its name was not found"),
    (TimeoutError, "it took too long"),
    (httpx.TimeoutException, "it took too long"),
    (httpx.RemoteProtocolError, "it closed the connection, or speaks no HTTP"),
)
"""Why a connection failed, in words; the first that fits."""


class GuardedTransport(httpx.BaseTransport):
    """Sends requests to the very address that was checked, under the name that its certificate has to have.

    It keeps no connection, since one to an address could be used under another name; redirects come here too.
    """

    def __init__(
        self,
        allowed: Sequence[str] = (),
        schemes: Sequence[str] = ("https",),
        resolve: Resolve | None = None,
        verify: ssl.SSLContext | bool = True,
    ) -> None:
        """Allow public addresses, and those within some networks."""
        self._allowed = tuple(allowed)
        self._schemes = tuple(schemes)
        self._resolve = resolve
        limits = httpx.Limits(max_connections=20, max_keepalive_connections=0)
        self._inner = httpx.HTTPTransport(verify=verify, trust_env=False, limits=limits)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; raises AccessError for one that may not be sent."""
        target = target_of(str(request.url).partition("#")[0], self._schemes)
        address = address_of(target, self._allowed, self._resolve)
        request.extensions = {**request.extensions, "sni_hostname": target.host}
        request.url = request.url.copy_with(host=address)
        return self._inner.handle_request(request)

    def close(self) -> None:
        """Release what is held."""
        self._inner.close()


def trusted() -> ssl.SSLContext:
    """Return whose certificates are trusted: the authorities of browsers, and those of this machine (SSL_CERT_FILE)."""
    context = httpx.create_ssl_context(trust_env=False)
    context.load_default_certs()
    return context


def outgoing_client(
    allowed: Sequence[str] = (), schemes: Sequence[str] = ("https",), verify: ssl.SSLContext | None = None
) -> httpx.Client:
    """Return a client whose requests are checked; it follows no redirect and reads no setting of proxies."""
    transport = GuardedTransport(allowed, schemes, verify=verify or trusted())
    return httpx.Client(transport=transport, timeout=PATIENCE_S, trust_env=False, follow_redirects=False)


def address_of(target: Target, allowed: Sequence[str] = (), resolve: Resolve | None = None) -> str:
    """Return the one address of a target to connect to; raises AccessError."""
    address = checked_addresses(target, allowed, resolve)[0]
    if SCOPE_SIGN in address:
        raise AccessError("leads to an address of one link")
    return address


def reason_of(error: BaseException) -> str:
    """Return in words why somebody could not be reached: what the system said, behind the errors of libraries."""
    words = type(error).__name__
    cause: BaseException | None = error
    while cause is not None:
        for kind, reason in REASONS:
            if isinstance(cause, kind):
                told = getattr(cause, "verify_message", "")
                return f"{reason}: {told}" if told else reason
        words = (cause.strerror if isinstance(cause, OSError) else None) or words
        cause = cause.__cause__ or cause.__context__
    return words


class Connected(NamedTuple):
    """Is a connection, and to whom."""

    target: Target
    connection: socket.socket


def connected(url: str, schemes: Sequence[str], allowed: Sequence[str] = ()) -> Connected:
    """Connect to an address that was checked; raises AccessError and OSError."""
    target = target_of(url, schemes)
    return Connected(target, socket.create_connection((address_of(target, allowed), target.port), PATIENCE_S))


class Deadline:
    """Ends a connection that lasts too long, whatever the other end does to keep it alive."""

    def __init__(self, seconds: float = EXCHANGE_S) -> None:
        """Allow a connection so many seconds from when it is made."""
        self._seconds = seconds
        self._timer: threading.Timer | None = None
        self._twin: socket.socket | None = None
        self.is_over = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._twin is not None:
            self._twin.close()

    def over(self, connection: socket.socket) -> None:
        """Begin to count for a connection."""
        self._twin = connection.dup()  # the connection itself passes into an object of TLS
        self._timer = threading.Timer(self._seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def watch(self, name: str, told: Mapping[str, Any]) -> None:
        """Begin to count for the connection of a request; the extension `trace` of httpcore."""
        if name == "connection.connect_tcp.complete":
            self.over(told["return_value"].get_extra_info("socket"))

    def _end(self) -> None:
        self.is_over = True
        if self._twin is not None:
            with suppress(OSError):  # it has ended already
                self._twin.shutdown(socket.SHUT_RDWR)
