"""Logins by an OpenID provider, against a small one on loopback that checks what it is sent."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey
from litestar.testing import TestClient
from msgspec.structs import replace as changed

from api_fakes import add_user, bearer
from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.api.access.oidc import keys_in
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.errors import OutputError
from infraspectre.serving.platform import Platform
from infraspectre.settings import OidcSettings
from log_fakes import SetClock

CLIENT, SECRET = "infraspectre", "a secret of the client"
SECOND = 1_000_000_000


class FakeProvider:
    """Issues codes as a provider does once somebody has logged in there, and exchanges each once."""

    def __init__(self, clock: SetClock) -> None:
        self.clock = clock
        self.key = ECKey.generate_key("P-256", {"kid": "one", "use": "sig"})
        self.issuer = ""
        self.codes: dict[str, dict[str, str]] = {}
        self.claims: dict[str, Any] = {"sub": "Ada", "groups": ["staff", "soc"]}
        self.algorithm, self.signing_key = "ES256", self.key

    def log_in(self, address: str) -> str:
        """Return the code that a browser brings back after it was sent to an address."""
        asked = {name: values[0] for name, values in parse_qs(urlsplit(address).query).items()}
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        self.codes[f"code{len(self.codes)}"] = asked
        return list(self.codes)[-1]

    def answer(self, path: str, form: dict[str, list[str]], authorization: str) -> tuple[int, Any]:
        if path == "/.well-known/openid-configuration":
            return 200, {
                "issuer": self.issuer,
                "authorization_endpoint": f"{self.issuer}/authorize",
                "token_endpoint": f"{self.issuer}/token",
                "jwks_uri": f"{self.issuer}/keys",
            }
        if path == "/keys":
            return 200, {"keys": [self.key.as_dict(private=False)]}
        if path != "/token" or authorization != "Basic " + base64.b64encode(f"{CLIENT}:{SECRET}".encode()).decode():
            return 401, {}
        asked = self.codes.pop(form["code"][0], None)
        if asked is None:
            return 400, {"error": "invalid_grant"}
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"][0].encode()).digest()).rstrip(b"=")
        if challenge.decode() != asked["code_challenge"] or form["redirect_uri"][0] != asked["redirect_uri"]:
            return 400, {"error": "invalid_grant"}
        now = self.clock.time // SECOND
        said = {"iss": self.issuer, "aud": CLIENT, "iat": now, "exp": now + 60, "nonce": asked["nonce"]} | self.claims
        header = {"alg": self.algorithm, "kid": "one"}
        return 200, {"id_token": jwt.encode(header, said, self.signing_key, algorithms=[self.algorithm])}


@pytest.fixture
def provider(clock: SetClock) -> Iterator[FakeProvider]:
    fake = FakeProvider(clock)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0))).decode()
            status, said = fake.answer(self.path, parse_qs(body), self.headers.get("authorization", ""))
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def do_POST(self) -> None:
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        fake.issuer = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield fake
        server.shutdown()
        thread.join()


@pytest.fixture
def client(platform: Platform, provider: FakeProvider, tmp_path: Path) -> Iterator[TestClient[Api]]:
    (tmp_path / "secret").write_text(SECRET + "\n")
    oidc = OidcSettings(
        issuer=provider.issuer,
        client_id=CLIENT,
        client_secret_file=str(tmp_path / "secret"),
        redirect_url="https://testserver.local/api/v1/oidc/callback",
        roles={"soc": "analyst", "staff": "viewer"},
    )
    access = changed(platform.settings.access, oidc=oidc)
    with outgoing_client(["127.0.0.0/8"], ["http"]) as outgoing:
        known = replace(platform, settings=changed(platform.settings, access=access), outgoing=outgoing)
        with TestClient(make_app(known), base_url="https://testserver.local") as client:
            yield client


def begun(client: TestClient[Api]) -> str:
    answer = client.get("/api/v1/oidc/login", follow_redirects=False)
    assert answer.status_code == 302, answer.text
    assert "HttpOnly" in answer.headers["set-cookie"]
    return str(answer.headers["location"])


def finished(client: TestClient[Api], provider: FakeProvider, address: str, **other: str) -> Any:
    state = parse_qs(urlsplit(address).query)["state"][0]
    query = {"code": provider.log_in(address), "state": state} | other
    return client.get("/api/v1/oidc/callback", params=query, follow_redirects=False)


def test_who_logs_in_by_a_provider_has_a_session_and_the_mightiest_role(
    client: TestClient[Api], provider: FakeProvider
) -> None:
    answer = finished(client, provider, begun(client))
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    session = client.post("/api/v1/sessions/renewal", json={}).json()
    assert session["refresh_token"] == ""
    me = client.get("/api/v1/me", headers=bearer(session["access_token"])).json()
    assert me == {"tenant": "default", "subject": "ada", "role": "analyst"}
    assert client.post("/api/v1/sessions/renewal", json={}).status_code == 201, "the cookie was exchanged, too"


@pytest.mark.parametrize(
    "claims",
    [
        {"groups": ["strangers"]},
        {"groups": None},
        {"sub": "../ada"},
        {"sub": 5},
        {"nonce": "another"},
        {"aud": "somebody else"},
        {"aud": [CLIENT, "other"], "azp": "other"},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
        {"exp": "soon"},
    ],
)
def test_what_is_not_for_this_login_is_refused(
    client: TestClient[Api], provider: FakeProvider, claims: dict[str, Any]
) -> None:
    provider.claims |= claims
    answer = finished(client, provider, begun(client))
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


def test_a_token_that_others_signed_is_refused(client: TestClient[Api], provider: FakeProvider) -> None:
    provider.signing_key = ECKey.generate_key("P-256")
    assert finished(client, provider, begun(client)).status_code == 401
    provider.algorithm, provider.signing_key = "HS256", OctKey.import_key(json.dumps(provider.key.as_dict()))  # type: ignore[assignment]
    assert finished(client, provider, begun(client)).status_code == 401


def test_an_answer_to_no_attempt_or_another_is_refused(client: TestClient[Api], provider: FakeProvider) -> None:
    address = begun(client)
    assert finished(client, provider, address, state="another").status_code == 401
    assert finished(client, provider, address, code="code99").status_code == 401
    assert finished(client, provider, address, iss="https://elsewhere.example").status_code == 401
    client.cookies.clear()
    assert finished(client, provider, address).status_code == 401


def test_an_attempt_ends(client: TestClient[Api], provider: FakeProvider, clock: SetClock) -> None:
    address = begun(client)
    clock.time += 601 * SECOND
    assert finished(client, provider, address).status_code == 401


def test_a_provider_takes_over_no_user_with_a_password(
    client: TestClient[Api], provider: FakeProvider, platform: Platform
) -> None:
    add_user(platform, "ada", role="administrator", password="correct horse battery")
    assert finished(client, provider, begun(client)).status_code == 401


def test_a_provider_that_does_not_answer_is_told(client: TestClient[Api], provider: FakeProvider) -> None:
    provider.issuer += "0"
    answer = client.get("/api/v1/oidc/login", follow_redirects=False)
    assert answer.status_code == 503
    assert provider.issuer not in answer.text


@pytest.mark.parametrize(
    "body", [b"{}", b'{"keys":"x"}', b'{"keys":[{}]}', b'{"keys":[{"kty":"RSA"}]}', b"[1]", b"\xff"]
)
def test_keys_that_cannot_be_used_are_the_fault_of_the_provider(body: bytes) -> None:
    with pytest.raises(OutputError, match="the identity provider"):
        keys_in(body)
