"""Compares what a peer recorded of a flow with our record, and names the differences of definition."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_to_bytes

from benches.peers import Case, Endpoint, Record, endpoint

Row = dict[str, Any]

# Ports are part of a flow's identity for these protocols only; peers print types and codes of ICMP in different ways.
WITH_PORTS = {"tcp", "udp", "sctp"}
MAX_LIST = 32
# What a test of the peer changes on purpose, by the start of the field's name.
SPECIAL_TESTS = {
    "scripts.base.frameworks.netcontrol.packetfilter": {"": "the test's script discards packets"},
    "scripts.base.protocols.ftp.ftp-max-user-length": {"ftp.user": "the test's script shortens names"},
    "core.tunnels.teredo_bubble_with_payload": {"": "Teredo on another port than its own, by which we tell it"},
    "scripts.base.protocols.http.inner-transfer-encoding-ossfuzz": {
        "http": "found by fuzzing: a request with an unknown method"
    },
    "core.tunnels.geneve-many-options": {"app_protocol": "the test runs without application protocols"},
    "nflog": {"bytes": "the header of this link type varies in length"},
    "ossfuzz_seed_fake_traces_3.pcapng": {"app_protocol": "found by fuzzing: a request that nDPI takes for a game"},
    "long-session": {"app_protocol": "five bytes of a request and no answer"},
    "wireshark-dtls0": {"": "DTLS before its first standard (RFC 4347)"},
    "heuristic_tcp_ack_payload.pcap": {"": "bytes of noise come before TLS; of two copies of a byte we keep the first"},
    "fuzz-2006-06-26-2594.pcap": {
        "packets": "nDPI leaves out packets whose headers contradict their lengths",
        "bytes": "the capture is damaged on purpose, the lengths in its headers too",
    },
    "quic-mvfst-27.pcapng": {"bytes": "the frames carry a trailer after the IP packet"},
    "syslog.pcap": {"bytes": "the frames carry a trailer after the IP packet"},
    "custom_rules_ipv6.pcapng": {"app_protocol": "the test's own rules name the protocol"},
}


@dataclass(frozen=True)
class Check:
    """States what a peer and our record say of one field; `excluded` names a difference of definition."""

    field: str
    theirs: Any
    ours: Any
    agrees: bool
    excluded: str = ""


def check_flow(peer: str, records: list[Record], rows: list[Row], malformed: int) -> Iterator[Check]:
    """Compare one flow; one that we lack may consist of packets that we count as malformed."""
    if not rows and 0 < sum(record.packets or 0 for record in records) <= malformed:
        yield Check(
            "flow",
            True,
            False,
            False,
            "its packets are malformed: headers that contradict their lengths, counted by reason",
        )
    else:
        yield from CHECKS[peer](records, rows)


def excuse(case: Case, check: Check) -> Check:
    """Exclude what the peer's test itself changes."""
    for name, reason in SPECIAL_TESTS.get(case.name, {}).items():
        if check.field.startswith(name) and not check.agrees:
            return replace(check, excluded=reason)
    return check


def end_of(row: Row, side: str, peer: str) -> Endpoint:
    """Return an endpoint of one of our flows, with what the peer counts as its port."""
    has_port = peer == "zeek" or row["protocol"] in WITH_PORTS
    return endpoint(row[f"{side}_ip"], row[f"{side}_port"] if has_port else 0)


def by_sender(groups: Iterable[tuple[Endpoint, int, Endpoint, int]]) -> dict[str, int]:
    """Add amounts up by the endpoint that sent them."""
    total: Counter[str] = Counter()
    for orig, sent, resp, received in groups:
        total[f"{orig[0]}:{orig[1]}"] += sent
        total[f"{resp[0]}:{resp[1]}"] += received
    return dict(total)


def ours_by_sender(rows: list[Row], amount: Callable[[Row, str], int], peer: str) -> dict[str, int]:
    """Add an amount of our flows up by sender."""
    return by_sender(
        (end_of(row, "orig", peer), amount(row, "orig"), end_of(row, "resp", peer), amount(row, "resp")) for row in rows
    )


def column(name: str) -> Callable[[Row, str], int]:
    """Return a function that reads a column of either side."""
    return lambda row, side: int(row[f"{side}_{name}"])


def equal(name: str, theirs: Any, ours: Any, excluded: str = "") -> Check:
    """Compare by equality."""
    return Check(name, theirs, ours, theirs == ours, excluded)


def present(rows: list[Row]) -> Check:
    """Check that we have the flow at all."""
    return Check("flow", True, bool(rows), bool(rows))


def values_of(rows: list[Row], column: str) -> list[Any]:
    """Return all values of a column, of lists their members."""
    values: list[Any] = []
    for row in rows:
        value = row[column]
        values += value if isinstance(value, list) else [] if value is None else [value]
    return values


def folded(value: Any) -> str:
    """Spell a value without the case of letters."""
    return str(value).lower()


def contained(
    name: str, theirs: Iterable[Any], rows: list[Row], column: str, fold: Callable[[Any], str] = folded
) -> Check:
    """Check that our values hold all of the peer's, when both are spelled by `fold`; a full list may have lost some."""
    theirs, ours = list(theirs), values_of(rows, column)
    missing = {fold(value) for value in theirs} - {fold(value) for value in ours}
    is_full = len(ours) >= MAX_LIST
    return Check(name, theirs, ours, not missing, "the list is full" if missing and is_full else "")


# Zeek

ZEEK_SERVICES = {"ssl": "tls", "krb": "kerberos", "krb_tcp": "kerberos"}
OUR_PROTOCOLS = {"dns", "http", "tls", "quic", "ssh", "smb", "ftp", "smtp", "dhcp", "ntp", "rdp", "kerberos"}
ZEEK_FIELDS = {
    "dns": {"query": "dns_queries", "qtype_name": "dns_query_types", "rcode_name": "dns_response_codes"},
    "http": {
        "method": "http_methods",
        "host": "http_hosts",
        "uri": "http_uris",
        "referrer": "http_referrers",
        "user_agent": "http_user_agents",
        "status_code": "http_statuses",
    },
    "ssl": {
        "version": "tls_version",
        "cipher": "tls_cipher",
        "server_name": "tls_server_name",
        "next_protocol": "tls_alpn_chosen",
        "resumed": "tls_resumed",
    },
    "ssh": {
        "client": "ssh_client",
        "server": "ssh_server",
        "cipher_alg": "ssh_cipher",
        "kex_alg": "ssh_kex_algorithm",
        "host_key_alg": "ssh_host_key_algorithm",
    },
    "ftp": {"user": "ftp_user", "reply_code": "ftp_replies"},
    "smtp": {"helo": "smtp_helo", "mailfrom": "smtp_from", "rcptto": "smtp_to", "subject": "smtp_subjects"},
    "ntp": {"version": "ntp_version", "mode": "ntp_modes"},
    "rdp": {"cookie": "rdp_cookie"},
    "kerberos": {"client": "kerberos_clients", "service": "kerberos_services"},
    "quic": {"server_name": "tls_server_name"},
    "smb_files": {"name": "smb_files"},
    "smb_mapping": {"path": "smb_trees"},
}
ZEEK_SPELLING: dict[str, dict[str, Any]] = {
    "version": {
        "TLSv10": "TLSv1.0",
        "TLSv11": "TLSv1.1",
        "TLSv12": "TLSv1.2",
        "TLSv13": "TLSv1.3",
        "TLSv13-draft23": "TLSv1.3-draft23",
        "unknown-32257": "0x7E01",
    },
    "resumed": {"T": 1, "F": 0},
    "qtype_name": {"*": "ANY"},
}


def check_zeek(records: list[Record], rows: list[Row]) -> Iterator[Check]:
    """Compare connections of Zeek with ours."""
    if not rows and all(is_carrier(record) for record in records):
        yield Check("flow", True, False, False, "carrier of a tunnel: its packets count in the flows inside")
        return
    yield present(rows)
    if rows and "conn" in {record.values["log"] for record in records}:
        yield from check_zeek_connection(records, rows)
    if rows:
        yield from check_zeek_logs(records, rows)


def is_carrier(record: Record) -> bool:
    """Tell whether a connection of Zeek only carries others."""
    return bool(record.values.get("is_carrier")) or (record.protocol == "udp" and record.resp[1] in TUNNEL_PORTS)


# GTP, Teredo, GRE, VXLAN, Geneve.
TUNNEL_PORTS = {2152, 3544, 4754, 4789, 6081}


def check_zeek_connection(records: list[Record], rows: list[Row]) -> Iterator[Check]:
    """Compare what the connection log says."""
    vlans = "we keep the flows of VLANs apart" if len({row["vlan"] for row in rows}) > 1 else ""
    yield equal("flows", len(records), len(rows), vlans)
    turned = "Zeek turned the flow round after its first packet and counts both sides as one"
    excluded = turned if any("^" in record.values.get("history", "")[1:] for record in records) else ""
    for name, column_name in (("pkts", "packets"), ("ip_bytes", "ip_bytes")):
        if f"orig_{name}" in records[0].values:
            ours = ours_by_sender(rows, column(column_name), "zeek")
            yield equal(column_name, zeek_by_sender(records, name), ours, excluded)
    if len(records) == 1 and len(rows) == 1:
        yield from check_zeek_single(records[0].values, rows[0], records[0])


def check_zeek_single(theirs: Row, ours: Row, record: Record) -> Iterator[Check]:
    """Compare what has a meaning for one connection only."""
    turned = (
        "Zeek turned the flow round: its first packet came from the server" if "^" in theirs.get("history", "") else ""
    )
    if theirs.get("orig_bytes", "-") != "-" and theirs.get("missed_bytes") == "0":
        unread = "" if ours["protocol"] in WITH_PAYLOAD else "Zeek knows no payload of this protocol"
        payload = ours_by_sender([ours], stream_bytes, "zeek")
        yield equal("payload_bytes", zeek_by_sender([record], "bytes"), payload, unread or turned)
    if ours["tcp_state"] and "conn_state" in theirs:
        yield equal("conn_state", theirs["conn_state"], ours["tcp_state"], turned)
    yield equal("direction", str(record.orig[0]), ours["orig_ip"], turned)
    if "service" in theirs:
        yield replace(
            check_zeek_service(theirs["service"], ours["app_protocol"]), excluded=why_services_differ(theirs, ours)
        )


def why_services_differ(theirs: Row, ours: Row) -> str:
    """Name the reason why Zeek may name another protocol than we do."""
    if theirs.get("is_withdrawn"):
        return "Zeek withdrew the protocol after a violation"
    if "ssl" in theirs["service"] and ours["app_protocol"] is None:
        return UNREAD_TLS
    if theirs["service"] == "-" and ours["app_protocol"] == "tls":
        return "TLS records without a hello, of which Zeek says nothing"
    return ""


WITH_PAYLOAD = {"tcp", "udp", "icmp", "icmp6"}


def check_zeek_service(service: str, ours: str | None) -> Check:
    """Compare the application protocol; Zeek may name several, one inside another."""
    theirs = {ZEEK_SERVICES.get(name, name) for name in service.split(",")} & OUR_PROTOCOLS
    return Check("app_protocol", sorted(theirs) or service, ours, ours in theirs if theirs else ours is None)


def zeek_by_sender(records: list[Record], name: str) -> dict[str, int]:
    """Add an amount of Zeek's connections up by sender."""
    return by_sender(
        (r.orig, zeek_count(r.values[f"orig_{name}"]), r.resp, zeek_count(r.values[f"resp_{name}"])) for r in records
    )


def zeek_count(cell: str) -> int:
    """Return the number in a cell, which may be unset."""
    return 0 if cell == "-" else int(cell)


def stream_bytes(row: Row, side: str) -> int:
    """Return the payload of one side without repetitions."""
    return int(row[f"{side}_payload_bytes"]) - (row[f"{side}_retransmitted_bytes"] or 0)


def check_zeek_logs(records: list[Record], rows: list[Row]) -> Iterator[Check]:
    """Compare what the logs of application protocols say."""
    read = {ZEEK_PARENTS.get(name, name) for name in values_of(rows, "app_protocol")}
    for log, fields in ZEEK_FIELDS.items():
        logged = [row for record in records for name, row in record.values.get("rows", []) if name == log]
        inside = log not in {"ssl", "quic"} and read and ZEEK_PARENTS.get(log, log) not in read
        for name, column_name in fields.items():
            theirs = [
                ZEEK_SPELLING.get(name, {}).get(value, value) for row in logged for value in zeek_values(row, name)
            ]
            if theirs:
                fold = unquoted if name == "uri" else folded
                check = contained(f"{log}.{name}", theirs, rows, column_name, fold)
                reason = UNREAD_TLS if log == "ssl" and not read else INNER if inside else check.excluded
                yield replace(check, excluded=reason)


UNREAD_TLS = "TLS begins inside a protocol that we do not read"
INNER = "a protocol inside another, of which we read the outer one"


def unquoted(value: Any) -> str:
    """Spell a request's target without percent signs, as Zeek does."""
    text = unquote_to_bytes(str(value)).decode(errors="backslashreplace")
    return text.lower()


# The protocol of which a log tells.
ZEEK_PARENTS = {"smb_files": "smb", "smb_mapping": "smb", "ssl": "tls"}


def zeek_values(row: Row, name: str) -> list[str]:
    """Return the values of a cell; Zeek writes a backslash twice."""
    cell = row.get(name, "-")
    is_update = name == "query" and row.get("opcode_name") == "dynamic-update"
    if is_update or cell in {"-", "(empty)", "", "<unknown>", "<share_root>"}:
        return []
    return [
        part.removeprefix("SSH-").strip().replace("\\\\", "\\")
        for part in (cell.split(",") if name == "rcptto" else [cell])
    ]


# Arkime

ARKIME_FIELDS = {
    "http": {
        "method": "http_methods",
        "host": "http_hosts",
        "statuscode": "http_statuses",
        "useragent": "http_user_agents",
    },
    "tls": {"ja3": "tls_ja3", "ja3s": "tls_ja3s", "ja4": "tls_ja4", "version": "tls_version", "cipher": "tls_cipher"},
    "ssh": {"hassh": "ssh_hassh", "hasshServer": "ssh_hassh_server"},
    "dns": {"queryHost": "dns_queries", "qt": "dns_query_types", "status": "dns_response_codes"},
    "smb": {"filename": "smb_files", "share": "smb_trees"},
    "krb5": {"sname": "kerberos_services"},
    "quic": {"host": "tls_server_name"},
    "cert": {"serial": "tls_certificate_serials", "hash": "tls_certificate_sha1"},
}
ARKIME_PROTOCOLS = {"krb5": "kerberos", "mdns": "dns", "llmnr": "dns", "dtls": "tls"}
ARKIME_SPELLING: dict[str, Callable[[Any], Any]] = {
    "hash": lambda text: text.replace(":", ""),
    "queryHost": lambda text: "" if text == "<root>" else text.encode("idna").decode() if not text.isascii() else text,
    "status": lambda text: {"NOTIMPL": "NOTIMP"}.get(text, text),
    "version": lambda text: {"TLSv1": "TLSv1.0"}.get(text, text),
}


def check_arkime(records: list[Record], rows: list[Row]) -> Iterator[Check]:
    """Compare sessions of Arkime with our flows."""
    yield present(rows)
    if not rows:
        return
    protocol = rows[0]["protocol"]
    together = "Arkime keeps all hosts' packets of this protocol in one session" if protocol in {"igmp", "pim"} else ""
    bodies = [record.values for record in records]
    packets = ours_by_sender(rows, column("packets"), "arkime")
    yield equal("packets", arkime_by_sender(records, "packets"), packets, together)
    yield replace(
        check_link_bytes(arkime_by_sender(records, "bytes"), rows, "arkime"),
        excluded=together or has_outer_headers(rows),
    )
    theirs, ours = {body["network"].get("community_id") for body in bodies}, {row["community_id"] for row in rows}
    portless = why_ids_differ(rows)
    yield equal("community_id", theirs, ours, portless)
    yield check_arkime_protocol(bodies, rows)
    yield from check_arkime_fields(bodies, rows)


def check_arkime_fields(bodies: list[Row], rows: list[Row]) -> Iterator[Check]:
    """Compare the fields of application protocols."""
    read = set(values_of(rows, "app_protocol"))
    for group, fields in ARKIME_FIELDS.items():
        for name, column_name in fields.items():
            values = [value for body in bodies for value in arkime_values(body.get(group, []), name) if value != ""]
            if values:
                check = contained(f"{group}.{name}", values, rows, column_name, ARKIME_FOLDS.get(name, folded))
                yield replace(check, excluded=check.excluded or why_arkime_differs(group, name, bodies, read))


def why_arkime_differs(group: str, name: str, bodies: list[Row], read: set[str]) -> str:
    """Name the reason why Arkime may know a field that we do not."""
    owner = {"cert": "tls", "krb5": "kerberos"}.get(group, group)
    if name == "host" and "tls" in read:
        return "Arkime lists the name of TLS as a host of HTTP as well"
    return why_unread(bodies) if owner not in read else ""


# What Arkime found that we do not read, and so nothing inside it.
UNREAD_BY_US = {
    "socks": "a protocol inside SOCKS, which we do not follow",
    "sctp": "a protocol over SCTP, whose payload we do not read",
    "http2": "HTTP/2 in clear, which we do not read",
    "fbzero": "Facebook's and Google's QUIC before RFC 9000",
    "quic": "Facebook's and Google's QUIC before RFC 9000",
    "isakmp": "certificates of IKE, which we do not read",
    "opcua": "certificates of OPC UA, which we do not read",
    "tls": "TLS begins inside a protocol that we do not read",
}


def why_unread(bodies: list[Row]) -> str:
    """Name a protocol that Arkime reads and we do not."""
    found = {name for body in bodies for name in body.get("protocol", [])}
    return next((reason for name, reason in UNREAD_BY_US.items() if name in found), "")


def without_port(value: Any) -> str:
    """Spell a host without its port; Arkime lists both forms."""
    return str(value).lower().split(":")[0]


def without_zeros(value: Any) -> str:
    """Spell a serial number without leading zeros."""
    return str(value).lower().lstrip("0")


ARKIME_FOLDS: dict[str, Callable[[Any], str]] = {"host": without_port, "serial": without_zeros}


def why_ids_differ(rows: list[Row]) -> str:
    """Name the reason why two Community IDs may differ."""
    if rows[0]["protocol"] in {"icmp", "icmp6"}:
        return "Arkime orders the ends of one-way messages, which the reference keeps"
    return "" if rows[0]["protocol"] in WITH_PORTS else "Arkime adds ports of zero to protocols that have none"


def has_outer_headers(rows: list[Row]) -> str:
    """Name the reason why lengths on the link differ by more than a link header."""
    return "Arkime counts the headers of the tunnel as well" if any(row["tunnel"] for row in rows) else ""


def check_arkime_protocol(bodies: list[Row], rows: list[Row]) -> Check:
    """Compare the application protocol; Arkime lists all that it found."""
    found = [name for body in bodies for name in body.get("protocol", [])]
    names = {ARKIME_PROTOCOLS.get(name, name) for name in found} & OUR_PROTOCOLS
    ours = set(values_of(rows, "app_protocol"))
    return Check(
        "app_protocol", sorted(found), sorted(ours), bool(names & ours) if names else not ours, why_unread(bodies)
    )


def arkime_values(group: Any, name: str) -> Iterator[Any]:
    """Yield the values of a field, in whichever of Arkime's forms it is."""
    for entry in group if isinstance(group, list) else [group]:
        value = entry.get(name, [])
        for text in value if isinstance(value, list) else [value]:
            yield ARKIME_SPELLING.get(name, str)(text)


def arkime_by_sender(records: list[Record], name: str) -> dict[str, int]:
    """Add an amount of Arkime's sessions up by sender."""
    return by_sender((r.orig, r.values["source"][name], r.resp, r.values["destination"][name]) for r in records)


def check_link_bytes(theirs: dict[str, int], rows: list[Row], peer: str) -> Check:
    """Compare lengths on the link with ours of IP: one link header on every packet, and the padding of short frames."""
    ours = ours_by_sender(rows, column("ip_bytes"), peer)
    packets = ours_by_sender(rows, column("packets"), peer)
    return Check("bytes", theirs, ours, any(link_fits(theirs, ours, packets, header) for header in LINK_HEADERS))


# Ethernet with up to two tags or MPLS labels, PPPoE, Linux cooked, loopback, raw, PPP, frame relay.
LINK_HEADERS = (0, 2, 4, 8, 14, 16, 18, 20, 22, 26, 34)
SHORTEST_FRAME = 60


def link_fits(theirs: dict[str, int], ours: dict[str, int], packets: dict[str, int], header: int) -> bool:
    """Tell whether lengths differ by a link header and by no more than the padding of short frames."""
    padding = SHORTEST_FRAME - 14 - 20
    return all(0 <= theirs.get(end, 0) - ours[end] - header * packets[end] <= padding * packets[end] for end in ours)


# nDPI

NDPI_PROTOCOLS = {
    "FTP_CONTROL": "ftp",
    "SMBv1": "smb",
    "SMBv23": "smb",
    "MDNS": "dns",
    "LLMNR": "dns",
    "SMTPS": "smtp",
    "DTLS": "tls",
}
# Protocols of nDPI that are a use of one of ours.
NDPI_USES = {
    "NetBIOS": "NetBIOS names are asked for in DNS messages (RFC 1002)",
    "DNScrypt": "DNScrypt asks for its certificate in DNS",
    "SOAP": "a use of HTTP",
    "HTTP_Proxy": "a use of HTTP",
    "HTTP_Connect": "a use of HTTP",
    "TLS": "RDP that goes on in TLS",
}


def check_ndpi(records: list[Record], rows: list[Row]) -> Iterator[Check]:
    """Compare flows of nDPI with ours."""
    yield present(rows)
    if not rows:
        return
    packets = ours_by_sender(rows, column("packets"), "ndpi")
    left_out = what_ndpi_leaves_out(rows)
    yield equal("packets", ndpi_by_sender(records, "packets"), packets, left_out)
    yield replace(check_link_bytes(ndpi_by_sender(records, "bytes"), rows, "ndpi"), excluded=left_out)
    for record in records:
        yield from check_ndpi_content(record.values, rows)


def what_ndpi_leaves_out(rows: list[Row]) -> str:
    """Name the packets that nDPI does not count."""
    if any(row["fragments"] for row in rows):
        return "nDPI leaves out fragments but the first"
    if any(row["truncated_packets"] for row in rows):
        return "nDPI leaves out packets that were not stored whole"
    return ""


def ndpi_by_sender(records: list[Record], name: str) -> dict[str, int]:
    """Add an amount of nDPI's flows up by sender."""
    return by_sender((r.orig, r.values[f"orig_{name}"], r.resp, r.values[f"resp_{name}"]) for r in records)


def check_ndpi_content(theirs: Row, rows: list[Row]) -> Iterator[Check]:
    """Compare the protocol and what nDPI read of it."""
    name = theirs["name"].split(".")[0]
    known = NDPI_PROTOCOLS.get(name, name.lower())
    ours = set(values_of(rows, "app_protocol"))
    tags = dict(tag.split(": ", 1) for tag in theirs["tags"] if ": " in tag)
    agrees = known in ours if known in OUR_PROTOCOLS else not ours
    yield Check("app_protocol", theirs["name"], sorted(ours), agrees, why_ndpi_differs(theirs, tags, known, ours))
    unread = why_ndpi_differs(theirs, tags, known, ours) if not ours else ""
    for tag, (column_name, fold) in NDPI_FIELDS.items():
        if tag in tags:
            yield replace(contained(f"tls.{tag.lower()}", [tags[tag]], rows, column_name, fold), excluded=unread)
    if "Hostname/SNI" in tags and known in {"tls", "quic"}:
        yield replace(contained("tls.server_name", [tags["Hostname/SNI"]], rows, "tls_server_name"), excluded=unread)


def why_ndpi_differs(theirs: Row, tags: dict[str, str], known: str, ours: set[str]) -> str:
    """Name the reason why nDPI may name another protocol than we do."""
    name = theirs["name"].split(".")[0]
    if not theirs["confidence"].startswith("DPI"):
        return "guessed by nDPI from port or address"
    if ours & {"dns", "http", "rdp"} and name in NDPI_USES:
        return NDPI_USES[name]
    if ours:
        return ""
    if known not in {"tls", "quic"} or name == "DTLS":
        return (
            "DTLS inside STUN or before its first standard, which we do not read"
            if tags.keys() & NDPI_FIELDS.keys()
            else ""
        )
    if known == "quic":
        is_standard = tags.get("QUIC ver", "").startswith(("V-1", "Draft", "Ver-"))
        return "" if is_standard else "Facebook's and Google's QUIC before RFC 9000, or no packet that names a version"
    return "" if "JA4" in tags or "JA3S" in tags else "TLS records in the midst of a connection, without a hello"


def without_rating(value: Any) -> str:
    """Spell a JA3S hash without what nDPI thinks of its cipher."""
    return str(value).split(" ")[0]


def comparable_ja4(value: Any) -> str:
    """Spell a JA4 without the marks for server name and protocol list, which nDPI writes in its own way.

    The specification takes the first and last character of the first protocol; nDPI takes the first two.
    """
    start, *hashes = str(value).split("_")
    return "_".join([start[:3] + start[4:8], *(text.replace("e3b0c44298fc", "0" * 12) for text in hashes)])


NDPI_FIELDS: dict[str, tuple[str, Callable[[Any], str]]] = {
    "JA4": ("tls_ja4", comparable_ja4),
    "JA3C": ("tls_ja3", folded),
    "JA3S": ("tls_ja3s", without_rating),
}


CHECKS: dict[str, Callable[[list[Record], list[Row]], Iterator[Check]]] = {
    "zeek": check_zeek,
    "arkime": check_arkime,
    "ndpi": check_ndpi,
}
