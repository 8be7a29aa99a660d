"""Scores the signature engine against Suricata: `python -m benches.signatures [verify|merged|et|all]`.

INFRASPECTRE_TEST_DATA names the folder that holds `net/`. Every capture is read in a process that may die or hang
without harm: such an end is a wrong result, and counted.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property, partial
from pathlib import Path
from statistics import fmean
from typing import Any

from benches import suricata
from benches.captures import test_data
from benches.eve_checks import failures
from benches.report import Cell, Figure, Report, Table, UnavailableError, markdown
from benches.suricata import Firing, Outcome, Run
from benches.workers import Ended, do_all
from infraspectre.errors import InfraSpectreError

LIMIT_S = 20.0
"""How long the engine may take for one capture."""
JOBS = 2
COMMON_SHARE = 0.5
"""A rule that fires in so many of the captures that hold its protocol tells little."""
SHOWN = 25
SLOWEST_SHOWN = 5
MARKS = {"core": ("95%", "100%"), "extended": ("60%", "90%"), "merged": ("97%", "99.9%"), "et": ("99%", "99.9%")}
"""What is asked for and what is aimed at."""

Pair = tuple[str, int]
Counts = Counter[int]


# Suricata's own verification suite.


@dataclass(frozen=True)
class TestResult:
    """Holds what one test of the suite expected and got."""

    name: str
    family: str
    tier: str
    keywords: list[str]
    failures: list[str]
    expected: dict[str, int]
    got: dict[str, int]
    refused: list[str]

    @property
    def has_equal_alerts(self) -> bool:
        """Tell whether exactly the rules fired that Suricata fired, as often."""
        return self.expected == self.got

    @property
    def is_passed(self) -> bool:
        """Tell whether all checks hold; a test without any asks for Suricata's alerts."""
        return not self.failures


def verify(selection: Selection) -> list[TestResult]:
    """Run the chosen tests of the suite."""
    tests = [test for test in suricata.verify_tests() if selection.takes(test)]
    outcomes = do_all(run_test, tests, LIMIT_S, selection.jobs, suricata.leave)
    return [judged(test, outcome) for test, outcome in zip(tests, outcomes, strict=True)]


def run_test(test: dict[str, Any]) -> Outcome:
    """Run one test and forget its rules."""
    suricata.rule_set.cache_clear()
    try:
        run = suricata.verify_run(test)
    except InfraSpectreError as error:  # a configuration that cannot be read fails its test, not the run
        return Outcome(problem=f"{type(error).__name__}: {error}")
    return suricata.events(run).certain()


def judged(test: dict[str, Any], outcome: Outcome | Ended) -> TestResult:
    """Return whether the outcome of a test is as Suricata's."""
    if isinstance(outcome, Ended):
        outcome = Outcome(problem=str(outcome))
    expected = {f"{one['gid']}:{one['sid']}": one["count"] for one in test["alerts"]}
    got = {f"{gid}:{sid}": count for (gid, sid), count in outcome.counts().items()}
    wrong = [outcome.problem] if outcome.problem else failures(test["checks"], outcome.events)
    if not test["checks"] and not wrong and expected != got:
        wrong = ["alerts differ"]
    refused = [f"{one['sid']}: {one['reason']}" for one in outcome.refused]
    return TestResult(
        test["test"], test["family"], test["tier"], test["keywords"], wrong, expected, got, refused
    )  # fmt: skip


def verify_report(results: list[TestResult]) -> Report:
    """Return the shares of tests that pass, averaged over the families of each tier."""
    figures, rows = [], []
    for tier in sorted({one.tier for one in results}):
        families = grouped([one for one in results if one.tier == tier], lambda one: one.family)
        passed = {name: fmean(one.is_passed for one in group) for name, group in families.items()}
        equal = {name: fmean(one.has_equal_alerts for one in group) for name, group in families.items()}
        name = f"suricata-verify, {tier}: tests whose checks hold, mean of families"
        figures += [
            Figure(name, percent(passed.values()), "", *MARKS.get(tier, ())),
            Figure(f"suricata-verify, {tier}: tests with exactly Suricata's alerts", percent(equal.values())),
        ]
        rows += [
            (tier, name, len(group), sum(one.is_passed for one in group), sum(one.has_equal_alerts for one in group))
            for name, group in sorted(families.items())
        ]
    passing, equal_ones = sum(one.is_passed for one in results), sum(one.has_equal_alerts for one in results)
    totals = ("all", "all", len(results), passing, equal_ones)
    header = ("tier", "family", "tests", "checks hold", "alerts equal")
    return Report(figures, [Table("Suricata's verification suite", header, [*rows, totals])])


def show_verify(results: list[TestResult]) -> Iterator[str]:
    """Yield what there is to say about each test that fails."""
    for one in results:
        if one.is_passed and one.has_equal_alerts:
            continue
        mark = "FAIL" if one.failures else "pass, but other alerts"
        yield f"{mark}  {one.name}  [{one.tier} {one.family}]  {' '.join(one.keywords)}"
        yield f"    expected {one.expected}"
        yield f"    got      {one.got}"
        yield from (f"    refused  {text}" for text in one.refused)
        yield from (f"    {text}" for text in one.failures)
    yield "Reasons for refusals: " + ", ".join(
        f"{text} ({count})"
        for text, count in Counter(text for one in results for text in one.refused).most_common(SHOWN)
    )


# Many rules over many captures: the rules of the suite merged into one set, and a public rule set.


@dataclass
class Comparison:
    """Holds what the rules of a set gave on captures, Suricata's and ours."""

    rules: Path
    expected: dict[str, Counts] = field(default_factory=dict)
    got: dict[str, Counts] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @cached_property
    def wanted(self) -> set[Pair]:
        """Return the pairs of capture and rule that Suricata gave."""
        return pairs(self.expected)

    @cached_property
    def found(self) -> set[Pair]:
        """Return the pairs of capture and rule that we gave."""
        return pairs(self.got)

    @property
    def equal_sets(self) -> int:
        """Return the captures on which exactly the same rules fired."""
        sound = self.expected.keys() - self.problems.keys()
        return sum(set(self.expected[name]) == set(self.got[name]) for name in sound)

    @property
    def alerting(self) -> set[str]:
        """Return the captures on which a rule fires on either side."""
        return {name for name, _ in self.wanted | self.found}

    @property
    def equal_counts(self) -> int:
        """Return the pairs in which the rule fired as often as in Suricata."""
        return sum(self.expected[name][sid] == self.got[name][sid] for name, sid in self.wanted | self.found)

    @property
    def agreement(self) -> float:
        """Return the share of the pairs of either side that both have (Jaccard's index)."""
        return len(self.wanted & self.found) / (len(self.wanted | self.found) or 1)


def pairs(counts: Mapping[str, Counts]) -> set[Pair]:
    """Return the pairs of capture and rule."""
    return {(name, sid) for name, sids in counts.items() for sid in sids}


def compare(
    rules: Path, expected: dict[str, Counts], settings: suricata.Settings, selection: Selection, skipped: set[int]
) -> Comparison:
    """Run a set of rules over the captures of `expected`; `skipped` rules are left out on both sides."""
    names = [name for name in expected if selection.test in name]
    chosen = tuple(settings.items())
    runs = [Run(test_data() / name, rules, chosen) for name in names]
    prepare = partial(prepared, rules, chosen)
    comparison = Comparison(rules, {name: without(expected[name], skipped) for name in names})
    for name, outcome in zip(names, do_all(suricata.fired, runs, LIMIT_S, selection.jobs, prepare), strict=True):
        firing = Firing(problem=str(outcome), seconds=outcome.seconds) if isinstance(outcome, Ended) else outcome
        comparison.got[name] = without(firing.counts, skipped)
        comparison.seconds[name] = firing.seconds
        if firing.problem:
            comparison.problems[name] = firing.problem
    return comparison


def prepared(rules: Path, settings: tuple[tuple[str, str], ...]) -> None:
    """Compile the rules before the first capture is read."""
    suricata.leave()
    suricata.rule_set(rules, settings)


def without(counts: Counts, skipped: set[int]) -> Counts:
    """Return the counts of the rules that are compared."""
    return Counter({sid: count for sid, count in counts.items() if sid not in skipped})


def merged(selection: Selection) -> Comparison:
    """Run the merged rules over the captures of the suite."""
    folder = test_data() / "suricata-verify-merged"
    known = json.loads((folder / "expected.json").read_text())["pcaps"]
    expected = {name: Counter(dict(sids)) for name, sids in known.items()}
    return compare(folder / "merged.rules", expected, suricata.merged_settings(), selection, set())


@dataclass(frozen=True)
class RuleScore:
    """Holds how well one rule does over the captures."""

    sid: int
    true_positives: int
    false_positives: int
    false_negatives: int
    captures: int
    holding: int
    """Captures that hold the rule's protocol."""

    @property
    def positives(self) -> int:
        """Return the captures on which Suricata fires the rule."""
        return self.true_positives + self.false_negatives

    @property
    def precision(self) -> float | None:
        """Return the share of our captures on which Suricata fires it too; None where it never fires here."""
        fired = self.true_positives + self.false_positives
        return self.true_positives / fired if fired else None

    @property
    def recall(self) -> float | None:
        """Return the share of Suricata's captures on which it fires here; None where it never fires there."""
        return self.true_positives / self.positives if self.positives else None

    @property
    def balanced(self) -> float:
        """Return the mean of recall and specificity; a rule that always fires, or never, has 0.5."""
        negatives = self.captures - self.positives
        specificity = 1 - self.false_positives / negatives if negatives else None
        known = [share for share in (self.recall, specificity) if share is not None]
        return fmean(known)

    @property
    def weight(self) -> float:
        """Return the share of the captures with the rule's protocol on which Suricata does not fire it."""
        return 1 - self.positives / self.holding if self.holding else 1.0


def rule_scores(comparison: Comparison) -> list[RuleScore]:
    """Return the score of each rule that fires on either side."""
    protocols = protocols_of(comparison.rules)
    holding: dict[str, set[str]] = defaultdict(set)
    for name, sid in comparison.wanted:
        holding[protocols.get(sid, "")].add(name)
    tallies: dict[int, Counter[str]] = defaultdict(Counter)
    for name, sid in comparison.wanted | comparison.found:
        wanted, found = (name, sid) in comparison.wanted, (name, sid) in comparison.found
        tallies[sid]["hit" if wanted and found else "missed" if wanted else "false"] += 1
    return [
        RuleScore(
            sid,
            tally["hit"],
            tally["false"],
            tally["missed"],
            len(comparison.expected),
            len(holding[protocols.get(sid, "")]),
        )
        for sid, tally in sorted(tallies.items())
    ]


@cache
def rule_texts(path: Path) -> dict[int, str]:
    """Return the text of each rule of a file by its sid."""
    texts = {}
    for line in path.read_text(errors="replace").splitlines():
        _, found, rest = line.rpartition("sid:")
        if found and not line.startswith("#"):
            texts[int(rest.split(";", 1)[0])] = line
    return texts


def protocols_of(path: Path) -> dict[int, str]:
    """Return the protocol in the header of each rule of a file."""
    return {sid: text.split()[1] for sid, text in rule_texts(path).items()}


def merged_report(comparison: Comparison) -> Report:
    """Return precision and recall, as means over rules."""
    scores = rule_scores(comparison)
    rare = [one for one in scores if one.weight > 1 - COMMON_SHARE]
    figures = [
        *precision_and_recall("merged rules", scores, lambda _: 1.0),
        *precision_and_recall("merged rules, common ones weighed down", scores, lambda one: one.weight),
        *precision_and_recall("merged rules, rare ones", rare, lambda _: 1.0),
        Figure("merged rules: mean of recall and specificity", percent(one.balanced for one in scores)),
        *shared_figures("merged rules", comparison),
    ]
    note = (
        f"Means over the {len(scores)} rules that fire in Suricata or here. A rule is weighed by the share of the "
        "captures with its protocol on which Suricata does not fire it; rare ones fire on less than "
        f"{COMMON_SHARE:.0%} of them ({len(rare)}). A capture holds a protocol where Suricata fires any rule of it."
    )
    return Report(figures, notes=[note])


def precision_and_recall(name: str, scores: list[RuleScore], weight: Callable[[RuleScore], float]) -> list[Figure]:
    """Return two means over rules."""
    precision = weighted((one.precision, weight(one)) for one in scores)
    recall = weighted((one.recall, weight(one)) for one in scores)
    return [
        Figure(f"{name}: precision", shown_share(precision), "", *MARKS["merged"]),
        Figure(f"{name}: recall", shown_share(recall), "", *MARKS["merged"]),
    ]


def weighted(values: Iterable[tuple[float | None, float]]) -> float | None:
    """Return the weighted mean of the values that there are."""
    known = [(value, weight) for value, weight in values if value is not None]
    total = sum(weight for _, weight in known)
    return sum(value * weight for value, weight in known) / total if total else None


def shared_figures(name: str, comparison: Comparison) -> list[Figure]:
    """Return the figures over pairs and captures."""
    wanted, found = comparison.wanted, comparison.found
    counts = f"{len(wanted - found):,} / {len(found - wanted):,} / {len(wanted & found):,}"
    captures, alerting = len(comparison.expected), len(comparison.alerting)
    equal = comparison.equal_sets - (captures - alerting) + len(comparison.problems.keys() - comparison.alerting)
    identical = f"{comparison.equal_sets:,} of {captures:,} ({comparison.equal_sets / (captures or 1):.2%})"
    return [
        Figure(f"{name}: pairs of capture and rule that agree (Jaccard)", shown_share(comparison.agreement)),
        Figure(f"{name}: pairs missed / false / shared", counts),
        Figure(f"{name}: pairs with equal counts", shown_share(comparison.equal_counts / (len(wanted | found) or 1))),
        Figure(f"{name}: captures with identical rules", identical, "", *MARKS["et"]),
        Figure(f"{name}: the same, of those on which any rule fires", f"{equal:,} of {alerting:,}"),
        Figure(f"{name}: captures that crashed, hung or were refused", len(comparison.problems), "", "0"),
    ]


def show_comparison(comparison: Comparison) -> Iterator[str]:
    """Yield the rules that differ most, with the captures on which they do."""
    texts = rule_texts(comparison.rules)
    missed, false = by_rule(comparison.wanted - comparison.found), by_rule(comparison.found - comparison.wanted)
    sids = sorted(missed.keys() | false.keys(), key=lambda sid: -len(missed[sid]) - len(false[sid]))
    for sid in sids[:SHOWN]:
        yield f"{sid}: missed {len(missed[sid])}, false {len(false[sid])}   {texts.get(sid, '')}"
        for what, names in (("missed", missed[sid]), ("false ", false[sid])):
            yield from (f"    {what} {name}" for name in names[:SHOWN])
    yield from (f"{problem}: {name}" for name, problem in comparison.problems.items())
    slowest = sorted(comparison.seconds.items(), key=lambda item: -item[1])[:SLOWEST_SHOWN]
    yield from (f"{seconds:6.2f} s  {name}" for name, seconds in slowest)


def by_rule(these: set[Pair]) -> defaultdict[int, list[str]]:
    """Return the captures of each rule."""
    found: defaultdict[int, list[str]] = defaultdict(list)
    for name, sid in sorted(these):
        found[sid].append(name)
    return found


@dataclass
class OpenComparison(Comparison):
    """Holds as well which application protocols Suricata and we found in the captures."""

    their_protocols: set[tuple[str, str]] = field(default_factory=set)
    our_protocols: set[tuple[str, str]] = field(default_factory=set)


def open_rules(selection: Selection) -> OpenComparison:
    """Run a public rule set over the captures of the test data."""
    known = json.loads((test_data() / "expected" / "et-open-alerts.json").read_text())
    expected = {
        name: Counter({sid: count for _, sid, count in found["alerts"]}) for name, found in known["pcaps"].items()
    }
    rules = test_data() / "rules" / "et-open-2019-04" / "et-clean.rules"
    compared = compare(rules, expected, suricata.open_settings(), selection, set(known["not_scored_sids"]))
    theirs = {
        (name, protocol)
        for name in compared.expected
        for protocol in known["pcaps"][name]["flow_app_proto"].keys() - NO_PROTOCOL
    }
    return OpenComparison(**vars(compared), their_protocols=theirs, our_protocols=protocols_in(compared.expected))


NO_PROTOCOL = {"none", "failed"}
"""What Suricata calls flows whose protocol it does not know."""


def protocols_in(names: Iterable[str]) -> set[tuple[str, str]]:
    """Return the application protocols that flow records name in captures."""
    return {(name, protocol) for name in names for protocol in suricata.protocols(test_data() / name)}


def open_report(comparison: OpenComparison) -> Report:
    """Return how far the alerts of the public rule set, and the protocols found, agree."""
    theirs, ours = comparison.their_protocols, comparison.our_protocols
    agreement = shown_share(len(theirs & ours) / (len(theirs | ours) or 1))
    figure = Figure("captures and the application protocols in them that agree (Jaccard)", agreement)
    counts = [Counter(protocol for _, protocol in pairs) for pairs in (theirs, ours, theirs & ours)]
    names = sorted(counts[0].keys() | counts[1].keys())
    rows: list[list[Cell]] = [[name, *(count[name] for count in counts)] for name in names]
    header = ("protocol", "captures, Suricata", "captures, flow records", "both")
    return Report(
        [*shared_figures("ET Open 2019-04", comparison), figure], [Table("Application protocols", header, rows)]
    )


# The command.


@dataclass(frozen=True)
class Selection:
    """Holds which tests are run, and in how many processes."""

    family: str = ""
    tier: str = ""
    test: str = ""
    jobs: int = JOBS

    def takes(self, test: Mapping[str, Any]) -> bool:
        """Tell whether a test of the suite is chosen."""
        return (
            self.family in ("", test["family"]) and self.tier in ("", test["tier"]) and self.test in str(test["test"])
        )


def grouped(results: Iterable[TestResult], key: Callable[[TestResult], str]) -> dict[str, list[TestResult]]:
    """Return the results by a key."""
    groups: dict[str, list[TestResult]] = defaultdict(list)
    for one in results:
        groups[key(one)].append(one)
    return groups


def percent(shares: Iterable[float]) -> str:
    """Return the mean of shares as text."""
    return shown_share(fmean(shares))


def shown_share(share: float | None) -> str:
    """Return a share as text."""
    return "-" if share is None else f"{share:.2%}"


PARTS: dict[str, tuple[Callable[[Selection], Any], Callable[[Any], Report], Callable[[Any], Iterator[str]]]] = {
    "verify": (verify, verify_report, show_verify),
    "merged": (merged, merged_report, show_comparison),
    "et": (open_rules, open_report, show_comparison),
}
"""How each part is run, reported and shown in detail."""


def measure() -> Report:
    """Score all parts."""
    suricata.require_engine()
    selection = Selection(jobs=os.cpu_count() or 1)
    reports = [report(run(selection)) for run, report, _ in PARTS.values()]
    return Report(
        [figure for one in reports for figure in one.figures],
        [table for one in reports for table in one.tables],
        [note for one in reports for note in one.notes],
    )


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benches.signatures", description=__doc__)
    parser.add_argument("part", nargs="?", choices=[*PARTS, "all"], default="all")
    parser.add_argument("--family", default="", help="only tests of this family (verify)")
    parser.add_argument("--tier", default="", choices=["core", "extended"], help="only tests of this tier (verify)")
    parser.add_argument("--test", default="", metavar="NAME", help="only tests, or captures, with this in their name")
    parser.add_argument("--show", action="store_true", help="print what differs")
    parser.add_argument("--jobs", type=int, default=JOBS, help="processes that share the work")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every result into this file as well")
    arguments = parser.parse_args()
    selection = Selection(arguments.family, arguments.tier, arguments.test, arguments.jobs)
    details = {}
    try:
        suricata.require_engine()
        for part in PARTS if arguments.part == "all" else [arguments.part]:
            run, report, show = PARTS[part]
            result = run(selection)
            details[part] = plain(result)
            if arguments.show:
                print("\n".join(show(result)))
            print(markdown(part, "", report(result)), flush=True)
    except (UnavailableError, RuntimeError) as reason:
        print(f"signatures: {reason}", file=sys.stderr)
        return 2
    if arguments.json:
        arguments.json.write_text(json.dumps(details, indent=1))
    return 0


def plain(result: list[TestResult] | Comparison) -> Any:
    """Return a result as JSON takes it."""
    if isinstance(result, Comparison):
        return {
            "missed": sorted(result.wanted - result.found),
            "false": sorted(result.found - result.wanted),
            "problems": result.problems,
        }
    return [asdict(one) | {"passed": one.is_passed, "alerts_equal": one.has_equal_alerts} for one in result]


if __name__ == "__main__":
    sys.exit(main())
