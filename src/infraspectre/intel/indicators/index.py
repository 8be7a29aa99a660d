"""The compact index of indicators: merged, aged, weighed by warninglists, and matched on whole columns at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

import polars as pl

from infraspectre.intel.indicators.findings import words
from infraspectre.intel.indicators.ranges import NOWHERE, Ranges
from infraspectre.intel.indicators.values import endpoint, typed
from infraspectre.intel.indicators.warninglists import HARMLESS, Warninglists, parents
from infraspectre.records.indicators import About, FoundIndicator, Indicator, IndicatorKind

DAY = 86_400 * 1_000_000_000
Space = Literal["address", "endpoint", "domain", "url", "hash", "ja3", "ja3s", "ja4", "hassh", "hassh_server"]
SPACES: dict[IndicatorKind, Space] = {
    "ip": "address",
    "cidr": "address",
    "endpoint": "endpoint",
    "domain": "domain",
    "url": "url",
    "md5": "hash",
    "sha1": "hash",
    "sha256": "hash",
    "ja3": "ja3",
    "ja3s": "ja3s",
    "ja4": "ja4",
    "hassh": "hassh",
    "hassh_server": "hassh_server",
}
"""What values of flows each kind is compared with."""
HALF_LIFE_DAYS: dict[IndicatorKind, float] = {
    "ip": 30,
    "endpoint": 30,
    "cidr": 90,
    "url": 30,
    "domain": 90,
    "ja3": 365,
    "ja3s": 365,
    "ja4": 365,
    "hassh": 365,
    "hassh_server": 365,
    "md5": 3_650,
    "sha1": 3_650,
    "sha256": 3_650,
}
"""Days without news after which half of the confidence is left: addresses change hands within weeks and names are
given up within months (the lifetimes in MISP's decaying models lie around 120 days), tools change their way to greet
by versions, and a hash always means the same bytes."""
UNSTATED = 0.5
"""Confidence where a source states none: possibly true (STIX 2.1, appendix A, scale none/low/med/high)."""
LARGEST = 0.99
TRUST: dict[IndicatorKind, float] = {
    "cidr": 0.8,
    "ja3": 0.6,
    "ja3s": 0.4,
    "ja4": 0.7,
    "hassh": 0.6,
    "hassh_server": 0.5,
}
"""Factor for what several things share: innocent programs built on the same library greet alike, and a server's answer
is the same for many (abuse.ch warns so of its own list of JA3); in a listed network not each address is evil."""
LEAST = 0.1
"""Below so much confidence an indicator says nothing and is not matched."""
ALWAYS = 2**63 - 1
FOUND = {"value": pl.String, "indicator": pl.Int64}
TLP_ORDER = ("clear", "green", "amber", "amber+strict", "red")


class IndicatorIndex:
    """Finds values among indicators; equal ones of several sources are one."""

    def __init__(self, indicators: Iterable[Indicator], warninglists: Warninglists | None = None) -> None:
        """Merge indicators, weigh them by warninglists, and index them; vetoed ones are kept apart from matching."""
        self.indicators = merged(indicators)
        self.warnings = [warninglists.judge(each) if warninglists else HARMLESS for each in self.indicators]
        self._rows = {(each.kind, each.value): row for row, each in enumerate(self.indicators)}
        self._valid_until = pl.Series([each.about.valid_until or ALWAYS for each in self.indicators], dtype=pl.Int64)
        matched = [row for row, warning in enumerate(self.warnings) if warning.factor > 0]
        self._values: dict[Space, dict[str, int]] = {}
        for row in matched:
            self._values.setdefault(SPACES[self.indicators[row].kind], {})[self.indicators[row].value] = row
        networks = [row for row in matched if self.indicators[row].kind in ("ip", "cidr")]
        self._ranges = Ranges((self.indicators[row].value, row) for row in networks)

    def __len__(self) -> int:
        return len(self.indicators)

    @property
    def spaces(self) -> frozenset[Space]:
        """Return what there is something to match of."""
        return frozenset(self._values)

    def match(self, space: Space, values: pl.Series) -> pl.DataFrame:
        """Return those of some values that indicators name: value, indicator (its row) and valid_until."""
        distinct = values.drop_nulls().unique(maintain_order=True).alias("value")
        rows = self._ranges.find(distinct) if space == "address" else self._looked_up(space, distinct.to_list())
        found = pl.DataFrame({"value": distinct, "indicator": rows}, schema=FOUND).filter(
            pl.col("indicator") != NOWHERE
        )
        return found.with_columns(valid_until=self._valid_until.gather(found["indicator"]))

    def row(self, kind: IndicatorKind, value: str) -> int | None:
        """Return the row of an indicator in its canonical form; None where there is none."""
        return self._rows.get((kind, value))

    def confidence(self, row: int, at: int) -> float:
        """Return how much an indicator is worth at a time: what its sources say, aged, and by warninglists and kind."""
        indicator = self.indicators[row]
        about, kind = indicator.about, indicator.kind
        worth = (UNSTATED if about.confidence is None else about.confidence) * self.warnings[row].factor
        told_at = about.last_seen or about.first_seen
        age = max(at - told_at, 0) / DAY if told_at else 0.0
        return float(min(worth * TRUST.get(kind, 1.0) * 0.5 ** (age / HALF_LIFE_DAYS[kind]), LARGEST))

    def find(self, text: str, at: int | None = None) -> list[FoundIndicator]:
        """Return all that names a value or lies around it: its network, the names above it, its host."""
        rows = dict.fromkeys(row for value in _asked(text) for row in self._named(*value))
        return [self._found(row, at) for row in rows]

    def _found(self, row: int, at: int | None) -> FoundIndicator:
        indicator, warning = self.indicators[row], self.warnings[row]
        at = at or indicator.about.last_seen or 0
        expired = (indicator.about.valid_until or ALWAYS) < at
        return FoundIndicator(indicator, round(self.confidence(row, at), 4), expired, warning.reason)

    def _named(self, kind: IndicatorKind, value: str) -> Iterator[int]:
        """Yield the rows that name a value, vetoed ones too."""
        if (kind, value) in self._rows:
            yield self._rows[kind, value]
        if kind == "ip":
            yield from (int(row) for row in self._ranges.find([value]) if row != NOWHERE)
            yield from (row for (each, text), row in self._rows.items() if each == "endpoint" and _is_at(text, value))
        if kind == "md5":
            yield from (self._rows[other, value] for other in SAME_FORM if (other, value) in self._rows)
        if kind == "domain":
            above = value.partition(".")[2]
            yield from self._named("domain", above) if "." in above else ()

    def _looked_up(self, space: Space, values: Sequence[str]) -> list[int]:
        """Return the rows of values; of a name that nothing names, that of the longest name above it."""
        known = self._values.get(space, {})
        if space != "domain" or not known:
            return [known.get(value, NOWHERE) for value in values]
        return [next((known[name] for name in (value, *parents(value)) if name in known), NOWHERE) for value in values]


SAME_FORM: tuple[IndicatorKind, ...] = ("ja3", "ja3s", "hassh", "hassh_server")
"""Kinds whose values look like MD5, as they are."""


def _asked(text: str) -> list[tuple[IndicatorKind, str]]:
    """Return what a text that somebody looks up may be; a URL stands for its host, too."""
    kind, value = typed(text)
    if kind == "url":
        host = value.partition("/")[0]
        return [(kind, value), typed(host)]
    if kind == "endpoint":
        return [(kind, value), typed(value.rpartition(":")[0].strip("[]"))]
    return [(kind, value)]


def _is_at(text: str, address: str) -> bool:
    return text == endpoint(address, int(text.rpartition(":")[2]))


def merged(indicators: Iterable[Indicator]) -> list[Indicator]:
    """Return each value once, with all that its sources say."""
    found: dict[tuple[str, str], Indicator] = {}
    for each in indicators:
        key = (each.kind, each.value)
        known = found.get(key)
        found[key] = each if known is None else Indicator(each.kind, each.value, joined(known.about, each.about))
    return list(found.values())


def joined(one: About, other: About) -> About:
    """Join what two sources say: they support each other (noisy or), one source counts once, in its last words."""
    if one == other:
        return one
    is_same = set(one.sources) >= set(other.sources)
    return About(
        sources=words([*one.sources, *other.sources]),
        confidence=_supported(one.confidence, other.confidence, is_same=is_same),
        first_seen=_of(min, one.first_seen, other.first_seen),
        last_seen=_of(max, one.last_seen, other.last_seen),
        valid_until=max(one.valid_until, other.valid_until) if one.valid_until and other.valid_until else None,
        labels=words([*one.labels, *other.labels]),
        threats=words([*one.threats, *other.threats]),
        techniques=words([*one.techniques, *other.techniques]),
        tlp=max(filter(None, (one.tlp, other.tlp)), key=TLP_ORDER.index, default=None),
        reference=one.reference or other.reference,
    )


def _supported(one: float | None, other: float | None, *, is_same: bool) -> float | None:
    stated = [each for each in (one, other) if each is not None]
    if is_same:
        return max(stated, default=None)
    first, second = (UNSTATED if each is None else each for each in (one, other))
    return min(1 - (1 - first) * (1 - second), LARGEST)


def _of(choose: type | object, *values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return choose(known) if known and callable(choose) else None
