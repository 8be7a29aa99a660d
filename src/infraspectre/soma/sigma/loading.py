"""Reads Sigma rules and correlations from YAML files; a rule that is refused says where, why and what to do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, get_args

import msgspec

from infraspectre.documents import Document, read_documents
from infraspectre.errors import InputError
from infraspectre.intel.attack import technique_called
from infraspectre.intel.rule_files import yaml_rules
from infraspectre.records import Technique
from infraspectre.records.detection import SEVERITIES
from infraspectre.records.times import UNITS
from infraspectre.soma.sigma import condition
from infraspectre.soma.sigma.matching import Placeholders, every, item, some
from infraspectre.soma.sigma.rule import TEMPORAL, Correlation, Head, Kind, LogSource, Rule, Seen, Test, mapped

TECHNIQUE = re.compile(r"attack\.(t\d{4}(?:\.\d{3})?)", re.IGNORECASE)
TIMESPAN = re.compile(r"(\d{1,9})([smhd])")
KINDS: tuple[Kind, ...] = get_args(Kind)
BOUNDS = ("lt", "lte", "gt", "gte", "eq", "neq")
MAX_COUNT = 100_000
"""Largest count that a correlation may wait for, since it keeps as many events."""
MAX_DEPTH = 16
"""Deepest nesting of searches, and longest chain of correlations."""


class Loaded(NamedTuple):
    """Holds what was read, and why the rest was refused."""

    rules: list[Rule]
    correlations: list[Correlation]
    refused: list[InputError]


def is_sigma(content: Any) -> bool:
    """Tell whether a YAML document is meant as a Sigma rule."""
    return isinstance(content, Mapping) and bool({"detection", "correlation"} & content.keys())


def read_rules(paths: Iterable[str | PathLike[str]], placeholders: Placeholders | None = None) -> Loaded:
    """Read the rules in files and folders; `placeholders` gives values to what stands between percent signs."""
    loaded = Loaded([], [], [])
    for path in (file for given in paths for file in files_in(Path(given))):
        try:
            documents = read_documents(path)
        except InputError as error:
            loaded.refused.append(error)
            continue
        for document in documents:
            Draft(document).add_to(loaded, placeholders or {})
    return linked(unique(loaded))


def files_in(path: Path) -> list[Path]:
    """Return the files of Sigma rules in a folder in the order of their names, or the file itself."""
    return yaml_rules(path, "sigma") if path.is_dir() else [path]


class Draft:
    """Makes a rule or correlation of a document; says of what is wrong in which field it is."""

    def __init__(self, document: Document) -> None:
        """Take the document."""
        self._document = document
        self._content = document.content

    def error(self, problem: str, steps: Sequence[str | int] = (), remedy: str | None = None) -> InputError:
        """Return an error about the field that keys and positions lead to."""
        field = ".".join(str(step) for step in steps) or None
        document = self._document
        return InputError(problem, path=document.path, line=document.line_at(steps), field=field, remedy=remedy)

    def add_to(self, loaded: Loaded, placeholders: Placeholders) -> None:
        """Add the rule or correlation to what was read, or say why it is refused."""
        try:
            self._check()
            if "correlation" in self._content:
                loaded.correlations.append(self.correlation())
            else:
                loaded.rules.append(self.rule(placeholders))
        except InputError as error:
            loaded.refused.append(error)

    def _check(self) -> None:
        if not isinstance(self._content, Mapping):
            raise self.error("is not a rule", remedy="write fields such as title, logsource and detection")
        if "action" in self._content:
            raise self.error("is not part of Sigma any more", ["action"], "write each rule with all of its fields")
        if "filter" in self._content:
            raise self.error("filters are not supported", ["filter"], "write the exception into the rules it is for")
        if not is_sigma(self._content):
            raise self.error("is no Sigma rule", remedy="a rule has a detection, a correlation rule a correlation")
        if self._content.get("status") == "unsupported":
            raise self.error("the rule says that it cannot be used", ["status"], "use one with another status")

    def rule(self, placeholders: Placeholders) -> Rule:
        """Return the rule that the document describes."""
        return Rule(head=self.head(), source=self.source(), test=self.detection(placeholders))

    def head(self) -> Head:
        """Return what the document says about itself."""
        level = self.text(["level"], "medium")
        severity = next((known for known in SEVERITIES if known == level), None)
        if severity is None:
            raise self.error(f"there is no level {level!r}", ["level"], f"there are {', '.join(SEVERITIES)}")
        return Head(
            title=self.text(["title"]),
            id=self.text(["id"], "") or None,
            name=self.text(["name"], "") or None,
            level=severity,
            techniques=tuple(techniques(self.texts(["tags"]))),
            falsepositives=tuple(self.texts(["falsepositives"])),
            path=str(self._document.path),
            line=self._document.line_at(()),
        )

    def source(self) -> LogSource:
        """Return the log source that the rule is for."""
        given = self.mapping(["logsource"])
        names = {name: str(given[name]).lower() for name in LogSource._fields if given.get(name) is not None}
        if not names:
            raise self.error("names no log source", ["logsource"], "name a category, product or service")
        return LogSource(**names)

    def detection(self, placeholders: Placeholders) -> Test:
        """Return the test that the searches and their condition make."""
        given = self.mapping(["detection"])
        if "condition" not in given:
            raise self.error("is missing", ["detection", "condition"], "say which searches must match")
        searches = {
            str(name): self.search(value, ["detection", name], placeholders)
            for name, value in given.items()
            if name not in ("condition", "timeframe")
        }
        steps = ["detection", "condition"]
        return some([self.condition(text, searches, steps) for text in self.texts(steps)])

    def condition(self, text: str, searches: Mapping[str, Test], steps: Sequence[str]) -> Test:
        """Return the test that a condition makes of searches."""
        with self.placed(steps):
            return condition.parse(text, searches)

    def search(self, value: Any, steps: list[str | int], placeholders: Placeholders) -> Test:
        """Return the test of a search: a map of fields, a list of such maps, or keywords."""
        if len(steps) > MAX_DEPTH:
            raise self.error(f"is nested deeper than {MAX_DEPTH} levels", steps)
        if isinstance(value, Mapping) and value:
            return every([self.field(str(key), each, [*steps, key], placeholders) for key, each in value.items()])
        if isinstance(value, list) and value:
            return some([self.search(each, [*steps, n], placeholders) for n, each in enumerate(value)])
        if isinstance(value, str | int | float):
            return self.field("", value, steps, placeholders)
        raise self.error("looks for nothing", steps, "write fields with values, or keywords")

    def field(self, key: str, value: Any, steps: list[str | int], placeholders: Placeholders) -> Test:
        """Return the test of one field."""
        with self.placed(steps):
            return item(key, value, placeholders)

    @contextmanager
    def placed(self, steps: Sequence[str | int]) -> Iterator[None]:
        """Add the place to an error that does not know it."""
        try:
            yield
        except InputError as error:
            raise error if error.path else self.error(error.problem, steps, error.remedy) from error

    def correlation(self) -> Correlation:
        """Return the correlation that the document describes."""
        kind = next((known for known in KINDS if known == self.text(["correlation", "type"])), None)
        if kind is None:
            raise self.error("there is no such correlation", ["correlation", "type"], f"there are {', '.join(KINDS)}")
        rules = tuple(self.texts(["correlation", "rules"]))
        if not rules:
            raise self.error("names no rule", ["correlation", "rules"], "name rules by their id or name")
        given = self.value(["correlation", "condition"])
        is_said = kind in TEMPORAL and isinstance(given, str)
        seen = {rule: Seen(rule) for rule in rules}
        return Correlation(
            head=self.head(),
            kind=kind,
            rules=rules,
            group_by=tuple(self.texts(["correlation", "group-by"])),
            timespan=self.timespan(),
            bounds={} if is_said else self.bounds(kind, len(rules)),
            condition=self.condition(given, seen, ["correlation", "condition"]) if is_said else None,
            fields=() if is_said else self.counted(kind),
            percentile=None if is_said else self.percentile(),
            aliases=self.aliases(),
            generate=self.value(["correlation", "generate"]) is True or self.value(["generate"]) is True,
        )

    def timespan(self) -> int:
        """Return the length of the window in nanoseconds."""
        steps = ["correlation", "timespan"]
        found = TIMESPAN.fullmatch(self.text(steps))
        if not found or not int(found[1]):
            raise self.error("is not a timespan", steps, "write a number and s, m, h or d, such as 90m")
        return int(found[1]) * UNITS[found[2]]

    def bounds(self, kind: Kind, rules: int) -> dict[str, float]:
        """Return what the count or value is compared with; temporal correlations ask for every rule by default."""
        steps = ["correlation", "condition"]
        if kind in TEMPORAL and self.value(steps) is None:
            return {"gte": float(rules)}
        given = self.mapping(steps)
        if unknown := [name for name in given if name not in (*BOUNDS, "field", "percentile")]:
            raise self.error(f"there is no comparison {unknown[0]!r}", steps, f"there are {', '.join(BOUNDS)}")
        found = {name: self.number([*steps, name]) for name in BOUNDS if name in given}
        if not found:
            raise self.error("compares with nothing", steps, f"write one of {', '.join(BOUNDS)}")
        if kind.endswith("_count") and max(found.values()) > MAX_COUNT:
            raise self.error(f"counts beyond {MAX_COUNT:,}", steps, "count less, in a shorter timespan")
        return found

    def counted(self, kind: Kind) -> tuple[str, ...]:
        """Return the fields whose values count."""
        steps = ["correlation", "condition", "field"]
        found = tuple(self.texts(steps))
        if kind.startswith("value_") and not found:
            raise self.error("is missing", steps, "name the field whose values count")
        if len(found) > 1 and kind != "value_count":
            raise self.error("only value_count takes several fields", steps, "name one field")
        return found

    def percentile(self) -> float | None:
        """Return which percentile of the values is asked for, if any."""
        steps = ["correlation", "condition", "percentile"]
        if self.value(steps) is None:
            return None
        found = self.number(steps)
        if not 0 <= found <= 100:
            raise self.error("is not a percentile", steps, "write a number from 0 to 100")
        return found

    def aliases(self) -> dict[str, dict[str, str]]:
        """Return what fields of the grouping are called in the events of which rule."""
        if self.value(["correlation", "aliases"]) is None:
            return {}
        given = self.mapping(["correlation", "aliases"])
        return {
            str(alias): {
                str(rule): str(field) for rule, field in self.mapping(["correlation", "aliases", alias]).items()
            }
            for alias in given
        }

    def value(self, steps: Sequence[str]) -> Any:
        """Return the value that keys lead to, or None."""
        found = self._content
        for step in steps:
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    def mapping(self, steps: Sequence[str]) -> Mapping[str, Any]:
        """Return a map of fields; raises InputError where there is none."""
        found = self.value(steps)
        if not isinstance(found, Mapping):
            raise self.error("is missing" if found is None else "is not a map", steps, "write fields with values")
        return found

    def text(self, steps: Sequence[str], default: str | None = None) -> str:
        """Return a text; raises InputError where there is none and no default."""
        found = self.value(steps)
        if found is None and default is not None:
            return default
        if not isinstance(found, str | int) or found == "":
            raise self.error("is missing" if found is None else "is not a text", steps, "write a text")
        return str(found)

    def texts(self, steps: Sequence[str]) -> list[str]:
        """Return a list of texts, of which there may be one or none."""
        found = self.value(steps)
        several = found if isinstance(found, list) else [] if found is None else [found]
        if not all(isinstance(each, str | int) for each in several):
            raise self.error("is not a list of texts", steps, "write texts")
        return [str(each) for each in several]

    def number(self, steps: Sequence[str]) -> float:
        """Return a number; raises InputError where there is none."""
        found = self.value(steps)
        if isinstance(found, bool) or not isinstance(found, int | float):
            raise self.error("is not a number", steps, "write a number")
        return float(found)


def techniques(tags: Iterable[str]) -> Iterator[Technique]:
    """Yield the ATT&CK techniques among tags; one that the table does not know keeps its identity as its name."""
    for tag in tags:
        if found := TECHNIQUE.fullmatch(tag):
            identity = found[1].upper()
            yield technique_called(identity, identity)


def unique(loaded: Loaded) -> Loaded:
    """Refuse rules whose identity or name another one has."""
    taken: dict[str, Head] = {}
    refused = list(loaded.refused)

    def is_new(one: Rule | Correlation) -> bool:
        names = [name for name in (one.head.id, one.head.name) if name]
        for name in names:
            if (other := taken.setdefault(name, one.head)) is not one.head:
                problem = f"{name!r} is also a rule at {other.path}:{other.line}"
                refused.append(refusal(one, problem, "remove one of them"))
                return False
        return True

    rules = [rule for rule in loaded.rules if is_new(rule)]
    correlations = [correlation for correlation in loaded.correlations if is_new(correlation)]
    return Loaded(rules, correlations, refused)


def refusal(one: Rule | Correlation, problem: str, remedy: str | None = None) -> InputError:
    """Return an error about a rule as a whole."""
    return InputError(problem, path=one.head.path, line=one.head.line, remedy=remedy)


def linked(loaded: Loaded) -> Loaded:
    """Let correlations name rules by their keys, those first on which others build; refuse those whose rules lack."""
    heads = [rule.head for rule in loaded.rules] + [correlation.head for correlation in loaded.correlations]
    keys = {name: head.key for head in heads for name in names_of(head)}
    ready = {rule.head.key for rule in loaded.rules}
    waiting = loaded.correlations
    in_order: list[Correlation] = []
    for _ in range(MAX_DEPTH):
        able = [each for each in waiting if all(keys.get(rule) in ready for rule in each.rules)]
        in_order += [renamed(each, keys) for each in able]
        ready |= {each.head.key for each in able}
        waiting = [each for each in waiting if each not in able]
    refused = [refusal(each, lack(each, keys), "load the rules that it names") for each in waiting]
    return Loaded(loaded.rules, in_order, loaded.refused + refused)


def names_of(head: Head) -> set[str]:
    """Return the names by which correlations may call a rule."""
    return {name for name in (head.id, head.name, head.key) if name}


def lack(correlation: Correlation, keys: Mapping[str, str]) -> str:
    """Say why a correlation cannot be linked."""
    unknown = [rule for rule in correlation.rules if rule not in keys]
    return f"there is no rule {unknown[0]!r}" if unknown else "the rules that it builds on lack rules, or build on it"


def renamed(correlation: Correlation, keys: Mapping[str, str]) -> Correlation:
    """Return a correlation that calls rules by their keys."""
    return msgspec.structs.replace(
        correlation,
        rules=tuple(keys[rule] for rule in correlation.rules),
        condition=correlation.condition and mapped(correlation.condition, partial(called, keys=keys)),
        aliases={
            alias: {keys.get(rule, rule): field for rule, field in fields.items()}
            for alias, fields in correlation.aliases.items()
        },
    )


def called(leaf: Test, keys: Mapping[str, str]) -> Test:
    """Return the leaf of a condition that calls its rule by its key."""
    return Seen(keys[leaf.rule]) if isinstance(leaf, Seen) else leaf
