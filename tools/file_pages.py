"""The files that `analyze` writes, as a reference page: each field of each line with its type and meaning."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from api_pages import SCHEMA_LINK, schema_text, table_of_fields

from infraspectre.adapters.results import DETECTION_TIMES, INCIDENT_TIMES, JUDGED, REFERENCE
from infraspectre.config import attribute_texts
from infraspectre.records import Decision, Detection, Incident, Summary

HEAD = (
    "# Files of an analysis\n\n`infraspectre analyze --out FOLDER` writes these, and each appears whole or not at "
    "all. Times are UTC. The same input gives the same bytes; `elapsed_s`, `cpu_s` and `peak_rss_bytes` in the "
    "summary are the exceptions.\n"
)
STEPS = ("Join", "Progress")
"""What in incidents says when."""
EPOCH = re.compile(r",? (?:in )?nanoseconds since the epoch(?:, UTC)?")
"""How records say what files write as text."""
TIME = {"type": "string", "format": "RFC 3339"}
TEXT, INTEGER, OBJECT = {"type": "string"}, {"type": "integer"}, {"type": "object"}
ALERT: Mapping[str, tuple[dict[str, str], str]] = {
    "timestamp": (TEXT, "Time of the packet at which the rule matched."),
    "flow_id": (INTEGER, "The flow, as in `flows.parquet`."),
    "pcap_cnt": (INTEGER, "Number of the packet in the capture, from 1."),
    "event_type": (TEXT, "Always `alert`."),
    "src_ip": (TEXT, "Address that sent the packet."),
    "src_port": (INTEGER, "Its port, where the protocol has ports."),
    "dest_ip": (TEXT, "Address to which it was sent."),
    "dest_port": (INTEGER, "Its port, where the protocol has ports."),
    "proto": (TEXT, "Transport protocol, such as `TCP`."),
    "icmp_type": (INTEGER, "Type of the message, for ICMP."),
    "icmp_code": (INTEGER, "Code of the message, for ICMP."),
    "ip_v": (INTEGER, "Version of IP, 4 or 6."),
    "pkt_src": (TEXT, "Where the packet came from, such as `wire/pcap`."),
    "direction": (TEXT, "`to_server` or `to_client`."),
    "tx_id": (INTEGER, "Number of the transaction in the flow, where the rule looks at one."),
    "app_proto": (
        TEXT,
        "Application protocol, where it is known; `app_proto_tc` and `app_proto_ts` where sides differ.",
    ),
    "flow": (OBJECT, "Packets and bytes of the flow until then, and when it began."),
    "alert": (OBJECT, "`action`, `gid`, `signature_id`, `rev`, `signature`, `category`, `severity`, `metadata`."),
}
"""What all alerts have, which the core writes as Suricata does; an object named after its protocol tells more."""


def files_page() -> str:
    """Return the page of the files in the folder of an analysis."""
    _, known = msgspec.json.schema_components([Summary, Decision, Detection], ref_template="#/{name}")
    known |= {name: with_times(known[name], ("at",)) for name in STEPS}
    incident, detection = line_of_incidents(known), with_times(known["Detection"], DETECTION_TIMES)
    texts = attribute_texts(Incident) | {"detections": f"Of each: {', '.join(REFERENCE)}."}
    parts = [
        HEAD,
        heading("flows.parquet", "One row for each flow; [its columns](features.md)."),
        heading("summary.json", Summary.__doc__) + table_of_fields(known["Summary"], attribute_texts(Summary)),
        heading("detections.jsonl", "Holds one suspicious behaviour on each line.")
        + table_of_fields(detection, attribute_texts(Detection)),
        heading("incidents.jsonl", "Holds one incident on each line, with what was decided about it, in order of time.")
        + table_of_fields(incident, texts),
        heading("alerts.jsonl", "Holds one alert of a rule on each line, as Suricata's EVE format has it.") + alerts(),
        heading("report.html", "Shows all of it to people, in one file that needs no network."),
        "\n## What stands in them\n",
        *(schema_text(name, known[name]) for name in sorted(within((incident, detection), known))),
    ]
    return EPOCH.sub("", "".join(parts).replace(SCHEMA_LINK, "(#"))


def heading(name: str, text: str | None) -> str:
    """Return the head of a file's part."""
    return f"\n## {name}\n\n{text}\n"


def alerts() -> str:
    """Return the fields of alerts as a table."""
    kinds = {name: kind for name, (kind, _) in ALERT.items()}
    return table_of_fields(
        {"properties": kinds, "required": [*kinds]}, {name: text for name, (_, text) in ALERT.items()}
    )


def line_of_incidents(known: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a line of `incidents.jsonl`: an incident and what was decided about it."""
    incident = with_times(known["Incident"], INCIDENT_TIMES)
    judged = {name: known["Decision"]["properties"][name] for name in JUDGED}
    references = {"type": "array", "items": OBJECT}
    properties = incident["properties"] | {"detections": references} | judged
    return incident | {"properties": properties, "required": [*incident["required"], *JUDGED]}


def with_times(schema: Mapping[str, Any], times: Iterable[str]) -> dict[str, Any]:
    """Return a schema in which times are texts, as files have them."""
    return {**schema, "properties": schema["properties"] | dict.fromkeys(times, TIME)}


def within(schemas: Iterable[Mapping[str, Any]], known: Mapping[str, Any]) -> set[str]:
    """Return the names of all that schemas refer to, by way of others, too."""
    found: set[str] = set()
    text = msgspec.json.encode(list(schemas)).decode()
    for name in known:
        if f'"#/{name}"' in text and name not in found:
            found |= {name} | within([known[name]], known)
    return found
