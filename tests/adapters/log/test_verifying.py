"""Whatever is changed, removed, moved or cut off is found, and repaired as far as it can be."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from benches.log_damage import flips, fuzz

from adapters.log.disks import QuickDisk
from adapters.log.test_crashes import copied
from infraspectre.adapters.log.frames import CHECKSUM, HEADER_BYTES, Place, Signer, group, header_of
from infraspectre.adapters.log.local import LocalLog
from infraspectre.adapters.log.repairing import Repair, repair
from infraspectre.adapters.log.verifying import Verdict, verify
from infraspectre.adapters.log.writing import Limits
from infraspectre.errors import InputError, OutputError
from infraspectre.records.events import Entry, GapError
from log_fakes import SetClock

WAIT_S = 30
ENTRIES = 30


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of 15 frames in several segments, with a cursor."""
    folder = tmp_path_factory.mktemp("written") / "log"
    log = LocalLog(folder, SetClock(), Limits(segment_bytes=800), disk=QuickDisk())
    for number in range(0, ENTRIES, 2):
        log.topic("events").append([b"%d" % number, b"%d" % (number + 1)]).result(WAIT_S)
    log.move("worker", "events", 4)
    log.close()
    return folder


@pytest.fixture
def folder(written: Path, tmp_path: Path) -> Path:
    return copied(written, tmp_path / "log")


def segments(folder: Path) -> list[Path]:
    return sorted(folder.glob("topics/events/*.log"))


def verdict_of(folder: Path, **options: object) -> Verdict:
    (verdict,) = verify(folder, **options)  # type: ignore[arg-type]
    return verdict


def repaired(folder: Path) -> Repair:
    log = LocalLog(folder, SetClock(), disk=QuickDisk())
    (done,) = repair(log)
    log.close()
    return done


def readable(folder: Path) -> dict[int, bytes]:
    log = LocalLog(folder, SetClock(), disk=QuickDisk())
    topic, found, number = log.topic("events"), list[Entry](), 0
    while number < topic.end:
        try:
            found += topic.read(number)
            number = found[-1].sequence + 1
        except GapError as gap:
            number = gap.after
    log.close()
    return {entry.sequence: entry.data for entry in found}


def test_a_sound_log_is_sound(folder: Path) -> None:
    verdict = verdict_of(folder)
    assert verdict.is_sound, verdict.findings
    assert (verdict.begin, verdict.end, verdict.frames, len(verdict.keys)) == (0, ENTRIES, 15, 1)
    assert verdict_of(folder, trusted=verdict.keys[0], heads=[verdict.head]).is_sound
    assert repaired(folder) == Repair("events")


def small_files(folder: Path) -> list[Path]:
    named = [folder / "topics" / "events" / name for name in ("epoch", "mark")]
    return [*segments(folder), *named, folder / "cursors" / "events" / "worker"]


def test_any_flipped_bit_anywhere_is_found(folder: Path) -> None:
    """Some bits of every file; `python -m benches.log_damage` flips a hundred thousand."""
    generator = random.Random(1)
    for path in small_files(folder):
        data = path.read_bytes()
        for place in generator.sample(range(8 * len(data)), min(8 * len(data), 40)):
            changed = bytearray(data)
            changed[place // 8] ^= 1 << place % 8
            path.write_bytes(changed)
            assert not verdict_of(folder).is_sound, (path.name, place)
        path.write_bytes(data)
    assert verdict_of(folder).is_sound


def test_no_damage_misleads_readers_or_ends_them(tmp_path: Path) -> None:
    assert flips(150, 3, tmp_path / "flips").missed == []
    found = fuzz(1.0, 3, tmp_path / "fuzz")
    assert found.tried > 0
    assert found.missed == []


def test_a_flipped_bit_costs_no_more_than_its_frame(folder: Path) -> None:
    path = segments(folder)[1]
    data = bytearray(path.read_bytes())
    data[HEADER_BYTES + 2] ^= 1
    path.write_bytes(data)
    (finding,) = verdict_of(folder).findings
    first = int(path.stem)
    assert (finding.file, finding.offset) == (f"topics/events/{path.name}", 0)
    assert (finding.first, finding.end) == (first, first + 2)
    done = repaired(folder)
    assert done.lost_entries == 2
    (lost,) = done.lost
    assert (folder / lost.kept).read_bytes() == data[: header_of(bytes(data)).size]
    verdict = verdict_of(folder)
    assert verdict.is_sound
    assert verdict.lost == done.lost
    expected = {number: b"%d" % number for number in range(ENTRIES) if number not in (first, first + 1)}
    assert readable(folder) == expected


@pytest.mark.parametrize("seed", range(12))
def test_all_that_is_sound_can_be_read_after_a_repair(folder: Path, seed: int) -> None:
    generator = random.Random(seed)
    for path in generator.sample(segments(folder), 3):
        data = bytearray(path.read_bytes())
        for _ in range(generator.randrange(1, 4)):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
    before = readable(folder)
    done = repaired(folder)
    after = readable(folder)
    assert before.items() <= after.items() <= {number: b"%d" % number for number in range(ENTRIES)}.items()
    assert len(after) + done.lost_entries == ENTRIES
    assert verdict_of(folder).is_sound
    assert repaired(folder) == Repair("events")
    log = LocalLog(folder, SetClock(), disk=QuickDisk())
    assert log.topic("events").append([b"new"]).result(WAIT_S) == ENTRIES
    log.close()
    assert verdict_of(folder).is_sound


def test_a_missing_segment_is_missed(folder: Path) -> None:
    gone = segments(folder)[2]
    gone.unlink()
    (finding,) = verdict_of(folder).findings
    assert finding.first == int(gone.stem)
    assert repaired(folder).lost_entries == finding.end - finding.first
    assert verdict_of(folder).is_sound


def test_a_missing_beginning_is_missed(folder: Path) -> None:
    segments(folder)[0].unlink()
    begin = int(segments(folder)[0].stem)
    (finding,) = verdict_of(folder).findings
    assert (finding.first, finding.end) == (0, begin)
    assert "nobody dropped" in finding.problem
    assert repaired(folder).lost_entries == begin
    assert verdict_of(folder).is_sound


def test_a_missing_end_is_missed_as_long_as_the_mark_is_there(folder: Path) -> None:
    segments(folder)[-1].unlink()
    end = verdict_of(folder).findings[-1].end
    assert end == ENTRIES
    assert repaired(folder).lost_entries == ENTRIES - int(max(readable(folder))) - 1
    verdict = verdict_of(folder)
    assert verdict.is_sound
    assert verdict.end == ENTRIES


def test_an_end_that_was_cut_off_cleanly_is_missed_by_who_remembers_it(folder: Path) -> None:
    head = verdict_of(folder).head
    segments(folder)[-1].unlink()
    (folder / "topics" / "events" / "mark").unlink()
    assert [finding.problem for finding in verdict_of(folder).findings] == [
        "is missing: nobody knows whether entries are missing at the end"
    ]
    assert "lacks the remembered end" in verdict_of(folder, heads=[head]).findings[-1].problem


def test_nothing_is_left_of_a_log_but_its_mark(folder: Path) -> None:
    (key,) = verdict_of(folder).keys
    for path in segments(folder):
        path.unlink()
    assert [(each.first, each.end) for each in verdict_of(folder).findings] == [(0, ENTRIES)]
    assert repaired(folder).lost_entries == ENTRIES
    assert verdict_of(folder, trusted=key).is_sound


def with_checksum(frame: bytearray) -> bytes:
    from zlib import crc32

    header = bytes(frame[: HEADER_BYTES - CHECKSUM.size])
    return header + CHECKSUM.pack(crc32(header)) + bytes(frame[HEADER_BYTES:])


def test_a_change_with_right_checksums_is_found(folder: Path) -> None:
    from zlib import crc32

    path = segments(folder)[1]
    data = bytearray(path.read_bytes())
    header = header_of(bytes(data))
    data[header.size - 1] ^= 1  # the last byte of an entry
    data[48:52] = CHECKSUM.pack(crc32(data[HEADER_BYTES : header.size]))
    path.write_bytes(with_checksum(data))
    problems = {finding.problem for finding in verdict_of(folder).findings}
    assert any("were changed" in problem for problem in problems)
    assert any("wrong signature" in problem for problem in problems)
    assert any("does not follow" in problem for problem in problems)


def test_frames_that_were_moved_are_found(folder: Path) -> None:
    """Two frames change places, with numbers and checksums made to fit."""
    path = segments(folder)[1]
    data = path.read_bytes()
    one = header_of(data)
    two = header_of(data[one.size :])
    first, second = bytearray(data[: one.size]), bytearray(data[one.size : one.size + two.size])
    first[32:40], second[32:40] = second[32:40], first[32:40]
    path.write_bytes(with_checksum(second) + with_checksum(first) + data[one.size + two.size :])
    found = verdict_of(folder).findings
    assert {"has a wrong signature", "does not follow the frame before it: frames were changed, removed or moved"} <= {
        finding.problem for finding in found
    }


def test_frames_signed_by_a_stranger_are_found(folder: Path, tmp_path: Path) -> None:
    """A stranger writes a whole log anew with a key of his own."""
    genuine = verdict_of(folder)
    forged = LocalLog(tmp_path / "forged", SetClock(), disk=QuickDisk())
    forged.topic("events").append([b"forged"] * ENTRIES).result(WAIT_S)
    forged.close()
    assert verdict_of(tmp_path / "forged").is_sound
    found = verdict_of(tmp_path / "forged", trusted=genuine.keys[0], heads=[genuine.head]).findings
    assert [finding.problem for finding in found] == [
        "is not signed by the given key",
        f"lacks the remembered end before entry {ENTRIES}: it was cut off or changed",
    ]


def test_a_stranger_cannot_go_on_where_a_log_ends(folder: Path, tmp_path: Path) -> None:
    genuine = verdict_of(folder)
    assert genuine.head is not None
    stranger = LocalLog(tmp_path / "other", SetClock(), disk=QuickDisk())
    signer = Signer("events", stranger.key())
    place = Place(bytes.fromhex(genuine.epoch), ENTRIES, SetClock().now(), bytes.fromhex(genuine.head.digest))
    frame, _ = signer.frame(*group(place, [b"forged"]))
    last = segments(folder)[-1]
    last.write_bytes(last.read_bytes() + frame)
    found = verdict_of(folder, trusted=genuine.keys[0]).findings
    assert [finding.problem for finding in found] == ["is signed by another key that nobody handed over to"]


def test_a_damaged_epoch_and_cursor_are_restored(folder: Path) -> None:
    (folder / "topics" / "events" / "epoch").write_text("what?")
    cursor = folder / "cursors" / "events" / "worker"
    data = bytearray(cursor.read_bytes())
    data[600] ^= 1
    cursor.write_bytes(data)
    done = repaired(folder)
    assert done.restored_epoch
    assert done.cursors == ["worker"]
    assert verdict_of(folder).is_sound
    log = LocalLog(folder, SetClock())
    assert log.cursor("worker", "events") is None  # nothing else was left of it: the consumer begins anew
    log.close()


def test_a_log_in_use_is_not_repaired(folder: Path) -> None:
    log = LocalLog(folder, SetClock(), disk=QuickDisk())
    log.topic("events").append([b"a"]).result(WAIT_S)
    with pytest.raises(OutputError, match="is written by another process"):
        repair(LocalLog(folder, SetClock()))
    log.close()


def test_a_folder_that_is_no_log_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is no event log"):
        verify(tmp_path)
