"""Packets behind incidents: asked for, collected from sensors, kept within bounds, and gone when their time is over."""

from __future__ import annotations

import asyncio
import hashlib
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from evidence_rooms import HEAD, Sensors, collected, filled
from infraspectre.adapters.sensor_link.spool import LEAST_BYTES, Spool
from infraspectre.capture import CaptureSource
from infraspectre.capture.ring import PacketRing
from infraspectre.capture.settings import RingSettings
from infraspectre.errors import InputError
from infraspectre.records.collections import EVIDENCE, INCIDENTS
from infraspectre.records.evidence import EvidenceRecord
from infraspectre.records.feed import FEED_TOPIC, FeedEvent
from infraspectre.records.times import UNITS
from infraspectre.serving.collecting import PacketSensors
from infraspectre.serving.evidence import PLATFORM, Evidence, Vigil, evidence_tasks, files_of
from infraspectre.serving.investigation import Investigation
from infraspectre.serving.platform import Platform
from infraspectre.storebook import erase
from link_rooms import sending, serving, until
from log_fakes import MemoryLog, SetClock

SAMPLE = Path(__file__).parents[2] / "examples" / "sample.pcap.gz"
Room = tuple[Platform, SetClock, list[str]]


@pytest.fixture
def room(tmp_path: Path, analyzed: Path) -> Iterator[Room]:
    with filled(tmp_path / "store", analyzed) as made:
        yield made


def asked(room: Room, sensors: PacketSensors, place: int = 0) -> EvidenceRecord:
    """What becomes of asking for the packets of an incident."""
    platform, clock, incidents = room
    evidence = Evidence(platform, "default")
    assert evidence.ask(incidents[place], "ada").state == "waiting"
    collected(platform, clock, sensors)
    return evidence.known(incidents[place])


def packets(platform: Platform, record: EvidenceRecord) -> bytes:
    return b"".join(Evidence(platform, "default").parts(record))


@pytest.fixture
def reached(tmp_path: Path) -> Iterator[PacketSensors]:
    """A server that has a sensor with the bundled capture in its ring, over the link."""
    sensors, ready, loop = PacketSensors(), threading.Event(), asyncio.new_event_loop()
    stopped = asyncio.Event()
    ring = PacketRing(RingSettings(str(tmp_path / "ring"), 16 << 20))
    ring.copy([str(SAMPLE)])

    async def serve() -> None:
        spool = Spool(tmp_path / "spool", 64 * LEAST_BYTES)
        async with (
            serving(MemoryLog(), None) as (listener, port),
            sending(spool, port, ring=ring) as link,
        ):
            await until(lambda: link.state.is_connected)
            sensors.follow(listener)
            ready.set()
            await stopped.wait()
        spool.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield sensors
    loop.call_soon_threadsafe(stopped.set)
    thread.join()
    loop.close()
    ring.close()


def test_the_packets_behind_an_incident_come_from_the_ring_of_a_sensor(
    room: Room, reached: PacketSensors, tmp_path: Path
) -> None:
    platform, _, incidents = room
    record = asked(room, reached)
    stored = platform.records.get("default", INCIDENTS, incidents[0])
    assert stored is not None
    behind = Investigation(platform, "default", stored)
    columns = ("flow_id", "orig_packets", "resp_packets", "orig_ip", "resp_ip")
    flows = behind.flows(behind.flow_ids(), columns)
    assert record.packets == sum(each["orig_packets"] + each["resp_packets"] for each in flows) > 0
    assert record.state in ("complete", "partial")
    assert (record.flows, record.asked_by, len(record.sensors)) == (len(flows), "ada", 1)
    whole = packets(platform, record)
    assert (len(whole), hashlib.sha256(whole).hexdigest()) == (record.bytes, record.sha256)
    (tmp_path / "found.pcapng").write_bytes(whole)
    again = [row for batch in CaptureSource([str(tmp_path / "found.pcapng")]) for row in batch.frame.to_dicts()]
    assert {row["orig_ip"] for row in again} | {row["resp_ip"] for row in again} == set(record.hosts)
    path = files_of(platform).path("default", record.file)
    assert (path.stat().st_mode & 0o777, path.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_one_sensor_that_fails_costs_nothing_of_another(room: Room) -> None:
    record = asked(room, Sensors(first=[b"a"], broken="the disk is broken", last=[b"b", b"c", b"d"], empty=[]))
    assert packets(room[0], record) == HEAD + b"a" + HEAD + b"bcd"
    assert (record.state, record.packets) == ("partial", 4)
    assert record.reasons == ["broken: the disk is broken", "last: the ring is short"]
    assert [(each.sensor, each.packets, each.bytes) for each in record.sensors] == [
        ("first", 1, 5), ("broken", 0, 0), ("last", 3, 7), ("empty", 0, 0),
    ]  # fmt: skip


def test_what_is_complete_says_so_and_what_is_missing_too(room: Room) -> None:
    assert asked(room, Sensors(one=[b"a"])).state == "complete"
    missing = asked(room, Sensors(one=[]), 1)
    assert (missing.state, missing.file, missing.expires_at) == ("missing", "", 0)
    with pytest.raises(InputError, match="no packets"):
        packets(room[0], missing)


def test_without_a_sensor_it_fails_and_says_why(room: Room) -> None:
    record = asked(room, Sensors())
    assert record.state == "failed"
    assert "no sensor that keeps packets is connected" in record.reasons[0]


def test_who_asks_again_does_not_lose_what_is_there(room: Room) -> None:
    before = asked(room, Sensors(one=[b"a", b"b"]))
    after = asked(room, Sensors(one=[b"a"]))
    assert (after.file, after.packets, after.state) == (before.file, 2, "partial")
    assert "had fewer packets than before" in after.reasons[-1]
    assert packets(room[0], after) == HEAD + b"ab"


def test_nothing_is_asked_twice_at_once(room: Room) -> None:
    platform, clock, incidents = room
    evidence, sensors = Evidence(platform, "default"), Sensors(one=[b"a"])
    first = evidence.ask(incidents[0], "ada")
    assert evidence.ask(incidents[0], "bob") == first
    collected(platform, clock, sensors)
    assert len(sensors.orders) == 1


def test_packets_are_bounded_for_one_incident_and_for_all(tmp_path: Path, analyzed: Path) -> None:
    with filled(tmp_path / "a", analyzed, incident_bytes=1 << 16) as room:
        record = asked(room, Sensors(one=[bytes(1 << 17)], two=[b"x"]))
        assert [each.packets for each in record.sensors] == [0, 1]
        assert "too large" in record.reasons[0]
    with filled(tmp_path / "b", analyzed, total_bytes=1) as room:
        assert "no room for more packets" in asked(room, Sensors(one=[b"a"])).reasons[0]


def test_packets_that_were_changed_are_not_given_out(room: Room) -> None:
    record = asked(room, Sensors(one=[b"a"]))
    path = files_of(room[0]).path("default", record.file)
    path.write_bytes(HEAD + b"b")
    with pytest.raises(InputError, match="changed on the disk"):
        packets(room[0], record)
    path.unlink()
    with pytest.raises(InputError, match="are gone"):
        packets(room[0], record)


def tell(platform: Platform, incident: str, severity: str, kind: str = "incident.raised") -> None:
    event = FeedEvent("default", "threat", kind, "", incident, severity)  # type: ignore[arg-type]
    platform.log.topic(FEED_TOPIC).append([msgspec.json.encode(event)]).result()


def test_sensors_are_asked_once_an_incident_is_grave(room: Room) -> None:
    platform, clock, incidents = room
    sensors = Sensors(one=[b"a"])
    tell(platform, incidents[0], "critical")  # before the first start: whatever was told is history
    vigil, evidence = Vigil(platform, sensors.keepers), Evidence(platform, "default")
    tell(platform, incidents[0], "medium")
    tell(platform, incidents[1], "high")
    tell(platform, incidents[2], "critical", "incident.merged")
    vigil.step()
    assert [evidence.known(each).state for each in incidents[:3]] == ["none", "waiting", "none"]
    collected(platform, clock, sensors)
    again = Vigil(platform, sensors.keepers)
    tell(platform, incidents[1], "high", "incident.updated")
    again.step()
    assert (evidence.known(incidents[1]).state, evidence.known(incidents[1]).asked_by) == ("complete", PLATFORM)
    tell(platform, incidents[1], "critical", "incident.updated")
    again.step()
    assert evidence.known(incidents[1]).state == "waiting"


def test_nobody_is_asked_where_no_sensor_keeps_packets_or_the_settings_say_never(
    tmp_path: Path, analyzed: Path
) -> None:
    for name, level, sensors in (("a", "high", Sensors()), ("b", "never", Sensors(one=[b"a"]))):
        with filled(tmp_path / name, analyzed, level=level) as (platform, _, incidents):
            vigil = Vigil(platform, sensors.keepers)
            tell(platform, incidents[0], "critical")
            vigil.step()
            assert Evidence(platform, "default").known(incidents[0]).state == "none"


def test_packets_go_when_their_time_is_over_or_their_incident_is_gone(room: Room) -> None:
    platform, clock, incidents = room
    records = [asked(room, Sensors(one=[b"a"]), place) for place in (0, 1, 2)]
    files, tidy = files_of(platform), evidence_tasks(platform)["evidence"]
    for path in (files.path("default", each.file) for each in records):
        os.utime(path, (0, 0))
    platform.records.delete("default", INCIDENTS, incidents[1])
    clock.time = records[0].expires_at
    kept = Evidence(platform, "default").known(incidents[2])
    Evidence(platform, "default").put(incidents[2], msgspec.structs.replace(kept, expires_at=clock.time + 1))
    (files.path("default", kept.file).parent / f"{'0' * 32}.pcapng").write_bytes(b"nobody's, but young")
    os.utime(files.path("default", f"{'0' * 32}.pcapng"), (clock.time / UNITS["s"],) * 2)
    tidy()
    assert sorted(path.name for path in (tmp_files(platform))) == sorted([kept.file, f"{'0' * 32}.pcapng"])
    assert [platform.records.get("default", EVIDENCE, each) is None for each in incidents[:3]] == [True, True, False]


def tmp_files(platform: Platform) -> list[Path]:
    return sorted((Path(platform.settings.store.folder) / "evidence" / "default").iterdir())


def test_who_is_erased_is_erased_from_packets_too(room: Room) -> None:
    platform, _, incidents = room
    first = asked(room, Sensors(one=[b"GET /", b" user=Ada.Lovelace;"]), 0)
    other = asked(room, Sensors(one=[b"nothing"]), 1)
    place = Path(platform.settings.store.folder) / "records.db"
    erased = erase(place, "default", "ada.lovelace", None)
    assert (erased.captures, [path.name for path in tmp_files(platform)]) == (1, [other.file])
    known = Evidence(platform, "default").known(incidents[0])
    assert (known.state, known.file, known.reasons) == ("missing", "", ["they were erased"])
    assert first.hosts
    assert erase(place, "other", other.hosts[0], None).captures == 0
    assert erase(place, "default", other.hosts[0], "host-1").captures == 1
    assert not tmp_files(platform)
