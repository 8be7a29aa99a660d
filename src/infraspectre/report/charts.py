"""Geometry of the report's pictures, in the units of their view boxes; every layout is deterministic."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from infraspectre.records import Decision, Level
from infraspectre.records.address import is_inside, parse_address
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.times import NANOSECONDS
from infraspectre.report.statistics import FlowStatistics
from infraspectre.report.words import moment

WIDTH = 1000.0
VOLUME_HEIGHT = 110.0
LANE_HEIGHT = 34.0
CHARACTER_WIDTH = 6.3
"""A generous mean for the labels' font."""
MOST_LANES = 12
MOST_NODES = 40
MOST_NODES_OF_INCIDENT = 8
MOST_EDGES = 160
RADIUS = 250.0
LONGEST_NAME = 26
BEND = 0.25
"""How far from the centre the middle of an edge stays; 1 would be a straight line."""


class Bar(msgspec.Struct, frozen=True):
    """Draws the volume of one bin."""

    x: float
    width: float
    height: float
    bytes: int
    began: str


class Lane(msgspec.Struct, frozen=True):
    """Draws one incident from its first to its last activity, with a mark for each detection."""

    rank: int
    y: float
    x: float
    width: float
    marks: list[float]
    label_x: float
    label_anchor: str
    label: str
    decision: Decision


class Tick(msgspec.Struct, frozen=True):
    """Labels a point of the time axis."""

    x: float
    label: str
    anchor: str


class Timeline(msgspec.Struct, frozen=True):
    """Draws traffic and incidents over one time axis."""

    bars: list[Bar]
    lanes: list[Lane]
    ticks: list[Tick]
    hidden: int
    height: float


class Node(msgspec.Struct, frozen=True):
    """Draws a host on the circle; `angle` is that of its label."""

    name: str
    x: float
    y: float
    size: float
    angle: float
    anchor: str
    level: Level | None
    is_inside: bool


class Edge(msgspec.Struct, frozen=True):
    """Draws who began flows with whom, as a curve bent towards the centre."""

    path: str
    width: float
    level: Level | None
    label: str


class Graph(msgspec.Struct, frozen=True):
    """Draws hosts and their relations."""

    nodes: list[Node]
    edges: list[Edge]
    hidden: int
    reach: float
    """How far the longest label goes from the centre."""


def timeline(decisions: Sequence[Decision], stats: FlowStatistics) -> Timeline | None:
    """Lay out traffic and the first incidents over time; None if no time is known."""
    starts = [each.incident.first_seen for each in decisions] + [stats.first_ns or 0] * (stats.first_ns is not None)
    stops = [each.incident.last_seen for each in decisions] + [stats.last_ns or 0] * (stats.last_ns is not None)
    if not starts or not stops:
        return None
    begin, end = min(starts), max(*stops, min(starts) + 1)
    axis = Axis(begin, end)
    lanes = [axis.lane(rank, decision) for rank, decision in enumerate(decisions[:MOST_LANES])]
    height = VOLUME_HEIGHT + LANE_HEIGHT * len(lanes) + 34
    return Timeline(axis.bars(stats), lanes, axis.ticks(), max(len(decisions) - MOST_LANES, 0), height)


class Axis(msgspec.Struct, frozen=True):
    """Maps event time to the width of the picture."""

    begin: int
    end: int

    def x(self, at: int) -> float:
        """Return where a time is drawn."""
        share = (min(max(at, self.begin), self.end) - self.begin) / (self.end - self.begin)
        return round(share * WIDTH, 1)

    def bars(self, stats: FlowStatistics) -> list[Bar]:
        """Draw the volume of each bin, as a share of the largest."""
        largest = max(stats.bins.values(), default=0) or 1
        return [self._bar(number, volume, largest, stats.bin_ns) for number, volume in sorted(stats.bins.items())]

    def _bar(self, number: int, volume: int, largest: int, bin_ns: int) -> Bar:
        x, stop = self.x(number * bin_ns), self.x((number + 1) * bin_ns)
        height = round(volume / largest * (VOLUME_HEIGHT - 14), 1)
        return Bar(x, max(round(stop - x - 0.6, 1), 1.0), max(height, 1.0), volume, moment(number * bin_ns))

    def lane(self, rank: int, decision: Decision) -> Lane:
        """Draw one incident below the volume."""
        incident = decision.incident
        x = min(self.x(incident.first_seen), WIDTH - 4)
        width = max(round(self.x(incident.last_seen) - x, 1), 4.0)
        marks = sorted({self.x(each.at) for each in incident.detections})
        y = VOLUME_HEIGHT + 10 + rank * LANE_HEIGHT
        return Lane(rank + 1, y, x, width, marks, *_label(x, x + width, f"{rank + 1}. {incident.title}"), decision)

    def ticks(self, several: int = 5) -> list[Tick]:
        """Label evenly spaced times; with dates if the axis is longer than a day."""
        span = self.end - self.begin
        skip = 0 if span > 86_400 * NANOSECONDS else 11
        anchors = ["start"] + ["middle"] * (several - 2) + ["end"]
        times = [self.begin + span * step // (several - 1) for step in range(several)]
        return [Tick(self.x(at), moment(at)[skip:], anchor) for at, anchor in zip(times, anchors, strict=True)]


def _label(start: float, stop: float, text: str) -> tuple[float, str, str]:
    """Place a label above a span: from its begin where it fits or has more room, else up to its end; cut it to fit."""
    if WIDTH - start >= min(stop, len(text) * CHARACTER_WIDTH):
        return start, "start", _cut(text, WIDTH - start)
    return stop, "end", _cut(text, stop)


def _cut(text: str, room: float) -> str:
    most = max(int(room / CHARACTER_WIDTH), 8)
    return text if len(text) <= most else text[: most - 1] + "…"


def graph(decisions: Sequence[Decision], stats: FlowStatistics) -> Graph:
    """Lay out the hosts of incidents and the top talkers on a circle, neighbours in address order."""
    levels = host_levels(decisions)
    wanted = [name for each in decisions for name in each.incident.entities[:MOST_NODES_OF_INCIDENT]]
    talkers = sorted(stats.hosts, key=lambda name: (-stats.hosts[name].bytes, name))
    names = list(dict.fromkeys([*list(dict.fromkeys(wanted))[: MOST_NODES * 3 // 4], *talkers]))[:MOST_NODES]
    placed = {node.name: node for node in _circle(sorted(names, key=_address_order), levels, stats)}
    hidden = len(set(stats.hosts) | set(levels)) - len(names) + stats.forgotten_hosts
    reach = RADIUS * 1.1 + CHARACTER_WIDTH * min(max(map(len, names), default=0), LONGEST_NAME)
    return Graph(list(placed.values()), _edges(placed, decisions, stats), hidden, _r(reach))


def host_levels(decisions: Sequence[Decision]) -> dict[str, Level]:
    """Map each host of an incident to its worst level."""
    levels: dict[str, Level] = {}
    for decision in sorted(decisions, key=lambda each: each.threat_score.value):
        levels.update(dict.fromkeys(decision.incident.entities, decision.threat_score.level))
    return levels


def _bytes(stats: FlowStatistics, name: str) -> int:
    return stats.hosts[name].bytes if name in stats.hosts else 0


def _address_order(name: str) -> tuple[bool, int, int, str]:
    address = parse_address(name)
    version, number = (address.version, int(address)) if address else (9, 0)
    return not is_inside(name), version, number, name


def _circle(names: Sequence[str], levels: dict[str, Level], stats: FlowStatistics) -> list[Node]:
    largest = max((_bytes(stats, name) for name in names), default=0) or 1
    return [
        _node(name, 2 * math.pi * place / len(names) - math.pi / 2, levels.get(name), _bytes(stats, name) / largest)
        for place, name in enumerate(names)
    ]


def _node(name: str, turn: float, level: Level | None, share: float) -> Node:
    x, y = RADIUS * math.cos(turn), RADIUS * math.sin(turn)
    leftward = math.cos(turn) < -1e-9
    angle = math.degrees(turn) + (180 if leftward else 0)
    size = round(4 + 7 * math.sqrt(share), 1)
    return Node(name, _r(x), _r(y), size, _r(angle), "end" if leftward else "start", level, is_inside(name))


def _edges(placed: dict[str, Node], decisions: Sequence[Decision], stats: FlowStatistics) -> list[Edge]:
    """Draw the largest pairs, and over them those of incidents, the worst last."""
    pairs = [pair for pair in stats.pairs if pair[0] in placed and pair[1] in placed and pair[0] != pair[1]]
    pairs.sort(key=lambda pair: (-stats.pairs[pair].bytes, pair))
    largest = stats.pairs[pairs[0]].bytes or 1 if pairs else 1
    marked = _incident_pairs(placed, decisions)
    plain = [
        _edge(placed, pair, stats.pairs[pair].bytes / largest, None)
        for pair in pairs[:MOST_EDGES]
        if pair not in marked
    ]
    worst_last = sorted(marked, key=lambda pair: (SEVERITIES.index(marked[pair]), pair))[-MOST_EDGES:]
    return plain + [_edge(placed, pair, 0.3, marked[pair]) for pair in worst_last]


def _incident_pairs(placed: dict[str, Node], decisions: Sequence[Decision]) -> dict[tuple[str, str], Level]:
    pairs: dict[tuple[str, str], Level] = {}
    for decision in sorted(decisions, key=lambda each: each.threat_score.value):
        for each in decision.incident.detections:
            if each.orig in placed and each.resp in placed and each.orig and each.resp and each.orig != each.resp:
                pairs[each.orig, each.resp] = decision.threat_score.level
    return pairs


def _edge(placed: dict[str, Node], pair: tuple[str, str], share: float, level: Level | None) -> Edge:
    start, stop = placed[pair[0]], placed[pair[1]]
    middle = f"{_r((start.x + stop.x) * BEND / 2)},{_r((start.y + stop.y) * BEND / 2)}"
    path = f"M{start.x},{start.y} Q{middle} {stop.x},{stop.y}"
    return Edge(path, _r(0.8 + 3 * math.sqrt(share)), level, f"{pair[0]} to {pair[1]}")


def _r(number: float) -> float:
    return round(number, 1) + 0.0
