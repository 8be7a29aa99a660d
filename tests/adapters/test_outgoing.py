"""Requests go to the address that was checked, and a redirect is checked like any other."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import httpx
import pytest

from infraspectre.adapters.outgoing import GuardedTransport, reason_of, trusted
from infraspectre.errors import AccessError
from receivers import self_signed

LOOPBACK = ("127.0.0.0/8",)


class Answering(BaseHTTPRequestHandler):
    asked: ClassVar[list[tuple[str, str]]] = []

    def do_GET(self) -> None:
        self.asked.append((self.path, self.headers["host"]))
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("location", self.path.partition("?")[2])
        else:
            self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    Answering.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def client(answers: dict[str, list[list[str]]], redirects: bool = False) -> httpx.Client:
    """Return a client whose names lead to the next of their answers each time that they are looked up."""

    def resolve(host: str, port: int) -> list[str]:
        return answers[host].pop(0) if host in answers else [host]

    transport = GuardedTransport(LOOPBACK, ("http",), resolve)
    return httpx.Client(transport=transport, trust_env=False, follow_redirects=redirects)


def test_the_name_is_kept_and_looked_up_once(port: int) -> None:
    answers = {"service.example": [["127.0.0.1"], ["169.254.169.254"]]}
    with client(answers) as asking:
        assert asking.get(f"http://service.example:{port}/x").status_code == 200
    assert Answering.asked == [("/x", f"service.example:{port}")]
    assert len(answers["service.example"]) == 1, "a second look-up could lead elsewhere"


@pytest.mark.parametrize(
    "place",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://inner.example/",
        "http://[::1]/",
        "http://2130706433/",
        "file:///etc/passwd",
        "https://service.example/",
    ],
)
def test_a_redirect_that_leads_within_is_refused(port: int, place: str) -> None:
    answers = {"service.example": [["127.0.0.1"]] * 2, "inner.example": [["10.0.0.1"]]}
    with client(answers, redirects=True) as asking, pytest.raises((AccessError, httpx.UnsupportedProtocol)):
        asking.get(f"http://service.example:{port}/away?{place}")
    assert len(Answering.asked) == 1


def test_a_name_that_changes_its_mind_is_refused(port: int) -> None:
    answers = {"service.example": [["127.0.0.1"], ["192.168.0.1"]]}
    with client(answers) as asking:
        asking.get(f"http://service.example:{port}/")
        with pytest.raises(AccessError, match="not public"):
            asking.get(f"http://service.example:{port}/")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionRefusedError(111, "Connection refused"), "it refused the connection, nothing listens there"),
        (socket.gaierror(-2, "Name or service not known"), "its name was not found"),
        (TimeoutError(), "it took too long"),
        (ssl.SSLError(1, "wrong version number"), "it does not speak TLS as this server does"),
        (OSError(113, "No route to host"), "No route to host"),
        (RuntimeError("a secret"), "ConnectError"),
    ],
)
def test_why_a_connection_failed_is_said_in_words(error: Exception, words: str) -> None:
    try:
        raise httpx.ConnectError("") from error
    except httpx.ConnectError as told:
        assert reason_of(told) == words


def test_authorities_of_this_machine_are_trusted_beside_those_of_browsers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "none"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    before = trusted().cert_store_stats()["x509"]
    monkeypatch.setenv("SSL_CERT_FILE", str(self_signed(tmp_path)[0]))
    assert trusted().cert_store_stats()["x509"] == before + 1 > 50
