"""The web: pages, downloads and uploads over HTTP and TLS."""

from __future__ import annotations

from collections.abc import Sequence

from infraspectre.simulation.activities import names, secure
from infraspectre.simulation.conversation import LONGEST_FLOW_S, TcpConversation
from infraspectre.simulation.hosts import Host
from infraspectre.simulation.protocols import http, tls
from infraspectre.simulation.site import Site


def fetch(site: Site, client: Host, server: Host, at: float, targets: Sequence[str] = ("/",)) -> float:
    """Fetch pages over one HTTP connection; return when it ended."""
    talk = site.tcp(client, server, 80, at)
    talk.connect()
    for target in targets:
        talk.request(http.request(server.name, target))
        talk.wait(site.rng.uniform(0.003, 0.06))
        talk.respond(http.response(body=http.page(server.name, site.size(6_000))))
        talk.wait(site.rng.uniform(0.05, 2.0))
    talk.close()
    return talk.now


def browse(site: Site, client: Host, server: Host, at: float) -> float:
    """Look a site up and read a few of its pages over TLS, like a browser; return when the connection ended."""
    session = secure.connect(site, client, server, names.resolve(site, client, server, at) + 0.002)
    for _ in range(site.rng.randrange(1, 8)):
        session.ask(site.rng.randrange(250, 900), site.size(9_000), site.rng.uniform(0.01, 0.12))
        session.talk.wait(site.rng.expovariate(0.6))
    session.close()
    return session.talk.now


def browse6(site: Site, client: Host, server: Host, at: float) -> float:
    """Do the same over IPv6."""
    return browse(site, site.twin(client), site.twin(server), at)


def poll(site: Site, client: Host, server: Host, at: float) -> float:
    """Ask a service whether there is anything new, as software does by itself."""
    session = secure.connect(site, client, server, names.resolve(site, client, server, at) + 0.001, tls.SYSTEM)
    session.ask(site.rng.randrange(300, 600), site.rng.randrange(200, 3_000))
    session.close()
    return session.talk.now


def download(site: Site, client: Host, server: Host, at: float, size: int) -> float:
    """Get one large file over TLS."""
    session = secure.connect(site, client, server, names.resolve(site, client, server, at), tls.SYSTEM)
    session.ask(400, size)
    session.close()
    return session.talk.now


def upload(site: Site, client: Host, server: Host, at: float, size: int, library: tls.Client = tls.BROWSER) -> float:
    """Send one large file over TLS."""
    session = secure.connect(site, client, server, names.resolve(site, client, server, at), library)
    session.ask(size, 300)
    session.close()
    return session.talk.now


def post(site: Site, client: Host, server: Host, at: float, size: int) -> float:
    """Send one file in clear."""
    talk = site.tcp(client, server, 80, at)
    talk.connect()
    data = site.rng.randbytes(size)
    talk.request(http.request(server.name, "/upload", "POST", body=data, Content_Type="application/octet-stream"))
    talk.wait(site.rng.uniform(0.02, 0.2))
    talk.respond(http.response(200, b"ok\n", "text/plain"))
    talk.close()
    return talk.now


def watch(site: Site, client: Host, server: Host, at: float, seconds: float) -> float:
    """Watch a video: one piece of it every few seconds."""
    session = secure.connect(site, client, server, names.resolve(site, client, server, at))
    until = at + min(seconds, LONGEST_FLOW_S)
    while session.talk.now < until:
        session.ask(600, site.size(250_000, 0.3))
        session.talk.wait(site.rng.uniform(3.0, 6.0))
    session.close()
    return session.talk.now


def attack(
    site: Site, client: Host, server: Host, at: float, target: str, agent: str, status: int, body: bytes = b""
) -> float:
    """Send one hostile request over HTTP and get an answer."""
    talk = site.tcp(client, server, 80, at)
    talk.connect()
    talk.request(http.request(server.name, target, "POST" if body else "GET", agent, body))
    talk.wait(site.rng.uniform(0.002, 0.02))
    talk.respond(http.response(status, http.page(http.REASONS[status], 400)))
    talk.close()
    return talk.now


def basic_login(
    site: Site, client: Host, server: Host, at: float, tokens: Sequence[str], is_last_right: bool = False
) -> float:
    """Try passwords over HTTP's basic authentication (RFC 7617) in one connection."""
    talk = site.tcp(client, server, 80, at)
    talk.connect()
    for index, token in enumerate(tokens):
        is_right = is_last_right and index == len(tokens) - 1
        talk.request(
            http.request(server.name, "/admin/", agent="python-requests/2.32.3", Authorization=f"Basic {token}")
        )
        talk.wait(site.rng.uniform(0.004, 0.02))
        refusal = http.response(401, b"Unauthorized\n", "text/plain", WWW_Authenticate='Basic realm="admin"')
        talk.respond(http.response(body=http.page("Admin", 2_000)) if is_right else refusal)
    talk.close()
    return talk.now


LOGIN_BYTES = 620
"""A typical POST of a login form with a browser's header fields."""


def form_login(
    site: Site,
    client: Host,
    server: Host,
    at: float,
    forms: Sequence[str],
    is_secure: bool,
    is_last_right: bool = False,
) -> float:
    """Hand in filled login forms over one connection, over HTTP or TLS; a right one leads to another page."""
    port = 443 if is_secure else 80
    talk = site.tcp(client, server, port, at)
    talk.connect()
    session = secure.TlsSession(site, talk, server, tls.SCRIPT, server.name) if is_secure else None
    for index, form in enumerate(forms):
        is_right = is_last_right and index == len(forms) - 1
        if session:
            session.ask(LOGIN_BYTES + len(form), 180 if is_right else 2_400, site.rng.uniform(0.02, 0.3))
        else:
            _hand_in(site, talk, server, form, is_right)
    session.close() if session else talk.close()
    return talk.now


def _hand_in(site: Site, talk: TcpConversation, server: Host, form: str, is_right: bool) -> None:
    kind = "application/x-www-form-urlencoded"
    talk.request(http.request(server.name, "/login", "POST", body=form.encode(), Content_Type=kind))
    talk.wait(site.rng.uniform(0.02, 0.3))
    page = http.page("Login failed: wrong user name or password", 2_000)
    talk.respond(http.response(302, Location="/home") if is_right else http.response(200, page))
