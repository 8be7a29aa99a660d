"""How many events a second each format of other systems takes on one core, beside what JSON alone takes.

`python -m benches.formats --hostile N` has as many hostile events read back by the quick readers that others wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, get_args

import msgspec

from benches import strangers
from benches.envelopes import elastic_bodies, elastic_wanted, splunk_bodies, splunk_wanted
from benches.hostile import Hostile
from benches.report import Cell, Figure, Report, Table, UnavailableError
from benches.strangers import read_shown
from infraspectre.adapters.siem.facts import Facts, facts_of
from infraspectre.adapters.siem.formats import as_value, line_of
from infraspectre.adapters.siem.lines import MOST_MESSAGE, cef, framed, leef, syslog
from infraspectre.adapters.siem.objects import encoded
from infraspectre.records.delivery import Format, Outgoing
from infraspectre.records.feed import FeedEvent

EVENTS, ROUNDS = 10_000, 3
FLOOR, AIM = 50_000, 200_000
"""Events a second on one core; objects of STIX are counted one by one."""
SLICE = 5_000
"""Hostile events that are read back at once."""
Check = Callable[[Hostile, int], int]
"""Has some of the hostile events read back, and returns how much was read otherwise."""


def detections(count: int) -> list[Outgoing]:
    """Return events as the worker tells them of detections."""
    made = []
    for number in range(count):
        host, far = f"10.0.{number >> 8 & 255}.{number & 255}", f"198.51.100.{number % 254 + 1}"
        at = f"2026-01-01T{number // 3_600 % 24:02}:{number // 60 % 60:02}:{number % 60:02}.{number % 1_000:03}456789Z"
        data = {
            "detection_id": f"{number:020x}", "at": at, "detector": "beacon",
            "category": "command-and-control", "severity": "high", "score": 0.93, "probability": 0.81,
            "flow_ids": list(range(number, number + 20)), "orig": host, "resp": far,
            "techniques": [{"id": "T1071.001", "name": "Web Protocols"}],
            "evidence": {
                "summary": f"{host} called {far} every 60 s, 1% jitter, 60 times", "measures": {"flows": 60.0},
                "packets": [1, 2, 3],
            },
            "first_seen": "2026-01-01T00:00:00Z", "last_seen": at,
        }  # fmt: skip
        event = FeedEvent(
            "default", "behaviour", "detection.found", at, f"{number:020x}", "high",
            [host, far], relevance=0.75, data=msgspec.Raw(msgspec.json.encode(data)),
        )  # fmt: skip
        made.append(Outgoing(f"evt_00000000_{number}", event, ""))
    return made


def incidents(count: int) -> list[Outgoing]:
    """Return events as the worker tells them of incidents: of seven detections each, some 8 KB."""
    made = []
    for number, each in enumerate(detections(count)):
        found = msgspec.json.decode(each.event.data)
        kept = {"detection_id": found["detection_id"], "detector": "beacon", "flow_ids": found["flow_ids"] * 4}
        data = {
            "incident_id": found["detection_id"], "title": f"Beacon of {found['orig']} to {found['resp']}",
            "orig": [found["orig"]], "resp": [found["resp"]], "techniques": found["techniques"] * 2,
            "detections": [kept] * 7, "detection_count": 7, "campaign_id": "c-1",
            "explanation": {"summary": found["evidence"]["summary"]}, "threat_score": {"value": 81.5, "level": "high"},
            "first_seen": found["first_seen"], "last_seen": found["last_seen"], "probability": 0.9,
        }  # fmt: skip
        event = msgspec.structs.replace(
            each.event, channel="threat", kind="incident.raised", data=msgspec.Raw(msgspec.json.encode(data))
        )
        made.append(Outgoing(f"evt_00000000_{number}", event, ""))
    return made


def rate(events: list[Outgoing], write: Callable[[Outgoing], object]) -> float:
    """Return events a second, the best of a few rounds."""
    best = 0.0
    for _ in range(ROUNDS):
        begin = time.process_time()
        for each in events:
            write(each)
        best = max(best, len(events) / (time.process_time() - begin))
    return best


def peer(outgoing: Outgoing) -> str:
    """Read and write the record as JSON, with the standard library."""
    return json.dumps(json.loads(bytes(outgoing.event.data)))


def entry(outgoing: Outgoing) -> bytes:
    """Return an entry of syslog with CEF within, as a receiver is sent it."""
    facts = facts_of(outgoing)
    return framed(syslog(facts, cef(facts), "here"))


def writers() -> Iterator[tuple[str, Callable[[Outgoing], object]]]:
    """Yield what writes each format."""
    for chosen in get_args(Format):
        yield chosen, lambda each, chosen=chosen: line_of(each, chosen)  # type: ignore[misc]
    yield "syslog with cef", entry


def objects_of(outgoing: Outgoing, chosen: str) -> int:
    """Return how many objects an event becomes."""
    return len(json.loads(line_of(outgoing, "stix"))["objects"]) if chosen == "stix" else 1


def measure() -> Report:
    """Measure how quickly events are written in each format."""
    figures = []
    for name, events in (("detections", detections(EVENTS)), ("incidents", incidents(EVENTS // 10))):
        reference = rate(events, peer)
        figures.append(Figure(f"{name}: json.loads and json.dumps", round(reference), "/s"))
        for chosen, write in writers():
            found = rate(events, write)
            many = objects_of(events[0], chosen)
            ratio = f"/s, {found / reference:.2f} of json"
            floor, aim = ("", "100,000") if chosen == "stix" else (f"{FLOOR:,}", f"{AIM:,}")
            figures.append(Figure(f"{name}: {chosen}", round(found * many), ratio, floor, aim))
    return Report(figures, notes=["Seconds are those of the processor; STIX is counted in objects."])


def read_back(count: int, seconds: float) -> Report:
    """Have hostile events read back by others by turns, and count fields that are not as they were."""
    end = time.monotonic() + seconds
    left = {name: Hostile(seed) for seed, name in enumerate(CHECKS, 100)}
    found = {name: [0, 0] for name in CHECKS}
    missing: dict[str, str] = {}
    for _ in range(-(-count // SLICE)):
        for name in [*left]:
            if time.monotonic() > end:
                break
            try:
                found[name][1] += CHECKS[name](left[name], min(SLICE, count))
                found[name][0] += min(SLICE, count)
            except UnavailableError as reason:
                missing[name] = str(reason)
                del left[name]
        print(*(f"{name} {events:,} ({wrong} wrong)" for name, (events, wrong) in found.items()), sep="; ", flush=True)
    rows: list[tuple[Cell, ...]] = [(name, *told, missing.get(name, "")) for name, told in found.items()]
    return Report(tables=[Table("Hostile events", ("read back by", "events", "wrong fields", "missing"), rows)])


def wrong_in_cef(read: str) -> Check:
    """Return what counts fields that a reader finds otherwise in CEF, and those that it finds beyond them."""
    return wrong_in_line(read, cef, lambda each: {"msg": each.message, "cs2": each.event.subject, "cs4": each.rule})


def wrong_in_leef(read: str) -> Check:
    """Return what counts fields that a reader finds otherwise in LEEF."""
    return wrong_in_line(
        read, leef, lambda each: {"msg": each.message, "subject": each.event.subject, "rule": each.rule}
    )


def wrong_in_syslog(read: str) -> Check:
    """Return what counts fields that a reader finds otherwise in an entry of syslog."""
    return wrong_in_line(
        read,
        lambda each: syslog(each, leef(each), "here"),
        lambda each: {"message": leef(each), "id": each.key, "tenant": each.event.tenant},
        lambda name, text: text if name == "message" else read_shown(text),
    )


def wrong_in_line(
    read: str,
    write: Callable[[Facts], Any],
    wanted: Callable[[Facts], dict[str, str]],
    shown: Callable[[str, str], str] = lambda _, text: read_shown(text),
) -> Check:
    """Return what counts fields that are not as they were, and sets of fields that no other line has."""

    def check(hostile: Hostile, count: int) -> int:
        facts = list(hostile.events(count))
        found = getattr(strangers, read)([write(each) for each in facts])
        shapes = {frozenset(each) - OPTIONAL for each in found}
        differ = sum(
            shown(name, told[name]) != (value if name == "message" else value[:MOST_MESSAGE])
            for told, each in zip(found, facts, strict=True)
            for name, value in wanted(each).items()
        )
        return differ + len(shapes) - 1

    return check


def wrong_in_object(read: str, chosen: Format) -> Check:
    """Return what counts objects that a reader finds otherwise."""

    def check(hostile: Hostile, count: int) -> int:
        values = [encoded(as_value(each, chosen)) for each in hostile.events(count)]
        found = getattr(strangers, read)(b"\n".join(values))
        return sum(told != json.loads(value) for told, value in zip(found, values, strict=True))

    return check


def wrong_in_envelope(
    read: str, bodies: Callable[..., list[bytes]], wanted: Callable[..., list[Any]], chosen: Any
) -> Check:
    """Return what counts objects that a reader finds otherwise in what a receiver is sent."""

    def check(hostile: Hostile, count: int) -> int:
        events = list(hostile.outgoing(count))
        found = getattr(strangers, read)(b"\n".join(bodies(events, chosen)))
        asked = [each for outgoing in events for each in wanted(outgoing, chosen)]
        return sum(told != each for told, each in zip(found, asked, strict=True))

    return check


def wrong_in_csv(read: str) -> Check:
    """Return what counts rows that a reader finds otherwise in CSV."""
    from infraspectre.api.routes.exports import line

    def check(hostile: Hostile, count: int) -> int:
        rows = [[hostile.text() for _ in range(strangers.CSV_COLUMNS)] for _ in range(count)]
        found = getattr(strangers, read)(b"".join(map(line, rows)))
        return sum(told != row for told, row in zip(found, rows, strict=True))

    return check


OPTIONAL = frozenset({"src", "dst", "shost", "dhost", "c6a2", "c6a2Label", "c6a3", "c6a3Label"} | {
    "Source IPv6 Address", "Destination IPv6 Address",
})  # fmt: skip
"""Fields of CEF that depend on what somebody is."""
OBJECT_READERS = {"jq": "objects_by_jq", "JavaScript": "objects_by_node"}
CHECKS: dict[str, Check] = {
    "cef: liblognorm": wrong_in_cef("cef_by_liblognorm"),
    "cef: pycef": wrong_in_cef("cef_by_pycef"),
    "leef: liblognorm": wrong_in_leef("leef_by_liblognorm"),
    "leef: syslog-ng": wrong_in_leef("leef_by_syslog_ng"),
    "syslog: syslog-ng": wrong_in_syslog("syslog_by_syslog_ng"),
    "syslog: syslog-rfc5424-parser": wrong_in_syslog("syslog_by_python"),
    "csv: Python": wrong_in_csv("rows_by_csv"),
    "csv: DuckDB": wrong_in_csv("rows_by_duckdb"),
    **{
        f"{chosen}: {name}": wrong_in_object(read, chosen)
        for chosen in ("json", "ecs", "ocsf", "eve", "stix")
        for name, read in OBJECT_READERS.items()
    },
    **{
        f"{name} of {chosen}: {reader}": wrong_in_envelope(read, bodies, wanted, chosen)
        for name, bodies, wanted, chosen in (
            ("Splunk HEC", splunk_bodies, splunk_wanted, "cef"),
            ("Elastic _bulk", elastic_bodies, elastic_wanted, "ecs"),
        )
        for reader, read in OBJECT_READERS.items()
    },
}


def main() -> int:
    """Measure, print tables, and fail where a field was read otherwise."""
    from benches.report import markdown

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hostile", type=int, default=0, metavar="N", help="have N hostile events read back by each")
    parser.add_argument("--seconds", type=float, default=3_600, help="begin with no more events after so many seconds")
    arguments = parser.parse_args()
    report = read_back(arguments.hostile, arguments.seconds) if arguments.hostile else measure()
    print(markdown("formats", "Events a second on one core, each format.", report))
    return 1 if any(row[2] for table in report.tables for row in table.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
