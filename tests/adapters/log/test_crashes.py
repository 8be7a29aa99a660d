"""What is acknowledged survives a crash, whatever else it takes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from benches.log_crashes import ForgetfulDisk, entry, loss_rounds, stored
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.log.disks import QuickDisk
from infraspectre.adapters.log.frames import HEADER_BYTES
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.log.verifying import verify
from infraspectre.records.events import Entry
from log_fakes import SetClock

ROOT = Path(__file__).parents[3]
WAIT_S = 30


def test_no_loss_of_power_loses_what_was_acknowledged(tmp_path: Path) -> None:
    tally = loss_rounds(40, 7, tmp_path)
    assert tally.rounds == 40
    assert tally.acknowledged > 1_000
    assert tally.is_clean, tally


def test_a_disk_that_lies_is_found_out(tmp_path: Path) -> None:
    """The rounds can fail: a disk that acknowledges before it writes loses entries."""

    class LyingDisk(ForgetfulDisk):
        def sync(self, file: int) -> None:
            self._count()

    tally = loss_rounds(10, 7, tmp_path, LyingDisk)
    assert not tally.is_clean


def test_no_killed_process_loses_what_it_acknowledged(tmp_path: Path) -> None:
    script = f"""
from pathlib import Path
from benches.log_crashes import kill_rounds
tally = kill_rounds(6, 7, Path({str(tmp_path)!r}))
assert tally.acknowledged > 100, tally
assert tally.is_clean, tally
"""
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, timeout=60)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of five groups, the last of 40 entries."""
    folder = tmp_path_factory.mktemp("written") / "log"
    log = LocalLog(folder, SetClock(), disk=QuickDisk())
    for first, count in ((0, 3), (3, 1), (4, 7), (11, 2), (13, 40)):
        assert log.topic("events").append([entry(each) for each in range(first, first + count)]).result(WAIT_S) == first
    log.close()
    return folder


def copied(source: Path, target: Path) -> Path:
    for path in source.rglob("*"):
        if path.is_file():
            place = target / path.relative_to(source)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(path.read_bytes())
    return target


@settings(max_examples=60, deadline=None)
@given(cut=st.integers(0, 10_000), junk=st.binary(max_size=600))
def test_whatever_a_crash_leaves_of_the_last_write_a_prefix_of_groups_stays(
    written: Path, tmp_path_factory: pytest.TempPathFactory, cut: int, junk: bytes
) -> None:
    folder = copied(written, tmp_path_factory.mktemp("cut"))
    topic = folder / "topics" / "events"
    (topic / "mark").unlink()  # after a loss of power nobody knows what was told last
    segment = topic / f"{0:020d}.log"
    data = segment.read_bytes()
    kept = data[: len(data) - cut % len(data)]
    segment.write_bytes(kept + junk)
    log = LocalLog(folder, SetClock(), disk=QuickDisk())
    end, wrong = stored(log, 0)
    assert wrong == 0
    assert end in (0, 3, 4, 11, 13, 53)
    assert end == sound_end(kept)
    assert log.topic("events").append([entry(end)]).result(WAIT_S) == end
    log.close()
    assert verify(folder)[0].is_sound


def sound_end(data: bytes) -> int:
    """Where whole groups end, by the lengths of their entries alone."""
    place = end = 0
    for count in (3, 1, 7, 2, 40):
        place += HEADER_BYTES + sum(4 + len(entry(each)) for each in range(end, end + count))
        if place > len(data):
            break
        end += count
    return end


def test_what_was_cut_off_is_kept_aside(written: Path, tmp_path: Path) -> None:
    folder = copied(written, tmp_path / "log")
    segment = folder / "topics" / "events" / f"{0:020d}.log"
    segment.write_bytes(segment.read_bytes() + b"half a frame")
    assert verify(folder)[0].unfinished_bytes == 12
    log = LocalLog(folder, SetClock())
    assert log.topic("events").end == 53
    assert (folder / "topics" / "events" / "torn").read_bytes() == b"half a frame"
    log.close()


def test_an_entry_that_looks_like_a_frame_is_never_taken_for_one(tmp_path: Path) -> None:
    """Whoever can send entries may send frames of another log, or of this one, behind which nothing is to be found."""
    folder = tmp_path / "log"
    log = LocalLog(folder, SetClock(), disk=QuickDisk())
    topic = log.topic("events")
    topic.append([b"a"]).result(WAIT_S)
    path = folder / "topics" / "events" / f"{0:020d}.log"
    forged = forged_frame(path.read_bytes(), topic.epoch, first=1)
    topic.append([forged]).result(WAIT_S)
    log.close()
    data = bytearray(path.read_bytes())
    data[path.stat().st_size - len(forged) - HEADER_BYTES] ^= 1
    path.write_bytes(data)
    (path.parent / "mark").unlink()
    again = LocalLog(folder, SetClock(), disk=QuickDisk())
    assert again.topic("events").read(0) == [Entry(0, SetClock().now(), b"a")]
    assert again.topic("events").end == 1
    again.close()


def forged_frame(data: bytes, epoch: str, first: int) -> bytes:
    """A frame that is right in all but its signature."""
    from zlib import crc32

    from infraspectre.adapters.log.frames import CHECKSUM, SIGNATURE_BYTES, Kind, header_of

    header = header_of(data)._replace(epoch=bytes.fromhex(epoch), first=first, kind=Kind.ENTRIES)
    head = header.signed + bytes(SIGNATURE_BYTES)
    return head + CHECKSUM.pack(crc32(head)) + data[HEADER_BYTES : header.size]
