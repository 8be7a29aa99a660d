"""The composition root of rules: rules and captures in, alerts out, and what there is to know about rules."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike, fspath
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from infraspectre.adapters.rules.kinds import RulePaths, sorted_rules
from infraspectre.adapters.rules.kinds import sorted_tests as sorted_tests
from infraspectre.adapters.rules.preparation import load, shown_rules
from infraspectre.capture.inputs import STDIN, InputKind, classify_all, is_stream
from infraspectre.capture.packets import Conversations
from infraspectre.capture.payloads import ALL_PACKETS, CapturedPayloads
from infraspectre.capture.signatures import AlertAccount, AlertSource, Rules
from infraspectre.errors import InputError, UsageError
from infraspectre.ports import Account, FlowSource
from infraspectre.records.flows import FlowBatch

if TYPE_CHECKING:
    from infraspectre.adapters.alert_log import AlertLog
    from infraspectre.adapters.rules.decisions import Verb
    from infraspectre.adapters.rules.expectations import Verdict
    from infraspectre.adapters.rules.updates import Update
    from infraspectre.adapters.yara import YaraRules
    from infraspectre.records.rules import Check, ListedRule, ShownRule
    from infraspectre.records.signatures import ShownSignature, Signature, SignatureCost
    from infraspectre.soma.sigma import SigmaRules

Source = str | PathLike[str]
Progress = Callable[[int, int, int], None]
"""Is told the bytes read, the bytes in all (0 if unknown), and the alerts so far."""
Choice = Mapping[str, str | None]
"""What is given to choose rules: rule (sid or gid:sid), classtype, msg, file and metadata."""
IS_ALERT = b'"event_type":"alert"'


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
    return load(as_paths(paths), settings or {}, None if state is None else Path(state))


def as_paths(paths: Source | Iterable[Source]) -> list[Path]:
    """Return one path or many as a list."""
    return [Path(path) for path in ([paths] if isinstance(paths, str | PathLike) else paths)]


class Told(NamedTuple):
    """Holds how the command line says that rules are read."""

    config: Path | None = None
    """A suricata.yaml."""
    assignments: Sequence[str] | None = None
    """Settings written as name=value, which override those of the file."""
    state: Path | None = None

    def settings(self) -> dict[str, str]:
        """Return the settings."""
        from infraspectre.adapters.suricata_config import read_config

        return {**(read_config(self.config) if self.config else {}), **dict(map(assigned, self.assignments or ()))}

    def load(self, paths: Sequence[Path], **more: str) -> Rules:
        """Compile rules, with more settings than those told."""
        return load_rules(paths, self.settings() | more, self.state)

    def load_all(self, paths: Sequence[Path]) -> Loaded:
        """Load rules of all kinds; own rules stay to be read with the flows."""
        from infraspectre.soma.sigma import load_sigma

        found = sorted_rules(paths)
        signatures = self.load(found.signatures) if found.signatures else None
        sigma = load_sigma(found.sigma) if found.sigma else None
        return Loaded(
            signatures=signatures or None,
            sigma=sigma or None,
            own=found.own,
            refused=[each for loaded in (signatures, sigma) if loaded is not None for each in loaded.refused],
            unseen=0 if sigma is None else len(sigma.unseen),
        )

    def check(self, paths: Sequence[Path]) -> Iterator[Check]:
        """Yield, for each kind of rules in files and folders, how many can be used, and which cannot."""
        from infraspectre.records.rules import Check

        found = sorted_rules(paths)
        if found.signatures:
            rules = self.load(found.signatures)
            yield Check("rule", rules.files, len(rules), 0, rules.refused)
        if found.sigma or found.own:
            from infraspectre.adapters.rules.yaml_rules import check_own, check_sigma

            yield from (check(files) for check, files in ((check_sigma, found.sigma), (check_own, found.own)) if files)


class Loaded(NamedTuple):
    """Holds the rules that can be used, those refused, and how many see nothing in network traffic."""

    signatures: Rules | None
    sigma: SigmaRules | None
    own: Sequence[Path]
    """Files of own rules."""
    refused: Sequence[object]
    unseen: int

    def __bool__(self) -> bool:
        return bool(self.signatures or self.sigma or self.own)


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


def write_alerts(
    inputs: Sequence[Source],
    rules: Rules,
    sink: Sink,
    progress: Progress | None = None,
    conversations: Conversations | None = None,
) -> AlertAccount:
    """Write the alerts that rules raise on captures as lines of EVE JSON; note their conversations, if wished."""
    source = alerts_of(inputs, rules)
    copy_alerts(source, sink, progress, conversations)
    account = source.account()
    if conversations and conversations.surplus:
        account.shed |= {"alerts whose packets are not written": conversations.surplus}
    return account


def copy_alerts(
    source: AlertSource, sink: Sink, progress: Progress | None, conversations: Conversations | None = None
) -> None:
    """Write the alerts of a source."""
    count = 0
    for lines in source:
        sink.write(lines)
        if conversations:
            conversations.note(lines)
        count += lines.count(b"\n")
        if progress:
            progress(*source.progress(), count)


def write_packets(inputs: Sequence[Source], conversations: Conversations, sink: Sink) -> int:
    """Write the packets of conversations in captures as a pcapng file; return how many there are."""
    source = conversations.packets([fspath(path) for path in inputs])
    for piece in source:
        sink.write(piece)
    return source.packets


def require_files(inputs: Sequence[Source], purpose: str) -> None:
    """Raise UsageError for an input that can be read only once."""
    for path in inputs:
        if fspath(path) == STDIN or is_stream(Path(path)):
            problem = f"can be read only once, and is needed again for {purpose}"
            raise UsageError(problem, path=fspath(path), remedy="save it to a file")


class MatchedSource:
    """Gives the flows of captures, and the alerts that rules raise on them."""

    def __init__(self, flows: FlowSource, alerts: AlertLog, account: AlertAccount) -> None:
        """Take flows that are still to be read, and alerts with the account of how they were found."""
        self._flows = flows
        self._alerts = alerts
        self._matched = account

    def __iter__(self) -> Iterator[FlowBatch]:
        return iter(self._flows)

    def account(self) -> Account:
        """Return what was read and lost, on the way to flows and to alerts."""
        account = self._flows.account()
        account.unreadable = self._matched.unreadable | account.unreadable
        account.shed = account.shed | {f"signatures: {what}": count for what, count in self._matched.shed.items()}
        return account

    def progress(self) -> tuple[int, int]:
        """Return the bytes read and the bytes in all; all are read twice."""
        done, total = self._flows.progress()
        return total + done, 2 * total

    def alerts(self) -> AlertLog:
        """Return all alerts."""
        return self._alerts


class Scan:
    """Scans what the flows of captures carry with YARA rules, while the flows are read."""

    def __init__(self, inputs: Sequence[Source], rules: YaraRules) -> None:
        """Open the captures; raises UsageError for what is no capture, or can be read only once."""
        from infraspectre.adapters.yara import YaraDetector, YaraScanner, YaraSettings

        require_files(inputs, "YARA rules")
        paths = [fspath(path) for path in inputs]
        if (kind := classify_all(paths)) is not InputKind.CAPTURE:
            raise UsageError(f"YARA rules scan payloads, and a {kind} has none", path=paths[0], remedy="name captures")
        bounds = YaraSettings()
        self.payloads = CapturedPayloads(paths, rules.settings, bounds.max_bytes)
        self.scanner = YaraScanner(rules, bounds)
        self.detector = YaraDetector(self.payloads, self.scanner)

    def beside(self, flows: FlowSource) -> ScannedSource:
        """Return flows with which the scan keeps pace."""
        return ScannedSource(flows, self)


class ScannedSource:
    """Gives the flows of captures, and makes payloads due as their packets are read."""

    def __init__(self, flows: FlowSource, scan: Scan) -> None:
        """Take flows that are still to be read."""
        self._flows = flows
        self._scan = scan
        self.progress = flows.progress
        self.alerts = flows.alerts

    def __iter__(self) -> Iterator[FlowBatch]:
        for batch in self._flows:
            self._scan.payloads.due = self._flows.account().packets
            yield batch
        self._scan.payloads.due = ALL_PACKETS

    def account(self) -> Account:
        """Return what was read and lost, on the way to flows and to payloads."""
        account, read = self._flows.account(), self._scan.payloads.account()
        account.unreadable = read.unreadable | account.unreadable
        lost = read.shed | self._scan.scanner.shed
        account.shed = account.shed | {f"payloads: {what}": count for what, count in lost.items()}
        return account


def load_yara(paths: Source | Sequence[Source], settings: Mapping[str, str] | None = None) -> YaraRules:
    """Compile the YARA rules in files and folders; what is refused of them is said in the result.

    `settings` are those of Suricata by their dotted names, which also say how streams are put together.
    """
    from infraspectre.adapters.yara import load_yara as load_files

    return load_files(as_paths(paths))._replace(settings=settings or {})


def match(inputs: Sequence[Source], rules: Rules, log: AlertLog, progress: Progress | None) -> AlertAccount:
    """Log the alerts that rules raise on captures whose flows are read afterwards; see `require_files`."""
    source = alerts_of(inputs, rules)
    for lines in source:
        for line in lines.splitlines(keepends=True):
            if IS_ALERT in line:
                log.append_line(line)
        if progress:
            done, total = source.progress()
            progress(done, 2 * total, 0)
    return source.account()


def signatures(paths: Sequence[Path], state: Path | None, choice: Choice) -> Iterator[Signature]:
    """Yield the chosen rules in files and folders, as decided in `state` or in the files beside them."""
    return (rule.signature for rule in shown(paths, state, choice))


def listed(paths: Sequence[Path], state: Path | None, choice: Choice) -> Iterator[Signature | ListedRule]:
    """Yield the chosen rules of all kinds in files and folders."""
    found = sorted_rules(paths)
    if may_name_signatures(found, choice):
        yield from signatures(found.signatures, state, choice)
    yield from listed_yaml(found, choice)


def shown_all(paths: Sequence[Path], state: Path | None, choice: Choice) -> Iterator[ShownSignature | ShownRule]:
    """Yield the chosen rules like `listed`, each with its text."""
    found = sorted_rules(paths)
    if may_name_signatures(found, choice):
        yield from shown(found.signatures, state, choice)
    if rules := list(listed_yaml(found, choice)):
        from infraspectre.adapters.rules.yaml_rules import shown_rules

        yield from shown_rules(rules)


def may_name_signatures(found: RulePaths, choice: Choice) -> bool:
    """Tell whether signatures may be meant: not where there are none, nor by a name that only other rules have."""
    from infraspectre.adapters.rules.decisions import IDENTITY

    is_name = IDENTITY.fullmatch(choice.get("rule") or "1") is None
    return bool(found.signatures) and not (is_name and (found.sigma or found.own))


def listed_yaml(found: RulePaths, choice: Choice) -> Iterator[ListedRule]:
    """Yield the chosen Sigma rules and own rules."""
    if found.sigma or found.own:
        from infraspectre.adapters.rules.yaml_rules import chosen, listed_own, listed_sigma

        yield from chosen([*listed_sigma(found.sigma), *listed_own(found.own)], choice)


def shown(paths: Sequence[Path], state: Path | None, choice: Choice) -> Iterator[ShownSignature]:
    """Yield the chosen rules like `signatures`, each with its text and the decisions about it."""
    from infraspectre.adapters.rules.decisions import selector

    chosen = selector(choice)
    return (rule for rule in shown_rules(paths, state) if chosen is None or chosen.takes(rule.signature))


def decide(
    verb: Verb, paths: Sequence[Path], state: Path | None, choice: Choice, **details: str | None
) -> tuple[Path, int]:
    """Note a decision about the chosen rules; return the file in which it stands and how many rules it is about.

    Raises UsageError where it is about none.
    """
    from infraspectre.adapters.rules.decisions import (
        Decisions,
        decision_of,
        read_decisions,
        state_path,
        write_decisions,
    )

    decision = decision_of(verb, choice, details)
    place = state or state_path(paths)
    count = sum(1 for _ in signatures(paths, None, choice))
    if not count:
        raise UsageError("no rule is named so", remedy="'infraspectre rules list' shows the rules")
    before = read_decisions(place) if place.exists() else Decisions()
    write_decisions(place, before.with_one_more(decision))
    return place, count


def verdicts(tests: Sequence[Path], rules: Sequence[Path], told: Told) -> Iterator[Verdict]:
    """Yield whether each test in files and folders passes; `rules` are those of tests that name none themselves."""
    from infraspectre.adapters.rules.expectations import Bench, expectation_files

    bench = Bench(rules, told.settings(), told.state)
    return map(bench.verdict, expectation_files(tests))


def profile(inputs: Sequence[Source], rules: Rules, progress: Progress | None = None) -> Profile:
    """Match rules that were loaded with the setting profiling=yes on captures, and return what each took."""
    source = alerts_of(inputs, rules)
    copy_alerts(source, Nowhere(), progress)
    return Profile(source.account(), source.costs())


class Profile(NamedTuple):
    """Holds what was read, and what rules took for it."""

    account: AlertAccount
    costs: list[SignatureCost]


class Nowhere:
    """Takes bytes and forgets them."""

    def write(self, data: bytes, /) -> None:
        """Forget bytes."""


def updates(sources: Path, folder: Path) -> Iterator[Update]:
    """Bring the sets of rules in a folder up to date from sources that a file lists, and yield what became of each."""
    from infraspectre.adapters.rules.updates import read_sources, update

    return (update(source, sources.parent, folder) for source in read_sources(sources).sources)
