"""Sigma rules: the events that their authors recorded for them, and how many events a second 1,000 rules take."""

from __future__ import annotations

import json
import time
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import polars as pl
import yaml

from benches.captures import bulk, labelled, test_data
from benches.process import CACHE, checked
from benches.report import Figure, Report, Table, UnavailableError
from infraspectre import flows
from infraspectre.errors import InfraSpectreError
from infraspectre.soma.hosts import located
from infraspectre.soma.sigma.compile import RuleSet
from infraspectre.soma.sigma.detector import SigmaDetector
from infraspectre.soma.sigma.events import Events, Rows
from infraspectre.soma.sigma.loading import Loaded, read_rules
from infraspectre.soma.sigma.rule import END, LogSource, Rule, Test, Text, mapped
from infraspectre.soma.sigma.seating import SigmaRules
from infraspectre.soma.soma import NEEDED

Event = dict[str, Any]

SYSMON = "Microsoft-Windows-Sysmon/Operational"
CATEGORIES = {
    1: ("process_creation",),
    2: ("file_change",),
    3: ("network_connection",),
    6: ("driver_load",),
    7: ("image_load",),
    8: ("create_remote_thread",),
    10: ("process_access",),
    11: ("file_event",),
    12: ("registry_event", "registry_add", "registry_delete"),
    13: ("registry_event", "registry_set"),
    14: ("registry_event", "registry_rename"),
    15: ("create_stream_hash",),
    17: ("pipe_created",),
    18: ("pipe_created",),
    22: ("dns_query",),
    23: ("file_delete",),
    26: ("file_delete",),
}
# Categories of Sysmon's events (Sigma Taxonomy Appendix 2.1).
CHANNELS = {
    SYSMON: "sysmon",
    "Security": "security",
    "System": "system",
    "Application": "application",
    "Windows PowerShell": "powershell-classic",
    "Microsoft-Windows-PowerShell/Operational": "powershell",
    "Microsoft-Windows-TaskScheduler/Operational": "taskscheduler",
    "Microsoft-Windows-WMI-Activity/Operational": "wmi",
    "Microsoft-Windows-Windows Defender/Operational": "windefend",
}
POWERSHELL = {("powershell", 4103): "ps_module", ("powershell", 4104): "ps_script"}


RULES = 1_000
BLOCK = 8_192
ROUNDS = 5
NOTE = (
    "Events are timed from columns to matches. For flows, the rules are those of the test data that see flows, and "
    "copies of them that look for other texts; for the logs of Windows hosts, a thousand of the rules for Windows."
)


class Expected(NamedTuple):
    """States how many events of a recording a rule must match."""

    rule: str
    events: list[Event]
    matches: int


def intel() -> Path:
    """Return the folder of the Sigma rules in the test data."""
    folder = test_data().parent / "intel" / "rules_sigma"
    if not folder.is_dir():
        raise UnavailableError("the test data has no intel/rules_sigma")
    return folder


def unpacked(name: str) -> Path:
    """Unpack an archive of the test data once, and return its folder."""
    folder = CACHE / "sigma" / name
    if not folder.is_dir():
        partial = folder.with_name(f".{name}.partial")
        partial.mkdir(parents=True, exist_ok=True)
        try:
            checked(["tar", "--zstd", "-xf", intel() / f"{name}.tar.zst", "-C", partial], cores=None)
        except OSError as error:
            raise UnavailableError("tar with zstd is missing") from error
        partial.rename(folder)
    return folder


def recordings() -> Iterator[Expected]:
    """Yield the events that were recorded for rules, and how many of them each must match."""
    root = unpacked("regression_json_public")
    for info in sorted(root.rglob("info.yml")):
        about = yaml.safe_load(info.read_text())
        for rule, test in zip(about["rule_metadata"], about["regression_tests_info"], strict=False):
            log = (root / test["path"]).with_suffix(".json")
            yield Expected(rule["id"], [plain(event) for event in objects(log.read_text())], test.get("match_count", 1))


def objects(text: str) -> Iterator[Event]:
    """Yield the JSON objects that follow one another in a text."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        value, at = decoder.raw_decode(text, at)
        yield value
        at += len(text[at:]) - len(text[at:].lstrip())


def plain(event: Event) -> Event:
    """Return a Windows event with the field names of Sigma: those of its data, and of its header with underscores."""
    system = event["Event"]["System"]
    fields: Event = {}
    for name, value in system.items():
        if isinstance(value, dict):
            fields |= {f"{name}_{key}": inner for key, inner in value.get("#attributes", {}).items()}
            value = value.get("#text")
        fields[name] = value
    for part in ("EventData", "UserData"):
        fields |= flat(event["Event"].get(part) or {})
    return fields


def flat(data: Event) -> Event:
    """Return the data of an event without its inner objects and without blanks in names, as rules name them."""
    found: Event = {}
    for name, value in data.items():
        found |= flat(value) if isinstance(value, dict) else {name.replace(" ", ""): value}
    return found


def sources(event: Event) -> list[LogSource]:
    """Return the log sources to which a Windows event belongs."""
    service, number = CHANNELS.get(event["Channel"]), int(event["EventID"])
    categories = CATEGORIES.get(number, ()) if service == "sysmon" else (POWERSHELL.get((service or "", number)),)
    return [LogSource(category, "windows", service) for category in categories or (None,)]


def by_source(events: Sequence[Event]) -> dict[LogSource, Rows]:
    """Return which events belong to which log source."""
    found: dict[LogSource, Rows] = defaultdict(int)
    for number, event in enumerate(events):
        for source in sources(event):
            found[source] |= 1 << number
    return found


def regression(rules: RuleSet) -> list[tuple[Expected, int]]:
    """Return each recording with the number of its events that its rule matches."""
    expected = list(recordings())
    events = [event for one in expected for event in one.events]
    found = {rule.head.id: rows for rule, rows in rules.matches(Events.of(events), by_source(events))}
    measured, first = [], 0
    for one in expected:
        rows = found.get(one.rule, 0) >> first & (1 << len(one.events)) - 1
        measured.append((one, rows.bit_count()))
        first += len(one.events)
    return measured


@cache
def loaded() -> Loaded:
    """Return the rules of the test data."""
    return read_rules([unpacked("sigma_rules_public")])


def recorded() -> Iterator[Event]:
    """Yield the events that Windows hosts logged while attacks were simulated on them."""
    for archive in sorted((test_data() / "otrf-host").glob("*.zip")):
        with zipfile.ZipFile(archive) as folder:
            for name in folder.namelist():
                for line in filter(bytes.strip, folder.open(name)):
                    event = json.loads(line)
                    # The message repeats in words what the other fields say.
                    yield {field: value for field, value in event.items() if field != "Message"}


def on_host_logs() -> tuple[int, float]:
    """Return how many events 1,000 rules for Windows looked at, and the processor seconds."""
    meant = [rule for rule in loaded().rules if rule.source.product == "windows"]
    rules = RuleSet(meant[number * len(meant) // RULES] for number in range(RULES))
    events = [event | {"Channel": event.get("Channel", "")} for event in recorded()]
    blocks = [events[first : first + BLOCK] for first in range(0, len(events), BLOCK)]
    taken = [(Events.of(block).frame, by_source(block)) for block in blocks]

    def look() -> None:
        for frame, sources in taken:
            for _ in rules.matches(Events(frame), sources):
                pass

    return len(events), least(look)


def on_flows() -> tuple[int, float]:
    """Return how many events of flows 1,000 rules looked at, and the processor seconds; flows count as events, too."""
    frame = located(pl.concat(batches(), how="vertical_relaxed", rechunk=True).drop_nulls(NEEDED))
    rules = SigmaRules(multiplied(loaded()))
    detector = SigmaDetector(rules)
    blocks = list(frame.iter_slices(BLOCK))
    seconds = least(lambda: [detector.detect(block) for block in blocks])
    streams = {id(seat.stream): seat.stream for seat in rules.seats}
    return sum(len(stream.events(frame)) for stream in streams.values()), seconds


def batches() -> list[pl.DataFrame]:
    """Return the flows of a simulated capture and of the labelled ones."""
    frames = [batch.frame for batch in flows(bulk("mixed", 1_000_000))]
    for row in labelled():
        try:
            frames += [batch.frame for batch in flows(row["path"])]
        except InfraSpectreError:
            continue
    return frames


def multiplied(known: Loaded) -> Loaded:
    """Return 1,000 rules that see flows: those of the test data, and copies of them that look for other texts."""
    seeing = list({seat.rule.head.key: seat.rule for seat in SigmaRules(known).seats}.values())
    copies = [varied(seeing[number % len(seeing)], number // len(seeing)) for number in range(RULES)]
    return Loaded(copies, [], [])


def varied(rule: Rule, edition: int) -> Rule:
    """Return a copy of a rule that looks for texts with a number added, so that they are searched as well."""
    if not edition:
        return rule

    def other(leaf: Test) -> Test:
        if not isinstance(leaf, Text):
            return leaf
        return msgspec.structs.replace(leaf, texts=frozenset(marked(text, edition) for text in leaf.texts))

    head = msgspec.structs.replace(rule.head, id=f"{rule.head.key}-{edition}")
    return msgspec.structs.replace(rule, head=head, test=mapped(rule.test, other))


def marked(text: str, number: int) -> str:
    """Return a text with a number at its end."""
    inner = text.removesuffix(END)
    return f"{inner}{number}{text[len(inner) :]}"


def least(work: Callable[[], object]) -> float:
    """Return the least processor seconds that several runs of some work take."""
    seconds = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        work()
        seconds.append(time.process_time() - begun)
    return min(seconds)


def speed(kind: str, events: int, seconds: float) -> Figure:
    """Return how many events 1,000 rules look at in a second of one core."""
    return Figure(f"events of {kind} per CPU-second, 1,000 rules", round(events / seconds), "", "", "100,000")


def measure() -> Report:
    """Match the recorded events, and time 1,000 rules."""
    measured = regression(RuleSet(loaded().rules))
    right = [one for one, matches in measured if matches >= one.matches]
    more = [(one.rule, one.matches, matches) for one, matches in measured if matches > one.matches]
    seeing = {seat.rule.head.key for seat in SigmaRules(loaded()).seats}
    return Report(
        figures=[
            Figure("recordings whose rule matches", f"{len(right)} of {len(measured)}", "", "99%", "100%"),
            Figure("rules read", f"{len(loaded().rules):,} of {len(loaded().rules) + len(loaded().refused):,}"),
            Figure("rules that see flows", len(seeing)),
            speed("flows", *on_flows()),
            speed("host logs", *on_host_logs()),
        ],
        tables=[Table("Recordings with more matches than their note says", ("rule", "said", "found"), more)],
        notes=[NOTE],
    )
