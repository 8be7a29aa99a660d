"""Requests that an attacker would like this server to send, made by rule: none of them is ever sent."""

# ruff: noqa: RUF001
from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address

import httpx
import pytest

from infraspectre.adapters.outgoing import GuardedTransport, outgoing_client
from infraspectre.errors import AccessError
from receivers import LOOPBACK, receiver

METADATA = {
    "aws": "169.254.169.254", "aws-ecs": "169.254.170.2", "azure": "168.63.129.16", "alibaba": "100.100.100.200",
    "oracle": "192.0.0.192", "tencent": "169.254.0.23", "kubernetes": "10.96.0.1", "docker": "172.17.0.1",
    "home": "192.168.1.1", "loopback": "127.0.0.1", "other-loopback": "127.9.9.9", "nothing": "0.0.0.0",
    "carrier": "100.64.0.1", "broadcast": "255.255.255.255", "multicast": "224.0.0.1",
}  # fmt: skip
SIX = ["::1", "::", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fec0::1", "ff02::1", "fc00::1", "2001:db8::1"]
NAMES = [
    "metadata.google.internal", "metadata", "instance-data", "metadata.tencentyun.com", "localhost",
    "kubernetes.default.svc", "ip6-localhost", "router.home.arpa", "printer.local",
]  # fmt: skip
DOTS = "。．｡"
ELSEWHERE = "93.184.216.34"


def odd_fours(address: str) -> Iterator[str]:
    """Yield the ways in which some parsers let an IPv4 address be written."""
    a, b, c, d = map(int, address.split("."))
    number = int(IPv4Address(address))
    yield from (str(number), hex(number), f"0{number:o}", f"0x{number:X}", str(number + (1 << 32)))
    yield from (f"{a}.{(b << 16) + (c << 8) + d}", f"{a}.{b}.{(c << 8) + d}")
    yield from (f"{a:#x}.{b:#x}.{c:#x}.{d:#x}", f"0{a:o}.0{b:o}.0{c:o}.0{d:o}", f"{a:03}.{b:03}.{c:03}.{d:03}")
    yield from (f"{a:#x}.{b}.0{c:o}.{d}", f"{address}.", address.replace(".", "%2e"))
    yield from (address.replace(".", dot) for dot in DOTS)
    yield "".join(chr(ord(sign) + 0xFEE0) if sign.isdecimal() else sign for sign in address)


def odd_sixes(address: str) -> Iterator[str]:
    """Yield the addresses of IPv6 that hold one of IPv4."""
    number = int(IPv4Address(address))
    high, low = f"{number >> 16:x}", f"{number & 0xFFFF:x}"
    yield from (f"::ffff:{address}", f"::ffff:{high}:{low}", f"::{address}", f"::ffff:0:{address}")
    yield from (f"64:ff9b::{address}", f"64:ff9b:1::{high}:{low}", f"2002:{high}:{low}::1")
    yield from (f"2001:0:{high}:{low}::1", str(IPv6Address((0x20010000 << 96) | (number ^ 0xFFFFFFFF))))
    yield from (f"2606:4700::5efe:{high}:{low}", f"2606:4700::200:5efe:{high}:{low}")


def urls() -> Iterator[str]:
    for address in METADATA.values():
        yield f"https://{address}/latest/meta-data/"
        yield from (f"https://{host}/" for host in odd_fours(address))
        yield from (f"https://[{host}]/" for host in odd_sixes(address))
        yield from (
            f"https://example.org@{address}/",
            f"https://{address}#@example.org/",
            f"https://{address}\\@example.org/",
        )
        yield from (f"https://example.org:443@{address}/", f"https://{address}:99999/", f"https://{address}:0x50/")
        yield from (f"{scheme}://{address}/" for scheme in ("http", "file", "gopher", "ftp", "dict", "ldap", "jar"))
    for address in SIX:
        yield from (
            f"https://[{address}]/",
            f"https://[{address}%25eth0]/",
            f"https://[{address}%eth0]/",
            f"https://{address}/",
        )
    yield from (f"https://{name}/" for name in NAMES)
    yield from (f"https://{name}./" for name in NAMES)


CASES = list(dict.fromkeys(urls()))


class Sent(httpx.BaseTransport):
    """Takes what gets through instead of sending it."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200)


def guarded(answers: dict[str, list[list[str]]]) -> tuple[httpx.Client, Sent]:
    """Return a client whose names lead to the next of their answers, and else to where metadata is."""

    def resolve(host: str, port: int) -> list[str]:
        try:
            return [str(IPv4Address(host))]
        except ValueError:
            pass
        if ":" in host:
            return [host]
        found = answers.get(host, [["169.254.169.254"]])
        return found.pop(0) if len(found) > 1 else found[0]

    transport, sent = GuardedTransport((), ("https",), resolve), Sent()
    transport._inner.close()
    transport._inner = sent  # type: ignore[assignment]
    return httpx.Client(transport=transport, trust_env=False, follow_redirects=True), sent


def is_refused(client: httpx.Client, url: str) -> bool:
    try:
        client.post(url, content=b"{}")
    except (AccessError, httpx.InvalidURL, httpx.UnsupportedProtocol):
        return True
    return False


def test_there_are_hundreds_of_cases() -> None:
    assert len(CASES) >= 500


def test_none_is_sent() -> None:
    client, sent = guarded({})
    with client:
        assert [url for url in CASES if not is_refused(client, url)] == []
    assert sent.requests == []


def test_none_is_sent_where_a_redirect_leads_there() -> None:
    client, sent = guarded({"service.example": [[ELSEWHERE]]})
    for url in CASES:
        if not (url.isascii() and url.isprintable()):
            continue
        redirect = httpx.Response(302, headers={"location": url})
        sent.requests.clear()
        sent.handle_request = lambda request, answer=redirect: sent.requests.append(request) or answer  # type: ignore
        with suppress(AccessError, httpx.HTTPError, httpx.InvalidURL):
            client.get("https://service.example/")
        assert {each.url.host for each in sent.requests} == {ELSEWHERE}, url
    client.close()


@pytest.mark.parametrize("inner", [*METADATA.values(), *SIX])
def test_a_name_that_leads_within_is_refused_first_later_and_among_others(inner: str) -> None:
    answers = {
        "first.example": [[inner]],
        "later.example": [[ELSEWHERE], [inner]],
        "among.example": [[ELSEWHERE, inner]],
    }
    client, sent = guarded(answers)
    with client:
        assert is_refused(client, "https://first.example/")
        assert is_refused(client, "https://among.example/")
        assert not is_refused(client, "https://later.example/")
        assert is_refused(client, "https://later.example/")
    assert [each.url.host for each in sent.requests] == [ELSEWHERE]


def test_what_may_be_sent_goes_to_the_address_that_was_checked_under_its_name() -> None:
    places = {"service.example": [[ELSEWHERE]], "a-b.service.example": [[ELSEWHERE]]}
    client, sent = guarded(places)
    allowed = [
        "https://service.example/hook?x=1",
        "https://a-b.service.example:8443/",
        f"https://{ELSEWHERE}/",
        "https://[2606:4700::1]/",
    ]
    with client:
        assert [url for url in allowed if is_refused(client, url)] == []
    assert [each.url.host for each in sent.requests] == [ELSEWHERE, ELSEWHERE, ELSEWHERE, "2606:4700::1"]
    assert sent.requests[0].headers["host"] == "service.example"
    assert sent.requests[0].extensions["sni_hostname"] == "service.example"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "ALL_PROXY", "http_proxy", "all_proxy"])
def test_no_proxy_of_the_environment_is_asked(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with receiver() as there, socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(0.05)
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        monkeypatch.setenv(name.replace("HTTPS", "HTTP"), f"http://127.0.0.1:{proxy.getsockname()[1]}")
        with outgoing_client(LOOPBACK, ("http",)) as client:
            assert client.post(there.url).status_code == 200
        assert len(there.requests) == 1
        with pytest.raises(TimeoutError):
            proxy.accept()
