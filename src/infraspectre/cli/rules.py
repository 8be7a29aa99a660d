"""`infraspectre rules`: what there is to do with rules in Suricata's language besides matching them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from infraspectre.cli.grammar import Group
from infraspectre.cli.options import ALL_RULES, AS_GIVEN, DEFAULT, Common, RuleChoice, RuleOptions
from infraspectre.cli.output import note, print_json, print_table
from infraspectre.errors import EXIT_DONE, EXIT_LOSSES

if TYPE_CHECKING:
    from infraspectre.records.signatures import Signature


def check(paths: list[Path], /, *, options: RuleOptions = AS_GIVEN, common: Common = DEFAULT) -> int:
    """Check rules: name each that cannot be used, with file, line, reason and what would help.

    Parameters
    ----------
    paths
        Rule files or folders of them.
    """
    from infraspectre import rulebook
    from infraspectre.records.words import plural
    from infraspectre.security import printable

    rules = rulebook.load_as_told(paths, *options)
    refused = rules.refused
    if common.json:
        total = len(rules) + len(refused)
        print_json({"files": rules.files, "rules": total, "loaded": len(rules), "refused": refused})
    elif not common.quiet:
        for refusal in refused:
            print(printable(str(refusal)))
        note(f"{plural(rules.files, 'file')}: {plural(len(rules), 'rule')} can be used, {len(refused):,} cannot")
    return EXIT_LOSSES if refused else EXIT_DONE


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

    rules = rulebook.signatures(paths, state, rulebook.selector(*choice))
    found = [rule for rule in rules if only in (None, status(rule))]
    if common.json:
        print_json(found)
    elif not common.quiet:
        print_table(["rule", "rev", "status", "class", "message"], list(map(row, found)))


def status(rule: Signature) -> str:
    """Return whether a rule is enabled."""
    return "enabled" if rule.is_enabled else "disabled"


def row(rule: Signature) -> list[str]:
    """Return a rule as cells of a table."""
    from infraspectre.security import printable

    return [rule.name, str(rule.rev), status(rule), printable(rule.classtype), printable(rule.msg)]


rules = Group(
    "Check, list, choose, profile, test and update rules in Suricata's language.", {"check": check, "list": list_}
)
