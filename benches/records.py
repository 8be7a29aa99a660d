"""How fast a store of a million incidents is written and asked, also against reading one record by its key."""

from __future__ import annotations

import json
import os
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benches.report import Figure, Report, Table
from infraspectre.adapters.record_store import SqlRecordStore, open_sqlite
from infraspectre.records.collections import INCIDENTS
from infraspectre.records.queries import Filter, Order, Query

COUNT = int(os.environ.get("INFRASPECTRE_BENCH_RECORDS", "1_000_000"))
"""Incidents of the store."""
BATCH = 10_000
ROUNDS = 20
"""Each question is asked so often, with other values each time."""
SEED = 7
TENANT = "default"
START, YEAR = 1_763_640_000_000_000_000, 365 * 86_400 * 10**9
LEVELS, LEVEL_SHARES = ("informational", "low", "medium", "high", "critical"), (40, 30, 20, 8, 2)
CATEGORIES = (
    "beacon", "dns_tunnel", "port_scan", "brute_force", "exfiltration", "lateral_movement", "web_attack", "mining",
    "malware_download", "syn_flood", "weak_cipher", "new_service", "unusual_port", "ticket_theft", "reverse_shell",
)  # fmt: skip
TECHNIQUES = tuple(f"T{1001 + 9 * n}" for n in range(60))
PEOPLE = tuple(f"analyst{n:02}" for n in range(20))
HOSTS, DOMAINS = 20_000, 50_000
METHOD = (
    "Each question is asked several times with other values, every fourth time for two pages. Times are those of the "
    "processor, so that other work counts little; a durable write also waits for the disk, once for each batch."
)
FILLER = "What was seen, when, between whom and how often, with what proves it. "


class Clock:
    """Tells the time of the system."""

    def now(self) -> int:
        return time.time_ns()


def incidents(count: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield records as a year brings them: old ones closed, new ones open, few hosts in many."""
    draw = random.Random(SEED)
    for number in range(count):
        age = number / count
        status = "new" if age > 0.97 else draw.choices(("closed", "open"), (97, 3) if age < 0.9 else (60, 40))[0]
        at = START + int(age * YEAR) + draw.randrange(10**12)
        level = draw.choices(LEVELS, LEVEL_SHARES)[0]
        value = min(100.0, max(0.0, 20.0 * LEVELS.index(level) + draw.uniform(0, 20)))
        category, host, domain = draw.choice(CATEGORIES), address(draw), f"c{draw.randrange(DOMAINS)}.example"
        yield f"{draw.getrandbits(64):016x}", {
            "first_seen": at - draw.randrange(10**13), "last_seen": at, "raised_at": at - draw.randrange(10**12),
            "level": level, "value": value, "low": value * 0.8, "high": min(100.0, value * 1.2),
            "probability": draw.random(), "status": status,
            "verdict": draw.choice(("true_positive", "false_positive", "benign")) if status == "closed" else "",
            "assignee": "" if status == "new" else draw.choice(PEOPLE), "title": f"{category} from {host} to {domain}",
            "entities": [host, domain, *(address(draw) for _ in range(draw.randrange(4)))],
            "techniques": draw.sample(TECHNIQUES, k=draw.randrange(1, 4)), "categories": [category],
            "campaign_id": f"{draw.randrange(count // 10):016x}" if draw.random() < 0.2 else "",
            "sensor": f"sensor{draw.randrange(8)}", "incident": {"summary": FILLER * draw.randrange(10, 30)},
        }  # fmt: skip


def address(draw: random.Random) -> str:
    """Return an address; some are in many incidents, most in few."""
    number = int(HOSTS * draw.random() ** 4)
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


class Question(NamedTuple):
    """Is a kind of question: its filters, some of whose values are drawn, and its order."""

    name: str
    filters: Callable[[random.Random], list[str]]
    order: str


def since(draw: random.Random, share: float = 0.05) -> list[str]:
    begin = START + int(draw.random() * (1 - share) * YEAR)
    return [f"last_seen>={begin}", f"last_seen<{begin + int(share * YEAR)}"]


QUESTIONS = (
    Question("all, newest first", lambda _: [], "-last_seen"),
    Question("all, by value", lambda _: [], "-value"),
    Question("all, by title", lambda _: [], "title"),
    Question("a level, newest first", lambda d: [f"level={d.choice(LEVELS)}"], "-last_seen"),
    Question("two levels, by value", lambda _: ["level=high|critical"], "value"),
    Question("a status, newest first", lambda d: [f"status={d.choice(('new', 'open', 'closed'))}"], "-last_seen"),
    Question("new ones, oldest first", lambda _: ["status=new"], "last_seen"),
    Question("new ones, by value", lambda _: ["status=new"], "-value"),
    Question("new and high, by time raised", lambda _: ["status=new", "level=high|critical"], "-raised_at"),
    Question("closed and critical, by value", lambda _: ["status=closed", "level=critical"], "value"),
    Question("a span of time, newest first", since, "-last_seen"),
    Question("a span of time, by value", since, "-value"),
    Question("a span of time and a level", lambda d: [*since(d, 0.3), f"level={d.choice(LEVELS)}"], "-value"),
    Question("an entity, newest first", lambda d: [f"entities={address(d)}"], "-last_seen"),
    Question("the busiest entity, by value", lambda _: ["entities=10.0.0.0"], "-value"),
    Question("a domain", lambda d: [f"entities=c{d.randrange(DOMAINS)}.example"], "-last_seen"),
    Question("entities of a network", lambda d: [f"entities^10.0.{d.randrange(78)}."], "-last_seen"),
    Question("a technique, newest first", lambda d: [f"techniques={d.choice(TECHNIQUES)}"], "-last_seen"),
    Question("a technique and a level", lambda d: [f"techniques={d.choice(TECHNIQUES)}", "level=high"], "value"),
    Question("an assignee's open ones", lambda d: [f"assignee={d.choice(PEOPLE)}", "status=open"], "-value"),
    Question("nobody's open ones", lambda _: ["assignee=", "status!=closed"], "-value"),
    Question("not closed, by value", lambda _: ["status!=closed"], "-value"),
    Question("a word of the title", lambda d: [f"title~{d.choice(CATEGORIES)}"], "-last_seen"),
    Question("a rare part of the title", lambda d: [f"title~c{d.randrange(DOMAINS)}.ex"], "-last_seen"),
    Question("a part that no title has", lambda _: ["title~nowhere"], "-value"),
    Question("a campaign", lambda d: [f"campaign_id={d.randrange(COUNT // 10):016x}"], "first_seen"),
    Question("four broad filters", lambda d: [
        f"sensor=sensor{d.randrange(8)}", "level=high", "verdict=benign", f"assignee={d.choice(PEOPLE)}"
    ], "-probability"),
    Question("broad filters that nothing passes", lambda d: [
        "status=new", "verdict=benign|true_positive", f"sensor=sensor{d.randrange(8)}"
    ], "-last_seen"),
    Question("sure ones of low level", lambda _: ["probability>0.99", "level=low"], "-last_seen"),
    Question("a high value, oldest first", lambda _: ["value>=99.5"], "first_seen"),
)  # fmt: skip


def asked(question: Question, draw: random.Random, limit: int = 100, after: str | None = None) -> Query:
    """Return a question with values."""
    filters = tuple(Filter.of(each, INCIDENTS.fields) for each in question.filters(draw))
    return Query(filters, Order.of(question.order, INCIDENTS.fields), limit, after)


def filled(store: SqlRecordStore) -> float:
    """Write all incidents, and return how many a second."""
    stream, took = incidents(COUNT), 0.0
    while batch := dict(islice(stream, BATCH)):
        start = time.thread_time()
        store.put_many(TENANT, INCIDENTS, batch)
        took += time.thread_time() - start
    return COUNT / took


def measured(store: SqlRecordStore, question: Question) -> tuple[list[float], list[float]]:
    """Return what pages took, the second ones included, and what counts took, in ms."""
    draw, pages, counts = random.Random(SEED), [], []
    for number in range(ROUNDS):
        query = asked(question, draw)
        took, page = timed(lambda query=query: store.page(TENANT, INCIDENTS, query))
        pages.append(took)
        if page.next and number % 4 == 0:
            further = Query(query.filters, query.order, query.limit, page.next)
            pages.append(timed(lambda further=further: store.page(TENANT, INCIDENTS, further))[0])
        counts.append(timed(lambda query=query: store.count(TENANT, INCIDENTS, query))[0])
    return pages, counts


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Return what a call took, in ms, and what it gave."""
    start = time.thread_time()
    result = call()
    return (time.thread_time() - start) * 1e3, result


def measure() -> Report:
    """Fill a store in a temporary folder and ask it all questions."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_sqlite(Path(folder) / "records.db", Clock())
        rate = filled(store)
        size = sum(each.stat().st_size for each in Path(folder).iterdir())
        report = answered(store, rate, size)
        store.close()
    return report


def plainly(store: SqlRecordStore) -> float:
    """Return what it takes to read one record by its key, in ms: the reference of all questions."""
    page = store.page(TENANT, INCIDENTS, Query(limit=200))
    return float(np.median([timed(lambda key=row.key: store.get(TENANT, INCIDENTS, key))[0] for row in page.rows]))


def answered(store: SqlRecordStore, rate: float, size: int) -> Report:
    """Ask all questions."""
    plain = plainly(store)
    results = [(each.name, *measured(store, each)) for each in QUESTIONS]
    pages = [took for _, found, _ in results for took in found]
    counts = [took for *_, found in results for took in found]
    rows = [(name, f"{np.median(p):.1f}", f"{max(p):.1f}", f"{max(c):.1f}") for name, p, c in results]
    return Report(
        [
            Figure("incidents", COUNT),
            Figure("written a second", rate, "", "", "10,000"),
            Figure("bytes of the file for each", size / COUNT),
            Figure("page of 100, p50", float(np.median(pages)), "ms"),
            Figure("page of 100, p95", float(np.quantile(pages, 0.95)), "ms", "250", "100"),
            Figure("page of 100, slowest", max(pages), "ms"),
            Figure("page of 100, p95, against one record by its key", float(np.quantile(pages, 0.95)) / plain, "times"),
            Figure("count up to 10,000, p95", float(np.quantile(counts, 0.95)), "ms", "250", "100"),
        ],
        [Table("By question", ("question", "p50 ms", "slowest ms", "slowest count ms"), rows)],
        [METHOD],
    )


if __name__ == "__main__":
    import sys

    from benches.report import markdown

    path = Path(sys.argv[1])
    is_new = not path.exists()
    opened = open_sqlite(path, Clock())
    print(json.dumps({"written": filled(opened) if is_new else None}), flush=True)
    print(markdown("records", "", answered(opened, 0.0, path.stat().st_size)))
