"""`infraspectre rules`: what there is to do with rules besides matching them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from infraspectre.cli.grammar import Function, Group
from infraspectre.cli.options import (
    ALL_RULES,
    AS_GIVEN,
    BESIDE_RULES,
    DEFAULT,
    Common,
    NoteOptions,
    RuleChoice,
    RuleOptions,
)
from infraspectre.cli.output import following, note, print_json, print_table, status_of, warn_refused
from infraspectre.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED, EXIT_LOSSES, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infraspectre.adapters.rules.decisions import Verb
    from infraspectre.adapters.rules.expectations import Verdict
    from infraspectre.adapters.rules.updates import Update
    from infraspectre.own_rules import Report
    from infraspectre.records.rules import Check, ListedRule, ShownRule
    from infraspectre.records.signatures import ShownSignature, Signature, SignatureCost


def check(paths: list[Path], /, *, options: RuleOptions = AS_GIVEN, common: Common = DEFAULT) -> int:
    """Check rules: name each that cannot be used, with file, line, reason and what would help.

    Parameters
    ----------
    paths
        Rule files or folders of them: rules in Suricata's language, Sigma rules and own rules.
    """
    from infraspectre import rulebook
    from infraspectre.security import printable

    checks = list(rulebook.Told(*options).check(paths))
    refused = [refusal for check in checks for refusal in check.refused]
    if common.json:
        files, loaded, unseen = (
            sum(getattr(check, name) for check in checks) for name in ("files", "loaded", "unseen")
        )
        total = loaded + unseen + len(refused)
        print_json({"files": files, "rules": total, "loaded": loaded, "unseen": unseen, "refused": refused})
    elif not common.quiet:
        for refusal in refused:
            print(printable(str(refusal)))
        for check in checks:
            note(sum_of(check))
    return EXIT_LOSSES if refused else EXIT_DONE


def sum_of(check: Check) -> str:
    """Return how many rules of a kind can be used."""
    from infraspectre.records.words import plural

    see = "sees" if check.unseen == 1 else "see"
    unseen = f", {check.unseen:,} {see} nothing in network traffic" if check.unseen else ""
    can = f"{plural(check.loaded, check.kind)} can be used, {len(check.refused):,} cannot"
    return f"{plural(check.files, 'file')}: {can}{unseen}"


def list_(
    paths: list[Path],
    /,
    *,
    only: Literal["enabled", "disabled"] | None = None,
    state: Path | None = None,
    choice: RuleChoice = ALL_RULES,
    common: Common = DEFAULT,
) -> None:
    """List rules, and whether each is enabled.

    Parameters
    ----------
    paths
        Rule files or folders of them.
    only
        List enabled or disabled rules alone.
    state
        Read what was decided about the rules from this file instead of those beside the rules.
    """
    from infraspectre import rulebook

    rules = rulebook.listed(paths, state, choice._asdict())
    found = [rule for rule in rules if only in (None, rule.status)]
    if common.json:
        print_json(found)
    elif not common.quiet:
        print_table(["rule", "rev", "status", "class", "message"], list(map(row, found)))


def row(rule: Signature | ListedRule) -> list[str]:
    """Return a rule as cells of a table."""
    from infraspectre.records.signatures import Signature
    from infraspectre.security import printable

    rev, kind = (str(rule.rev), rule.classtype) if isinstance(rule, Signature) else ("", f"{rule.kind}: {rule.about}")
    return [printable(rule.name), rev, rule.status, printable(kind), printable(rule.msg)]


def show(
    paths: list[Path],
    /,
    *,
    state: Path | None = None,
    choice: RuleChoice = ALL_RULES,
    common: Common = DEFAULT,
) -> None:
    """Show rules: where each stands, what was decided about it, and its text.

    Parameters
    ----------
    paths
        Rule files or folders of them.
    state
        Read what was decided about the rules from this file instead of those beside the rules.
    """
    from infraspectre import rulebook

    found = list(rulebook.shown_all(paths, state, choice._asdict()))
    if not found:
        raise UsageError("no rule is named so", remedy="'infraspectre rules list' shows the rules")
    if common.json:
        print_json(found)
    elif not common.quiet:
        print("\n\n".join(map(page, found)))


def page(shown: ShownSignature | ShownRule) -> str:
    """Return what is known about a rule, for the terminal."""
    from infraspectre.records.signatures import ShownSignature
    from infraspectre.security import printable

    rule: Signature | ListedRule
    if isinstance(shown, ShownSignature):
        rule, name, remarks = shown.signature, f"{shown.signature.name} rev {shown.signature.rev}", shown.decisions
    else:
        rule, name, remarks = shown.rule, shown.rule.name, [f"{shown.rule.kind}: {shown.rule.about}"]
    lines = [f"{name}: {rule.msg}", f"{rule.path}:{rule.line}, {rule.status}", *remarks, "", *shown.text.splitlines()]
    return "\n".join(map(printable, lines))


def enable(
    paths: list[Path], /, *, choice: RuleChoice = ALL_RULES, noted: NoteOptions = BESIDE_RULES, common: Common = DEFAULT
) -> None:
    """Enable rules, also those that stand behind # in their file.

    Parameters
    ----------
    paths
        Rule files or folders of them.
    """
    decide("enable", paths, choice, noted, common)


def disable(
    paths: list[Path], /, *, choice: RuleChoice = ALL_RULES, noted: NoteOptions = BESIDE_RULES, common: Common = DEFAULT
) -> None:
    """Disable rules; their files stay as they are.

    Parameters
    ----------
    paths
        Rule files or folders of them.
    """
    decide("disable", paths, choice, noted, common)


def suppress(
    paths: list[Path],
    /,
    *,
    track: Literal["by_src", "by_dst", "by_either"] | None = None,
    ip: str | None = None,
    choice: RuleChoice = ALL_RULES,
    noted: NoteOptions = BESIDE_RULES,
    common: Common = DEFAULT,
) -> None:
    """Suppress the alerts of rules, all of them or those about some hosts; the rules still set their flow bits.

    Parameters
    ----------
    paths
        Rule files or folders of them.
    track
        Compare the source, the destination, or either of them with --ip.
    ip
        Suppress alerts about this address, network or variable alone.
    """
    decide("suppress", paths, choice, noted, common, track=track, ip=ip)


def decide(
    verb: Verb, paths: list[Path], choice: RuleChoice, noted: NoteOptions, common: Common, **limits: str | None
) -> None:
    """Note a decision about rules, and say where it stands."""
    from infraspectre import rulebook
    from infraspectre.records.words import plural

    place, count = rulebook.decide(verb, paths, noted.state, choice._asdict(), reason=noted.reason, **limits)
    if common.json:
        print_json({"state": place, "rules": count})
    elif not common.quiet:
        note(f"{verb}: {plural(count, 'rule')}, noted in {place}")


def profile(
    inputs: list[str],
    /,
    *,
    rules: list[Path],
    top: int = 20,
    options: RuleOptions = AS_GIVEN,
    common: Common = DEFAULT,
) -> int:
    """Match rules on captures and list those that took most time.

    Parameters
    ----------
    inputs
        Captures or folders of captures; - for stdin.
    rules
        Take rules from this file or folder; may be repeated.
    top
        List so many rules.
    """
    from infraspectre import rulebook

    loaded = rulebook.Told(*options).load(rules, profiling="yes")
    refused = warn_refused(loaded.refused)
    with following("matching", common, "alerts") as progress:
        found = rulebook.profile(inputs, loaded, progress)
    costs = found.costs[: max(top, 0)]
    if common.json:
        print_json(costs)
    elif not common.quiet:
        print_table(["rule", "checks", "matches", "ms", "ns/check", "message"], list(map(cost_row, costs)))
    return status_of(found.account) or refused


def cost_row(cost: SignatureCost) -> list[str]:
    """Return what a rule took as cells of a table."""
    from infraspectre.security import printable

    each = f"{cost.ns / cost.checks:,.0f}" if cost.checks else "-"
    rule = f"{cost.gid}:{cost.sid}"
    return [rule, f"{cost.checks:,}", f"{cost.matches:,}", f"{cost.ns / 1e6:,.3f}", each, printable(cost.msg)]


def test(
    paths: list[Path],
    /,
    *,
    rules: list[Path] | None = None,
    options: RuleOptions = AS_GIVEN,
    common: Common = DEFAULT,
) -> int:
    """Test rules: match them on captures and compare what fired with what files say; run the tests beside own rules.

    A test of signatures is a YAML file with the keys capture (a path, or a list of them), expect (a number of alerts by
    sid or gid:sid, or one after >=, <=, > or <), and, if wished, rules, settings and others (allowed or forbidden).

    Parameters
    ----------
    paths
        Tests whose names end with .expect.yaml, files of own rules in YAML, or folders of them.
    rules
        Take rules from this file or folder where a test of signatures names none; may be repeated.
    """
    from infraspectre import app, rulebook

    others, own = rulebook.sorted_tests(paths)
    verdicts = list(rulebook.verdicts(others, rules or (), rulebook.Told(*options)))
    failed = [verdict for verdict in verdicts if not verdict.is_passed]
    report = app.test_own_rules(own) if own else None
    if common.json:
        print_json({"signatures": verdicts, "own": report})
    elif not common.quiet:
        show_tests(verdicts, report)
    if report and report.refused:
        return EXIT_BAD_INPUT
    return EXIT_FAILED if failed or (report and report.failed) else EXIT_DONE


def show_tests(verdicts: list[Verdict], report: Report | None) -> None:
    """Print the results of tests."""
    if verdicts:
        passed = sum(verdict.is_passed for verdict in verdicts)
        print_table(["test", "result", "why"], list(map(verdict_row, verdicts)))
        note(f"{passed:,} passed, {len(verdicts) - passed:,} failed")
    for line in told(report) if report else ():
        note(line)


def verdict_row(verdict: Verdict) -> list[str]:
    """Return the result of a test as cells of a table."""
    from infraspectre.security import printable

    why = verdict.problem or "; ".join(map(str, verdict.differences))
    return [printable(verdict.path), "passed" if verdict.is_passed else "failed", printable(why)]


def told(report: Report) -> Iterator[str]:
    """Yield what is to be said about tests: faults, failures, gaps, and the sum."""
    from infraspectre.records.words import listed, plural
    from infraspectre.security import printable

    for refusal in report.refused:
        yield printable(str(refusal))
    for result in report.failed:
        missing = f" {listed(result.missing)} found nothing" if result.missing else ""
        unexpected = f" {listed(result.unexpected)} found something" if result.unexpected else ""
        yield printable(f"{result.path}:{result.line}: {result.name}:{missing}{unexpected}")
    if report.untested:
        yield f"no test expects {listed(report.untested)}"
    passed = report.tests - len(report.failed)
    yield f"{plural(report.tests, 'test')} of {plural(report.rules, 'rule')}: {passed} passed"


def update(sources: Path, /, *, out: Path, common: Common = DEFAULT) -> int:
    """Bring sets of rules up to date from folders, archives and https addresses with known checksums.

    A set is checked before it takes the place of the one in use, which stays in use where anything fails; decisions
    about rules that stand in the folder hold on. The set before is kept in the folder .sets.

    Parameters
    ----------
    sources
        YAML file with a list called sources, of which each has a name and either path, or url and sha256.
    out
        Keep the sets in this folder, from which --rules takes them.
    """
    from infraspectre import rulebook

    updates = list(rulebook.updates(sources, out))
    failed = sum(update.status == "failed" for update in updates)
    if common.json:
        print_json(updates)
    elif not common.quiet:
        print_table(["source", "status", "files", "rules", "why"], list(map(update_row, updates)))
    if failed == len(updates) > 0:
        return EXIT_FAILED
    return EXIT_LOSSES if failed else EXIT_DONE


def update_row(update: Update) -> list[str]:
    """Return what became of a source as cells of a table."""
    from infraspectre.security import printable

    return [update.name, update.status, f"{update.files:,}", f"{update.rules:,}", printable(update.problem)]


COMMANDS: dict[str, Function] = {
    "check": check,
    "list": list_,
    "show": show,
    "enable": enable,
    "disable": disable,
    "suppress": suppress,
    "profile": profile,
    "test": test,
    "update": update,
}
rules = Group("Check, list, choose, profile, test and update detection rules.", COMMANDS)
