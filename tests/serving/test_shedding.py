from __future__ import annotations

import polars as pl
import pytest

from infraspectre.serving.shedding import Account, Backlog, Waiting, lighten


def flows() -> pl.DataFrame:
    pairs = [(f"10.0.0.{number}", f"10.1.0.{number}") for number in range(100)]
    return pl.DataFrame(
        [
            {"end_reason": "early", "resp_packets": 1, "app_protocol": "dns", "orig_ip": "a", "resp_ip": "b"},
            {"end_reason": "fin", "resp_packets": 1, "app_protocol": "dns", "orig_ip": "a", "resp_ip": "b"},
            {"end_reason": "fin", "resp_packets": 1, "app_protocol": None, "orig_ip": "a", "resp_ip": "b"},
            *(
                {"end_reason": "idle", "resp_packets": 0, "app_protocol": None, "orig_ip": a, "resp_ip": b}
                for a, b in pairs
            ),
        ]
    )


def test_the_higher_the_level_the_less_is_kept_and_every_flow_is_counted() -> None:
    whole, kept = flows(), []
    for level in range(4):
        rest, shed = lighten(whole, level)
        assert len(rest) + sum(shed.values()) == len(whole)
        kept.append(len(rest))
    assert kept[0] == 103
    assert kept[1] == 102
    assert 2 < kept[2] < 25, "one pair of hosts in sixteen is still looked at"
    assert kept[3] == 1


def test_the_same_pairs_are_kept_each_time() -> None:
    assert lighten(flows(), 2)[0].equals(lighten(flows(), 2)[0])


def test_logs_without_a_column_are_not_judged_by_it() -> None:
    frame = flows().select("orig_ip")
    assert lighten(frame, 3) == (frame, {})


@pytest.mark.parametrize(("waiting", "level"), [(0, 0), (49, 0), (50, 1), (70, 2), (90, 3), (100, 3), (101, 4)])
def test_the_level_follows_the_queue(waiting: int, level: int) -> None:
    backlog = Backlog(100, 1 << 30)
    backlog.add(Waiting(0, waiting, 10))
    assert backlog.level == level


def test_bytes_count_as_well_and_what_is_taken_waits_no_more() -> None:
    backlog = Backlog(1 << 30, 100)
    backlog.add(Waiting(0, 1, 60))
    backlog.add(Waiting(1, 1, 60))
    assert (backlog.level, len(backlog)) == (4, 2)
    assert backlog.take().sequence == 0
    assert (backlog.level, backlog.flows, backlog.size) == (1, 1, 60)


def test_the_account_adds_up() -> None:
    account = Account(taken=10, done=4)
    account.drop("unanswered", 3)
    account.drop("unanswered", 0)
    assert (account.queued, account.shed) == (3, {"unanswered": 3})
