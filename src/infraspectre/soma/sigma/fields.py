"""What log sources call the fields of flows and of the application records in them: the events that rules can see."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import NamedTuple

import polars as pl

from infraspectre.soma.sigma.rule import LogSource

ENDS = {
    "id.orig_h": pl.col("orig_ip"),
    "id.orig_p": pl.col("orig_port"),
    "id.resp_h": pl.col("resp_ip"),
    "id.resp_p": pl.col("resp_port"),
}
"""Who spoke with whom, in every stream; columns bear Zeek's names, which other log sources translate."""
PRODUCTS = ("windows", "linux", "macos")
COUNT, POSITION = "__count", "__position"


class View(NamedTuple):
    """Says what a log source calls the columns of a stream."""

    source: LogSource
    fields: Mapping[str, str]


class Stream(NamedTuple):
    """Describes one kind of event that flows hold: how its columns are made, and which log sources have it."""

    lead: str | None
    """The list column with one element for each event; without it, each flow for which `present` holds is one."""
    present: pl.Expr
    columns: Mapping[str, pl.Expr]
    derived: Mapping[str, pl.Expr]
    """Columns made of other columns of the event."""
    views: tuple[View, ...]

    @property
    def inputs(self) -> frozenset[str]:
        """Return the columns of flows that the events are made of."""
        expressions = [self.present, *ENDS.values(), *self.columns.values()]
        names = {name for expression in expressions for name in expression.meta.root_names()}
        return frozenset(names | ({self.lead} if self.lead else set())) - {COUNT, POSITION}

    def picked(self, names: Collection[str]) -> Stream:
        """Return the stream with no more columns than those named."""
        derived = {name: made for name, made in self.derived.items() if name in names}
        needed = {*names, *(root for made in derived.values() for root in made.meta.root_names())}
        columns = {name: made for name, made in self.columns.items() if name in needed}
        return self._replace(columns=columns, derived=derived)

    def events(self, flows: pl.DataFrame) -> pl.DataFrame:
        """Return the events in flows; the column `flow` holds the row of the flow of each."""
        frame = flows.with_row_index("flow").filter(self.present)
        if self.lead:
            count = pl.col(self.lead).list.len()
            frame = frame.with_columns(count.alias(COUNT), pl.int_ranges(count).alias(POSITION)).explode(POSITION)
        made = frame.select("flow", *(made.alias(name) for name, made in (ENDS | dict(self.columns)).items()))
        return made.with_columns(made.alias(name) for name, made in self.derived.items())


def each(column: str) -> pl.Expr:
    """Return the element that belongs to an event; all of them where logs left some out, and it is unknown which."""
    values = pl.col(column)
    return pl.when(values.list.len() == pl.col(COUNT)).then(values.list.slice(pl.col(POSITION), 1)).otherwise(values)


def only(column: str) -> pl.Expr:
    """Return a value of a flow if it has but one event, to which it then belongs."""
    return pl.when(pl.col(COUNT) == 1).then(pl.col(column))


def first(column: str) -> pl.Expr:
    """Return an event's value as a text; null where it is unknown."""
    values = pl.col(column)
    return pl.when(values.list.len() == 1).then(values.list.first())


def some(*columns: str) -> pl.Expr:
    """Tell whether a flow has a value in one of the columns."""
    return pl.any_horizontal(pl.col(column).is_not_null() for column in columns)


def zeek(service: str, *columns: str, **renamed: str) -> View:
    """Return the view of a Zeek log, whose names most columns bear already."""
    return View(LogSource(product="zeek", service=service), {name: name for name in (*ENDS, *columns)} | renamed)


def view(source: LogSource, fields: str) -> View:
    """Return a view from lines such as `src_ip id.orig_h`."""
    return View(source, dict(line.split() for line in fields.splitlines() if line.strip()))


CONNECTION = Stream(
    lead=None,
    present=pl.lit(value=True),
    columns={
        "proto": pl.col("protocol").replace("icmp6", "icmp"),
        "service": pl.col("app_protocol").replace("tls", "ssl"),
        "duration": pl.col("duration_ms") / 1_000,
        "orig_bytes": pl.col("orig_payload_bytes"),
        "resp_bytes": pl.col("resp_payload_bytes"),
        "orig_pkts": pl.col("orig_packets"),
        "resp_pkts": pl.col("resp_packets"),
        "orig_ip_bytes": pl.col("orig_ip_bytes"),
        "resp_ip_bytes": pl.col("resp_ip_bytes"),
        "conn_state": pl.col("tcp_state"),
        "local_orig": pl.col("orig_inside"),
        "local_resp": pl.col("resp_inside"),
        "community_id": pl.col("community_id"),
        "application": pl.col("app_protocol"),
        "network": pl.format("ipv{}", "ip_version"),
        "is_ipv6": pl.col("ip_version") == 6,
        "name": pl.coalesce("tls_server_name", pl.col("http_hosts").list.first()),
        # Of what a firewall forbids no answer is seen; where none came, it is not known whether one forbade it.
        "action": pl.when(pl.col("resp_packets") > 0).then(pl.lit("accept")),
        "blocked": pl.when(pl.col("resp_packets") > 0).then(pl.lit("false")),
        # Whoever sent the first packet began.
        "initiated": pl.lit("true"),
    },
    derived={},
    views=(
        zeek(
            "conn",
            *("proto", "service", "duration", "orig_bytes", "resp_bytes", "orig_pkts", "resp_pkts", "orig_ip_bytes"),
            *("resp_ip_bytes", "conn_state", "local_orig", "local_resp", "community_id"),
        ),
        view(
            LogSource("firewall"),
            """
            src_ip id.orig_h
            src_port id.orig_p
            dst_ip id.resp_h
            dst_port id.resp_p
            protocol proto
            action action
            blocked blocked
            """,
        ),
        view(
            LogSource("network", service="connection"),
            """
            event.duration duration
            network.type network
            network.transport proto
            network.protocol application
            network.community_id community_id
            network.state conn_state
            source.ip id.orig_h
            source.port id.orig_p
            source.packets orig_pkts
            source.bytes orig_bytes
            destination.ip id.resp_h
            destination.port id.resp_p
            destination.packets resp_pkts
            destination.bytes resp_bytes
            """,
        ),
        *(
            view(
                LogSource("network_connection", product),
                """
                Protocol proto
                Initiated initiated
                SourceIp id.orig_h
                SourcePort id.orig_p
                SourceIsIpv6 is_ipv6
                DestinationIp id.resp_h
                DestinationPort id.resp_p
                DestinationIsIpv6 is_ipv6
                DestinationHostname name
                """,
            )
            for product in PRODUCTS
        ),
    ),
)

REFUSALS = ["FORMERR", "SERVFAIL", "NOTIMP", "REFUSED", "NOTAUTH"]
"""Response codes that come without any record (RFC 1035, RFC 8945), which Zeek calls rejected."""

DNS = Stream(
    lead="dns_queries",
    present=some("dns_queries"),
    columns={
        "proto": pl.col("protocol"),
        "community_id": pl.col("community_id"),
        "query": each("dns_queries"),
        "qtype_name": each("dns_query_types"),
        "rcode_name": pl.col("dns_response_codes"),
        "answers": pl.col("dns_answers"),
        "answer_types": pl.col("dns_answer_types"),
        "TTLs": pl.col("dns_ttls"),
        "rejected": pl.col("dns_response_codes").list.set_intersection(REFUSALS).list.len() > 0,
    },
    derived={},
    views=(
        zeek("dns", "proto", "query", "qtype_name", "rcode_name", "answers", "TTLs", "rejected"),
        view(
            LogSource("dns"),
            """
            query query
            record_type qtype_name
            answer answers
            answers answers
            src_ip id.orig_h
            dst_ip id.resp_h
            """,
        ),
        view(
            LogSource("network", service="dns"),
            """
            source.ip id.orig_h
            source.port id.orig_p
            destination.ip id.resp_h
            destination.port id.resp_p
            network.community_id community_id
            dns.question.name query
            dns.question.type qtype_name
            dns.answers.type answer_types
            dns.answers.data answers
            dns.answers.ttl TTLs
            dns.response.code rcode_name
            """,
        ),
        *(view(LogSource("dns_query", product), "QueryName query\nQueryResults answers") for product in PRODUCTS),
    ),
)

WEB = """
cs-method method
cs-host host
cs-uri target
cs-uri-query target
cs-uri-stem stem
cs-referer referrer
cs-referrer referrer
sc-status status_code
"""
"""Fields of the W3C extended log format. In rules, cs-uri-query is what follows the host, path included."""

HTTP = Stream(
    lead="http_methods",
    present=some("http_methods"),
    columns={
        "method": each("http_methods"),
        "host": each("http_hosts"),
        "uri": each("http_uris"),
        "user_agent": each("http_user_agents"),
        "referrer": each("http_referrers"),
        "status_code": each("http_statuses"),
        "resp_mime_types": each("http_mime_types"),
        "client_header_names": each("http_request_headers").list.join(",").str.split(","),
        "request_body_len": only("http_request_body_bytes"),
        "response_body_len": only("http_response_body_bytes"),
    },
    derived={
        # A proxy is asked for a whole URL, a server for what follows its name (RFC 9112, 3.2).
        "url": pl.when(first("uri").str.starts_with("/"))
        .then(pl.format("http://{}{}", first("host"), first("uri")))
        .otherwise(first("uri")),
        "target": first("uri"),
        "stem": first("uri").str.extract(r"^([^?#]*)"),
        "extension": first("uri").str.extract(r"^[^?#]*\.([^./?#]*)(?:[?#]|$)"),
    },
    views=(
        zeek(
            "http",
            *("method", "host", "uri", "user_agent", "referrer", "status_code", "resp_mime_types"),
            *("client_header_names", "request_body_len", "response_body_len"),
        ),
        view(
            LogSource("proxy"),
            WEB
            + """
            c-uri url
            c-uri-query target
            c-uri-stem stem
            c-uri-extension extension
            c-useragent user_agent
            cs-user-agent user_agent
            r-dns host
            src_ip id.orig_h
            dst_ip id.resp_h
            """,
        ),
        view(
            LogSource("webserver"),
            WEB
            + """
            c-ip id.orig_h
            s-ip id.resp_h
            s-port id.resp_p
            c-uri target
            cs-user-agent user_agent
            c-useragent user_agent
            """,
        ),
    ),
)

TLS = Stream(
    lead=None,
    present=some("tls_version", "tls_server_name"),
    columns={
        "version": pl.col("tls_version"),
        "cipher": pl.col("tls_cipher"),
        "server_name": pl.col("tls_server_name"),
        "next_protocol": pl.col("tls_alpn_chosen"),
        "resumed": pl.col("tls_resumed") > 0,
        "established": pl.col("tls_established") > 0,
        "subject": pl.col("tls_certificate_subjects").list.first(),
        "issuer": pl.col("tls_certificate_issuers").list.first(),
        "ja3": pl.col("tls_ja3"),
        "ja3s": pl.col("tls_ja3s"),
        "ja4": pl.col("tls_ja4"),
    },
    # Zeek writes TLSv12 where the RFC writes TLSv1.2.
    derived={"version": pl.col("version").str.replace(".", "", literal=True)},
    views=(
        zeek(
            "ssl",
            *("version", "cipher", "server_name", "next_protocol", "resumed", "established", "subject", "issuer"),
            *("ja3", "ja3s", "ja4"),
        ),
    ),
)

CERTIFICATE = Stream(
    lead="tls_certificate_subjects",
    present=some("tls_certificate_subjects"),
    columns={
        "certificate.subject": each("tls_certificate_subjects"),
        "certificate.issuer": each("tls_certificate_issuers"),
        # Zeek writes a serial number without leading zeros.
        "certificate.serial": each("tls_certificate_serials").list.eval(pl.element().str.strip_chars_start("0")),
    },
    derived={},
    views=(zeek("x509", "certificate.subject", "certificate.issuer", "certificate.serial"),),
)

SSH = Stream(
    lead=None,
    present=some("ssh_client", "ssh_server"),
    columns={
        "client": pl.format("SSH-{}", "ssh_client"),
        "server": pl.format("SSH-{}", "ssh_server"),
        "cipher_alg": pl.col("ssh_cipher"),
        "kex_alg": pl.col("ssh_kex_algorithm"),
        "host_key_alg": pl.col("ssh_host_key_algorithm"),
        "hassh": pl.col("ssh_hassh"),
        "hasshServer": pl.col("ssh_hassh_server"),
    },
    derived={},
    views=(zeek("ssh", "client", "server", "cipher_alg", "kex_alg", "host_key_alg", "hassh", "hasshServer"),),
)

SMTP = Stream(
    lead=None,
    present=some("smtp_helo", "smtp_from"),
    columns={
        "helo": pl.col("smtp_helo"),
        "mailfrom": pl.col("smtp_from"),
        "rcptto": pl.col("smtp_to"),
        "subject": pl.col("smtp_subjects"),
        "tls": pl.col("smtp_starttls") > 0,
    },
    derived={},
    views=(zeek("smtp", "helo", "mailfrom", "rcptto", "subject", "tls"),),
)

FTP = Stream(
    lead="ftp_commands",
    present=some("ftp_commands"),
    columns={
        "user": pl.col("ftp_user"),
        "line": each("ftp_commands"),
        "reply_code": pl.col("ftp_replies"),
    },
    derived={
        "command": first("line").str.extract(r"^(\S+)"),
        "arg": first("line").str.extract(r"^\S+\s+(.+)$"),
    },
    views=(zeek("ftp", "user", "command", "arg", "reply_code"),),
)

RDP = Stream(
    lead=None,
    present=pl.col("app_protocol") == "rdp",
    columns={"cookie": pl.col("rdp_cookie"), "security_protocol": pl.col("rdp_security")},
    derived={},
    views=(zeek("rdp", "cookie", "security_protocol"),),
)

TICKET_CIPHERS = {1: "des-cbc-crc", 3: "des-cbc-md5", 17: "aes128-cts-hmac-sha1-96", 18: "aes256-cts-hmac-sha1-96",
                  19: "aes128-cts-hmac-sha256-128", 20: "aes256-cts-hmac-sha384-192", 23: "rc4-hmac",
                  24: "rc4-hmac-exp"}  # fmt: skip
"""Names of encryption types (RFC 3961, RFC 3962, RFC 4757, RFC 8009)."""

KERBEROS = Stream(
    lead=None,
    present=some("kerberos_messages"),
    columns={
        "request_type": pl.col("kerberos_messages").list.eval(pl.element().str.extract("^(AS|TGS)-REQ$")),
        "client": pl.col("kerberos_clients"),
        "service": pl.col("kerberos_services"),
        "cipher": pl.col("kerberos_ticket_cipher").replace_strict(TICKET_CIPHERS, default=None),
    },
    derived={},
    views=(zeek("kerberos", "request_type", "client", "service", "cipher"),),
)

SMB_FILES = Stream(
    lead="smb_files",
    present=some("smb_files"),
    columns={"name": each("smb_files"), "path": pl.col("smb_trees")},
    derived={},
    views=(zeek("smb_files", "name", "path"),),
)

SMB_MAPPING = Stream(
    lead="smb_trees",
    present=some("smb_trees"),
    columns={"path": each("smb_trees")},
    derived={},
    views=(zeek("smb_mapping", "path"),),
)

STREAMS = (CONNECTION, DNS, HTTP, TLS, CERTIFICATE, SSH, SMTP, FTP, RDP, KERBEROS, SMB_FILES, SMB_MAPPING)
"""Every kind of event that flows hold."""
