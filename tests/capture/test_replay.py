from __future__ import annotations

import time
from collections.abc import Iterator

import polars as pl

from infraspectre.capture.replay import Replay, cut, pieces
from infraspectre.ports import Account
from infraspectre.records.flows import FlowBatch
from link_rooms import flow_rows

S = 1_000_000_000


class Source:
    """Gives flows that end at chosen seconds, a batch for each list of them."""

    def __init__(self, *batches: list[float]) -> None:
        self.batches = batches

    def __iter__(self) -> Iterator[FlowBatch]:
        number = 0
        for seconds in self.batches:
            ended = pl.Series([int(at * S) for at in seconds], dtype=pl.Int64)
            yield FlowBatch(flow_rows(number, len(seconds)).with_columns(ended_at=ended))
            number += len(seconds)

    def account(self) -> Account:
        return Account()

    def progress(self) -> tuple[int, int]:
        return 0, 0

    def alerts(self) -> tuple[()]:
        return ()


def ids(batch: FlowBatch | pl.DataFrame) -> list[int]:
    return (batch.frame if isinstance(batch, FlowBatch) else batch)["flow_id"].to_list()


def test_flows_are_due_when_they_ended() -> None:
    found = [(round(due, 3), ids(batch)) for due, batch in pieces(Source([10, 10.01, 12], [12.5, 14]), 2.0)]
    assert found == [(0.0, [0, 1]), (0.995, [2]), (1.245, [3]), (1.995, [4])]


def test_the_order_of_flows_stays_also_where_an_earlier_one_comes_late() -> None:
    frame = next(iter(Source([10, 13, 11, 14]))).frame
    assert [(at // S, ids(piece)) for at, piece in cut(frame, S)] == [(10, [0]), (13, [1, 2]), (14, [3])]


def test_as_fast_as_possible_gives_the_batches_as_they_are() -> None:
    replay = Replay(Source([1, 100], [1_000]), 0)
    assert [ids(batch) for batch in iter(lambda: replay.read(0.1), None)] == [[0, 1], [2]]
    assert replay.is_done


def test_nothing_is_given_before_it_is_due() -> None:
    replay = Replay(Source([0, 30]), 100.0)
    assert ids(replay.read(1.0) or pl.DataFrame()) == [0]
    assert replay.read(0.01) is None
    assert not replay.is_done
    begun = time.monotonic()
    assert ids(replay.read(5.0) or pl.DataFrame()) == [1]
    assert 0.1 < time.monotonic() - begun < 3


def test_a_replay_ends_when_it_is_told_to() -> None:
    replay = Replay(Source([0, 1_000]), 1.0)
    replay.read(1.0)
    replay.stop()
    assert replay.read(60.0) is None
    assert replay.is_done
