"""Crashes of the event log in rounds: processes killed while they write, and power lost with all that was not synced.

`python -m benches.log_crashes --kills 1000 --losses 1000` counts acknowledged entries that were lost, and entries that
nobody had appended.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from infraspectre.adapters.log.disk import Disk
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.log.verifying import verify
from infraspectre.adapters.log.writing import Limits
from infraspectre.adapters.signing import make_key
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.errors import InfraSpectreError
from infraspectre.records.events import GapError

TOPIC = "events"
SECTOR_BYTES = 512
SMALL = Limits(segment_bytes=4_000)
WAIT_S = 60
LARGEST = 37
"""Entries of a group at the most."""


@dataclass
class Tally:
    """Counts what went wrong in rounds."""

    rounds: int = 0
    acknowledged: int = 0
    lost: int = 0
    invented: int = 0
    unsound: int = 0
    cursors_lost: int = 0

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing went wrong."""
        return not (self.lost or self.invented or self.unsound or self.cursors_lost)


def entry(number: int) -> bytes:
    """Return the one entry that may have a number: its length depends on it too."""
    return f"{number:012d}".encode() + bytes(number % 251)


# A process that is killed.


def kill_rounds(rounds: int, seed: int, folder: Path) -> Tally:
    """Kill a process that writes, again and again, and compare what it acknowledged with what is there."""
    generator, tally, checked = random.Random(seed), Tally(), 0
    for _ in range(rounds):
        acknowledged = killed(folder, generator.random() ** 2 * 0.2)
        log = LocalLog(folder, SystemClock())
        end, wrong = stored(log, checked)
        tally.rounds += 1
        tally.acknowledged += max(acknowledged - checked, 0)
        tally.lost += max(acknowledged - end, 0)
        tally.invented += wrong
        tally.cursors_lost += (log.cursor("worker", TOPIC) or 0) < acknowledged - LARGEST
        log.close()
        checked = end
    tally.unsound = sum(not verdict.is_sound for verdict in verify(folder)) if rounds else 0
    return tally


def killed(folder: Path, after_s: float) -> int:
    """Let a process write, kill it, and return the end that it acknowledged last."""
    told, tells = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(told)
            write_on(folder, tells)
        finally:
            os._exit(1)
    os.close(tells)
    with os.fdopen(told, "rb") as acknowledgements:
        first = acknowledgements.read(8)
        time.sleep(after_s)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        rest = acknowledgements.read()
    whole = first + rest
    return int.from_bytes(whole[len(whole) // 8 * 8 - 8 :][:8], "little")


def write_on(folder: Path, tells: int) -> None:
    """Append for ever, in groups of changing sizes with several under way, and tell each end once it is durable."""
    log = LocalLog(folder, SystemClock(), Limits(segment_bytes=200_000))
    topic = log.topic(TOPIC)
    number, under_way = topic.end, []
    while True:
        group = [entry(each) for each in range(number, number + 1 + number % LARGEST)]
        under_way.append(topic.append(group))
        number += len(group)
        if len(under_way) >= 4:
            first = under_way.pop(0).result(WAIT_S)
            count = 1 + first % LARGEST
            log.move("worker", TOPIC, first)
            os.write(tells, (first + count).to_bytes(8, "little"))


def stored(log: LocalLog, start: int) -> tuple[int, int]:
    """Return the end of the topic, and how many entries from a number on are not what was appended."""
    topic = log.topic(TOPIC)
    wrong, end = 0, topic.end
    while start < end:
        try:
            found = topic.read(start, 10_000)
        except GapError as gap:
            wrong, start = wrong + gap.after - start, gap.after
            continue
        wrong += sum(each != (number, each.at, entry(number)) for number, each in enumerate(found, start))
        start += len(found)
    return end, wrong


# A machine that loses power.


@dataclass
class Node:
    """Is a file: what is on the disk for sure, and what was written since."""

    durable: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """Writes at their places; None cuts off there."""

    def sync(self) -> None:
        for change in self.pending:
            apply(self.durable, *change)
        self.pending.clear()

    def after_loss(self, generator: random.Random) -> bytes:
        """Return what is left: of what was not synced, any sectors of any writes."""
        content = bytearray(self.durable)
        for offset, data in self.pending:
            if data is None:
                if generator.random() < 0.5:
                    apply(content, offset, None)
                continue
            whole, none = generator.random() < 0.3, generator.random() < 0.3
            for place, sector in sectors(offset, data):
                if whole or (not none and generator.random() < 0.5):
                    apply(content, place, sector)
        return bytes(content)


def sectors(offset: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    """Cut a write where the sectors of the disk begin."""
    place = offset
    while place < offset + len(data):
        end = min((place // SECTOR_BYTES + 1) * SECTOR_BYTES, offset + len(data))
        yield place, data[place - offset : end - offset]
        place = end


def apply(content: bytearray, offset: int, data: bytes | None) -> None:
    """Change the content of a file."""
    if data is None:
        del content[offset:]
    content.extend(bytes(max(offset - len(content), 0)))
    if data is not None:
        content[offset : offset + len(data)] = data


class HastyDisk(Disk):
    """Waits for nothing, where no power is lost any more."""

    def sync(self, file: int) -> None:
        """Do nothing."""

    def sync_folder(self, path: Path) -> None:
        """Do nothing."""


class ForgetfulDisk(Disk):
    """Does what it is told, remembers what of it would survive, and fails from a call on."""

    def __init__(self, calls: int) -> None:
        """Fail at the call of this number, and at all behind it."""
        self.calls_left = calls
        self.names: dict[Path, Node] = {}
        self.durable_names: dict[Path, Node] = {}
        self._open: dict[int, Node] = {}

    def _count(self) -> None:
        self.calls_left -= 1
        if self.calls_left < 0:
            raise OSError(errno.EIO, "the power is gone")

    def open(self, path: Path) -> int:
        self._count()
        file = super().open(path)
        self._open[file] = self.names.setdefault(path, Node())
        return file

    def write(self, file: int, data: bytes, offset: int) -> None:
        if self.calls_left > 0:
            super().write(file, data, offset)
        self._open[file].pending.append((offset, bytes(data)))
        self._count()

    def sync(self, file: int) -> None:
        self._count()
        self._open[file].sync()

    def truncate(self, file: int, size: int) -> None:
        self._count()
        super().truncate(file, size)
        self._open[file].pending.append((size, None))

    def rename(self, source: Path, target: Path) -> None:
        self._count()
        super().rename(source, target)
        self.names[target] = self.names.pop(source)

    def remove(self, path: Path) -> None:
        self._count()
        super().remove(path)
        self.names.pop(path, None)

    def sync_folder(self, path: Path) -> None:
        self._count()
        for name in {each for each in (*self.names, *self.durable_names) if each.parent == path}:
            if name in self.names:
                self.durable_names[name] = self.names[name]
            else:
                del self.durable_names[name]

    def survivors(self, generator: random.Random) -> dict[Path, bytes]:
        """Return the files that are there when the power comes back."""
        chosen: dict[Path, Node] = {}
        for path in sorted({*self.names, *self.durable_names}):
            node = generator.choice((self.names, self.durable_names)).get(path)
            if node is not None:
                chosen[path] = node
        return {path: node.after_loss(generator) for path, node in chosen.items()}


def loss_rounds(rounds: int, seed: int, folder: Path, kind: type[ForgetfulDisk] = ForgetfulDisk) -> Tally:
    """Lose the power at a random call of the disk, again and again, and look what is left."""
    tally, key = Tally(), folder / "key.pem"
    folder.mkdir(parents=True, exist_ok=True)
    if not key.exists():
        make_key(key)
    for number in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as place:
            loss_round(random.Random(f"{seed} {number}"), Path(place), key, tally, kind)
    return tally


def loss_round(generator: random.Random, folder: Path, key: Path, tally: Tally, kind: type[ForgetfulDisk]) -> None:
    """Write until the power is gone, then open what is left and compare."""
    disk = kind(generator.randrange(4, 250))
    before, after = folder / "before", folder / "after"
    acknowledged, moved = run_until_loss(before, disk, key, generator)
    for path, content in disk.survivors(generator).items():
        target = after / path.relative_to(before)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    tally.rounds += 1
    tally.acknowledged += acknowledged
    try:
        look(LocalLog(after, SystemClock(), SMALL, key, HastyDisk()), acknowledged, moved, tally)
    except InfraSpectreError:
        tally.unsound += 1


def look(log: LocalLog, acknowledged: int, moved: set[int], tally: Tally) -> None:
    """Compare what is left with what was acknowledged, and go on writing."""
    end, wrong = stored(log, 0)
    tally.lost += max(acknowledged - end, 0)
    tally.invented += wrong
    tally.cursors_lost += (log.cursor("worker", TOPIC) or 0) not in moved
    log.topic(TOPIC).append([entry(end)]).result(WAIT_S)
    log.close()
    tally.unsound += any(not verdict.is_sound for verdict in verify(log.folder))


def run_until_loss(folder: Path, disk: Disk, key: Path, generator: random.Random) -> tuple[int, set[int]]:
    """Return the end that was acknowledged last, and where the cursor may be."""
    log = LocalLog(folder, SystemClock(), SMALL, key, disk)
    end, moved, wanted = 0, {0}, 0
    try:
        topic = log.topic(TOPIC)
        while True:
            size = generator.randrange(1, 8)
            end = topic.append([entry(number) for number in range(end, end + size)]).result(WAIT_S) + size
            if generator.random() < 0.2:
                wanted = end
                log.move("worker", TOPIC, end)
                moved = {end}
    except InfraSpectreError:
        moved.add(wanted)
        return end, moved
    finally:
        close(log)


def close(log: LocalLog) -> None:
    """Close a log whose disk is gone."""
    try:
        log.close()
    except InfraSpectreError:
        return


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benches.log_crashes", description=__doc__)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--losses", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        tallies = {
            "kills": kill_rounds(arguments.kills, arguments.seed, Path(place) / "kills")
            if arguments.kills
            else Tally(),
            "losses": loss_rounds(arguments.losses, arguments.seed, Path(place) / "losses"),
        }
    print(json.dumps({name: vars(tally) for name, tally in tallies.items()}))
    return 0 if all(tally.is_clean for tally in tallies.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
