"""Changed frames, payloads, envelopes and spools of the sensor link: each is read or refused, none crashes or hangs."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import polars as pl

from benches.process import ROOT
from benches.report import Figure, Report
from infraspectre.adapters.sensor_link.payloads import pack, unpack
from infraspectre.adapters.sensor_link.protocol import (
    Ack,
    Batch,
    Goodbye,
    Hello,
    Refusal,
    Welcome,
    frame,
    read_frame,
)
from infraspectre.adapters.sensor_link.protocol import (
    Report as SensorReport,
)
from infraspectre.adapters.sensor_link.spool import LEAST_BYTES, Spool
from infraspectre.capture import CaptureSource
from infraspectre.errors import InputError
from infraspectre.records.flow_batches import FlowEnvelope, decode, encode

SECONDS = 60.0
ROWS = 8
SLOWEST_S = 5.0
MESSAGES = [
    Hello([1], "probe", 1, "0.1.0", 5, "ab", 0), Welcome(1, {"ab": 3}, 16), Batch("ab", 3, 1, {"shed": 2}),
    SensorReport({"packets": 3}, {"sent": 1}), Ack("ab", 3, 16), Refusal("ab", 4, "no flows"), Goodbye("enough", 1.5),
]  # fmt: skip


def measure(seconds: float = SECONDS, seed: int = 1) -> Report:
    """Change sound inputs at random for a while, and read them; anything but an InputError is a failure."""
    chance = random.Random(seed)
    counts: Counter[str] = Counter()
    slowest = 0.0
    with tempfile.TemporaryDirectory() as folder:
        readers = targets(Path(folder))
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            name, sound, read = chance.choice(readers)
            data = changed(sound, chance)
            began = time.monotonic()
            try:
                read(data)
                counts[f"{name}: read"] += 1
            except InputError:
                counts[f"{name}: refused"] += 1
            slowest = max(slowest, time.monotonic() - began)
    assert slowest < SLOWEST_S
    figures = [Figure(name, count) for name, count in sorted(counts.items())]
    return Report([*figures, Figure("slowest input", slowest * 1e3, "ms")], notes=[f"{seconds:g} s, seed {seed}."])


def changed(sound: bytes, chance: random.Random) -> bytes:
    """Return bytes with some of them changed, cut, doubled or left out."""
    data = bytearray(sound)
    for _ in range(chance.randrange(1, 6)):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0:
                del data[at:]
            case 1:
                data[at:at] = data[max(at - 20, 0) : at]
            case 2:
                del data[at : at + chance.randrange(1, 9)]
            case 3:
                data[at : at + 4] = chance.choice([b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"])
            case _:
                data[at : at + 1] = chance.randbytes(1)
    return bytes(data)


def targets(folder: Path) -> list[tuple[str, bytes, Callable[[bytes], object]]]:
    """Return what is read: its name, a sound input, and the reader."""
    flows = pl.concat(batch.frame for batch in CaptureSource([str(ROOT / "examples" / "sample.pcap.gz")])).head(ROWS)
    payload = pack(flows)
    envelope = FlowEnvelope("default", "probe", "ab", 3, 2, 5, 7, missing=1, lost={"shed": 4})
    return [
        ("frames", b"".join(map(frame, MESSAGES)), read_frames),
        ("payloads", payload, lambda data: unpack(data, ROWS).rows()),
        ("envelopes", encode(envelope, b"flows"), decode),
        ("spools", spooled(folder), lambda data: reopen(folder, data)),
    ]


def read_frames(data: bytes) -> None:
    """Read frames until the connection ends."""

    async def read() -> None:
        reader = asyncio.StreamReader()
        reader.feed_data(data)
        reader.feed_eof()
        while await read_frame(reader, 1.0) is not None:
            pass

    asyncio.run(read())


def spooled(folder: Path) -> bytes:
    """Return a segment of a spool."""
    spool = Spool(folder / "sound", LEAST_BYTES)
    for number in range(5):
        spool.append(b"batch" * number, number + 1)
    spool.close()
    [path] = (folder / "sound").glob("*.spool")
    return path.read_bytes()


def reopen(folder: Path, data: bytes) -> None:
    """Open a spool with a changed segment and take what is in it; what is counted has to add up."""
    place = folder / "changed"
    place.mkdir(exist_ok=True)
    for path in place.iterdir():
        path.unlink()
    (place / "000000000001.spool").write_bytes(data)
    spool = Spool(place, LEAST_BYTES)
    while spool.take() is not None:
        pass
    account = spool.account()
    spool.close()
    lost = sum(tally.batches for tally in account.lost.values())
    assert account.recovered.batches == account.queued.batches + lost
    if lost:
        raise InputError("something is damaged")
