"""Own rules at work: the fields that they may name, and the tests that stand beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl

from infraspectre._core import feature_schema
from infraspectre.axon import Axon
from infraspectre.axon.features import FEATURES
from infraspectre.records import FlowBatch
from infraspectre.records.rules import Refusal
from infraspectre.records.times import NANOSECONDS, bounded, from_datetime
from infraspectre.soma import Soma
from infraspectre.soma.rules import (
    PREFIX,
    Kind,
    OwnRules,
    Rule,
    RuleError,
    RuleFile,
    collecting,
    in_unit,
    placing,
    quantity,
    read_files,
)

START = from_datetime(datetime(2025, 1, 6))
"""Time at which the flows of a test begin unless it says otherwise: Monday, 6 January 2025, 00:00 UTC."""
MOST_ROWS = 100_000
"""Most flows that a test may describe."""
IDENTITY: dict[str, Any] = {"orig_ip": "192.0.2.1", "resp_ip": "192.0.2.2", "protocol": "tcp", "duration_ms": 0}
"""What a flow of a test is unless it says otherwise; the addresses are those for documents (RFC 5737)."""
TYPES: dict[str, pl.DataType] = {
    "str": pl.String(),
    "u8": pl.UInt8(),
    "u16": pl.UInt16(),
    "u32": pl.UInt32(),
    "u64": pl.UInt64(),
    "i32": pl.Int32(),
    "i64": pl.Int64(),
    "f32": pl.Float32(),
    "f64": pl.Float64(),
}
"""The types of columns by their names in the core's schema."""

OpenFlows = Callable[[Path], Iterator[FlowBatch]]
"""Reads the flows of a capture or a log."""


@cache
def columns() -> dict[str, pl.DataType]:
    """Return the columns of flows and their types, without those that only repeat others under foreign names."""
    schema = [feature for feature in feature_schema() if "full" in feature["sets"]]
    return {feature["name"]: _type(feature["dtype"]) for feature in schema}


def _type(name: str) -> pl.DataType:
    item = TYPES[name.removeprefix("list<").removesuffix(">")]
    return pl.List(item) if name.startswith("list<") else item


@cache
def fields() -> dict[str, Kind]:
    """Return the fields that rules may name: the columns of flows, and what hosts did before."""
    units = {feature["name"]: feature["unit"] for feature in feature_schema()}
    flow_fields = {name: _kind(dtype, units[name]) for name, dtype in columns().items()}
    return flow_fields | {feature.name: Kind("number", unit=feature.unit) for feature in FEATURES}


def _kind(dtype: pl.DataType, unit: str) -> Kind:
    is_list = isinstance(dtype, pl.List)
    item = dtype.inner if isinstance(dtype, pl.List) else dtype
    return Kind("text" if item == pl.String else "number", is_list, unit)


class Trial(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describes a test as it is written: flows or a capture, and the rules that must or must not find something."""

    name: str
    flows: list[Any] = []
    capture: str | None = None
    file: str | None = None
    """A file that YARA rules scan."""
    found: list[str] = []
    not_found: list[str] = []


class Result(msgspec.Struct, frozen=True):
    """Says how a test went."""

    path: str
    line: int
    name: str
    missing: list[str]
    """Rules that should have found something."""
    unexpected: list[str]
    """Rules that should not have."""

    @property
    def is_passed(self) -> bool:
        """Tell whether everything was as expected."""
        return not self.missing and not self.unexpected


class YaraBench(NamedTuple):
    """Scans files with YARA rules."""

    names: set[str]
    refused: list[Refusal]
    match: Callable[[Path], set[str]]
    """Returns the names of the rules that match a file."""


OpenYara = Callable[[Sequence[Path]], YaraBench]
"""Compiles YARA rules."""

NO_YARA = YaraBench(set(), [], lambda path: set())


class Report(msgspec.Struct, frozen=True):
    """Sums up the tests in files of own rules."""

    files: int
    rules: int
    tests: int
    failed: list[Result]
    refused: list[Refusal]
    untested: list[str]
    """Rules that no test expects to find anything."""


def run_tests(paths: Sequence[Path], open_flows: OpenFlows, open_yara: OpenYara) -> Report:
    """Run the tests in files and folders of own rules."""
    files, faults = read_files(paths, fields())
    results: list[Result] = []
    benches: list[Bench] = []
    for file in files:
        with collecting(faults):
            benches.append(Bench(file, open_flows, open_yara))
    for bench in benches:
        for place in range(bench.size):
            with collecting(faults):
                results.append(bench.run(place))
    return Report(
        files=len(files),
        rules=sum(len(bench.names) for bench in benches),
        tests=len(results),
        failed=[result for result in results if not result.is_passed],
        refused=[*map(Refusal.of, faults), *(each for bench in benches for each in bench.yara.refused)],
        untested=[name for bench in benches for name in sorted(bench.names - bench.tested)],
    )


class Bench:
    """Runs the tests of one file, each with all rules of the file."""

    def __init__(self, file: RuleFile, open_flows: OpenFlows, open_yara: OpenYara) -> None:
        """Take the rules; raises InputError when the YARA rules that they name cannot be used."""
        self.tested: set[str] = set()
        """Rules that some test expects to find something."""
        self._file = file
        self._folder = file.document.path.parent
        self._open_flows = open_flows
        self._found: dict[str, set[str]] = {}
        self._rules = {rule.id for rule in file.rules}
        self.yara = open_yara([self._folder / name for name in file.text.yara]) if file.text.yara else NO_YARA
        self.names = self._rules | self.yara.names
        self.size = len(file.text.tests)

    def run(self, place: int) -> Result:
        """Run a test; raises InputError naming the field at fault."""
        document, field = self._file.document, f"$.tests[{place}]"
        trial = document.part(Trial, field)
        self._check(trial, field)
        self.tested |= set(trial.found)
        found = self._find(trial, field)
        return Result(
            path=str(document.path),
            line=document.line_of(field),
            name=trial.name,
            missing=[name for name in trial.found if name not in found],
            unexpected=[name for name in trial.not_found if name in found],
        )

    def _check(self, trial: Trial, field: str) -> None:
        fault = self._file.document.fault
        if sum(map(bool, (trial.flows, trial.capture, trial.file))) != 1:
            raise fault("needs one of flows, capture and file", f"{field}.name")
        if not trial.found and not trial.not_found:
            raise fault("expects nothing", f"{field}.name", "add found or not_found")
        known = self.yara.names if trial.file else self._rules
        for side, names in (("found", trial.found), ("not_found", trial.not_found)):
            for index, name in enumerate(names):
                if name not in known:
                    kind = "YARA rule" if trial.file else "rule"
                    raise fault(f"there is no {kind} {name!r} in this file", f"{field}.{side}[{index}]")

    def _find(self, trial: Trial, field: str) -> set[str]:
        """Return the names of the rules that find something."""
        if trial.file:
            return self.yara.match(self._folder / trial.file)
        return self._in_capture(trial.capture) if trial.capture else self._in_flows(trial.flows, f"{field}.flows")

    def _in_capture(self, name: str) -> set[str]:
        """Return the rules that find something in a capture, which is read once for all tests."""
        if name not in self._found:
            self._found[name] = found_by(self._file.rules, self._open_flows(self._folder / name))
        return self._found[name]

    def _in_flows(self, rows: Sequence[Any], field: str) -> set[str]:
        written = [row for place, each in enumerate(rows) for row in self._rows(each, f"{field}[{place}]")]
        if len(written) > MOST_ROWS:
            raise self._file.document.fault(f"describes more than {MOST_ROWS:,} flows", field, "use a capture")
        written.sort(key=lambda row: row["ended_at"])
        for number, row in enumerate(written, start=1):
            row |= {"flow_id": number, "first_packet": number}
        return found_by(self._file.rules, [FlowBatch(pl.DataFrame(written, schema=columns()))])

    def _rows(self, written: Any, field: str) -> Iterator[dict[str, Any]]:
        """Yield the flows that a row describes; a list for a field of single values is taken in turn."""
        document = self._file.document
        row = document.part(dict[str, Any], field)
        with placing(document, f"{field}.repeat"):
            repeat = _count(row.pop("repeat", 1))
        with placing(document, f"{field}.every"):
            every = _moment(row.pop("every", 0))
        with placing(document, f"{field}.at"):
            begin = _moment(row.pop("at", 0))
        turns: dict[str, list[Any]] = {}
        for name, value in (IDENTITY | row).items():
            with placing(document, f"{field}.{name}"):
                turns[name] = _turns(name, value)
        with placing(document, f"{field}.at"):
            _check_times(begin, begin + (repeat - 1) * every, max(turns["duration_ms"]))
        for turn in range(repeat):
            flow = {name: values[turn % len(values)] for name, values in turns.items()}
            flow["started_at"] = START + begin + turn * every
            flow["ended_at"] = flow["started_at"] + _nanoseconds(flow["duration_ms"])
            yield flow


def found_by(rules: Sequence[Rule], flows: Iterable[FlowBatch]) -> set[str]:
    """Return the identities of the rules that find something in flows."""
    axon, soma = Axon(), Soma([OwnRules(rules)])
    found = [each for batch in flows for each in soma.detect(batch, axon.extract(batch))] + soma.finish()
    return {each.detector.removeprefix(PREFIX) for each in found}


def _count(value: Any) -> int:
    if not isinstance(value, int) or not 1 <= value <= MOST_ROWS:
        raise RuleError(f"{value!r} is no number from 1 to {MOST_ROWS:,}")
    return value


def _moment(value: Any) -> int:
    """Return nanoseconds after START of a date, of seconds, or of a text such as 5m."""
    if isinstance(value, datetime):
        return from_datetime(value) - START
    if isinstance(value, str):
        return round(in_unit(quantity(value), "ns"))
    if isinstance(value, int | float):
        return round(value * NANOSECONDS)
    raise RuleError(f"{value!r} is no time", "write seconds, a number with a unit such as 5m, or a date")


def _nanoseconds(duration_ms: float) -> int:
    return round(duration_ms * NANOSECONDS / 1_000)


def _check_times(first: int, last: int, duration_ms: float) -> None:
    try:
        bounded(START + first)
        bounded(START + last + _nanoseconds(duration_ms))
    except ValueError as error:
        raise RuleError("leads to a time out of range", "stay between the years 1678 and 2262") from error


def _turns(name: str, value: Any) -> list[Any]:
    """Return the values that a field takes in turn."""
    if name not in columns():
        raise RuleError(f"there is no field {name!r}", "'infraspectre features' lists them")
    if name in ("flow_id", "first_packet", "started_at", "ended_at") or (name in IDENTITY and _lacks(value)):
        raise RuleError("is set by the test itself", "leave it out; at and duration_ms say when the flow is")
    if fields()[name].is_list:
        items = value if isinstance(value, list) else [value]
        return [[_value(name, item) for item in items]]
    return [_value(name, item) for item in (value if isinstance(value, list) and value else [value])]


def _lacks(value: Any) -> bool:
    """Tell whether a value, or one of several, is none."""
    return value is None or (isinstance(value, list) and None in value)


def _value(name: str, value: Any) -> Any:
    """Return a value as a field holds it, or an item of it; numbers may have a unit."""
    kind = fields()[name]
    if value is None:
        return None
    if kind.base == "text" and isinstance(value, str):
        return value
    if kind.base == "number" and isinstance(value, str):
        return _fitting(name, in_unit(quantity(value), kind.unit))
    if kind.base == "number" and isinstance(value, int | float) and not isinstance(value, bool):
        return _fitting(name, value)
    raise RuleError(f"{value!r} is no {kind.base}", "put quotation marks around a text")


def _fitting(name: str, number: float) -> float:
    """Return a number that the column of a field can hold."""
    dtype = columns()[name]
    item = dtype.inner if isinstance(dtype, pl.List) else dtype
    if number < 0 and item not in (pl.Int32, pl.Int64):
        raise RuleError(f"{number} is below 0")
    if pl.DataFrame({name: [number]}).select(pl.col(name).cast(item, strict=False) == number).item() is not True:
        raise RuleError(f"{number} does not fit into {item}")
    return number
