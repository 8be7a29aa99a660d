"""Values of indicators in the form in which flows show them; each is refused with its reason where it has none."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from ipaddress import ip_network
from socket import AF_INET, AF_INET6, inet_ntop, inet_pton

from infraspectre.records.indicators import IndicatorKind

Typed = tuple[IndicatorKind, str]
"""A kind and a value in its canonical form."""

V4_PREFIX = b"\0" * 10 + b"\xff\xff"
"""What makes an IPv4 address one of IPv6 (RFC 4291, 2.5.5.2)."""
LEAST_PREFIX = {4: 8, 6: 16}
"""A larger network is no indicator: no registry ever gave one to a single holder (RFC 7020)."""
HASHES: dict[int, IndicatorKind] = {32: "md5", 40: "sha1", 64: "sha256"}
HEXADECIMAL = re.compile(r"[0-9a-f]+")
JA4 = re.compile(r"[tqd][0-9s][0-9][di][0-9]{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}")
"""FoxIO JA4 specification."""
LABEL = r"(?!-)[a-z0-9_-]{1,63}(?<!-)"
DOMAIN = re.compile(rf"(?:{LABEL}\.)+(?!\d+\Z){LABEL}")
LONGEST_DOMAIN = 253
"""Characters of a name (RFC 1035, 2.3.4)."""
URL = re.compile(
    r"(?:([a-z][a-z0-9+.-]*)://)?(?:[^@/?#]*@)?(\[[0-9a-f:.]+\]|[^:/?#@]+)(?::(\d{1,5}))?([/?][^#]*)?(?:#.*)?",
    re.I | re.S,
)
PORT = re.compile(r"[0-9]{1,5}")
PORTS = {"http": 80, "https": 443}
LONGEST_VALUE = 2_048
"""Characters of the longest value; a longer URL is hardly ever seen whole."""
SPOILED = re.compile(r"\[(?:\.|dot)\]|\((?:\.|dot)\)|\{\.\}|\[:\]|\[://\]|\[/\]", re.I)
"""How reports write addresses so that nobody follows them by accident."""


def pack(text: str) -> bytes | None:
    """Return an address as the 16 bytes of IPv6, in network order; None for what is no address."""
    try:
        return inet_pton(AF_INET6, text) if ":" in text else V4_PREFIX + inet_pton(AF_INET, text)
    except (OSError, ValueError):
        return None


def restored(text: str) -> str:
    """Undo how reports spoil values: hxxp://1.2.3[.]4 becomes http://1.2.3.4."""
    text = text.strip()
    if "[" in text or "(" in text or "{" in text:
        text = SPOILED.sub(lambda found: next((mark for mark in ("://", ":", "/") if mark in found[0]), "."), text)
    return re.sub(r"^hxxp", "http", text, flags=re.I) if text[:4].lower() == "hxxp" else text


def typed_as(kind: IndicatorKind, text: str) -> Typed:
    """Return a value of a kind that its source states; raises ValueError with the reason it cannot be used."""
    text = restored(text)
    if not text or len(text) > LONGEST_VALUE:
        raise ValueError("has no value" if not text else f"is longer than {LONGEST_VALUE} characters")
    return READERS[kind](text)


def typed(text: str) -> Typed:
    """Return a value whose kind its form tells; raises ValueError if it has none."""
    text = restored(text)
    lower = text.lower()
    if len(text) in HASHES and HEXADECIMAL.fullmatch(lower):
        return HASHES[len(text)], lower
    if pack(text) is not None:
        return _address(text)
    if JA4.fullmatch(lower):
        return "ja4", lower
    if not text or len(text) > LONGEST_VALUE:
        raise ValueError("has no value" if not text else f"is longer than {LONGEST_VALUE} characters")
    return _network_or_url(text) if "/" in text or ":" in text else _domain(text)


def _network_or_url(text: str) -> Typed:
    head, _, rest = text.partition("/")
    return _network(text) if rest.isdigit() and pack(head) is not None else _url(text)


def _address(text: str) -> Typed:
    if "/" in text:
        return _network(text)
    packed = pack(text)
    if packed is None:
        host, _, port = text.rpartition(":")
        return _endpoint(text) if port.isdigit() and pack(host.strip("[]")) is not None else _refuse("is no address")
    return "ip", inet_ntop(AF_INET6, packed) if ":" in text else text


def _network(text: str) -> Typed:
    try:
        network = ip_network(text, strict=False)
    except ValueError:
        return _refuse("is no network")
    if network.prefixlen < LEAST_PREFIX[network.version]:
        return _refuse("is too large a network to be an indicator")
    if network.prefixlen == network.max_prefixlen:
        return "ip", str(network.network_address)
    return "cidr", str(network)


def _endpoint(text: str) -> Typed:
    host, _, port = text.rpartition(":")
    address = pack(host.strip("[]"))
    if address is None or not PORT.fullmatch(port) or not 0 < int(port) < 65_536:
        return _refuse("is no address with a port")
    return "endpoint", endpoint(_address(host.strip("[]"))[1], int(port))


def endpoint(address: str, port: int | str) -> str:
    """Write an address with a port, or with what is to be one."""
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _domain(text: str) -> Typed:
    name = text.lower().rstrip(".").removeprefix("*.").removeprefix(".")
    if not name.isascii():
        try:
            name = name.encode("idna").decode()
        except UnicodeError:
            return _refuse("is no name of a domain")
    if len(name) <= LONGEST_DOMAIN and DOMAIN.fullmatch(name):
        return "domain", name
    if pack(name) is not None:
        return _address(name)
    known = re.fullmatch(LABEL, name)
    return _refuse("names a whole top-level domain or a bare host" if known else "is no name of a domain")


def _url(text: str) -> Typed:
    """Return a URL without scheme, as clear HTTP shows it; one of a whole host stands for that host."""
    found = URL.fullmatch(text)
    if not found:
        return _refuse("is no URL")
    scheme, host, port, path = (found[1] or "http").lower(), found[2].strip("[]"), found[3], found[4] or "/"
    is_usual = port is None or int(port) == PORTS.get(scheme)
    kind, host = _domain(host) if pack(host) is None else _address(host)
    if path == "/":
        return (kind, host) if is_usual or kind == "domain" else _endpoint(endpoint(host, int(port)))
    if scheme not in PORTS:
        return _refuse(f"is a URL of {scheme[:16]}, whose paths no flow shows")
    return "url", (host if is_usual else endpoint(host, int(port))) + path


def _hash(length: int, kind: IndicatorKind, text: str) -> Typed:
    value = text.lower().replace(":", "")
    if len(value) != length or not HEXADECIMAL.fullmatch(value):
        return _refuse(f"is no {kind}")
    return kind, value


def _ja4(text: str) -> Typed:
    return ("ja4", text.lower()) if JA4.fullmatch(text.lower()) else _refuse("is no ja4")


def _refuse(reason: str) -> Typed:
    raise ValueError(reason)


READERS: dict[IndicatorKind, Callable[[str], Typed]] = {
    "ip": _address,
    "cidr": _address,
    "endpoint": _endpoint,
    "domain": _domain,
    "url": _url,
    "ja4": _ja4,
    "md5": partial(_hash, 32, "md5"),
    "sha1": partial(_hash, 40, "sha1"),
    "sha256": partial(_hash, 64, "sha256"),
    "ja3": partial(_hash, 32, "ja3"),
    "ja3s": partial(_hash, 32, "ja3s"),
    "hassh": partial(_hash, 32, "hassh"),
    "hassh_server": partial(_hash, 32, "hassh_server"),
}
"""What reads each kind of value."""
