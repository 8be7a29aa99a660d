"""The local log under failures, beside other processes, and as it grows old."""

from __future__ import annotations

import errno
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from adapters.log.disks import FailingDisk, QuickDisk
from infraspectre.adapters.log.local import LocalLog, LocalTopic
from infraspectre.adapters.log.repairing import repair
from infraspectre.adapters.log.verifying import verify
from infraspectre.adapters.log.writing import Limits
from infraspectre.adapters.signing import make_key
from infraspectre.errors import InputError, OutputError, OverloadError, UsageError
from infraspectre.records.events import Entry, GapError
from log_fakes import SetClock

SMALL = Limits(segment_bytes=1_000)
WAIT_S = 30


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def log(folder: Path) -> Iterator[LocalLog]:
    log = LocalLog(folder, SetClock(), SMALL, disk=QuickDisk())
    yield log
    log.close()


def put(log: LocalLog, *data: bytes, topic: str = "events") -> int:
    return log.topic(topic).append(data).result(WAIT_S)


def fill(log: LocalLog, count: int) -> None:
    for number in range(log.topic("events").end, count):
        put(log, b"%d" % number)


def all_of(topic: LocalTopic) -> list[Entry]:
    found: list[Entry] = []
    while topic.begin + len(found) < topic.end:
        found += topic.read(topic.begin + len(found))
    return found


def test_segments_follow_one_another(log: LocalLog, folder: Path) -> None:
    fill(log, 40)
    assert len(list(folder.glob("topics/events/*.log"))) > 5
    assert [entry.data for entry in all_of(log.topic("events"))] == [b"%d" % number for number in range(40)]
    assert [entry.data for entry in log.topic("events").read(23, 1)] == [b"23"]


def test_only_the_owner_can_look_into_it(log: LocalLog, folder: Path) -> None:
    fill(log, 10)
    log.move("worker", "events", 1)
    for path in folder.rglob("*"):
        if path.name != "signing.pem.pub":
            assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 129])
def test_names_stay_in_the_folder(log: LocalLog, name: str) -> None:
    with pytest.raises(UsageError):
        log.topic(name)
    with pytest.raises(UsageError):
        log.move(name, "events", 0)


def test_one_writes_and_others_read(log: LocalLog, folder: Path) -> None:
    put(log, b"a")
    other = LocalLog(folder, SetClock(), disk=QuickDisk())
    topic = other.topic("events")
    assert [entry.data for entry in topic.read(0)] == [b"a"]
    with pytest.raises(OutputError, match="is written by another process"):
        topic.append([b"b"]).result(WAIT_S)
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(topic.read, 1, 10, WAIT_S)
        put(log, b"b")
        assert [entry.data for entry in reading.result(WAIT_S)] == [b"b"]
    log.close()
    assert topic.append([b"c"]).result(WAIT_S) == 2
    other.close()


def test_another_process_reads_what_is_written_meanwhile(log: LocalLog, folder: Path) -> None:
    script = f"""
import sys
from pathlib import Path
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.system_clock import SystemClock
topic = LocalLog(Path({str(folder)!r}), SystemClock()).topic("events")
print("ready", flush=True)
start = 0
while start < 200:
    for entry in topic.read(start, 1000, 30):
        assert entry.data == b"%d" % entry.sequence
        start = entry.sequence + 1
print(start, flush=True)
"""
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "ready\n"
        fill(log, 200)
        assert reader.stdout.read() == "200\n"


def test_more_than_can_wait_is_refused_and_counted(folder: Path) -> None:
    class SlowDisk(QuickDisk):
        def __init__(self) -> None:
            self.go = Event()

        def sync(self, file: int) -> None:
            self.go.wait(WAIT_S)

    disk = SlowDisk()
    disk.go.set()
    log = LocalLog(folder, SetClock(), Limits(waiting_entries=10, group_entries=4), disk=disk)
    put(log, b"first")
    disk.go.clear()
    topic = log.topic("events")
    futures = [topic.append([b"x"] * 3) for _ in range(10)]
    disk.go.set()
    outcomes = [future.exception(WAIT_S) for future in futures]
    assert {type(outcome) for outcome in outcomes} == {type(None), OverloadError}
    counts = topic.counts()
    assert counts.refused == 3 * sum(outcome is not None for outcome in outcomes) > 0
    assert counts.taken + counts.refused == 31
    assert (counts.durable, counts.failed, counts.waiting) == (counts.taken, 0, 0)
    assert topic.end == counts.durable
    log.close()


def test_an_append_that_is_too_large_is_refused_alone(log: LocalLog) -> None:
    with pytest.raises(InputError, match="too much at once"):
        log.topic("events").append([b""] * (1 << 20) + [b""]).result(WAIT_S)
    assert put(log, b"a") == 0


@pytest.mark.parametrize("name", ["write", "sync"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_failing_disk_fails_appends_and_nothing_else(folder: Path, name: str, number: int) -> None:
    disk = FailingDisk(number=number)
    log = LocalLog(folder, SetClock(), SMALL, disk=disk)
    fill(log, 12)
    disk.failing = {name}
    for _ in range(3):
        with pytest.raises(OutputError, match="cannot be written"):
            put(log, b"lost" * 1_000)
    disk.failing = {"truncate", "write"}
    with pytest.raises(OutputError):
        put(log, b"lost")
    assert log.topic("events").end == 12
    disk.failing = set()
    fill(log, 13)
    assert verify(folder)[0].unfinished_bytes == 0
    fill(log, 20)
    assert [entry.data for entry in all_of(log.topic("events"))] == [b"%d" % number for number in range(20)]
    counts = log.topic("events").counts()
    assert (counts.durable, counts.failed, counts.taken) == (20, 4, 24)
    (verdict,) = verify(folder)
    assert verdict.is_sound
    assert verdict.unfinished_bytes == 0
    log.close()


def test_an_end_that_cannot_be_told_is_told_with_the_next(folder: Path) -> None:
    class DeafDisk(FailingDisk):
        def write(self, file: int, data: bytes, offset: int) -> None:
            self._check("tell" if len(data) == 512 else "")
            super().write(file, data, offset)

    disk = DeafDisk()
    log = LocalLog(folder, SetClock(), disk=disk)
    put(log, b"a")
    other = LocalLog(folder, SetClock(), disk=QuickDisk())
    disk.failing = {"tell"}
    assert put(log, b"b") == 1
    assert other.topic("events").end == 1
    disk.failing = set()
    put(log, b"c")
    assert other.topic("events").end == 3
    log.close()


def test_a_sync_that_failed_is_not_tried_again_on_the_same_pages(folder: Path) -> None:
    """After a failure the system takes pages for clean; only bytes that are written anew reach the disk."""

    class LinuxDisk(FailingDisk):
        durable = b""
        dirty = b""

        def write(self, file: int, data: bytes, offset: int) -> None:
            super().write(file, data, offset)
            if len(data) != 512:  # no slot
                self.dirty += data

        def sync(self, file: int) -> None:
            try:
                super().sync(file)
                self.durable += self.dirty
            finally:
                self.dirty = b""

    disk = LinuxDisk(number=errno.EIO)
    log = LocalLog(folder, SetClock(), disk=disk)
    put(log, b"a")
    disk.failing = {"sync"}
    with pytest.raises(OutputError):
        put(log, b"b")
    disk.failing = set()
    put(log, b"c")
    log.close()
    assert (folder / "topics/events" / f"{0:020d}.log").read_bytes() in disk.durable


def test_a_damaged_entry_says_where_to_go_on(log: LocalLog, folder: Path) -> None:
    fill(log, 40)
    second = sorted(folder.glob("topics/events/*.log"))[1]
    first = int(second.stem)
    data = bytearray(second.read_bytes())
    data[len(data) // 2] ^= 1
    second.write_bytes(data)
    topic = log.topic("events")
    readable, gaps, number = [], [], 0
    while number < topic.end:
        try:
            part = topic.read(number)
            readable += [entry.sequence for entry in part]
            number = part[-1].sequence + 1
        except GapError as gap:
            gaps.append((number, gap.after))
            number = gap.after
    assert len(gaps) == 1
    begin, after = gaps[0]
    assert first <= begin < after <= first + 10
    assert readable == [*range(begin), *range(after, 40)]
    assert topic.read(after, 1)[0].sequence == after


def test_old_segments_are_dropped_behind_every_consumer(folder: Path) -> None:
    clock = SetClock()
    log = LocalLog(folder, clock, SMALL._replace(keep_s=60), disk=QuickDisk())
    fill(log, 40)
    log.move("slow", "events", 12)
    log.move("fast", "events", 40)
    clock.time += 120 * 10**9
    fill(log, 45)
    topic = log.topic("events")
    dropped = topic.retain()
    assert 0 < topic.begin <= 12
    log.move("slow", "events", 40)
    dropped += topic.retain()
    assert 20 < topic.begin <= 40
    with pytest.raises(GapError) as gap:
        topic.read(0)
    assert gap.value.after == topic.begin
    assert topic.read(topic.begin, 1)[0].data == b"%d" % topic.begin
    assert all(each.reason == "age" for each in dropped)
    verdict = verify(folder)[0]
    assert verdict.is_sound
    assert (verdict.begin, verdict.end) == (topic.begin, 45)
    log.close()


def test_a_log_that_is_too_large_drops_its_oldest_segments_by_itself(folder: Path) -> None:
    log = LocalLog(folder, SetClock(), SMALL._replace(keep_bytes=5_000), disk=QuickDisk())
    fill(log, 200)
    assert log.topic("events").begin > 100
    log.close()
    assert sum(path.stat().st_size for path in folder.glob("topics/events/*.log")) < 8_000
    verdict = verify(folder)[0]
    assert verdict.is_sound
    assert verdict.dropped[-1].end == verdict.begin


def test_a_log_can_be_closed_while_it_drops(folder: Path) -> None:
    """What the writer does last asks for cursors, which belong to the log that is being closed."""
    for turn in range(5):
        log = LocalLog(folder, SetClock(), SMALL._replace(segment_bytes=300, keep_bytes=600), disk=QuickDisk())
        log.move("worker", "events", log.topic("events").end)
        futures = [log.topic("events").append([b"x"]) for _ in range(6)]
        log.close()
        assert all(future.exception(WAIT_S) is None for future in futures), turn
    assert verify(folder)[0].is_sound


def test_nothing_is_dropped_unless_asked_for(log: LocalLog) -> None:
    fill(log, 40)
    assert log.topic("events").retain() == []
    assert log.topic("events").begin == 0


def test_a_key_hands_over_to_the_next(log: LocalLog, folder: Path) -> None:
    fill(log, 3)
    put(log, b"a", topic="feed")
    old = log.key()
    new = log.rotate()
    assert log.key().public_key() != old.public_key()
    fill(log, 5)
    for verdict in verify(folder, trusted=new):
        assert verdict.is_sound
        assert len(verdict.keys) == 2
    assert not verify(folder, trusted="00" * 32)[0].is_sound
    log.close()
    again = LocalLog(folder, SetClock(), disk=QuickDisk())
    assert put(again, b"5") == 5
    again.close()


def test_a_rotation_that_was_interrupted_goes_on(folder: Path) -> None:
    disk = FailingDisk()
    log = LocalLog(folder, SetClock(), SMALL, disk=disk)
    put(log, b"a", topic="events")
    put(log, b"a", topic="feed")
    log.topic("feed").close()
    with pytest.raises(OutputError):
        log.rotate()
    log.close()
    again = LocalLog(folder, SetClock(), SMALL, disk=disk)
    put(again, b"b", topic="events")
    put(again, b"b", topic="feed")
    new = again.rotate()
    put(again, b"c", topic="feed")
    again.close()
    assert all(verdict.is_sound for verdict in verify(folder, trusted=new))


def test_another_key_signs_nothing_by_itself(log: LocalLog, folder: Path, tmp_path: Path) -> None:
    put(log, b"a")
    log.close()
    make_key(tmp_path / "other.pem")
    other = LocalLog(folder, SetClock(), key=tmp_path / "other.pem", disk=QuickDisk())
    with pytest.raises(OutputError, match="was signed by another key"):
        put(other, b"b")
    assert [entry.data for entry in other.topic("events").read(0)] == [b"a"]
    other.close()


def test_a_topic_keeps_its_epoch(log: LocalLog, folder: Path) -> None:
    put(log, b"a")
    log.close()
    (folder / "topics" / "events" / "epoch").write_text("0123456789abcdef\n")
    with pytest.raises(InputError, match="is not the epoch of the entries"):
        _ = LocalLog(folder, SetClock()).topic("events").end


def test_acknowledged_entries_that_are_gone_are_missed(log: LocalLog, folder: Path) -> None:
    fill(log, 10)
    log.close()
    last = max(folder.glob("topics/events/*.log"))
    last.write_bytes(last.read_bytes()[:-1])
    again = LocalLog(folder, SetClock(), disk=QuickDisk())
    for _ in range(2):
        with pytest.raises(InputError, match="lacks acknowledged entries"):
            _ = again.topic("events").end
    with pytest.raises(InputError, match="lacks acknowledged entries"):
        put(again, b"a")
    (done,) = repair(again)
    assert done.lost_entries == 1
    assert put(again, b"a") == 10
    again.close()
