"""Reads own rules from YAML: strictly, with every fault named by file, line and field, and what to do about it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta

from infraspectre.documents import Document, read_document
from infraspectre.errors import InputError
from infraspectre.intel.attack import technique
from infraspectre.intel.families import normal
from infraspectre.intel.rule_files import YAML, yaml_rules
from infraspectre.records import Severity, Technique
from infraspectre.records.times import NANOSECONDS, UNITS
from infraspectre.soma.rules.expression import Kind, condition
from infraspectre.soma.rules.rule import PAIR, Rule, Step, Window
from infraspectre.soma.rules.tokens import RuleError, quantity
from infraspectre.soma.rules.values import Values, named_list

MOST = 100_000
"""Largest count and number of distinct values that a window may wait for: the flows of a window are kept in memory."""
LONGEST_NS = 7 * UNITS["d"]
"""Longest window and sequence."""
IDENTITY = r"^[a-z0-9][a-z0-9-]{0,63}$"

REMEDY = f"their names end in {' or '.join(YAML)}"

Columns = Mapping[str, Kind]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Names = str | list[str]
Number = int | float | str


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Refuses fields that it does not know."""


class WindowText(_Strict, frozen=True):
    """Describes a window as it is written."""

    within: Number
    by: Names = msgspec.field(default_factory=lambda: list(PAIR))
    count: Annotated[int, Meta(ge=1, le=MOST)] | None = None
    distinct: dict[str, Annotated[int, Meta(ge=1, le=MOST)]] = {}
    sum: dict[str, Number] = {}
    rate: str | dict[str, str] | None = None


class StepText(_Strict, frozen=True):
    """Describes a step of a sequence as it is written."""

    when: str
    by: Names | None = None


class SequenceText(_Strict, frozen=True):
    """Describes a sequence as it is written."""

    within: Number
    steps: Annotated[list[str | StepText], Meta(min_length=2, max_length=8)]
    by: Names = msgspec.field(default_factory=lambda: list(PAIR))


class RuleText(_Strict, frozen=True):
    """Describes a rule as it is written."""

    id: Annotated[str, Meta(pattern=IDENTITY)]
    title: Text
    severity: Severity
    when: str | None = None
    window: WindowText | None = None
    sequence: SequenceText | None = None
    confidence: Annotated[float, Meta(gt=0, le=1)] = 0.8
    techniques: list[str] = []
    category: Text | None = None
    description: str = ""
    enabled: bool = True


class FileText(_Strict, frozen=True):
    """Describes a file of own rules as it is written."""

    rules: list[Any] = []
    lists: dict[str, list[str | int | float]] = {}
    yara: list[str] = []
    tests: list[Any] = []


class RuleFile(NamedTuple):
    """Holds what a file of own rules gave: its rules, what is wrong with others, and the rest as it is written."""

    document: Document
    text: FileText
    rules: list[Rule]
    faults: list[InputError]


def load_rules(paths: Sequence[Path], columns: Columns) -> list[Rule]:
    """Read the rules of files and folders for flows with these columns; raises InputError with the first fault."""
    files, faults = read_files(paths, columns)
    if faults:
        first, more = faults[0], len(faults) - 1
        remedy = f"'infraspectre rules check' shows {more} more" if more else first.remedy
        raise InputError(first.problem, path=first.path, line=first.line, field=first.field, remedy=remedy)
    return [rule for file in files for rule in file.rules]


def read_files(paths: Sequence[Path], columns: Columns) -> tuple[list[RuleFile], list[InputError]]:
    """Read the own rules in files and folders; return also everything that is wrong with them."""
    files: list[RuleFile] = []
    faults: list[InputError] = []
    for path in rule_paths(paths):
        with collecting(faults):
            files.append(read_rules(path, columns))
    return files, [*faults, *(fault for file in files for fault in file.faults), *_repeated(files)]


def rule_paths(paths: Sequence[Path]) -> list[Path]:
    """Return the files named, and the files of own rules in the folders named."""
    found = [each for path in paths for each in (_in_folder(path) if path.is_dir() else [_named(path)])]
    return list(dict.fromkeys(found))


def _in_folder(folder: Path) -> list[Path]:
    found = yaml_rules(folder, "own")
    if not found:
        raise InputError("holds no file of own rules", path=folder, remedy=REMEDY)
    return found


def _named(path: Path) -> Path:
    if path.suffix not in YAML:
        raise InputError("is no file of own rules", path=path, remedy=REMEDY)
    return path


def read_rules(path: Path, columns: Columns) -> RuleFile:
    """Read a file of own rules; what is wrong with single rules is collected, what is wrong with the file raised."""
    document = read_document(path)
    file = RuleFile(document, document.part(FileText), [], [])
    lists: dict[str, Values] = {}
    for name, items in file.text.lists.items():
        with collecting(file.faults), placing(document, f"$.lists.{name}"):
            if name in columns:
                raise RuleError("has the name of a field", "choose another name")
            lists[name] = named_list(items)
    for index in range(len(file.text.rules)):
        with collecting(file.faults):
            draft = _Draft(document, f"$.rules[{index}]", columns, lists)
            file.rules.extend([draft.rule()] if draft.text.enabled else [])
    return file


def _repeated(files: Sequence[RuleFile]) -> Iterator[InputError]:
    """Yield a fault for each rule whose identity an earlier rule has."""
    seen: dict[str, str] = {}
    for file in files:
        for index, text in enumerate(file.text.rules):
            identity = text.get("id") if isinstance(text, dict) else None
            if isinstance(identity, str) and identity in seen:
                problem = f"{identity!r} is the identity of a rule in {seen[identity]}, too"
                yield file.document.fault(problem, f"$.rules[{index}].id", "give each rule its own")
            elif isinstance(identity, str):
                seen[identity] = str(file.document.path)


@contextmanager
def collecting(faults: list[InputError]) -> Iterator[None]:
    """Keep an error for later."""
    try:
        yield
    except InputError as fault:
        faults.append(fault)


@contextmanager
def placing(document: Document, field: str) -> Iterator[None]:
    """Say of a fault in which field of which file it is."""
    try:
        yield
    except RuleError as fault:
        raise document.fault(fault.problem, field, fault.remedy) from fault


class _Draft:
    """Makes a rule of its text; raises InputError naming the field at fault."""

    def __init__(self, document: Document, field: str, columns: Columns, lists: Mapping[str, Values]) -> None:
        self.text = document.part(RuleText, field)
        self._document = document
        self._field = field
        self._columns = columns
        self._lists = lists

    def rule(self) -> Rule:
        """Check everything and put the rule together."""
        text = self.text
        self._check_shape()
        return Rule(
            id=text.id,
            title=text.title,
            severity=text.severity,
            probability=text.confidence,
            techniques=tuple(self._techniques()),
            category=normal(text.category or text.id),
            steps=tuple(self._steps()),
            within_ns=self._span("sequence.within", text.sequence.within) if text.sequence else 0,
            window=self._window(text.window) if text.window else None,
        )

    def _check_shape(self) -> None:
        text = self.text
        if (text.when is None) == (text.sequence is None):
            raise self._fault("id", "needs either a condition (when) or a sequence")
        if text.window and text.sequence:
            raise self._fault("window", "does not go with a sequence", "make two rules")

    def _fault(self, place: str, problem: str, remedy: str | None = None) -> InputError:
        return self._document.fault(problem, f"{self._field}.{place}", remedy)

    def _placed(self, place: str) -> AbstractContextManager[None]:
        return placing(self._document, f"{self._field}.{place}")

    def _techniques(self) -> Iterator[Technique]:
        for index, identity in enumerate(self.text.techniques):
            try:
                yield technique(identity)
            except KeyError as error:
                remedy = "write an identity of ATT&CK Enterprise such as T1071.004"
                raise self._fault(f"techniques[{index}]", f"there is no technique {identity!r}", remedy) from error

    def _steps(self) -> Iterator[Step]:
        text = self.text
        if text.when is not None:
            yield self._step("when", text.when, "window.by", text.window.by if text.window else PAIR)
        elif text.sequence:
            for index, step in enumerate(text.sequence.steps):
                place = f"sequence.steps[{index}]"
                if isinstance(step, str):
                    yield self._step(place, step, "sequence.by", text.sequence.by)
                else:
                    yield self._step(f"{place}.when", step.when, f"{place}.by", step.by or text.sequence.by)

    def _step(self, place: str, when: str, by_place: str, by: Names | tuple[str, ...]) -> Step:
        with self._placed(place):
            compiled = condition(when, self._columns, self._lists)
        names = (by,) if isinstance(by, str) else tuple(by)
        if not names:
            raise self._fault(by_place, "names no field", "write the fields whose values the flows share")
        for name in names:
            self._check_field(by_place, name, "have single values", lambda kind: not kind.is_list)
        return Step(compiled, names)

    def _window(self, text: WindowText) -> Window:
        within_ns = self._span("window.within", text.within)
        rates = {"": text.rate} if isinstance(text.rate, str) else text.rate or {}
        least = {name: self._rate(name, rate) * within_ns / NANOSECONDS for name, rate in rates.items()}
        count = max(text.count or 1, math.ceil(least.pop("", 1)))
        sums = {name: self._amount(f"window.sum.{name}", amount) for name, amount in text.sum.items()}
        sums |= {name: max(amount, sums.get(name, 0)) for name, amount in least.items()}
        for name in sums:
            place = f"window.sum.{name}" if name in text.sum else f"window.rate.{name}"
            self._check_field(place, name, "are numbers", lambda kind: kind.base == "number" and not kind.is_list)
        for name in text.distinct:
            self._check_field(f"window.distinct.{name}", name, "have single values", lambda kind: not kind.is_list)
        if count > MOST:
            raise self._fault("window.rate", f"comes to {count:,} flows, more than {MOST:,}", "take a shorter window")
        if count == 1 and not sums and not text.distinct:
            raise self._fault("window", "waits for nothing", "add count, distinct, sum or rate")
        return Window(within_ns, count, dict(text.distinct), sums)

    def _check_field(self, place: str, name: str, wanted: str, fits: Callable[[Kind], bool]) -> None:
        if name not in self._columns:
            raise self._fault(place, f"there is no field {name!r}", "'infraspectre features' lists them")
        if not fits(self._columns[name]):
            raise self._fault(place, f"{name!r} holds {self._columns[name]}", f"name fields that {wanted}")

    def _span(self, place: str, text: Number) -> int:
        with self._placed(place):
            value, dimension = quantity(str(text))
            if dimension != "time":
                raise RuleError(f"{text} is no time", "write a number with a unit, such as 30s, 5m or 12h")
        if not 0 < value <= LONGEST_NS:
            raise self._fault(place, f"{text} is not between 1ns and 7d")
        return round(value)

    def _rate(self, name: str, text: str) -> float:
        """Read an amount per second; one of a field may have its unit."""
        place = f"window.rate.{name}" if name else "window.rate"
        amount, slash, second = text.partition("/")
        if (slash, second) != ("/", "s"):
            raise self._fault(place, f"{text!r} is no rate", "write an amount per second, such as 10/s or 2MB/s")
        return self._amount(place, amount)

    def _amount(self, place: str, text: Number) -> float:
        with self._placed(place):
            value, dimension = quantity(str(text))
            if dimension == "time":
                raise RuleError(f"{text} is a time", "write a number or an amount of bytes")
        if value <= 0:
            raise self._fault(place, f"{text} is not more than 0")
        return float(value)
