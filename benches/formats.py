"""How many events a second each format of other systems takes on one core, beside what JSON alone takes."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import get_args

import msgspec

from infraspectre.adapters.siem.facts import facts_of
from infraspectre.adapters.siem.formats import BY_NAME, line_of
from infraspectre.records.delivery import Format, Outgoing
from infraspectre.records.feed import FeedEvent

EVENTS, ROUNDS = 20_000, 3
FLOOR = 50_000
"""Events a second of the formats of one line; objects of STIX are counted one by one."""
LINE_FORMATS: tuple[Format, ...] = ("cef", "leef")


def detections(count: int) -> list[Outgoing]:
    """Return events as the worker tells them of detections."""
    made = []
    for number in range(count):
        host, far = f"10.0.{number >> 8 & 255}.{number & 255}", f"198.51.100.{number % 254 + 1}"
        data = {
            "detection_id": f"{number:020x}", "at": "2026-01-01T01:00:00.123456789Z", "detector": "beacon",
            "category": "command-and-control", "severity": "high", "score": 0.93, "probability": 0.81,
            "flow_ids": list(range(number, number + 20)), "orig": host, "resp": far,
            "techniques": [{"id": "T1071.001", "name": "Web Protocols"}],
            "evidence": {
                "summary": f"{host} called {far} every 60 s, 1% jitter, 60 times", "measures": {"flows": 60.0},
                "packets": [1, 2, 3],
            },
            "first_seen": "2026-01-01T00:00:00Z", "last_seen": "2026-01-01T01:00:00Z",
        }  # fmt: skip
        event = FeedEvent(
            "default", "behaviour", "detection.found", "2026-01-01T01:00:00.123456789Z", f"{number:020x}", "high",
            [host, far], relevance=0.75, data=msgspec.Raw(msgspec.json.encode(data)),
        )  # fmt: skip
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


def main() -> int:
    """Measure, print a table, and fail where a format of one line is slower than the floor."""
    events = detections(EVENTS)
    peer = rate(events, lambda each: json.dumps(json.loads(bytes(each.event.data))))
    print(f"json.loads and json.dumps of the record: {peer:,.0f} events/s")
    slow = []
    for chosen in get_args(Format):
        found = rate(events, lambda each, chosen=chosen: line_of(each, chosen))  # type: ignore[misc]
        objects = len(BY_NAME["stix"](facts_of(events[0]))["objects"]) if chosen == "stix" else 1
        print(f"{chosen}: {found:,.0f} events/s, {found * objects:,.0f} objects/s, {found / peer:.2f} of the peer")
        if chosen in LINE_FORMATS and found < FLOOR:
            slow.append(chosen)
    return 1 if slow else 0


if __name__ == "__main__":
    sys.exit(main())
