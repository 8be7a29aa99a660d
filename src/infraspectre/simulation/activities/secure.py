"""TLS sessions: a true handshake, then as many encrypted bytes as asked for."""

from __future__ import annotations

from infraspectre.simulation.conversation import TcpConversation
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import tls
from infraspectre.simulation.protocols.certificate import certificate
from infraspectre.simulation.site import Site


class TlsSession:
    """Speaks TLS over a connected conversation."""

    def __init__(
        self, site: Site, talk: TcpConversation, server: Host, client: tls.Client = tls.BROWSER,
        name: str | None = None, is_self_signed: bool = False,
    ) -> None:  # fmt: skip
        """Shake hands; a session without a name sends no server name indication."""
        self.talk = talk
        self._rng = site.rng
        self._is_tls13 = client.is_tls13
        issuer = server.name if is_self_signed else "Example Trust CA"
        proof = certificate(site.derived(f"certificate/{server.name}"), server.name, site.now_s(0.0), issuer)
        talk.request(tls.client_hello(self._rng, client, name))
        talk.wait(self._rng.uniform(0.0005, 0.006))
        self._finish(proof)

    def _finish(self, proof: bytes) -> None:
        if self._is_tls13:
            self.talk.respond(tls.server_flight13(self._rng, proof))
            self.talk.request(tls.client_finish13(self._rng))
        else:
            self.talk.respond(tls.server_flight12(self._rng, proof))
            self.talk.request(tls.client_finish12(self._rng))
            self.talk.respond(tls.server_finish12(self._rng))

    def ask(self, request_bytes: int, response_bytes: int, think_s: float = 0.02) -> None:
        """Send a request of some size and get a response of another."""
        self.talk.request(tls.sealed(self._rng, request_bytes))
        self.talk.wait(think_s)
        self.talk.respond(tls.sealed(self._rng, response_bytes))

    def close(self) -> None:
        """Say goodbye and close."""
        self.talk.request(tls.close_notify(self._rng, self._is_tls13))
        self.talk.close()


def connect(
    site: Site, client: Host, server: Host, at: float, library: tls.Client = tls.BROWSER, port: int = 443
) -> TlsSession:
    """Open a TLS session with a server that is called by its name."""
    talk = site.tcp(client, server, port, at)
    talk.connect()
    return TlsSession(site, talk, server, library, server.name)


class Line:
    """Carries messages both ways over a connection that stays open, in clear or in TLS."""

    def __init__(self, site: Site, client: Host, server: Host, port: int, at: float, is_secure: bool) -> None:
        """Connect, and shake hands with a certificate that the server made itself."""
        self.talk = site.tcp(client, server, port, at)
        self.talk.connect()
        self._rng = site.rng
        self._session = (
            TlsSession(site, self.talk, server, tls.SCRIPT, server.name, is_self_signed=True) if is_secure else None
        )

    def up(self, data: bytes) -> None:
        """Send a message to the server."""
        self.talk.request(tls.sealed(self._rng, len(data)) if self._session else data)

    def down(self, data: bytes) -> None:
        """Send a message to the client."""
        self.talk.respond(tls.sealed(self._rng, len(data)) if self._session else data)

    def at(self, moment: float) -> None:
        """Be silent until a moment, however long it takes."""
        self.talk.now = max(moment, self.talk.now)
