"""The picture of one incident: its hosts in the order in which it reached them, and its findings over time."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from infraspectre.intel.families import noun
from infraspectre.records import Decision, Detection, Level
from infraspectre.records.address import is_inside
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.words import plural
from infraspectre.report.words import moment

WIDTH = 1000.0
NODE_WIDTH, NODE_HEIGHT, ROW_HEIGHT = 178.0, 26.0, 46.0
TRACK_HEIGHT = 24.0
TRACK_LEFT = 300.0
"""Where the time axis of the findings begins, right of their names."""
MOST_HOSTS = 12
MOST_TRACKS = 10
LONGEST_NAME, LONGEST_TRACK = 24, 44

Pair = tuple[str, str]


class HostBox(msgspec.Struct, frozen=True):
    """Draws a host; `name` is cut to fit, `whole` is not."""

    x: float
    y: float
    name: str
    whole: str
    is_inside: bool


class Arrow(msgspec.Struct, frozen=True):
    """Draws what one host did to another, `level` by its worst finding."""

    path: str
    level: Level
    label: str


class Track(msgspec.Struct, frozen=True):
    """Draws a finding from its begin to its end, and when its detector became sure."""

    y: float
    x: float
    width: float
    mark: float
    level: Level
    label: str
    whole: str


class Picture(msgspec.Struct, frozen=True):
    """Draws one incident."""

    hosts: list[HostBox]
    arrows: list[Arrow]
    tracks: list[Track]
    hosts_height: float
    tracks_height: float
    begin: str
    end: str
    hidden: int
    """Hosts that are not drawn."""


def picture(decision: Decision) -> Picture:
    """Lay out an incident; the same incident gives the same picture."""
    incident = decision.incident
    findings = sorted(incident.detections, key=lambda each: (each.first_seen or each.at, each.at, each.detection_id))
    pairs = _pairs(findings)
    columns = _columns(pairs)
    shown = [name for column in columns for name in column]
    boxes = {box.whole: box for box in _boxes(columns)}
    tallest = max(map(len, columns), default=0)
    tracks = _tracks(findings, incident.first_seen, incident.last_seen)
    return Picture(
        list(boxes.values()), [_arrow(boxes, pair, its) for pair, its in pairs.items() if set(pair) <= set(boxes)],
        tracks, tallest * ROW_HEIGHT, len(tracks) * TRACK_HEIGHT, moment(incident.first_seen),
        moment(incident.last_seen), max(incident.entity_count - len(shown), 0),
    )  # fmt: skip


def _pairs(findings: Sequence[Detection]) -> dict[Pair, list[Detection]]:
    """Group findings by who acted on whom, those of the most hosts that are drawn, first come first."""
    pairs: dict[Pair, list[Detection]] = {}
    hosts: set[str] = set()
    for each in findings:
        if not each.orig or not each.resp or each.orig == each.resp:
            continue
        if len(hosts | {each.orig, each.resp}) <= MOST_HOSTS:
            hosts |= {each.orig, each.resp}
            pairs.setdefault((each.orig, each.resp), []).append(each)
    return pairs


def _columns(pairs: dict[Pair, list[Detection]]) -> list[list[str]]:
    """Put hosts into columns: a target stands right of whoever acted on it first."""
    column: dict[str, int] = {}
    for orig, resp in pairs:
        column.setdefault(orig, 0)
        column.setdefault(resp, column[orig] + 1)
    return [
        [name for name, at in column.items() if at == place] for place in range(max(column.values(), default=-1) + 1)
    ]


def _boxes(columns: list[list[str]]) -> list[HostBox]:
    tallest = max(map(len, columns), default=0) * ROW_HEIGHT
    gap = (WIDTH - NODE_WIDTH) / max(len(columns) - 1, 1)
    return [
        HostBox(
            round(place * gap, 1),
            round((tallest - len(names) * ROW_HEIGHT) / 2 + row * ROW_HEIGHT + (ROW_HEIGHT - NODE_HEIGHT) / 2, 1),
            _cut(name, LONGEST_NAME), name, is_inside(name),
        )
        for place, names in enumerate(columns)
        for row, name in enumerate(names)
    ]  # fmt: skip


def _arrow(boxes: dict[str, HostBox], pair: Pair, findings: Sequence[Detection]) -> Arrow:
    start, stop = boxes[pair[0]], boxes[pair[1]]
    is_forward = stop.x > start.x
    x1 = start.x + NODE_WIDTH if is_forward else start.x
    x2 = stop.x if is_forward else stop.x + NODE_WIDTH
    y1, y2 = start.y + NODE_HEIGHT / 2, stop.y + NODE_HEIGHT / 2
    bend = (x2 - x1) / 2
    path = f"M{x1:g},{y1:g} C{x1 + bend:g},{y1:g} {x2 - bend:g},{y2:g} {x2:g},{y2:g}"
    worst = max((each.severity for each in findings), key=SEVERITIES.index)
    kinds = ", ".join(dict.fromkeys(noun(each.category) for each in findings))
    return Arrow(path, worst, f"{pair[0]} to {pair[1]}: {kinds} ({plural(len(findings), 'finding')})")


def _tracks(findings: Sequence[Detection], begin: int, end: int) -> list[Track]:
    """Draw the most severe findings in order of time."""
    worst = sorted(findings, key=lambda each: (-SEVERITIES.index(each.severity), -each.score, each.detection_id))
    chosen = {each.detection_id for each in worst[:MOST_TRACKS]}
    drawn = [each for each in findings if each.detection_id in chosen]
    return [_track(row, each, begin, end) for row, each in enumerate(drawn)]


def _track(row: int, each: Detection, begin: int, end: int) -> Track:
    def x(at: int) -> float:
        share = (min(max(at, begin), end) - begin) / max(end - begin, 1)
        return round(TRACK_LEFT + share * (WIDTH - TRACK_LEFT - 6), 1)

    start, stop = x(each.first_seen or each.at), x(max(each.last_seen, each.at))
    told = f"{noun(each.category)}, {each.orig or 'unknown'} to {each.resp or 'several'}"
    return Track(
        row * TRACK_HEIGHT, start, max(round(stop - start, 1), 4.0), x(each.at), each.severity,
        _cut(told, LONGEST_TRACK), each.evidence.summary or told,
    )  # fmt: skip


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
