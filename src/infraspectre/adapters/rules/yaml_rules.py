"""Sigma rules and own rules as people check, list, choose and show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from fnmatch import fnmatch
from pathlib import Path
from textwrap import dedent

from yaml import Node

from infraspectre.cortex.rules import written_rules
from infraspectre.documents import items_at, read_documents, read_text
from infraspectre.errors import InputError, UsageError
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
            techniques=tuple(each.id for each in head.techniques),
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
        techniques=tuple(text.techniques),
    )


def listed_correlation(paths: Sequence[Path]) -> Iterator[ListedRule]:
    """Yield the rules of correlation in files and folders, then those of the package; broken ones are left out."""
    for text, path, line in written_rules(paths):
        yield ListedRule(
            kind="correlation",
            path=str(path),
            line=line,
            name=text.id,
            msg=text.says,
            severity=text.severity,
            status="enabled" if text.enabled else "disabled",
            about=text.makes,
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


def shown_rules(rules: Iterable[ListedRule]) -> Iterator[ShownRule]:
    """Yield rules with their texts; each file is read once."""
    texts: dict[str, dict[int, str]] = {}
    for rule in rules:
        if rule.path not in texts:
            texts[rule.path] = texts_in(rule)
        yield ShownRule(rule, texts[rule.path].get(rule.line, ""))


def texts_in(rule: ListedRule) -> dict[int, str]:
    """Return the texts of all rules in the file of a rule, by the lines on which they begin."""
    path = Path(rule.path)
    roots = [document.root for document in read_documents(path)]
    nodes = roots if rule.kind == "sigma" else items_at(roots[0], ["rules" if rule.kind == "own" else "joins"])
    text = read_text(path)
    return {node.start_mark.line + 1: text_of(node, text) for node in nodes if node is not None}


def text_of(node: Node, text: str) -> str:
    """Return what a node was read from, without the space before each of its lines."""
    return dedent(" " * node.start_mark.column + text[node.start_mark.index : node.end_mark.index]).rstrip()
