"""The picture of one incident is deterministic, bounded, and leads from actors to targets."""

from __future__ import annotations

import msgspec

from findings import correlated, finding
from infraspectre.records import Decision, Detection
from infraspectre.reflex import Reflex
from infraspectre.report.stories import MOST_HOSTS, MOST_TRACKS, NODE_WIDTH, WIDTH, picture


def decided(*found: Detection) -> Decision:
    incident = correlated(found)[0]
    return Reflex().decide(msgspec.structs.replace(incident, detections=list(found)))


CHAIN = decided(
    finding(1, "192.0.2.9", "10.0.0.5", at=10, lasting=5),
    finding(2, "10.0.0.5", "10.0.0.6", category="remote_execution", severity="high", at=60),
    finding(3, "10.0.0.6", "192.0.2.1", category="tls_beacon", at=90),
    finding(4, "10.0.0.6", "10.0.0.5", category="remote_execution", at=95),
)


def test_each_step_leads_to_the_right() -> None:
    boxes = {box.whole: box for box in picture(CHAIN).hosts}
    assert [box.x for box in boxes.values()] == sorted(box.x for box in boxes.values())
    assert list(boxes) == ["192.0.2.9", "10.0.0.5", "10.0.0.6", "192.0.2.1"]
    assert [box.is_inside for box in boxes.values()] == [False, True, True, False]
    assert max(box.x for box in boxes.values()) + NODE_WIDTH == WIDTH


def test_arrows_say_what_was_done_and_how_bad_it_is() -> None:
    arrows = {arrow.label.partition(":")[0]: arrow for arrow in picture(CHAIN).arrows}
    assert set(arrows) == {
        "192.0.2.9 to 10.0.0.5", "10.0.0.5 to 10.0.0.6", "10.0.0.6 to 192.0.2.1", "10.0.0.6 to 10.0.0.5",
    }  # fmt: skip
    assert arrows["10.0.0.5 to 10.0.0.6"].level == "high"


def test_findings_lie_where_their_time_is() -> None:
    tracks = picture(CHAIN).tracks
    assert [track.x for track in tracks] == sorted(track.x for track in tracks)
    assert all(track.x <= track.mark <= WIDTH for track in tracks)


def test_many_hosts_and_findings_are_cut_and_counted() -> None:
    many = decided(*(finding(n, "192.0.2.9", f"10.0.0.{n}", at=n) for n in range(1, 60)))
    drawn = picture(many)
    assert len(drawn.hosts) == MOST_HOSTS
    assert len(drawn.tracks) == MOST_TRACKS
    assert drawn.hidden == many.incident.entity_count - MOST_HOSTS == 48


def test_the_same_incident_gives_the_same_picture_and_one_without_targets_gives_none() -> None:
    assert picture(CHAIN) == picture(CHAIN)
    alone = picture(decided(finding(1, "10.0.0.5", None)))
    assert (alone.hosts, alone.arrows, len(alone.tracks)) == ([], [], 1)
