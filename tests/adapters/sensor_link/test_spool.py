from __future__ import annotations

import errno
import os
import random
from collections import Counter
from pathlib import Path

import pytest

from infraspectre.adapters.sensor_link import spool as module
from infraspectre.adapters.sensor_link.spool import LEAST_BYTES, Spool, Tally
from infraspectre.errors import InputError, UsageError


def drained(spool: Spool) -> list[bytes]:
    """Take and acknowledge everything."""
    found = []
    while (taken := spool.take()) is not None:
        held, payload = taken
        found.append(payload)
        spool.acknowledge(held.epoch, held.frame.sequence)
    return found


def balanced(spool: Spool) -> bool:
    account = spool.account()
    lost = account.lost.values()
    out = [account.sent, account.queued, *lost]
    came = [account.recovered, account.received]
    return sum(t.batches for t in came) == sum(t.batches for t in out) and sum(t.flows for t in came) == sum(
        t.flows for t in out
    )


def test_batches_come_back_in_order(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", LEAST_BYTES)
    for number in range(10):
        spool.append(b"batch %d" % number, number + 1)
    assert drained(spool) == [b"batch %d" % number for number in range(10)]
    assert spool.account().sent == Tally(10, 55)
    assert spool.account().queued == Tally()
    assert not list((tmp_path / "spool").glob("*.spool"))


def test_what_was_not_acknowledged_is_there_after_the_process_has_gone(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    for number in range(100):
        spool.append(b"%d" % number * 1000, 1)
    for _ in range(30):
        held, _payload = spool.take() or pytest.fail("nothing there")
        spool.acknowledge(held.epoch, held.frame.sequence)
    spool.take()
    os.close(spool._lock_file)  # the process is gone, without a word
    again = Spool(tmp_path, LEAST_BYTES)
    assert again.epoch != spool.epoch
    assert again.first() == (spool.epoch, 30)
    again.append(b"new", 1)
    assert drained(again) == [*(b"%d" % number * 1000 for number in range(30, 100)), b"new"]
    assert balanced(again)


def test_the_oldest_is_shed_and_what_follows_says_so(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    for number in range(100):
        spool.append(bytes([number]) * 20_000, 2)
    account = spool.account()
    assert account.bytes <= LEAST_BYTES
    assert balanced(spool)
    shed = account.lost["shed"]
    held, payload = spool.take() or pytest.fail("nothing there")
    assert payload[0] == shed.batches == held.frame.sequence
    assert held.lost == {"shed": 2 * shed.batches}
    following, _payload = spool.take() or pytest.fail("nothing there")
    assert not following.lost


def test_what_is_under_way_is_never_shed(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    spool.append(b"first" * 1000, 1)
    held, _ = spool.take() or pytest.fail("nothing there")
    for number in range(100):
        spool.append(bytes([number]) * 20_000, 1)
    spool.rewind()
    for number in range(100):
        spool.append(bytes([number]) * 20_000, 1)
    spool.settle({})
    again, payload = spool.take() or pytest.fail("nothing there")
    assert again is held
    assert payload == b"first" * 1000
    assert balanced(spool)


def test_what_was_shed_stays_shed_after_a_restart(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    spool.append(b"first" * 1000, 1)
    spool.take()
    for number in range(100):
        spool.append(bytes([number]) * 20_000, 3)
    before = [(each.epoch, each.frame.sequence, dict(each.lost)) for each in spool._held]
    os.close(spool._lock_file)
    again = Spool(tmp_path, LEAST_BYTES)
    assert [(each.epoch, each.frame.sequence, dict(each.lost)) for each in again._held] == before
    assert balanced(again)


def test_a_batch_larger_than_the_spool_is_lost_and_counted(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    spool.append(b"x" * LEAST_BYTES, 7)
    assert spool.account().lost == {"shed": Tally(1, 7)}
    spool.append(b"small", 1)
    held, _ = spool.take() or pytest.fail("nothing there")
    assert (held.frame.sequence, held.lost) == (1, {"shed": 7})


def test_refused_batches_are_told_by_the_next(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    spool.append(b"bad", 5)
    spool.append(b"good", 1)
    held, _ = spool.take() or pytest.fail("nothing there")
    with pytest.raises(InputError, match="oldest"):
        spool.refuse(held.epoch, 1)
    spool.refuse(held.epoch, 0)
    following, payload = spool.take() or pytest.fail("nothing there")
    assert (payload, following.lost) == (b"good", {"refused": 5})
    assert balanced(spool)


def test_acknowledgements_of_what_is_not_under_way_are_refused(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    spool.append(b"one", 1)
    with pytest.raises(InputError, match="under way"):
        spool.acknowledge(spool.epoch, 0)


def test_a_changed_batch_is_lost_alone(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    for number in range(3):
        spool.append(b"batch %d" % number, 4)
    [path] = tmp_path.glob("*.spool")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"batch 1", b"botch 1"))
    found = []
    while (taken := spool.take()) is not None:
        found.append((taken[1], dict(taken[0].lost)))
    assert found == [(b"batch 0", {}), (b"batch 2", {"damaged": 4})]
    assert balanced(spool)


@pytest.mark.parametrize("seed", range(5))
def test_any_flipped_bit_is_found(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    spool = Spool(tmp_path, LEAST_BYTES)
    sent = [chance.randbytes(50) for _ in range(10)]
    for payload in sent:
        spool.append(payload, 1)
    os.close(spool._lock_file)
    [path] = tmp_path.glob("*.spool")
    data = bytearray(path.read_bytes())
    data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    path.write_bytes(data)
    again = Spool(tmp_path, LEAST_BYTES)
    found = drained(again)
    assert len(found) < len(sent)
    assert found == [payload for payload in sent if payload in found]
    assert again.account().lost["damaged"].batches > 0
    assert balanced(again)


@pytest.mark.parametrize("cut", range(1, 80, 7))
def test_a_torn_end_costs_the_last_batch_alone(tmp_path: Path, cut: int) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    for number in range(3):
        spool.append(bytes([number]) * 60, 1)
    os.close(spool._lock_file)
    [path] = tmp_path.glob("*.spool")
    os.truncate(path, path.stat().st_size - cut)
    again = Spool(tmp_path, LEAST_BYTES)
    assert drained(again) == [bytes([number]) * 60 for number in range(2)]
    assert balanced(again)


def test_what_a_power_loss_left_as_zeros_is_damage(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    for number in range(3):
        spool.append(bytes([number + 1]) * 60, 1)
    os.close(spool._lock_file)
    [path] = tmp_path.glob("*.spool")
    data = path.read_bytes()
    path.write_bytes(data[:-100] + bytes(100) + bytes(4_096))
    again = Spool(tmp_path, LEAST_BYTES)
    again.append(b"new", 1)
    assert drained(again)[-1] == b"new"
    assert again.account().lost["damaged"].batches > 0
    assert again.epoch != spool.epoch, "no number is used for something else"
    assert balanced(again)


def test_a_full_disk_sheds_the_oldest_and_stays_exact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = module.write_all
    room = 600_000

    def limited(file: int, parts: list[bytes], offset: int) -> None:
        used = sum(path.stat().st_size for path in tmp_path.glob("*.spool"))
        if used + sum(map(len, parts)) > room:
            os.pwrite(file, parts[0], offset)  # a part of it comes onto the disk
            raise OSError(errno.ENOSPC, "full")
        write(file, parts, offset)

    monkeypatch.setattr(module, "write_all", limited)
    spool = Spool(tmp_path, 16 * LEAST_BYTES)
    for number in range(200):
        spool.append(bytes([number]) * 10_000, 1)
    assert balanced(spool)
    assert spool.account().lost["shed"].batches > 0
    found = [payload[0] for payload in drained(spool)]
    assert found == sorted(set(found))
    assert balanced(spool)


def test_a_disk_that_takes_nothing_loses_what_comes_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.EIO, "broken")

    spool = Spool(tmp_path, LEAST_BYTES)
    with monkeypatch.context() as broken:
        broken.setattr(module, "write_all", failing)
        spool.append(b"one", 3)
    spool.append(b"two", 1)
    held, payload = spool.take() or pytest.fail("nothing there")
    assert (payload, held.lost) == (b"two", {"disk": 3})
    assert balanced(spool)


def test_two_sensors_cannot_share_a_spool(tmp_path: Path) -> None:
    spool = Spool(tmp_path, LEAST_BYTES)
    with pytest.raises(UsageError, match="another sensor"):
        Spool(tmp_path, LEAST_BYTES)
    spool.close()
    Spool(tmp_path, LEAST_BYTES).close()


@pytest.mark.parametrize("seed", range(12))
def test_whatever_happens_nothing_is_doubled_or_unaccounted_for(tmp_path: Path, seed: int) -> None:
    """Appends, sends, lost connections and restarts in random order: the server sees each number once, in order."""
    chance = random.Random(seed)
    spool = Spool(tmp_path, LEAST_BYTES)
    seen: list[int] = []
    known: dict[str, int] = {}
    told: Counter[str] = Counter()
    made = 0
    for _ in range(250):
        action = chance.random()
        if action < 0.6:
            spool.append(made.to_bytes(4) + bytes(chance.randrange(60_000)), 1)
            made += 1
        elif action < 0.9:
            for held, payload in filter(None, [spool.take() for _ in range(chance.randrange(8))]):
                sequence = held.frame.sequence
                if sequence >= known.get(held.epoch, 0):
                    seen.append(int.from_bytes(payload[:4]))
                    known[held.epoch] = sequence + 1
                    told += held.lost
                if chance.random() < 0.8:
                    spool.acknowledge(held.epoch, sequence)
        elif action < 0.96:
            spool.rewind()
            if chance.random() < 0.7:
                spool.settle(known)
        else:
            os.close(spool._lock_file)
            spool = Spool(tmp_path, LEAST_BYTES)
        assert spool._flying <= len(spool._held)
        assert balanced(spool)
    spool.rewind()
    spool.settle(known)
    while (taken := spool.take()) is not None:
        seen.append(int.from_bytes(taken[1][:4]))
        told += taken[0].lost
        spool.acknowledge(taken[0].epoch, taken[0].frame.sequence)
    assert seen == sorted(set(seen))
    told += spool._carried
    assert made == len(seen) + told.total()
