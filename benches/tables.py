"""Pages of millions of flows: what they take of processors, against plain DuckDB over the same Parquet files.

`python -m benches.tables FOLDER [FLOWS]` fills a folder that stays, and asks it; a folder that is filled is only asked.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, TypeVar

import duckdb
import numpy as np
import polars as pl

from benches.report import Figure, Report
from infraspectre.adapters.column_store import ParquetTables
from infraspectre.errors import OverloadError
from infraspectre.records.queries import Filter, Order, Query
from infraspectre.records.times import UNITS

FLOWS = 2_000_000
DAYS = 20
BATCH = 65_536
ROUNDS = 20
BEGIN = 20_000 * UNITS["d"]
SHOWN = (
    "flow_id", "started_at", "ended_at", "duration_ms", "orig_ip", "orig_port", "resp_ip", "resp_port", "protocol",
    "app_protocol", "orig_bytes", "resp_bytes", "tls_server_name",
)  # fmt: skip
PROTOCOLS = ("tls", "dns", "http", "quic", "ssh", "smb", None, "ntp")
SHARES = (0.4, 0.25, 0.1, 0.1, 0.02, 0.03, 0.08, 0.02)
PORTS = (443, 53, 80, 443, 22, 445, 8080, 123)
NEWEST, LARGEST = Order("started_at", True), Order("orig_bytes", True)
FLOOR_MS = 250
Asked = Callable[[np.random.Generator], Query]
Result = TypeVar("Result")


class Taken(NamedTuple):
    """Holds the seconds that something took: of processors, which other work disturbs less, and by the clock."""

    cpu: float
    wall: float


class SystemClock:
    """Tells the time of the system."""

    def now(self) -> int:
        return time.time_ns()


def measure() -> Report:
    """Fill a store in a temporary folder, and ask it."""
    with TemporaryDirectory(prefix="tables-") as folder:
        fill(Path(folder), FLOWS)
        return asked(Path(folder))


def fill(folder: Path, flows: int) -> None:
    """Append flows in batches, as they would come over some days, compacting now and then."""
    chance = np.random.default_rng(1)
    step = DAYS * UNITS["d"] / flows
    with ParquetTables(folder, SystemClock()) as store:
        for number, first in enumerate(range(0, flows, BATCH), start=1):
            start = BEGIN + int(first * step)
            store.append("default", "flows", batch(chance, start, int(BATCH * step)), f"batch {number}")
            if number % 8 == 0:
                store.compact("default", "flows")
        store.compact("default", "flows")


def batch(chance: np.random.Generator, start: int, span: int) -> pl.DataFrame:
    """Return flows with the columns of lists: few hosts and sites have most of them, amounts have heavy tails."""
    times = np.sort(chance.integers(start, start + span, BATCH))
    kinds = chance.choice(len(PROTOCOLS), BATCH, p=SHARES)
    durations = chance.exponential(2_000, BATCH)
    host, far, site = (
        np.minimum(chance.zipf(a, BATCH), most) for a, most in ((1.3, 60_000), (1.15, 3_000_000), (1.2, 5_000))
    )
    numbers = pl.DataFrame({"host": host, "far": far, "site": site, "kind": kinds})
    texts = numbers.select(
        orig_ip=pl.format("10.0.{}.{}", pl.col("host") // 250, pl.col("host") % 250),
        resp_ip=pl.format("{}.{}.{}.{}", *(pl.col("far") // part % most + 1 for part, most in FAR)),
        app_protocol=pl.col("kind").replace_strict(dict(enumerate(PROTOCOLS)), return_dtype=pl.String),
        tls_server_name=pl.when(pl.col("kind").is_in([0, 3])).then(pl.format("site{}.example", "site")),
        dns_queries=pl.when(pl.col("kind") == 1).then(pl.concat_list(pl.format("site{}.example", "site"))),
        protocol=pl.when(pl.col("kind").is_in([1, 3, 7])).then(pl.lit("udp")).otherwise(pl.lit("tcp")),
    )
    return texts.with_columns(
        flow_id=pl.Series(chance.integers(0, 1 << 53, BATCH, dtype=np.uint64)),
        started_at=pl.Series(times),
        ended_at=pl.Series(times + (durations * 1e6).astype(np.int64)),
        duration_ms=pl.Series(durations),
        orig_port=pl.Series(chance.integers(1_024, 65_535, BATCH).astype(np.uint16)),
        resp_port=pl.Series(np.array(PORTS, np.uint16)[kinds]),
        orig_bytes=pl.Series((chance.pareto(1.2, BATCH) * 300).astype(np.uint64)),
        resp_bytes=pl.Series((chance.pareto(1.1, BATCH) * 900).astype(np.uint64)),
    )


FAR = ((1, 190), (190, 250), (47_500, 250), (7, 250))


def questions(folder: Path) -> dict[str, Asked]:
    """Return what is asked; the hosts that are looked for occur."""
    with ParquetTables(folder, SystemClock()) as store:
        page, _ = store.page("default", "flows", Query((), Order("duration_ms", True), 200), ("flow_id", "resp_ip"))
    identities = [row["flow_id"] for row in page]
    rare = sorted({row["resp_ip"] for row in page})

    def host(chance: np.random.Generator) -> Filter:
        return Filter("address", "=", (str(chance.choice(rare)),))

    def day(chance: np.random.Generator) -> tuple[Filter, Filter]:
        start = BEGIN + int(chance.integers(DAYS - 1)) * UNITS["d"]
        return Filter("started_at", ">=", (start,)), Filter("started_at", "<", (start + UNITS["d"],))

    dns, sent = Filter("app_protocol", "=", ("dns",)), Filter("orig_bytes", ">", (100_000,))
    busy, shell = Filter("address", "=", ("10.0.0.1",)), Filter("resp_port", "=", (22,))
    return {
        "the newest": lambda chance: Query((), NEWEST),
        "the oldest": lambda chance: Query((), Order("started_at")),
        "of a day": lambda chance: Query(day(chance), NEWEST),
        "of a protocol": lambda chance: Query((dns,), NEWEST),
        "of a port, large": lambda chance: Query((Filter("resp_port", "=", (443,)), sent), NEWEST),
        "one by its identity": lambda chance: Query(
            (Filter("flow_id", "=", (int(chance.choice(identities)),)),), limit=1
        ),
        "of a host": lambda chance: Query((host(chance),), NEWEST),
        "of a host that is not there": lambda chance: Query((Filter("address", "=", ("203.0.113.9",)),), NEWEST),
        "of a host in a day, by bytes": lambda chance: Query((host(chance), *day(chance)), LARGEST),
        "of a host and a protocol": lambda chance: Query((host(chance), dns), NEWEST),
        "of a busy host": lambda _: Query((busy,), NEWEST),
        "of a busy host and a port": lambda _: Query((busy, shell), NEWEST),
        "of a busy host, by bytes": lambda _: Query((busy,), LARGEST),
        "of a busy host and a port, by bytes": lambda _: Query((busy, shell), LARGEST),
        "of a day, by bytes": lambda chance: Query(day(chance), LARGEST),
        "of a host, by bytes": lambda chance: Query((host(chance),), LARGEST),
        "all, by bytes": lambda chance: Query((), LARGEST),
        "all, by duration": lambda chance: Query((), Order("duration_ms", True)),
        "of a protocol, by bytes": lambda chance: Query((dns,), LARGEST),
        "with part of a name": lambda chance: Query((Filter("tls_server_name", "~", ("site43",)),), NEWEST),
        "with part of a rare name": lambda chance: Query((Filter("tls_server_name", "~", ("site4321",)),), NEWEST),
    }


def asked(folder: Path) -> Report:
    """Return the 95th percentiles of kinds of questions, and of plain DuckDB for two of them."""
    figures, slow = [], []
    with ParquetTables(folder, SystemClock()) as store:
        rows = sum(frame.height for frame in store.scan("default", "flows", 0, 2**62, ("started_at",)))
        for name, question in questions(folder).items():
            cpu, wall = percentiles(pages(store, question))
            print(f"{name}: {cpu:.0f} ms of processors, {wall:.0f} ms", file=sys.stderr, flush=True)
            figures.append(
                Figure(f"flows {name}, first page and next", cpu, "ms of processors, p95", "250 ms", "100 ms")
            )
            figures.append(Figure(f"flows {name}, by the clock", wall, "ms, p95"))
            slow += [name] * (cpu > FLOOR_MS)
    for name, taken in plain(folder).items():
        figures.append(Figure(f"plain DuckDB: {name}", percentiles(taken)[0], "ms of processors, p95"))
    load = f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
    notes = [f"{rows:,} flows; {ROUNDS} pages of each kind; {load}.", f"Above 250 ms: {', '.join(slow) or 'none'}."]
    return Report(figures, notes=notes)


def pages(store: ParquetTables, question: Asked) -> Iterator[Taken]:
    """Yield what pages take."""
    chance = np.random.default_rng(2)
    for _ in range(ROUNDS // 2):
        query = question(chance)
        taken, after = timed(partial(page, store, query))
        yield taken
        if after is not None:
            yield timed(partial(page, store, query, after))[0]


def page(store: ParquetTables, query: Query, after: str | None = None) -> str | None:
    """Ask for a page, and return where the next begins; none where it was given up, which is as slow as it gets."""
    with suppress(OverloadError):
        return store.page("default", "flows", Query(query.filters, query.order, query.limit, after), SHOWN)[1]
    return None


def plain(folder: Path) -> dict[str, list[Taken]]:
    """Return what DuckDB takes for the same rows without a store around it."""
    files = [str(path) for path in folder.rglob("*.listed.parquet")]
    order = {"the newest": "started_at", "all, by bytes": "orig_bytes"}
    with duckdb.connect(config={"threads": 2}) as connection:
        connection.execute("SET parquet_metadata_cache = true")
        return {name: [first_rows(connection, files, column) for _ in range(5)] for name, column in order.items()}


def first_rows(connection: duckdb.DuckDBPyConnection, files: list[str], column: str) -> Taken:
    """Return what DuckDB takes for the rows with the highest values of a column."""
    statement = f"SELECT {', '.join(SHOWN)} FROM read_parquet(?) ORDER BY {column} DESC, flow_id DESC LIMIT 100"
    return timed(lambda: connection.execute(statement, [files]).fetchall())[0]


def timed(work: Callable[[], Result]) -> tuple[Taken, Result]:
    """Return what something takes, and what it gave."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return Taken(time.process_time() - cpu, time.perf_counter() - wall), result


def percentiles(taken: Iterable[Taken]) -> tuple[float, float]:
    """Return the 95th percentiles of seconds of processors and of the clock, in milliseconds."""
    cpu, wall = np.percentile(np.array(list(taken)), 95, axis=0) * 1e3
    return float(cpu), float(wall)


if __name__ == "__main__":
    where = Path(sys.argv[1])
    if not (where / "default").exists():
        fill(where, int(sys.argv[2]) if len(sys.argv) > 2 else FLOWS)
    from benches.report import markdown

    print(markdown("tables", str(__doc__).splitlines()[0], asked(where)))
