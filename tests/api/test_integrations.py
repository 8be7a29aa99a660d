from __future__ import annotations

from typing import Any

import pytest
from litestar.testing import TestClient

from api_fakes import bearer, key_of
from infraspectre.api.frame import Api
from infraspectre.serving.platform import Platform

PATH = "/api/v1/integrations/siem"
SPLUNK = {"name": "soc", "platform": "splunk", "url": "https://splunk.example.org:8088", "secret": "hush-hush"}
MAIL = {"sender": "a@example.org", "recipients": "b@example.org, c@example.org", "user": "a b"}
SENTINEL = {"directory": "d", "client": "c", "rule": "dcr-1", "stream": "Custom-X"}


def test_an_integration_is_registered_shown_without_its_secret_and_removed(
    client: TestClient[Api], platform: Platform
) -> None:
    headers = bearer(key_of(platform, "engineer"))
    made = client.post(PATH, json=SPLUNK, headers=headers)
    assert (made.status_code, made.json()["format"]) == (201, "json")
    [listed] = client.get(PATH, headers=headers).json()["items"]
    assert listed == made.json() == client.get(f"{PATH}/soc", headers=headers).json()
    assert "hush-hush" not in client.get(PATH, headers=headers).text + made.text
    assert client.post(PATH, json=SPLUNK, headers=headers).status_code == 409
    others = bearer(key_of(platform, "engineer", "other"))
    assert client.get(f"{PATH}/soc", headers=others).status_code == 404
    assert client.delete(f"{PATH}/soc", headers=others).status_code == 404
    assert client.delete(f"{PATH}/soc", headers=headers).status_code == 204
    assert client.post(PATH, json=SPLUNK, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "change",
    [
        {"secret": ""},
        {"secret": "a\r\nb: c"},
        {"url": "http://splunk.example.org"},
        {"options": {"nothing": "x"}},
        {"options": {"index": "a b"}},
        {"platform": "sentinel"},
        {"platform": "syslog"},
        {"filters": ["nothing=1"]},
        {"template": "x"},
        {"platform": "slack", "secret": "no-path"},
        {"platform": "slack", "secret": "/s", "template": "{{ 1 + 1 }}"},
        {
            "platform": "email",
            "url": "smtp://mail.example.org:587",
            "options": {"sender": "a@b", "recipients": "\u00e9"},
        },
        {"platform": "email", "url": "smtp://mail.example.org:587", "options": {"sender": "a", "recipients": "b@c"}},
        {"platform": "email", "url": "smtp://mail.example.org", "options": MAIL},
    ],
)
def test_what_can_never_be_sent_is_refused(client: TestClient[Api], platform: Platform, change: dict[str, Any]) -> None:
    answer = client.post(PATH, json=SPLUNK | change, headers=bearer(key_of(platform, "engineer")))
    assert answer.status_code == 422
    assert answer.json()["errors"]


@pytest.mark.parametrize(
    "wanted",
    [
        {"platform": "qradar", "url": "tls://qradar.example.org:6514"},
        {"platform": "syslog", "url": "tcp://10.1.2.3:601"},
        {"platform": "elastic", "url": "https://elastic.example.org:9200", "secret": "k", "options": {"index": "a"}},
        {"platform": "sentinel", "url": "https://x.ingest.monitor.azure.com", "secret": "k", "options": SENTINEL},
        {"platform": "slack", "url": "https://hooks.slack.com", "secret": "/services/T/B/x", "template": "{{ more }}"},
        {"platform": "teams", "url": "https://x.logic.azure.com:443", "secret": "/workflows/1?sig=x", "pause_s": 5},
        {"platform": "email", "url": "smtp://mail.example.org:587", "secret": "k", "options": MAIL},
    ],
)
def test_each_platform_is_known(client: TestClient[Api], platform: Platform, wanted: dict[str, Any]) -> None:
    headers = bearer(key_of(platform, "engineer"))
    assert client.post(PATH, json={"name": "soc", **wanted}, headers=headers).status_code == 201
    told = client.post(f"{PATH}/soc/test", headers=headers).json()
    assert (told["delivered"], told["problem"]) == (False, "this server sends nothing to others")


def test_people_are_told_of_grave_incidents_now_and_then_where_nothing_else_is_asked_for(
    client: TestClient[Api], platform: Platform
) -> None:
    wanted = {"name": "p", "platform": "slack", "url": "https://hooks.slack.com", "secret": "/services/T/B/hush"}
    made = client.post(PATH, json=wanted, headers=bearer(key_of(platform, "engineer")))
    told = made.json()
    assert (told["filters"], told["pause_s"], told["batch"]) == (
        ["kind=incident.raised|incident.updated", "severity>=high"], 60, 500,
    )  # fmt: skip
    assert "hush" not in made.text
