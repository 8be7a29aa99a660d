from __future__ import annotations

import gc

import msgspec

from api.stream.stream_fakes import event
from infraspectre.feed.batches import PIECE_SIZE, Batch, Piece, joined
from infraspectre.feed.reader import BLOCK, MOST_SCANNED, Feed, FeedReader
from infraspectre.feed.relevance import Relevance
from infraspectre.feed.selection import Selection
from infraspectre.records.events import Entry, Position
from log_fakes import MemoryLog

ALL = Selection.of("default")


def numbers(events: list[str]) -> list[int]:
    return [msgspec.json.decode(each)["data"]["number"] for each in events]


def test_pages_join_without_gap_or_double_and_tell_where_to_go_on() -> None:
    topic = MemoryLog().topic("feed")
    topic.append([event(number, tenant="default" if number % 3 else "other") for number in range(2_000)])
    feed, position, found = Feed(topic), None, list[int]()
    while True:
        page = feed.page(ALL, position, 70)
        if not page.events:
            break
        position = page.next
        found += numbers(page.events)
    assert found == [number for number in range(2_000) if number % 3]
    assert position == Position(topic.epoch, 2_000)


def test_a_page_looks_at_no_more_than_it_may() -> None:
    topic = MemoryLog().topic("feed")
    topic.append([event(number) for number in range(MOST_SCANNED + BLOCK)])
    page = Feed(topic).page(Selection.of("default", (), ["kind=nothing"]), None, 10)
    assert page.events == []
    assert MOST_SCANNED <= page.next.sequence < MOST_SCANNED + BLOCK


def test_what_is_gone_is_a_gap() -> None:
    topic = MemoryLog().topic("feed")
    topic.append([event(number) for number in range(10)])
    topic.begin = 4
    page = Feed(topic).page(ALL, Position(topic.epoch, 1), 100)
    assert numbers(page.events) == [4, 5, 6, 7, 8, 9]
    assert page.gap is not None
    assert (page.gap.start.sequence, page.gap.end.sequence, page.gap.reason) == (1, 4, "retention")


def test_a_reader_goes_on_where_it_was_done() -> None:
    log = MemoryLog()
    topic = log.topic("feed")
    topic.append([event(0)])
    reader = FeedReader(log, "webhook-1", ALL)
    assert reader.read().events == []
    topic.append([event(1), event(2), event(3)])
    assert numbers(reader.read(2).events) == [1, 2]
    first = reader.read(2)
    assert numbers(first.events) == [1, 2]
    reader.done(first.next)
    again = FeedReader(log, "webhook-1", ALL)
    assert numbers(again.read().events) == [3]


def test_a_reader_is_told_that_the_feed_began_anew() -> None:
    log = MemoryLog()
    log.topic("feed").append([event(0), event(1)])
    reader = FeedReader(log, "webhook-1", ALL)
    reader.done(reader.read().next)
    before = log.topics.pop("feed").epoch
    log.topic("other")
    log.topic("feed").append([event(7)])
    page = FeedReader(log, "webhook-1", ALL).read()
    assert numbers(page.events) == [7]
    assert page.gap is not None
    assert (page.gap.start, page.gap.reason) == (Position(before, 2), "epoch")


def test_what_was_read_is_kept_within_bounds() -> None:
    topic = MemoryLog().topic("feed")
    topic.append([event(number, text="x" * 10_000) for number in range(8_192)])
    feed = Feed(topic)
    for start in range(0, 8_192, BLOCK):
        feed.hold(feed.read(start, BLOCK))
        feed.hold_history(feed.block(start, 8_192))
    assert feed.held(0) is None
    assert (held := feed.held(8_000)) is not None
    assert held.start <= 8_000 < held.end


def test_an_event_is_one_line_that_ends_with_its_position() -> None:
    source = b'{"tenant": "default",\n "channel": "threat", "kind": "a",\r\n "at": "x", "position": "mine"} '
    batch = Batch("e0", 7, [Entry(7, 0, source)], Relevance())
    (piece,) = batch.match(ALL).whole
    assert "\n" not in piece.text
    assert "\r" not in piece.text
    assert piece.text.endswith(',"position":"e0.8"}')
    assert msgspec.json.decode(piece.text)["position"] == "e0.8"


def test_pieces_are_bounded_and_count_what_is_left_out() -> None:
    entries = [Entry(n, 0, event(n, ("low", "high")[n % 2], text="x" * 1_000)) for n in range(300)]
    match = Batch("e0", 0, entries, Relevance()).match(ALL)
    for pieces, kept in ((match.whole, 300), (match.sampled, 180)):
        assert all(piece.size <= PIECE_SIZE for piece in pieces)
        assert sum(piece.events for piece in pieces) == kept
        assert sum(sum(piece.shed) for piece in pieces) == 300 - kept
        assert [piece.end for piece in pieces] == sorted(piece.end for piece in pieces)
        assert pieces[-1].end == 300


def test_searches_for_cycles_do_not_look_at_events_in_memory() -> None:
    topic = MemoryLog().topic("feed")
    topic.append([event(number) for number in range(20)])
    happenings = Feed(topic).read(0, 20).of("default")
    assert [each.relevance for each in happenings] == [happenings[0].relevance] * 20
    gc.collect()  # which finds that tuples of texts need not be looked at
    assert not any(
        map(gc.is_tracked, [*happenings, *(part for each in happenings for part in (each.event, each.event.entities))])
    )


def test_pieces_are_joined_with_what_was_shed() -> None:
    first, none, last = Piece("1,2", 2, (1, 0), 5), Piece("", 0, (3, 0), 7), Piece("3", 1, (0, 1), 9)
    assert joined([first]) is first
    assert joined([first, none, last]) == Piece("1,2,3", 3, (4, 1), 9)
