from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from litestar.testing import TestClient

from api_fakes import bearer, key_of
from infraspectre.adapters.outgoing import outgoing_client
from infraspectre.api.app import make_app
from infraspectre.api.frame import Api
from infraspectre.records.collections import WEBHOOKS
from infraspectre.serving.outboxes import Outboxes
from infraspectre.serving.platform import Platform
from receivers import LOOPBACK, Reply, happen, receiver

PATH = "/api/v1/webhooks"
NEW = {"url": "https://example.org/hook", "kinds": ["incident.raised"], "name": "pager"}


def test_a_webhook_is_registered_and_its_secret_shown_once(client: TestClient[Api], platform: Platform) -> None:
    headers = bearer(key_of(platform, "engineer"))
    made = client.post(PATH, json=NEW, headers=headers)
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    one = client.get(made.headers["location"], headers=headers).json()
    [listed] = client.get(PATH, headers=headers).json()["items"]
    assert one == listed == {name: value for name, value in made.json().items() if name != "secret"}
    assert one["filters"] == ["kind=incident.raised"]
    assert client.get(PATH, headers=bearer(key_of(platform, "engineer", "other"))).json()["items"] == []
    assert client.get(PATH, headers=bearer(key_of(platform, "analyst"))).status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"url": "http://example.org/hook"},
        {"url": "https://user@example.org/"},
        {"url": "https://2130706433/"},
        {"filters": ["nothing=1"]},
        {"filters": ["severity~x"]},
        {"filters": ["kind=" + "x" * 9_000]},
        {"kinds": ["a|b"]},
    ],
)
def test_what_can_never_be_sent_is_refused(
    client: TestClient[Api], platform: Platform, change: dict[str, object]
) -> None:
    answer = client.post(PATH, json=NEW | change, headers=bearer(key_of(platform, "engineer")))
    assert answer.status_code == 422
    assert answer.json()["errors"]


def test_others_webhooks_are_not_there(client: TestClient[Api], platform: Platform) -> None:
    made = client.post(PATH, json=NEW, headers=bearer(key_of(platform, "engineer"))).headers["location"]
    others = bearer(key_of(platform, "engineer", "other"))
    answers = [
        client.get(made, headers=others),
        client.get(f"{made}/deliveries", headers=others),
        client.post(f"{made}/test", headers=others),
        client.post(f"{made}/replay", json={"dead_letters": True}, headers=others),
        client.patch(made, json={"is_enabled": False}, headers=others),
        client.delete(made, headers=others),
    ]
    assert [each.status_code for each in answers] == [404] * 6


@pytest.fixture
def sending(platform: Platform) -> Platform:
    """A platform that may call servers on loopback, without TLS."""
    return replace(platform, outgoing=outgoing_client(LOOPBACK, ("http",)))


@pytest.fixture
def asking(sending: Platform) -> Iterator[TestClient[Api]]:
    with TestClient(make_app(sending)) as client:
        yield client


def test_from_registration_to_delivery_trial_replay_and_removal(asking: TestClient[Api], sending: Platform) -> None:
    headers = bearer(key_of(sending, "engineer"))
    location = asking.post(PATH, json=NEW, headers=headers).headers["location"]
    key = location.rpartition("/")[2]
    statuses = [200]
    with receiver(lambda _: Reply(statuses[0])) as there:
        stored = sending.records.get("default", WEBHOOKS, key)
        assert stored is not None
        point_to(sending, key, there.url)
        assert asking.post(f"{location}/test", headers=headers).json() == {"delivered": True, "problem": ""}
        happen(sending.log, 30)  # type: ignore[arg-type]
        happen(sending.log, 5, kind="incident.updated")  # type: ignore[arg-type]
        served(sending)
        told = asking.get(f"{location}/deliveries", headers=headers).json()
        assert (told["standing"]["delivered"], told["standing"]["state"], told["items"]) == (30, "active", [])
        position = told["standing"]["position"]
        epoch = position.partition(".")[0]
        assert asking.post(f"{location}/replay", json={"after": "x.1"}, headers=headers).status_code == 422
        asking.post(f"{location}/replay", json={"after": f"{epoch}.28"}, headers=headers)
        statuses[0] = 422
        served(sending)
        told = asking.get(f"{location}/deliveries", headers=headers).json()
        assert [each["event_id"] for each in told["items"]] == [f"evt_{epoch}_28", f"evt_{epoch}_29"]
        assert asking.patch(location, json={"is_enabled": False}, headers=headers).json()["state"] == "disabled"
        assert asking.patch(location, json={"is_enabled": True}, headers=headers).json()["state"] == "active"
    assert asking.delete(location, headers=headers).status_code == 204
    assert asking.get(location, headers=headers).status_code == 404


def point_to(platform: Platform, key: str, url: str) -> None:
    """Change the address of a webhook to one that registration refuses, since it has no TLS."""
    import msgspec

    stored = platform.records.get("default", WEBHOOKS, key)
    assert stored is not None
    platform.records.put("default", WEBHOOKS, key, msgspec.json.decode(stored.body) | {"url": url})


def served(platform: Platform) -> None:
    """Send what is due."""
    outboxes = Outboxes(platform)
    outboxes.look()
    outboxes.finish()
