"""Tests of rules: files that say which rules fire on a capture, and how often."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from operator import eq, ge, gt, le, lt
from pathlib import Path
from typing import Literal

import msgspec

from infraspectre.adapters.rules.files import TEST_SUFFIX
from infraspectre.adapters.rules.preparation import load
from infraspectre.capture.signatures import AlertSource, Rules
from infraspectre.documents import read_yaml
from infraspectre.errors import InfraSpectreError, InputError

RULE = re.compile(r"(?:([0-9]{1,10}):)?([0-9]{1,10})")
COUNT = re.compile(r"(>=|<=|>|<)?\s*([0-9]{1,18})")
COMPARISONS: dict[str, Callable[[int, int], bool]] = {"": eq, ">=": ge, "<=": le, ">": gt, "<": lt}


class Expectation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Says which rules fire on captures; paths are relative to the file in which it stands."""

    capture: str | list[str]
    expect: dict[int | str, int | str]
    """A number of alerts, or one after >=, <=, > or <, by sid or gid:sid."""
    others: Literal["allowed", "forbidden"] = "allowed"
    """Whether rules that are not named may fire."""
    rules: list[str] = []
    """Rule files and folders, instead of those named on the command line."""
    settings: dict[str, str | int | bool] = {}
    """Settings of Suricata, beside those of the command line."""

    def __post_init__(self) -> None:
        """Refuse what names no rule or no number; raises ValueError."""
        for rule, count in self.expect.items():
            if not RULE.fullmatch(str(rule)):
                raise ValueError(f"expect: {rule} is no sid, nor gid:sid")
            if not COUNT.fullmatch(str(count)):
                raise ValueError(f"expect: {count} is no number of alerts, such as 1 or '>=1'")

    @property
    def captures(self) -> list[str]:
        """Return the captures, one or many."""
        return [self.capture] if isinstance(self.capture, str) else self.capture


class Difference(msgspec.Struct, frozen=True):
    """Says how often a rule fired instead of what was expected."""

    rule: str
    expected: str
    found: int

    def __str__(self) -> str:
        return f"{self.rule}: expected {self.expected}, found {self.found}"


class Verdict(msgspec.Struct, frozen=True):
    """Says whether a test passed, and if not, why."""

    path: str
    is_passed: bool
    differences: list[Difference] = []
    problem: str = ""


def differences(expectation: Expectation, found: Mapping[str, int]) -> list[Difference]:
    """Return the rules that fired otherwise than expected; `found` counts alerts by gid:sid."""
    wanted = {rule_name(rule): str(count) for rule, count in expectation.expect.items()}
    if expectation.others == "forbidden":
        wanted = dict.fromkeys(sorted(found.keys() - wanted.keys()), "0") | wanted
    return [
        Difference(rule, count, found.get(rule, 0)) for rule, count in wanted.items() if not fits(count, found, rule)
    ]


def fits(wanted: str, found: Mapping[str, int], rule: str) -> bool:
    """Tell whether a rule fired as often as a text says."""
    comparison, count = COUNT.fullmatch(wanted).groups()  # type: ignore[union-attr]  # checked when it was read
    return COMPARISONS[comparison or ""](found.get(rule, 0), int(count))


def rule_name(rule: int | str) -> str:
    """Return sid or gid:sid as gid:sid."""
    return str(rule) if ":" in str(rule) else f"1:{rule}"


class Bench:
    """Runs tests of rules, and keeps compiled what several of them need."""

    def __init__(self, rules: Sequence[Path], settings: Mapping[str, str], state: Path | None) -> None:
        """Begin without compiled rules; `rules` are those of tests that name none themselves."""
        self._rules = list(rules)
        self._settings = dict(settings)
        self._state = state
        self._compiled: dict[tuple[tuple[Path, ...], tuple[tuple[str, str], ...]], Rules] = {}

    def verdict(self, path: Path) -> Verdict:
        """Return whether the test in a file passes; what cannot be run fails."""
        try:
            expectation = read_yaml(path, Expectation)
            found = differences(expectation, self._counts(path, expectation))
        except InfraSpectreError as error:
            return Verdict(str(path), is_passed=False, problem=str(error))
        return Verdict(str(path), not found, found)

    def _counts(self, path: Path, expectation: Expectation) -> Counter[str]:
        rules = self._rules_for(path, expectation)
        captures = [str(path.parent / capture) for capture in expectation.captures]
        source = AlertSource(captures, rules)
        events = (msgspec.json.decode(line, type=Event) for lines in source for line in lines.splitlines())
        counts = Counter(f"{event.alert.gid}:{event.alert.signature_id}" for event in events if event.alert)
        if lost := source.account().unreadable:
            raise InputError("; ".join(f"{name}: {reason}" for name, reason in lost.items()), path=path)
        return counts

    def _rules_for(self, path: Path, expectation: Expectation) -> Rules:
        paths = tuple(path.parent / rule for rule in expectation.rules) or tuple(self._rules)
        if not paths:
            raise InputError("names no rules", path=path, remedy="add rules: to the file, or give --rules")
        settings = self._settings | {name: said(value) for name, value in expectation.settings.items()}
        key = (paths, tuple(sorted(settings.items())))
        if key not in self._compiled:
            self._compiled[key] = load(paths, settings, self._state)
        return self._compiled[key]


class EventAlert(msgspec.Struct):
    """Holds which rule raised an alert."""

    gid: int
    signature_id: int


class Event(msgspec.Struct):
    """Holds of an event what tests look at."""

    alert: EventAlert | None = None


def said(value: str | int | bool) -> str:
    """Return a value of a setting as Suricata writes it."""
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)


def expectation_files(paths: Sequence[Path]) -> Iterator[Path]:
    """Yield the tests that paths name: files, and those in and below folders whose names end with TEST_SUFFIX.

    Raises InputError for a path that is not there, and for a folder without tests.
    """
    for path in paths:
        found = sorted(path.rglob(f"*{TEST_SUFFIX}")) if path.is_dir() else [path]
        if not path.exists():
            raise InputError("no such file or folder", path=path)
        if not found:
            raise InputError("holds no tests", path=path, remedy=f"name a folder with files in {TEST_SUFFIX}")
        yield from found
