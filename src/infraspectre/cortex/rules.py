"""Correlation rules: what is joined, within which window and by what; YAML files beside this one, and own ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from pathlib import Path
from string import Template
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from infraspectre.documents import Document, read_document
from infraspectre.errors import InputError, all_of
from infraspectre.intel.attack import attack_table
from infraspectre.intel.families import FAMILIES, OTHER, Family
from infraspectre.intel.rule_files import YAML, files_in
from infraspectre.records import Severity
from infraspectre.records.times import UNITS

By = Literal["finding", "actor", "target", "crowd", "server", "indicator", "victim-then-actor"]
Weak = Literal["none", "later", "both"]
Makes = Literal["incident", "campaign"]
LONGEST_NS = 30 * UNITS["d"]
"""Longest window: nothing is remembered for longer."""
PLACEHOLDERS = {"shared", "gap"}
SPAN = re.compile(r"^(\d{1,12}(?:\.\d{1,9})?)\s*(s|m|h|d)$")
Identity = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}$")]
Text = Annotated[str, Meta(min_length=1, max_length=200)]


class RuleText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describes a rule as it is written."""

    id: Identity
    says: Text
    """Why it joins, with `$shared` for what is shared and `$gap` for the time between."""
    makes: Makes
    by: By
    within: str
    """Longest pause between the two, such as 300 s, 2 h or 3 d."""
    families: list[str] = []
    """Families of the later finding, or of both where nothing else is said; all without any."""
    tactics: list[str] = []
    after_families: list[str] = []
    """Families of the earlier finding."""
    after_tactics: list[str] = []
    same_family: bool = False
    pace: Literal["any", "fast", "slow"] = "any"
    """Whether both are over in minutes, or both go on with long pauses."""
    severity: Severity = "medium"
    """The least severity of both."""
    longest: str | None = None
    """How long the whole may last, unless both last alike."""
    alike: bool = False
    """Whether both must last alike: at least half of the whole time is shared."""
    most_victims: Annotated[int, Meta(ge=1)] = 64
    """Of whoever does the same to more targets, none counts as chosen."""
    weak: Weak = "none"
    """Whether the finding that joins, or both, must be weak, of less than medium severity; it joins once at most."""
    enabled: bool = True


class RuleFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Describes a file of rules."""

    joins: list[Any]


class Side(msgspec.Struct, frozen=True):
    """Says which findings one side of a join may be."""

    families: frozenset[str]
    tactics: frozenset[str]
    pace: str

    def fits(self, family: Family) -> bool:
        """Tell whether a family of findings may stand on this side."""
        return (
            (not self.families or family.name in self.families)
            and (not self.tactics or family.tactic in self.tactics)
            and (self.pace == "any" or family.slow == (self.pace == "slow"))
        )


class Rule(msgspec.Struct, frozen=True):
    """Joins two findings or incidents that share something within a window."""

    id: str
    says: str
    makes: Makes
    by: By
    within_ns: int
    later: Side
    earlier: Side
    same_family: bool
    severity: Severity
    longest_ns: int | None
    alike: bool
    most_victims: int
    weak: Weak

    def allows(self, later: Family, earlier: Family) -> bool:
        """Tell whether it is about findings of these families, the earlier of which came first where order counts."""
        return self.later.fits(later) and self.earlier.fits(earlier) and (not self.same_family or later == earlier)

    def takes(self, is_weak: bool, is_story_weak: bool) -> bool:
        """Tell whether it is for a finding and a story that are weak or telling."""
        return self.weak == "none" or (is_weak and (is_story_weak or self.weak == "later"))


class Rules:
    """Finds the rules that may join a finding of some family."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        """Take rules in the order in which they explain a join."""
        self._rules = tuple(rules)
        self._of: dict[tuple[Makes, str], tuple[Rule, ...]] = {}

    @property
    def longest_ns(self) -> int:
        """Return the longest window: what is older joins nothing."""
        return max((rule.within_ns for rule in self._rules), default=0)

    def of(self, makes: Makes, family: Family) -> tuple[Rule, ...]:
        """Return the rules of one kind that may concern findings of a family, in order."""
        if (makes, family.name) not in self._of:
            concerned = (each for each in self._rules if each.makes == makes and _may_concern(each, family))
            self._of[makes, family.name] = tuple(concerned)
        return self._of[makes, family.name]


def _may_concern(rule: Rule, family: Family) -> bool:
    return rule.later.fits(family) or rule.earlier.fits(family)


def load_rules(paths: Sequence[Path] = ()) -> Rules:
    """Read own rules from files and folders, then those of the package.

    An own rule replaces the built-in one with its identity. Raises InputError with all that is wrong, each with file,
    line and field.
    """
    faults: list[InputError] = []
    own = list(_read(paths, faults))
    seen: set[str] = set()
    for text, document, field in own:
        if text.id in seen:
            faults.append(document.fault(f"{text.id!r} is the identity of an earlier rule, too", f"{field}.id"))
        seen.add(text.id)
    with as_file(files("infraspectre.cortex") / "rule_files") as folder:
        built_in = [each for each in _read([folder], faults) if each[0].id not in seen]
    rules = [_rule(*each, faults) for each in (*own, *built_in)]
    if faults:
        raise all_of(faults)
    return Rules(rule for rule, (text, *_) in zip(rules, (*own, *built_in), strict=True) if rule and text.enabled)


def written_rules(paths: Sequence[Path] = ()) -> Iterator[tuple[RuleText, Path, int]]:
    """Yield own rules, then those of the package, as written, with file and line; broken ones are left out."""
    own = list(_read(paths, []))
    with as_file(files("infraspectre.cortex") / "rule_files") as folder:
        replaced = {text.id for text, *_ in own}
        built_in = [each for each in _read([folder], []) if each[0].id not in replaced]
    for text, document, field in (*own, *built_in):
        yield text, document.path, document.line_of(field)


def _read(paths: Iterable[Path], faults: list[InputError]) -> Iterator[tuple[RuleText, Document, str]]:
    """Yield the rules of files and folders; collect what is wrong, so that one bad rule hides no other."""
    for path in [file for named in paths for file in _files(named, faults)]:
        try:
            document = read_document(path)
            count = len(document.part(RuleFile).joins)
        except InputError as fault:
            faults.append(fault)
            continue
        for field in (f"$.joins[{index}]" for index in range(count)):
            try:
                yield document.part(RuleText, field), document, field
            except InputError as fault:
                faults.append(fault)


def _files(path: Path, faults: list[InputError]) -> list[Path]:
    found = list(files_in(path, YAML)) if path.is_dir() else [path]
    if not found:
        faults.append(InputError("holds no correlation rules", path=path, remedy=f"names end in {' or '.join(YAML)}"))
    return found


def _rule(text: RuleText, document: Document, field: str, faults: list[InputError]) -> Rule | None:
    wrong = [document.fault(problem, f"{field}.{name}", remedy) for name, problem, remedy in _problems(text)]
    faults += wrong
    return None if wrong else _compiled(text)


def _problems(text: RuleText) -> Iterator[tuple[str, str, str | None]]:
    """Yield field, problem and remedy of everything that is wrong with a rule."""
    known = {each.name for each in (*FAMILIES, OTHER)}
    tactics = {*attack_table().tactics}
    for name, values, possible in (
        ("families", text.families, known),
        ("after_families", text.after_families, known),
        ("tactics", text.tactics, tactics),
        ("after_tactics", text.after_tactics, tactics),
    ):
        if unknown := sorted(set(values) - possible):
            yield name, f"unknown {', '.join(unknown)}", f"there are {', '.join(sorted(possible))}"
    for name, value in (("within", text.within), ("longest", text.longest)):
        if value is not None and _span_ns(value) is None:
            yield name, f"{value!r} is no time of at most 30 d", "write a number with its unit, such as 300 s or 2 h"
    unknown = sorted(set(Template(text.says).get_identifiers()) - PLACEHOLDERS)
    if unknown or not Template(text.says).is_valid():
        yield "says", f"wrong placeholder ${' $'.join(unknown)}", "there are $gap and $shared, and $$ for $"


def _span_ns(text: str) -> int | None:
    """Return a span in nanoseconds; None if it is not written as one, or too long."""
    written = SPAN.match(text.strip())
    span = round(float(written[1]) * UNITS[written[2]]) if written else LONGEST_NS + 1
    return span if span <= LONGEST_NS else None


def _compiled(text: RuleText) -> Rule:
    later = Side(frozenset(text.families), frozenset(text.tactics), text.pace)
    said = text.after_families or text.after_tactics
    earlier = Side(frozenset(text.after_families), frozenset(text.after_tactics), text.pace) if said else later
    return Rule(
        id=text.id,
        says=text.says,
        makes=text.makes,
        by=text.by,
        within_ns=_span_ns(text.within) or 0,
        later=later,
        earlier=earlier,
        same_family=text.same_family,
        severity=text.severity,
        longest_ns=None if text.longest is None else _span_ns(text.longest),
        alike=text.alike,
        most_victims=text.most_victims,
        weak=text.weak,
    )
