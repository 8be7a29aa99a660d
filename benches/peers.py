"""Reads what Zeek, Arkime and nDPI recorded of a capture, as records of one form."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any

Endpoint = tuple[IPv4Address | IPv6Address, int]
Identity = tuple[str, Endpoint, Endpoint]


@dataclass
class Record:
    """Holds one flow as a peer recorded it.

    `values` are named in its own words; `orig` is the side it calls first; `protocol` is empty where it names none.
    """

    orig: Endpoint
    resp: Endpoint
    protocol: str
    values: dict[str, Any] = field(default_factory=dict)
    packets: int | None = None


@dataclass(frozen=True)
class Case:
    """Names a capture with what a peer recorded of it; `read` yields the records."""

    peer: str
    name: str
    capture: Path
    read: Callable[[], list[Record]]


def identity(protocol: str, one: Endpoint, other: Endpoint) -> Identity:
    """Return the key under which both directions of a flow meet."""
    low, high = sorted((one, other), key=lambda end: (end[0].version, int(end[0]), end[1]))
    return protocol, low, high


def endpoint(address: str, port: int | str) -> Endpoint:
    """Return an endpoint from its text."""
    return ip_address(address.strip("[]")), int(port)


def cases(root: Path) -> list[Case]:
    """Return all captures under `root` (the folder `net`) that a peer has recorded."""
    return [*zeek_cases(root), *arkime_cases(root), *ndpi_cases(root)]


# Zeek: one folder of tab-separated logs for each test.


def zeek_cases(root: Path) -> Iterator[Case]:
    """Yield the tests of Zeek that have a connection log or a log of a protocol."""
    folder = root / "expected" / "zeek"
    for test in sorted(json.loads((folder / "index.json").read_text()), key=lambda test: str(test["test"])):
        logs = {log.split(".")[0]: folder / test["test"] / log for log in test["logs"]}
        if ZEEK_LOGS & logs.keys():
            yield Case("zeek", test["test"], root / test["pcap"], lambda logs=logs: read_zeek(logs))  # type: ignore[misc]


ZEEK_LOGS = {
    "conn",
    "dns",
    "http",
    "ssl",
    "ssh",
    "ftp",
    "smtp",
    "ntp",
    "rdp",
    "kerberos",
    "quic",
    "smb_files",
    "smb_mapping",
}


def read_zeek(logs: dict[str, Path]) -> list[Record]:
    """Return the connections of a connection log; without one, those that the protocols' logs name."""
    connections = [zeek_record(row) for row in zeek_rows(logs["conn"])] if "conn" in logs else []
    records = [record for record in connections if record is not None]
    mark_carriers(records)
    withdrawn = {row.get("uid") for row in zeek_rows(logs["analyzer"])} if "analyzer" in logs else set()
    for record in records:
        record.values["is_withdrawn"] = record.values.get("uid") in withdrawn
    for log in sorted(ZEEK_LOGS & logs.keys() - {"conn"}):
        for row in zeek_rows(logs[log]):
            add_zeek_row(records, log, row)
    return records


def zeek_rows(path: Path) -> Iterator[dict[str, str]]:
    """Yield the rows of a log, whose names come in a `#fields` line or, in a cut log, in the first line."""
    names: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="surrogateescape").splitlines():
        cells = line.split("\t")
        if line.startswith("#fields"):
            names = cells[1:]
        elif line.startswith("#"):
            continue
        elif not names:
            names = cells
        else:
            yield dict(zip(names, cells, strict=False))


def zeek_record(row: dict[str, str]) -> Record | None:
    """Return the connection of a row, if the row names one."""
    ends = zeek_ends(row)
    packets = int(row["orig_pkts"]) + int(row["resp_pkts"]) if "orig_pkts" in row else None
    return Record(*ends, zeek_protocol(row, ends[0]), {"log": "conn", **row}, packets) if ends else None


def zeek_ends(row: dict[str, str]) -> tuple[Endpoint, Endpoint] | None:
    """Return the endpoints that a row names."""
    names = ("id.orig_h", "id.orig_p", "id.resp_h", "id.resp_p")
    if not all(name in row for name in names):
        return None
    orig_h, orig_p, resp_h, resp_p = (row[name] for name in names)
    return endpoint(orig_h, orig_p), endpoint(resp_h, resp_p)


def zeek_protocol(row: dict[str, str], orig: Endpoint) -> str:
    """Return the transport in our words; a cut log may lack it."""
    protocol = row.get("proto", "")
    return {"icmp": "icmp" if orig[0].version == 4 else "icmp6", "unknown_transport": f"ip-{row.get('ip_proto')}"}.get(
        protocol, protocol
    )


def mark_carriers(records: list[Record]) -> None:
    """Mark the connections that only carry a tunnel in which other connections run."""
    carriers = {parent for record in records for parent in record.values.get("tunnel_parents", "-").split(",")}
    for record in records:
        record.values["is_carrier"] = record.values.get("uid") in carriers


def add_zeek_row(records: list[Record], log: str, row: dict[str, str]) -> None:
    """Add a row of a protocol's log to its connection."""
    ends = zeek_ends(row)
    if ends is None:
        return
    for record in records:
        same_ends = (record.orig, record.resp) == ends
        if record.values.get("uid") == row["uid"] if "uid" in row and "uid" in record.values else same_ends:
            break
    else:
        values = {"log": log, "uid": row["uid"]} if "uid" in row else {"log": log}
        record = Record(*ends, row.get("proto", ""), values)
        records.append(record)
    record.values.setdefault("rows", []).append((log, row))


# Arkime: one JSON document for each capture.


def arkime_cases(root: Path) -> Iterator[Case]:
    """Yield the captures of Arkime's tests; some of them are stored compressed."""
    folder = root / "expected" / "arkime"
    captures = {path.name.split(".")[0]: path for path in sorted((root / "pcaps" / "arkime").rglob("*.pcap*"))}
    for path in sorted(folder.glob("*.json")):
        capture = captures.get(path.name.split(".")[0])
        if capture:
            yield Case("arkime", path.stem, capture, lambda path=path: read_arkime(path))  # type: ignore[misc]


IP_PROTOCOLS = {
    1: "icmp",
    2: "igmp",
    6: "tcp",
    17: "udp",
    47: "gre",
    50: "esp",
    58: "icmp6",
    89: "ospf",
    103: "pim",
    132: "sctp",
}


def read_arkime(path: Path) -> list[Record]:
    """Return the sessions of a document."""
    sessions = [session["body"] for session in json.loads(path.read_text())["sessions3"]]
    return [record for record in map(arkime_record, sessions) if record]


def arkime_record(body: dict[str, Any]) -> Record | None:
    """Return a session, unless it is not one of IP."""
    source, destination = body["source"], body["destination"]
    if "ip" not in source:
        return None
    number = body["ipProtocol"]
    orig, resp = (endpoint(end["ip"], end.get("port", 0)) for end in (source, destination))
    return Record(
        orig, resp, IP_PROTOCOLS.get(number, f"ip-{number}"), body, source["packets"] + destination["packets"]
    )


# nDPI: one text report for each capture.

NDPI_FLOW = re.compile(
    r"^\s+\d+\s+(?P<protocol>\S+) (?P<orig>\S+):(?P<orig_port>\d+) <?-> (?P<resp>\S+):(?P<resp_port>\d+) "
    r".*?\[proto: (?P<numbers>[\d.]+)/(?P<name>[^\]]+)\].*?\[Confidence: (?P<confidence>[^\]]+)\]"
    r".*?\[(?P<orig_packets>\d+) pkts/(?P<orig_bytes>\d+) bytes <?-> "
    r"(?P<resp_packets>\d+) pkts/(?P<resp_bytes>\d+) bytes\]"
    r"(?P<rest>.*)$"
)


def ndpi_cases(root: Path) -> Iterator[Case]:
    """Yield the captures that nDPI reported about."""
    captures = {path.name: path for path in sorted((root / "pcaps" / "ndpi").rglob("*")) if path.is_file()}
    for path in sorted((root / "expected" / "ndpi").glob("*.out")):
        if path.stem in captures:
            yield Case("ndpi", path.stem, captures[path.stem], lambda path=path: read_ndpi(path))  # type: ignore[misc]


def read_ndpi(path: Path) -> list[Record]:
    """Return the flows of a report."""
    lines = path.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    matches = [match for match in map(NDPI_FLOW.match, lines) if match]
    return [ndpi_record(match) for match in matches if not is_misprinted(match)]


def is_misprinted(match: re.Match[str]) -> bool:
    """Tell whether nDPI printed an address with two runs of zeros left out, which may mean several addresses."""
    return any(match[end].count("::") > 1 for end in ("orig", "resp"))


def ndpi_record(match: re.Match[str]) -> Record:
    """Return the flow of a line."""
    values: dict[str, Any] = match.groupdict()
    values |= {name: int(values[name]) for name in ("orig_packets", "orig_bytes", "resp_packets", "resp_bytes")}
    values["tags"] = re.findall(r"\[([^\]]*)\]", values.pop("rest"))
    protocol = {"ICMPV6": "icmp6", "PGM": "ip-113"}.get(values["protocol"], values["protocol"].lower())
    protocol = f"ip-{protocol}" if protocol.isdigit() else protocol
    orig, resp = (endpoint(values[end], values[f"{end}_port"]) for end in ("orig", "resp"))
    return Record(orig, resp, protocol, values, values["orig_packets"] + values["resp_packets"])
