from __future__ import annotations

import pytest

from api.stream.stage import Stage
from api.stream.stream_fakes import Wire, event
from infraspectre.errors import OverloadError
from infraspectre.records.access import Principal


def numbers(wire: Wire) -> list[int]:
    return [each["data"]["number"] for message in wire.of("events") for each in message["events"]]


def test_a_subscriber_gets_what_it_selected_with_the_position_behind_each_event() -> None:
    stage = Stage()
    client, wire = stage.join()
    stage.ask(client, "subscribe", id="a", channels=["threat"], filters=["severity>=high"])
    stage.publish(event(1, "high"), event(2, "low"), event(3, "critical", "system"), event(4, "critical"))
    epoch = stage.topic.epoch
    assert wire.taken[0] == {"type": "subscribed", "subscription": "a", "position": f"{epoch}.0"}
    (message,) = wire.of("events")
    assert [each["position"] for each in message["events"]] == [f"{epoch}.1", f"{epoch}.4"]
    assert message["position"] == f"{epoch}.4"
    assert message["subscription"] == "a"


def test_nothing_of_another_tenant_is_ever_sent() -> None:
    stage = Stage()
    mine, wire = stage.join()
    others, other_wire = stage.join(Principal("other", "eve", "administrator"))
    for client in (mine, others):
        stage.ask(client, "subscribe", id="all")
        stage.ask(client, "subscribe", id="keyed", filters=["entities=10.0.0.1"])
    stage.publish(event(1, tenant="default", entities=("10.0.0.1",)), event(2, tenant="other", entities=("10.0.0.1",)))
    assert numbers(wire) == [1, 1]
    assert numbers(other_wire) == [2, 2]
    late, late_wire = stage.join(Principal("other", "eve", "administrator"))
    stage.ask(late, "subscribe", id="again", resume=f"{stage.topic.epoch}.0")
    stage.replay()
    assert numbers(late_wire) == [2]


def test_what_clients_get_alike_is_written_once_and_never_for_two_tenants() -> None:
    stage = Stage()
    wires = []
    for tenant, name in (("default", "a"), ("default", "a"), ("default", "b"), ("other", "a")):
        client, wire = stage.join(Principal(tenant, "ann", "analyst"))
        stage.ask(client, "subscribe", id=name, filters=["entities=10.0.0.1"])
        wires.append(wire)
    stage.publish(*(event(1, tenant=tenant, entities=("10.0.0.1",)) for tenant in ("default", "other")))
    one, same, renamed, others = (wire.handed[-1] for wire in wires)
    assert one is same
    assert renamed is not one
    assert others is not one
    assert [each["subscription"] for wire in wires for each in wire.of("events")] == ["a", "a", "b", "a"]
    assert [each["events"][0]["tenant"] for wire in wires for each in wire.of("events")] == [*["default"] * 3, "other"]
    assert stage.hub.counts["events"] == 4


def test_subscriptions_of_a_value_are_found_by_it_and_get_each_event_once() -> None:
    stage = Stage()
    client, wire = stage.join()
    stage.ask(client, "subscribe", id="a", filters=["entities=10.0.0.1|10.0.0.2"])
    stage.ask(client, "subscribe", id="b", filters=["subject=x", "severity>=high"])
    stage.publish(
        event(1, entities=("10.0.0.1", "10.0.0.2")),
        event(2, entities=("10.0.0.3",)),
        event(3, "high", subject="x"),
        event(4, "low", subject="x"),
    )
    assert {
        message["subscription"]: [each["data"]["number"] for each in message["events"]] for message in wire.of("events")
    } == {
        "a": [1],
        "b": [3],
    }
    stage.ask(client, "unsubscribe", id="a")
    stage.ask(client, "unsubscribe", id="b")
    stage.publish(event(5, "high", subject="x", entities=("10.0.0.1",)))
    assert numbers(wire) == [1, 3]


def test_who_resumes_gets_history_then_what_happens_without_gap_or_double() -> None:
    stage = Stage()
    stage.publish(*(event(number) for number in range(1_500)))
    client, wire = stage.join()
    stage.ask(client, "subscribe", id="a", resume=f"{stage.topic.epoch}.100")
    for number in range(1_500, 1_520):
        stage.publish(event(number))
        stage.replay()
    assert numbers(wire) == list(range(100, 1_520))
    assert not stage.hub.behind


def test_history_that_is_gone_is_told() -> None:
    stage = Stage()
    stage.publish(*(event(number) for number in range(10)))
    stage.hub.feed._recent.clear()
    stage.topic.begin = 5
    epoch = stage.topic.epoch
    client, wire = stage.join()
    stage.ask(client, "subscribe", id="a", resume=f"{epoch}.2")
    stage.ask(client, "subscribe", id="b", resume="0ld.7")
    stage.ask(client, "subscribe", id="c", resume=f"{epoch}.99")
    stage.replay()
    assert [(each["subscription"], each["from"], each["to"], each["reason"]) for each in wire.of("gap")] == [
        ("a", f"{epoch}.2", f"{epoch}.5", "retention"),
        ("b", "0ld.7", f"{epoch}.5", "epoch"),
        ("c", f"{epoch}.99", f"{epoch}.10", "ahead"),
    ]
    assert numbers(wire) == [5, 6, 7, 8, 9] * 2


def test_an_aggregated_subscription_gets_one_summary_for_each_window() -> None:
    stage = Stage()
    client, wire = stage.join()
    stage.ask(client, "subscribe", id="a", aggregate_s=5)
    stage.publish(event(1, "low", subject="x"), event(2, "high", subject="x"))
    stage.publish(event(3, subject="y"), event(4, "medium", subject="x"))
    stage.wait(4.9)
    assert not wire.of("summary")
    stage.wait(0.2)
    (summary,) = wire.of("summary")
    assert summary["count"] == 4
    assert summary["position"] == f"{stage.topic.epoch}.4"
    assert [(each["subject"], each["count"], each["severity"]) for each in summary["summaries"]] == [
        ("x", 3, "high"),
        ("y", 1, "medium"),
    ]
    assert summary["summaries"][0]["first"] < summary["summaries"][0]["last"]


def test_urgent_subscriptions_are_sent_first() -> None:
    stage = Stage()
    client, wire = stage.join(is_quick=False)
    stage.ask(client, "subscribe", id="all")
    stage.ask(client, "subscribe", id="alarm", priority="urgent", filters=["severity=critical"])
    stage.publish(*(event(number, "low") for number in range(5)), event(5, "critical"))
    while wire.pending:
        wire.take()
        stage.flush()
    assert [message["subscription"] for message in wire.of("events")] == ["alarm", "all"]


@pytest.mark.parametrize(
    ("burst", "problem"), [(20, "nothing was taken for too long"), (250, "more waits than there is room for")]
)
def test_who_takes_nothing_is_closed_harms_nobody_and_loses_nothing(burst: int, problem: str) -> None:
    stage = Stage(queue_size=60_000, queues_size=60_000, least_size=60_000, message_size=8_000)
    slow, wire = stage.join(is_quick=False)
    quick, quick_wire = stage.join()
    for client in (slow, quick):
        stage.ask(client, "subscribe", id="a")
    wire.take()
    number = 0
    while not slow.ending:
        stage.publish(*(event(each) for each in range(number, number + burst)))
        number += burst
        while stage.hub.behind:
            stage.replay()
        stage.wait(0.1)
        assert number < 100_000
    assert slow.ending.code == 1013
    assert numbers(quick_wire) == list(range(number))
    stage.hub.leave(slow)
    last = wire.taken[-1]["position"]
    assert slow.ending.reason.startswith(f"{problem}; resume from {last}")
    again, again_wire = stage.join()
    stage.ask(again, "subscribe", id="a", resume=last)
    while stage.hub.behind:
        stage.replay()
    assert numbers(wire) + numbers(again_wire) == list(range(number))


def test_a_client_that_recovers_climbs_back() -> None:
    stage = Stage(queue_size=60_000, queues_size=60_000, least_size=60_000, message_size=8_000)
    slow, wire = stage.join(is_quick=False)
    stage.ask(slow, "subscribe", id="a")
    wire.take()
    for number in range(0, 3_000, 10):
        stage.publish(*(event(each, "low", subject="s") for each in range(number, number + 10)))
        if number % 500 == 0:
            wire.take()
        stage.wait(0.05)
        if slow.ladder.level == 3:
            break
    wire.is_quick = True
    wire.take()
    for _ in range(400):
        stage.wait(0.3)
    assert slow.ladder.level == 0
    assert slow.ending is None
    total = len(numbers(wire)) + shed_of(wire) + sum(each["count"] for each in wire.of("summary"))
    assert total == stage.topic.end
    levels = [each["level"] for each in wire.of("throttle")]
    assert levels[-3:] == ["sample", "coalesce", "full"]


def shed_of(wire: Wire) -> int:
    return sum(count for message in wire.of("events") for count in message.get("shed", {}).values())


def test_a_window_of_acknowledgement_holds_events_back() -> None:
    stage = Stage()
    client, wire = stage.join()
    stage.ask(client, "subscribe", id="a", window=2)
    for number in range(5):
        stage.publish(event(number))
    assert numbers(wire) == [0, 1]
    stage.ask(client, "ack", id="a", position=f"{stage.topic.epoch}.2")
    assert numbers(wire) == [0, 1, 2, 3, 4]


def test_heartbeats_tell_positions_that_pass_what_was_not_selected() -> None:
    stage = Stage()
    client, wire = stage.join()
    stage.ask(client, "subscribe", id="a", filters=["kind=nothing"])
    stage.publish(event(1), event(2))
    stage.wait(15)
    (heartbeat,) = wire.of("heartbeat")
    assert heartbeat["positions"] == {"a": f"{stage.topic.epoch}.2"}


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"nonsense", "is no JSON object"),
        (b'{"type":' + b"[" * 10_000, "is no JSON object"),
        (b'{"type":"hello"}', "Invalid value 'hello' - at `$.type`"),
        (b'{"type":"subscribe","id":"a\\"b"}', "Expected `str` matching regex"),
        (b'{"type":"subscribe","id":"a","more":1}', "Object contains unknown field `more`"),
        (b'{"type":"subscribe","id":"a","filters":["nothing=1"]}', "cannot be filtered by"),
        (b'{"type":"subscribe","id":"a","filters":["severity>=bad"]}', "cannot be compared so"),
        (b'{"type":"subscribe","id":"a","channels":["weather"]}', "is no channel"),
        (b'{"type":"subscribe","id":"a","resume":"here"}', "is no position"),
        (b'{"type":"unsubscribe","id":"a"}', "is no subscription of this connection"),
        (b'{"type":"ack","id":"a","position":"a.1"}', "is no subscription of this connection"),
        (b"x" * 70_000, "has more than 65536 bytes"),
    ],
)
def test_what_cannot_be_done_is_answered(message: bytes, problem: str) -> None:
    stage = Stage()
    client, wire = stage.join()
    stage.hub.hear(client, message)
    stage.flush()
    (answer,) = wire.of("error")
    assert answer["problem"].startswith(problem)


def test_a_flood_of_messages_ends_the_client() -> None:
    stage = Stage()
    client, wire = stage.join()
    for _ in range(200):
        stage.ask(client, "ping")
    assert client.ending is not None
    assert client.ending.code == 1008
    assert len(wire.of("pong")) == 100


def test_there_are_as_many_clients_and_subscriptions_as_may_be() -> None:
    stage = Stage(clients=3, clients_per_tenant=2, subscriptions=1)
    client, wire = stage.join()
    stage.join()
    with pytest.raises(OverloadError):
        stage.join()
    other = Principal("other", "bob", "viewer")
    stage.join(other)
    with pytest.raises(OverloadError):
        stage.join(other)
    stage.ask(client, "subscribe", id="a")
    stage.ask(client, "subscribe", id="b")
    assert wire.of("error")
    stage.hub.leave(client)
    stage.join()


def test_idle_and_stuck_clients_are_closed() -> None:
    stage = Stage()
    idle, _ = stage.join()
    stuck, _ = stage.join(is_quick=False)
    stage.ask(stuck, "subscribe", id="a")
    stage.wait(31)
    assert stuck.ending is not None
    assert stuck.ending.code == 1013
    stage.wait(30)
    assert idle.ending is not None
    assert idle.ending.code == 1008


def test_what_cannot_be_decoded_is_counted_and_holds_nothing_up() -> None:
    stage = Stage()
    client, wire = stage.join()
    stage.ask(client, "subscribe", id="a")
    stage.publish(event(1), b"\xff", b'{"tenant":1}', event(2))
    assert numbers(wire) == [1, 2]
    assert stage.hub.counts["malformed"] == 2


def test_a_closing_hub_sends_clients_elsewhere() -> None:
    stage = Stage()
    client, _ = stage.join()
    stage.hub.close()
    assert client.ending is not None
    assert client.ending.code == 1001


def test_verdicts_on_the_feed_change_what_is_relevant() -> None:
    stage = Stage()
    client, wire = stage.join()
    stage.ask(client, "subscribe", id="a", filters=["relevance>=0.5", "kind=incident.raised"])
    for number in range(30):
        stage.publish(event(number, subject=f"s{number}", relevance=0.7, category="novelty"))
        stage.publish(event(number, subject=f"s{number}", kind="verdict.given", verdict="false_positive"))
    stage.publish(event(99, subject="other", relevance=0.9, kind="incident.raised", category="beacon", severity="high"))
    shown = numbers(wire)
    assert shown[0] == 0
    assert 5 not in shown
    assert shown[-1] == 99
