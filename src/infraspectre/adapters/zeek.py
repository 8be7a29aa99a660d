"""Zeek logs as flows: each line of conn.log is a flow, and what the protocol logs say joins it by uid."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from infraspectre.adapters.fields import (
    Row,
    Rule,
    count,
    each,
    first,
    flag,
    gather,
    name,
    number,
    numbers,
    size,
    text,
    texts,
    total,
)
from infraspectre.adapters.lines import LineFile, as_far_as_readable
from infraspectre.adapters.log_source import LogSource
from infraspectre.adapters.zeek_records import Record, nanoseconds, records, stream
from infraspectre.capture.inputs import is_zeek_log
from infraspectre.errors import InputError
from infraspectre.records.times import bounded

REQUIRED = ("ts", "id.orig_h", "id.resp_h", "proto")

TLS_VERSIONS = {"TLSv10": "TLSv1.0", "TLSv11": "TLSv1.1", "TLSv12": "TLSv1.2", "TLSv13": "TLSv1.3"}
SERVICES = {"ssl": "tls", "krb": "kerberos", "krb_tcp": "kerberos"}
"""Zeek's analyzer names where ours differ."""
CARRIERS = {"gssapi", "ntlm", "dce_rpc", "spnego"}
"""Analyzers that run inside another protocol of the same connection."""


def banner(value: Any) -> str | None:
    """Return an SSH identification string from after SSH-."""
    return value.removeprefix("SSH-") if isinstance(value, str) else None


def tls_version(value: Any) -> str | None:
    """Return a TLS version as its RFC writes it."""
    return TLS_VERSIONS.get(value, value) if isinstance(value, str) else None


def request(value: Any) -> str | None:
    """Return the Kerberos message that a request type stands for."""
    return f"{value}-REQ" if isinstance(value, str) else None


LOGS: dict[str, tuple[Rule, ...]] = {
    "dns": (
        Rule("query", "dns_query_count", count),
        Rule("query", "dns_queries", each, name),
        Rule("query", "dns_query_name_bytes", total, size),
        Rule("qtype_name", "dns_query_types", each, text),
        Rule("rcode_name", "dns_response_codes", each, text),
        Rule("rcode", "dns_nxdomain_count", total, lambda code: int(code == 3)),
        Rule("answers", "dns_answers", each, texts),
        Rule("TTLs", "dns_ttls", each, numbers),
    ),
    "http": (
        Rule("method", "http_request_count", count),
        Rule("method", "http_methods", each, text),
        Rule("host", "http_hosts", each, text),
        Rule("uri", "http_uris", each, text),
        Rule("user_agent", "http_user_agents", each, text),
        Rule("referrer", "http_referrers", each, text),
        Rule("status_code", "http_statuses", each, number),
        Rule("request_body_len", "http_request_body_bytes", total, number),
        Rule("response_body_len", "http_response_body_bytes", total, number),
        Rule("resp_mime_types", "http_mime_types", each, texts),
    ),
    "ssl": (
        Rule("version", "tls_version", first, tls_version),
        Rule("cipher", "tls_cipher", first, text),
        Rule("server_name", "tls_server_name", first, text),
        Rule("next_protocol", "tls_alpn_chosen", first, text),
        Rule("resumed", "tls_resumed", first, flag),
        Rule("established", "tls_established", first, flag),
        Rule("subject", "tls_certificate_subjects", each, text),
        Rule("issuer", "tls_certificate_issuers", each, text),
        Rule("ja3", "tls_ja3", first, text),
        Rule("ja3s", "tls_ja3s", first, text),
        Rule("ja4", "tls_ja4", first, text),
    ),
    "ssh": (
        Rule("client", "ssh_client", first, banner),
        Rule("server", "ssh_server", first, banner),
        Rule("cipher_alg", "ssh_cipher", first, text),
        Rule("kex_alg", "ssh_kex_algorithm", first, text),
        Rule("host_key_alg", "ssh_host_key_algorithm", first, text),
        Rule("hassh", "ssh_hassh", first, text),
        Rule("hasshServer", "ssh_hassh_server", first, text),
    ),
    "smtp": (
        Rule("helo", "smtp_helo", first, text),
        Rule("mailfrom", "smtp_from", each, text),
        Rule("rcptto", "smtp_to", each, texts),
        Rule("subject", "smtp_subjects", each, text),
        Rule("tls", "smtp_starttls", first, flag),
    ),
    "ftp": (
        Rule("user", "ftp_user", first, text),
        Rule("command", "ftp_command_count", count),
        Rule("command", "ftp_commands", each, text),
        Rule("reply_code", "ftp_replies", each, number),
    ),
    "dhcp": (
        Rule("msg_types", "dhcp_message_types", each, texts),
        Rule("host_name", "dhcp_host_name", first, text),
        Rule("mac", "dhcp_client_mac", first, text),
        Rule("assigned_addr", "dhcp_address", first, text),
        Rule("requested_addr", "dhcp_address", first, text),
        Rule("server_addr", "dhcp_server", first, text),
    ),
    "ntp": (
        Rule("version", "ntp_version", first, number),
        Rule("mode", "ntp_modes", each, number),
        Rule("stratum", "ntp_stratum", first, number),
    ),
    "rdp": (Rule("cookie", "rdp_cookie", first, text), Rule("security_protocol", "rdp_security", first, text)),
    "kerberos": (
        Rule("request_type", "kerberos_messages", each, request),
        Rule("client", "kerberos_clients", each, text),
        Rule("service", "kerberos_services", each, text),
    ),
    "smb_mapping": (Rule("path", "smb_trees", each, text),),
    "smb_files": (Rule("name", "smb_files", each, text),),
}
"""Which field of which log becomes which column."""

CONNECTION = (
    Rule("community_id", "community_id", first, text),
    Rule("id.orig_h", "orig_ip", first, text),
    Rule("id.orig_p", "orig_port", first, number),
    Rule("id.resp_h", "resp_ip", first, text),
    Rule("id.resp_p", "resp_port", first, number),
    Rule("vlan", "vlan", first, number),
    Rule("inner_vlan", "inner_vlan", first, number),
    Rule("orig_l2_addr", "orig_mac", first, text),
    Rule("resp_l2_addr", "resp_mac", first, text),
    Rule("orig_pkts", "orig_packets", first, number),
    Rule("resp_pkts", "resp_packets", first, number),
    Rule("orig_ip_bytes", "orig_ip_bytes", first, number),
    Rule("resp_ip_bytes", "resp_ip_bytes", first, number),
    Rule("orig_bytes", "orig_payload_bytes", first, number),
    Rule("resp_bytes", "resp_payload_bytes", first, number),
)


def zeek_source(paths: Sequence[str], features: str = "full") -> LogSource:
    """Return the flows of Zeek log folders, or of single logs, in the order of the logs.

    Raises InputError when there is no connection log, or a log cannot be opened or read.
    """
    logs = ZeekLogs(paths)
    return LogSource(logs.files, logs.rows(), features)


class ZeekLogs:
    """Joins the lines of connection logs with what the protocol logs beside them say."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Find and open the logs."""
        self._connections = [LineFile(log) for path in paths for log in find(path, "conn")]
        self._details = [(LOGS[log], LineFile(file)) for log in LOGS for path in paths for file in find(path, log)]
        self._combined = [LineFile(Path(path)) for path in paths if not Path(path).is_dir()]
        self.files = [*self._connections, *(file for _, file in self._details), *self._combined]
        if not self._connections:
            raise InputError("holds no connection log", path=paths[0], remedy="conn.log is needed for flows")

    def rows(self) -> Iterator[Row]:
        """Yield the flows; list columns are bounded, so memory grows with the connections of protocol logs alone."""
        details: dict[str, Row] = {}
        for rules, record in self._detail_records():
            for uid in uids(record):
                gather(details.setdefault(uid, {}), record, rules)
        for file in self._connections:
            yield from as_far_as_readable(file, connections(file, details))

    def _detail_records(self) -> Iterator[tuple[tuple[Rule, ...], Record]]:
        for rules, file in self._details:
            yield from ((rules, record) for record in as_far_as_readable(file, records(file)))
        for file in self._combined:
            for record in as_far_as_readable(file, records(file)):
                if stream(record) is None:
                    break  # a file of one log
                if found := LOGS.get(stream(record) or ""):
                    yield found, record


def find(path: str, log: str) -> Iterable[Path]:
    """Return the files of a log in a folder, by name; a path that is a file is itself the connection log."""
    place = Path(path)
    if not place.is_dir():
        return [place] if log == "conn" else []
    return sorted(entry for entry in place.iterdir() if is_zeek_log(entry.name, log))


def uids(record: Record) -> list[str]:
    """Return the connections that a record speaks of."""
    found = record.get("uids") or [record.get("uid")]
    return [uid for uid in found if isinstance(uid, str)] if isinstance(found, list) else []


def connections(file: LineFile, details: dict[str, Row]) -> Iterator[Row]:
    """Yield the flows of a connection log, or of a file that holds one among others."""
    for record in records(file):
        if stream(record) in (None, "conn"):
            yield connection(record, details, file)


def connection(record: Record, details: dict[str, Row], file: LineFile) -> Row:
    """Return the flow that a line of the connection log describes; raises InputError where it lacks the necessary."""
    for field in REQUIRED:
        if record.get(field) is None:
            raise file.error("is missing", field)
    row: Row = dict(details.pop(str(record.get("uid")), {}))
    gather(row, record, CONNECTION)
    row["flow_id"] = identity(str(record.get("uid") or f"{file.path.name}:{file.line}"))
    row.update(times(record, file), **transport(record, row))
    row["app_protocol"] = service(record.get("service"))
    return row


def times(record: Record, file: LineFile) -> Row:
    """Return when a flow began and ended; without a duration, both are the same and the duration is unknown."""
    with suppress(ValueError, TypeError, OverflowError):
        started = nanoseconds(record["ts"])
        duration = record.get("duration")
        if duration is None:
            return {"started_at": started, "ended_at": started}
        ended = bounded(started + round(float(duration) * 1_000_000) * 1000)
        return {"started_at": started, "ended_at": ended, "duration_ms": float(duration) * 1000}
    raise file.error("is not a time", "ts")


def transport(record: Record, row: Row) -> Row:
    """Return the protocol and what follows from it.

    Zeek counts whole IP packets; the bytes that IP carries are those less a header without options for each packet.
    """
    version = 6 if ":" in row.get("orig_ip", "") else 4
    protocol = str(record["proto"]).lower()
    header = 40 if version == 6 else 20
    found: Row = {"ip_version": version, "protocol": "icmp6" if protocol == "icmp" and version == 6 else protocol}
    if protocol == "tcp":
        found["tcp_state"] = text(record.get("conn_state"))
    for side in ("orig", "resp"):
        total_bytes, packets = row.get(f"{side}_ip_bytes"), row.get(f"{side}_packets")
        if total_bytes is not None and packets is not None:
            found[f"{side}_bytes"] = max(0, total_bytes - header * packets)
    return found


def service(value: Any) -> str | None:
    """Return the outermost application protocol of Zeek's list."""
    names = sorted(str(value).lower().split(",")) if value else []
    outer = [SERVICES.get(known, known) for known in names if known not in CARRIERS]
    return outer[0] if outer else None


def identity(uid: str) -> int:
    """Return a stable number for a uid: 53 bits, as in the core, which every reader of JSON holds exactly."""
    return int.from_bytes(hashlib.blake2b(uid.encode(), digest_size=8).digest(), "big") >> 11
