"""Live capture on a pair of interfaces: the highest rate without loss beside NFStream, and how soon a row is there."""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median, quantiles

from benches import captures
from benches.process import READERS, ROOT, peer_python
from benches.report import Figure, Report, Table, UnavailableError

SENDER, SENSOR = "sender", "sensor"
SENSOR_CORE, SENDER_CORE = "0", "1"
PACKETS = 1_000_000
SECONDS = 6.0
"""How long packets are sent at each rate: several times as many as find room in the ring."""
LOWEST, HIGHEST, STEPS = 5_000.0, 1_600_000.0, 7
BUFFER_BYTES = 16 << 20
REPORTS_S = 1.2
"""NFStream counts for its reports when a packet comes a second after it did so last, and reports each second."""
PROBES, WARM_UP, PAUSE_S = 2_000, 200, (0.001, 0.004)
LOAD = 50_000
CLONE_NEWNET = 0x40000000
METHOD = (
    f"A simulated mix of {PACKETS:,} packets is sent over a veth pair in a namespace of its own for {SECONDS:g} s at "
    f"rates found by bisection ({STEPS} steps); a rate is free of loss if the sensor accounts for each packet sent. "
    f"Sensor on core {SENSOR_CORE}, generator (`crates/live/examples/replay.rs`) on core {SENDER_CORE}; both sensors "
    f"with rings of {BUFFER_BYTES >> 20} MiB, NFStream with `statistical_analysis=True, n_dissections=0, n_meters=1`. "
    f"For the delay, {PROBES:,} datagrams with {PAUSE_S[0] * 1e3:g} to {PAUSE_S[1] * 1e3:g} ms between them begin a "
    "flow each; the time is that from before the system call that sends one to the moment when its early row, with "
    "full features, is in Python."
)


@dataclass(frozen=True)
class Trial:
    """Holds what became of the packets sent at one rate."""

    sent: int
    seconds: float
    found: int
    dropped: int

    @property
    def is_free_of_loss(self) -> bool:
        """Tell whether each packet was found."""
        return self.found == self.sent

    @property
    def rate(self) -> float:
        """Return the packets sent in a second, which may be fewer than asked for."""
        return self.sent / self.seconds


def measure() -> Report:
    """Measure rates and delays in both ways to share packets with the kernel."""
    if os.geteuid() != 0 or shutil.which("ip") is None:
        raise UnavailableError("a network namespace needs root and the command ip")
    replay, capture = generator(), captures.bulk("mixed", PACKETS)
    with pair() as name:
        trials = {
            "in blocks": search(lambda rate: ours(name, replay, capture, rate, 1)),
            "at once": search(lambda rate: ours(name, replay, capture, rate, 0)),
        }
        figures = [
            Figure(f"packets per second without loss, {way}", best(found), "", "", "400,000")
            for way, found in trials.items()
        ]
        notes = [METHOD, f"Load average at the end: {os.getloadavg()[0]:.1f}."]
        try:
            peer = peer_python()
        except UnavailableError as reason:
            notes.append(f"NFStream was left out: {reason}.")
        else:
            trials["NFStream"] = search(lambda rate: theirs(name, peer, replay, capture, rate))
            figures.append(Figure("the same, NFStream", best(trials["NFStream"])))
            figures += [
                Figure(f"ratio, {way}", best(trials[way]) / best(trials["NFStream"]), "x", "4 x")
                for way in ("in blocks", "at once")
                if best(trials["NFStream"])
            ]
        for load in (0, LOAD):
            figures += delay_figures(name, replay, capture, load)
    rows = [[way, one.sent, one.rate, one.found, one.dropped] for way, found in trials.items() for one in found]
    return Report(figures, [Table("", ("sensor", "sent", "packets/s", "found", "dropped"), rows)], notes)


def best(trials: list[Trial]) -> float:
    """Return the highest rate without loss, 0 if there was none."""
    return max((one.rate for one in trials if one.is_free_of_loss), default=0.0)


def search(trial: Callable[[float], Trial]) -> list[Trial]:
    """Halve the range of rates, in logarithms, as often as is allowed."""
    low, high = LOWEST, HIGHEST
    trials = []
    for _ in range(STEPS):
        rate = (low * high) ** 0.5
        trials.append(trial(rate))
        low, high = (rate, high) if trials[-1].is_free_of_loss else (low, rate)
    return trials


def generator() -> Path:
    """Return the program that sends packets, built first."""
    build = ["cargo", "build", "--release", "--quiet", "-p", "infraspectre-live", "--example", "replay"]
    try:
        subprocess.run(build, check=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError) as error:
        raise UnavailableError(f"the generator cannot be built: {error}") from error
    return Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"), "release", "examples", "replay")


@contextmanager
def pair() -> Iterator[str]:
    """Make a namespace with a pair of interfaces, and return its name."""
    name = f"infraspectre-{uuid.uuid4().hex[:8]}"
    ip("netns", "add", name)
    try:
        ip("-n", name, "link", "add", SENDER, "type", "veth", "peer", "name", SENSOR)
        for end in (SENDER, SENSOR):
            ip("-n", name, "link", "set", end, "addrgenmode", "none")
            ip("-n", name, "link", "set", end, "arp", "off", "up")
        yield name
    finally:
        ip("netns", "delete", name)


def ip(*words: str) -> None:
    """Run ip(8)."""
    subprocess.run(["ip", *words], check=True, capture_output=True)


def inside(name: str, core: str, *command: str | Path) -> subprocess.Popen[str]:
    """Start a program in a namespace, on a core."""
    words = ["ip", "netns", "exec", name, "taskset", "-c", core, *map(str, command)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def line(program: subprocess.Popen[str]) -> str:
    """Return the next line that a program prints."""
    return program.stdout.readline() if program.stdout else ""


def send(name: str, replay: Path, capture: Path, rate: float, seconds: float) -> tuple[int, float]:
    """Send packets at a rate; return how many, and in how many seconds."""
    with inside(name, SENDER_CORE, replay, SENDER, capture, str(int(rate * seconds)), str(rate)) as program:
        done = json.loads(line(program))
    return done["sent"], done["seconds"]


def ours(name: str, replay: Path, capture: Path, rate: float, block_timeout_ms: int) -> Trial:
    """Send at a rate while we listen."""
    reader = READERS / "infraspectre_live_reader.py"
    with inside(name, SENSOR_CORE, sys.executable, reader, SENSOR, str(block_timeout_ms), str(BUFFER_BYTES)) as program:
        line(program)
        sent, seconds = send(name, replay, capture, rate, SECONDS)
        if program.stdin:
            program.stdin.close()
        found = json.loads(line(program))
    if found["received"] != found["packets"] + found["dropped"] or found["received"] != sent:
        raise RuntimeError(f"{sent} packets were sent, and not all are accounted for: {found}")
    return Trial(sent, seconds, found["packets"], found["dropped"])


def theirs(name: str, peer: Path, replay: Path, capture: Path, rate: float) -> Trial:
    """Send at a rate while NFStream listens."""
    reader = READERS / "nfstream_live_reader.py"
    with inside(name, SENSOR_CORE, peer, "-u", reader, SENSOR, str(BUFFER_BYTES)) as program:
        line(program)
        sent, seconds = send(name, replay, capture, rate, SECONDS)
        found, more = -1, 1
        while (counted := count_after_one_more(name, program, replay, capture) - more) > found:
            found, more = counted, more + 1
        program.terminate()
    return Trial(sent, seconds, found, sent - found)


def count_after_one_more(name: str, program: subprocess.Popen[str], replay: Path, capture: Path) -> int:
    """Send one packet more, so that NFStream counts, and return how many it has found with it."""
    time.sleep(REPORTS_S)
    send(name, replay, capture, 1, 1)
    until, report = time.monotonic() + REPORTS_S, {}
    while time.monotonic() < until:
        report = json.loads(line(program))
    return int(report["packets_processed"]) + int(report["packets_ignored"])


def delay_figures(name: str, replay: Path, capture: Path, load: int) -> list[Figure]:
    """Return the middle and the upper end of the delays beside other traffic, in both ways."""
    figures = []
    for timeout, way in ((0, "at once"), (1, "in blocks")):
        delays = Delays(name, timeout)
        if load:
            threading.Thread(target=send, args=(name, replay, capture, load, PROBES * PAUSE_S[1])).start()
        found = delays.measure()
        beside = f"beside {load:,} packets/s" if load else "alone"
        what = f"packet to feature row, {way}, {beside}"
        figures.append(Figure(f"{what}, median", median(found), "ms", "", "0.3 ms"))
        figures.append(Figure(f"{what}, 99th percentile", quantiles(found, n=100)[98], "ms", "10 ms", "1 ms"))
    return figures


class Delays:
    """Measures how long it takes from sending the first packet of a flow to its early row."""

    def __init__(self, name: str, block_timeout_ms: int) -> None:
        """Listen in a namespace, and open the socket that sends."""
        from infraspectre.capture import LiveSource
        from infraspectre.capture.settings import CaptureSettings

        settings = CaptureSettings(block_timeout_ms=block_timeout_ms, early=True, buffer_bytes=BUFFER_BYTES)
        with entered(name):
            self.source = LiveSource(SENSOR, settings=settings)
            self.out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.out.bind((SENDER, 0))
        self.sent: dict[int, float] = {}

    def measure(self) -> list[float]:
        """Return the delays in milliseconds."""
        sender = threading.Thread(target=self.send)
        sender.start()
        delays = []
        for batch in self.source:
            now = time.perf_counter()
            if not len(batch):
                continue
            frame = batch.frame
            probes = frame.filter((frame["end_reason"] == "early") & (frame["resp_ip"] == "192.0.2.2"))
            delays += [(now - self.sent[port]) * 1e3 for port in probes["orig_port"] if port in self.sent]
        sender.join()
        return delays[WARM_UP:]

    def send(self) -> None:
        """Send datagrams of flows of their own, and note when."""
        pauses = random.Random(1)
        for port in range(1, PROBES + 1):
            time.sleep(pauses.uniform(*PAUSE_S))
            frame = probe(port)
            self.sent[port] = time.perf_counter()
            self.out.send(frame)
        time.sleep(0.2)
        self.source.stop()
        self.out.close()


def probe(port: int) -> bytes:
    """Return a datagram from a port."""
    from infraspectre.simulation.packets import ethernet, ip, udp

    source, destination = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
    packet = ip(source, destination, 17, udp(source, destination, (port, 9), b"x" * 64), ttl=64)
    return ethernet(b"\2\0\0\0\0\1", b"\2\0\0\0\0\2", 0x0800, packet)


@contextmanager
def entered(name: str) -> Iterator[None]:
    """Let this thread, and threads that it starts, see the interfaces of a namespace."""
    with Path("/proc/thread-self/ns/net").open() as before, Path("/run/netns", name).open() as here:
        enter(here.fileno())
        try:
            yield
        finally:
            enter(before.fileno())


def enter(descriptor: int) -> None:
    """Call setns(2), which Python has only since 3.12."""
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")
