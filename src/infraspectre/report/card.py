"""Renders the report card of a model as one self-contained HTML file with its pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import msgspec

from infraspectre.files import write_whole
from infraspectre.learning.deciding import Deciding
from infraspectre.learning.measures import Bin
from infraspectre.learning.report_card import Histogram, ReportCard
from infraspectre.report.render import environment

SIDE = 300.0
"""Width and height of a square picture, in the units of its view box."""
WIDTH = 640.0
HEIGHT = 200.0
LARGEST_DOT = 11.0
MOST_WEIGHTS = 20
WEIGHT_HEIGHT = 22.0
WEIGHT_WIDTH = 380.0
LONGEST_LABEL = 30
NOTHING = "-"
LOWEST_RATE = 1e-4
"""Where the logarithmic axis of false positive rates begins."""


class Dot(msgspec.Struct, frozen=True):
    """Draws a bin of the reliability plot: where, how large, its interval, and what it says."""

    x: float
    y: float
    radius: float
    low: float
    high: float
    text: str


class Column(msgspec.Struct, frozen=True):
    """Draws a bin of the histogram: the benign share upward in one colour and the hostile in another."""

    x: float
    width: float
    benign: float
    hostile: float
    text: str


class Weight(msgspec.Struct, frozen=True):
    """Draws how much a column decides: a bar, and within it the part for being unusual."""

    y: float
    width: float
    unusual: float
    label: str
    value: str
    text: str


def render_card(card: ReportCard, path: Path) -> None:
    """Write the report card as HTML; raises OutputError."""
    write_whole(path, html(card).encode("utf-8", errors="replace"))


def html(card: ReportCard) -> str:
    """Return the report card as text; the same card gives the same text."""
    texts = environment()
    texts.filters.update(percent=percent, number=number, ratio=ratio)
    return texts.get_template("card.html").render(
        card=card,
        dots=dots(card.calibration.bins),
        columns=columns(card.histogram),
        weights=weights(card.deciding),
        marks=[mark(point.threshold, card.histogram) for point in card.operating_points],
        roc=path_of([(x, y) for x, y in card.ranking.curve]),
        early=path_of([(logarithmic(max(x, LOWEST_RATE)), y) for x, y in card.ranking.curve]),
        guesses=sorted({guess for row in card.confusion.values() for guess in row}),
    )  # fmt: skip


def percent(share: float) -> str:
    """Write a share as a percentage, with three figures where it is small; a dash where there is none."""
    if math.isnan(share):
        return NOTHING
    return f"{share * 100:.3g}%" if share < 0.1 else f"{share * 100:.1f}%"


def number(value: float) -> str:
    """Write a measure with four digits after the point; a dash where there is none."""
    return f"{value:.4f}" if math.isfinite(value) else NOTHING


def ratio(value: float) -> str:
    """Write a ratio with two digits after the point; a dash where there is none."""
    return f"{value:.2f}" if math.isfinite(value) else NOTHING


def dots(bins: Sequence[Bin]) -> list[Dot]:
    """Place bins by what was predicted and what was observed; the area of a dot is in proportion to the rows' root."""
    most = max((each.rows for each in bins), default=1)
    return [
        Dot(
            round(each.predicted * SIDE, 1),
            round((1 - each.observed) * SIDE, 1),
            round(max(2.5, LARGEST_DOT * (each.rows / most) ** 0.25), 1),
            round(each.low * SIDE, 1),
            round(each.high * SIDE, 1),
            f"{each.rows:,} rows: {percent(each.predicted)} predicted, {percent(each.observed)} hostile",
        )
        for each in bins
    ]


def columns(histogram: Histogram) -> list[Column]:
    """Place bins by score; each side is drawn as the root of its share, so that rare scores can be seen."""
    sides = [[count / (sum(side) or 1) for count in side] for side in (histogram.benign, histogram.hostile)]
    most = max(max(side) for side in sides) or 1.0
    width = WIDTH / len(histogram.benign)
    return [
        Column(
            round(place * width, 1),
            round(width / 2 - 0.5, 1),
            round(math.sqrt(benign / most) * HEIGHT, 1),
            round(math.sqrt(hostile / most) * HEIGHT, 1),
            f"score {histogram.edges[place]:.4g} to {histogram.edges[place + 1]:.4g}: "
            f"{histogram.benign[place]:,} benign, {histogram.hostile[place]:,} hostile",
        )
        for place, (benign, hostile) in enumerate(zip(*sides, strict=True))
    ]


def weights(deciding: Sequence[Deciding]) -> list[Weight]:
    """Place a bar for each of the most important columns, one below the other."""
    most = max((each.contribution for each in deciding), default=0.0) or 1.0
    shown = [each for each in deciding[:MOST_WEIGHTS] if each.contribution > 0]
    return [
        _weight(each, place * WEIGHT_HEIGHT, each.contribution / most * WEIGHT_WIDTH)
        for place, each in enumerate(shown)
    ]


def _weight(each: Deciding, y: float, width: float) -> Weight:
    unusual = min(1.0, each.unusual / each.contribution)
    sides = (("hostile", each.hostile), ("benign", each.benign))
    means = ", ".join(f"{value:+.3f} where {side}" for side, value in sides if value is not None)
    label = each.column if len(each.column) <= LONGEST_LABEL else each.column[: LONGEST_LABEL - 1] + "…"
    text = f"{each.column}: {means}; {percent(unusual)} for being unusual"
    return Weight(y, round(width, 1), round(width * unusual, 1), label, f"{each.contribution:.3f}", text)


def mark(threshold: float, histogram: Histogram) -> float:
    """Return where a threshold lies in the histogram."""
    first, last = histogram.edges[0], histogram.edges[-1]
    return round(min(max((threshold - first) / (last - first), 0.0), 1.0) * WIDTH, 1)


def logarithmic(share: float) -> float:
    """Map LOWEST_RATE to 0 and 1 to 1, by the logarithm."""
    return max(0.0, 1 - math.log10(share) / math.log10(LOWEST_RATE))


def path_of(points: Sequence[tuple[float, float]]) -> str:
    """Return points of the unit square as the path of a line."""
    return "M" + " L".join(f"{x * SIDE:.1f},{(1 - y) * SIDE:.1f}" for x, y in points) if points else ""
