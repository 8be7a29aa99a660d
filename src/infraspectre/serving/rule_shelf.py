"""The rule shelf: every rule that the settings name, as it stands in its file, and which are switched off."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Literal, NamedTuple

import msgspec
import polars as pl

from infraspectre.adapters.rules.kinds import sorted_rules
from infraspectre.adapters.rules.yaml_rules import (
    check_own,
    check_sigma,
    listed_correlation,
    listed_own,
    listed_sigma,
    shown_rules,
)
from infraspectre.errors import InputError, OverloadError
from infraspectre.intel.families import normal
from infraspectre.intel.rule_files import YAML, files_in, kind_of
from infraspectre.ports import Stored
from infraspectre.records.collections import RULES
from infraspectre.records.queries import Query
from infraspectre.records.rules import ListedRule, Refusal
from infraspectre.records.tables import detections_table
from infraspectre.records.times import UNITS
from infraspectre.serving.platform import Platform
from infraspectre.soma.rules import PREFIX

RuleState = Literal["on", "off", "unseen", "refused"]
"""off: switched off, here or in its file; unseen: it looks at what traffic does not tell; refused: it is wrong."""
PLAIN = re.compile(r"[A-Za-z0-9._-]{1,80}")
MOST_SWITCHED = 1_000
"""Rules of a tenant that may be switched off."""
HITS_DAYS = 30
SWITCHABLE = ("own", "sigma")


class ShelvedRule(NamedTuple):
    """Is a rule in a file, or what should have been one."""

    rule_id: str
    listed: ListedRule
    refusal: Refusal | None = None

    @property
    def file(self) -> str:
        """Return the name of its file, without where that is."""
        return Path(self.listed.path).name


class Hits(NamedTuple):
    """Says how often a rule found something lately, and when last, to the minute; to the day where it found much."""

    found: int
    last: int


class Switch(msgspec.Struct, frozen=True):
    """Is who switched a rule off or on, and when."""

    kind: str
    name: str
    is_enabled: bool
    by: str
    at: int


Shelf = Mapping[str, ShelvedRule]
"""The rules that the settings name, by identity."""


def shelf(platform: Platform) -> Shelf:
    """Return the rules in the files that the settings name, read again once a file has changed."""
    chosen = platform.settings.detection
    paths, correlation = tuple(chosen.rules), tuple(chosen.correlation)
    with READING:
        return read(paths, correlation, tuple(stamps((*paths, *correlation))))


READING = Lock()
"""Is held while rules are read, so that several who ask at once read them once."""


@lru_cache(maxsize=2)
def read(paths: Sequence[str], correlation: Sequence[str], _: Sequence[tuple[str, int, int]]) -> Shelf:
    """Read rules of all kinds; the last argument says as of when."""
    found = sorted_rules([Path(each) for each in paths])
    checks = [check(files) for check, files in ((check_sigma, found.sigma), (check_own, found.own)) if files]
    refused = [each for check in checks for each in check.refused if isinstance(each, Refusal)]
    listed = [
        *listed_sigma(found.sigma),
        *listed_own(found.own),
        *listed_correlation([Path(each) for each in correlation]),
    ]
    return {each.rule_id: each for each in with_reasons(listed, refused)}


def stamps(paths: Iterable[str]) -> Iterator[tuple[str, int, int]]:
    """Yield what tells whether files have changed: their names, sizes and times."""
    for path in map(Path, paths):
        for file in files_in(path, YAML) if path.is_dir() else [path]:
            if file.exists():
                about = file.stat()
                yield str(file), about.st_size, about.st_mtime_ns


def with_reasons(listed: Sequence[ListedRule], refused: Sequence[Refusal]) -> Iterator[ShelvedRule]:
    """Yield rules, each with the reason for which it is refused, and what is wrong with files beside them."""
    reasons: dict[str, list[Refusal]] = defaultdict(list)
    for each in refused:
        reasons[each.path or ""].append(each)
    for place, rule in enumerate(listed):
        following = listed[place + 1].line if place + 1 < len(listed) and listed[place + 1].path == rule.path else None
        own = [each for each in reasons[rule.path] if rule.kind == "own" and is_within(each, rule.line, following)]
        for each in own:
            reasons[rule.path].remove(each)
        yield ShelvedRule(rule_id(rule.kind, rule.name), rule, own[0] if own else None)
    for path, rest in reasons.items():
        yield from (refused_rule(path, each) for each in rest)


def refused_rule(path: str, refusal: Refusal) -> ShelvedRule:
    """Return what stands for a rule of which nothing but the refusal is known."""
    kind: Literal["own", "sigma"] = "own" if kind_of(Path(path)) == "own" else "sigma"
    line = refusal.line or 0
    name = f"{Path(path).name}:{line}"
    listed = ListedRule(kind, path, line, name, name, "informational", "disabled", refusal.reason)
    return ShelvedRule(rule_id("refused", f"{path}:{line}:{refusal.reason}"), listed, refusal)


def is_within(refusal: Refusal, line: int, following: int | None) -> bool:
    """Tell whether what is wrong stands in the lines of a rule."""
    return refusal.line is not None and line <= refusal.line and (following is None or refusal.line < following)


def rule_id(kind: str, name: str) -> str:
    """Return how a rule is called in paths."""
    plain = name if PLAIN.fullmatch(name) else hashlib.blake2b(name.encode(), digest_size=8).hexdigest()
    return f"{kind}-{plain}"


def text_of(rule: ShelvedRule) -> str:
    """Return the text of a rule; nothing for one that cannot be told from the rest of its file."""
    return next((each.text for each in shown_rules([rule.listed])), "")


class RuleBook:
    """Says of the rules of a platform how they are for a tenant, and switches them."""

    def __init__(self, platform: Platform, tenant: str) -> None:
        """Read what the settings name."""
        self._platform, self._tenant = platform, tenant
        self.rules = shelf(platform)
        self._switched = {row.key: switch_of(row) for row in switched(platform, tenant)}

    def state(self, rule: ShelvedRule) -> RuleState:
        """Return whether a rule is looked at."""
        if rule.refusal is not None:
            return "refused"
        if rule.listed.status == "unseen":
            return "unseen"
        switch = self._switched.get(rule.rule_id)
        return "off" if rule.listed.status == "disabled" or (switch and not switch.is_enabled) else "on"

    def switched_by(self, rule: ShelvedRule) -> Switch | None:
        """Return who switched a rule last."""
        return self._switched.get(rule.rule_id)

    def may_switch(self, rule: ShelvedRule) -> bool:
        """Tell whether a rule can be switched; others are by their files, and a reload of the service."""
        is_used = self.state(rule) in ("on", "off") and rule.listed.status == "enabled"
        return rule.listed.kind in SWITCHABLE and is_used

    def switch(self, rule: ShelvedRule, is_enabled: bool, by: str) -> None:
        """Switch a rule for the tenant; raises OverloadError for one too many."""
        if len(self._switched) >= MOST_SWITCHED and rule.rule_id not in self._switched:
            raise OverloadError(f"{MOST_SWITCHED} rules are switched already", remedy="change their files")
        switch = Switch(rule.listed.kind, rule.listed.name, is_enabled, by, self._platform.clock.now())
        self._platform.records.put(self._tenant, RULES, rule.rule_id, msgspec.to_builtins(switch))
        self._switched[rule.rule_id] = switch

    def hits(self) -> dict[str, Hits]:
        """Return how often each rule found something in the last 30 days; Sigma rules of one title count together."""
        by = ("detector", "category")
        counted = self._totals(by).group_by(by).agg(rows=pl.col("rows").sum(), last=pl.col("bucket").max())
        found = {source(row["detector"], row["category"]): Hits(row["rows"], row["last"]) for row in counted.to_dicts()}
        every_rule = ((each.rule_id, each.listed) for each in self.rules.values())
        return {name: found[key] for name, listed in every_rule if (key := source_of(listed)) in found}

    def _totals(self, by: Sequence[str]) -> pl.DataFrame:
        """Count the detections of the last days to the minute; to the day where that would be too many totals."""
        now, table = self._platform.clock.now(), detections_table().name
        start = now - HITS_DAYS * UNITS["d"]
        try:
            return self._platform.tables.totals(self._tenant, table, start, now + 1, by, UNITS["m"])
        except InputError:
            return self._platform.tables.totals(self._tenant, table, start, now + 1, by, UNITS["d"])


def source(detector: str, category: str) -> str:
    """Return what found something: an own rule has a name as detector, all Sigma rules have one."""
    return detector if detector.startswith(PREFIX) else f"{detector}/{category}"


def source_of(rule: ListedRule) -> str:
    """Return how the detections of a rule are told from others."""
    return f"{PREFIX}{rule.name}" if rule.kind == "own" else f"{rule.kind}/{normal(rule.msg)}"


def switched(platform: Platform, tenant: str) -> list[Stored]:
    """Return the rules that a tenant has switched."""
    return platform.records.page(tenant, RULES, Query(limit=MOST_SWITCHED)).rows


def switch_of(stored: Stored) -> Switch:
    """Return who switched a rule."""
    return msgspec.json.decode(stored.body, type=Switch)
