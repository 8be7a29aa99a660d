"""What readers of indicators gather: indicators, what is broken, and what says nothing about network traffic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from infraspectre.intel.indicators.values import typed, typed_as
from infraspectre.records.indicators import About, Indicator, IndicatorKind, ThreatReport
from infraspectre.records.rules import Refusal
from infraspectre.records.times import bounded, from_datetime

MOST_REFUSALS = 10_000
"""Broken entries that are named; further ones are counted."""
MOST_INDICATORS = 5_000_000
"""Indicators kept of all sources together, about a gigabyte; further ones are counted as unusable."""
MOST_REPORTS = 100_000
"""Threat reports kept of all sources together."""
MOST_NAMED = 1_000
"""Indicators that one report names."""
MOST_WORDS = 16
"""Labels, threats or techniques kept of one indicator."""
LONGEST_WORD = 120
TLP = {"white": "clear", "clear": "clear", "green": "green", "amber": "amber", "amber+strict": "amber+strict"}
TLP |= {"red": "red"}
"""Names of Traffic Light Protocol 2.0; 1.0 called clear white."""
Record = TypeVar("Record")


class Findings:
    """Gathers what the files of a collection hold; a broken entry is noted and never stops the rest."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.indicators: list[Indicator] = []
        self.refused: list[Refusal] = []
        self.unusable: Counter[str] = Counter()
        self.reports: list[ThreatReport] = []
        self.path = ""

    def take(self, kind: IndicatorKind, text: str, about: About, line: int | None = None) -> None:
        """Add a value of a kind that its source states, or refuse it."""
        try:
            self._add(Indicator(*typed_as(kind, text), about))
        except ValueError as error:
            self.refuse(f"{text[:LONGEST_WORD]!r} {error}", about.reference, line)

    def guess(self, text: str, about: About, line: int | None = None) -> None:
        """Add a value whose kind its form tells, or refuse it."""
        try:
            self._add(Indicator(*typed(text), about))
        except ValueError as error:
            self.refuse(f"{text[:LONGEST_WORD]!r} {error}", about.reference, line)

    def add(self, kind: IndicatorKind, value: str, about: About) -> None:
        """Add a value in its canonical form."""
        self._add(Indicator(kind, value, about))

    def report(self, report: ThreatReport, indicators: Sequence[tuple[IndicatorKind, str]]) -> None:
        """Add what somebody published, with the indicators in it."""
        if len(self.reports) < MOST_REPORTS:
            named = tuple(dict.fromkeys(indicators))
            self.reports.append(
                msgspec.structs.replace(report, indicators=named[:MOST_NAMED], indicator_count=len(named))
            )
        else:
            self.skip(f"comes after the first {MOST_REPORTS:,} reports")

    def since(self, start: int) -> list[tuple[IndicatorKind, str]]:
        """Return the indicators that were added behind the first so many."""
        return [(each.kind, each.value) for each in self.indicators[start:]]

    def refuse(self, reason: str, field: str = "", line: int | None = None) -> None:
        """Note a broken entry, by its line or the identity of its object."""
        if len(self.refused) < MOST_REFUSALS:
            self.refused.append(Refusal(self.path, line, field or None, reason, None))
        else:
            self.unusable["is broken, beyond those that are named"] += 1

    def skip(self, reason: str) -> None:
        """Count a sound entry that flows cannot show."""
        self.unusable[reason] += 1

    def records(self, raw: msgspec.Raw, kind: type[Record]) -> Iterator[Record]:
        """Yield the items of a JSON list as records; broken ones are refused one by one."""
        try:
            yield from msgspec.json.decode(raw, type=list[kind], strict=False)  # type: ignore[valid-type]
            return
        except msgspec.ValidationError:
            items = one_by_one(raw)
        decoder = msgspec.json.Decoder(kind, strict=False)
        for number, item in enumerate(items):
            try:
                yield decoder.decode(item)
            except msgspec.ValidationError as error:
                self.refuse(str(error), identity(item) or f"entry {number + 1}")

    def _add(self, indicator: Indicator) -> None:
        if len(self.indicators) < MOST_INDICATORS:
            self.indicators.append(indicator)
        else:
            self.skip(f"comes after the first {MOST_INDICATORS:,}")


def one_by_one(raw: msgspec.Raw) -> list[msgspec.Raw]:
    """Return the items of a JSON list undecoded; none where it is no list."""
    try:
        return msgspec.json.decode(raw, type=list[msgspec.Raw])
    except msgspec.ValidationError:
        return []


class Identified(msgspec.Struct):
    """Reads how an object calls itself."""

    id: str | int = ""
    uuid: str = ""


def identity(raw: msgspec.Raw) -> str:
    """Return the identity of an object as far as it states one."""
    try:
        found = msgspec.json.decode(raw, type=Identified)
    except msgspec.ValidationError:
        return ""
    return str(found.id or found.uuid)[:LONGEST_WORD]


def words(values: Any) -> tuple[str, ...]:
    """Return the first distinct texts of a list, each shortened."""
    if not values:
        return ()
    if isinstance(values, str):
        values = values.replace(";", ",").replace("|", ",").split(",")
    texts = (value.strip()[:LONGEST_WORD] for value in values or () if isinstance(value, str) and value.strip())
    return tuple(dict.fromkeys(texts))[:MOST_WORDS]


def tlp_in(texts: Any) -> str | None:
    """Return the Traffic Light Protocol that texts such as tlp:amber name."""
    found = (TLP.get(text.lower().removeprefix("tlp:").strip()) for text in texts if isinstance(text, str))
    return next((each for each in found if each), None)


def moment(value: Any) -> int | None:
    """Return a time as nanoseconds since the epoch: ISO 8601 or seconds; None for what is none, or means never."""
    try:
        return bounded(from_datetime(_read(value)))
    except (ValueError, TypeError, OverflowError, OSError):
        return None


def _read(value: Any) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, str) and not value.strip().isdigit():
        return datetime.fromisoformat(value.strip().removesuffix(" UTC"))
    if (seconds := float(value)) <= 0:
        raise ValueError("no time is written as 0")
    return datetime.fromtimestamp(seconds, UTC)
