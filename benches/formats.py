"""How many events a second each format of other systems takes on one core, beside what JSON alone takes.

`python -m benches.formats --hostile N` has as many hostile events read back by the quick readers that others wrote.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator
from typing import get_args

import msgspec

from benches.report import Cell, Figure, Report, Table, UnavailableError
from infraspectre.adapters.siem.facts import MOST_NAME, Facts, facts_of
from infraspectre.adapters.siem.formats import as_line, line_of
from infraspectre.adapters.siem.lines import MOST_MESSAGE, cef, framed, leef, syslog
from infraspectre.records.delivery import Format, Outgoing
from infraspectre.records.feed import FeedEvent

EVENTS, ROUNDS = 10_000, 3
FLOOR, AIM = 50_000, 200_000
"""Events a second on one core; objects of STIX are counted one by one."""
SLICE = 20_000
"""Hostile events that are read back at once."""


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


def read_back(count: int) -> Report:
    """Have hostile events read back by others, and count fields that are not as they were."""
    from benches.hostile import Hostile

    rows: list[tuple[Cell, ...]] = []
    for name, check in CHECKS.items():
        events, left, wrong, begin = Hostile(len(name)), count, 0, time.monotonic()
        try:
            while left > 0:
                wrong += check([*events.events(min(left, SLICE))])
                left -= SLICE
        except UnavailableError as reason:
            rows.append((name, str(reason), "", ""))
            continue
        rows.append((name, count, wrong, round(time.monotonic() - begin)))
        print(rows[-1], flush=True)
    return Report(tables=[Table("Hostile events", ("read back by", "events", "wrong fields", "seconds"), rows)])


def wrong_in_cef(facts: list[Facts]) -> int:
    """Return how many fields liblognorm reads otherwise in CEF."""
    from benches.strangers import cef_by_liblognorm, read_shown

    found = cef_by_liblognorm([cef(each) for each in facts])
    wanted = [{"msg": each.message, "cs2": each.event.subject, "cs4": each.rule} for each in facts]
    return wrong(found, wanted, read_shown)


def wrong_in_leef(facts: list[Facts]) -> int:
    """Return how many fields liblognorm reads otherwise in LEEF."""
    from benches.strangers import leef_by_liblognorm, read_shown

    found = leef_by_liblognorm([leef(each) for each in facts])
    wanted = [{"msg": each.message, "subject": each.event.subject, "rule": each.rule} for each in facts]
    return wrong(found, wanted, read_shown)


def wrong(found: list[dict[str, str]], wanted: list[dict[str, str]], read: Callable[[str], str]) -> int:
    """Return how many fields are not as they were."""
    both = zip(found, wanted, strict=True)
    return sum(read(told[key]) != value[:MOST_MESSAGE] for told, asked in both for key, value in asked.items())


def wrong_in(chosen: Format) -> Callable[[list[Facts]], int]:
    """Return what counts texts that JavaScript does not find in a format of JSON."""

    def check(facts: list[Facts]) -> int:
        from benches.strangers import texts_by_node

        found = texts_by_node([as_line(each, chosen).encode() for each in facts])
        wanted = (
            {each.key, each.event.tenant} if chosen == "json" else {each.message, each.resp[0][:MOST_NAME]}
            for each in facts
        )
        return sum(len(asked - set(told)) for asked, told in zip(wanted, found, strict=True))

    return check


CHECKS: dict[str, Callable[[list[Facts]], int]] = {
    "cef: liblognorm": wrong_in_cef,
    "leef: liblognorm": wrong_in_leef,
    **{f"{chosen}: JavaScript": wrong_in(chosen) for chosen in ("json", "ecs", "ocsf", "eve", "stix")},
}


def main() -> int:
    """Measure, print tables, and fail where a field was read otherwise."""
    from benches.report import markdown

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hostile", type=int, default=0, metavar="N", help="have N hostile events read back")
    arguments = parser.parse_args()
    report = read_back(arguments.hostile) if arguments.hostile else measure()
    print(markdown("formats", "Events a second on one core, each format.", report))
    return 1 if any(row[2] for table in report.tables for row in table.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
