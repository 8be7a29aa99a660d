"""The captures that are measured, made once: bulk ones from the simulation, and real ones merged."""

from __future__ import annotations

import hashlib
import heapq
import json
import os
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from benches.process import CACHE
from benches.report import UnavailableError
from infraspectre import simulation

FOLDER = CACHE / "bench"
HEADER = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 65535, 1)
BYTE_ORDERS = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""Byte order and nanoseconds per unit of the fraction, by magic number."""
STARTED_AT = 1_700_000_000_000_000_000
SPACING_NS, LONGEST_NS = 50_000_000, 20_000_000_000
"""Captures begin this far apart; a longer one is sped up to last this long, so that no idle timeout cuts its flows."""

Record = tuple[int, bytes]


def test_data() -> Path:
    """Return the folder `net` of the test data."""
    folder = Path(os.environ.get("INFRASPECTRE_TEST_DATA", ""), "net")
    if not folder.is_dir():
        raise UnavailableError("INFRASPECTRE_TEST_DATA names no folder with net/, the test data")
    return folder


def labelled() -> Iterator[dict[str, Any]]:
    """Yield the captures of the test data with their labels; `path` is made absolute."""
    root = test_data()
    for line in (root / "labels.jsonl").read_text().splitlines():
        row = json.loads(line)
        yield row | {"path": root / row["path"]}


def bulk(kind: str, packets: int) -> Path:
    """Return a simulated capture of about so many packets."""

    def make(path: Path) -> None:
        simulation.simulate("bulk", path.parent, kind=kind, packets=packets).capture.rename(path)

    return kept(f"{kind}-{packets}", make)


def diverse(packets: int) -> Path:
    """Return the real Ethernet captures of the test data merged, repeated with other addresses to so many packets."""
    return kept(f"diverse-{packets}", lambda path: write_diverse(path, packets))


def kept(name: str, make: Callable[[Path], None]) -> Path:
    """Return a capture from the cache, made first if it is not there or was made by other code."""
    path = FOLDER / f"{name}-{edition()}" / f"{name}.pcap"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(".unfinished")
        make(unfinished)
        unfinished.rename(path)
    return path


@cache
def edition() -> str:
    """Return a short name for the code that makes captures."""
    sources = [Path(__file__), *sorted(Path(simulation.__file__).parent.rglob("*.py"))]
    return hashlib.sha256(b"".join(source.read_bytes() for source in sources)).hexdigest()[:8]


def write_diverse(path: Path, packets: int) -> None:
    """Write whole rounds of the real captures until there are enough packets."""
    captures = [records(row["path"]) for row in labelled() if is_plain(row)]
    merged = list(heapq.merge(*(moved(capture, index) for index, capture in enumerate(captures))))
    span_ns = len(captures) * SPACING_NS + LONGEST_NS
    with path.open("wb") as file:
        file.write(HEADER)
        for number in range(-(-packets // len(merged))):
            file.writelines(record(at + number * span_ns, readdressed(frame, number)) for at, frame in merged)


def is_plain(row: dict[str, Any]) -> bool:
    """Tell whether a capture is a whole classic one of Ethernet; those made to crash decoders are left out."""
    is_classic = row["fmt"] == "pcap" and row["linktype"] == [1]
    return bool(is_classic and row["packets"] >= 20 and row["source"] != "tcpdump")


def records(path: Path) -> list[Record]:
    """Return the packets of a classic capture with their times, as far as it can be read."""
    data = path.read_bytes()
    found: list[Record] = []
    if data[:4] not in BYTE_ORDERS:
        return found
    order, unit_ns = BYTE_ORDERS[data[:4]]
    offset = 24
    while offset + 16 <= len(data):
        seconds, fraction, stored, _ = struct.unpack_from(f"{order}4I", data, offset)
        offset += 16 + stored
        if stored > 65535 or offset > len(data):
            break
        found.append((seconds * 1_000_000_000 + fraction * unit_ns, data[offset - stored : offset]))
    return found


def moved(capture: list[Record], index: int) -> list[Record]:
    """Return the packets of a capture in order of time, moved to its turn in the merged one."""
    first = min((at for at, _ in capture), default=0)
    last = max((at for at, _ in capture), default=0)
    speed = max(1.0, (last - first) / LONGEST_NS)
    start = STARTED_AT + index * SPACING_NS
    return sorted((start + int((at - first) / speed), frame) for at, frame in capture)


def record(at: int, frame: bytes) -> bytes:
    """Lay out one packet."""
    return struct.pack("<4I", *divmod(at, 1_000_000_000), len(frame), len(frame)) + frame


ADDRESSES = {0x0800: (12, 4), 0x86DD: (8, 16)}
"""Where the two addresses begin in an IP header, and their length, by EtherType."""
VLAN_TAGS = (b"\x81\x00", b"\x88\xa8")


def readdressed(frame: bytes, number: int) -> bytes:
    """Raise the lower of both IP addresses and lower the higher one, so that the checksums stay as they are."""
    kind = 12
    while frame[kind : kind + 2] in VLAN_TAGS:
        kind += 4
    offset, length = ADDRESSES.get(int.from_bytes(frame[kind : kind + 2], "big"), (0, 0))
    start = kind + 2 + offset
    ends = frame[start : start + length], frame[start + length : start + 2 * length]
    if not number or not length or len(frame) < start + 2 * length:
        return frame
    step = number if ends[0] < ends[1] else -number
    source, destination = (raised(end, step * sign) for end, sign in zip(ends, (1, -1), strict=True))
    return frame[:start] + source + destination + frame[start + 2 * length :]


def raised(address: bytes, step: int) -> bytes:
    """Add to the first 16 bits of an address in one's complement arithmetic, as checksums do (RFC 1071)."""
    return ((int.from_bytes(address[:2], "big") + step) % 0xFFFF).to_bytes(2, "big") + address[2:]
