"""`infraspectre rules`: work with detection rules."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from infraspectre.cli.grammar import Group
from infraspectre.cli.options import DEFAULT, Common
from infraspectre.cli.output import note, print_json
from infraspectre.errors import EXIT_BAD_INPUT, EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from infraspectre.own_rules import Report


def test(paths: list[Path], /, *, common: Common = DEFAULT) -> int:
    """Run the tests that stand beside own rules.

    Parameters
    ----------
    paths
        Files of own rules in YAML, or folders of them.
    """
    from infraspectre import app

    report = app.test_own_rules(paths)
    if common.json:
        print_json(report)
    elif not common.quiet:
        for line in told(report):
            note(line)
    if report.refused:
        return EXIT_BAD_INPUT
    return EXIT_FAILED if report.failed else EXIT_DONE


def told(report: Report) -> Iterator[str]:
    """Yield what is to be said about tests: faults, failures, gaps, and the sum."""
    from infraspectre.records.words import listed, plural
    from infraspectre.security import printable

    for refusal in report.refused:
        place = ":".join(str(part) for part in (refusal.path, refusal.line) if part is not None)
        remedy = f"; {refusal.remedy}" if refusal.remedy else ""
        yield printable(f"{place}: {refusal.field}: {refusal.reason}{remedy}")
    for result in report.failed:
        missing = f" {listed(result.missing)} found nothing" if result.missing else ""
        unexpected = f" {listed(result.unexpected)} found something" if result.unexpected else ""
        yield printable(f"{result.path}:{result.line}: {result.name}:{missing}{unexpected}")
    if report.untested:
        yield f"no test expects {listed(report.untested)}"
    passed = report.tests - len(report.failed)
    yield f"{plural(report.tests, 'test')} of {plural(report.rules, 'rule')}: {passed} passed"


rules = Group("Work with detection rules.", {"test": test})
