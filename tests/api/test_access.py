"""Who gets in: keys, sessions, roles and tenants, and what is written down about it."""

from __future__ import annotations

import asyncio
import random
import re
import stat
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
from litestar import WebSocket, websocket
from litestar.exceptions import WebSocketDisconnect
from litestar.testing import TestClient

from api_fakes import add_user, bearer, key_of
from infraspectre.api.access.credentials import Credential
from infraspectre.api.access.passwords import Passwords
from infraspectre.api.access.tokens import Claims, Tokens
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.api.routes.sessions import LEEWAY_S
from infraspectre.errors import ConfigError, OutputError
from infraspectre.records.access import PERMISSIONS, ROLES, AuditEvent
from infraspectre.records.collections import KEYS, SESSIONS
from infraspectre.records.feed import AUDIT_TOPIC
from infraspectre.serving.key_file import secret_key
from infraspectre.serving.platform import Platform
from log_fakes import SetClock

PASSWORD = "correct horse battery"
SECOND = 1_000_000_000


def login(client: TestClient[Api], name: str = "ada", password: str = PASSWORD, tenant: str = "default") -> Any:
    return client.post("/api/v1/sessions", json={"user": name, "password": password, "tenant": tenant})


def audited(platform: Platform) -> list[AuditEvent]:
    entries = platform.log.topic(AUDIT_TOPIC).read(0)
    return [msgspec.json.decode(entry.data, type=AuditEvent) for entry in entries]


def test_a_revoked_key_is_refused_at_once(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform))
    made = client.post("/api/v1/keys", json={"subject": "probe", "role": "viewer"}, headers=headers).json()
    key = bearer(made["key"])
    assert client.get("/api/v1/me", headers=key).json()["subject"] == "probe"
    assert client.delete(f"/api/v1/keys/{made['key_id']}", headers=headers).status_code == 204
    assert client.get("/api/v1/me", headers=key).status_code == 401


def test_a_key_ends(client: TestClient[Api], platform: Platform, clock: SetClock) -> None:
    key = bearer(key_of(platform, expires_at=clock.time + SECOND))
    assert client.get("/api/v1/users", headers=key).status_code == 200
    later = bearer(key_of(platform, expires_at=clock.time - SECOND))
    assert client.get("/api/v1/users", headers=later).status_code == 401


def test_no_key_is_kept_or_shown(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform))
    made = client.post("/api/v1/keys", json={"subject": "probe", "role": "viewer"}, headers=headers).json()
    secret = made["key"].split("_", 3)[3]
    assert secret not in client.get("/api/v1/keys", headers=headers).text
    stored = platform.records.get("default", KEYS, made["key_id"])
    assert stored is not None
    assert secret.encode() not in stored.body
    key = Credential.of("isk", made["key"])
    assert secret not in repr(key)


@pytest.mark.parametrize(
    "spoilt",
    ["", "x", "isk_", "isk_default_0_x", "isk_other_{rest}", "isr_default_{rest}", "isk_default_{rest}x", "{rest}"],
)
def test_a_spoilt_key_is_nobodys(client: TestClient[Api], platform: Platform, spoilt: str) -> None:
    rest = "_".join(key_of(platform)[2:])
    headers = {"authorization": f"Bearer {spoilt.format(rest=rest)}"}
    assert client.get("/api/v1/me", headers=headers).status_code == 401


def test_a_login_gives_tokens_and_a_logout_takes_them(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", role="analyst", password=PASSWORD)
    tokens = login(client).json()
    headers = bearer(tokens["access_token"])
    assert client.get("/api/v1/me", headers=headers).json() == {
        "tenant": "default",
        "subject": "ada",
        "role": "analyst",
    }
    assert client.delete("/api/v1/sessions/current", headers=headers).status_code == 204
    assert client.get("/api/v1/me", headers=headers).status_code == 401
    renewal = client.post("/api/v1/sessions/renewal", json={"refresh_token": tokens["refresh_token"]})
    assert renewal.status_code == 401


def test_own_sessions_are_listed_and_all_others_ended(client: TestClient[Api], platform: Platform) -> None:
    for name in ("ada", "grace"):
        add_user(platform, name, password=PASSWORD)
    other = bearer(login(client, "grace").json()["access_token"])
    client.headers["user-agent"] = "a browser " * 100
    first, second = (bearer(login(client).json()["access_token"]) for _ in range(2))
    told = client.get("/api/v1/sessions", headers=first).json()
    assert [each["is_current"] for each in told].count(True) == 1
    assert len(told) == 2
    assert {len(each["agent"]) for each in told} == {200}
    assert {each["address"] for each in told} == {"unknown"}
    assert client.delete("/api/v1/sessions", headers=first).status_code == 204
    assert [each["is_current"] for each in client.get("/api/v1/sessions", headers=first).json()] == [True]
    assert client.get("/api/v1/me", headers=second).status_code == 401
    assert client.get("/api/v1/me", headers=other).status_code == 200


def test_a_key_has_no_sessions_even_if_it_is_called_like_a_user(client: TestClient[Api], platform: Platform) -> None:
    key = bearer(key_of(platform, "administrator"))
    add_user(platform, client.get("/api/v1/me", headers=key).json()["subject"], password=PASSWORD)
    assert client.get("/api/v1/sessions", headers=key).status_code == 404
    assert client.delete("/api/v1/sessions", headers=key).status_code == 404


def test_an_access_token_ends_and_is_renewed(client: TestClient[Api], platform: Platform, clock: SetClock) -> None:
    add_user(platform, "ada", password=PASSWORD)
    tokens = login(client).json()
    clock.time += (tokens["expires_in"] + 1) * SECOND
    old = bearer(tokens["access_token"])
    assert client.get("/api/v1/me", headers=old).status_code == 401
    renewed = client.post("/api/v1/sessions/renewal", json={"refresh_token": tokens["refresh_token"]}).json()
    assert client.get("/api/v1/me", headers=bearer(renewed["access_token"])).status_code == 200


def test_a_refresh_token_used_twice_ends_the_session(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", password=PASSWORD)
    first = login(client).json()
    second = client.post("/api/v1/sessions/renewal", json={"refresh_token": first["refresh_token"]}).json()
    assert client.post("/api/v1/sessions/renewal", json={"refresh_token": first["refresh_token"]}).status_code == 401
    assert client.post("/api/v1/sessions/renewal", json={"refresh_token": second["refresh_token"]}).status_code == 401
    assert client.get("/api/v1/me", headers=bearer(second["access_token"])).status_code == 401


def in_browser(client: TestClient[Api], path: str = "", body: Any = None, **headers: str) -> Any:
    """Log in, or do something else with sessions, as a page of the console does."""
    own = {"user": "ada", "password": PASSWORD, "keep": "cookie"} if body is None else body
    return client.post(f"/api/v1/sessions{path}", json=own, headers=headers)


def test_a_browser_keeps_its_refresh_token_in_a_cookie(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", password=PASSWORD)
    first = in_browser(client)
    assert first.status_code == 201
    assert first.json()["refresh_token"] == ""
    said = first.headers["set-cookie"].lower()
    assert all(each in said for each in ("infraspectre_refresh=isr_", "httponly", "samesite=strict", "; secure"))
    assert "path=/api/v1/sessions;" in said
    assert 0 < int(re.findall(r"max-age=(\d+)", said)[0]) <= platform.settings.access.refresh_s
    cookie = first.headers["set-cookie"].partition(";")[0]
    renewed = in_browser(client, "/renewal", {}, cookie=cookie)
    assert renewed.status_code == 201
    assert renewed.headers["set-cookie"].partition(";")[0] != cookie
    access = bearer(renewed.json()["access_token"])
    assert client.get("/api/v1/me", headers=access).json()["subject"] == "ada"
    over = client.delete("/api/v1/sessions/current", headers=access)
    assert over.status_code == 204
    assert "max-age=0" in over.headers["set-cookie"].lower()
    last = renewed.headers["set-cookie"].partition(";")[0]
    assert in_browser(client, "/renewal", {}, cookie=last).status_code == 401


def test_a_page_that_is_left_while_it_renews_keeps_its_session(
    client: TestClient[Api], platform: Platform, clock: SetClock
) -> None:
    add_user(platform, "ada", password=PASSWORD)
    cookie = in_browser(client).headers["set-cookie"].partition(";")[0]
    assert in_browser(client, "/renewal", {}, cookie=cookie).status_code == 201  # its answer is lost
    again = in_browser(client, "/renewal", {}, cookie=cookie)
    assert again.status_code == 201
    clock.time += (LEEWAY_S + 1) * SECOND
    assert in_browser(client, "/renewal", {}, cookie=cookie).status_code == 401
    latest = again.headers["set-cookie"].partition(";")[0]
    assert in_browser(client, "/renewal", {}, cookie=latest).status_code == 401  # it ended for both


def test_plain_loopback_alone_has_a_cookie_without_tls(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", password=PASSWORD)
    for host, is_secure in (
        ("127.0.0.1:8080", False),
        ("[::1]:8080", False),
        ("localhost", False),
        ("soc.example", True),
    ):
        answer = in_browser(client, host=host, origin=f"http://{host}")
        assert ("; secure" in answer.headers["set-cookie"].lower()) == is_secure, host
    behind = in_browser(client, host="localhost", origin="https://localhost")
    assert "; secure" in behind.headers["set-cookie"].lower()


FOREIGN = ("https://evil.example", "http://localhost.evil.example", "null", "http://[", "http://h:81")


def test_a_page_of_another_origin_uses_no_cookie(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", password=PASSWORD)
    cookie = in_browser(client).headers["set-cookie"].partition(";")[0]
    for origin in FOREIGN:
        foreign = {"host": "h", "origin": origin}
        assert in_browser(client, **foreign).status_code == 403
        refused = in_browser(client, "/renewal", {}, cookie=cookie, **foreign)
        assert refused.status_code == 403
        assert "set-cookie" not in refused.headers
    assert in_browser(client, "/renewal", {}, cookie=cookie, host="h", origin="http://h").status_code == 201


def test_a_host_that_is_none_is_no_fault_of_ours(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", password=PASSWORD)
    assert in_browser(client, host="[", origin="http://[").status_code == 201


def test_who_is_disabled_or_changed_is_out(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", password=PASSWORD)
    tokens = login(client).json()
    headers = bearer(key_of(platform)) | {"if-match": '"1"'}
    assert client.patch("/api/v1/users/ada", json={"is_disabled": True}, headers=headers).status_code == 200
    assert client.get("/api/v1/me", headers=bearer(tokens["access_token"])).status_code == 401
    assert not platform.records.tenants(SESSIONS)
    assert login(client).status_code == 401


def test_no_answer_tells_which_users_there_are(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", password=PASSWORD)
    add_user(platform, "oidc-only")
    wrong = [login(client, "ada", "wrong password!"), login(client, "nobody"), login(client, "oidc-only")]
    wrong.append(login(client, tenant="nowhere"))
    told = [{name: value for name, value in each.json().items() if name != "request_id"} for each in wrong]
    assert all(each.status_code == 401 for each in wrong)
    assert all(each == told[0] for each in told)


def test_a_password_of_nobody_is_hashed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords = Passwords(32)
    tried: list[str] = []
    verify = type(passwords._hasher).verify

    def noted(self: Any, kept: str, text: str) -> bool:
        tried.append(kept)
        return verify(self, kept, text)

    monkeypatch.setattr(type(passwords._hasher), "verify", noted)
    known = passwords.hash(PASSWORD)
    fits = [asyncio.run(passwords.fits(PASSWORD, kept)) for kept in (known, None, "")]
    assert fits == [True, False, False]
    parameters = {each.rsplit("$", 2)[0] for each in tried}
    assert len(tried) == 3, "one hash for each guess, whoever it is"
    assert len(parameters) == 1, "with the same cost"


def test_guessing_is_slowed(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", password=PASSWORD)
    statuses = [login(client, password="wrong password!").status_code for _ in range(11)]
    assert statuses == [401] * 10 + [429]


def test_a_token_of_another_key_or_kind_is_none() -> None:
    ours, now = Tokens(b"k" * 32), 1_000 * SECOND
    claims = Claims("default", "ada", "0" * 16, now + 900 * SECOND)
    assert ours.read(ours.sign(claims, now), now) == claims
    assert ours.read(Tokens(b"x" * 32).sign(claims, now), now) is None
    assert ours.read(ours.sign(claims, now), now + 901 * SECOND) is None
    none = "eyJhbGciOiJub25lIn0." + ours.sign(claims, now).split(".")[1] + "."
    for text in (none, "", "a.b.c", ours.sign(claims, now)[:-2], "." * 100):
        assert ours.read(text, now) is None


def test_the_key_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "token.key"
    key = secret_key(path)
    assert secret_key(path) == key
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="read by others"):
        secret_key(path)
    with pytest.raises(OutputError):
        secret_key(tmp_path / "none" / "token.key")


def test_changes_and_refusals_are_written_down(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada", password=PASSWORD)
    headers = bearer(key_of(platform))
    client.post(
        "/api/v1/users", json={"name": "eve", "role": "viewer", "password": "staple staple staple"}, headers=headers
    )
    client.get("/api/v1/users", headers=bearer(key_of(platform, "viewer")))
    client.get("/api/v1/users")
    login(client, password="wrong password!")
    login(client)
    events = [(each.subject, each.operation, each.outcome) for each in audited(platform)]
    assert events == [
        ("administrator-of-default", "add_user", 201),
        ("viewer-of-default", "list_users", 403),
        ("", "list_users", 401),
        ("ada", "open_session", 401),
        ("ada", "open_session", 201),
    ]
    text = b"".join(entry.data for entry in platform.log.topic(AUDIT_TOPIC).read(0))
    assert b"staple" not in text
    assert b"wrong" not in text


def test_the_audit_is_read_by_page_and_of_the_own_tenant(client: TestClient[Api], platform: Platform) -> None:
    for tenant in ("default", "other", "default"):
        client.get("/api/v1/users", headers=bearer(key_of(platform, "viewer", tenant)))
    headers = bearer(key_of(platform))
    first = client.get("/api/v1/audit?limit=1", headers=headers).json()
    assert len(first["items"]) == 1
    rest = client.get("/api/v1/audit", params={"after": first["next"]}, headers=headers).json()
    assert [each["tenant"] for each in rest["items"]] == ["default"]
    assert rest["next"] is None
    assert client.get("/api/v1/audit?after=ffff.0", headers=headers).status_code == 404


def test_what_cannot_be_written_down_is_not_answered(client: TestClient[Api], platform: Platform) -> None:
    platform.log.topic(AUDIT_TOPIC).failure = OutputError("no space")  # type: ignore[attr-defined]
    answer = client.post("/api/v1/keys", json={"subject": "x", "role": "viewer"}, headers=bearer(key_of(platform)))
    assert answer.status_code == 503
    assert "isk_" not in answer.text


def test_sockets_are_opened_for_those_who_may(platform: Platform) -> None:
    @websocket("/talk", opt={"permission": "triage"})
    async def talk(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        await socket.send_text(socket.user.subject)
        await socket.close()

    @websocket("/closed")
    async def closed(socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()

    with TestClient(make_app(platform, [talk, closed])) as client:
        headers = bearer(key_of(platform, "analyst"))
        with client.websocket_connect("/talk", headers=headers) as socket:
            assert socket.receive_text() == "analyst-of-default"
        refused = [("/talk", bearer(key_of(platform, "viewer")), 4403), ("/talk", {}, 4401), ("/closed", headers, 4403)]
        for path, given, code in refused:
            with pytest.raises(WebSocketDisconnect) as told, client.websocket_connect(path, headers=given):
                pass
            assert told.value.code == code
    assert [each.outcome for each in audited(platform)] == [403, 401, 403]


CALLS = [
    ("GET", "/api/v1/users", "administer"),
    ("GET", "/api/v1/users/ada", "administer"),
    ("GET", "/api/v1/keys", "administer"),
    ("GET", "/api/v1/keys/{key}", "administer"),
    ("DELETE", "/api/v1/keys/{key}", "administer"),
    ("GET", "/api/v1/audit", "administer"),
    ("GET", "/api/v1/me", "read"),
    ("GET", "/api/v1/health", "read"),
    ("GET", "/metrics", "read"),
    ("POST", "/api/v1/events", "ingest"),
]


def test_roles_and_tenants_never_mix(client: TestClient[Api], platform: Platform) -> None:
    """Ask for all that one tenant has as everybody of another, in a shuffled order."""
    marks = {tenant: f"mark-of-{tenant}" for tenant in ("red", "blue")}
    keys = {(tenant, role): key_of(platform, role, tenant) for tenant, role in product(marks, ROLES)}
    for tenant, mark in marks.items():
        add_user(platform, mark, tenant)
    asked = [(call, who) for call, who in product(CALLS, keys) for _ in range(2)]
    random.Random(1).shuffle(asked)
    for (method, path, permission), (tenant, role) in asked:
        other = "blue" if tenant == "red" else "red"
        place = path.replace("{key}", keys[other, "viewer"].id)
        content = b'{"a":1}' if method == "POST" else None
        headers = bearer(keys[tenant, role]) | ({"content-type": "application/x-ndjson"} if content else {})
        answer = client.request(method, place, headers=headers, content=content)
        if permission not in PERMISSIONS[role]:
            assert answer.status_code == 403, (method, path, role)
        elif place != path:
            assert answer.status_code == 404, (method, path, role)
        assert marks[other] not in answer.text
        assert f"-of-{other}" not in answer.text


def test_the_operator_alone_adds_tenants(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform))
    made = client.post("/api/v1/tenants", json={"name": "red"}, headers=headers).json()
    theirs = bearer(made["key"])
    assert client.get("/api/v1/me", headers=theirs).json()["tenant"] == "red"
    assert client.get("/api/v1/tenants", headers=theirs).status_code == 403
    assert client.post("/api/v1/tenants", json={"name": "blue"}, headers=theirs).status_code == 403
    assert client.post("/api/v1/tenants", json={"name": "red"}, headers=headers).status_code == 409


def test_whoever_has_a_key_cannot_guess_the_password_of_its_subject(
    client: TestClient[Api], platform: Platform
) -> None:
    add_user(platform, "viewer-of-default", password=PASSWORD)
    headers = bearer(key_of(platform, "viewer"))
    guess = {"old": "a guess of mine", "new": "a new long password"}
    statuses = [client.post("/api/v1/me/password", json=guess, headers=headers).status_code for _ in range(11)]
    assert statuses == [403] * 10 + [429]
