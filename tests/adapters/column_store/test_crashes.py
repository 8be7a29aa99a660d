"""A writer that is killed at any moment loses nothing that was acknowledged, and doubles nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from infraspectre.adapters.column_store import ParquetTables
from infraspectre.records.queries import Query
from table_rows import BEGIN, DAY, SetClock, flow_frame

ROUNDS = 4
WRITER = """
import sys
from pathlib import Path
from infraspectre.adapters.column_store import ParquetTables
from table_rows import BEGIN, DAY, SetClock, flow_frame
first = int(sys.argv[2])
clock = SetClock()
store = ParquetTables(Path(sys.argv[1]), clock)
print("ready", flush=True)
for number in range(first, first + 10_000):
    clock.at += DAY
    store.append("t", "flows", flow_frame(20, 20 * number, DAY // 2_000), f"batch {number}")
    print(number, flush=True)
    if number % 3 == 2:
        store.compact("t", "flows")
    if number % 17 == 16:
        store.verify("t", "flows")
"""


def acknowledged(folder: Path, first: int, seconds: float) -> int:
    """Let a writer write for so long, kill it, and return the number of the first batch that was not acknowledged."""
    command = [sys.executable, "-c", WRITER, str(folder), str(first)]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=paths) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(seconds)
        writer.send_signal(signal.SIGKILL)
        lines = writer.stdout.read().splitlines()
    return max([first, *(int(line) + 1 for line in lines if line.isdecimal())])


def test_killed_writer_loses_and_doubles_nothing(tmp_path: Path) -> None:
    chance = Random(11)
    following = 0
    for _ in range(ROUNDS):
        # The batch at which it was killed is given again, as a worker would that begins at its cursor.
        # One that is killed before it was told anything, as on a busy machine, takes nothing back.
        following = max(following, acknowledged(tmp_path, max(following - 2, 0), chance.uniform(0.05, 0.5)))
        with ParquetTables(tmp_path, SetClock()) as store:
            rows = [row for frame in store.scan("t", "flows", 0, 2**62) for row in frame["flow_id"].to_list()]
        expected = set(flow_frame(20 * following)["flow_id"])
        assert len(rows) == len(set(rows))
        assert expected <= set(rows)
        assert len(rows) <= len(expected) + 20
    with ParquetTables(tmp_path, SetClock(BEGIN + 10_000 * DAY)) as store:
        store.compact("t", "flows")
        store.compact("t", "flows")
        assert store.verify("t", "flows").damaged == ()
        files = {path.name.split(".", 1)[-1] for path in (tmp_path / "t" / "flows").glob("????-??-??/*")}
        assert files - {"tops.parquet"} == {
            "parquet",
            "listed.parquet",
            "names",
            "ranks",
            "keys",
            "blocks",
        }  # the rows decide whether a part has its highest numbers beside it
        assert len(store.page("t", "flows", Query(limit=1_000))[0]) == min(1_000, len(rows))


def test_reader_follows_a_writer(tmp_path: Path) -> None:
    with ParquetTables(tmp_path, SetClock()) as writer, ParquetTables(tmp_path, SetClock()) as reader:
        for number in range(12):
            writer.append("t", "flows", flow_frame(30, 30 * number), f"batch {number}")
            if number % 4 == 3:
                writer.compact("t", "flows")
            if number == 9:
                assert writer.erase("t", "10.0.0.1") > 0
            page, _ = reader.page("t", "flows", Query(limit=1_000), ("flow_id", "orig_ip"))
            frame = flow_frame(30 * (number + 1))
            if number >= 9:
                expected = set(frame.filter(frame["orig_ip"] != "10.0.0.1")["flow_id"])
                later = set(flow_frame(30 * max(number - 9, 0), 300)["flow_id"])
                assert expected <= {row["flow_id"] for row in page} <= expected | later
            else:
                assert {row["flow_id"] for row in page} == set(frame["flow_id"])


def test_threads_ask_while_rows_come(tmp_path: Path) -> None:
    with ParquetTables(tmp_path, SetClock()) as store, ThreadPoolExecutor(4) as pool:

        def counted() -> list[int]:
            return [len(store.page("t", "flows", Query(limit=1_000), ("flow_id",))[0]) for _ in range(8)]

        asked = [pool.submit(counted) for _ in range(4)]
        for number in range(10):
            store.append("t", "flows", flow_frame(30, 30 * number), f"batch {number}")
            if number % 3 == 2:
                store.compact("t", "flows")
        for each in asked:
            counts = each.result()
            assert counts == sorted(counts)
        assert counted()[-1] == 300
