"""Damage to the event log: bits flipped anywhere, and segments that are any bytes at all.

`python -m benches.log_damage --flips 100000 --fuzz-seconds 600` counts flips that were not found, and inputs at which a
reader did anything but read or say what is broken.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benches.log_crashes import HastyDisk
from infraspectre.adapters.log.frames import CHECKSUM, HEADER_BYTES, MAGIC
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.log.looking import TopicView
from infraspectre.adapters.log.repairing import repair
from infraspectre.adapters.log.verifying import verify
from infraspectre.adapters.log.writing import Limits
from infraspectre.adapters.system_clock import SystemClock
from infraspectre.errors import InfraSpectreError
from infraspectre.records.events import Entry, GapError

TOPIC = "events"
SLOW_S = 2.0
"""Of the processor; a reader that takes longer for an input of some kilobytes is as good as hanging."""


@dataclass
class Found:
    """Counts what became of inputs."""

    tried: int = 0
    missed: list[str] = field(default_factory=list)


def made(folder: Path, seed: int) -> Path:
    """Write a small log with a cursor and two keys, and return the folder of its topic."""
    log = LocalLog(folder, SystemClock(), Limits(segment_bytes=1_500), disk=HastyDisk())
    generator = random.Random(seed)
    for turn in range(2):
        for _ in range(3):
            data = [generator.randbytes(generator.randrange(60)) for _ in range(generator.randrange(1, 5))]
            log.topic(TOPIC).append(data).result(60)
            log.move("worker", TOPIC, generator.randrange(3))
        if turn == 0:
            log.rotate()
    log.close()
    return folder / "topics" / TOPIC


def flips(count: int, seed: int, folder: Path) -> Found:
    """Flip bits in logs, one at a time, until so many were tried."""
    found, number = Found(), 0
    while found.tried < count:
        flip_each(folder / str(number), random.Random(f"{seed} {number}"), count - found.tried, found)
        number += 1
    return found


def flip_each(folder: Path, generator: random.Random, most: int, found: Found) -> None:
    """Flip bits of all files of a log but its locks and keys, and let the verifier and a reader look each time."""
    topic = made(folder, generator.randrange(1 << 30))
    genuine = set(TopicView(folder, TOPIC).entries())
    files = [*topic.glob("*.log"), topic / "epoch", topic / "mark", folder / "cursors" / TOPIC / "worker"]
    contents = {path: path.read_bytes() for path in files}
    places = [(path, bit) for path, data in contents.items() for bit in range(8 * len(data))]
    for path, bit in generator.sample(places, min(most, len(places))):
        data = bytearray(contents[path])
        data[bit // 8] ^= 1 << bit % 8
        path.write_bytes(data)
        found.tried += 1
        if verify(folder)[0].is_sound:
            found.missed.append(f"{path.name}: bit {bit} is not found")
        if any(isinstance(each, Entry) and each not in genuine for each in read(folder)):
            found.missed.append(f"{path.name}: bit {bit} changes what is read")
        path.write_bytes(contents[path])


def read(folder: Path) -> list[Entry | GapError]:
    """Return what a reader finds in a log, nothing where it says that it cannot read."""
    try:
        return list(TopicView(folder, TOPIC).entries())
    except InfraSpectreError:
        return []


def fuzz(seconds: float, seed: int, folder: Path) -> Found:
    """Let readers, verifier and repair loose on segments that were changed in any way."""
    topic, found, generator = made(folder, seed), Found(), random.Random(seed)
    original = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for path in [each for each in folder.rglob("*") if each.is_file() and each not in original]:
            path.unlink()
        for path, data in original.items():
            path.write_bytes(data)
        change(topic, generator)
        begun = time.process_time()
        problem = endured(folder, repairs=found.tried % 4 == 0)
        found.tried += 1
        if problem or time.process_time() - begun > SLOW_S:
            found.missed.append(f"seed {seed}, input {found.tried}: {problem or 'takes too long'}")
    return found


def change(topic: Path, generator: random.Random) -> None:
    """Change one to three files of a topic."""
    for _ in range(generator.randrange(1, 4)):
        path = generator.choice([*sorted(topic.glob("*.log")), topic / "mark", topic / "epoch"])
        path.write_bytes(mutated(path.read_bytes(), generator))


def mutated(data: bytes, generator: random.Random) -> bytes:
    """Return bytes with one of several kinds of damage; some get right checksums again, so that it reaches deeper."""
    place = generator.randrange(len(data) + 1)
    size = generator.choice((1, 4, 8, 216, 600))
    kinds = (
        lambda: data[:place] + generator.randbytes(size) + data[place + size :],
        lambda: data[:place] + data[place + size :],
        lambda: data[:place] + generator.randbytes(size) + data[place:],
        lambda: data[:place] + MAGIC + data[place:],
        lambda: data[:place],
        lambda: data + data[:place],
        lambda: generator.randbytes(generator.randrange(2_000)),
        lambda: with_checksums(data[:place] + generator.randbytes(1) + data[place + 1 :]),
    )
    return generator.choice(kinds)()


def with_checksums(data: bytes) -> bytes:
    """Return bytes in which whatever begins like a header has the checksum of one."""
    from zlib import crc32

    changed, place = bytearray(data), data.find(MAGIC)
    while place >= 0:
        end = place + HEADER_BYTES - CHECKSUM.size
        if end + CHECKSUM.size <= len(changed):
            changed[end : end + CHECKSUM.size] = CHECKSUM.pack(crc32(changed[place:end]))
        place = data.find(MAGIC, place + 1)
    return bytes(changed)


def endured(folder: Path, repairs: bool) -> str:
    """Do all that can be done to a log; return what went wrong other than by an error of ours."""
    try:
        attempt(lambda: verify(folder))
        read(folder)
        attempt(lambda: read_and_write(folder))
        if repairs:
            attempt(lambda: repair(LocalLog(folder, SystemClock(), disk=HastyDisk())))
            attempt(lambda: verify(folder))
    except Exception as error:  # noqa: BLE001  whatever it is, it is what is looked for
        return repr(error)
    return ""


def attempt(work: Callable[[], object]) -> None:
    """Do something that may say what is wrong."""
    try:
        work()
    except InfraSpectreError:
        return


def read_and_write(folder: Path) -> None:
    """Open a log, read what can be read, and append."""
    log = LocalLog(folder, SystemClock(), disk=HastyDisk())
    try:
        topic = log.topic(TOPIC)
        place, end = topic.begin, topic.end
        while place < end:
            try:
                place += len(topic.read(place))
            except GapError as gap:
                if gap.after <= place:
                    raise RuntimeError(f"a gap at {place} leads to {gap.after}") from gap
                place = gap.after
        topic.append([b"more"]).result(60)
    finally:
        log.close()


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benches.log_damage", description=__doc__)
    parser.add_argument("--flips", type=int, default=0)
    parser.add_argument("--fuzz-seconds", type=float, default=0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        found = {
            "flips": flips(arguments.flips, arguments.seed, Path(place) / "flips"),
            "fuzz": fuzz(arguments.fuzz_seconds, arguments.seed, Path(place) / "fuzz"),
        }
    print(json.dumps({name: {"tried": each.tried, "missed": each.missed[:20]} for name, each in found.items()}))
    return 1 if any(each.missed for each in found.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
