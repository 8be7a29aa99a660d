"""Guards at the borders: for whoever reads what an attacker wrote, and for what an attacker wants to be asked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import NamedTuple

from infraspectre.errors import AccessError

Resolve = Callable[[str, int], list[str]]
"""Returns the addresses of a host."""

HIDDEN = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
"""Unicode categories that move a cursor, change colours or reverse the reading order instead of showing a sign."""


def printable(text: str) -> str:
    """Return text that is safe to show on a terminal: control and direction signs are written as escapes."""
    if text.isascii() and text.isprintable():
        return text
    import unicodedata

    return "".join(escaped(sign) if unicodedata.category(sign) in HIDDEN else sign for sign in text)


def escaped(sign: str) -> str:
    """Return a sign's backslash escape."""
    return sign.encode("unicode_escape").decode("ascii")


class Target(NamedTuple):
    """Is where a request may go, once its addresses are checked."""

    scheme: str
    host: str
    """A name in small letters, or an address without brackets."""
    port: int


URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9._-]{1,253}))"
    r"(?::(?P<port>[1-9][0-9]{0,4}))?(?:[/?][!-\[\]-~]*)?"
)
"""All that an outgoing address may be; anything else is refused, so that no two parsers read it differently."""
MOST_URL = 2_048
DEFAULT_PORTS = {"https": 443, "http": 80}
LABEL = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
NUMBER = re.compile(r"0x[0-9a-f]*|[0-9]+")
"""A last label that makes a host an IPv4 address, however odd (WHATWG URL, ends-in-a-number checker)."""
GLOBAL_SIX = "2000::/3"
"""The only addresses of IPv6 that are given out (RFC 4291 section 2.4)."""
FORBIDDEN = (
    "0.0.0.0/8",  # this network
    "168.63.129.16/32",  # metadata of a cloud, behind an address that looks public
    "192.0.0.0/24",  # protocol assignments, with the metadata of a cloud
    "192.31.196.0/24",  # AS112
    "192.52.193.0/24",  # AMT
    "192.88.99.0/24",  # relays of 6to4
    "192.175.48.0/24",  # AS112
    "64:ff9b::/96",  # NAT64: an IPv4 address within
    "64:ff9b:1::/48",
    "2001::/23",  # protocol assignments, with Teredo
    "2001:db8::/32",  # documentation
    "2002::/16",  # 6to4: an IPv4 address within
    "3fff::/20",  # documentation
)
"""What is not public beyond what the registries of special addresses say (RFC 6890)."""


def target_of(url: str, schemes: Collection[str] = ("https",)) -> Target:
    """Return where an outgoing address leads; raises AccessError for one that is not written plainly."""
    written = URL.fullmatch(url) if len(url) <= MOST_URL else None
    if written is None:
        raise AccessError(
            "is no plain address of a web service", remedy="write SCHEME://HOST/PATH, without credentials"
        )
    scheme = written["scheme"]
    if scheme not in schemes:
        raise AccessError(f"begins with {scheme}", remedy=f"use {' or '.join(sorted(schemes))}")
    port = int(written["port"] or DEFAULT_PORTS.get(scheme, 0))
    if not 0 < port < 65_536:
        raise AccessError("has no port that there is")
    return Target(scheme, plain_six(written["six"]) if written["six"] else plain_host(written["host"].lower()), port)


def plain_six(host: str) -> str:
    """Return an address of IPv6; raises AccessError for what is none."""
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError as error:
        raise AccessError("has a host in brackets that is no address of IPv6") from error


def plain_host(host: str) -> str:
    """Return a name or an IPv4 address; raises AccessError for one that is written oddly."""
    labels = host.split(".")
    if NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(host))
        except ValueError as error:
            remedy = "write four decimal numbers"
            raise AccessError("has a host that is a number, and no plain address", remedy=remedy) from error
    if not all(LABEL.fullmatch(label) for label in labels):
        raise AccessError("has a host that is no name", remedy="write it without a dot at its end")
    return host


def is_loopback(host: str) -> bool:
    """Tell whether a host is this machine alone."""
    try:
        return host == "localhost" or ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def check_address(address: str, allowed: Iterable[str] = ()) -> None:
    """Refuse an address that is not public, unless it lies within a network that is allowed; raises AccessError."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError as error:
        raise AccessError("has a host that is no address") from error
    networks = (ipaddress.ip_network(each) for each in allowed)
    if any(parsed in network for network in networks if network.version == parsed.version):
        return
    if not is_public(parsed):
        remedy = "allow its network in access.outgoing_networks if that is meant"
        raise AccessError("leads to an address that is not public", remedy=remedy)


def is_public(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Tell whether an address is one of the public Internet, for one host, and holds no other address within."""
    is_special = not address.is_global or address.is_multicast or address.is_reserved or address.is_unspecified
    forbidden = (ipaddress.ip_network(each) for each in FORBIDDEN)
    if is_special or any(address in network for network in forbidden if network.version == address.version):
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return True
    is_isatap = address.packed[8:12] in (b"\x00\x00\x5e\xfe", b"\x02\x00\x5e\xfe")  # RFC 5214: an IPv4 address within
    return address in ipaddress.ip_network(GLOBAL_SIX) and not is_isatap


def checked_addresses(target: Target, allowed: Sequence[str] = (), resolve: Resolve | None = None) -> list[str]:
    """Return the addresses of a target, to connect to one of them and no other; raises AccessError.

    A name one of whose addresses is refused is refused, so that no second answer of its servers can lead elsewhere.
    """
    addresses = (resolve or resolved)(target.host, target.port)
    if not addresses:
        raise AccessError("has a host without an address")
    for address in addresses:
        check_address(address, allowed)
    return addresses


def resolved(host: str, port: int) -> list[str]:
    """Return the addresses of a host, as the system knows them; raises AccessError."""
    import socket

    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise AccessError("has a host that cannot be found") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))
