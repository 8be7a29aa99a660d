"""Suricata EVE as flows: flow events become rows, other events join them by flow_id, alerts pass through."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infraspectre.adapters.alert_log import AlertLog
from infraspectre.adapters.fields import (
    Row,
    Rule,
    count,
    each,
    first,
    gather,
    name,
    number,
    size,
    text,
    texts,
    total,
)
from infraspectre.adapters.lines import LineFile, as_far_as_readable
from infraspectre.adapters.log_source import LogSource
from infraspectre.records.times import bounded, from_datetime

MAX_OPEN_FLOWS = 1 << 20
"""Flows of which events were seen but not yet the end; beyond it, the one silent for longest is given out as it is."""
ETHERNET_HEADER = 14
"""Suricata counts frames; what IP carries is less by an Ethernet header and an IP header without options."""

FIRST_EVENT, LAST_EVENT = "first_event", "last_event"
"""What a row remembers of its events until its flow has ended; no column is called so."""

ADDRESSES = (
    Rule("community_id", "community_id", first, text),
    Rule("src_ip", "orig_ip", first, text),
    Rule("src_port", "orig_port", first, number),
    Rule("dest_ip", "resp_ip", first, text),
    Rule("dest_port", "resp_port", first, number),
    Rule("icmp_type", "orig_port", first, number),
    Rule("icmp_code", "resp_port", first, number),
    Rule("vlan", "vlan", first, lambda tags: number(tags[0]) if isinstance(tags, list) and tags else None),
    Rule("ether.src_mac", "orig_mac", first, text),
    Rule("ether.dest_mac", "resp_mac", first, text),
)

END_REASONS = {"timeout": "idle", "forced": "evicted", "shutdown": "end_of_capture"}


def tls_version(value: Any) -> str | None:
    """Return a TLS version as its RFC writes it."""
    return value.replace("TLS ", "TLSv") if isinstance(value, str) else None


def banner(side: Any) -> str | None:
    """Return an SSH identification string from after SSH-."""
    parts = (text(side.get("proto_version")), text(side.get("software_version"))) if isinstance(side, dict) else ()
    return "-".join(part for part in parts if part) or None


def without_colons(value: Any) -> str | None:
    """Return a hexadecimal text without its colons."""
    return value.replace(":", "") if isinstance(value, str) else None


def mailboxes(value: Any) -> list[str] | None:
    """Return mail addresses without their angle brackets."""
    return [address.strip("<>") for address in texts(value) or []] or None


EVENTS: dict[str, tuple[Rule, ...]] = {
    "http": (
        Rule("http.http_method", "http_request_count", count),
        Rule("http.http_method", "http_methods", each, text),
        Rule("http.hostname", "http_hosts", each, text),
        Rule("http.url", "http_uris", each, text),
        Rule("http.http_user_agent", "http_user_agents", each, text),
        Rule("http.http_refer", "http_referrers", each, text),
        Rule("http.status", "http_statuses", each, number),
        Rule("http.http_content_type", "http_content_types", each, text),
        Rule("http.length", "http_response_body_bytes", total, number),
    ),
    "tls": (
        Rule("tls.version", "tls_version", first, tls_version),
        Rule("tls.sni", "tls_server_name", first, text),
        Rule("tls.subject", "tls_certificate_subjects", each, text),
        Rule("tls.issuerdn", "tls_certificate_issuers", each, text),
        Rule("tls.serial", "tls_certificate_serials", each, without_colons),
        Rule("tls.fingerprint", "tls_certificate_sha1", each, without_colons),
        Rule("tls.ja3.hash", "tls_ja3", first, text),
        Rule("tls.ja3s.hash", "tls_ja3s", first, text),
        Rule("tls.ja4", "tls_ja4", first, text),
    ),
    "ssh": (
        Rule("ssh.client", "ssh_client", first, banner),
        Rule("ssh.server", "ssh_server", first, banner),
        Rule("ssh.client.hassh.hash", "ssh_hassh", first, text),
        Rule("ssh.server.hassh.hash", "ssh_hassh_server", first, text),
    ),
    "smtp": (
        Rule("smtp.helo", "smtp_helo", first, text),
        Rule("smtp.mail_from", "smtp_from", each, mailboxes),
        Rule("smtp.rcpt_to", "smtp_to", each, mailboxes),
    ),
    "dhcp": (
        Rule(
            "dhcp.dhcp_type",
            "dhcp_message_types",
            each,
            lambda value: value.upper() if isinstance(value, str) else None,
        ),
        Rule("dhcp.hostname", "dhcp_host_name", first, text),
        Rule("dhcp.client_mac", "dhcp_client_mac", first, text),
        Rule("dhcp.assigned_ip", "dhcp_address", first, text),
    ),
    "rdp": (Rule("rdp.cookie", "rdp_cookie", first, text),),
}
"""Which field of which event becomes which column; DNS is written in three ways, see `gather_dns`."""

QUESTION = (
    Rule("rrname", "dns_query_count", count),
    Rule("rrname", "dns_queries", each, name),
    Rule("rrname", "dns_query_name_bytes", total, size),
    Rule("rrtype", "dns_query_types", each, text),
)
ANSWER = (
    Rule("rcode", "dns_response_codes", each, text),
    Rule("rcode", "dns_nxdomain_count", total, lambda code: int(code == "NXDOMAIN")),
    Rule("answers.rdata", "dns_answers", each, texts),
    Rule("answers.rrtype", "dns_answer_types", each, texts),
    Rule("answers.ttl", "dns_ttls", each),
)

ALERT_FIELDS = (
    "timestamp", "flow_id", "pcap_cnt", "event_type", "src_ip", "src_port", "dest_ip", "dest_port", "proto",
    "app_proto", "alert",
)  # fmt: skip


def eve_source(paths: Sequence[str], features: str = "full") -> LogSource:
    """Return the flows of EVE logs in the order in which they ended; raises InputError for what cannot be read."""
    logs = EveLogs(paths)
    return LogSource(logs.files, logs.rows(), features, logs.alerts)


class EveLogs:
    """Joins the events of each flow and keeps the alerts."""

    def __init__(self, paths: Sequence[str]) -> None:
        """Open the logs."""
        self.files = [LineFile(Path(path)) for path in paths]
        self.alerts = AlertLog()
        self._open: dict[int, Row] = {}

    def rows(self) -> Iterator[Row]:
        """Yield flows as they end, and at last those whose end was not logged."""
        for file in self.files:
            yield from as_far_as_readable(file, self._ended(file))
        yield from map(spanned, self._open.values())

    def _ended(self, file: LineFile) -> Iterator[Row]:
        """Yield the flows that end in a log, and the one silent for longest when too many are open."""
        for line in filter(None, file):
            row = self._take(file.json(line), file)
            if row is not None:
                yield row
            if len(self._open) > MAX_OPEN_FLOWS:
                yield spanned(self._open.pop(next(iter(self._open))))

    def _take(self, event: dict[str, Any], file: LineFile) -> Row | None:
        """Add an event to its flow; return the flow if that was its end."""
        kind, identity = event.get("event_type"), event.get("flow_id")
        if kind is None:
            raise file.error("is missing", "event_type")
        if kind == "alert":
            alert = {field: event[field] for field in ALERT_FIELDS if field in event}
            self.alerts.append(alert | in_utc(alert.get("timestamp")))
        if not isinstance(identity, int) or not 0 <= identity < 2**64 or "src_ip" not in event:
            return None
        row = self._open.pop(identity, {"flow_id": identity})
        if gather_event(row, str(kind), event, file):
            return row
        self._open[identity] = row
        return None


def gather_event(row: Row, kind: str, event: dict[str, Any], file: LineFile) -> bool:
    """Add what an event says to its flow; return whether the flow has ended."""
    if kind == "flow":
        gather_flow(row, event, file)
        return True
    if kind == "netflow":
        return gather_netflow(row, event, file)
    if kind == "dns":
        gather_dns(row, event.get("dns"))
    gather(row, event, EVENTS.get(kind, ()))
    gather_ends(row, event)
    row.setdefault(FIRST_EVENT, event.get("timestamp"))
    row[LAST_EVENT] = event.get("timestamp")
    return False


def in_utc(timestamp: Any) -> Row:
    """Return an event's time in UTC, still as Suricata writes it; nothing for what is no time with a zone."""
    with suppress(TypeError, ValueError, OverflowError):
        at = datetime.fromisoformat(timestamp)
        if at.tzinfo is not None:
            return {"timestamp": f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}+0000"}
    return {}


def spanned(row: Row) -> Row:
    """Return a flow whose end was not logged with the times of its first and last event; its duration is unknown."""
    with suppress(KeyError, TypeError, ValueError, OverflowError):
        begin, end = (bounded(from_datetime(datetime.fromisoformat(row[key]))) for key in (FIRST_EVENT, LAST_EVENT))
        row.setdefault("started_at", min(begin, end))
        row.setdefault("ended_at", max(begin, end))
    return row


def gather_ends(row: Row, event: dict[str, Any]) -> None:
    """Add addresses and protocols."""
    gather(row, event, ADDRESSES)
    row["ip_version"] = 6 if ":" in row.get("orig_ip", "") else 4
    protocol = str(event.get("proto", "unknown")).lower()
    row["protocol"] = "icmp6" if protocol in ("ipv6-icmp", "icmpv6") else protocol
    application = event.get("app_proto")
    if isinstance(application, str) and application not in ("failed", "unknown"):
        row["app_protocol"] = application


def gather_flow(row: Row, event: dict[str, Any], file: LineFile) -> None:
    """Add what a flow event says; its direction is the flow's, whatever earlier events said."""
    for rule in ADDRESSES:
        row.pop(rule.column, None)
    gather_ends(row, event)
    flow = event.get("flow")
    if not isinstance(flow, dict):
        raise file.error("is missing", "flow")
    row.update(span(moment(flow.get("start"), "flow.start", file), moment(flow.get("end"), "flow.end", file)))
    row["end_reason"] = END_REASONS.get(str(flow.get("reason")))
    for side, way in (("orig", "toserver"), ("resp", "toclient")):
        row.update(volume(side, number(flow.get(f"pkts_{way}")), number(flow.get(f"bytes_{way}")), row["ip_version"]))


def gather_netflow(row: Row, event: dict[str, Any], file: LineFile) -> bool:
    """Add one direction of a flow; return whether it is the second. The first one seen is the originator's."""
    netflow = event.get("netflow")
    if not isinstance(netflow, dict):
        raise file.error("is missing", "netflow")
    is_second = "started_at" in row
    gather_ends(row, event)
    start, end = (moment(netflow.get(key), f"netflow.{key}", file) for key in ("start", "end"))
    row.update(span(min(start, row.get("started_at", start)), max(end, row.get("ended_at", end))))
    side = "resp" if is_second else "orig"
    row.update(volume(side, number(netflow.get("pkts")), number(netflow.get("bytes")), row["ip_version"]))
    return is_second


def gather_dns(row: Row, dns: Any) -> None:
    """Add a DNS event: version 2 holds the question itself, version 3 a list; what has a code is a response."""
    if not isinstance(dns, dict):
        return
    if dns.get("type") in ("query", "request"):
        questions = dns.get("queries")
        for question in questions if isinstance(questions, list) else [dns]:
            gather(row, question, QUESTION)
    else:
        gather(row, dns, ANSWER)


def span(started: int, ended: int) -> Row:
    """Return the columns of a flow's time."""
    return {"started_at": started, "ended_at": ended, "duration_ms": (ended - started) / 1e6}


def volume(side: str, packets: int | None, frame_bytes: int | None, ip_version: int) -> Row:
    """Return the columns of one direction's volume, from frames to what IP carries."""
    row: Row = {f"{side}_packets": packets}
    if packets is not None and frame_bytes is not None:
        ip_bytes = max(0, frame_bytes - ETHERNET_HEADER * packets)
        row[f"{side}_ip_bytes"] = ip_bytes
        row[f"{side}_bytes"] = max(0, ip_bytes - (40 if ip_version == 6 else 20) * packets)
    return row


def moment(value: Any, field: str, file: LineFile) -> int:
    """Return an EVE time as nanoseconds since the epoch; raises InputError for what is none."""
    try:
        return bounded(from_datetime(datetime.fromisoformat(value)))
    except (TypeError, ValueError, OverflowError) as error:
        raise file.error(f"{value!r} is not a time", field) from error
