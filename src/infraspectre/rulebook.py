"""The composition root of signatures: rules and captures in, alerts out, and what there is to know about rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import Any, Protocol, TypeVar

from infraspectre.adapters.rules.decisions import (
    Decision,
    Selector,
    Verb,
    read_decisions,
    state_path,
    write_decisions,
)
from infraspectre.adapters.rules.preparation import decided, prepared
from infraspectre.capture.inputs import InputKind, classify_all
from infraspectre.capture.signatures import AlertAccount, AlertSource, Rules
from infraspectre.errors import InputError, UsageError
from infraspectre.records.signatures import ShownSignature, Signature

Source = str | PathLike[str]
Progress = Callable[[int, int, int], None]
"""Is told the bytes read, the bytes in all (0 if unknown), and the alerts so far."""


Record = TypeVar("Record")


class Sink(Protocol):
    """Takes bytes."""

    def write(self, data: bytes, /) -> Any:
        """Append bytes."""
        ...


def load_rules(
    paths: Source | Sequence[Source], settings: Mapping[str, str] | None = None, state: Source | None = None
) -> Rules:
    """Compile the rules in files and folders, as decided in `state` or in the files beside them.

    `settings` are those of Suricata by their dotted names, such as vars.address-groups.HOME_NET.
    """
    with prepared(as_paths(paths), settings or {}, None if state is None else Path(state)) as ready:
        return Rules(*ready)


def as_paths(paths: Source | Iterable[Source]) -> list[Path]:
    """Return one path or many as a list."""
    return [Path(path) for path in ([paths] if isinstance(paths, str | PathLike) else paths)]


def load_as_told(
    paths: Sequence[Path], config: Path | None, assignments: Sequence[str] | None, state: Path | None
) -> Rules:
    """Compile rules with the settings in a suricata.yaml, overridden by assignments written as name=value."""
    from infraspectre.adapters.suricata_config import read_config

    settings = {**(read_config(config) if config else {}), **dict(map(assigned, assignments or ()))}
    return load_rules(paths, settings, state)


def assigned(assignment: str) -> tuple[str, str]:
    """Return the name and the value of a setting written as name=value."""
    name, equals, value = assignment.partition("=")
    if not equals or not name:
        raise UsageError(f"{assignment!r} is not name=value", remedy="such as vars.address-groups.HOME_NET=10.0.0.0/8")
    return name, value


def alerts_of(inputs: Sequence[Source], rules: Rules) -> AlertSource:
    """Return the alerts that rules raise on captures; raises UsageError for what is no capture."""
    paths = [fspath(path) for path in inputs]
    if (kind := classify_all(paths)) is not InputKind.CAPTURE:
        raise UsageError(f"rules match packets, and this is a {kind}", path=paths[0], remedy="name captures")
    if not rules:
        raise InputError("no rule can be used", remedy="'infraspectre rules check' says why")
    return AlertSource(paths, rules)


def write_alerts(inputs: Sequence[Source], rules: Rules, sink: Sink, progress: Progress | None = None) -> AlertAccount:
    """Write the alerts that rules raise on captures as lines of EVE JSON."""
    source = alerts_of(inputs, rules)
    count = 0
    for lines in source:
        sink.write(lines)
        count += lines.count(b"\n")
        if progress:
            progress(*source.progress(), count)
    return source.account()


def signatures(paths: Sequence[Path], state: Path | None, chosen: Selector | None = None) -> Iterator[Signature]:
    """Yield the chosen rules in files and folders, as decided in `state` or in the files beside them."""
    return (shown.signature for shown in shown_rules(paths, state, chosen))


def shown_rules(paths: Sequence[Path], state: Path | None, chosen: Selector | None) -> Iterator[ShownSignature]:
    """Yield the chosen rules like `signatures`, each with its text and the decisions about it."""
    for rule, decisions in decided(paths, state):
        if chosen is None or chosen.takes(rule.signature):
            about = [str(decision) for decision in decisions.about(rule.signature)]
            yield ShownSignature(rule.signature, rule.text, about)


def selector(
    rule: str | None = None,
    classtype: str | None = None,
    msg: str | None = None,
    file: str | None = None,
    metadata: str | None = None,
) -> Selector | None:
    """Return what names rules, `rule` by sid or gid:sid; None where nothing is given. Raises UsageError."""
    gid, _, sid = (rule or "").rpartition(":")
    fields = {"sid": sid or None, "gid": gid or 1, "classtype": classtype, "msg": msg, "file": file}
    if not any((rule, classtype, msg, file, metadata)):
        return None
    return made(Selector, fields | {"metadata": metadata})


def made(kind: type[Record], fields: Mapping[str, Any]) -> Record:
    """Return a record with these fields; raises UsageError where they say nothing possible."""
    import msgspec

    try:
        return msgspec.convert(fields, kind, strict=False)
    except msgspec.ValidationError as error:
        raise UsageError(str(error).partition(" - at `")[0], remedy="--help shows how rules are named") from error


def named(chosen: Selector | None) -> Selector:
    """Return what names rules; raises UsageError where there is nothing."""
    if chosen is None:
        raise UsageError("no rule is named", remedy="name rules with --rule, --classtype, --msg, --file or --metadata")
    return chosen


def decision(verb: Verb, rules: Selector | None, reason: str, **limits: str | None) -> Decision:
    """Return a decision; raises UsageError where it is about nothing, or says nothing possible."""
    return made(Decision, {"do": verb, "rules": named(rules), "reason": reason, **limits})


def decide(paths: Sequence[Path], state: Path | None, decision: Decision) -> tuple[Path, int]:
    """Note a decision about rules; return the file in which it stands and how many rules it is about.

    Raises UsageError where it is about none.
    """
    place = state or state_path(paths)
    count = sum(1 for _ in signatures(paths, state, decision.rules))
    if not count:
        raise UsageError("no rule is named so", remedy="'infraspectre rules list' shows the rules")
    write_decisions(place, read_decisions(place).with_one_more(decision))
    return place, count
