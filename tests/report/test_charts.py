from __future__ import annotations

import math

from findings import SECOND, START, correlated, finding
from infraspectre.records import Decision
from infraspectre.reflex import Reflex
from infraspectre.report import FlowStatistics
from infraspectre.report.charts import CHARACTER_WIDTH, MOST_LANES, MOST_NODES, RADIUS, WIDTH, graph, timeline
from infraspectre.report.statistics import Host, Traffic


def decisions(number: int) -> list[Decision]:
    incidents = correlated(finding(n, f"192.0.2.{n}", f"10.0.0.{n}", at=n * 10) for n in range(number))
    return [Reflex().decide(each) for each in incidents]


def busy(hosts: int) -> FlowStatistics:
    names = [f"10.1.0.{number}" for number in range(hosts)]
    return FlowStatistics(
        first_ns=START,
        last_ns=START + 600 * SECOND,
        hosts={name: Host(bytes_sent=number) for number, name in enumerate(names)},
        pairs={(name, names[0]): Traffic(1, 2, number) for number, name in enumerate(names)},
        bins={START // (8 * SECOND) + step: step for step in range(20)},
        bin_ns=8 * SECOND,
    )


def test_no_time_no_timeline() -> None:
    assert timeline([], FlowStatistics()) is None


def test_everything_lies_within_the_timeline() -> None:
    drawn = timeline(decisions(30), busy(3))
    assert drawn is not None
    assert (len(drawn.lanes), drawn.hidden) == (MOST_LANES, 30 - MOST_LANES)
    assert all(lane.x >= 0 and lane.x + lane.width <= WIDTH + 4 for lane in drawn.lanes)
    for lane in drawn.lanes:
        reach = len(lane.label) * CHARACTER_WIDTH * (1 if lane.label_anchor == "start" else -1)
        assert 0 <= lane.label_x + reach <= WIDTH
        assert lane.label.startswith(f"{lane.rank}. ")
    assert all(0 <= bar.x <= WIDTH and bar.height > 0 for bar in drawn.bars)
    assert [tick.x for tick in drawn.ticks] == [0, 250, 500, 750, 1000]


def test_a_single_instant_can_be_drawn() -> None:
    assert timeline(decisions(1), FlowStatistics()) is not None


def test_the_graph_is_bounded_and_keeps_the_hosts_of_incidents() -> None:
    drawn = graph(decisions(3), busy(500))
    names = {node.name for node in drawn.nodes}
    assert len(drawn.nodes) == MOST_NODES
    assert {f"192.0.2.{n}" for n in range(3)} | {f"10.0.0.{n}" for n in range(3)} <= names
    assert drawn.hidden == 500 + 6 - MOST_NODES
    assert all(math.isclose(math.hypot(node.x, node.y), RADIUS, abs_tol=0.2) for node in drawn.nodes)
    assert sum(edge.level is not None for edge in drawn.edges) == 3


def test_an_empty_graph_has_no_nodes() -> None:
    assert graph([], FlowStatistics()).nodes == []
