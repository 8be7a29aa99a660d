"""Warninglists of MISP: values that are hardly ever evil, such as public resolvers, CDNs and sites that all visit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from infraspectre.intel.indicators.findings import Findings
from infraspectre.intel.indicators.ranges import Ranges
from infraspectre.intel.indicators.values import pack
from infraspectre.records.indicators import Indicator

WEAKENED = 0.5
"""Factor for what lies within a listed network or domain, such as that of a CDN: others share it, or had it before."""
SHARED = ("vpn", "sinkhole", "dynamic", "parking", "shorten", "link-in-bio", "lots", "ipfs", "disposable", "tor")
"""Words in names of lists of services that anybody may rent a part of, or whose entries show an infection: a listed
value itself only counts less, and a part of it, such as a name below a provider of dynamic DNS, counts in full."""
V4_BITS, V6_BITS = 32, 128
PREFIX = re.compile(r"[0-9]{0,3}")
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
        """Return how much an indicator counts: nothing if it is a listed value, less if it lies within one.

        A URL is one page of a site: that many visit the site says nothing of the page.
        """
        kind, value = indicator.kind, indicator.value
        if kind in ("ip", "endpoint", "cidr"):
            return self._judge_address(value if kind != "endpoint" else value.rpartition(":")[0].strip("[]"))
        if kind == "domain":
            return self._judge_name(value)
        return self._exactly(value) or HARMLESS

    def _add(self, entry: str, kind: str, number: int, findings: Findings) -> None:
        if kind == "cidr":
            address, _, prefix = entry.partition("/")
            packed, whole = pack(address), V6_BITS if ":" in address else V4_BITS
            if packed is None or not PREFIX.fullmatch(prefix) or int(prefix or whole) > whole:
                findings.refuse(f"{entry[:120]!r} of {self.names[number]} is no network")
            elif int(prefix or whole) == whole:
                self._exact.setdefault(address, number)
            else:
                self._networks.append((entry, number))
        elif kind == "hostname":
            self._hosts.setdefault(entry.lstrip("."), number)
        elif kind == "substring" and len(self._parts) < MOST_PARTS:
            self._parts.setdefault(entry, number)
        elif kind == "string":
            self._exact.setdefault(entry.rstrip("."), number)

    def _exactly(self, value: str) -> Warning | None:
        number = self._exact.get(value)
        return None if number is None else self._vetoed(number)

    def _vetoed(self, number: int) -> Warning:
        return Warning(WEAKENED if self._is_shared(number) else 0.0, f"is listed in {self.names[number]}")

    def _within(self, number: int) -> Warning:
        return HARMLESS if self._is_shared(number) else Warning(WEAKENED, f"lies within {self.names[number]}")

    def _is_shared(self, number: int) -> bool:
        return any(word in self.names[number].lower() for word in SHARED)

    def _judge_address(self, value: str) -> Warning:
        self._ranges = self._ranges or Ranges(self._networks)
        found = int(self._ranges.find([value.partition("/")[0]])[0])
        return self._exactly(value) or (self._within(found) if found >= 0 else HARMLESS)

    def _judge_name(self, name: str) -> Warning:
        if pack(name) is not None:
            return self._judge_address(name)
        if exact := self._exactly(name):
            return exact
        if name in self._hosts:
            return self._vetoed(self._hosts[name])
        for above in parents(name):
            if above in self._hosts:
                return self._within(self._hosts[above])
        part = next((number for part, number in self._parts.items() if part in name), None)
        return HARMLESS if part is None else self._within(part)


MAIL = ("email-src", "email-dst", "target-email", "whois-registrant-email", "dns-soa-email")


def parents(name: str) -> Iterator[str]:
    """Yield the names above a name, the longest first."""
    while "." in name:
        name = name.partition(".")[2]
        yield name
