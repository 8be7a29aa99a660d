from __future__ import annotations

from litestar.testing import TestClient

from api_fakes import add_user, bearer, key_of
from infraspectre.api.frame import Api
from infraspectre.records.access import PERMISSIONS
from infraspectre.serving.platform import Platform


def test_every_route_says_who_may(app: Api) -> None:
    handlers = [handler for route in app.routes for handler in getattr(route, "route_handlers", [])]
    assert handlers
    for handler in handlers:
        if handler.http_methods != {"OPTIONS"}:
            assert (handler.opt.get("public") is True) != (
                handler.opt.get("permission") in PERMISSIONS["administrator"]
            ), handler


def test_a_list_is_of_the_own_tenant(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada")
    add_user(platform, "eve", tenant="other")
    answer = client.get("/api/v1/users?fields=name", headers=bearer(key_of(platform)))
    assert answer.json() == {"items": [{"name": "ada"}], "next": None}


def test_whoever_is_not_known_is_told_how_to_be(client: TestClient[Api]) -> None:
    answer = client.get("/api/v1/users")
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_role_without_the_permission_is_refused(client: TestClient[Api], platform: Platform) -> None:
    assert client.get("/api/v1/users", headers=bearer(key_of(platform, "viewer"))).status_code == 403


def test_what_the_client_has_is_not_sent_again(client: TestClient[Api], platform: Platform) -> None:
    add_user(platform, "ada")
    headers = bearer(key_of(platform))
    first = client.get("/api/v1/users/ada", headers=headers)
    again = client.get("/api/v1/users/ada", headers=headers | {"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
