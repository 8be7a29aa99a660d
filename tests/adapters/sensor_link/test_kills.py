from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from itertools import groupby
from pathlib import Path

import link_processes
from infraspectre.adapters.log.local import LocalLog
from link_rooms import CLOCK, numbers

ROUNDS = int(os.environ.get("INFRASPECTRE_TEST_KILLS", "2"))
STEP = 100_000
"""Numbers of the batches of a round begin at a multiple of it."""


def process(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, link_processes.__file__, *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def first_line(started: subprocess.Popen[str]) -> str:
    assert started.stdout
    return started.stdout.readline().strip()


def killed(started: subprocess.Popen[str]) -> list[str]:
    """Kill a process without a warning; return what it said."""
    started.kill()
    said, _ = started.communicate()
    return said.split()


def test_kills_of_the_sensor_and_of_the_server_lose_and_double_nothing(tmp_path: Path) -> None:
    chance = random.Random(8)
    log, spool = tmp_path / "log", tmp_path / "spool"
    server = process("serve", log, 0)
    port = first_line(server)
    kept: dict[int, int] = {}
    for number in range(ROUNDS):
        sensor = process("send", spool, port, number * STEP)
        first = first_line(sensor)
        time.sleep(chance.uniform(0.05, 0.5))
        if number % 2:
            killed(server)
            time.sleep(chance.uniform(0.0, 0.2))
            server = process("serve", log, port)
        said = [first, *killed(sensor)]
        kept[number] = int(said[-1]) - number * STEP + 1
    last = process("drain", spool, port)
    assert first_line(last) == "True"
    killed(last)
    killed(server)
    found = numbers(LocalLog(log, CLOCK))
    assert found == sorted(set(found))
    for number, group in groupby(found, lambda each: each // STEP):
        batches = list(group)
        assert batches == list(range(number * STEP, number * STEP + len(batches)))
        assert kept[number] <= len(batches) <= kept[number] + 1  # the last was perhaps in the spool before it was said
