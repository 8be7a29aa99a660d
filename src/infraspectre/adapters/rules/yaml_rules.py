"""Sigma rules and own rules as people check, list, choose and show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from textwrap import dedent

from infraspectre.errors import InputError, UsageError
from infraspectre.intel.documents import items_at, read_documents, read_text
from infraspectre.own_rules import fields
from infraspectre.records.rules import Check, ListedRule, Refusal, ShownRule
from infraspectre.soma.rules import RuleFile, RuleText, read_files
from infraspectre.soma.sigma import SigmaRules, load_sigma
from infraspectre.soma.sigma.loading import read_rules


def check_sigma(paths: Sequence[Path]) -> Check:
    """Return how many Sigma rules can be used, see nothing in flows, and are refused."""
    rules = load_sigma(paths)
    return Check("Sigma rule", len(paths), len(rules), len(rules.unseen), list(map(Refusal.of, rules.refused)))


def check_own(paths: Sequence[Path]) -> Check:
    """Return how many own rules can be used and are refused."""
    files, faults = read_files(paths, fields())
    loaded = sum(len(file.rules) for file in files)
    return Check("own rule", len(paths), loaded, 0, list(map(Refusal.of, faults)))


def listed_sigma(paths: Sequence[Path]) -> Iterator[ListedRule]:
    """Yield the Sigma rules in files, each with what it looks at, or why it sees nothing in flows."""
    loaded = read_rules(paths)
    lacks = {(unseen.path, unseen.line): unseen.problem for unseen in SigmaRules(loaded).unseen}
    sources = [(rule.head, str(rule.source)) for rule in loaded.rules]
    kinds = [(correlation.head, correlation.kind) for correlation in loaded.correlations]
    for head, source in [*sources, *kinds]:
        lack = lacks.get((head.path, head.line))
        yield ListedRule(
            kind="sigma",
            path=head.path,
            line=head.line,
            name=head.key,
            msg=head.title,
            severity=head.level,
            status="unseen" if lack else "enabled",
            about=lack or source,
        )


def listed_own(paths: Sequence[Path]) -> Iterator[ListedRule]:
    """Yield the own rules in files, also disabled ones; those that nobody can read are left to a check."""
    files, _ = read_files(paths, fields())
    for file in files:
        for place in range(len(file.text.rules)):
            with suppress(InputError):
                yield listed_text(file, f"$.rules[{place}]")


def listed_text(file: RuleFile, field: str) -> ListedRule:
    """Return the own rule at a field of a file; raises InputError naming it."""
    text = file.document.part(RuleText, field)
    return ListedRule(
        kind="own",
        path=str(file.document.path),
        line=file.document.line_of(field),
        name=text.id,
        msg=text.title,
        severity=text.severity,
        status="enabled" if text.enabled else "disabled",
        about=text.category or text.id,
    )


def chosen(rules: Iterable[ListedRule], choice: Mapping[str, str | None]) -> Iterator[ListedRule]:
    """Yield the rules of which everything given is true; classes and metadata are what only signatures have."""
    name, file, message = choice.get("rule"), choice.get("file"), choice.get("msg")
    try:
        wanted = re.compile(message or "", re.IGNORECASE)
    except re.error as error:
        raise UsageError(f"msg is no regular expression: {error}") from error
    if choice.get("classtype") is choice.get("metadata") is None:
        for rule in rules:
            is_named = name in (None, rule.name) and fnmatch(Path(rule.path).name, file or "*")
            if is_named and wanted.search(rule.msg):
                yield rule


def shown_rule(rule: ListedRule) -> ShownRule:
    """Return a rule with its text."""
    path = Path(rule.path)
    nodes = [root for root, _ in read_documents(path)]
    if rule.kind == "own":
        nodes = items_at(nodes[0], ["rules"])
    node = next(node for node in nodes if node.start_mark.line + 1 == rule.line)
    start, end = node.start_mark, node.end_mark
    return ShownRule(rule, dedent(" " * start.column + read_text(path)[start.index : end.index]).rstrip())
