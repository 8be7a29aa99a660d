"""Models of texts that flows carry: generated domains, names that carry data through DNS, and parameters of attacks."""

from __future__ import annotations

import unicodedata
from typing import ClassVar
from urllib.parse import unquote_plus

from infraspectre.ml.text import TextModel

HOST_COLUMNS = ("domain_name", "fqdn", "hostname", "host", "server_name", "name")
ASKED_COLUMNS = ("dns_query", "dns_queries", "dns_query_name", "qname", "rrname")
QUERY_COLUMNS = (*ASKED_COLUMNS, "domain", *HOST_COLUMNS)
"""Names under which logs and data sets hold names that were asked for: Zeek, Suricata, Sysmon and others."""
DOMAIN_COLUMNS = (*HOST_COLUMNS[:2], "query", *ASKED_COLUMNS, *HOST_COLUMNS[2:])
PARAMETER_COLUMNS = ("parameter", "value", "parameter_value", "text")

SECOND_LEVELS = frozenset(
    [
        "ac",
        "asso",
        "co",
        "com",
        "edu",
        "gen",
        "go",
        "gob",
        "gov",
        "gouv",
        "govt",
        "gr",
        "id",
        "in",
        "info",
        "ind",
        "ltd",
        "me",
        "mil",
        "mod",
        "ne",
        "net",
        "nhs",
        "nic",
        "nom",
        "or",
        "org",
        "plc",
        "police",
        "pro",
        "sch",
        "web",
    ]
)
"""Labels that registries of countries sell names below, such as co.uk; a rule of thumb."""
HOSTED = frozenset(
    [
        "dyndns.org",
        "dynserv.com",
        "dyndns.biz",
        "dyndns.info",
        "dyndns.tv",
        "dnsalias.com",
        "dnsdojo.com",
        "yi.org",
        "mooo.com",
        "ddns.net",
        "ddns.info",
        "no-ip.org",
        "no-ip.biz",
        "no-ip.info",
        "no-ip.com",
        "hopto.org",
        "zapto.org",
        "sytes.net",
        "myftp.org",
        "myftp.biz",
        "servebeer.com",
        "serveftp.com",
        "servehttp.com",
        "redirectme.net",
        "bounceme.net",
        "duckdns.org",
        "dynu.net",
        "dynv6.net",
        "changeip.com",
        "afraid.org",
        "chickenkiller.com",
        "github.io",
        "gitlab.io",
        "netlify.app",
        "herokuapp.com",
        "pages.dev",
        "web.app",
        "blogspot.com",
        "wordpress.com",
        "000webhostapp.com",
        "dyn-ip24.de",
        "homeip.net",
        "homelinux.net",
        "homeftp.net",
    ]
)
"""Domains below which anybody gets a name at once: dynamic DNS and free hosting, which malware uses as registries."""


def registered_label(name: str) -> str:
    """Return the label of a name that its owner chose, in small ASCII letters where it can be said in them.

    Internationalised labels are decoded (RFC 3492) and stripped of marks; what has no ASCII letter stays as it is.
    """
    return _plain(registered_name(name).partition(".")[0])


def registered_name(name: str) -> str:
    """Return the part of a name that somebody registered, in small letters: its label and what is sold below."""
    labels = [label for label in name.strip().strip(".").lower().split(".") if label]
    return ".".join(labels[-1 - min(len(labels) - 1, _suffix_size(labels)) :]) if labels else ""


def _suffix_size(labels: list[str]) -> int:
    if ".".join(labels[-2:]) in HOSTED:
        return 2
    is_national = len(labels) > 2 and len(labels[-1]) == 2 and labels[-2] in SECOND_LEVELS
    return 2 if is_national else 1


def _plain(label: str) -> str:
    if label.startswith("xn--"):
        try:
            label = label[4:].encode("ascii").decode("punycode")
        except (UnicodeError, ValueError):
            return label
    if label.isascii():
        return label
    return "".join(mark for mark in unicodedata.normalize("NFKD", label) if not unicodedata.combining(mark))


class GeneratedDomains(TextModel):
    """Tells domains that an algorithm generated from those that people chose, by the registered label."""

    kind: ClassVar[str] = "dga"
    column: ClassVar[str] = "domain"
    also: ClassVar[tuple[str, ...]] = DOMAIN_COLUMNS

    @classmethod
    def read(cls, text: str) -> str:
        """Return the registered label of a name."""
        return registered_label(text)

    @classmethod
    def context(cls, text: str) -> str:
        """Return below what it was registered, such as com, co.uk or a domain of dynamic DNS."""
        return registered_name(text).partition(".")[2]


class TunnelNames(TextModel):
    """Tells names that carry data through DNS from names of hosts, by what is before the registered domain."""

    kind: ClassVar[str] = "dns-tunnel"
    column: ClassVar[str] = "query"
    also: ClassVar[tuple[str, ...]] = QUERY_COLUMNS

    @classmethod
    def read(cls, text: str) -> str:
        """Return what is before the registered domain of a name, as it was asked for."""
        labels = [label for label in text.strip().strip(".").split(".") if label]
        owned = _suffix_size([label.lower() for label in labels]) + 1
        return ".".join(labels[:-owned])


class Parameters(TextModel):
    """Tells values of HTTP parameters that attack from those that people and programs send."""

    kind: ClassVar[str] = "http-parameters"
    column: ClassVar[str] = "payload"
    also: ClassVar[tuple[str, ...]] = PARAMETER_COLUMNS

    @classmethod
    def read(cls, text: str) -> str:
        """Return a value without its percent encoding, twice undone as attackers use it twice."""
        return unquote_plus(unquote_plus(text)).lower()
