"""Reads indicators in CSV tables and in plain lists of one value a line."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from infraspectre.intel.indicators.findings import Findings, moment, tlp_in, words
from infraspectre.intel.indicators.values import endpoint, pack
from infraspectre.records.indicators import About, IndicatorKind

KINDS: dict[str, IndicatorKind] = {
    "ip": "ip", "ipv4": "ip", "ipv6": "ip", "ip-src": "ip", "ip-dst": "ip", "ipv4-addr": "ip", "ipv6-addr": "ip",
    "ip:port": "endpoint", "ip_port": "endpoint", "endpoint": "endpoint", "cidr": "cidr", "network": "cidr",
    "domain": "domain", "hostname": "domain", "host": "domain", "fqdn": "domain", "domain-name": "domain",
    "url": "url", "md5": "md5", "md5_hash": "md5", "sha1": "sha1", "sha1_hash": "sha1", "sha256": "sha256",
    "sha256_hash": "sha256", "ja3": "ja3", "ja3_md5": "ja3", "ja3s": "ja3s", "ja4": "ja4", "hassh": "hassh",
    "hassh_server": "hassh_server", "x509-fingerprint-sha1": "sha1", "ssl_sha1": "sha1",
}  # fmt: skip
"""Names of types and columns in the tables that abuse.ch, MISP and others publish."""
COLUMNS: dict[str, tuple[str, ...]] = {
    "value": ("value", "indicator", "ioc", "ioc_value", "observable", "dst_ip", "srcip", "dstip", "address", "hash"),
    "type": ("type", "ioc_type", "indicator_type", "kind"),
    "port": ("dst_port", "port"),
    "source": ("source", "feed", "provider", "reporter"),
    "confidence": ("confidence", "confidence_level", "score"),
    "first_seen": ("first_seen", "first_seen_utc", "firstseen", "dateadded", "listingdate", "date", "created"),
    "last_seen": ("last_seen", "last_seen_utc", "lastseen", "last_online", "modified"),
    "valid_until": ("valid_until", "expiration", "expires"),
    "labels": ("labels", "tags", "category", "threat_type", "threat", "listingreason", "msg"),
    "threats": ("malware", "malware_printable", "family", "actor", "threat_actor", "campaign"),
    "techniques": ("techniques", "technique", "mitre", "attack"),
    "tlp": ("tlp",),
}
"""Columns that are understood, by the names that tables give them."""
DESCRIBING = tuple(meaning for meaning in COLUMNS if meaning not in ("value", "type", "port"))
NOTHING = ("none", "null", "n/a")
MOST_KNOWN = 4_096
"""Descriptions that rows share which are kept to be used again."""
LIKE = re.compile(r"[a-z0-9_:. -]{1,40}")
BARE = re.compile(r"[\s,;]+")
HOSTS_FILE = ("0.0.0.0", "127.0.0.1", "::", "::1")  # noqa: S104 - what such files write before a name
LONGEST_LINE = 65_536
MOST_REMARKS = 1_000
"""Lines of remarks before the first of values."""


class Table(NamedTuple):
    """Says in which column of a table what stands."""

    delimiter: str
    places: dict[str, list[int]]
    """Columns of each meaning, the first that has a value counts."""
    values: list[tuple[int, IndicatorKind | None]]
    """Columns that hold values, and the kind that their name tells."""


def read_list(text: str, findings: Findings, source: str) -> None:
    """Add the indicators of a table with a header, or of a list of one value a line."""
    lines = text.splitlines()
    table, header = find_header(lines)
    about = About(sources=(source,))
    if table is None:
        for number, line in enumerate(lines, 1):
            read_line(line, number, findings, about)
    else:
        read_table(table, lines, header, findings, about)


def find_header(lines: Sequence[str]) -> tuple[Table | None, int]:
    """Return the table that a header describes, and its line: the first line, or the last remark before it."""
    remark = 0
    for number, line in enumerate(lines[:MOST_REMARKS], 1):
        if line.startswith("#"):
            remark = number if line.strip("# \t") else remark
        elif line.strip():
            for place in filter(None, (number, remark)):
                if table := table_of(lines[place - 1].lstrip("#").strip()):
                    return table, place
            break
    return None, 0


def table_of(line: str) -> Table | None:
    """Return the table that a line is the header of, if it names a column of values."""
    if len(line) > LONGEST_LINE:
        return None
    delimiter = max(",;\t", key=line.count)
    names = [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter), [])]
    if not all(LIKE.fullmatch(name) for name in names):
        return None
    places = {meaning: [names.index(name) for name in known if name in names] for meaning, known in COLUMNS.items()}
    values: list[tuple[int, IndicatorKind | None]] = [(place, None) for place in places["value"][:1]]
    values = values or [(place, KINDS[name]) for place, name in enumerate(names) if name in KINDS]
    return Table(delimiter, places, values) if values else None


def read_table(table: Table, lines: Sequence[str], header: int, findings: Findings, about: About) -> None:
    """Add the indicators of the rows below a header."""
    places = sorted({place for meaning in DESCRIBING for place in table.places[meaning]})
    known: dict[tuple[str, ...], About] = {}
    for number, line in enumerate(lines[header:], header + 1):
        if not line or line[0] == "#" or len(line) > LONGEST_LINE or line.isspace():
            continue
        row = cells(line, table.delimiter)
        told = tuple([row[place] for place in places if place < len(row)])
        if told not in known:
            known = known if len(known) < MOST_KNOWN else {}
            known[told] = about_row(table, row, about)
        read_row(table, row, number, findings, known[told])


def cells(line: str, delimiter: str) -> list[str]:
    """Return the cells of a line; only quotes need the reader of tables."""
    return (
        next(csv.reader([line], delimiter=delimiter, skipinitialspace=True)) if '"' in line else line.split(delimiter)
    )


def cell(table: Table, row: Sequence[str], meaning: str) -> str:
    """Return what a row says of a meaning; empty if nothing."""
    for place in table.places[meaning]:
        text = row[place].strip() if place < len(row) else ""
        if text and text.lower() not in NOTHING:
            return text
    return ""


def read_row(table: Table, row: Sequence[str], number: int, findings: Findings, about: About) -> None:
    """Add the values of a row."""
    stated = KINDS.get(cell(table, row, "type").lower().removesuffix("_hash"))
    port = cell(table, row, "port")
    for place, named in table.values:
        text = row[place].strip() if place < len(row) else ""
        kind = named or stated
        if text and port.isdigit() and pack(text) is not None:
            findings.take("endpoint", endpoint(text, port), about, number)
        elif text and kind:
            findings.take(kind, text, about, number)
        elif text:
            findings.guess(text, about, number)


def about_row(table: Table, row: Sequence[str], about: About) -> About:
    """Return what a row says about its values."""
    said = {meaning: cell(table, row, meaning) for meaning in COLUMNS}
    return msgspec.structs.replace(
        about,
        sources=(said["source"][:120],) if said["source"] else about.sources,
        confidence=share(said["confidence"]),
        first_seen=moment(said["first_seen"]),
        last_seen=moment(said["last_seen"]) or moment(said["first_seen"]),
        valid_until=moment(said["valid_until"]),
        labels=words(said["labels"]),
        threats=words(said["threats"]),
        techniques=words(said["techniques"]),
        tlp=tlp_in([said["tlp"]]),
    )


def share(text: str) -> float | None:
    """Return a confidence from 0 to 1, written as such, in percent, or in a word."""
    named = {"low": 0.25, "medium": 0.5, "high": 0.85}.get(text.lower())
    try:
        number = float(text.removesuffix("%")) if named is None else named
    except ValueError:
        return None
    return min(number if 0 <= number <= 1 else number / 100, 1.0) if number >= 0 else None


def read_line(line: str, number: int, findings: Findings, about: About) -> None:
    """Add the value at the beginning of a line; what follows it, or #, is a remark."""
    parts = BARE.split(line.split("#", 1)[0].split(" //", 1)[0].strip().strip('"'))
    if not parts[0] or parts[0].startswith("//"):
        return
    is_hosts_file = parts[0] in HOSTS_FILE and len(parts) > 1
    findings.guess(parts[1 if is_hosts_file else 0].strip("\"'"), about, number)
