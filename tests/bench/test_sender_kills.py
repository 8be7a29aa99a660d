from __future__ import annotations

from benches.sender_kills import run

EVENTS, KILLS = 40, 3


def test_every_event_arrives_though_the_sender_is_killed_and_the_receiver_is_down_for_three_days() -> None:
    found = run(EVENTS, KILLS)
    assert (found.killed, found.missing, found.strange) == (KILLS, 0, 0)
    assert found.refused >= 5
    assert (found.progress.delivered, found.progress.dead, found.progress.disabled) == (EVENTS, 0, "")
    assert found.progress.taken == found.progress.delivered
