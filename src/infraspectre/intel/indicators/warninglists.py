"""Warninglists of MISP: values that are hardly ever evil, such as public resolvers, CDNs and sites that all visit."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network
from typing import NamedTuple

import msgspec

from infraspectre.intel.indicators.findings import Findings
from infraspectre.intel.indicators.ranges import Ranges
from infraspectre.intel.indicators.values import pack
from infraspectre.records.indicators import Indicator

WEAKENED = 0.3
"""Factor for what many share: an address of a CDN is evil for one of thousands of its customers only."""
SHARED = ("vpn", "sinkhole", "dynamic", "parking", "shorten", "link-in-bio", "lots", "ipfs", "disposable", "tor")
"""Words in names of lists whose entries themselves may well be evil, or show an infection: they only weaken."""
ADDRESSES = ("ip-src", "ip-dst", "domain|ip")
NAMES = ("domain", "hostname", "url", "domain|ip")
HASHES = ("md5", "sha1", "sha256", "x509-fingerprint-sha1")
MOST_PARTS = 4_096
"""Entries of a list that are looked for inside of values, each in each value."""


class Warninglist(msgspec.Struct):
    """Reads a warninglist."""

    entries: list[str] = msgspec.field(name="list")
    name: str = ""
    type: str = "string"
    matching_attributes: list[str] = []


class Warning(NamedTuple):  # noqa: A001 - the word of the field
    """Says how much an indicator counts, and because of which list."""

    factor: float
    reason: str


HARMLESS = Warning(1.0, "")


class Warninglists:
    """Holds the entries of warninglists, ready to be asked about indicators."""

    def __init__(self) -> None:
        """Begin with no list."""
        self.names: list[str] = []
        self._exact: dict[str, int] = {}
        self._hosts: dict[str, int] = {}
        self._parts: dict[str, int] = {}
        self._networks: list[tuple[str, int]] = []
        self._ranges: Ranges | None = None

    def __len__(self) -> int:
        return len(self.names)

    def read(self, raw: bytes, findings: Findings) -> None:
        """Add a list; what it says about mail or telephones is left out."""
        found = msgspec.json.decode(raw, type=Warninglist)
        known = set(found.matching_attributes) or {*ADDRESSES, *NAMES, *HASHES}
        if not known.intersection((*ADDRESSES, *NAMES, *HASHES)) or known <= {"domain|ip", *MAIL}:
            return findings.skip("is a warninglist about what flows do not show")
        if found.type == "regex":
            return findings.skip("is a warninglist of regular expressions")
        number = len(self.names)
        self.names.append(found.name or "a warninglist")
        for entry in found.entries:
            self._add(entry.strip().lower(), found.type, number, findings)
        return None

    def judge(self, indicator: Indicator) -> Warning:
        """Return how much an indicator counts: nothing if it is a listed value, less if it lies within one."""
        kind, value = indicator.kind, indicator.value
        if kind in ("ip", "endpoint", "cidr"):
            return self._judge_address(value if kind != "endpoint" else value.rpartition(":")[0].strip("[]"))
        if kind == "domain":
            return self._judge_name(value)
        if kind == "url":
            host = value.partition("/")[0].partition(":")[0]
            warning = self._judge_name(host)
            return Warning(WEAKENED, warning.reason) if warning.factor < 1 else warning
        return self._exactly(value) or HARMLESS

    def _add(self, entry: str, kind: str, number: int, findings: Findings) -> None:
        if kind == "cidr":
            try:
                network = ip_network(entry, strict=False)
            except ValueError:
                return findings.refuse(f"{entry[:120]!r} of {self.names[number]} is no network")
            if network.prefixlen == network.max_prefixlen:
                self._exact.setdefault(str(network.network_address), number)
            else:
                self._networks.append((entry, number))
        elif kind == "hostname":
            self._hosts.setdefault(entry.lstrip("."), number)
        elif kind == "substring" and len(self._parts) < MOST_PARTS:
            self._parts.setdefault(entry, number)
        elif kind == "string":
            self._exact.setdefault(entry.rstrip("."), number)
        return None

    def _exactly(self, value: str) -> Warning | None:
        number = self._exact.get(value)
        return None if number is None else self._vetoed(number)

    def _vetoed(self, number: int) -> Warning:
        is_shared = any(word in self.names[number].lower() for word in SHARED)
        return self._weakened(number) if is_shared else Warning(0.0, f"is listed in {self.names[number]}")

    def _weakened(self, number: int) -> Warning:
        return Warning(WEAKENED, f"lies within {self.names[number]}")

    def _judge_address(self, value: str) -> Warning:
        self._ranges = self._ranges or Ranges(self._networks)
        found = int(self._ranges.find([value.partition("/")[0]])[0])
        return self._exactly(value) or (self._weakened(found) if found >= 0 else HARMLESS)

    def _judge_name(self, name: str) -> Warning:
        if pack(name) is not None:
            return self._judge_address(name)
        if exact := self._exactly(name):
            return exact
        if name in self._hosts:
            return self._vetoed(self._hosts[name])
        for above in parents(name):
            if above in self._hosts:
                return self._weakened(self._hosts[above])
        part = next((number for part, number in self._parts.items() if part in name), None)
        return HARMLESS if part is None else self._weakened(part)


MAIL = ("email-src", "email-dst", "target-email", "whois-registrant-email", "dns-soa-email")


def parents(name: str) -> Iterator[str]:
    """Yield the names above a name, the longest first."""
    while "." in name:
        name = name.partition(".")[2]
        yield name
